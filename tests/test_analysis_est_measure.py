"""Horizon, ability and index: recovered truths, and ends of the ladder that stay open."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from dangercurve._errors import DataError
from dangercurve.analysis.ability import fit_ability
from dangercurve.analysis.index import benchmark_index
from dangercurve.analysis.measure import success_horizon


def runs(
    rng: np.random.Generator, horizon: float, n: int = 45, floor: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    x = np.repeat(np.arange(9.0), n // 9)
    p = floor + (1 - floor) * special.expit(horizon - x)
    return x, (rng.random(x.size) < p).astype(float)


def test_the_horizon_is_found_in_plenty_of_data() -> None:
    x, y = runs(np.random.default_rng(0), 4.3, 9000)
    h50 = success_horizon(x, y, np.arange(x.size))
    h80 = success_horizon(x, y, np.arange(x.size), level=0.8)
    assert h50.estimate == pytest.approx(4.3, abs=0.1) and h50.steps == pytest.approx(2**h50.estimate)
    assert h80.estimate == pytest.approx(4.3 - np.log(4), abs=0.1)
    assert h50.slope == pytest.approx(1.0, abs=0.1)


def test_horizon_bounds_cover_what_they_claim() -> None:
    rng = np.random.default_rng(3)
    fits = [success_horizon(x, y, np.arange(x.size)) for x, y in (runs(rng, 4.0) for _ in range(150))]
    assert stats.binom.cdf(sum(f.ucb >= 4 for f in fits), 150, 0.95) > 0.01
    assert stats.binom.cdf(sum(f.lcb <= 4 for f in fits), 150, 0.95) > 0.01


def test_all_successes_are_a_ceiling_with_a_lower_bound_only() -> None:
    fit = success_horizon(np.repeat(np.arange(5.0), 8), np.ones(40), np.arange(40))
    assert fit.status == "ceiling" and fit.ucb == np.inf and np.isfinite(fit.lcb) and np.isnan(fit.estimate)


def test_all_failures_are_a_floor_with_an_upper_bound_only() -> None:
    fit = success_horizon(np.repeat(np.arange(5.0), 8), np.zeros(40), np.arange(40))
    assert fit.status == "floor" and fit.lcb == -np.inf and fit.ucb < 0.5


def test_a_chance_floor_above_the_level_identifies_nothing() -> None:
    assert success_horizon([0.0, 1.0], [1.0, 0.0], [0, 1], 0.5).status == "not_identified"
    assert success_horizon([], [], []).status == "not_identified"


def test_guessing_at_the_floor_does_not_lengthen_the_horizon() -> None:
    x, y = runs(np.random.default_rng(5), 3.0, 4500, floor=0.25)
    with_floor = success_horizon(x, y, np.arange(x.size), 0.25)
    truth = 3.0 - special.logit((0.5 - 0.25) / 0.75)
    assert with_floor.lcb < truth < with_floor.ucb


def test_repeated_epochs_do_not_narrow_the_horizon() -> None:
    x, y = runs(np.random.default_rng(1), 4.0)
    once = success_horizon(x, y, np.arange(x.size))
    again = success_horizon(np.repeat(x, 5), np.repeat(y, 5), np.repeat(np.arange(x.size), 5))
    assert (again.lcb, again.ucb) == pytest.approx((once.lcb, once.ucb)) and again.n_rows == 5 * once.n_rows


def test_a_missing_success_is_refused() -> None:
    with pytest.raises(DataError, match="success"):
        success_horizon([1.0, 2.0], [1.0, np.nan], [0, 1])


def test_ability_recovers_the_order_and_the_scale_of_known_models() -> None:
    rng = np.random.default_rng(0)
    theta = rng.normal(size=14)
    rows = []
    for m, t in enumerate(theta):
        for name, slope, start, chance in (("a", 1.0, -1.0, 0.0), ("b", 1.5, 0.0, 0.25)):
            for level in range(6):
                p = chance + (1 - chance) * special.expit(slope * (t - start - 0.4 * level))
                rows += [
                    (f"m{m:02d}", name, level, float(rng.random() < p), f"{name}{level}-{i}")
                    for i in range(15)
                ]
    fit = fit_ability(*(list(column) for column in zip(*rows, strict=True)), chance={"b": 0.25})
    assert fit.converged and np.corrcoef(fit.theta, theta)[0, 1] > 0.97
    assert np.mean(np.abs(fit.theta - theta) < 2 * fit.theta_se) >= 0.8
    assert fit.difficulty[5] > fit.difficulty[0]
    capped = fit_ability(
        *(list(column) for column in zip(*rows, strict=True)), chance={"b": 0.25}, free_ceiling=True
    )
    assert capped.ceiling.min() > 0.9


def test_the_index_hits_its_anchors_and_recovers_an_affine_truth() -> None:
    rng = np.random.default_rng(2)
    x, d = rng.normal(0, 2, 12), rng.normal(0, 1, 8)
    keep = rng.random((12, 8)) < 0.6
    m, b = np.nonzero(keep)
    score = special.expit(x[m] - d[b])
    index = benchmark_index([f"m{i}" for i in m], [f"b{i}" for i in b], score, {"m0": 100.0, "m1": 130.0})
    assert index["m0"] == pytest.approx(100) and index["m1"] == pytest.approx(130)
    truth = 100 + 30 * (x - x[0]) / (x[1] - x[0])
    assert np.corrcoef([index[f"m{i}"] for i in range(12)], truth)[0, 1] > 0.98


def test_an_index_over_unconnected_models_is_refused() -> None:
    with pytest.raises(DataError, match="share no benchmark"):
        benchmark_index(["a", "b"], ["x", "y"], [0.5, 0.6], {"a": 0.0, "b": 1.0})
    with pytest.raises(DataError, match="anchor"):
        benchmark_index(["a", "b"], ["x", "x"], [0.5, 0.6], {"a": 0.0})
