"""Horizons in time: doubling time, forecasts of the next records, and protocol P2, their rolling-origin backtest.

Source: Kwa et al. (2025) for the trend of records; `trend_model` has the forecaster's own sources.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from dangercurve._errors import DataError
from dangercurve.analysis.dates import DAYS_PER_YEAR
from dangercurve.analysis.horizon_table import Records, check_horizons, to_records
from dangercurve.analysis.scoring import covered, crossed_bootstrap, crps_sample, interval_score
from dangercurve.analysis.trend_model import predict_records, trend_paths
from dangercurve.analysis.trend_reference import ols_t5, trend_bootstrap, trend_windows

FloatArray = NDArray[np.float64]
Forecaster = Callable[[Records, FloatArray, int], FloatArray]

QUANTILES = {"q05": 0.05, "q10": 0.1, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q90": 0.9, "q95": 0.95}
COVERAGES = {"coverage50": ("q25", "q75"), "coverage80": ("q10", "q90"), "coverage90": ("q05", "q95")}
SHORTEST_MINUTES = 1e-3  # a bootstrap draw below 0.06 seconds is no measurement: such cells are left out


def forecast_records(train: Records, at: FloatArray, seed: int) -> FloatArray:
    """The method `dangercurve`: draws `(n_draws, m)` of log2 p50 of records released at `at`; see `trend_model`."""
    return predict_records(train.years, train.log2_p50, at, seed=seed)


METHODS: dict[str, Forecaster] = {
    "dangercurve": forecast_records,
    "trend_bootstrap": trend_bootstrap,
    "trend_windows": trend_windows,
    "ols_t5": ols_t5,
}


@dataclass(frozen=True)
class DoublingTime:
    """Days for a doubling with a 95 % interval; `hi` is None where a slope of 0 lies inside it."""

    days: float
    lo: float
    hi: float | None
    n_records: int
    n_draws: int
    left_out: int


def doubling_time(records: Records, draws: FloatArray | None = None) -> DoublingTime:
    """Doubling time of the least-squares line of log2 p50 against release date.

    With `draws` `(R, n)` of p50 in minutes (a joint bootstrap of the same records) the line is refitted to each draw
    and the interval is over draws; cells that are missing or below `SHORTEST_MINUTES` are left out, counted. Without
    it the interval is Student-t on the residuals. Raises DataError with fewer than three records or a falling trend.
    """
    n = len(records)
    if n < 3:
        raise DataError(f"a doubling time with an interval needs at least 3 records, got {n}")
    x = (records.years - records.years.mean()) * DAYS_PER_YEAR
    y = records.log2_p50
    slope = float(x @ y / (x @ x))
    if slope <= 0.0:
        raise DataError("the records do not rise, there is no doubling time")
    if draws is None:
        residual = y - y.mean() - slope * x
        se = float(np.sqrt(residual @ residual / (n - 2) / (x @ x)))
        reach = float(special.stdtrit(n - 2, 0.975)) * se
        low, high, count, left_out = slope - reach, slope + reach, 0, 0
    else:
        if draws.ndim != 2 or draws.shape[1] != n:
            raise DataError(f"draws must be (R, {n}), one column a record, got {draws.shape}")
        good = np.isfinite(draws) & (draws >= SHORTEST_MINUTES)
        usable = good.sum(axis=1) >= 3
        value = np.log2(np.where(good, draws, 1.0))[usable]
        weight = good[usable].astype(np.float64)
        shift = x - (weight @ x / weight.sum(axis=1))[:, None]
        slopes = (weight * shift * value).sum(axis=1) / (weight * shift**2).sum(axis=1)
        low, high = (float(q) for q in np.quantile(slopes, [0.025, 0.975]))
        count, left_out = len(slopes), int((~good).sum())
    return DoublingTime(1 / slope, 1 / high, 1 / low if low > 0 else None, n, count, left_out)


@dataclass(frozen=True)
class TrendDraws:
    """Draws of the best horizon so far: `years` `(T,)`, `log2_minutes` `(S, T)`, never falling in T."""

    years: FloatArray
    log2_minutes: FloatArray
    seed: int


def trend_draws(
    records: Records, *, end: float = 2050.0, step: float = 1 / 12, n_draws: int = 2000, seed: int = 0
) -> TrendDraws:
    """The horizon trend from the last record to the decimal year `end`. Raises DataError with fewer than five records."""
    if len(records) < 5:
        raise DataError(f"a horizon trend needs at least 5 records, got {len(records)}")
    start = float(records.years[-1])
    if end <= start:
        raise DataError(f"the trend must end after its last record ({records.dates[-1]})")
    grid = np.append(np.arange(start, end - 1e-9, step), end)
    paths = trend_paths(records.years, records.log2_p50, grid, n_draws=n_draws, seed=seed)
    return TrendDraws(grid, paths, seed)


def backtest_time(table: pd.DataFrame, min_train: int, seed: int) -> dict[str, object]:
    """Protocol P2 on a table `model, release_date, p50, p50_lo?, p50_hi?` (minutes): rolling origin over records.

    Records are the true running maximum, one a date. For every origin with at least `min_train` records each later
    record is predicted from the records before it and its own release date alone. All errors are in log2.

    Returns `pairs` (a row a pair and method), `summary` and `summary_next` `{METHOD: {n, mae, crps, coverage50,
    coverage80, coverage90, coverage90_lo, coverage90_hi, width90, interval_score90}}`, `paired` and `paired_next`
    `{METHOD: {crps_diff, interval_score90_diff: {est, lo, hi}}}` (ours less theirs: negative is better), `records`,
    `dropped`, `flags`, `min_train`, `seed`. Intervals are 95 %, resampling targets and origins at once.

    Raises DataError where a table is unusable or has fewer than `min_train + 1` records; see `check_horizons`.
    """
    if min_train < 5:
        raise DataError(f"--min-train {min_train}: the reference methods need at least 5 training records")
    checked = check_horizons(table)
    records = to_records(checked)
    if len(records) <= min_train:
        raise DataError(
            f"{len(records)} records at distinct dates, {min_train + 1} are needed for --min-train {min_train}"
        )
    pairs = score_pairs(records, min_train, METHODS, seed)
    following = pairs[pairs["steps"] == 1]
    return {
        "pairs": pairs.to_dict("records"),
        "summary": _summaries(pairs, seed),
        "paired": _paired(pairs, seed),
        "summary_next": _summaries(following, seed),
        "paired_next": _paired(following, seed),
        "records": [
            {"model": m, "release_date": d, "log2_p50": float(v)}
            for m, d, v in zip(records.models, records.dates, records.log2_p50, strict=True)
        ],
        "dropped": {reason: list(rows) for reason, rows in checked.dropped.items()},
        "flags": list(checked.flags),
        "min_train": min_train,
        "seed": seed,
    }


def score_pairs(records: Records, min_train: int, methods: dict[str, Forecaster], seed: int) -> pd.DataFrame:
    """Every (origin, later record, method) with its forecast and scores; `steps` 1 is the next record."""
    rows: list[pd.DataFrame] = []
    origins = range(min_train, len(records))
    seeds = np.random.SeedSequence(seed).generate_state(len(records))
    for origin in origins:
        at, observed = records.years[origin:], records.log2_p50[origin:]
        for name, method in methods.items():
            draws = method(records.first(origin), at, int(seeds[origin]))
            ends = dict(zip(QUANTILES, np.quantile(draws, list(QUANTILES.values()), axis=0), strict=True))
            rows.append(
                pd.DataFrame(
                    {
                        "method": name,
                        "origin": records.models[origin - 1],
                        "origin_date": records.dates[origin - 1],
                        "n_train": origin,
                        "model": records.models[origin:],
                        "release_date": records.dates[origin:],
                        "steps": np.arange(1, len(at) + 1),
                        "years_ahead": at - records.years[origin - 1],
                        "observed": observed,
                        "mean": draws.mean(axis=0),
                        **ends,
                        "error": ends["q50"] - observed,
                        "crps": crps_sample(draws, observed),
                        "interval_score90": interval_score(ends["q05"], ends["q95"], observed),
                        **{k: covered(ends[a], ends[b], observed) for k, (a, b) in COVERAGES.items()},
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def _summaries(pairs: pd.DataFrame, seed: int) -> dict[str, dict[str, float | int]]:
    result: dict[str, dict[str, float | int]] = {}
    for name, part in pairs.groupby("method", sort=False):
        hit = crossed_bootstrap(part["coverage90"], part["model"], part["origin"], pooled=True, seed=seed)
        result[str(name)] = {
            "n": len(part),
            "mae": float(part["error"].abs().mean()),
            "crps": float(part["crps"].mean()),
            "coverage50": float(part["coverage50"].mean()),
            "coverage80": float(part["coverage80"].mean()),
            "coverage90": hit.est,
            "coverage90_lo": hit.lo,
            "coverage90_hi": hit.hi,
            "width90": float((part["q95"] - part["q05"]).mean()),
            "interval_score90": float(part["interval_score90"].mean()),
        }
    return result


def _paired(pairs: pd.DataFrame, seed: int) -> dict[str, dict[str, dict[str, float]]]:
    ours = pairs[pairs["method"] == "dangercurve"]
    result: dict[str, dict[str, dict[str, float]]] = {}
    for name, part in pairs.groupby("method", sort=False):
        if name == "dangercurve":
            continue
        result[str(name)] = {
            f"{score}_diff": crossed_bootstrap(
                ours[score].to_numpy() - part[score].to_numpy(),
                part["model"],
                part["origin"],
                pooled=True,
                seed=seed,
            ).as_dict()
            for score in ("crps", "interval_score90")
        }
    return result
