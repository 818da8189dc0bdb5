"""Survival beyond the data: forms with weak priors, tails, deployment risk, universality."""

from __future__ import annotations

import numpy as np
import pytest

from dangercurve._errors import DataError
from dangercurve.analysis.survival.forms import FORMS, fit_forms, inverse_survival, log_survival
from dangercurve.analysis.survival.gumbel import gumbel_tail
from dangercurve.analysis.survival.risk import deployment_risk, exponential_persistence
from dangercurve.analysis.survival.universal import universality


def attempts(truth: str, n: int, budget: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([11, seed])
    t = rng.exponential(400.0, n)
    if truth == "heavy":
        t = 300 * (1 / rng.random(n) - 1) ** (1 / 0.8)
    if truth == "unbreakable":
        t = np.where(rng.random(n) < 0.4, np.inf, rng.exponential(150.0, n))
    t = np.ceil(t)
    return np.where(t <= budget, t - 1, budget), np.where(t <= budget, t, np.inf)


@pytest.mark.parametrize(
    ("truth", "wanted"),
    [
        ("exponential", np.exp(-1000 / 400)),
        ("heavy", 1 / (1 + (1000 / 300) ** 0.8)),
        ("unbreakable", 0.4 + 0.6 * np.exp(-1000 / 150)),
    ],
)
def test_pooled_intervals_hold_the_truth_beyond_the_budget(truth: str, wanted: float) -> None:
    inside = 0
    for seed in range(12):
        found = fit_forms(*attempts(truth, 120, 500, seed), discrete=True, n_draws=400, seed=seed).survival(
            1000
        )
        assert found.lcb is not None and found.ucb is not None
        inside += found.lcb <= wanted <= found.ucb
    assert inside >= 8  # the benchmark has 200 a truth: twelve at .85 fall below eight 2 times in 100


def test_a_wrong_form_alone_misses_what_the_pool_holds() -> None:
    wanted, alone, pooled = 0.4 + 0.6 * np.exp(-1000 / 150), 0, 0
    for seed in range(8):
        found = fit_forms(*attempts("unbreakable", 120, 500, seed), discrete=True, n_draws=400, seed=seed)
        for form in ("weibull", None):
            reading = found.survival(1000, form)
            assert reading.lcb is not None and reading.ucb is not None
            hit = reading.lcb <= wanted <= reading.ucb
            alone, pooled = (alone + hit, pooled) if form else (alone, pooled + hit)
    assert pooled >= 6 and alone <= 3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_short_runs_stay_finite(seed: int) -> None:
    lower, upper = attempts("exponential", 12, 10, seed)
    upper[0], lower[0] = 3.0, 2.0
    found = fit_forms(lower, upper, discrete=True, n_draws=300, seed=seed)
    assert all(np.isfinite(f.z).all() and np.isfinite(f.log_evidence) for f in found.fits)
    reading = found.quantile()
    assert reading.estimate is None or 1 <= reading.estimate < 1e18
    assert reading.lcb is None or reading.lcb >= 1


def test_the_same_seed_gives_the_same_draws() -> None:
    data = attempts("heavy", 40, 200, 0)
    first, second = (fit_forms(*data, discrete=True, n_draws=200, seed=5) for _ in range(2))
    assert all(np.array_equal(a.z, b.z) for a, b in zip(first.fits, second.fits, strict=True))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("discrete", [True, False])
def test_survival_begins_at_one_never_rises_and_inverts(form: str, discrete: bool) -> None:
    lower, upper = attempts("exponential", 60, 300, 1)
    fit = fit_forms(lower, upper, discrete=discrete, forms=(form,), n_draws=50, seed=0).fits[0]
    curve = np.exp(log_survival(form, fit.z, np.array([0.0, 1, 10, 100, 1e4, 1e9]), discrete))
    assert np.allclose(curve[:, 0], 1) and (np.diff(curve, axis=1) <= 1e-12).all() and (curve >= 0).all()
    half = inverse_survival(fit, 0.5)
    known = np.isfinite(half) & (half < 1e8)
    at = np.array(
        [
            np.exp(log_survival(form, fit.z[i : i + 1], half[i : i + 1], discrete))[0, 0]
            for i in np.flatnonzero(known)
        ]
    )
    assert (at <= 0.5 + 1e-6).all() and known.any()


def test_clusters_count_once() -> None:
    lower, upper = attempts("exponential", 40, 300, 2)
    once = fit_forms(lower, upper, discrete=True, forms=("weibull",), n_draws=400, seed=0)
    often = fit_forms(
        np.tile(lower, 3),
        np.tile(upper, 3),
        weight=np.full(120, 1 / 3),
        discrete=True,
        forms=("weibull",),
        n_draws=400,
        seed=0,
    )
    assert np.allclose(once.fits[0].z.mean(axis=0), often.fits[0].z.mean(axis=0), atol=0.02)


@pytest.mark.parametrize(("lower", "upper"), [([], []), ([5.0], [4.0]), ([-1.0], [2.0]), ([np.nan], [2.0])])
def test_forms_refuse_what_is_no_interval(lower: list[float], upper: list[float]) -> None:
    with pytest.raises(DataError):
        fit_forms(lower, upper, discrete=True)


def queries(n: int, seed: int) -> np.ndarray:
    return -np.exp(
        -(-np.log(9.0) + 0.35 * np.random.default_rng(seed).gumbel(size=n))
    )  # log p with a Gumbel score


def test_the_worst_of_many_queries_is_forecast_from_few() -> None:
    inside, n = 0, 20_000
    for seed in range(20):
        found = gumbel_tail(queries(300, seed), [n], seed=seed).worst[0]
        inside += found.lcb <= float(np.exp(queries(n, seed + 1000).max())) <= found.ucb
        assert 0 < found.lcb < found.p_max < found.ucb < 1 and found.p_any >= found.p_any_lcb
    assert inside >= 15


@pytest.mark.parametrize(
    ("log_p", "said"),
    [
        ([-1.0] * 5, "at least 20"),
        ([-1.0] * 30, "all alike"),
        ([0.0] * 30, "strictly between"),
        ([np.nan] * 30, "strictly between"),
    ],
)
def test_a_tail_that_is_none_is_refused(log_p: list[float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        gumbel_tail(log_p, [100])


def exponential(mean: float):  # type: ignore[no-untyped-def]
    def curve(t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.exp(-t / mean), np.exp(-2 * t / mean), np.exp(-0.5 * t / mean)

    return curve


def test_deployment_risk_of_exponentials_is_the_known_integral() -> None:
    found = deployment_risk(
        exponential(200.0),
        exponential_persistence(50.0),
        horizon=2000,
        last=2000,
        attacks=100,
        harm=3,
        steps=4000,
    )
    assert found.p_breach == pytest.approx(50 / 250, rel=0.01) and found.risk == pytest.approx(
        300 * 50 / 250, rel=0.01
    )
    assert found.lcb == pytest.approx(50 / 450, rel=0.02) and found.ucb == pytest.approx(50 / 150, rel=0.02)
    assert found.beyond == pytest.approx(0.0, abs=1e-9)


def test_deployment_risk_is_unknown_where_attackers_outlast_the_data() -> None:
    found = deployment_risk(
        exponential(200.0), exponential_persistence(50.0), horizon=1000, last=20, extrapolates=False
    )
    assert found.p_breach is None and found.risk is None and 0 < found.ucb <= 1
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(DataError):
            exponential_persistence(bad)
    with pytest.raises(DataError, match="harm"):
        deployment_risk(
            exponential(2.0), exponential_persistence(5.0), horizon=10, last=10, attacks=1, harm=-1
        )


def test_universality_counts_attacks_and_not_rows() -> None:
    attack, secret = np.repeat(np.arange(10), 4), np.tile(np.arange(4), 10)
    found = universality((attack < 5).astype(float), attack, secret)
    assert (
        found.share.estimate == 0.5
        and found.full.estimate == 0.5
        and found.n_attacks == 10
        and found.rho > 0.8
    )
    mixed = universality((secret < 2).astype(float), attack, secret)
    assert mixed.share.estimate == 0.5 and mixed.full.estimate == 0.0
    with pytest.raises(DataError, match="two secrets"):
        universality([1.0, 0.0], ["a", "b"], ["s", "s"])
    with pytest.raises(DataError, match="0 or 1"):
        universality([0.5, 0.0], ["a", "a"], ["s", "t"])
