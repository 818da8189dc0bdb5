"""Observations of red-teaming episodes as units of the breach table: one sample and epoch is one unit of attack.

The family reports `breached` (1, 0 or null), the effort on each clock, its lower end where a breach lies within a batch,
and the tactic. A sample that was refused, cut off or crashed without a breach is no unit that held: it is excluded,
counted, and broken at the first attempt in the worst case. A scored one without an attempt says nothing either way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dangercurve._errors import DataError
from dangercurve.analysis.breach_table import BreachTable, check_breaches

METRIC_OF = {"attempts": "breach_attempts", "attacker_tokens": "breach_tokens", "hours": "breach_hours"}
_TACTIC = "breach_by_"
Facts = Mapping[str, float]


def has_breaches(observations: pd.DataFrame) -> bool:
    """Whether any observation comes from a family with a clock."""
    if "family_metrics" not in observations.columns:
        return False
    return bool(observations["family_metrics"].astype("string").str.contains('"breached"', regex=False).any())


def breaches_of(observations: pd.DataFrame, clock: str) -> BreachTable | None:
    """Units of the rows (n,) on one clock, and the excluded ones; None where no row has evidence of the safeguard.

    A row counts if its status is `scored`, or a breach was already reached. Its unit is sample and epoch, its cluster
    the instance; its other columns are kept. Raises DataError where the family's numbers cannot be meant.
    """
    if clock not in METRIC_OF:
        raise DataError(f"unknown clock '{clock}': {', '.join(METRIC_OF)}")
    facts = [_facts(cell) for cell in observations["family_metrics"]]
    marks = np.array([f.get("breached", math.nan) for f in facts], np.float64)
    scored = (observations["status"] == "scored").to_numpy(np.bool_)
    counts = np.isfinite(marks) & (scored | (marks == 1.0))
    if not counts.any():
        return None
    if not np.isin(marks[counts], (0.0, 1.0)).all():
        raise DataError("the family metric 'breached' must be 0 or 1: a share of a leak is 'leak_share'")
    chosen = [f for f, take in zip(facts, counts, strict=True) if take]
    name = METRIC_OF[clock]
    rows = observations[counts].reset_index(drop=True)
    frame = rows.drop(columns=[c for c in ("family_metrics", "index") if c in rows.columns]).assign(
        unit=_unit(rows),
        cluster=rows["instance_id"].astype(str),
        effort=[f.get(name, math.nan) for f in chosen],
        lower=[f.get(f"{name}_lower", math.nan) if f["breached"] else math.nan for f in chosen],
        breached=marks[counts].astype(int),
        cause=[_cause(f) for f in chosen],
        clock=clock,
    )
    for extra in ("universality", "repeatable", "leak_share"):
        frame[extra] = [f.get(extra, math.nan) for f in chosen]
    if "upper" in frame.columns:
        frame = frame.drop(columns="upper")
    lost = observations[~counts & ~scored].reset_index(drop=True)
    excluded = lost.drop(columns=["family_metrics"]).assign(cluster=lost["instance_id"].astype(str))
    found = check_breaches(frame, excluded=excluded)
    idle = int((scored & ~counts).sum())
    if not idle:
        return found
    return replace(
        found, notes=(*found.notes, f"{idle} scored samples without an attempt left out: no evidence")
    )


def _facts(cell: object) -> Facts:
    found = json.loads(cell) if isinstance(cell, str) and cell else {}
    return {
        k: float(v)
        for k, v in found.items()
        if isinstance(v, (int, float))
        and (k.startswith("breach") or k in ("universality", "repeatable", "leak_share"))
    }


def _cause(facts: Facts) -> str:
    named = sorted(k.removeprefix(_TACTIC) for k, v in facts.items() if k.startswith(_TACTIC) and v == 1.0)
    return "+".join(named) if facts["breached"] else ""


def _unit(rows: pd.DataFrame) -> pd.Series[str]:
    """Sample and epoch, and the evaluation they belong to: the same sample in two runs is two units. Rows that do not name
    their sample (rehearsed episodes, frames of fewer columns) are a unit each."""
    if "sample_id" not in rows.columns:
        return pd.Series(np.arange(len(rows)).astype(str), index=rows.index)
    parts = [rows[c].astype(str) for c in ("eval_task_id", "sample_id", "epoch") if c in rows.columns]
    out = parts[0]
    for part in parts[1:]:
        out = out + "/" + part
    return out


def first_effort(table: BreachTable) -> float:
    """The effort of a breach at the first attempt: 1 attempt, or the smallest effort seen on another clock."""
    return 1.0 if table.discrete else float(max(table.effort.min(), 1e-9))


def with_excluded(
    table: BreachTable, *, broken: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_], NDArray[np.str_]]:
    """(earliest effort, latest effort, breached, cluster) with the excluded units added: broken at once, or never."""
    n = 0 if table.excluded is None else len(table.excluded)
    at = first_effort(table) if broken else float(table.effort.max())
    extra = np.full(n, at)
    clusters = np.zeros(0, np.str_) if table.excluded is None else table.excluded["cluster"].to_numpy(np.str_)
    return (
        np.concatenate([table.placed("earliest"), extra]),
        np.concatenate([table.placed("latest"), extra]),
        np.concatenate([table.breached, np.full(n, broken)]),
        np.concatenate([table.cluster, clusters]),
    )
