"""Numbers of a monitor with known answers: AUROC, TPR at an FPR, partial area, audit frontier, attack capability."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from dangercurve._errors import DataError
from dangercurve.analysis.monitoring import (
    attack_capability,
    audit_frontier,
    auroc,
    monitor_quality,
    partial_auc,
    roc,
    tpr_at_fpr,
)

ATTACK, HONEST = [0.9, 0.8, 0.5, 0.5, 0.1], [0.7, 0.5, 0.3, 0.2, 0.1, 0.0]


def test_auroc_is_the_mann_whitney_statistic() -> None:
    u = stats.mannwhitneyu(ATTACK, HONEST).statistic
    assert auroc(ATTACK, HONEST) == pytest.approx(u / (len(ATTACK) * len(HONEST)))
    assert auroc([1, 1], [0, 0]) == 1.0
    assert auroc([0], [1]) == 0.0
    assert auroc([1, 1], [1, 1]) == 0.5


def test_the_area_under_the_roc_is_the_auroc() -> None:
    fpr, tpr = roc(ATTACK, HONEST)
    assert np.trapezoid(tpr, fpr) == pytest.approx(auroc(ATTACK, HONEST))


def test_tpr_at_an_fpr_takes_no_threshold_that_exceeds_it_and_needs_enough_honest_work() -> None:
    honest = [k / 100 for k in range(100)]
    assert tpr_at_fpr([0.99, 0.985, 0.98], honest, 0.01) == pytest.approx(
        2 / 3
    )  # a threshold at .98 costs 2 %
    assert tpr_at_fpr([1.5, 0.2], honest, 0.01) == 0.5
    assert math.isnan(tpr_at_fpr([1.0], honest[:99], 0.01))
    assert tpr_at_fpr([0.5] * 4, [0.5] * 20, 0.05) == 0.0  # all equal: any threshold flags all honest work


def test_partial_area_is_half_at_chance_and_one_where_all_attacks_rank_above() -> None:
    honest = [float(k) for k in range(200)]
    assert partial_auc([1000.0] * 5, honest) == pytest.approx(1.0)
    assert partial_auc(honest, honest) == pytest.approx(0.5, abs=0.01)
    # by hand: TPR .5 from FPR 0 on: A = .025; (A - .00125) / (.05 - .00125) = .48718; half of one plus that
    assert partial_auc([1000.0, -1.0], honest) == pytest.approx(0.5 * (1 + (0.025 - 0.00125) / 0.04875))
    assert math.isnan(partial_auc([1.0], [0.0] * 19))


def test_an_empty_side_is_an_error_and_never_a_number() -> None:
    with pytest.raises(DataError, match="one kind is missing"):
        auroc([], [1.0])
    with pytest.raises(DataError, match="unreadable"):
        auroc([math.nan], [1.0])
    with pytest.raises(DataError, match="one kind is missing"):
        monitor_quality([math.nan, 1.0], [True, False], ["a", "b"])


def test_the_frontier_by_hand() -> None:
    """Two attacks and eight honest, attacks 20 % of the traffic: every transcript weighs a tenth."""
    suspicion = [9, 1, 8, 7, 6, 5, 4, 3, 2, 0]
    is_attack, useful = [True, True, *[False] * 8], [0, 0, 1, 1, 1, 1, 1, 1, 0, 0]
    points = audit_frontier(suspicion, is_attack, useful, (0.0, 0.1, 0.2, 0.25, 0.9, 1.0), prevalence=0.2)
    assert [round(p.caught, 6) for p in points] == [0.0, 0.5, 0.5, 0.5, 1.0, 1.0]
    assert [round(p.kept, 6) for p in points] == [1.0, 1.0, round(5 / 6, 6), 0.75, 0.0, 0.0]


def test_a_blind_monitor_catches_what_the_budget_buys_and_no_more() -> None:
    points = audit_frontier([5.0] * 20, [True] * 5 + [False] * 15, [0] * 5 + [1] * 15)
    assert all(p.caught == pytest.approx(p.budget) for p in points)
    assert all(p.kept == pytest.approx(1 - p.budget) for p in points)


def test_an_unreadable_answer_is_the_worst_case() -> None:
    suspicion = [90.0, math.nan, 10.0, math.nan]
    found = monitor_quality(suspicion, [True, True, False, False], ["a", "b", "c", "d"], n_boot=50)
    assert (found.auroc.estimate, found.worst_case_auroc, found.n_unread) == (1.0, 0.25, 2)
    (point,) = audit_frontier(suspicion, [True, True, False, False], [0, 0, 1, 1], (0.5,), 0.5)
    assert point.caught == 0.5  # the unread honest one first, then the attack at 90, never the unread attack
    assert point.kept == 0.5


def test_a_perfect_score_on_few_instances_is_no_certainty() -> None:
    found = monitor_quality(
        [1.0] * 10 + [0.0] * 10, [True] * 10 + [False] * 10, [*range(10), *range(10)], n_boot=50
    )
    assert found.auroc.estimate == 1.0
    assert found.auroc.lcb == pytest.approx(0.05 ** (1 / 10))


def test_auroc_bounds_hold_about_as_often_as_they_claim() -> None:
    """Paired instances with a shared effect; true AUROC of N(1, 1) against N(0, 1) is Phi(1 / sqrt 2)."""
    truth, rng, n = stats.norm.cdf(1 / math.sqrt(2)), np.random.default_rng(4), 60
    low = high = 0
    for seed in range(200):
        shared = rng.normal(0, math.sqrt(0.5), n)
        attack, honest = (m + shared + rng.normal(0, math.sqrt(0.5), n) for m in (1.0, 0.0))
        found = monitor_quality(
            np.concatenate([attack, honest]),
            [True] * n + [False] * n,
            [*range(n), *range(n)],
            n_boot=200,
            seed=seed,
        )
        low += found.auroc.lcb <= truth
        high += found.auroc.ucb >= truth
    assert min(low, high) >= 180  # each claims 95 %: 190 expected, 180 is three standard errors below


def test_attack_capability_counts_the_incapable() -> None:
    rate = attack_capability([1, 0, 0, 1], ["a", "b", "c", "d"])
    assert (rate.estimate, rate.n_instances) == (0.5, 4)
