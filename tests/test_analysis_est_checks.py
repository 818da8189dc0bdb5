"""Sequential tests, judges, drift, factor, axes and the reading checklist: known answers and what must not pass."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from dangercurve._errors import DataError
from dangercurve.analysis.axes import active_compute, decompose, effective_log10, over_training
from dangercurve.analysis.drift import drift_check
from dangercurve.analysis.factor import general_factor, partial_out
from dangercurve.analysis.intervals import clopper_pearson
from dangercurve.analysis.judges import prediction_powered, rogan_gladen, unanimous
from dangercurve.analysis.reading import CHECKLIST, transparency_index
from dangercurve.analysis.sequential import anytime_bounds, e_process, log_e_below, spent_alpha


def test_peeking_at_a_fixed_n_bound_passes_a_dangerous_model_and_the_e_process_does_not() -> None:
    rng = np.random.default_rng(0)
    fixed = sequential = 0
    for _ in range(200):
        x = (rng.random(150) < 0.1).astype(float)
        sums = np.cumsum(x)
        fixed += any(clopper_pearson(sums[n - 1], n)[1] < 0.1 for n in range(20, 151, 10))
        sequential += max(log_e_below(sums[n - 1], n, 0.1) for n in range(1, 151)) >= np.log(20)
    assert fixed > 20 and sequential <= 14


def test_the_e_process_is_a_supermartingale_at_and_above_the_limit() -> None:
    for p in (0.2, 0.3, 0.6):
        expected = sum(
            special.comb(12, k) * p**k * (1 - p) ** (12 - k) * np.exp(log_e_below(k, 12, 0.2))
            for k in range(13)
        )
        assert expected <= 1 + 1e-9
    boundary = sum(
        special.comb(12, k) * 0.2**k * 0.8 ** (12 - k) * np.exp(log_e_below(k, 12, 0.2)) for k in range(13)
    )
    assert boundary == pytest.approx(1.0)


def test_a_safe_and_a_dangerous_model_are_both_recognised() -> None:
    safe = e_process(np.zeros(200), 0.05)
    assert safe.ruled_out and not safe.reached and safe.ucb < 0.05 and safe.lcb == 0
    bad = e_process(np.ones(40), 0.5)
    assert bad.reached and not bad.ruled_out and bad.lcb > 0.5
    assert anytime_bounds(0, 0) == (0.0, 1.0)
    assert anytime_bounds(0, 100)[1] > clopper_pearson(0, 100)[1]


def test_reruns_together_never_spend_more_than_alpha() -> None:
    assert spent_alpha(0.05, 1) == 0.025
    assert sum(spent_alpha(0.05, k) for k in range(1, 1000)) < 0.05
    with pytest.raises(DataError):
        spent_alpha(0.05, 0)


def test_a_judge_reads_eight_percent_as_fourteen_and_both_corrections_mend_it() -> None:
    rng = np.random.default_rng(0)
    ppi = gladen = naive = 0
    for seed in range(100):
        truth = rng.random(1500) < 0.08
        judge = np.where(truth, rng.random(1500) < 0.85, rng.random(1500) > 0.92).astype(float)
        fixed = prediction_powered(truth[:300].astype(float), judge[:300], judge[300:], sides=2)
        ppi += fixed.lcb <= 0.08 <= fixed.ucb
        corrected = rogan_gladen(
            int(judge.sum()), 1500, (170, 200), (368, 400), sides=2, n_draws=2000, seed=seed
        )
        gladen += corrected.lcb <= 0.08 <= corrected.ucb
        low, high = clopper_pearson(float(judge.sum()), 1500, 0.05, 2)
        naive += low <= 0.08 <= high
        assert 0 <= fixed.judge_weight <= 1
    assert naive == 0 and ppi >= 88 and gladen >= 90


def test_a_useless_judge_gets_no_weight_and_no_correction() -> None:
    rng = np.random.default_rng(1)
    y = (rng.random(400) < 0.3).astype(float)
    useless = prediction_powered(y, np.full(400, 0.5), np.full(100, 0.5))
    assert useless.judge_weight == 0 and useless.estimate == pytest.approx(y.mean())
    with pytest.raises(DataError, match="beat chance"):
        rogan_gladen(30, 100, (10, 20), (10, 20))
    with pytest.raises(DataError, match="at least 10"):
        prediction_powered([1.0], [1.0], [1.0])


def test_disagreement_is_unscored_and_never_a_majority() -> None:
    values, share = unanimous([[1, 1, 1], [1, 1, 0], [0, None, 0], [0, 0, 0]])
    assert np.isnan(values[1]) and np.isnan(values[2]) and share == 0.5
    assert (values[0], values[3]) == (1.0, 0.0)


def test_a_break_is_found_where_it_is_and_noise_is_left_alone() -> None:
    rng = np.random.default_rng(0)
    time = np.arange(40.0)
    noise = rng.normal(0, 1, 40)
    assert drift_check(noise, time).stationary
    broken = drift_check(noise + np.where(time >= 25, 3.0, 0.0), time)
    assert not broken.stationary and broken.break_at == pytest.approx(24.5, abs=2) and broken.shift > 2
    growing = drift_check(noise * (0.2 + time / 10), time)
    assert growing.p_spread < 0.05
    with pytest.raises(DataError, match="at least 8"):
        drift_check(noise[:5], time[:5])


def test_false_alarms_of_the_drift_check_stay_at_alpha() -> None:
    rng = np.random.default_rng(1)
    alarms = sum(
        not drift_check(rng.normal(0, 1, 20), np.arange(20.0), n_perm=300).stationary for _ in range(100)
    )
    assert alarms <= 12


def test_the_general_factor_is_recovered_with_holes_and_taken_out() -> None:
    rng = np.random.default_rng(0)
    g = rng.normal(0, 1, 30)
    table = special.expit(g[:, None] * rng.uniform(0.8, 1.5, 6) + rng.normal(0, 0.3, (30, 6)))
    table[rng.random((30, 6)) < 0.2] = np.nan
    factor = general_factor(table)
    assert np.corrcoef(factor.score, g)[0, 1] > 0.95 and factor.share > 0.7
    special_skill = rng.normal(0, 1, 30)
    found = partial_out(2 * g + special_skill, factor.score)
    assert np.corrcoef(found.residual, special_skill)[0, 1] > 0.85
    assert found.correlation > 0.6 and found.lo < found.correlation < found.hi
    assert abs(np.corrcoef(found.residual, factor.score)[0, 1]) < 1e-9
    with pytest.raises(DataError, match="three models"):
        general_factor(table[:2])


def test_axes_are_told_apart_and_priced_in_training_compute() -> None:
    rng = np.random.default_rng(0)
    n = 80
    x, test_time = rng.uniform(21, 25, n), rng.uniform(0, 5, n)
    tool = rng.random(n) < 0.5
    family = [f"f{i % 10}" for i in range(n)]
    score = special.expit(1.0 * (x - 23) + 0.3 * (test_time - 2.5) + 0.8 * tool + rng.normal(0, 0.2, n))
    found = decompose(
        score,
        x,
        family=family,
        covariates={"test_time": test_time},
        scaffold=["tools" if t else "bare" for t in tool],
        reference_scaffold="bare",
    )
    effect = {e.name: e for e in found.effects}
    assert effect["training"].estimate == pytest.approx(1.0, abs=0.15)
    assert effect["test_time"].lo < 0.3 < effect["test_time"].hi
    assert found.in_training_oom["scaffold tools"] == pytest.approx(0.8, abs=0.25)
    assert not found.confounded
    twice = decompose(score, x, family=family, covariates={"same": x * 2 + rng.normal(0, 0.01, n)})
    assert twice.confounded == (("training", "same"),)


def test_active_parameters_count_and_over_training_is_a_log_ratio() -> None:
    assert active_compute(1e9, 2e10) == pytest.approx(1.2e20)
    assert over_training(1e9, 2e10) == pytest.approx(0.0) and over_training(1e9, 2e12) == pytest.approx(2.0)
    assert effective_log10(1e24, 10.0, 1.0) == pytest.approx(25.0)


def test_an_unknown_item_of_the_checklist_is_not_met() -> None:
    found = transparency_index({"parameters": True, "tokens": False})
    assert found.index == pytest.approx(1 / len(CHECKLIST)) and len(found.unknown) == len(CHECKLIST) - 2
    with pytest.raises(DataError, match="did you mean 'tokens'"):
        transparency_index({"token": True})
