"""Aalen-Johansen: by which cause (tactic) a safeguard is broken, with the other causes as competing risks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from dangercurve._errors import DataError
from dangercurve.analysis.intervals import Sides, tail
from dangercurve.analysis.survival.kaplan_meier import Labels

Floats = NDArray[np.float64]
UNNAMED = "(not named)"
_EDGE = 1e-12  # of an incidence of 0 or 1, where the complementary log-log has no width
_MAX_JACKKNIFE = 400  # clusters that are left out one by one; beyond it they are left out in that many groups


@dataclass(frozen=True, slots=True)
class Incidence:
    """Cumulative incidence of one cause at its `time` (K,): P(broken by that cause, by then), in [0, 1].

    `lcb`, `ucb`: bounds on the complementary log-log scale. `n` breaches by this cause.
    """

    cause: str
    n: int
    time: Floats
    value: Floats
    se: Floats
    lcb: Floats
    ucb: Floats

    def at(self, effort: float) -> tuple[float, float, float]:
        """(value, lcb, ucb) at `effort`; zeros before the first breach."""
        place = int(np.searchsorted(self.time, effort, side="right"))
        if not place:
            return 0.0, 0.0, 0.0
        return float(self.value[place - 1]), float(self.lcb[place - 1]), float(self.ucb[place - 1])


def aalen_johansen(
    effort: ArrayLike,
    breached: ArrayLike,
    cause: Sequence[str] | NDArray[np.str_],
    cluster: Labels | None = None,
    *,
    alpha: float = 0.05,
    sides: Sides = 2,
) -> tuple[Incidence, ...]:
    """F_k(t) = sum over t_i <= t of S(t_i-) d_ki / n_i for each cause k (Aalen and Johansen 1978), largest first.

    The causes' incidences and S add up to 1. Standard errors by the delta method for multinomial increments; with
    several units in a cluster, by leaving out clusters. A breach without a cause counts under "(not named)".
    Raises DataError as `kaplan_meier`, and where the lengths differ.
    """
    q = tail(alpha, sides)
    t = np.asarray(effort, np.float64).ravel()
    event = np.asarray(breached).astype(np.bool_).ravel()
    names = np.asarray([str(c) or UNNAMED for c in cause], dtype=np.str_)
    if not t.size or t.size != event.size or t.size != names.size:
        raise DataError(
            f"{t.size} efforts, {event.size} breach marks and {names.size} causes: one each a unit"
        )
    if not np.isfinite(t).all() or (t <= 0).any():
        raise DataError("efforts must be positive and finite")
    labels = sorted(set(names[event].tolist()))
    found = []
    groups, n_clusters = None, t.size
    if cluster is not None:
        groups = np.unique([str(c) for c in cluster], return_inverse=True)[1]
        n_clusters = int(groups.max()) + 1
        if n_clusters == t.size:
            groups = None
    for name in labels:
        mine = event & (names == name)
        time, value, variance = _incidence(t, event, mine)
        if groups is not None:
            variance = _jackknife(t, event, mine, groups, time)
        se = np.sqrt(variance)
        inner = (value > _EDGE) & (value < 1 - _EDGE)
        log_rest = np.log1p(-np.where(inner, value, 0.5))
        half = float(special.ndtri(1 - q)) * se / ((1 - np.where(inner, value, 0.5)) * np.abs(log_rest))
        least = q ** (
            1 / n_clusters
        )  # broken by this cause every one: the exact bound of a rate without a miss
        with np.errstate(over="ignore"):
            low = np.where(inner, -np.expm1(log_rest * np.exp(-half)), np.where(value > 0.5, least, 0.0))
            high = np.where(inner, -np.expm1(log_rest * np.exp(half)), np.where(value > 0.5, 1.0, 1 - least))
        known = np.isfinite(se)
        low, high = np.where(known, low, 0.0), np.where(known, high, 1.0)
        found.append(Incidence(name, int(mine.sum()), time, value, se, low, high))
    return tuple(sorted(found, key=lambda i: (-i.n, i.cause)))


def _incidence(t: Floats, event: NDArray[np.bool_], mine: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Times (K,) of any breach, the incidence of the cause there, and its delta-method variance."""
    time, index = np.unique(t[event], return_inverse=True)
    if not time.size:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    d = np.bincount(index, minlength=time.size).astype(np.float64)
    d_k = np.bincount(index, weights=mine[event], minlength=time.size)
    ordered = np.sort(t)
    n = t.size - np.searchsorted(ordered, time, side="left").astype(np.float64)
    survival = np.cumprod(1 - d / n)
    before = np.concatenate([[1.0], survival[:-1]])
    value = np.cumsum(before * d_k / n)
    left = n - d
    a = np.divide(d, n * left, out=np.zeros_like(d), where=left > 0)
    b = before**2 * (n - d_k) * d_k / n**3
    c = before * d_k / n**2
    # sum_i (F - F_i)^2 a_i + b_i - 2 (F - F_i) c_i, expanded into running sums
    sums = [np.cumsum(v) for v in (a, a * value, a * value**2, b, c, c * value)]
    variance = value**2 * sums[0] - 2 * value * sums[1] + sums[2] + sums[3] - 2 * (value * sums[4] - sums[5])
    return time, value, np.maximum(variance, 0.0)


def _jackknife(
    t: Floats, event: NDArray[np.bool_], mine: NDArray[np.bool_], groups: NDArray[np.int64], grid: Floats
) -> Floats:
    blocks = groups % _MAX_JACKKNIFE
    labels = np.unique(blocks)
    if labels.size < 2:
        return np.full(grid.size, np.inf)
    out = np.zeros((labels.size, grid.size))
    for row, label in enumerate(labels):
        keep = blocks != label
        time, value, _ = _incidence(t[keep], event[keep], mine[keep])
        steps = np.concatenate([[0.0], value])
        out[row] = steps[np.searchsorted(time, grid, side="right")]
    spread = out - out.mean(axis=0)
    return np.asarray((spread**2).sum(axis=0) * (labels.size - 1) / labels.size, np.float64)
