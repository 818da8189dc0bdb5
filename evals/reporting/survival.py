"""Kaplan-Meier curves of the safeguards that a run attacked, for its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dangercurve._errors import DangercurveError
from dangercurve.analysis.report.data_panels import Survival

if TYPE_CHECKING:
    import pandas as pd

    from dangercurve.analysis.breach_table import BreachTable

CLOCK = "attempts"
GROUPS = ("safeguard", "attacker", "defender")
LEVEL = "level"
MAX_GROUPS = 40
TICKS = 7


def survivals(root: Path, frame: pd.DataFrame, problems: list[str]) -> tuple[Survival, ...]:
    """A curve a safeguard, attacker, defender and level, over attempts, from the families that record breaches."""
    from dangercurve.analysis.survival.observed import has_breaches
    from dangercurve.evals.breaching import breaches_of_run

    found: list[Survival] = []
    for family, group in frame.groupby("family", observed=True, sort=True):
        if not has_breaches(group):
            continue
        try:
            table = breaches_of_run(root, CLOCK, family=str(family))
            found += [curve(label, part, table.simulated) for label, part in _parts(str(family), table)]
        except DangercurveError as exc:
            problems.append(f"survival of {family}: {exc}")
    return tuple(found)


def curve(label: str, rows: pd.DataFrame, simulated: bool) -> Survival:
    """The product-limit curve of these units with pointwise 90 % bounds, and units at risk at round efforts."""
    from dangercurve.analysis.survival.kaplan_meier import kaplan_meier

    effort, broken = rows["effort"].to_numpy(np.float64), rows["breached"].to_numpy(np.bool_)
    km = kaplan_meier(effort, broken, rows["cluster"].to_numpy(np.str_), alpha=0.1, sides=2)
    steps: list[tuple[float, float, float | None, float | None]] = [(0.0, 1.0, 1.0, 1.0)]
    steps += [
        (float(t), float(s), float(lo), float(hi))
        for t, s, lo, hi in zip(km.time, km.survival, km.lcb, km.ucb, strict=True)
    ]
    end = km.table([km.last])[0]
    if steps[-1][0] < km.last:
        steps.append((km.last, end.survival, end.lcb, end.ucb))
    ticks = np.unique(np.round(np.linspace(0, km.last, TICKS)))
    at_risk = tuple((float(t), int((effort >= t).sum())) for t in ticks)
    return Survival(label, CLOCK, simulated, tuple(steps), at_risk, km.n_units, int(broken.sum()))


def _parts(family: str, table: BreachTable) -> list[tuple[str, pd.DataFrame]]:
    frame = table.frame
    keys = [k for k in GROUPS if k in frame and frame[k].astype(str).nunique() > 1] or ["safeguard"]
    if (
        LEVEL in frame and frame[LEVEL].nunique() > 1
    ):  # budgets grow with the level: never one curve over several
        frame = frame.assign(**{LEVEL: [f"level {value}" for value in frame[LEVEL]]})
        keys.append(LEVEL)
    keys = [k for k in keys if k in frame]
    if not keys:
        return [(family, frame)]
    parts = [
        (key if isinstance(key, tuple) else (key,), rows)
        for key, rows in frame.groupby(keys, sort=True, observed=True)
    ]
    return [(f"{family}: {', '.join(map(str, key))}", rows) for key, rows in parts[:MAX_GROUPS] if len(rows)]
