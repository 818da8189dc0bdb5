"""Held-out weights of the shapes, the direct time route beside the compute route, and how they are told apart."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats

from dangercurve._errors import ConfigError, DangercurveError, DataError
from dangercurve.analysis.breach import summarise_years
from dangercurve.analysis.crossing import fit_shapes
from dangercurve.analysis.direct import compare_routes, direct_route, records_of
from dangercurve.analysis.held_out import last_value_score, n_training, smallest
from dangercurve.analysis.horizon_table import check_horizons, to_records
from dangercurve.analysis.latent import CurveData, error_law
from dangercurve.analysis.points import points_from_horizons
from dangercurve.evals.cli import cli


def data(y: np.ndarray, x: np.ndarray, scale: str = "logit") -> CurveData:
    n = x.size
    return CurveData(
        x - x.mean(),
        y,
        (np.arange(n) % 3).astype(np.int64),
        ("a", "b", "c"),
        np.full(n, 400.0 if scale == "logit" else np.nan),
        np.full(n, 0.01),
        np.zeros(n),
        0.0,
        float(x.mean()),
        scale,  # type: ignore[arg-type]
    )


def horizons(n: int = 9) -> pd.DataFrame:
    """A horizon that doubles every half year, its models on a line of compute."""
    years = np.arange(n) * 0.5
    days = [date(2021, 1, 1).toordinal() + round(y * 365.25) for y in years]
    return pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(n)],
            "model_family": [f"f{i % 3}" for i in range(n)],
            "flops": 10 ** (23.0 + 0.6 * years),
            "release_date": [date.fromordinal(d).isoformat() for d in days],
            "p50": 2.0 ** (2 * years),
            "p50_lo": 2.0 ** (2 * years - 0.5),
            "p50_hi": 2.0 ** (2 * years + 0.5),
        }
    )


def call(frame: pd.DataFrame, tmp_path: Path, *options: str) -> dict[str, object]:
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    fixed = ["--as-of", "2026-01-01", "--draws", "300", "--format", "json"]
    result = CliRunner().invoke(cli, ["forecast", str(path), *fixed, *options])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_the_held_out_score_is_the_log_density_of_the_larger_models_given_the_smaller() -> None:
    # a plain metric whose posterior is normal: the conditional density is known but for the spread, so compare shapes
    x = np.linspace(20.0, 24.0, 18)
    rng = np.random.default_rng(0)
    y = np.where(x < 22.5, 0.0, 2.0 * (x - 22.5)) + rng.normal(0, 0.05, x.size)
    fitted = fit_shapes(data(y, x, "linear"), n_draws=500)
    names = [s.name for s in fitted.shapes]
    held = dict(zip(names, fitted.held_out, strict=True))
    assert fitted.n_held_out == 12
    assert held["broken_linear"] > held["linear"] + 5
    assert dict(zip(names, fitted.weight, strict=True))["broken_linear"] > 0.9


def test_the_first_third_only_trains_and_a_short_table_trains_on_nothing() -> None:
    assert [n_training(n) for n in (3, 5, 6, 9, 30)] == [0, 0, 3, 3, 10]
    x = np.array([23.0, 20.0, 22.0, 21.0])
    part = smallest(data(np.array([0.4, 0.1, 0.3, 0.2]), x), 2)
    assert sorted(part.y) == [0.1, 0.2] and len(part.families) == len(set(part.family))


def test_the_last_value_is_scored_on_the_same_models() -> None:
    x = np.linspace(20.0, 24.0, 8)
    flat = data(np.full(8, 0.5), x)
    scale = np.sqrt(0.5 * 0.5 / 400)
    expected = sum(stats.t.logpdf(0.5, k - 1, 0.5, scale * np.sqrt(1 + 1 / k)) for k in (3, 4, 5, 5, 5))
    assert last_value_score(flat) == pytest.approx(expected)
    assert np.isnan(last_value_score(smallest(flat, 5)))


def test_a_doubling_time_known_gives_the_date_it_implies() -> None:
    records = to_records(check_horizons(horizons()))
    route = direct_route(records, 2.0**12, as_of=date(2026, 1, 1), n_draws=400)
    assert route.status == "identified" and route.n_records == 9
    low, mid, high = (date.fromisoformat(str(route.date[q])) for q in ("q05", "q50", "q95"))
    assert low <= mid <= high
    assert (
        abs((mid - date(2027, 1, 1)).days) < 200
    )  # four doublings after m8 of January 2025, half a year each


def test_a_threshold_that_a_record_meets_is_dated_by_that_record() -> None:
    records = to_records(check_horizons(horizons()))
    route = direct_route(records, 4.0, as_of=date(2026, 1, 1), n_draws=100)
    assert route.status == "reached" and route.p_breached == 1.0
    assert route.date["q05"] == route.date["q95"] and str(route.date["q50"]).startswith("2022-01")


def test_routes_that_differ_say_by_how_many_days_and_who_is_first() -> None:
    early, late = (
        summarise_years(np.full(100, year), frontier="x", scenario="y", cap=None, as_of=date(2026, 1, 1), end=2050.0)
        for year in (2027.0, 2029.0)
    )  # fmt: skip
    found = compare_routes(late, early)
    assert found.days == 731 and found.p_direct_first == 0.0 and "disagree" in found.says
    assert compare_routes(early, early).days == 0 and "agree within" in compare_routes(early, early).says
    never = summarise_years(
        np.full(100, np.inf), frontier="x", scenario="y", cap=None, as_of=date(2026, 1, 1), end=2050.0
    )
    assert compare_routes(never, early).days is None
    assert compare_routes(never, early).says.startswith("the routes disagree")
    assert compare_routes(never, never).p_direct_first == 0.0


def test_horizons_with_compute_take_both_routes(tmp_path: Path) -> None:
    found = call(horizons(), tmp_path, "--threshold", "4096", "--shape", "linear")
    route = found["time_route"]
    assert isinstance(route, dict) and route["disagreement"]["days"] is not None
    assert found["frontier"] == "physical" and found["status"] == "identified"
    assert found["event"] == "p50 >= 4096"


def test_horizons_without_compute_take_the_direct_route_alone(tmp_path: Path) -> None:
    found = call(horizons().drop(columns="flops"), tmp_path, "--threshold", "4096")
    assert found["frontier"] == "time" and found["shapes"] == []
    assert found["date"] == found["time_route"]["date"]  # type: ignore[index]


def test_a_rate_needs_the_minutes_that_stand_for_its_threshold(tmp_path: Path) -> None:
    table = tmp_path / "h.csv"
    horizons().to_csv(table, index=False)
    x = np.linspace(20.5, 24, 9)
    scores = pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(9)],
            "family": "f",
            "flops": 10**x,
            "benchmark": "b",
            "score": 1 / (1 + np.exp(22.5 - x)),
            "chance": 0.0,
        }
    )
    options = ("--threshold", "0.9", "--horizons", str(table), "--shape", "logistic")
    with pytest.raises(ConfigError, match="--horizon-threshold"):
        call(scores, tmp_path, *options)
    found = call(scores, tmp_path, *options, "--horizon-threshold", "4096")
    assert found["time_route"]["threshold"] == 4096  # type: ignore[index]


def test_few_records_are_refused_or_left_out() -> None:
    assert records_of(points_from_horizons(horizons(4))) is None
    with pytest.raises(DataError, match="at least 5"):
        direct_route(to_records(check_horizons(horizons(4))), 64.0, as_of=date(2026, 1, 1))


def test_horizon_points_list_what_they_drop_and_what_they_assume() -> None:
    frame = pd.concat([horizons(), horizons().head(1)], ignore_index=True)
    frame.loc[1, "p50"], frame.loc[2, "p50_hi"] = 0.0, np.nan
    points = points_from_horizons(frame)
    assert len(points.frame) == 8 and len(points.dropped) == 2
    assert points.frame["se"].max() == 1.0 and any("one doubling" in f for f in points.flags)
    with pytest.raises(DangercurveError, match="no column 'flops'"):
        points_from_horizons(horizons().drop(columns="flops"))


def test_progress_at_equal_compute_is_a_drift_of_the_residuals_in_time(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 40
    x, year = rng.uniform(20.5, 24, n), rng.uniform(0, 4, n)

    def table(progress: float) -> pd.DataFrame:
        eta = 1.2 * (x - 22.5) + progress * (year - 2) + rng.normal(0, 0.1, n)
        return pd.DataFrame(
            {
                "model": [f"m{i}" for i in range(n)],
                "family": [f"f{i % 5}" for i in range(n)],
                "flops": 10**x,
                "benchmark": "b",
                "score": rng.binomial(1000, 1 / (1 + np.exp(-eta))) / 1000,
                "chance": 0.0,
                "n_items": 1000,
                "release_date": [date.fromordinal(738000 + int(365 * y)).isoformat() for y in year],
            }
        )

    options = ("--threshold", "0.9", "--shape", "logistic")
    moving, still = (call(table(p), tmp_path, *options) for p in (0.4, 0.0))
    axes = {d["axis"]: d for d in moving["drift"]}  # type: ignore[attr-defined]
    assert axes["release date"]["p_trend"] < 0.05 and axes["release date"]["trend"] > 0.5
    assert any("along release date (they rise" in f for f in moving["flags"])  # type: ignore[attr-defined]
    assert not any("release date" in f for f in still["flags"])  # type: ignore[attr-defined]


def test_the_error_of_a_horizon_is_read_at_the_value_that_the_curve_predicts() -> None:
    value = np.linspace(0.0, 4.0, 9)
    law = error_law(value, np.exp(-1 + 0.2 * (value - 2) ** 2), np.full(9, np.nan))
    assert law is not None
    at = np.sqrt(law.variance(np.array([[0.0, 2.0, 4.0] * 3])))[0]
    assert at[1] == pytest.approx(np.exp(-1), rel=0.05) and at[0] == pytest.approx(np.exp(-0.2), rel=0.1)
    assert law.variance(np.full((1, 9), 99.0))[0, 0] == law.variance(np.full((1, 9), 4.0))[0, 0]
    counted = error_law(value, 1 / np.sqrt(np.arange(1.0, 10)), np.arange(1.0, 10))
    assert counted is not None
    spread = np.sqrt(counted.variance(np.full((1, 9), 2.0)))[0]
    assert spread[0] / spread[8] == pytest.approx(3.0, rel=0.01)
    assert error_law(value[:5], value[:5] + 1, value[:5]) is None
