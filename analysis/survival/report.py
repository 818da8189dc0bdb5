"""Everything that `dangercurve breach` says of a table: groups, safeguards compared, attackers' scale, deployment risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dangercurve._errors import DataError, did_you_mean
from dangercurve._text import printable
from dangercurve.analysis.breach_table import UNITS, BreachTable
from dangercurve.analysis.survival.compare import Acceleration, accelerations
from dangercurve.analysis.survival.groups import Fitted, GroupResult, fit_group, group_result, survival_curve
from dangercurve.analysis.survival.risk import DeploymentRisk, deployment_risk, exponential_persistence
from dangercurve.analysis.survival.scale import ScaleSlope, scale_slope
from dangercurve.analysis.survival.universal import Universality, universality

Floats = NDArray[np.float64]
SCHEMA = 1
GROUPS = ("safeguard", "attacker", "defender")
LEVEL = "level"
MAX_GROUPS = 200
COMPUTE = ("log10_compute", "attacker_flop", "flops", "training_flop")


@dataclass(frozen=True)
class Deployment:
    """A deployment: attackers persist for a mean effort, `attacks` a period come, a breach does `harm`."""

    persistence: float
    attacks: float | None = None
    harm: float | None = None


@dataclass(frozen=True)
class BreachReport:
    """The whole answer. `alpha` is one-sided: every interval is 1 - 2 alpha."""

    clock: str
    alpha: float
    seed: int
    simulated: bool
    groups: tuple[GroupResult, ...]
    accelerations: tuple[Acceleration, ...]
    scale: tuple[dict[str, object], ...]
    universality: tuple[dict[str, object], ...]
    risks: tuple[dict[str, object], ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """The JSON object that docs/breach.md describes."""
        return {"schema": SCHEMA, "unit": UNITS[self.clock], **asdict(self)}


def breach_report(
    table: BreachTable,
    *,
    at: Sequence[float],
    by: Sequence[str] = GROUPS,
    baseline: str | None = None,
    deployment: Deployment | None = None,
    alpha: float = 0.05,
    seed: int = 0,
) -> BreachReport:
    """Group the units by the columns `by`, and answer for each group and across them.

    Left at GROUPS, units of several levels are read apart as well: censoring at budgets that grow with the level is not
    independent of the breach. Pooled by the caller's choice, they are named in the notes.

    `at`: efforts at which red-team success is asked for. `baseline`: the safeguard that others are compared with.
    Raises DataError on an unknown column, more groups than MAX_GROUPS, or efforts that are not positive.
    """
    if not 0 < alpha < 0.5:
        raise DataError(f"alpha is {alpha:g}: give a one-sided level between 0 and .5")
    if not at or any(not (np.isfinite(x) and x > 0) for x in at):
        raise DataError("budgets must be positive and finite efforts")
    efforts = sorted({float(x) for x in at})
    levels = _levels(table)
    if levels > 1 and tuple(by) == GROUPS:
        by = (*by, LEVEL)
    keys = _keys(table, by)
    groups, fits = [], []
    for stream, (label, part) in enumerate(_parts(table, keys)):
        fitted = fit_group(part, seed=seed + stream)
        groups.append(group_result(fitted, label, efforts, alpha=alpha))
        fits.append((label, fitted))
    notes = list(table.notes)
    if levels > 1 and LEVEL not in keys:
        notes.append(
            f"{levels} levels are pooled: where budgets differ between them, the later curve is that of the longest alone "
            "(--by level reads them apart)"
        )
    groups = [replace(g, notes=tuple(n for n in g.notes if n not in notes)) for g in groups]
    compared, said = accelerations(table, baseline=baseline, alpha=alpha)
    notes += said
    return BreachReport(
        table.clock, alpha, seed, table.simulated, tuple(groups), compared, _scales(table, alpha),
        _universal(table, alpha), _risks(fits, deployment, alpha), tuple(notes),
    )  # fmt: skip


def _keys(table: BreachTable, by: Sequence[str]) -> list[str]:
    """The columns of `by` that say something: named in the table and not empty throughout."""
    frame = table.frame
    for name in by:
        if name not in frame.columns:
            raise DataError(
                f"--by {printable(name, 40)}: no such column{did_you_mean(name, map(str, frame.columns))}"
            )
    return [name for name in by if (frame[name].astype(str) != "").any()]


def _levels(table: BreachTable) -> int:
    return int(table.frame[LEVEL].astype(str).nunique()) if LEVEL in table.frame.columns else 0


def _parts(table: BreachTable, keys: list[str]) -> list[tuple[dict[str, str], BreachTable]]:
    if not keys:
        return [({}, table)]
    labels = table.frame[keys].astype(str)
    distinct = labels.drop_duplicates().sort_values(keys)
    if len(distinct) > MAX_GROUPS:
        raise DataError(
            f"{len(distinct)} groups by {', '.join(keys)}: more than {MAX_GROUPS}; choose others with --by"
        )
    parts = []
    for row in distinct.itertuples(index=False):
        label = dict(zip(keys, map(str, row), strict=True))
        part = table.only(_match(table.frame, label))
        lost = table.excluded
        if lost is not None and all(k in lost.columns for k in keys):
            part = replace(part, excluded=lost[_match(lost, label)])
        parts.append((label, replace(part, notes=())))
    return parts


def _match(frame: pd.DataFrame, label: dict[str, str]) -> NDArray[np.bool_]:
    mask = np.ones(len(frame), dtype=np.bool_)
    for name, value in label.items():
        mask &= (frame[name].astype(str) == value).to_numpy(np.bool_)
    return mask


def compute_of(table: BreachTable) -> NDArray[np.float64] | None:
    """log10 of the attackers' training FLOP (units,), NaN where unknown; None where the table has no such column."""
    for name in COMPUTE:
        if name in table.frame.columns:
            values = pd.to_numeric(table.frame[name], errors="coerce").to_numpy(np.float64, na_value=np.nan)
            if name == "log10_compute":
                return np.asarray(values, np.float64)
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.where(values > 0, np.log10(values), np.nan)
    return None


def _scales(table: BreachTable, alpha: float) -> tuple[dict[str, object], ...]:
    """The slope of each safeguard against the attackers' compute, and of all together with safeguards as controls."""
    x = compute_of(table)
    if x is None or not np.isfinite(x).any():
        return ()
    known = np.isfinite(x)
    lower, upper = table.bounds()
    safeguard = table.frame["safeguard"].astype(str).to_numpy()
    rows: list[dict[str, object]] = []
    for name in sorted(set(safeguard[known])):
        mine = known & (safeguard == name)
        rows.append(
            {"safeguard": name, **_slope(lower[mine], upper[mine], x[mine], table.cluster[mine], alpha)}
        )
    levels = sorted(set(safeguard[known & table.breached]))
    known = known & np.isin(safeguard, levels)  # one that was never broken has no level of its own
    if len(levels) > 1:
        dummies = np.column_stack([safeguard[known] == name for name in levels[1:]]).astype(np.float64)
        found = scale_slope(
            lower[known], upper[known], x[known], table.cluster[known], controls=dummies,
            control_names=[f"safeguard={n}" for n in levels[1:]], level=1 - 2 * alpha,
        )  # fmt: skip
        rows.append({"safeguard": "all, own level each", **asdict(found)})
    return tuple(rows)


def _slope(lo: Floats, hi: Floats, x: Floats, cluster: NDArray[np.str_], alpha: float) -> dict[str, object]:
    found: ScaleSlope = scale_slope(lo, hi, x, cluster, level=1 - 2 * alpha)
    return asdict(found)


def _universal(table: BreachTable, alpha: float) -> tuple[dict[str, object], ...]:
    """Universality over secrets, for tables with a column `secret` (and `attack`, else the cluster)."""
    if "secret" not in table.frame.columns:
        return ()
    attack = table.frame["attack" if "attack" in table.frame.columns else "cluster"].astype(str).to_numpy()
    rows: list[dict[str, object]] = []
    safeguard = table.frame["safeguard"].astype(str).to_numpy()
    for name in sorted(set(safeguard)):
        mine = safeguard == name
        try:
            found: Universality = universality(
                table.breached[mine], attack[mine], table.frame["secret"].to_numpy()[mine], alpha=2 * alpha
            )
        except DataError as exc:
            rows.append({"safeguard": name, "says": str(exc)})
            continue
        rows.append({"safeguard": name, **asdict(found)})
    return tuple(rows)


def _risks(
    fits: list[tuple[dict[str, str], Fitted]], deployment: Deployment | None, alpha: float
) -> tuple[dict[str, object], ...]:
    if deployment is None:
        return ()
    share = exponential_persistence(deployment.persistence)
    rows: list[dict[str, object]] = []
    for label, fitted in fits:

        def curve(t: Floats, of: Fitted = fitted) -> tuple[Floats, Floats, Floats]:
            return survival_curve(of, t, alpha=alpha)

        found: DeploymentRisk = deployment_risk(
            curve, share, horizon=20 * deployment.persistence, last=float(fitted.table.effort.max()),
            attacks=deployment.attacks, harm=deployment.harm, persistence_mean=deployment.persistence, steps=120,
            extrapolates=fitted.pooled is not None or bool(fitted.table.breached.all()),
        )  # fmt: skip
        rows.append({"group": label, **asdict(found)})
    return tuple(rows)
