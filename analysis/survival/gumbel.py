"""Elicitation probabilities in deployment: how large the worst of many queries gets, from the tail of a few.

Source: Jones et al. (2025), "Forecasting Rare Language Model Behaviors".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dangercurve._errors import DataError

Floats = NDArray[np.float64]
MIN_QUERIES, MIN_TAIL = 20, 5


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst query among `n_queries` of deployment: its elicitation probability, with its interval.

    `p_any`: expected share of deployments of that size in which some query elicits the behaviour at its first try.
    """

    n_queries: int
    p_max: float
    lcb: float
    ucb: float
    p_any: float
    p_any_lcb: float
    p_any_ucb: float


@dataclass(frozen=True, slots=True)
class GumbelTail:
    """log P(score > s) = slope s + intercept in the tail, score = -log(-log p) of a query's elicitation probability p.

    `threshold` is the score from which the line was fitted, `n_tail` its queries. `slope` is negative.
    """

    slope: float
    intercept: float
    threshold: float
    n_queries: int
    n_tail: int
    worst: tuple[Worst, ...]
    level: float
    seed: int


def gumbel_tail(
    log_p: ArrayLike,
    targets: Sequence[int],
    *,
    tail_share: float = 0.1,
    level: float = 0.9,
    n_draws: int = 2000,
    seed: int = 0,
) -> GumbelTail:
    """Extrapolate the largest elicitation probability from `log_p` (queries,), natural logarithms < 0, to `targets`.

    Beyond a high threshold the scores are close to exponential where the extreme value law is Gumbel's: with k queries
    above it and mean excess m, log P(score > s) = log(k / n) - (s - threshold) / m. Draws of the rate are Gamma(k) over
    the summed excess, of the share above the threshold Beta(k + 1/2, n - k + 1/2), and the worst of N is drawn too, so
    that intervals are for one deployment and not for the mean of many. `p_any` = 1 - E[1 - p]^N takes queries below the
    threshold as observed. Raises DataError on too few queries, probabilities outside (0, 1), or scores all alike.
    """
    values = np.asarray(log_p, np.float64).ravel()
    if values.size < MIN_QUERIES:
        raise DataError(f"{values.size} queries: a tail needs at least {MIN_QUERIES}")
    if not np.isfinite(values).all() or (values >= 0).any():
        raise DataError(
            "elicitation probabilities must lie strictly between 0 and 1: give estimates, not 0 of n"
        )
    if not 0 < tail_share <= 0.5 or not 0 < level < 1 or any(n < 1 for n in targets):
        raise DataError("tail_share lies in (0, 0.5], level in (0, 1), and a deployment has 1 query at least")
    ordered = np.sort(-np.log(-values))[::-1]
    n = values.size
    k = max(MIN_TAIL, round(tail_share * n))
    threshold, body = float(ordered[k]), ordered[k:]
    excess = float((ordered[:k] - threshold).sum())
    if excess <= 1e-9 * k:
        raise DataError("the largest scores are all alike: no tail to extrapolate")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    rate, share = (k - 1) / excess, k / n
    rates, shares = rng.gamma(k, 1 / excess, n_draws), rng.beta(k + 0.5, n - k + 0.5, n_draws)
    ends = [(1 - level) / 2, (1 + level) / 2]
    body_mean = float(_p_of(body).mean())
    means = (1 - shares) * body_mean + shares * _tail_mean(threshold, rates)
    mean = (1 - share) * body_mean + share * float(_tail_mean(threshold, np.array([rate]))[0])
    worst = []
    for target in targets:
        middle = threshold + max(np.log(target * share / np.log(2.0)), 0.0) / rate
        drawn = threshold + np.maximum(np.log(target * shares / rng.exponential(size=n_draws)), 0.0) / rates
        low, high = np.quantile(_p_of(drawn), ends)
        any_low, any_high = np.quantile(_p_any(means, target), ends)
        worst.append(
            Worst(
                int(target), float(_p_of(middle)), float(low), float(high),
                float(_p_any(mean, target)), float(any_low), float(any_high),
            )
        )  # fmt: skip
    slope = -rate
    return GumbelTail(
        slope, float(np.log(share) - slope * threshold), threshold, n, k, tuple(worst), level, seed
    )


def _tail_mean(threshold: float, rates: Floats) -> Floats:
    """Mean elicitation probability (S,) of a query above the threshold, by the midpoints of 200 equal shares."""
    u = (np.arange(200) + 0.5) / 200
    return np.asarray(_p_of(threshold - np.log(u)[None, :] / rates[:, None]).mean(axis=1), np.float64)


def _p_of(score: Floats | float) -> Floats:
    return np.asarray(np.exp(-np.exp(-np.asarray(score, np.float64))), np.float64)


def _p_any(mean: Floats | float, n: int) -> Floats:
    return np.asarray(-np.expm1(n * np.log1p(-np.minimum(mean, 1 - 1e-12))), np.float64)
