"""The frontier refitted to runs, and its backtest: known lines, the public records, and what must be refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dangercurve._errors import DataError
from dangercurve.analysis.dates import decimal_year
from dangercurve.analysis.frontier import load_priors
from dangercurve.analysis.frontier_fit import (
    TrainingRuns,
    backtest_frontier,
    fit_frontier,
    maximum_drift,
    record_line,
    refitted_priors,
    training_runs,
)

PUBLIC = Path(os.environ.get("DANGERCURVE_PUBLIC_DATA", Path(__file__).parents[1] / "../shared/data"))


def line(noise: float = 0.0) -> TrainingRuns:
    years = np.arange(2010.0, 2025.6, 0.25)
    value = 20 + 0.6 * (years - 2010) + noise * np.random.default_rng(0).standard_normal(len(years))
    return training_runs(years, 10**value)


def test_the_public_records_agree_with_the_stated_priors() -> None:
    file = PUBLIC / "frontier_training_compute.csv"
    if not file.is_file():
        pytest.skip(f"public data not found: {file}")
    table = pd.read_csv(file)
    years = np.array([decimal_year(day.date()) for day in pd.to_datetime(table["Publication date"])])
    fit = fit_frontier(training_runs(years, table["Training compute (FLOP)"].to_numpy()))
    priors = load_priors()
    assert abs(fit.growth - priors.growth.mean) < priors.growth.sd
    assert abs(fit.level - priors.level.mean) < priors.level.sd
    assert fit.residual_sd == pytest.approx(priors.residual.sd_high, abs=0.01)


def test_a_refit_agrees_with_linregress_on_the_records() -> None:
    runs = line(noise=0.3)
    years, value = runs.records()
    late = years >= 2018
    expected = stats.linregress(years[late], value[late])
    fit = fit_frontier(runs)
    assert fit.growth == pytest.approx(expected.slope) and fit.growth_se == pytest.approx(expected.stderr)
    assert fit.level == pytest.approx(expected.intercept + expected.slope * 2025.5)
    new = refitted_priors(load_priors(), fit)
    assert new.growth.mean == fit.growth and new.cap == load_priors().cap


def test_records_rise_and_the_largest_run_is_the_running_maximum() -> None:
    runs = training_runs(np.array([2020.0, 2021.0, 2022.0, np.nan]), np.array([1e20, 1e22, 1e21, 1e25]))
    assert runs.dropped == 1
    np.testing.assert_allclose(runs.records()[1], [20, 22])
    assert runs.largest(2022.5) == 22.0
    with pytest.raises(DataError, match="no training run by 2019"):
        runs.largest(2019.0)


@pytest.mark.parametrize("method", [record_line, maximum_drift])
def test_a_straight_frontier_is_forecast_on_the_line(method: object) -> None:
    predict = record_line if method is record_line else maximum_drift
    cells = backtest_frontier(line(), predict, [2019.0, 2021.0], [1.0, 3.0], end=2025.0)
    assert len(cells) == 4
    for cell in cells:
        assert cell.median == pytest.approx(cell.observed, abs=0.25)  # the last run known is a quarter old
        assert cell.q05 <= cell.median <= cell.q95


def test_the_future_is_not_read_and_intervals_never_lie_under_todays_maximum() -> None:
    runs = line(noise=0.5)
    one = backtest_frontier(runs, maximum_drift, [2020.0], [2.0], end=2025.0)[0]
    later = runs.years >= 2020.0
    changed = TrainingRuns(runs.years, runs.log10_flop + 3.0 * later, 0)
    two = backtest_frontier(changed, maximum_drift, [2020.0], [2.0], end=2025.0)[0]
    assert (one.median, one.q05, one.q95) == (two.median, two.q05, two.q95)
    assert two.observed == pytest.approx(one.observed + 3.0)
    assert one.q05 >= runs.before(2020.0).log10_flop.max()


@pytest.mark.parametrize("flop", [-1.0, np.inf, 0.0, 1e40])
def test_impossible_flop_is_refused(flop: float) -> None:
    with pytest.raises(DataError, match="in row 2"):
        training_runs(np.array([2020.0, 2021.0]), np.array([1e20, flop]))


def test_too_few_records_are_refused() -> None:
    with pytest.raises(DataError, match="at least 4"):
        fit_frontier(training_runs(np.array([2020.0, 2021.0]), np.array([1e20, 1e21])))
    with pytest.raises(DataError, match="no training run with a date"):
        training_runs(np.array([np.nan]), np.array([1e20]))
