"""SIMULATED record series whose truth is known: drift, acceleration and noise of the size seen in published horizons."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dangercurve._errors import ConfigError, did_you_mean
from dangercurve.analysis.dates import from_decimal_year
from dangercurve.analysis.horizon_table import Records

FloatArray = NDArray[np.float64]

KINDS = ("accelerating", "wandering", "bent", "exponential", "sparse", "steady")
FEWEST, MOST = 9, 18
START = 2019.0


def simulated_records(seed: int, kind: str) -> Records:
    """One SIMULATED series of 9 to 18 records.

    Models appear at random dates over 4.5 to 7.5 years, ever more often. The log2 horizon of each is a curve f(t) plus
    normal noise (sd log-normal, median 0.6); the running maximum is the series. The slope is log-normal with median
    1.6 doublings a year. `accelerating`: quadratic, acceleration N(0.25, 0.15). `wandering`: the slope is a random
    walk that tends upwards. `bent`: the slope rises by 0.3 to 1.3 of itself at one date. `exponential`: the slope
    grows by 15 % a year. `sparse`: as accelerating, over a longer time with wide gaps at first. `steady`: a line.

    Raises ConfigError for another kind.
    """
    if kind not in KINDS:
        raise ConfigError(f"kind '{kind}'{did_you_mean(kind, KINDS)}")
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    while True:
        span = rng.uniform(4.5, 7.5)
        releases = int(rng.integers(20, 50))
        years = np.sort(span * rng.random(releases) ** rng.uniform(0.4, 1.0))
        slope, noise = rng.lognormal(np.log(1.6), 0.3), rng.lognormal(np.log(0.6), 0.3)
        if kind == "sparse":
            releases = int(rng.integers(14, 24))
            years = np.cumsum(rng.exponential(np.linspace(0.9, 0.2, releases)))
        value = _curve(kind, years, span, slope, rng) + noise * rng.standard_normal(releases)
        record = value > np.concatenate([[-np.inf], np.maximum.accumulate(value)[:-1]])
        n = int(record.sum())
        if n >= FEWEST and len(np.unique(np.floor(years[record] * 365.25))) == n:
            break
    keep = np.flatnonzero(record)[:MOST]
    dates = START + years[keep]
    return Records(
        models=tuple(f"sim-{kind}-{seed}-{i}" for i in range(len(keep))),
        dates=tuple(from_decimal_year(year).isoformat() for year in dates),
        years=dates,
        log2_p50=value[keep],
    )


def _curve(kind: str, years: FloatArray, span: float, slope: float, rng: np.random.Generator) -> FloatArray:
    if kind in ("accelerating", "sparse"):
        return np.asarray(slope * years + 0.5 * rng.normal(0.25, 0.15) * years**2)
    if kind == "wandering":
        grid = np.linspace(0.0, span, 400)
        walk = np.sqrt(grid[1]) * np.cumsum(rng.standard_normal(400))
        path = np.cumsum(slope + 0.2 * grid + rng.uniform(0.1, 0.8) * walk) * grid[1]
        return np.asarray(np.interp(years, grid, path))
    if kind == "bent":
        bend = rng.uniform(0.4, 0.9) * span
        return np.asarray(slope * years + np.maximum(years - bend, 0.0) * slope * rng.uniform(0.3, 1.3))
    if kind == "exponential":
        return np.asarray(slope * np.expm1(0.15 * years) / 0.15)
    return np.asarray(slope * years)
