"""Proper scores, against a kept library, and the crossed bootstrap against known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dangercurve._errors import DataError
from dangercurve.analysis.scoring import covered, crossed_bootstrap, crps_sample, interval_score, pit


def test_crps_equals_scoringrules() -> None:
    sr = pytest.importorskip("scoringrules")
    rng = np.random.default_rng(0)
    draws, y = rng.normal(size=(200, 30)), rng.normal(size=30)
    assert np.allclose(crps_sample(draws, y), sr.crps_ensemble(y, draws.T, estimator="nrg"), atol=1e-12)


def test_interval_score_equals_scoringrules() -> None:
    sr = pytest.importorskip("scoringrules")
    rng = np.random.default_rng(1)
    lo, y = rng.normal(size=40), rng.normal(size=40)
    hi = lo + rng.exponential(size=40)
    assert np.allclose(interval_score(lo, hi, y, 0.9), sr.interval_score(y, lo, hi, 0.1))


def test_crps_of_a_point_forecast_is_its_absolute_error() -> None:
    assert crps_sample(np.full((50, 1), 0.3), [0.5])[0] == pytest.approx(0.2)


def _thousandths(lo: int, hi: int) -> st.SearchStrategy[float]:
    return st.integers(lo * 1000, hi * 1000).map(lambda k: k / 1000)


@settings(max_examples=30, deadline=None)
@given(_thousandths(-2, 2), _thousandths(0, 2), _thousandths(-3, 3))
def test_an_interval_that_covers_costs_its_width(lo: float, width: float, y: float) -> None:
    score = interval_score([lo], [lo + width], [y])[0]
    hit = bool(covered([lo], [lo + width], [y])[0])
    assert score >= width - 1e-12
    assert (score < width + 1e-9) == hit


def test_a_negative_width_is_an_error() -> None:
    with pytest.raises(DataError, match="lower end"):
        interval_score([1.0], [0.5], [0.7])


def test_pit_of_a_calibrated_forecast_is_uniform() -> None:
    rng = np.random.default_rng(2)
    u = pit(rng.normal(size=(500, 4000)), rng.normal(size=4000))
    assert abs(u.mean() - 0.5) < 0.02
    assert abs(u.var() - 1 / 12) < 0.005


def test_the_crossed_bootstrap_covers_the_mean_of_crossed_data() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for k in range(60):
        a, b = rng.normal(size=20), rng.normal(size=12)
        rows, columns = np.repeat(np.arange(20), 12), np.tile(np.arange(12), 20)
        value = a[rows] + b[columns] + rng.normal(size=240)
        interval = crossed_bootstrap(value, rows, columns, n_boot=300, seed=k)
        hits += interval.lo <= 0 <= interval.hi
    assert hits >= 50


def test_one_family_and_one_benchmark_leave_nothing_to_resample() -> None:
    interval = crossed_bootstrap([0.1, 0.3], ["a", "a"], ["b", "b"])
    assert interval.est == pytest.approx(0.2)
    assert np.isnan(interval.lo)
    assert np.isnan(interval.hi)
