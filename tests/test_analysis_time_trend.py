"""Horizons in time: records, doubling times, the forecaster, protocol P2 and the direct route to a breach."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dangercurve._errors import ConfigError, DataError
from dangercurve.analysis.breach import time_route
from dangercurve.analysis.horizon_table import Records, check_horizons, to_records
from dangercurve.analysis.trend import METHODS, backtest_time, doubling_time, score_pairs, trend_draws
from dangercurve.analysis.trend_model import TrendPrior, integrated_brownian, posterior, predict_records
from dangercurve.analysis.trend_reference import ols_t5
from dangercurve.analysis.trend_simulate import KINDS, simulated_records

PUBLIC = Path(os.environ.get("DANGERCURVE_PUBLIC_DATA", Path(__file__).parents[1] / "../shared/data"))


def public_horizons() -> pd.DataFrame:
    file = PUBLIC / "horizon_th10_fits.csv"
    if not file.is_file():
        pytest.skip(f"public data not found: {file}")
    fits = pd.read_csv(file).rename(columns={"agent": "model"})
    return fits[fits["model"] != "human"]


def as_table(records: Records) -> pd.DataFrame:
    return pd.DataFrame(
        {"model": records.models, "release_date": records.dates, "p50": 2.0**records.log2_p50}
    )


def line(n: int = 10, slope: float = 2.0, noise: float = 0.0) -> Records:
    years = 2020.0 + 0.5 * np.arange(n)
    value = slope * (years - 2020) + noise * np.random.default_rng(0).standard_normal(n)
    return Records(
        tuple(f"m{i}" for i in range(n)),
        tuple(f"{int(y)}-0{1 + 6 * (y % 1 > 0)}-01" for y in years),
        years,
        value,
    )


def test_the_doubling_times_of_the_published_record_setters_come_out() -> None:
    table = public_horizons()
    records = to_records(check_horizons(table))
    draws = pd.read_csv(PUBLIC / "horizon_th10_bootstrap.csv.gz")
    before = records.until("2025-04-01")
    early = doubling_time(before, draws[[f"{m}_p50" for m in before.models]].to_numpy())
    assert early.days == pytest.approx(213, abs=0.5)
    assert early.lo == pytest.approx(172, abs=1) and early.hi == pytest.approx(247, abs=1)
    assert len(records) == 12
    assert doubling_time(records).days == pytest.approx(207, abs=0.5)


def test_on_the_published_horizons_the_forecaster_beats_every_reference() -> None:
    result = backtest_time(public_horizons(), 5, 0)
    for part, n in (("summary", 28), ("summary_next", 7)):
        summary = result[part]
        assert isinstance(summary, dict)
        ours = summary["dangercurve"]
        assert ours["n"] == n
        for name in ("trend_bootstrap", "trend_windows", "ols_t5"):
            assert ours["crps"] < summary[name]["crps"], (part, name)
            assert ours["interval_score90"] < summary[name]["interval_score90"], (part, name)


def test_on_simulated_truths_the_forecaster_is_sharper_than_the_last_five_records_and_covers() -> None:
    """Fixed seeds, 2 SIMULATED series a truth; the full run is benchmarks/bench_p2.py."""
    methods = {name: METHODS[name] for name in ("dangercurve", "ols_t5")}
    parts = [
        score_pairs(simulated_records(500 + i, kind), 5, methods, 0).assign(series=f"{kind}{i}")
        for kind in KINDS
        for i in range(2)
    ]
    scores = pd.concat(parts)
    mean = scores.groupby(["method", "series"])["crps"].mean().groupby("method").mean()
    assert mean["dangercurve"] < 0.9 * mean["ols_t5"]
    assert 0.8 <= scores.loc[scores["method"] == "dangercurve", "coverage90"].mean() <= 0.97


def test_records_are_the_true_running_maximum_with_one_a_date() -> None:
    table = pd.DataFrame(
        {
            "model": list("abcdef"),
            "release_date": [
                "2020-01-01",
                "2021-01-01",
                "2021-01-01",
                "2022-01-01",
                "2023-01-01",
                "2024-01-01",
            ],
            "p50": [1.0, 2.0, 4.0, 3.0, 4.0, 8.0],
        }
    )
    records = to_records(check_horizons(table.sample(frac=1, random_state=1)))
    assert records.models == ("a", "c", "f")
    np.testing.assert_allclose(records.log2_p50, [0, 2, 3])
    assert records.until("2024-01-01").models == ("a", "c")


def test_an_exact_line_doubles_on_time_and_a_falling_one_has_no_doubling_time() -> None:
    found = doubling_time(line(slope=2.0))
    assert found.days == pytest.approx(365.25 / 2) and found.lo == pytest.approx(found.days)
    falling = line(slope=-1.0)
    with pytest.raises(DataError, match="do not rise"):
        doubling_time(falling)
    with pytest.raises(DataError, match="at least 3"):
        doubling_time(line(2))


def test_the_interval_of_a_doubling_time_agrees_with_linregress() -> None:
    records = line(noise=0.4)
    fit = stats.linregress(records.years * 365.25, records.log2_p50)
    reach = stats.t.ppf(0.975, 8) * fit.stderr
    found = doubling_time(records)
    assert found.lo == pytest.approx(1 / (fit.slope + reach)) and found.hi == pytest.approx(
        1 / (fit.slope - reach)
    )


def test_the_student_interval_on_five_records_agrees_with_statsmodels() -> None:
    import statsmodels.api as sm

    records, at = line(noise=0.4), np.array([2025.2, 2026.0])
    fit = sm.OLS(records.log2_p50[-5:], sm.add_constant(records.years[-5:] - 2025)).fit()
    frame = fit.get_prediction(np.column_stack([np.ones(2), at - 2025])).summary_frame(alpha=0.1)
    draws = ols_t5(records, at, 0)
    np.testing.assert_allclose(np.quantile(draws, 0.05, axis=0), frame["obs_ci_lower"], rtol=0.01)
    np.testing.assert_allclose(np.quantile(draws, 0.95, axis=0), frame["obs_ci_upper"], rtol=0.01)


def test_integrated_brownian_motion_has_the_covariance_of_its_integral() -> None:
    rng = np.random.default_rng(0)
    step = 0.01
    path = np.cumsum(np.cumsum(np.sqrt(step) * rng.standard_normal((4000, 200)), axis=1), axis=1) * step
    expected = integrated_brownian(np.array([1.0, 2.0]))
    found = np.cov(path[:, 99], path[:, 199])
    np.testing.assert_allclose(found, expected, rtol=0.12)
    assert integrated_brownian(np.array([-1.0, 1.0]))[0, 1] == 0.0


def test_without_drift_or_acceleration_the_posterior_is_ridge_regression() -> None:
    prior = TrendPrior(
        slope_mean=0.0,
        slope_sd=50.0,
        acceleration=((1.0, 0.0, 0.0),),
        drift=(0.0,),
        noise_nodes=(0.0,),
        level_sd=100.0,
    )
    records = line(noise=0.3)
    found = posterior(records.years, records.log2_p50, np.array([2026.0]), prior)
    expected = np.polyval(np.polyfit(records.years - 2025, records.log2_p50, 1), 1.0)
    assert len(found) == 1 and found[0].mean[0] == pytest.approx(expected, abs=1e-3)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(KINDS))
def test_a_predicted_record_never_lies_below_the_last_one_and_never_has_negative_width(
    seed: int, kind: str
) -> None:
    records = simulated_records(seed, kind)
    train = records.first(5)
    draws = predict_records(train.years, train.log2_p50, records.years[5:], n_draws=200, seed=seed)
    assert np.isfinite(draws).all()
    assert (draws >= train.log2_p50[-1]).all()
    assert (np.diff(draws, axis=0) >= 0).all()


def test_the_same_seed_gives_the_same_backtest_and_targets_are_not_read() -> None:
    table = as_table(simulated_records(3, "bent"))
    one, two = backtest_time(table, 5, 1), backtest_time(table.sample(frac=1, random_state=0), 5, 1)
    assert one == two
    higher = table.copy()
    higher.loc[higher.index[-1], "p50"] *= 4
    changed = backtest_time(higher, 5, 1)
    assert isinstance(one["pairs"], list) and isinstance(changed["pairs"], list)
    for a, b in zip(one["pairs"], changed["pairs"], strict=True):
        assert a["q50"] == b["q50"] and a["q95"] == b["q95"]


def test_the_backtest_has_the_agreed_shape() -> None:
    records = simulated_records(8, "steady")
    result = backtest_time(as_table(records), 5, 0)
    n = len(records) - 5
    assert {"pairs", "summary", "paired", "summary_next", "paired_next"} <= result.keys()
    summary, paired = result["summary"], result["paired_next"]
    assert isinstance(summary, dict) and isinstance(paired, dict)
    assert list(summary) == ["dangercurve", "trend_bootstrap", "trend_windows", "ols_t5"]
    assert summary["ols_t5"]["n"] == n * (n + 1) / 2
    assert set(paired["ols_t5"]) == {"crps_diff", "interval_score90_diff"}
    assert set(paired["ols_t5"]["crps_diff"]) == {"est", "lo", "hi"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"p50": "ten"}, "p50 is not a number: 'ten' in row 3"),
        ({"p50": -1.0}, "finite, not negative"),
        ({"p50": np.inf}, "finite, not negative"),
    ],
)
def test_a_wrong_horizon_is_named_with_its_row(change: dict[str, object], says: str) -> None:
    table = as_table(line()).astype(object)
    for column, value in change.items():
        table.loc[2, column] = value
    with pytest.raises(DataError, match=says):
        check_horizons(table)


def test_rows_that_cannot_be_used_are_dropped_counted_and_listed() -> None:
    table = as_table(line()).astype(object)
    table.loc[1, "release_date"] = "03/04/2021"
    table.loc[4, "p50"] = None
    table.loc[6, "p50"] = 0.0
    table.loc[10] = table.loc[0]
    found = check_horizons(table)
    assert sorted(row for rows in found.dropped.values() for row in rows) == [2, 5, 7, 11]
    assert len(found.frame) == 7 and len(found.flags) == 4


def test_dates_in_three_formats_are_one_series() -> None:
    table = as_table(line(3))
    table["release_date"] = ["2020-01-01", "1 July 2020", "13/01/2021"]
    assert to_records(check_horizons(table)).dates == ("2020-01-01", "2020-07-01", "2021-01-13")


def test_too_few_records_and_empty_tables_are_refused() -> None:
    with pytest.raises(DataError, match="6 are needed"):
        backtest_time(as_table(line(5)), 5, 0)
    with pytest.raises(DataError, match="no rows"):
        backtest_time(as_table(line(5)).iloc[:0], 5, 0)
    with pytest.raises(DataError, match="no column 'p50'"):
        check_horizons(as_table(line()).drop(columns="p50"))
    with pytest.raises(DataError, match="at least 5"):
        backtest_time(as_table(line()), 3, 0)
    with pytest.raises(DataError, match="at least 5 records"):
        trend_draws(line(4))
    with pytest.raises(ConfigError, match="did you mean 'steady'"):
        simulated_records(0, "stedy")


def test_the_direct_time_route_reaches_a_threshold_about_when_the_line_does() -> None:
    """Two doublings a year, 2^9 minutes at the last record of mid-2024: 2^13 minutes come about mid-2026."""
    trend = trend_draws(line(noise=0.05), end=2040.0, n_draws=400)
    assert (np.diff(trend.log2_minutes, axis=1) >= 0).all()
    found = time_route(2.0**13, trend, as_of=date(2025, 1, 1))
    assert found.date["q50"] is not None and "2026-01" < found.date["q50"] < "2026-12"
    assert found.frontier == "time" and time_route(2.0**900, trend, as_of=date(2025, 1, 1)).p_never == 1.0
    with pytest.raises(DataError, match="positive number of minutes"):
        time_route(0.0, trend, as_of=date(2025, 1, 1))
