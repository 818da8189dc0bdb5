"""Intervals: exact answers, oracles, and what must never look certain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dangercurve._errors import DataError
from dangercurve.analysis.intervals import (
    beta_binomial,
    clopper_pearson,
    clustered_rate,
    holm,
    jeffreys,
    paired_difference,
    zero_event_n,
)


@pytest.mark.parametrize("n", [1, 20, 59, 299])
def test_no_event_in_n_instances_has_the_closed_form_upper_bound(n: int) -> None:
    rate = clustered_rate(np.zeros(n), list(range(n)))
    assert rate.ucb == pytest.approx(1 - 0.05 ** (1 / n), rel=1e-9)
    assert rate.lcb == 0.0


def test_59_and_299_instances_without_an_event_rule_out_five_and_one_percent() -> None:
    assert (zero_event_n(0.05), zero_event_n(0.01)) == (59, 299)


@given(st.integers(1, 200), st.data())
def test_clopper_pearson_and_jeffreys_agree_with_scipy(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    exact = stats.binomtest(k, n).proportion_ci(0.9, method="exact")
    assert clopper_pearson(k, n, 0.1, 2) == pytest.approx((exact.low, exact.high), abs=1e-9)
    posterior = stats.beta(k + 0.5, n - k + 0.5)
    ours = jeffreys(k, n, 0.1, 2)
    assert ours[0] == pytest.approx(posterior.ppf(0.05) if k else 0.0, abs=1e-9)
    assert ours[1] == pytest.approx(posterior.ppf(0.95) if k < n else 1.0, abs=1e-9)


def test_epochs_are_not_instances() -> None:
    once = clustered_rate(np.zeros(20), list(range(20)))
    ten = clustered_rate(np.zeros(200), np.repeat(np.arange(20), 10))
    assert (ten.ucb, ten.n_instances, ten.n_rows) == (once.ucb, 20, 200)
    one_event = np.zeros(200)
    one_event[0] = 1
    assert clustered_rate(one_event, np.repeat(np.arange(20), 10)).ucb > ten.ucb


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60))
def test_one_row_an_instance_is_the_exact_interval(values: list[float]) -> None:
    rate = clustered_rate(values, list(range(len(values))), 0.05, 2)
    assert (rate.lcb, rate.ucb) == pytest.approx(clopper_pearson(sum(values), len(values), 0.05, 2))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 4))
def test_bounds_enclose_the_estimate_and_stay_in_range(values: list[float], epochs: int) -> None:
    rate = clustered_rate(np.repeat(values, epochs), np.repeat(np.arange(len(values)), epochs))
    assert 0 <= rate.lcb <= rate.estimate + 1e-12 and rate.estimate - 1e-12 <= rate.ucb <= 1


def test_no_data_is_nan_and_knows_nothing() -> None:
    rate = clustered_rate([], [])
    assert math.isnan(rate.estimate) and (rate.lcb, rate.ucb) == (0.0, 1.0)
    assert math.isnan(paired_difference([], [], []).estimate)


@pytest.mark.parametrize("bad", [[0.2, math.nan], [1.5, 0.0], [-0.1, 0.3]])
def test_missing_or_impossible_values_are_refused(bad: list[float]) -> None:
    with pytest.raises(DataError):
        clustered_rate(bad, [1, 2])


@pytest.mark.parametrize(("shape", "truth"), [((100.0, 900.0), 0.1), ((1.0, 3.0), 0.25)])
def test_clustered_bounds_cover_at_least_what_they_claim(shape: tuple[float, float], truth: float) -> None:
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(30), 4)
    above = below = 0
    for _ in range(300):
        rows = rng.random((30, 4)) < rng.beta(*shape, 30)[:, None]
        rate = clustered_rate(rows.astype(float).ravel(), cluster)
        above += rate.ucb >= truth
        below += rate.lcb <= truth
    assert above >= 279 and below >= 279  # 95 % of 300, less two standard errors


def test_no_discordant_pair_is_not_certainty() -> None:
    same = paired_difference(np.ones(20), np.ones(20), list(range(20)))
    assert same.estimate == 0 and same.ucb > 0.1 and same.p_value == 1.0


def test_a_paired_difference_finds_a_real_one_and_its_sign() -> None:
    diff = paired_difference(np.r_[np.ones(30), np.zeros(10)], np.zeros(40), list(range(40)))
    assert diff.lcb > 0.5 and diff.p_value < 1e-6 and diff.n_discordant == 30


def test_beta_binomial_recovers_mean_and_correlation() -> None:
    rng = np.random.default_rng(0)
    fit = beta_binomial(rng.binomial(8, rng.beta(2, 6, 2000)), np.full(2000, 8))
    assert fit.rate.estimate == pytest.approx(0.25, abs=0.01)
    assert fit.rho == pytest.approx(1 / 9, abs=0.02)
    assert fit.rate.lcb < 0.25 < fit.rate.ucb


def test_holm_has_its_known_answer() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, math.nan, 0.02])[[0, 2]] == pytest.approx([0.5, 0.04])
