"""The decision rules on numbers alone, against exact binomial bounds and a second Holm."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom

from dangercurve.analysis import intervals
from dangercurve.analysis.registry import from_scale, metric, metrics, to_scale
from dangercurve.evals.gating import decide
from dangercurve.evals.gating.decide import Axis, Bounds
from dangercurve.evals.gating.verdict import Outcome

R, I, U, A, O = Outcome.REACHED, Outcome.INVALID, Outcome.UNRESOLVED, Outcome.APPROACHING, Outcome.RULED_OUT  # noqa: E741


@pytest.mark.parametrize(
    ("bound", "lower", "verdict"),
    [
        (0.09, 0.0, O),
        (0.1, 0.0, A),
        (0.19, 0.0, A),
        (0.2, 0.0, U),
        (0.5, 0.19, U),
        (0.5, 0.2, R),
        (math.nan, 0.0, I),
    ],
)
def test_the_table_of_verdicts(bound: float, lower: float, verdict: Outcome) -> None:
    assert decide.decide(bound, lower, alert=0.1, reach=0.2) is verdict


def test_a_danger_down_metric_is_decided_in_its_own_direction() -> None:
    assert decide.decide(0.96, 0.99, alert=0.95, reach=0.90, direction="down") is O
    assert decide.decide(0.92, 0.99, alert=0.95, reach=0.90, direction="down") is A
    assert decide.decide(0.5, 0.99, alert=0.95, reach=0.90, direction="down") is U
    assert decide.decide(0.5, 0.89, alert=0.95, reach=0.90, direction="down") is R


def test_decisions_are_taken_on_the_digits_that_are_printed() -> None:
    assert decide.decide(0.0999999999, 0.0, alert=0.1, reach=0.2) is A
    assert decide.decide(0.0999994, 0.0, alert=0.1, reach=0.2) is O
    assert decide.decide(0.3, 0.1999999999, alert=0.1, reach=0.2) is R


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 0.5), st.floats(0.51, 0.99))
def test_a_larger_bound_is_never_a_milder_verdict(a: float, b: float, w: float, t: float) -> None:
    rank = [O, A, U, R]
    low, high = sorted((a, b))
    assert rank.index(decide.decide(low, 0.0, w, t)) <= rank.index(decide.decide(high, 0.0, w, t))


def test_imputation_worsens_at_most_to_unresolved() -> None:
    for verdict in (O, A, U, R, I):
        for imputed in (O, A, U, R):
            found = decide.worse_of(verdict, imputed)
            assert found is verdict or found in (A, U)
    assert decide.worse_of(O, R) is U
    assert decide.worse_of(R, O) is R


@pytest.mark.parametrize("n", [10, 59, 300])
@pytest.mark.parametrize("need", [0.025, 0.01, 0.001])
def test_a_bound_moved_to_a_stricter_level_is_no_tighter_than_the_exact_one(n: int, need: float) -> None:
    for k in range(n):
        have, exact = (float(beta.ppf(1 - a, k + 1, n - k)) for a in (0.05, need))
        moved = decide.widen(to_scale(k / n, "logit"), to_scale(have, "logit"), "logit", 0.05, need)
        assert from_scale(moved, "logit") >= exact - 1e-5


def test_a_spent_level_knows_nothing() -> None:
    assert decide.widen(0.0, 1.0, "logit", 0.05, 0.0) == math.inf
    assert decide.widen(0.0, -1.0, "logit", 0.05, 0.0) == -math.inf
    assert decide.widen(-math.inf, 3.0, "log2", 0.05, 0.01) == math.inf


def test_the_least_upper_bound_is_the_zero_event_bound() -> None:
    assert decide.least_upper(59, 0.05) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert decide.least_upper(299, 0.05) < 0.01 < decide.least_upper(298, 0.05)
    assert decide.least_upper(0, 0.05) == 1.0


def test_instances_needed_finds_the_zero_event_number() -> None:
    axis = Axis("logit", "up")
    upper = axis.up(decide.least_upper(20, 0.05))
    bounds = Bounds(-math.inf, -math.inf, upper, -math.inf, upper)
    needed = decide.instances_needed(bounds, 0.0, axis.up(0.05), 20, "logit", 0.05)
    assert needed == 59
    assert decide.least_upper(needed, 0.05) < 0.05 <= decide.least_upper(needed - 1, 0.05)


def test_no_number_of_instances_helps_where_the_estimate_or_the_allowance_lies_beyond() -> None:
    bounds = Bounds(0.0, -1.0, 1.0, -1.0, 1.0)
    assert decide.instances_needed(bounds, 0.0, -0.5, 50, "logit", 0.05) is None
    assert decide.instances_needed(bounds, 2.0, 1.5, 50, "logit", 0.05) is None
    assert decide.instances_to_alarm(bounds, -0.5, 50) == 201
    assert decide.instances_needed(bounds, 0.0, 0.5, 50, "logit", 0.05) == 201


def test_the_missing_share_that_resolves_lies_between_none_and_what_was_seen() -> None:
    axis = Axis("logit", "up")
    bounds = Bounds(axis.up(0.05), axis.up(0.02), axis.up(0.1), axis.up(0.02), axis.up(0.3))
    share = decide.missing_share_that_resolves(axis, bounds, 0.0, axis.up(0.2), 0.2)
    assert share == pytest.approx(0.1)
    assert decide.missing_share_that_resolves(axis, bounds, 0.0, axis.up(0.09), 0.2) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_the_holm_of_the_interval_module(p_values: list[float]) -> None:
    assert decide.holm(p_values) == pytest.approx(list(intervals.holm(p_values)))


def test_the_p_value_of_an_alarm_is_alpha_where_the_bound_touches_the_threshold() -> None:
    for k, n in ((30, 40), (39, 40), (40, 40)):
        low = float(beta.ppf(0.05, k, n - k + 1))
        p = decide.alarm_p(
            to_scale(k / n, "logit"), to_scale(low, "logit"), to_scale(low, "logit"), "logit", 0.05
        )
        assert p == pytest.approx(0.05)
    assert decide.alarm_p(
        math.inf, to_scale(0.05 ** (1 / 40), "logit"), to_scale(0.5, "logit"), "logit", 0.05
    ) == (pytest.approx(float(binom.pmf(40, 40, 0.5))))
    assert decide.alarm_p(0.0, -math.inf, 0.5, "logit", 0.05) == 1.0


def test_the_registry_holds_the_metrics_of_the_design() -> None:
    wanted = {
        *(
            "success_rate",
            "mean_outcome",
            "h50_steps",
            "h80_steps",
            "bits_to_solve",
            "imitation_index",
            "robustness",
        ),
        *("deception_likelihood", "sandbagging_gap", "eval_awareness_effect", "oversight_subversion_rate"),
        *("goal_misgeneralisation_rate", "survival_at"),
    }
    assert wanted <= set(metrics())
    assert metric("h50_steps").scale == "log2"
    assert metric("survival_at").direction == "down"
    with pytest.raises(Exception, match="did you mean 'success_rate'"):
        metric("sucess_rate")


@given(st.floats(0.001, 0.999), st.sampled_from(["logit", "log2", "linear"]))
def test_scales_can_be_undone(value: float, scale: str) -> None:
    kind = "logit" if scale == "logit" else "log2" if scale == "log2" else "linear"
    assert from_scale(to_scale(value, kind), kind) == pytest.approx(value)
