"""The compute frontier refitted to a table of training runs, and its backtest by origin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dangercurve._errors import DataError
from dangercurve.analysis.frontier import FrontierPriors, Level, Rate

FloatArray = NDArray[np.float64]

FEWEST_FLOP, MOST_FLOP = 1.0, 1e35


@dataclass(frozen=True)
class TrainingRuns:
    """Training runs in order of date: decimal `years` and `log10_flop`, `(n,)`; `dropped` rows were not usable."""

    years: FloatArray
    log10_flop: FloatArray
    dropped: int

    def before(self, year: float) -> TrainingRuns:
        """What was published before a decimal year."""
        known = self.years < year
        return TrainingRuns(self.years[known], self.log10_flop[known], self.dropped)

    def largest(self, year: float) -> float:
        """log10 FLOP of the largest run published by `year`. Raises DataError before the first one."""
        known = self.log10_flop[self.years <= year]
        if known.size == 0:
            raise DataError(f"no training run by {year:g}")
        return float(known.max())

    def records(self) -> tuple[FloatArray, FloatArray]:
        """Years and log10 FLOP of the runs that exceeded every earlier one."""
        rising = self.log10_flop > np.concatenate([[-np.inf], np.maximum.accumulate(self.log10_flop)[:-1]])
        return self.years[rising], self.log10_flop[rising]


@dataclass(frozen=True)
class FrontierFit:
    """Least-squares line through the records: level at `year`, growth (OOM a year), standard errors, residual sd."""

    year: float
    level: float
    level_se: float
    growth: float
    growth_se: float
    residual_sd: float
    n_records: int


@dataclass(frozen=True)
class FrontierForecast:
    """One cell of the backtest: the largest run by `year`, forecast at `origin`; log10 FLOP, 90 % interval."""

    origin: float
    year: float
    observed: float
    median: float
    q05: float
    q95: float


def training_runs(years: FloatArray, flop: FloatArray) -> TrainingRuns:
    """Sort and check runs; rows without a year or FLOP are counted as dropped.

    Raises DataError where nothing is left or a FLOP is negative, infinite or beyond 1e35.
    """
    known = ~(np.isnan(years) | np.isnan(flop))
    if not known.any():
        raise DataError("no training run with a date and FLOP")
    wrong = known & ~((flop >= FEWEST_FLOP) & (flop <= MOST_FLOP))
    if wrong.any():
        raise DataError(
            f"training compute of {flop[wrong][0]:g} FLOP in row {int(np.flatnonzero(wrong)[0]) + 1}"
        )
    order = np.lexsort((-flop[known], years[known]))
    return TrainingRuns(years[known][order], np.log10(flop[known][order]), int((~known).sum()))


def fit_frontier(runs: TrainingRuns, *, since: float = 2018.0, at: float = 2025.5) -> FrontierFit:
    """Line through the records set since `since`, level read at `at`. Raises DataError with fewer than four records."""
    years, value = runs.records()
    years, value = years[years >= since], value[years >= since]
    n = len(years)
    if n < 4:
        raise DataError(f"{n} records since {since:g}; a frontier with an error needs at least 4")
    centre = years.mean()
    spread = ((years - centre) ** 2).sum()
    growth = float((years - centre) @ value / spread)
    residual = value - value.mean() - growth * (years - centre)
    sd = float(np.sqrt(residual @ residual / (n - 2)))
    return FrontierFit(
        year=at,
        level=float(value.mean() + growth * (at - centre)),
        level_se=float(sd * np.sqrt(1.0 / n + (at - centre) ** 2 / spread)),
        growth=growth,
        growth_se=float(sd / np.sqrt(spread)),
        residual_sd=sd,
        n_records=n,
    )


def refitted_priors(priors: FrontierPriors, fit: FrontierFit) -> FrontierPriors:
    """`priors` with level and growth replaced by the refit: the posterior under flat priors for those two.

    The stated priors rest on the same records, so multiplying them by this fit would count the data twice.
    """
    source = f"refit to {fit.n_records} records"
    return priors.model_copy(
        update={
            "level": Level(year=fit.year, mean=fit.level, sd=fit.level_se, source=source),
            "growth": Rate(mean=fit.growth, sd=fit.growth_se, source=source),
        }
    )


Predictor = Callable[[TrainingRuns, float, float], tuple[float, float, float]]


def record_line(
    runs: TrainingRuns, origin: float, ahead: float, window: float = 8.0
) -> tuple[float, float, float]:
    """Student-t prediction from the line through the records of the last `window` years: centre, scale, df."""
    fit = fit_frontier(runs, since=origin - window, at=origin + ahead)
    return fit.level, float(np.hypot(fit.residual_sd, fit.level_se)), float(fit.n_records - 2)


def maximum_drift(
    runs: TrainingRuns, origin: float, ahead: float, window: float = 8.0
) -> tuple[float, float, float]:
    """Today's maximum plus the mean growth of the running maximum over `window` years: centre, scale, df.

    The scale is that of the growth over spans of `ahead` years inside the window (one-year spans, scaled up, where the
    window holds none). Unlike a line through record-setters it knows the years in which nothing was set.
    """
    span = ahead if window > ahead + 1.0 else 1.0
    starts = np.arange(origin - window, origin - span + 1e-9, 1 / 12)
    growth = np.array([runs.largest(s + span) - runs.largest(s) for s in starts]) * (ahead / span)
    today = runs.largest(origin)
    centre = today + (today - runs.largest(origin - window)) / window * ahead
    independent = max(window / span, 2.0)
    return centre, float(growth.std() * np.sqrt(1.0 + 1.0 / independent)), max(independent - 1.0, 2.0)


def backtest_frontier(
    runs: TrainingRuns, predict: Predictor, origins: Sequence[float], ahead: Sequence[float], *, end: float
) -> list[FrontierForecast]:
    """Forecast the largest run `ahead` years after each origin from runs published before it, up to the year `end`.

    Intervals are cut at the maximum known at the origin: the largest run so far cannot shrink.
    """
    result = []
    for origin in origins:
        known = runs.before(origin)
        floor = known.largest(origin)
        for years in ahead:
            if origin + years > end:
                continue
            centre, scale, df = predict(known, origin, years)
            reach = scale * float(special.stdtrit(df, 0.95))
            result.append(
                FrontierForecast(
                    origin=origin,
                    year=origin + years,
                    observed=runs.largest(origin + years),
                    median=max(centre, floor),
                    q05=max(centre - reach, floor),
                    q95=max(centre + reach, floor),
                )
            )
    return result
