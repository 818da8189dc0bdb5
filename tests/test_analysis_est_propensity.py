"""Propensities and twins: capability-conditioned, paired, and silent where there is no evidence."""

from __future__ import annotations

import numpy as np
import pytest

from dangercurve._errors import DataError
from dangercurve.analysis.propensity import (
    bunching_test,
    conditional_rate,
    deception_likelihood,
    discrimination,
    inversion_rate,
    net_rate,
)
from dangercurve.analysis.sandbagging import sandbagging_gap
from dangercurve.analysis.twins import imitation_index, robustness

N = 60
KEYS = [f"i{i}" for i in range(N)]


def test_an_incapable_model_is_no_evidence_and_never_safe() -> None:
    found = conditional_rate(np.zeros(N), np.ones(N), np.zeros(N), KEYS)
    assert found.status == "no_evidence" and np.isnan(found.estimate)
    assert (found.lcb, found.ucb, found.n_opportunity) == (0.0, 1.0, N)


def test_deception_counts_only_those_who_knew() -> None:
    knew = np.arange(N) < 20
    lied = (np.arange(N) < 10) | (np.arange(N) > 50)
    found = deception_likelihood(lied, np.ones(N), knew, KEYS)
    assert found.likelihood.estimate == pytest.approx(0.5) and found.likelihood.n_instances == 20
    assert found.knowledge.estimate == pytest.approx(20 / 60)
    assert found.joint.estimate == pytest.approx(10 / 60)


def test_no_lie_among_n_who_knew_has_the_exact_bound() -> None:
    found = conditional_rate(np.zeros(59), np.ones(59), np.ones(59), list(range(59)))
    assert found.ucb == pytest.approx(1 - 0.05 ** (1 / 59))


def test_accidents_are_taken_off_subversion_and_only_pairs_count() -> None:
    tamper = (np.arange(N) % 2).astype(float)
    accident = (np.arange(N) % 10 == 1).astype(float)
    found = net_rate(tamper, KEYS, accident[:50], KEYS[:50])
    assert found.n_instances == 50 and found.estimate == pytest.approx(0.5 - 0.1)
    assert found.lcb > 0.2 and found.p_value < 0.001
    assert net_rate(tamper, KEYS, accident, KEYS, competent=[]).status == "no_evidence"


def test_a_sandbagger_shows_a_gap_and_an_honest_weak_model_does_not() -> None:
    rng = np.random.default_rng(0)
    none = {k: 0.8 + 0.1 * float(rng.standard_normal() > 0) for k in KEYS}
    neutral = {k: v - 0.05 for k, v in none.items()}
    sandbagged = dict.fromkeys(KEYS, 0.4)
    found = sandbagging_gap(neutral, sandbagged, none, threshold=0.5)
    assert found.net.estimate == pytest.approx(np.mean(list(neutral.values())) - 0.4)
    assert found.raw is not None and found.placebo is not None
    assert found.raw.estimate - found.placebo.estimate == pytest.approx(found.net.estimate)
    weak = sandbagging_gap(
        dict.fromkeys(KEYS, 0.2), dict.fromkeys(KEYS, 0.2), dict.fromkeys(KEYS, 0.2), threshold=0.5
    )
    assert weak.net.status == "no_evidence" and weak.n_gated == N
    honest = sandbagging_gap(neutral, neutral, none, threshold=0.5)
    assert honest.net.estimate == 0 and honest.net.lcb < 0 < honest.net.ucb


def test_the_placebo_takes_off_what_any_memo_does() -> None:
    rng = np.random.default_rng(1)
    none = {k: float(rng.random() < 0.9) for k in KEYS}
    memo = {k: v * float(rng.random() < 0.7) for k, v in none.items()}
    other = {k: v * float(rng.random() < 0.7) for k, v in none.items()}
    found = sandbagging_gap(memo, other, none, threshold=0.5)
    assert found.raw is not None and found.raw.lcb > 0.1
    assert found.net.lcb < 0


def test_bunching_is_tested_from_fifty_episodes_on() -> None:
    rng = np.random.default_rng(0)
    smooth = rng.uniform(0, 1, 200)
    crowd = np.where(smooth > 0.5, np.where(rng.random(200) < 0.7, 0.48, smooth), smooth)
    assert bunching_test(smooth[:49], 0.5, 0.1).status == "too_few"
    assert bunching_test(crowd, 0.5, 0.1).p_value < 1e-6
    assert bunching_test(smooth, 0.5, 0.1).p_value > 0.01
    assert bunching_test(crowd, 0.5, 0.1, reference=smooth).p_value < 1e-6
    assert bunching_test(crowd, 0.5, 0.1, reference=smooth[:20]).status == "too_few"


def test_easy_wrong_and_hard_right_is_an_inversion() -> None:
    assert inversion_rate([0, 0, 1, 1], [0, 0, 1, 1]) == 1.0
    assert inversion_rate([1, 1, 0, 0], [0, 0, 1, 1]) == 0.0
    assert np.isnan(inversion_rate([1, 0], [0, 0]))


def test_discrimination_is_half_by_chance_and_one_when_perfect() -> None:
    rng = np.random.default_rng(0)
    truth = np.tile([True, False], 100)
    keys = np.repeat(np.arange(100), 2)
    chance = discrimination(rng.random(200), truth, keys)
    assert chance.lcb < 0.5 < chance.ucb
    perfect = discrimination(np.where(truth, 0.9, 0.1), truth, keys)
    assert perfect.auroc == 1.0 and perfect.brier == pytest.approx(0.01)
    with pytest.raises(DataError, match="both kinds"):
        discrimination([0.5], [True], ["a"])


def test_a_template_matcher_has_index_one_and_an_understander_zero() -> None:
    rng = np.random.default_rng(0)
    surface = {k: float(rng.random() < 0.9) for k in KEYS}
    assert imitation_index(surface, dict.fromkeys(KEYS, 0.1), 0.1).estimate == pytest.approx(1.0)
    same = imitation_index(surface, surface, 0.1)
    assert same.estimate == 0 and same.lcb == 0
    assert imitation_index(dict.fromkeys(KEYS, 0.15), dict.fromkeys(KEYS, 0.1), 0.1).status == "NA"


def test_the_minimum_over_twins_is_not_biased_down_and_its_bound_is_simultaneous() -> None:
    rng = np.random.default_rng(2)
    corrected, plain, covered = [], [], 0
    for seed in range(60):
        base = {k: float(rng.random() < 0.7) for k in KEYS}
        twins = {t: {k: float(rng.random() < 0.7) for k in KEYS} for t in "abcd"}
        found = robustness(base, twins, n_boot=300, seed=seed)
        corrected.append(found.estimate)
        s = np.mean(list(base.values()))
        plain.append(min(np.mean(list(t.values())) for t in twins.values()) / s)
        covered += found.lcb <= 1.0
    assert abs(np.mean(corrected) - 1) < abs(np.mean(plain) - 1)
    assert covered >= 54
    assert robustness(dict.fromkeys(KEYS, 0.05), {"a": dict.fromkeys(KEYS, 0.05)}).status == "NA"
