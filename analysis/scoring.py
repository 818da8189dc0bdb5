"""Scores of a probabilistic forecast: CRPS, interval score, coverage, PIT. Plain arrays in, plain arrays out.

All scores are negatively oriented (smaller is better) and have the unit of the observation. Sources: Gneiting and
Raftery (2007) for CRPS and the interval score; Owen (2007) for the crossed ("pigeonhole") bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dangercurve._errors import DataError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval."""

    est: float
    lo: float
    hi: float

    def as_dict(self) -> dict[str, float]:
        return {"est": self.est, "lo": self.lo, "hi": self.hi}


def crps_sample(draws: npt.ArrayLike, observed: npt.ArrayLike) -> FloatArray:
    """Continuous ranked probability score of predictive draws: `E|X - y| - E|X - X'| / 2`.

    `draws` is (n_draws, n_cells), `observed` (n_cells,). Returns (n_cells,). The second term is the mean over all
    pairs of draws (the draws' empirical distribution is the forecast). Raises DataError on unequal shapes.
    """
    x, y = _matched(draws, observed)
    n = x.shape[0]
    ordered = np.sort(x, axis=0)
    rank = 2.0 * np.arange(1, n + 1) - n - 1.0
    spread = rank @ ordered / n**2
    return np.asarray(np.abs(x - y).mean(axis=0) - spread)


def interval_score(
    lower: npt.ArrayLike, upper: npt.ArrayLike, observed: npt.ArrayLike, level: float = 0.9
) -> FloatArray:
    """Winkler's score of a central interval: width plus `2 / (1 - level)` times the miss.

    Arrays of one shape, `0 < level < 1`. Raises DataError where an interval has a negative width.
    """
    lo, hi, y = (np.asarray(v, dtype=float) for v in (lower, upper, observed))
    if not 0.0 < level < 1.0:
        raise DataError(f"an interval needs 0 < level < 1, got {level}")
    if np.any(hi < lo):
        raise DataError("an interval has its lower end above its upper end")
    miss = np.maximum(lo - y, 0.0) + np.maximum(y - hi, 0.0)
    return np.asarray(hi - lo + 2.0 / (1.0 - level) * miss)


def covered(lower: npt.ArrayLike, upper: npt.ArrayLike, observed: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether each observation lies in its closed interval."""
    lo, hi, y = (np.asarray(v, dtype=float) for v in (lower, upper, observed))
    return np.asarray((lo <= y) & (y <= hi))


def pit(draws: npt.ArrayLike, observed: npt.ArrayLike) -> FloatArray:
    """Probability integral transform: the share of draws below the observation, ties counted half; (n_cells,).

    Uniform on [0, 1] for a calibrated forecast.
    """
    x, y = _matched(draws, observed)
    return np.asarray((x < y).mean(axis=0) + 0.5 * (x == y).mean(axis=0))


def crossed_bootstrap(
    values: npt.ArrayLike,
    rows: npt.ArrayLike,
    columns: npt.ArrayLike,
    *,
    pooled: bool = False,
    n_boot: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of `values` with a 95 % interval from resampling both clusterings at once.

    `rows` and `columns` label each value's two clusters (model family and benchmark). `pooled=False` takes the mean
    inside each column first and then the unweighted mean over columns; `pooled=True` the mean over all values.
    With a single row cluster and a single column there is nothing to resample: the ends are NaN. Clusters are numbered
    as they appear, so their names do not touch the random numbers.
    """
    v = np.asarray(values, dtype=float)
    if v.size == 0:
        raise DataError("no values to bootstrap")
    r, c = by_appearance(rows), by_appearance(columns)
    n_rows, n_columns = int(r.max()) + 1, int(c.max()) + 1
    total, count = np.zeros((n_rows, n_columns)), np.zeros((n_rows, n_columns))
    np.add.at(total, (r, c), v)
    np.add.at(count, (r, c), 1.0)

    def statistic(row_weight: FloatArray, column_weight: FloatArray) -> FloatArray:
        s, n = row_weight @ total, row_weight @ count
        if pooled:
            weight = (n * column_weight).sum(axis=1)
            top = (s * column_weight).sum(axis=1)
        else:
            present = n > 0
            share = np.divide(s, n, out=np.zeros_like(s), where=present)
            weight = (present * column_weight).sum(axis=1)
            top = (share * column_weight).sum(axis=1)
        out: FloatArray = np.full_like(top, np.nan)
        return np.asarray(np.divide(top, weight, out=out, where=weight > 0))

    est = float(statistic(np.ones((1, n_rows)), np.ones((1, n_columns)))[0])
    if n_rows == 1 and n_columns == 1:
        return Interval(est, float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    draws = statistic(
        rng.multinomial(n_rows, np.full(n_rows, 1 / n_rows), n_boot).astype(float),
        rng.multinomial(n_columns, np.full(n_columns, 1 / n_columns), n_boot).astype(float),
    )
    lo, hi = np.nanquantile(draws, [0.025, 0.975])
    return Interval(est, float(lo), float(hi))


def by_appearance(labels: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Labels (n,) as numbers from 0, in the order in which they first appear."""
    _, first, code = np.unique(np.asarray(labels), return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[code], dtype=np.int64)


def _matched(draws: npt.ArrayLike, observed: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    x, y = np.asarray(draws, dtype=float), np.asarray(observed, dtype=float)
    if x.ndim != 2 or y.ndim != 1 or x.shape[1] != y.shape[0] or x.shape[0] == 0:
        raise DataError(
            f"draws must be (n_draws, n_cells) and observed (n_cells,), got {x.shape} and {y.shape}"
        )
    return x, y
