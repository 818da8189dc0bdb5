"""Does tomorrow come from today's process? Breaks and trends in forecast residuals, in time and in compute.

Source: Andrews (1993) for a break at an unknown point; the reference distribution is that of permuted order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from dangercurve._errors import DataError
from dangercurve.analysis.intervals import holm

Floats = NDArray[np.float64]
MIN_POINTS = 8


@dataclass(frozen=True, slots=True)
class Drift:
    """Permutation tests of residuals along one axis, p-values adjusted by Holm over the three.

    `break_at`: axis value where the mean differs most before and after; `shift` that difference (after - before);
    `trend` Spearman's rank correlation of residual and axis, `spread` that of its size and axis.
    `stationary` is True where no adjusted p-value is below alpha: nothing was found, which is not proof.
    """

    axis: str
    break_at: float
    shift: float
    p_break: float
    trend: float
    p_trend: float
    spread: float
    p_spread: float
    stationary: bool
    n: int


def drift_check(
    residual: ArrayLike,
    position: ArrayLike,
    *,
    axis: str = "time",
    alpha: float = 0.05,
    n_perm: int = 2000,
    seed: int = 0,
) -> Drift:
    """Test residuals (n,) of a forecast along `position` (n,), a date or log10 FLOP.

    Break: the largest studentised difference of means over all splits that leave a sixth (at least three points) on
    each side, against its distribution under permuted order. Trend and spread likewise. Raises DataError below eight
    points.
    """
    r, x = np.asarray(residual, np.float64).ravel(), np.asarray(position, np.float64).ravel()
    if r.size != x.size or not np.isfinite(r).all() or not np.isfinite(x).all():
        raise DataError("residuals and positions must be finite, one each")
    if r.size < MIN_POINTS:
        raise DataError(f"{r.size} residuals: a drift check needs at least {MIN_POINTS}")
    order = np.argsort(x, kind="stable")
    r, x = r[order], x[order]
    n = r.size
    margin = max(3, n // 6)
    splits = np.arange(margin, n - margin + 1)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    shuffled = rng.permuted(np.tile(r, (n_perm, 1)), axis=1)
    observed, where = _largest_split(r[None, :], splits)
    reference, _ = _largest_split(shuffled, splits)
    k = int(splits[where[0]])
    rank = stats.rankdata(x)
    size = np.abs(r - np.median(r))
    trend, spread = _spearman(r[None, :], rank)[0], _spearman(size[None, :], rank)[0]
    trends = _spearman(shuffled, rank)
    spreads = _spearman(np.abs(shuffled - np.median(r)), rank)
    p = [
        _p(reference, float(observed[0])),
        _p(np.abs(trends), abs(float(trend))),
        _p(np.abs(spreads), abs(float(spread))),
    ]
    p_break, p_trend, p_spread = (float(v) for v in holm(p))
    return Drift(
        axis,
        float((x[k - 1] + x[k]) / 2),
        float(r[k:].mean() - r[:k].mean()),
        p_break,
        float(trend),
        p_trend,
        float(spread),
        p_spread,
        min(p_break, p_trend, p_spread) >= alpha,
        n,
    )


def _largest_split(rows: Floats, splits: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Largest |t| of a mean shift over splits, and which split, a row."""
    n = rows.shape[1]
    sums, squares = np.cumsum(rows, axis=1), np.cumsum(rows**2, axis=1)
    before, total = sums[:, splits - 1], sums[:, -1:]
    left, right = before / splits, (total - before) / (n - splits)
    within = squares[:, -1:] - splits * left**2 - (n - splits) * right**2
    se = np.sqrt(np.maximum(within, 1e-300) / (n - 2) * (1 / splits + 1 / (n - splits)))
    t = np.abs(right - left) / se
    return t.max(axis=1), np.argmax(t, axis=1).astype(np.int64)


def _spearman(rows: Floats, rank: Floats) -> Floats:
    ranks = stats.rankdata(rows, axis=1)
    a, b = ranks - ranks.mean(axis=1, keepdims=True), rank - rank.mean()
    below = np.sqrt((a**2).sum(axis=1) * (b**2).sum())
    return np.asarray((a @ b) / np.where(below > 0, below, 1.0), np.float64)


def _p(reference: Floats, observed: float) -> float:
    return float((1 + np.sum(reference >= observed - 1e-12)) / (1 + reference.size))
