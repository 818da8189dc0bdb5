"""Scaling law and the law-or-noise test: known parameters, the optimum from one start, honest refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from dangercurve._errors import DataError
from dangercurve.analysis.law import HUBER, NAMES, fit_law, optimum, over_training
from dangercurve.analysis.predictable import law_or_noise

TRUTH = {"E": 1.8172, "A": 482.01, "B": 2085.43, "a": 0.3478, "b": 0.3658}


def losses(n: int = 240, noise: float = 0.01, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    size = 10 ** rng.uniform(7.8, 10.2, n)
    tokens = 10 ** rng.uniform(18.5, 21.5, n) / (6 * size)
    clean = TRUTH["E"] + TRUTH["A"] * size ** -TRUTH["a"] + TRUTH["B"] * tokens ** -TRUTH["b"]
    return size, tokens, clean * np.exp(rng.standard_t(4, n) * noise)


def test_the_law_is_recovered_exactly_without_noise() -> None:
    law = fit_law(*losses(noise=0.0))
    assert law.converged
    for name in NAMES:
        assert getattr(law, name) == pytest.approx(TRUTH[name], rel=1e-3)


def test_one_start_reaches_the_best_of_many_starts_of_another_optimiser() -> None:
    n, d, y = losses()
    law = fit_law(n, d, y)

    def objective(z: np.ndarray) -> float:
        with np.errstate(over="ignore"):
            r = np.abs(
                np.log(np.exp(z[0]) + np.exp(z[1]) * n ** -z[3] + np.exp(z[2]) * d ** -z[4]) - np.log(y)
            )
        return 1e6 * float(np.mean(np.where(r < HUBER, r * r / 2, HUBER * (r - HUBER / 2))))

    many = {"maxiter": 4000, "xatol": 1e-9, "fatol": 1e-12}
    starts = [(6.0, 7.0, 0.35), (4.0, 5.0, 0.3), (8.0, 9.0, 0.45)]
    best = min(
        optimize.minimize(objective, [0.5, p, q, a, a], method="Nelder-Mead", options=many).fun
        for p, q, a in starts
    )
    assert law.objective * 1e6 <= best * (1 + 1e-6)
    assert law.gradient < 1e-4


def test_bootstrap_intervals_hold_the_truth_and_depend_on_the_seed_alone() -> None:
    data = losses()
    first, again = fit_law(*data, n_boot=200, seed=3), fit_law(*data, n_boot=200, seed=3)
    assert np.array_equal(first.draws, again.draws)
    for name in NAMES:
        low, high = first.interval(name, 0.02)
        assert low < TRUTH[name] < high


def test_the_optimum_minimises_loss_at_the_budget() -> None:
    law = fit_law(*losses(noise=0.0))
    best = optimum(law, 1e23)
    assert 6 * best.n_params * best.tokens == pytest.approx(1e23)
    for factor in (0.8, 1.25):
        assert law.loss(best.n_params * factor, best.tokens / factor) > best.loss


def test_over_training_costs_nothing_at_the_optimum_and_something_beyond() -> None:
    law = fit_law(*losses(noise=0.0))
    best = optimum(law, 1e22)
    assert over_training(law, best.n_params, best.tokens) == pytest.approx((0.0, 1.0), abs=1e-6)
    penalty, wasted = over_training(law, best.n_params / 10, best.tokens * 10)
    assert penalty > 0 and wasted > 1.5


@pytest.mark.parametrize(
    ("n", "d", "loss", "message"),
    [
        ([1e8] * 3, [1e9] * 3, [3.0] * 3, "at least 6"),
        ([1e8] * 6, [1e9] * 6, [3.0, 2.0, np.nan, 2, 2, 2], "finite and positive"),
        (np.logspace(8, 10, 8), 20 * np.logspace(8, 10, 8), np.linspace(3, 2, 8), "token ratio"),
    ],
)
def test_data_that_cannot_identify_the_law_is_refused(
    n: object, d: object, loss: object, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        fit_law(n, d, loss)  # type: ignore[arg-type]


def straight(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    return np.asarray(np.polyval(np.polyfit(x, y, 1), new))


def test_a_trend_is_a_law_and_noise_is_noise() -> None:
    rng = np.random.default_rng(0)
    x = np.linspace(20, 24, 24)
    trend = law_or_noise(x, 0.1 * x - 2 + rng.normal(0, 0.01, 24), straight)
    noise = law_or_noise(x, rng.normal(0.5, 0.05, 24), straight)
    assert trend.verdict == "law" and trend.lo > 0.5 and trend.mae_curve < trend.mae_reference
    assert noise.verdict == "noise" and noise.skill < 0.1
    with pytest.raises(DataError, match="at least"):
        law_or_noise(x[:4], x[:4], straight)


def test_only_so_many_training_sets_are_tried() -> None:
    calls = 0

    def count(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        return np.full(new.size, y.mean())

    x = np.linspace(20, 24, 500)
    law_or_noise(x, x / 30, count, n_boot=50)
    assert 0 < calls <= 60
