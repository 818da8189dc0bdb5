"""Rates that a judge read: corrected by a labelled subset, or by its known sensitivity and specificity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from dangercurve._errors import DataError
from dangercurve.analysis.intervals import Sides, clopper_pearson, tail

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Corrected:
    """A corrected rate with bounds, the judge's uncorrected one, and the weight given to the judge (0: labels alone)."""

    estimate: float
    se: float
    lcb: float
    ucb: float
    uncorrected: float
    judge_weight: float
    n_labelled: int
    n_judged: int
    alpha: float


def prediction_powered(
    labels: ArrayLike,
    judge_on_labelled: ArrayLike,
    judge_on_rest: ArrayLike,
    *,
    alpha: float = 0.05,
    sides: Sides = 1,
) -> Corrected:
    """PPI++ mean: mean(Y) + w (mean(F_rest) - mean(F_labelled)), w = cov(Y, F) / ((1 + n/N) var(F)) in [0, 1].

    `labels` Y and `judge_on_labelled` F (n,) on the labelled instances, `judge_on_rest` F (N,) on the others; one value
    an instance in [0, 1]. A useless judge gets w = 0 and costs nothing (Angelopoulos, Duchi and Zrnic 2023). t bounds
    with n - 1 degrees of freedom, widened to the exact bound of the labels where these all agree.
    Raises DataError on fewer than ten labels or values outside [0, 1].
    """
    y, f, rest = (np.asarray(v, np.float64).ravel() for v in (labels, judge_on_labelled, judge_on_rest))
    q = tail(alpha, sides)
    if y.size != f.size:
        raise DataError(f"{y.size} labels but {f.size} judgements of the labelled instances")
    if y.size < 10:
        raise DataError(f"{y.size} labels: at least 10 are needed to correct a judge")
    both = np.concatenate([y, f, rest])
    if not np.isfinite(both).all() or both.min() < 0 or both.max() > 1:
        raise DataError("labels and judgements must lie in [0, 1]; a disagreement is unscored, not a half")
    n, m = y.size, rest.size
    spread = float(np.var(np.concatenate([f, rest]), ddof=1))
    weight = 0.0
    if m and spread > 0:
        weight = float(np.clip(np.cov(y, f)[0, 1] / ((1 + n / m) * spread), 0.0, 1.0))
    estimate = float(y.mean() + weight * ((rest.mean() if m else 0.0) - f.mean() if m else 0.0))
    var = float(np.var(y - weight * f, ddof=1)) / n + (
        weight**2 * float(np.var(rest, ddof=1)) / m if m > 1 else 0.0
    )
    se = float(np.sqrt(var))
    half = float(stats.t.ppf(1 - q, n - 1)) * se
    lower, upper = estimate - half, estimate + half
    if float(np.ptp(y)) == 0:
        exact = clopper_pearson(float(y.sum()), n, q, 1)
        lower, upper = min(lower, exact[0]), max(upper, exact[1])
    uncorrected = float(np.concatenate([f, rest]).mean())
    bounds = max(0.0, lower), min(1.0, upper)
    return Corrected(float(np.clip(estimate, 0, 1)), se, *bounds, uncorrected, weight, n, m, alpha)


def rogan_gladen(
    positive: int,
    judged: int,
    sensitivity: tuple[int, int],
    specificity: tuple[int, int],
    *,
    alpha: float = 0.05,
    sides: Sides = 1,
    n_draws: int = 20000,
    seed: int = 0,
) -> Corrected:
    """p = (q + Sp - 1) / (Se + Sp - 1), with the uncertainty of q, Se and Sp (Rogan and Gladen 1978).

    `sensitivity`, `specificity`: (right, of) on labelled positives and negatives. Bounds: quantiles over Jeffreys
    draws of all three, held to [0, 1]. Raises DataError where the judge is no better than chance at its bounds: then
    no correction helps.
    """
    q_tail = tail(alpha, sides)
    counts = ((positive, judged), sensitivity, specificity)
    if any(not 0 <= k <= n or n < 1 for k, n in counts):
        raise DataError("judge counts need 0 <= right <= of, of >= 1")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    rate, se, sp = (rng.beta(k + 0.5, n - k + 0.5, n_draws) for k, n in counts)
    power = se + sp - 1
    if float(np.quantile(power, 0.025)) <= 0:
        raise DataError("the judge is not shown to beat chance (Se + Sp - 1 may be 0): label more instances")
    draws = np.clip((rate + sp - 1) / power, 0.0, 1.0)
    point = positive / judged
    youden = sensitivity[0] / sensitivity[1] + specificity[0] / specificity[1] - 1
    estimate = float(np.clip((point + specificity[0] / specificity[1] - 1) / youden, 0.0, 1.0))
    lower, upper = (float(v) for v in np.quantile(draws, [q_tail, 1 - q_tail]))
    return Corrected(
        estimate,
        float(draws.std()),
        min(lower, estimate),
        max(upper, estimate),
        point,
        1.0,
        sensitivity[1] + specificity[1],
        judged,
        alpha,
    )


def unanimous(votes: Sequence[Sequence[float | None]]) -> tuple[Floats, float]:
    """One value an item where all judges agree, NaN (unscored) where they differ or one is missing; share unscored.

    `votes`: items x judges. No majority is taken: a disagreement says that the item is not decided.
    """
    out = np.full(len(votes), np.nan)
    for i, item in enumerate(votes):
        if not item:
            raise DataError(f"item {i} has no judge")
        values = [v for v in item if v is not None and not np.isnan(v)]
        if len(values) == len(item) and len(set(values)) == 1:
            out[i] = float(values[0])
    return out, float(np.isnan(out).mean()) if len(votes) else float("nan")
