"""Intervals for rates and paired differences in which only instances count.

`sides=1` (the default everywhere) means: `lcb` and `ucb` each hold with probability 1 - alpha, the form in which a
gate reads them. `sides=2` puts alpha/2 beyond each end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from dangercurve._errors import DataError

Sides = Literal[1, 2]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rate:
    """A mean in [0, 1] with its bounds; NaN where there is no data, never 0.

    `n_instances` is the number of clusters and what n means; `n_rows` counts samples.
    """

    estimate: float
    se: float
    lcb: float
    ucb: float
    n_instances: int
    n_rows: int
    alpha: float


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean of paired differences a - b in [-1, 1]: bounds, two-sided p-value, pairs and discordant pairs."""

    estimate: float
    se: float
    lcb: float
    ucb: float
    p_value: float
    n_pairs: int
    n_discordant: int
    alpha: float


@dataclass(frozen=True, slots=True)
class BetaBinomial:
    """Mean and within-cluster correlation `rho` of a beta-binomial, with bounds of the mean."""

    rate: Rate
    rho: float


def tail(alpha: float, sides: Sides) -> float:
    """Probability beyond each end. Raises DataError unless 0 < alpha < 1 and sides is 1 or 2."""
    if not 0.0 < alpha < 1.0:
        raise DataError(f"alpha is {alpha}: give a level strictly between 0 and 1")
    if sides not in (1, 2):
        raise DataError(f"sides is {sides}: give 1 or 2")
    return alpha / sides


def clopper_pearson(k: float, n: float, alpha: float = 0.05, sides: Sides = 1) -> tuple[float, float]:
    """Exact binomial bounds from `k` events in `n` trials (Clopper and Pearson 1934).

    lower = Beta(k, n-k+1) quantile, upper = Beta(k+1, n-k) quantile; with k = 0 the upper one is 1 - alpha^(1/n).
    `k` and `n` may be effective (non-integer) counts. n = 0 gives (0, 1): nothing is known.
    Raises DataError where k is outside [0, n].
    """
    q = tail(alpha, sides)
    _check_counts(k, n)
    if n == 0:
        return 0.0, 1.0
    lower = 0.0 if k <= 0 else float(special.betaincinv(k, n - k + 1, q))
    upper = 1.0 if k >= n else float(special.betaincinv(k + 1, n - k, 1 - q))
    return lower, upper


def jeffreys(k: float, n: float, alpha: float = 0.05, sides: Sides = 1) -> tuple[float, float]:
    """Bounds from the Beta(k + 1/2, n - k + 1/2) posterior, closed at 0 for k = 0 and at 1 for k = n.

    Close to nominal on average where Clopper-Pearson is conservative (Brown, Cai and DasGupta 2001).
    """
    q = tail(alpha, sides)
    _check_counts(k, n)
    if n == 0:
        return 0.0, 1.0
    lower = 0.0 if k <= 0 else float(special.betaincinv(k + 0.5, n - k + 0.5, q))
    upper = 1.0 if k >= n else float(special.betaincinv(k + 0.5, n - k + 0.5, 1 - q))
    return lower, upper


def clustered_rate(
    values: ArrayLike, cluster: Sequence[object] | NDArray[np.generic], alpha: float = 0.05, sides: Sides = 1
) -> Rate:
    """Mean over instances of the instance's mean, with bounds from the spread between instances.

    `values` (rows,) in [0, 1], `cluster` (rows,) the instance of each row. Every instance weighs the same.
    Bounds are Clopper-Pearson at the effective size n_eff = p(1-p)/var(p), scaled by the squared ratio of normal to t
    quantiles (Korn and Graubard 1998). For 0/1 rows n_eff never exceeds the number of instances, so the bounds are
    exact where each instance has one row or all its rows agree, and repeating epochs never narrows a zero-event bound.
    For graded rows the variance is pulled towards p(1-p) with the weight of two instances.
    No rows: estimate and se are NaN, bounds 0 and 1. Raises DataError on NaN or values outside [0, 1].
    """
    q = tail(alpha, sides)
    x = np.asarray(values, dtype=np.float64).ravel()
    means, _ = _cluster_means(x, cluster)
    if x.size and (not np.isfinite(x).all() or x.min() < 0 or x.max() > 1):
        raise DataError("a rate needs values in [0, 1]: drop or impute missing ones and say which")
    n = means.size
    if n == 0:
        return Rate(float("nan"), float("nan"), 0.0, 1.0, 0, 0, alpha)
    p = float(means.mean())
    binary = bool(np.isin(x, (0.0, 1.0)).all())
    n_eff, var = _effective(means, p, q, binary)
    lower, upper = clopper_pearson(p * n_eff, n_eff, q, 1)
    return Rate(p, float(np.sqrt(var)), min(lower, p), max(upper, p), n, x.size, alpha)


def beta_binomial(
    events: ArrayLike, trials: ArrayLike, alpha: float = 0.05, sides: Sides = 1
) -> BetaBinomial:
    """Maximum likelihood of a beta-binomial with mean p and correlation rho in [0, 1).

    `events`, `trials` (clusters,). Bounds are profile-likelihood ones for p with t quantiles of n - 1 degrees.
    All events or none: the exact bound on clusters, rho NaN. Raises DataError on impossible counts.
    """
    q = tail(alpha, sides)
    k, n = np.asarray(events, dtype=np.float64).ravel(), np.asarray(trials, dtype=np.float64).ravel()
    if k.shape != n.shape or np.any(k < 0) or np.any(k > n) or not np.isfinite(n).all():
        raise DataError("beta-binomial counts need 0 <= events <= trials in arrays of one length")
    k, n = k[n > 0], n[n > 0]
    m = k.size
    if m == 0 or k.sum() == 0 or k.sum() == n.sum():
        rate = clustered_rate((k / n) if m else [], list(range(m)), alpha, sides)
        return BetaBinomial(rate, float("nan"))

    from scipy import optimize

    def nll(p: float, rho: float) -> float:
        s = (1 - rho) / rho
        a, b = p * s, (1 - p) * s
        return -float(np.sum(special.betaln(k + a, n - k + b) - special.betaln(a, b)))

    def profile(logit_p: float) -> tuple[float, float]:
        p = float(special.expit(logit_p))
        best = optimize.minimize_scalar(
            lambda z: nll(p, float(special.expit(z))), bounds=(-9.0, 6.0), method="bounded"
        )
        return float(best.fun), float(special.expit(best.x))

    outer = optimize.minimize_scalar(lambda z: profile(z)[0], bounds=(-12.0, 12.0), method="bounded")
    centre, low_value = float(outer.x), float(outer.fun)
    drop = 0.5 * float(special.stdtrit(max(m - 1, 1), 1 - q)) ** 2

    def bound(edge: float) -> float:
        def gap(z: float) -> float:
            return profile(z)[0] - low_value - drop

        return float(optimize.brentq(gap, centre, edge, xtol=1e-6)) if gap(edge) > 0 else edge

    lower, upper = bound(-30.0), bound(30.0)
    z = float(special.stdtrit(max(m - 1, 1), 1 - q))
    p = float(special.expit(centre))
    se = p * (1 - p) * (upper - lower) / (2 * z)
    rate = Rate(
        p, se, float(special.expit(lower)), float(special.expit(upper)), m, round(float(n.sum())), alpha
    )
    return BetaBinomial(rate, profile(centre)[1])


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    cluster: Sequence[object] | NDArray[np.generic],
    alpha: float = 0.05,
    sides: Sides = 1,
) -> Difference:
    """Mean over instances of a - b, with the spread between instances.

    `a`, `b` (rows,) in [0, 1], paired by row; rows with a NaN on either side are not pairs and must be dropped before.
    Two pseudo-instances, one +s and one -s, enter the bounds, so that no discordant pair never reads as certainty
    (Bonett and Price 2012 for 0/1 pairs, s = 1; graded pairs take s = the largest difference seen).
    p_value: exact McNemar on the signs for 0/1 instance means, else t. No pairs: NaN with bounds -1 and 1.
    """
    from scipy import stats  # half a second to import: not for a plain rate

    q = tail(alpha, sides)
    x, y = np.asarray(a, dtype=np.float64).ravel(), np.asarray(b, dtype=np.float64).ravel()
    if x.shape != y.shape:
        raise DataError(f"paired values differ in length: {x.size} and {y.size}")
    both = np.concatenate([x, y])
    if both.size and (not np.isfinite(both).all() or both.min() < 0 or both.max() > 1):
        raise DataError("paired values must lie in [0, 1] without missing ones: drop the pair or impute it")
    d, _ = _cluster_means(x - y, cluster)
    n = d.size
    if n == 0:
        return Difference(float("nan"), float("nan"), -1.0, 1.0, float("nan"), 0, 0, alpha)
    estimate = float(d.mean())
    exact = bool(np.isin(d, (-1.0, 0.0, 1.0)).all())
    widest = float(np.abs(d).max())
    s = 1.0 if exact or widest == 0.0 else widest
    centre = float(d.sum() / (n + 2))
    var = ((float(np.sum(d**2)) + 2 * s * s) / (n + 2) - centre**2) / (n + 2)
    se = float(np.sqrt(max(var, 0.0)))
    half = float(special.stdtrit(max(n - 1, 1), 1 - q)) * se
    plus, minus = int(np.sum(d > 0)), int(np.sum(d < 0))
    if exact:
        p_value = float(stats.binomtest(plus, plus + minus, 0.5).pvalue) if plus + minus else 1.0
    else:
        p_value = float(2 * special.stdtr(max(n - 1, 1), -abs(centre) / se)) if se > 0 else 1.0
    lower, upper = min(centre - half, estimate), max(centre + half, estimate)
    return Difference(estimate, se, max(-1.0, lower), min(1.0, upper), p_value, n, plus + minus, alpha)


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down adjusted p-values (Holm 1979), in the order given; NaN stays NaN and counts for nothing."""
    p = np.asarray(p_values, dtype=np.float64).ravel()
    out = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    if known.size and (p[known].min() < 0 or p[known].max() > 1):
        raise DataError("p-values must lie in [0, 1]")
    order = known[np.argsort(p[known], kind="stable")]
    scaled = p[order] * np.arange(order.size, 0, -1)
    out[order] = np.minimum(1.0, np.maximum.accumulate(scaled)) if order.size else scaled
    return out


def zero_event_n(limit: float, alpha: float = 0.05) -> int:
    """Instances without an event after which the one-sided upper bound is at most `limit`: 59 for 5 %, 299 for 1 %."""
    tail(alpha, 1)
    if not 0 < limit < 1:
        raise DataError(f"limit is {limit}: give a rate strictly between 0 and 1")
    return int(np.ceil(np.log(alpha) / np.log1p(-limit) - 1e-9))


def _effective(means: Floats, p: float, q: float, binary: bool) -> tuple[float, float]:
    """Effective size and variance of the mean for bounds, and never an infinite size."""
    n = means.size
    bernoulli = p * (1 - p)
    if bernoulli <= 0:
        return float(n), 0.0
    between = float(np.sum((means - p) ** 2))
    single = binary and bool(np.isin(means, (0.0, 1.0)).all())
    if single:
        return float(n), bernoulli / n
    if binary:
        var = between / max(n - 1, 1) / n
    else:
        smooth = (p * n + 0.5) / (n + 1)
        var = (between + 2 * smooth * (1 - smooth)) / (n + 1) / n
    ratio = (float(special.ndtri(1 - q)) / float(special.stdtrit(max(n - 1, 1), 1 - q))) ** 2
    n_eff = bernoulli / var * ratio if var > 0 else float(n)
    if binary:
        n_eff = min(n_eff, float(n))
    return max(n_eff, 1.0), (var if var > 0 else bernoulli / n)


def _cluster_means(
    x: Floats, cluster: Sequence[object] | NDArray[np.generic]
) -> tuple[Floats, NDArray[np.int64]]:
    labels = np.asarray([str(c) for c in cluster], dtype=np.str_)
    if labels.size != x.size:
        raise DataError(f"{x.size} values but {labels.size} cluster labels: give one label a value")
    if x.size == 0:
        return x, np.zeros(0, dtype=np.int64)
    _, index = np.unique(labels, return_inverse=True)
    counts = np.bincount(index)
    return np.bincount(index, weights=x) / counts, counts.astype(np.int64)


def _check_counts(k: float, n: float) -> None:
    if not (np.isfinite(k) and np.isfinite(n)) or n < 0 or k < 0 or k > n * (1 + 1e-12):
        raise DataError(f"{k} events in {n} trials: give 0 <= events <= trials")
