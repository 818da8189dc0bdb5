"""Reference forecasters of records in time: straight lines through all, through windows, through the last five."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dangercurve.analysis.horizon_table import Records

FloatArray = NDArray[np.float64]

N_DRAWS = 2000


def trend_bootstrap(train: Records, at: FloatArray, seed: int) -> FloatArray:
    """Line through all records, records resampled with replacement, plus a resampled residual; `(N_DRAWS, m)`."""
    rng = np.random.default_rng(seed)
    counts = _resample(len(train), N_DRAWS, rng)
    level, slope, centre = _lines(train.years, train.log2_p50, counts)
    fitted = np.polyval(
        np.polyfit(train.years - train.years[-1], train.log2_p50, 1), train.years - train.years[-1]
    )
    residual = rng.choice(train.log2_p50 - fitted, size=(N_DRAWS, len(at)))
    return np.asarray(level[:, None] + slope[:, None] * (at - centre[:, None]) + residual)


def trend_windows(train: Records, at: FloatArray, seed: int) -> FloatArray:
    """As `trend_bootstrap`, each draw on a window of the last w records, w uniform from four to all; `(N_DRAWS, m)`."""
    rng = np.random.default_rng(seed)
    n = len(train)
    sizes = np.arange(min(4, n), n + 1)
    result = []
    for size, draws in zip(sizes, _shares(N_DRAWS, len(sizes)), strict=True):
        years, value = train.years[-size:], train.log2_p50[-size:]
        level, slope, centre = _lines(years, value, _resample(int(size), draws, rng))
        fit = np.polyval(np.polyfit(years - years[-1], value, 1), years - years[-1])
        residual = rng.choice(value - fit, size=(draws, len(at)))
        result.append(level[:, None] + slope[:, None] * (at - centre[:, None]) + residual)
    return np.concatenate(result)


def ols_t5(train: Records, at: FloatArray, seed: int) -> FloatArray:
    """Student-t prediction from least squares on the last five records, 3 degrees of freedom; quantiles, no chance."""
    del seed
    years, value = train.years[-5:], train.log2_p50[-5:]
    n, centre = len(years), years.mean()
    spread = ((years - centre) ** 2).sum()
    slope = ((years - centre) @ value) / spread
    residual = value - value.mean() - slope * (years - centre)
    variance = residual @ residual / (n - 2) * (1.0 + 1.0 / n + (at - centre) ** 2 / spread)
    quantile = special.stdtrit(n - 2, (np.arange(N_DRAWS) + 0.5) / N_DRAWS)
    return np.asarray(value.mean() + slope * (at - centre) + quantile[:, None] * np.sqrt(variance))


def _resample(n: int, draws: int, rng: np.random.Generator) -> FloatArray:
    """Multiplicities `(draws, n)` of a bootstrap over records, each with at least two different ones."""
    counts = rng.multinomial(n, np.full(n, 1.0 / n), size=draws)
    while (single := (counts > 0).sum(axis=1) < 2).any():
        counts[single] = rng.multinomial(n, np.full(n, 1.0 / n), size=int(single.sum()))
    return counts.astype(np.float64)


def _lines(
    years: FloatArray, value: FloatArray, counts: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Least-squares lines with row weights `counts`: level at the mean year, slope, mean year."""
    total = counts.sum(axis=1)
    centre, level = counts @ years / total, counts @ value / total
    shift, rise = years - centre[:, None], value - level[:, None]
    slope = (counts * shift * rise).sum(axis=1) / (counts * shift**2).sum(axis=1)
    return level, slope, centre


def _shares(total: int, parts: int) -> list[int]:
    return [total // parts + (i < total % parts) for i in range(parts)]
