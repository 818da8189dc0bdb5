"""The horizon of one model: the oracle steps at which its success falls to a level (h50, h80).

Source: Kwa et al. (2025), "Measuring AI Ability to Complete Long Tasks", for the horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from dangercurve._errors import DataError
from dangercurve.analysis.intervals import Sides, tail

Floats = NDArray[np.float64]
Link = Literal["logistic", "survival"]
HorizonStatus = Literal["identified", "ceiling", "floor", "not_identified"]

SLOPE_MEDIAN, SLOPE_SD = 0.9, 0.8  # prior of the slope a log2 step: log-normal, 95 % .19 to 4.3
REACH, STEP = (
    12.0,
    0.05,
)  # how far beyond the levels tried a horizon is sought, and the grid, both in log2 steps


@dataclass(frozen=True, slots=True)
class Horizon:
    """log2 of the oracle steps at which success is `level`, with profile-likelihood bounds.

    `status`: identified (both bounds finite); ceiling (no finite upper bound: `lcb` is what is known); floor (no finite
    lower bound); not_identified (neither). `extrapolated` is true where the estimate lies outside the levels tried.
    Infinite bounds are infinite, never clipped to the data.
    """

    level: float
    estimate: float
    se: float
    lcb: float
    ucb: float
    slope: float
    status: HorizonStatus
    extrapolated: bool
    n_instances: int
    n_rows: int
    alpha: float

    @property
    def steps(self) -> float:
        """The horizon in oracle steps, 2^estimate."""
        return float(np.exp2(self.estimate))


def success_horizon(
    log2_steps: ArrayLike,
    success: ArrayLike,
    instance: Sequence[object] | NDArray[np.generic],
    floor: float = 0.0,
    *,
    level: float = 0.5,
    alpha: float = 0.05,
    sides: Sides = 1,
) -> Horizon:
    """Horizon h of P(success | x) = floor + (1 - floor) * expit(logit(level') + b (h - x)), x = log2 oracle steps.

    level' = (level - floor)/(1 - floor), so that P(h) = level; b > 0 has a log-normal prior (SLOPE_MEDIAN, SLOPE_SD).
    `log2_steps`, `success` (0/1 or graded in [0, 1]) and `instance` are (rows,); the rows of an instance are averaged
    and weigh one. `floor` is the chance rate of a random player, fixed. Bounds: h where twice the fall of the
    log-likelihood profiled over b reaches the squared t quantile with n - 2 degrees of freedom.
    All successes leave `ucb` infinite, all failures `lcb` minus infinite, a floor at or above `level` both.
    No rows: NaN and not_identified. Raises DataError on NaN, values outside [0, 1] or a floor outside [0, 1).
    """
    q = tail(alpha, sides)
    x, y = np.asarray(log2_steps, np.float64).ravel(), np.asarray(success, np.float64).ravel()
    if not 0 <= floor < 1 or not 0 < level < 1:
        raise DataError(f"floor {floor} and level {level}: give 0 <= floor < 1 and 0 < level < 1")
    if x.size != y.size or not np.isfinite(x).all() or (y.size and not ((y >= 0) & (y <= 1)).all()):
        raise DataError("a horizon needs finite log2 steps and successes in [0, 1], one each a row")
    n_rows = x.size
    x, y = instance_means(x, y, instance)
    n = x.size
    if n == 0 or level <= floor:
        nan, inf = float("nan"), float("inf")
        return Horizon(level, nan, nan, -inf, inf, nan, "not_identified", True, n, n_rows, alpha)
    where, index = np.unique(x, return_inverse=True)
    wins: Floats = np.bincount(index, weights=y).astype(np.float64)
    tries: Floats = np.bincount(index).astype(np.float64)
    grid = np.arange(where[0] - REACH, where[-1] + REACH + STEP / 2, STEP)
    profile, slopes = horizon_profile(
        grid, (where, wins, tries), level=(level - floor) / (1 - floor), floor=floor
    )
    best = int(np.argmax(profile))
    deviance = 2 * (profile[best] - profile)
    drop = float(stats.t.ppf(1 - q, max(n - 2, 1))) ** 2
    lcb = likelihood_bound(grid[: best + 1][::-1], deviance[: best + 1][::-1], drop, -float("inf"))
    ucb = likelihood_bound(grid[best:], deviance[best:], drop, float("inf"))
    edge = best in (0, grid.size - 1)
    estimate = float("nan") if edge else profile_peak(grid, profile, best)
    se = float("nan") if edge else curvature_se(grid, profile, best)
    status: HorizonStatus = "identified"
    if np.isinf(lcb) or np.isinf(ucb):
        both = np.isinf(lcb) and np.isinf(ucb)
        status = "not_identified" if both else "ceiling" if np.isinf(ucb) else "floor"
    outside = edge or not where[0] <= estimate <= where[-1]
    return Horizon(
        level, estimate, se, lcb, ucb, float(slopes[best]), status, bool(outside), n, n_rows, alpha
    )


def horizon_profile(
    grid: Floats,
    counts: tuple[Floats, Floats, Floats],
    *,
    level: float,
    floor: float,
    link: Link = "logistic",
) -> tuple[Floats, Floats]:
    """Penalised log-likelihood (G,) maximised over the slope at every horizon, and that slope.

    `link` "survival" is level^exp(c (x - h)), what a constant hazard a step gives at c = log 2, with c = b (1 - level) /
    -log(level): at the horizon it falls as fast as the logistic of slope b.
    """
    log_b = np.linspace(np.log(SLOPE_MEDIAN) - 3 * SLOPE_SD, np.log(SLOPE_MEDIAN) + 3 * SLOPE_SD, 41)
    prior = -0.5 * ((log_b - np.log(SLOPE_MEDIAN)) / SLOPE_SD) ** 2
    total = np.tile(prior, (grid.size, 1))
    offset = float(special.logit(level))
    for x, k, n in zip(*counts, strict=True):
        ahead = np.exp(log_b)[None, :] * (grid[:, None] - x)
        if link == "logistic":
            p = floor + (1 - floor) * special.expit(offset + ahead)
        else:
            rate = (1 - level) / -np.log(level)
            p = floor + (1 - floor) * np.exp(np.log(level) * np.exp(np.minimum(-rate * ahead, 50.0)))
            p = np.clip(p, 1e-12, 1 - 1e-12)
        total += special.xlogy(k, p) + special.xlogy(n - k, 1 - p)
    best = np.argmax(total, axis=1)
    rows = np.arange(grid.size)
    inner = np.clip(best, 1, log_b.size - 2)
    left, mid, right = total[rows, inner - 1], total[rows, inner], total[rows, inner + 1]
    bend = left - 2 * mid + right
    shift = np.where(bend < 0, np.clip(0.5 * (left - right) / np.where(bend < 0, bend, -1.0), -1, 1), 0.0)
    value = np.maximum(mid - 0.25 * (left - right) * shift, total[rows, best])
    return value, np.exp(log_b[inner] + shift * (log_b[1] - log_b[0]))


def likelihood_bound(grid: Floats, deviance: Floats, drop: float, beyond: float) -> float:
    """First place, walking outwards from the optimum, where the deviance exceeds `drop`; `beyond` if nowhere."""
    over = np.flatnonzero(deviance > drop)
    if over.size == 0:
        return beyond
    i = int(over[0])
    if i == 0:
        return float(grid[0])
    share = (drop - deviance[i - 1]) / (deviance[i] - deviance[i - 1])
    return float(grid[i - 1] + share * (grid[i] - grid[i - 1]))


def profile_peak(grid: Floats, profile: Floats, i: int) -> float:
    left, mid, right = profile[i - 1 : i + 2]
    bend = left - 2 * mid + right
    return float(grid[i] + (0.5 * (left - right) / bend * STEP if bend < 0 else 0.0))


def curvature_se(grid: Floats, profile: Floats, i: int) -> float:
    """Standard error from the curvature of the profile over about one unit around its peak."""
    k = min(4, i, grid.size - 1 - i)
    if k == 0:
        return float("nan")
    bend = (profile[i - k] - 2 * profile[i] + profile[i + k]) / (k * STEP) ** 2
    return float(1 / np.sqrt(-bend)) if bend < -1e-9 else float("inf")


def instance_means(
    x: Floats, y: Floats, instance: Sequence[object] | NDArray[np.generic]
) -> tuple[Floats, Floats]:
    labels = np.asarray([str(i) for i in instance], dtype=np.str_)
    if labels.size != x.size:
        raise DataError(f"{x.size} rows but {labels.size} instance labels")
    if x.size == 0:
        return x, y
    _, index = np.unique(labels, return_inverse=True)
    n = np.bincount(index)
    return np.bincount(index, weights=x) / n, np.bincount(index, weights=y) / n
