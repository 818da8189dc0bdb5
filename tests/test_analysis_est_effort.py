"""Bits to solve, elicitation curves and the crossed bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from dangercurve._errors import DataError
from dangercurve.analysis.bits import bits_to_solve, chaining_gap, choice_bits
from dangercurve.analysis.bootstrap import crossed_bootstrap
from dangercurve.analysis.elicitation import elicitation_curve


def test_bits_add_up_over_milestones() -> None:
    found = bits_to_solve([500, 250], [1000, 1000])
    assert found.bits == pytest.approx(1 + 2, abs=0.01)
    assert found.lcb < 3 < found.ucb and not found.censored


def test_a_milestone_never_reached_is_capped_and_flagged() -> None:
    found = bits_to_solve([10, 0], [10, 15])
    assert found.per_milestone[1] == pytest.approx(np.log2(2 * 15 + 2))
    assert found.censored and found.steps_censored == (1,) and found.ucb == np.inf


def test_a_milestone_without_rollouts_is_unknown_and_not_zero_bits() -> None:
    with pytest.raises(DataError, match="unknown, not zero"):
        bits_to_solve([1, 0], [2, 0])


def test_the_chaining_gap_is_zero_where_parts_foretell_the_whole() -> None:
    level = chaining_gap([500, 500], [1000, 1000], 250, 1000)
    assert level.gap == pytest.approx(0, abs=0.05) and level.lo < 0 < level.hi
    better = chaining_gap([500, 500], [1000, 1000], 500, 1000)
    assert better.gap == pytest.approx(1, abs=0.05) and better.lo > 0
    assert chaining_gap([1, 1], [4, 4], 0, 20).gap == -np.inf


def test_forced_choices_are_summed_in_bits() -> None:
    assert choice_bits([0.5, 0.25, 1.0]) == pytest.approx(3.0)
    with pytest.raises(DataError):
        choice_bits([])


def test_a_flat_curve_is_a_plateau_and_a_rising_one_is_not() -> None:
    flat = elicitation_curve([1, 2, 4, 8], [0.0, 1.0, 1.2, 1.22], [0.05] * 4)
    assert flat.plateau == "plateau" and flat.gap < 0.15 and flat.gap_ucb < 0.4
    rising = elicitation_curve([1, 2, 4, 8], [0.0, 1.0, 2.0, 3.0], [0.1] * 4)
    assert rising.plateau == "rising" and rising.gap > 1.0 and rising.gap_ucb >= rising.gap
    noisy = elicitation_curve([1, 2], [0.0, 0.2], [0.5, 0.5])
    assert noisy.plateau == "unresolved" and noisy.gap_ucb > 1.0


def test_a_gap_is_never_negative() -> None:
    falling = elicitation_curve([1, 2, 4], [1.0, 0.5, 0.2], [0.1] * 3)
    assert falling.gap == 0.0 and falling.gap_ucb >= 0.0
    with pytest.raises(DataError, match="two efforts"):
        elicitation_curve([2, 2], [0.0, 1.0], [0.1, 0.1])


def mean_of_models(stacked: np.ndarray) -> np.ndarray:
    means, weight = stacked[:, 0], stacked[:, 1]
    return np.asarray((means * weight).sum(axis=1) / weight.sum(axis=1))


def test_crossed_intervals_cover_where_item_resampling_does_not() -> None:
    rng = np.random.default_rng(0)
    crossed = items_only = 0
    for seed in range(60):
        ability, ease = rng.normal(0, 1, 14), rng.normal(0, 1, 30)
        table = ability[:, None] + ease[None, :] + rng.normal(0, 0.5, (14, 30))
        found = crossed_bootstrap(table, mean_of_models, n_boot=300, seed=seed)
        crossed += found.lo <= 0 <= found.hi
        item_means = table.mean(axis=0)
        se = item_means.std(ddof=1) / np.sqrt(30)
        items_only += abs(item_means.mean()) <= 1.645 * se
    assert crossed >= 48 and crossed > items_only


def test_few_models_are_not_resampled_and_the_method_says_so() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(0, 1, (5, 20))
    assert crossed_bootstrap(table, mean_of_models).method == "student-t over models"
    big = rng.normal(0, 1, (12, 20))
    assert crossed_bootstrap(big, mean_of_models).method == "crossed bootstrap"
    six = [f"f{i % 6}" for i in range(12)]
    assert crossed_bootstrap(big, mean_of_models, family=six).method == "crossed bootstrap by model family"
    three = [f"f{i % 3}" for i in range(12)]
    assert crossed_bootstrap(big, mean_of_models, family=three).method == "student-t over models"
