"""Survival without a model: Kaplan-Meier, exact bounds, Turnbull, Aalen-Johansen, on known answers and against lifelines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dangercurve._errors import DataError
from dangercurve.analysis.intervals import clopper_pearson
from dangercurve.analysis.survival.aalen_johansen import aalen_johansen
from dangercurve.analysis.survival.kaplan_meier import exact_bounds, kaplan_meier, weighted_survival
from dangercurve.analysis.survival.turnbull import turnbull


def sample(seed: int, n: int = 81, budget: float = 40.0) -> tuple[np.ndarray, np.ndarray]:
    drawn = np.ceil(np.random.default_rng(seed).exponential(25, n))
    return np.minimum(drawn, budget), drawn <= budget


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kaplan_meier_is_that_of_lifelines(seed: int) -> None:
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time

    effort, breached = sample(seed)
    theirs, ours = (
        KaplanMeierFitter(alpha=0.1).fit(effort, breached),
        kaplan_meier(effort, breached, alpha=0.1),
    )
    assert np.allclose(theirs.survival_function_at_times(ours.time), ours.survival, atol=1e-9)
    band = theirs.confidence_interval_survival_function_.loc[ours.time].to_numpy()
    assert np.allclose(band, np.column_stack([ours.lcb, ours.ucb]), atol=1e-9)
    assert ours.quantile().value == theirs.median_survival_time_
    mean = restricted_mean_survival_time(theirs, 30)
    assert ours.rmst(30).estimate == pytest.approx(mean, abs=1e-6)


def test_the_restricted_mean_has_the_standard_error_of_repeated_samples() -> None:
    found = [kaplan_meier(*sample(seed)).rmst(30) for seed in range(300)]
    spread = np.std([f.estimate for f in found])
    assert np.mean([f.se for f in found]) == pytest.approx(spread, rel=0.1)


def test_no_breach_is_a_bound_and_no_certainty() -> None:
    found = kaplan_meier([100.0] * 20, [False] * 20, alpha=0.1)
    assert found.quantile().value is None and found.quantile().words == "not reached"
    assert found.at(100) == 1.0 and np.isnan(found.at(101))
    assert found.rmst().lcb == pytest.approx(100 * 0.05 ** (1 / 20))
    row = found.table([100.0])[0]
    assert row.lcb == pytest.approx(0.05 ** (1 / 20)) and row.ucb == 1.0
    low, high = exact_bounds([100.0] * 20, [False] * 20, [100.0, 101.0], alpha=0.05)
    assert low == pytest.approx([0.05 ** (1 / 20), 0.0]) and high == pytest.approx([1.0, 1.0])


def test_everything_broken_at_the_first_attempt_has_a_median_of_one() -> None:
    found = kaplan_meier([1.0] * 10, [True] * 10, alpha=0.1)
    assert found.quantile().value == 1.0 and found.at(1) == 0.0 and found.at(1e9) == 0.0
    assert found.ucb[-1] == pytest.approx(clopper_pearson(0, 10, 0.05)[1])


@given(st.integers(1, 30), st.data())
def test_without_censoring_the_exact_bounds_are_those_of_a_rate(n: int, data: st.DataObject) -> None:
    broken = data.draw(st.integers(0, n))
    effort = np.r_[np.arange(1, broken + 1), np.full(n - broken, 99.0)]
    breached = np.arange(n) < broken
    low, high = exact_bounds(effort, breached, [50.0], alpha=0.05)
    wanted = clopper_pearson(n - broken, n, 0.05)
    assert (float(low[0]), float(high[0])) == pytest.approx(wanted, abs=1e-9)


def test_exact_bounds_hold_as_often_as_they_claim_under_censoring() -> None:
    missed = 0
    for seed in range(400):
        rng = np.random.default_rng([3, seed])
        true, cut = rng.exponential(50, 25), rng.uniform(5, 80, 25)
        low, _ = exact_bounds(np.minimum(true, cut), true <= cut, [30.0], alpha=0.05)
        missed += bool(np.exp(-30 / 50) < low[0])
    assert missed <= 400 * 0.05 + 3 * np.sqrt(400 * 0.05 * 0.95)


def test_repeats_of_an_instance_never_narrow_a_bound() -> None:
    once = exact_bounds([50.0] * 10, [False] * 10, [50.0])
    often = exact_bounds([50.0] * 40, [False] * 40, [50.0], [f"i{k // 4}" for k in range(40)])
    assert float(often[0][0]) == pytest.approx(float(once[0][0]))
    effort, breached = sample(4, 20)
    doubled = kaplan_meier(np.repeat(effort, 2), np.repeat(breached, 2), np.repeat(np.arange(20), 2))
    assert doubled.clustered and doubled.se[5] == pytest.approx(
        kaplan_meier(effort, breached).se[5], rel=0.05
    )
    assert weighted_survival(effort, breached, [10.0], None)[0] == pytest.approx(
        kaplan_meier(effort, breached).at(10)
    )


def test_one_cluster_leaves_the_bounds_open() -> None:
    found = kaplan_meier([3.0, 5.0, 9.0], [True, True, False], ["a"] * 3)
    assert found.lcb.tolist() == [0.0, 0.0] and found.ucb.tolist() == [1.0, 1.0]


def test_turnbull_is_kaplan_meier_where_breaches_were_seen_exactly() -> None:
    effort, breached = sample(5)
    upper = np.where(breached, effort, np.inf)
    assert np.allclose(
        turnbull(effort, upper).at(np.arange(1.0, 41)),
        [kaplan_meier(effort, breached).at(t) for t in range(1, 41)],
        atol=1e-5,
    )


def test_turnbull_is_the_maximum_likelihood_for_batches() -> None:
    rng = np.random.default_rng(6)
    lower = rng.integers(0, 12, 60).astype(float)
    upper = lower + rng.integers(1, 6, 60)
    upper[:10] = np.inf
    found = turnbull(lower, upper)
    cover = (lower[:, None] <= found.left) & (found.right <= upper[:, None])
    gradient = (
        cover.T @ (1 / (cover @ found.mass)) / 60
    )  # at the maximum: 1 where there is mass, less elsewhere
    assert found.converged and found.mass.sum() == pytest.approx(1)
    assert gradient.max() < 1 + 1e-3 and np.allclose(gradient[found.mass > 1e-4], 1, atol=1e-3)


def test_turnbull_on_a_known_answer() -> None:
    found = turnbull([0.0, 2.0, 0.0, 4.0], [2.0, 4.0, 4.0, np.inf])  # the third is shared by the first two
    assert found.at([1.0, 2.0, 4.0]).tolist() == pytest.approx([1.0, 0.625, 0.25])


def test_causes_compete_and_add_up() -> None:
    from lifelines import AalenJohansenFitter

    rng = np.random.default_rng(7)
    drawn = rng.exponential(25, 120)
    effort, breached = np.minimum(drawn, 40.0), drawn <= 40
    cause = np.where(rng.random(120) < 0.3, "social", "format")
    found = {i.cause: i for i in aalen_johansen(effort, breached, cause, alpha=0.1)}
    codes = np.where(breached, np.where(cause == "social", 1, 2), 0)
    for code, name in ((1, "social"), (2, "format")):
        theirs = AalenJohansenFitter(calculate_variance=True).fit(effort, codes, event_of_interest=code)
        curve = theirs.cumulative_density_.iloc[:, 0]
        ours = found[name]
        assert np.allclose(curve.loc[ours.time], ours.value, atol=1e-9)
        assert ours.se[-1] ** 2 == pytest.approx(float(theirs.variance_.iloc[-1]), rel=0.02)
    km = kaplan_meier(effort, breached)
    assert sum(i.at(40.0)[0] for i in found.values()) == pytest.approx(1 - km.at(40))


def test_a_cause_that_broke_every_unit_is_bounded_as_a_rate_without_a_miss() -> None:
    effort = np.random.default_rng(8).permutation(np.arange(1.0, 11))
    found = aalen_johansen(effort, [True] * 10, ["mixed"] * 10, alpha=0.1)[0]
    value, low, high = found.at(10.0)
    assert value == pytest.approx(1) and low == pytest.approx(0.05 ** (1 / 10)) and high == 1.0
    assert found.at(0.5) == (0.0, 0.0, 0.0)


def test_a_breach_without_a_cause_is_counted_under_none_of_the_tactics() -> None:
    found = aalen_johansen([1.0, 2.0, 3.0], [True, True, False], ["", "social", ""])
    assert [i.cause for i in found] == ["(not named)", "social"]
    assert aalen_johansen([5.0] * 4, [False] * 4, [""] * 4) == ()


@pytest.mark.parametrize(
    ("effort", "breached"),
    [
        ([], []),
        ([1.0], [True, False]),
        ([0.0], [True]),
        ([-1.0], [True]),
        ([np.nan], [False]),
        ([np.inf], [False]),
    ],
)
def test_what_cannot_be_an_effort_is_refused(effort: list[float], breached: list[bool]) -> None:
    for estimator in (
        kaplan_meier,
        lambda t, e: exact_bounds(t, e, [1.0]),
        lambda t, e: aalen_johansen(t, e, [""] * len(t)),
    ):
        with pytest.raises(DataError):
            estimator(effort, breached)


@pytest.mark.parametrize(
    ("lower", "upper"), [([], []), ([3.0], [2.0]), ([np.nan], [2.0]), ([1.0, 2.0], [2.0])]
)
def test_turnbull_refuses_unordered_intervals(lower: list[float], upper: list[float]) -> None:
    with pytest.raises(DataError):
        turnbull(lower, upper)
