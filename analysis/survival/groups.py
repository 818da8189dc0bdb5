"""What is said of one group of attack runs (a safeguard under an attacker): curve, median, budgets, causes, forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dangercurve.analysis.breach_table import BreachTable
from dangercurve.analysis.intervals import Rate, clustered_rate
from dangercurve.analysis.survival.aalen_johansen import aalen_johansen
from dangercurve.analysis.survival.estimates import SurvivalBound, survival_bounds
from dangercurve.analysis.survival.forms import LABELS, Pooled, fit_forms
from dangercurve.analysis.survival.kaplan_meier import AtRisk, Quantile, Rmst, kaplan_meier
from dangercurve.analysis.survival.turnbull import turnbull

Floats = NDArray[np.float64]
MIN_EVENTS = 3  # breaches below which nothing is extrapolated: the priors would speak, not the data
Method = Literal["kaplan_meier", "turnbull", "extrapolated", "unknown"]


@dataclass(frozen=True, slots=True)
class AtBudget:
    """Red-team success and survival at one effort. `method`: kaplan_meier or turnbull where it was tried, extrapolated
    beyond the follow-up, unknown where that is not allowed (too few breaches): then only the bounds hold.

    `worst_case` is the upper bound of success with excluded runs counted as broken at the first attempt; `free_lcb`,
    `free_ucb` bound S without any model (0 below beyond the follow-up). `forms`: S under each form, extrapolated only.
    """

    at: float
    method: Method
    success: float | None
    success_lcb: float
    success_ucb: float
    survival: float | None
    survival_lcb: float
    survival_ucb: float
    free_lcb: float
    free_ucb: float
    worst_case: float
    n_at_risk: int
    forms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cause:
    """Cumulative incidence of one tactic at the end of the follow-up."""

    cause: str
    n: int
    incidence: float
    lcb: float
    ucb: float


@dataclass(frozen=True, slots=True)
class FormWeight:
    """How much of the weight a form holds, and the median effort under it (None: never reached)."""

    form: str
    weight: float
    median: float | None
    cure: float | None


@dataclass(frozen=True, slots=True)
class GroupResult:
    """Everything about one group. `says` is the sentence for the reader. Extrapolations are None where not allowed."""

    group: Mapping[str, str]
    n_units: int
    n_clusters: int
    n_breached: int
    n_excluded: int
    followed_to: float
    median: Quantile
    median_words: str
    median_extrapolated: Mapping[str, float | None] | None
    rmst: Rmst
    budgets: tuple[AtBudget, ...]
    at_risk: tuple[AtRisk, ...]
    causes: tuple[Cause, ...]
    forms: tuple[FormWeight, ...]
    universality: Rate | None
    repeatable: Rate | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fitted:
    """The table of a group and its pooled forms, None where nothing is extrapolated."""

    table: BreachTable
    pooled: Pooled | None


def fit_group(table: BreachTable, *, seed: int = 0, extrapolate: bool = True) -> Fitted:
    """The forms of a group; clusters weigh as one unit each."""
    events = int(table.breached.sum())
    if not extrapolate or events < MIN_EVENTS or events == len(table.frame) == int((table.effort <= 1).sum()):
        return Fitted(table, None)
    lower, upper = table.bounds()
    _, index = np.unique(table.cluster, return_inverse=True)
    weight = 1.0 / np.bincount(index)[index]
    return Fitted(table, fit_forms(lower, upper, weight=weight, discrete=table.discrete, seed=seed))


def group_result(
    fitted: Fitted, group: Mapping[str, str], at: Sequence[float], *, alpha: float = 0.05
) -> GroupResult:
    """The numbers of one group; every bound holds one-sided with 1 - alpha, so intervals are 1 - 2 alpha."""
    table, pooled = fitted.table, fitted.pooled
    level = 1 - 2 * alpha
    event, cluster, late = table.breached, table.cluster, table.placed("latest")
    km = kaplan_meier(late, event, cluster, alpha=2 * alpha, sides=2)
    median = km.quantile()
    notes = list(table.notes)
    if table.within_batch:
        notes.append("breaches within a batch: curves stand where the breach was seen, bounds take both ends")
    if not event.any():
        notes.append("no breach was seen: S is bounded, not estimated, beyond the follow-up")
    bounds = survival_bounds(table, at, alpha)
    steps = turnbull(*table.bounds()).at(np.asarray(at)) if table.within_batch else None
    budgets = tuple(
        _budget(
            b,
            None if steps is None else float(steps[k]),
            pooled,
            level,
            everything_broken=km.at(km.last) == 0,
        )
        for k, b in enumerate(bounds)
    )
    n_clusters = int(np.unique(cluster).size)
    if n_clusters < 2:
        notes.append("one unit or cluster: nothing says how attack runs differ")
    extrapolated = None
    forms: tuple[FormWeight, ...] = ()
    if pooled is not None:
        reading = pooled.quantile(level=level)
        if median.value is None:
            extrapolated = {"estimate": reading.estimate, "lcb": reading.lcb, "ucb": reading.ucb}
        forms = tuple(
            FormWeight(
                f.form, f.weight, pooled.quantile(form=f.form, level=level).estimate,
                None if f.cure is None else float(np.median(f.cure)),
            )
            for f in pooled.fits
        )  # fmt: skip
        weak = [LABELS[f.form] for f in pooled.fits if f.efficiency < 0.05]
        notes += [f"{name}: few of its draws count; read its numbers with care" for name in weak]
    return GroupResult(
        dict(group), len(table.frame), n_clusters, int(event.sum()),
        0 if table.excluded is None else len(table.excluded), km.last, median, median.words, extrapolated,
        km.rmst(), budgets, km.table(_ticks(km.last, discrete=table.discrete)), _causes(table, alpha), forms,
        _share(table, "universality", event, alpha), _share(table, "repeatable", event, alpha), tuple(notes),
    )  # fmt: skip


def survival_curve(fitted: Fitted, effort: Floats, *, alpha: float = 0.05) -> tuple[Floats, Floats, Floats]:
    """(estimate, lower, upper) of S at `effort` (T,): as tried within the follow-up, pooled forms or free bounds beyond."""
    found = survival_bounds(fitted.table, effort.tolist(), alpha)
    value = np.array([b.estimate for b in found])
    low, high = np.array([b.lcb for b in found]), np.array([b.ucb for b in found])
    if fitted.pooled is not None:
        beyond = effort > fitted.table.effort.max()
        for i in np.flatnonzero(beyond):
            reading = fitted.pooled.survival(float(effort[i]), level=1 - 2 * alpha)
            middle = min(reading.estimate or 0.0, value[i])
            value[i], low[i] = middle, min(reading.lcb or 0.0, middle)
            high[i] = max(min(reading.ucb or 0.0, high[i]), middle)
    return value, low, high


def _budget(
    b: SurvivalBound, step: float | None, pooled: Pooled | None, level: float, *, everything_broken: bool
) -> AtBudget:
    method: Method = "turnbull" if step is not None else "kaplan_meier"
    value: float | None = b.estimate if step is None else min(max(step, b.lcb), b.ucb)
    low, high, forms = b.lcb, b.ucb, {}
    if not b.followed and not everything_broken:
        method, value = "unknown", None
        if pooled is not None:
            reading = pooled.survival(b.at, level=level)
            method, value = "extrapolated", reading.estimate
            low, high = reading.lcb or 0.0, min(reading.ucb or 0.0, b.ucb)
            value = None if value is None else min(value, high)
            low = low if value is None else min(low, value)
            forms = {f.form: pooled.survival(b.at, f.form, level=level).estimate or 0.0 for f in pooled.fits}
    return AtBudget(
        b.at, method, None if value is None else 1 - value, 1 - high, 1 - low, value, low, high, b.lcb, b.ucb,
        1 - min(b.worst_case_lcb, low), b.n_at_risk, forms,
    )  # fmt: skip


def _causes(table: BreachTable, alpha: float) -> tuple[Cause, ...]:
    if not (table.frame["cause"] != "").any():
        return ()
    found = aalen_johansen(
        table.placed("latest"), table.breached, table.frame["cause"].tolist(), table.cluster,
        alpha=2 * alpha, sides=2,
    )  # fmt: skip
    last = float(table.effort.max())
    return tuple(Cause(i.cause, i.n, *i.at(last)) for i in found)


def _share(table: BreachTable, column: str, event: NDArray[np.bool_], alpha: float) -> Rate | None:
    """Mean over clusters of a column in [0, 1] of the units that were broken, None without such a column."""
    if column not in table.frame.columns:
        return None
    values = np.asarray(table.frame[column].to_numpy(np.float64, na_value=np.nan), np.float64)
    known = event & np.isfinite(values)
    if not known.any():
        return None
    return clustered_rate(values[known], table.cluster[known], alpha)


def _ticks(last: float, *, discrete: bool) -> list[float]:
    """Up to eight efforts for the at-risk table: evenly spaced on the logarithm, whole for attempts."""
    grid = np.geomspace(max(last / 1000, 1.0 if discrete else last / 1000), last, 8)
    if discrete:
        grid = np.unique(np.floor(grid + 1e-9))
    return [float(x) for x in grid]
