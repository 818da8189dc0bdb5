"""The elicitation curve: does a score still rise with more effort, and how much may still come?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from dangercurve._errors import DataError
from dangercurve.analysis.intervals import tail

Floats = NDArray[np.float64]
Plateau = Literal["plateau", "rising", "unresolved"]


@dataclass(frozen=True, slots=True)
class Elicitation:
    """Capability over elicitation effort on the metric's scale (logit, log2 or linear).

    `gap` = fitted limit less the value at the largest effort, never below 0: what elicitation may still add (E).
    `gap_ucb` is its one-sided upper bound. `slope` is the gain of the last doubling of effort with bounds.
    `plateau`: "plateau" where the upper bound of that slope is below the tolerance, "rising" where its lower bound is
    above 0 and the plateau is not shown, else "unresolved".
    """

    plateau: Plateau
    gap: float
    gap_ucb: float
    slope: float
    slope_lcb: float
    slope_ucb: float
    limit: float
    n_points: int
    alpha: float


def elicitation_curve(
    effort: ArrayLike,
    value: ArrayLike,
    se: ArrayLike,
    *,
    tolerance: float = 0.25,
    alpha: float = 0.05,
    doublings: float = 3.0,
    n_draws: int = 1000,
    seed: int = 0,
) -> Elicitation:
    """Fit value = L - A 2^(-r k), k = log2(effort / smallest), with A, r >= 0, weighted by 1/se^2.

    `effort` (points,) > 0, for example kappa, attempts or tokens; `value` and `se` on the metric's scale. A curve that
    still rises has no limit in sight, so the gap counts `doublings` more doublings of effort and no further:
    gap = value at effort * 2^doublings - value at the largest effort, on the fitted curve. Bounds by parametric
    resampling of the points. The slope of the last doubling is the weighted difference of the last two points a
    doubling. Raises DataError on fewer than two distinct efforts or an unknown error.
    """
    tail(alpha, 1)
    x, y, s = (np.asarray(v, np.float64).ravel() for v in (effort, value, se))
    if not x.size == y.size == s.size or not all(np.isfinite(v).all() for v in (x, y, s)):
        raise DataError("effort, value and se must be finite, one each a point")
    if (x <= 0).any() or (s <= 0).any():
        raise DataError("effort and standard error must be positive (a rate of 0 or 1: use a shrunk logit)")
    order = np.argsort(x, kind="stable")
    k, y, s = np.log2(x[order]), y[order], s[order]
    steps, index = np.unique(k, return_inverse=True)
    if steps.size < 2:
        raise DataError("an elicitation curve needs at least two efforts")
    w = np.bincount(index, weights=1 / s**2)
    y, s = np.bincount(index, weights=y / s**2) / w, 1 / np.sqrt(w)
    span = float(steps[-1] - steps[-2])
    slope = float((y[-1] - y[-2]) / span)
    slope_se = float(np.hypot(s[-1], s[-2]) / span)
    z = float(stats.norm.ppf(1 - alpha))
    low, high = slope - z * slope_se, slope + z * slope_se
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    u = steps - steps[0]
    limit, gap = _gap(u, y, s, doublings)
    draws = [_gap(u, y + s * rng.standard_normal(y.size), s, doublings)[1] for _ in range(n_draws)]
    state: Plateau = "plateau" if high < tolerance else "rising" if low > 0 else "unresolved"
    ucb = max(float(np.quantile(draws, 1 - alpha)), gap)
    if state != "plateau":
        ucb = max(ucb, high * doublings)
    return Elicitation(state, gap, ucb, slope, low, high, limit, int(steps.size), alpha)


def _gap(u: Floats, y: Floats, s: Floats, doublings: float) -> tuple[float, float]:
    """(limit, gap) of the best curve over a grid of rates; the level and height are linear, the height >= 0."""
    best = (np.inf, float(y[-1]), 0.0)
    for rate in (0.05, 0.1, 0.2, 0.35, 0.6, 1.0, 1.7, 3.0):
        basis = 1 - 2.0 ** (-rate * u)
        design = np.column_stack([np.ones_like(u), -np.ones_like(u), basis]) / s[:, None]
        coef, miss = optimize.nnls(design, y / s)
        height = float(coef[2])
        if miss < best[0] - 1e-9:
            ahead = height * (2.0 ** (-rate * u[-1]) - 2.0 ** (-rate * (u[-1] + doublings)))
            best = (float(miss), float(coef[0] - coef[1] + height), ahead)
    return best[1], best[2]
