"""Curve fits: derivatives, known answers, honest draws of a new model, and words for what cannot be fitted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from dangercurve._errors import DataError
from dangercurve.analysis.batched import fit_batch
from dangercurve.analysis.curves import FORMS, fit_curve, fit_replicates

RNG = np.random.default_rng(0)
X = np.linspace(20.0, 23.0, 24)
FAMILY = [f"f{i % 6}" for i in range(24)]


def truth(x: np.ndarray, floor: float = 0.25) -> np.ndarray:
    return floor + (1 - floor) / (1 + np.exp(-1.3 * (x - 22.3)))


@pytest.mark.parametrize("name", FORMS)
def test_every_form_has_the_derivatives_it_states(name: str) -> None:
    form = FORMS[name]
    rng = np.random.default_rng(1)
    p = np.array(form.prior_mean)[None] + 0.1 * rng.standard_normal((1, len(form.parameters)))
    u, zero = np.linspace(-1.4, 1.6, 9)[None], np.zeros((1, 1))
    jacobian = form.evaluate(p, u, zero)[1]
    for k in range(p.shape[1]):
        step = np.zeros_like(p)
        step[0, k] = 1e-6
        numeric = (form.evaluate(p + step, u, zero)[0] - form.evaluate(p - step, u, zero)[0]) / 2e-6
        assert np.allclose(jacobian[k], numeric, atol=1e-5)


def test_the_batched_fit_finds_the_minimum_that_scipy_finds() -> None:
    form = FORMS["logistic"]
    u = X - 21.5
    y = truth(X) + 0.03 * RNG.standard_normal(24)
    mean, precision = np.array([-1.0, 1.0, 0.25, 1.0]), np.array([0.01, 0.02, 1.0, 0.3])
    weights = np.random.default_rng(2).multinomial(24, np.full(24, 1 / 24), 5).astype(float)

    def evaluate(p: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        return form.evaluate(p, x[None], np.zeros((1, 1)))

    ours = fit_batch(evaluate, u, y, weights, mean, precision, mean)
    assert ours.converged.all()
    for k in range(5):

        def residual(p: np.ndarray, w: np.ndarray = weights[k]) -> np.ndarray:
            value = form.evaluate(p[None], u[None], np.zeros((1, 1)))[0][0]
            return np.concatenate([np.sqrt(w) * (y - value), np.sqrt(precision) * (p - mean)])

        theirs = least_squares(residual, mean, xtol=1e-12, ftol=1e-12)
        assert np.allclose(ours.params[k], theirs.x, atol=1e-3)
        assert ours.objective[k] == pytest.approx(2 * theirs.cost, rel=1e-6)


def test_a_noiseless_logistic_is_recovered_and_extrapolated() -> None:
    fit = fit_curve(X, truth(X), floor=0.25, family=FAMILY)
    assert fit.predict([24.0])[0] == pytest.approx(truth(np.array([24.0]))[0], abs=0.01)
    assert fit.slope == pytest.approx(1.3, abs=0.05)


@pytest.mark.parametrize("name", [f for f in FORMS if FORMS[f].bounded])
def test_draws_stay_in_the_unit_interval_and_repeat_by_seed(name: str) -> None:
    y = np.clip(truth(X) + 0.05 * np.random.default_rng(3).standard_normal(24), 0, 1)
    fit = fit_curve(X, y, form=name, floor=0.25, family=FAMILY)
    value = fit.draws(200, seed=5).value([21.0, 24.0, 27.0])
    assert value.shape == (200, 3)
    assert value.min() >= 0
    assert value.max() <= 1
    assert np.array_equal(value, fit.draws(200, seed=5).value([21.0, 24.0, 27.0]))
    assert not np.array_equal(value, fit.draws(200, seed=6).value([21.0, 24.0, 27.0]))


def test_a_new_model_is_less_certain_than_the_mean_curve() -> None:
    y = np.clip(truth(X) + 0.05 * np.random.default_rng(3).standard_normal(24), 0, 1)
    draws = fit_curve(X, y, floor=0.25, family=FAMILY).draws(500)
    new, mean = draws.value([22.3]), draws.value([22.3], new_model=False)
    assert new.std() > 1.5 * mean.std()


def test_a_flat_curve_has_a_slope_of_either_sign() -> None:
    y = np.clip(0.25 + 0.01 * np.random.default_rng(4).standard_normal(24), 0, 1)
    slope = fit_curve(X, y, floor=0.0, family=FAMILY).draws(500).slope
    assert (slope <= 0).mean() > 0.025
    assert (slope > 0).mean() > 0.025


def test_new_family_intervals_cover_new_families() -> None:
    rng = np.random.default_rng(5)
    hits = []
    for k in range(40):
        shift = rng.normal(0, 0.4, 9)
        code = np.repeat(np.arange(9), 4)
        x = rng.uniform(20.5, 23, 36)
        p = 1 / (1 + np.exp(-(1.2 * (x - 22) + shift[code] + 0.15 * rng.standard_normal(36))))
        train = code < 8
        fit = fit_curve(x[train], p[train], floor=0.0, family=code[train].astype(str).tolist())
        lo, hi = np.quantile(fit.draws(300, seed=k).value(x[~train]), [0.05, 0.95], axis=0)
        hits.append(((lo <= p[~train]) & (p[~train] <= hi)).mean())
    assert 0.8 <= np.mean(hits) <= 0.99


def test_few_models_use_student_draws_and_say_so() -> None:
    assert fit_curve(X[::5], truth(X[::5]), floor=0.25).method == "student-t"
    assert fit_curve(X, truth(X), floor=0.25, family=FAMILY).method == "family bootstrap"


@pytest.mark.parametrize("level", [0.0, 0.25, 1.0])
def test_all_scores_alike_give_a_finite_flat_answer(level: float) -> None:
    fit = fit_curve(X, np.full(24, level), floor=0.25 if level else 0.0, family=FAMILY)
    value = fit.draws(100).value([24.0])
    assert np.isfinite(value).all()
    assert abs(np.median(value) - level) < 0.1


def test_an_unknown_floor_is_inferred_and_flagged() -> None:
    fit = fit_curve(X, truth(X), family=FAMILY)
    assert any("inferred" in flag for flag in fit.flags)


@pytest.mark.parametrize(
    ("x", "y", "form", "words"),
    [
        ([21, 22], [0.2, 0.3], "logistic", "needs 4 points"),
        ([21, 22, 23, np.nan], [0.2, 0.3, 0.4, 0.5], "logistic", "finite"),
        ([21, 22, 23, 24], [0.2, 0.3, 0.4, 1.5], "logistic", "in \\[0, 1\\]"),
        ([22, 22, 22, 22], [0.2, 0.3, 0.4, 0.5], "logistic", "same compute"),
        ([21, 22, 23], [0.2, 0.3, 0.4, 0.5], "logistic", "one length"),
        ([21, 22, 23, 24], [0.2, 0.3, 0.4, 0.5], "logistics", "did you mean 'logistic'"),
    ],
)
def test_what_cannot_be_fitted_is_said(x: list[float], y: list[float], form: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        fit_curve(x, y, form=form)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_replicates_do_not_depend_on_their_block(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(24, np.full(24, 1 / 24), 6).astype(float)
    y = np.clip(truth(X) + 0.05 * rng.standard_normal(24), 0, 1)
    all_at_once = fit_replicates(FORMS["gompertz"], X - 21.5, y, weights, 0.05).params
    alone = fit_replicates(FORMS["gompertz"], X - 21.5, y, weights[2:3], 0.05).params
    assert np.allclose(all_at_once[2], alone[0], atol=1e-8)
