"""Weibull AFT: lifelines' estimates, analytic derivatives, robust errors, and what cannot be identified."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from dangercurve._errors import DataError
from dangercurve.analysis.breach_table import BreachTable, check_breaches
from dangercurve.analysis.survival import aft as survival_aft
from dangercurve.analysis.survival.aft import weibull_aft
from dangercurve.analysis.survival.compare import accelerations
from dangercurve.analysis.survival.scale import scale_slope


def world(seed: int = 0, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    return x, np.exp(3 + 0.5 * x[:, 0] - 0.3 * x[:, 1] + np.log(rng.exponential(size=n)) / 1.4)


def test_right_censored_estimates_are_those_of_lifelines() -> None:
    from lifelines import WeibullAFTFitter

    x, t = world()
    effort, event = np.minimum(t, 40.0), t < 40
    ours = weibull_aft(effort, np.where(event, effort, np.inf), x, ("a", "b"))
    frame = pd.DataFrame({"t": effort, "e": event, "a": x[:, 0], "b": x[:, 1]})
    theirs = WeibullAFTFitter().fit(frame, "t", "e")
    wanted = [theirs.params_[("lambda_", k)] for k in ("Intercept", "a", "b")] + [
        theirs.params_[("rho_", "Intercept")]
    ]
    errors = [theirs.standard_errors_[("lambda_", k)] for k in ("Intercept", "a", "b")]
    assert np.allclose([*ours.beta, ours.log_rho], wanted, atol=5e-4)
    assert np.allclose(ours.se[:3], errors, atol=5e-4)
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood_, abs=1e-3)


def test_interval_and_left_censored_estimates_are_those_of_lifelines() -> None:
    from lifelines import WeibullAFTFitter

    x, t = world(1)
    lower = np.floor(t / 8) * 8
    upper = lower + 8
    cut = lower > 56
    lower[cut], upper[cut] = 64.0, np.inf
    assert (lower == 0).sum() > 20 and cut.sum() > 5  # left- and right-censored units are among them
    ours = weibull_aft(lower, upper, x, ("a", "b"))
    frame = pd.DataFrame({"lo": lower, "hi": upper, "a": x[:, 0], "b": x[:, 1]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = WeibullAFTFitter().fit_interval_censoring(frame, "lo", "hi")
    wanted = [theirs.params_[("lambda_", k)] for k in ("Intercept", "a", "b")] + [
        theirs.params_[("rho_", "Intercept")]
    ]
    assert np.allclose([*ours.beta, ours.log_rho], wanted, atol=5e-4)


def test_gradient_and_hessian_are_those_of_finite_differences() -> None:
    x, t = world(2, 60)
    lower = np.where(np.arange(60) % 4 == 0, 0.0, t * 0.7)
    upper = np.where(np.arange(60) % 4 == 1, np.inf, t)
    lower = np.where(np.arange(60) % 4 == 2, upper, lower)  # a fourth each: left, right, exact, interval
    data = survival_aft._prepare(lower, upper, np.column_stack([np.ones(60), x]), np.ones(60))
    theta = np.array([2.8, 0.3, -0.2, 0.2])
    _, gradient, hessian = survival_aft._derivatives(theta, data)
    step = 1e-5
    for i in range(4):
        ends = [survival_aft._derivatives(theta + s * step * np.eye(4)[i], data) for s in (1, -1)]
        assert gradient[i] == pytest.approx((ends[0][0] - ends[1][0]) / (2 * step), rel=1e-5)
        assert np.allclose(hessian[i], (ends[0][1] - ends[1][1]) / (2 * step), rtol=1e-4, atol=1e-4)
    assert np.allclose(survival_aft._scores(theta, data).sum(axis=0), gradient)


def test_repeats_in_a_cluster_do_not_narrow_the_robust_interval() -> None:
    x, t = world(3, 150)
    once = weibull_aft(t, t, x, ("a", "b"), cluster=range(150))
    twice = weibull_aft(
        np.repeat(t, 2),
        np.repeat(t, 2),
        np.repeat(x, 2, axis=0),
        ("a", "b"),
        cluster=np.repeat(np.arange(150), 2),
    )
    assert np.allclose(twice.se, once.se, rtol=0.15)
    naive = weibull_aft(np.repeat(t, 2), np.repeat(t, 2), np.repeat(x, 2, axis=0), ("a", "b"))
    assert (naive.se < 0.8 * twice.se).all()


def test_survival_and_its_bounds_follow_the_formula() -> None:
    x, t = world(4)
    fit = weibull_aft(t, t, x, ("a", "b"))
    row = [1.0, 0.2, -0.1]
    s = float(fit.survival([30.0], row)[0])
    low, high = fit.survival_bounds(30.0, row)
    assert low < s < high and s == pytest.approx(np.exp(-((30 / np.exp(3 + 0.1 + 0.03)) ** 1.4)), abs=0.05)


@pytest.mark.parametrize(
    ("lower", "upper", "why"),
    [
        ([10.0] * 8, [np.inf] * 8, "no breach was seen"),
        ([0.0] * 8, [1.0] * 8, "before the first look"),
        ([5.0] * 8, [5.0] * 8, "rises without end"),
        ([10.0], [10.0], "one effort alone"),
    ],
)
def test_what_the_data_do_not_say_is_not_identified(lower: list[float], upper: list[float], why: str) -> None:
    fit = weibull_aft(lower, upper)
    assert fit.status == "not_identified" and why in fit.why
    assert fit.factor("intercept").estimate is None and np.isnan(fit.log_rho)


@pytest.mark.parametrize(
    ("lower", "upper", "said"),
    [
        ([5.0], [4.0], "ends before it begins"),
        ([-1.0], [4.0], "not negative"),
        ([0.0], [np.inf], "says nothing"),
        ([np.nan], [1.0], "numbers"),
        ([], [], "one unit"),
    ],
)
def test_intervals_that_cannot_be_are_refused(lower: list[float], upper: list[float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        weibull_aft(lower, upper)


def test_a_covariate_with_one_value_or_said_twice_is_refused() -> None:
    with pytest.raises(DataError, match="one value"):
        weibull_aft([1.0, 2.0], [1.0, 2.0], [[3.0], [3.0]], ("a",))
    with pytest.raises(DataError, match="say the same"):
        weibull_aft([1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [[1, 2], [2, 4], [3, 6]], ("a", "b"))


def guarded(means: dict[str, float], n: int = 60, budget: float = 300.0, seed: int = 0) -> BreachTable:
    rng, rows = np.random.default_rng(seed), []
    for name, mean in means.items():
        for i, t in enumerate(np.ceil(rng.exponential(mean, n))):
            rows.append(
                {
                    "unit": f"{name}{i}",
                    "clock": "attempts",
                    "effort": min(t, budget),
                    "breached": int(t <= budget),
                    "safeguard": name,
                }
            )
    return check_breaches(pd.DataFrame(rows))


def test_the_acceleration_factor_of_a_safeguard_is_recovered() -> None:
    inside = 0
    for seed in range(40):
        found = accelerations(guarded({"rules": 40, "layered": 200}, seed=seed))[0][0]
        assert found.status == "identified" and found.lcb is not None and found.ucb is not None
        inside += found.lcb <= 5 <= found.ucb
    assert inside >= 32


def test_levels_that_both_safeguards_met_are_controls_and_nothing_is_controlled_twice() -> None:
    easy, hard = (
        guarded({"rules": 20, "layered": 60}),
        guarded({"rules": 160, "layered": 480}, budget=900.0, seed=1),
    )
    frame = pd.concat([easy.frame.assign(level=1, attacker="a"), hard.frame.assign(level=5, attacker="b")])
    frame = frame.assign(unit=[f"u{k}" for k in range(len(frame))], clock="attempts").drop(
        columns=["lower", "upper", "cluster"]
    )
    levels = accelerations(check_breaches(frame.assign(attacker="a")))[0][0]
    assert levels.controls == ("level=5",) and levels.lcb is not None and levels.ucb is not None
    assert levels.status == "identified" and levels.lcb < 3 < levels.ucb < 4.5
    both, notes = accelerations(check_breaches(frame))  # each attacker has a level of its own
    assert (
        both[0].controls == ("attacker=b",) and not notes and both[0].factor == pytest.approx(levels.factor)
    )


def test_a_safeguard_never_broken_has_a_lower_bound_and_no_number() -> None:
    found = accelerations(guarded({"rules": 40, "vault": 1e12}))[0][0]
    assert found.status == "not_identified" and found.factor is None and found.ucb is None
    assert found.lcb is not None and 20 < found.lcb < 2e4 and "never broken" in found.says
    other = accelerations(guarded({"rules": 40, "vault": 1e12}), baseline="vault")[0][0]
    assert other.ucb == pytest.approx(1 / found.lcb) and other.lcb is None
    with pytest.raises(DataError, match="did you mean 'vault'"):
        accelerations(guarded({"rules": 40, "vault": 1e12}), baseline="valt")


def attackers(slope: float, n_sizes: int, seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    x = np.repeat(np.linspace(20, 20 + 0.5 * (n_sizes - 1), n_sizes), 15)
    t = np.ceil(rng.exponential(200 * 10 ** (slope * (x - x.mean()))))
    return np.where(t <= 500, t - 1, 500), np.where(t <= 500, t, np.inf), x, np.arange(x.size)


@pytest.mark.parametrize("n_sizes", [5, 10])
def test_the_slope_against_compute_is_recovered(n_sizes: int) -> None:
    found = [scale_slope(*attackers(-0.4, n_sizes, seed)) for seed in range(40)]
    assert sum(f.lcb is not None and f.ucb is not None and f.lcb <= -0.4 <= f.ucb for f in found) >= 32
    assert sum(f.status == "identified" and "falls" in f.says for f in found) >= 35


def test_no_slope_is_not_identified_in_words() -> None:
    found = [scale_slope(*attackers(0.0, 5, seed)) for seed in range(20)]
    assert sum(f.status == "not_identified" and "either sign" in f.says for f in found) >= 16
    two = scale_slope([1.0, 2.0], [1.0, 2.0], [20.0, 24.0], ["a", "b"])
    assert two.status == "not_identified" and two.slope is None and "2 attacker sizes" in two.says
    never = scale_slope([9.0] * 6, [np.inf] * 6, [20, 21, 22, 23, 24, 25], range(6))
    assert never.status == "not_identified" and "no breach was seen" in never.says
