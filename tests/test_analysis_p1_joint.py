"""The joint forecaster: exact derivatives, a sampler that samples, families that matter, honest answers on thin tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dangercurve._errors import DataError
from dangercurve.analysis.backtest import TARGET_COLUMNS
from dangercurve.analysis.hmc import sample_hmc, split_rhat
from dangercurve.analysis.joint import Settings, forecast_joint, forecast_with_posterior
from dangercurve.analysis.joint_design import training_design
from dangercurve.analysis.joint_fit import HELD, Effort, find_mode
from dangercurve.analysis.joint_model import JointModel, Prior

QUICK = Settings(
    links=(("gompertz", 1.0),), effort=Effort(chains=2, draws=60, warmup=40, rounds=2, leapfrog=10)
)


def table(seed: int = 0, n_families: int = 6, benchmarks: int = 3, spread: float = 0.4) -> pd.DataFrame:
    """SIMULATED: four sizes a family, logistic curves with a family effect shared by all benchmarks."""
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(n_families):
        effect = spread * rng.standard_normal()
        for size in range(4):
            N, D = 10 ** (8.3 + 0.5 * size + 0.1 * k), 3e11
            flops = 6 * N * D
            for j in range(benchmarks):
                eta = -1.0 + j + (0.8 + 0.3 * j) * (np.log10(flops) - 22 + effect)
                p = 0.25 + 0.75 / (1 + np.exp(-eta))
                rows.append((f"m{k}.{size}", f"f{k}", N, D, flops, f"b{j}", p, 0.25, 1000.0))
    columns = ["model", "model_family", "N", "D", "flops", "benchmark", "score", "chance", "n_items"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["score"] = np.clip(frame["score"] + 0.01 * rng.standard_normal(len(frame)), 0, 1)
    return frame


def split(frame: pd.DataFrame, cut: float = 1.5e21) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    small = frame["flops"] <= cut
    large = frame[~small].reset_index(drop=True)
    return frame[small].reset_index(drop=True), large[list(TARGET_COLUMNS)], large["score"].to_numpy()


@pytest.mark.parametrize("link", ["gompertz", "logit", "cloglog"])
def test_the_gradient_is_the_derivative_of_the_density(link: str) -> None:
    train, targets, _ = split(table())
    prior = Prior(noise_power=1.3)
    model = JointModel(training_design(train, targets, prior)[0], prior, link)
    rng = np.random.default_rng(1)
    z = 0.3 * rng.standard_normal((2, model.layout.size))
    gradient = model.log_density(z)[1]
    for k in rng.choice(model.layout.size, 50, replace=False):
        up, down = z.copy(), z.copy()
        up[:, k] += 1e-5
        down[:, k] -= 1e-5
        numeric = (model.log_density(up)[0] - model.log_density(down)[0]) / 2e-5
        assert np.allclose(gradient[:, k], numeric, rtol=1e-4, atol=1e-3)


def test_the_fisher_information_is_positive_definite_and_the_mode_is_one_given_the_scales() -> None:
    train, targets, _ = split(table())
    model = JointModel(training_design(train, targets, Prior())[0], Prior(), "gompertz")
    mode = find_mode(model, np.random.default_rng(0))
    assert np.linalg.eigvalsh(model.information(mode)).min() >= 1.0 - 1e-9
    gradient = model.log_density(mode[None])[1][0]
    for name in HELD:
        assert not mode[model.layout.blocks[name][0]].any()
        gradient[model.layout.blocks[name][0]] = 0.0
    step = np.linalg.solve(model.information(mode), gradient)
    assert float(gradient @ step) < 2.0


def test_the_sampler_finds_the_moments_of_a_known_density() -> None:
    sd = np.array([1.0, 0.2, 3.0])

    def density(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return -0.5 * ((z / sd) ** 2).sum(axis=1), -z / sd**2

    sample = sample_hmc(density, np.zeros((4, 3)), np.random.default_rng(0), n_warmup=300, n_draws=500)
    assert np.allclose(sample.flat.std(axis=0), sd, rtol=0.15)
    assert np.allclose(sample.flat.mean(axis=0) / sd, 0.0, atol=0.15)
    assert sample.rhat < 1.1


def test_rhat_sees_chains_that_disagree() -> None:
    rng = np.random.default_rng(0)
    assert split_rhat(rng.standard_normal((4, 200))) < 1.05
    assert split_rhat(rng.standard_normal((4, 200)) + 3 * np.arange(4)[:, None]) > 1.5


def test_the_same_seed_gives_the_same_bytes() -> None:
    train, targets, _ = split(table())
    assert np.array_equal(forecast_joint(train, targets, 3, QUICK), forecast_joint(train, targets, 3, QUICK))


def test_larger_models_are_predicted_better_than_by_the_last_value() -> None:
    train, targets, observed = split(table(spread=0.6))
    draws = forecast_joint(train, targets, 0, QUICK)
    mid = np.median(draws, axis=0)
    assert draws.min() >= 0
    assert draws.max() <= 1
    last = train.groupby("benchmark")["score"].max()
    carried = np.abs(targets["benchmark"].map(last).to_numpy() - observed).mean()
    assert np.abs(mid - observed).mean() < 0.85 * carried


def test_an_unseen_family_is_less_certain_than_a_known_one() -> None:
    train, targets, _ = split(table(spread=0.6))
    known = forecast_joint(train, targets, 0, QUICK).std(axis=0).mean()
    unseen = forecast_joint(train, targets.assign(model_family="new"), 0, QUICK).std(axis=0).mean()
    assert unseen > 1.1 * known


def test_no_score_of_a_target_is_read() -> None:
    train, targets, _ = split(table())
    with_score = targets.assign(score=0.123)
    assert np.array_equal(
        forecast_joint(train, targets, 1, QUICK), forecast_joint(train, with_score, 1, QUICK)
    )


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f: f[f["benchmark"] == "b0"], id="one benchmark"),
        pytest.param(lambda f: f.assign(model_family="one"), id="one family"),
        pytest.param(lambda f: f.assign(N=np.nan, D=np.nan), id="no parameters or tokens"),
        pytest.param(lambda f: f.assign(chance=np.nan, n_items=np.nan), id="no chance floor"),
        pytest.param(lambda f: f.assign(score=0.25), id="all at the floor"),
        pytest.param(lambda f: f.assign(score=1.0), id="all at 1"),
        pytest.param(lambda f: f.assign(score=0.0), id="all below the floor"),
        pytest.param(lambda f: f.assign(score=0.9 - 0.1 * (np.log10(f["flops"]) - 20)), id="falling"),
        pytest.param(lambda f: f[f["model"].str.endswith((".0", ".3"))], id="few models"),
    ],
)
def test_thin_and_odd_tables_get_a_finite_answer(change: object) -> None:
    assert callable(change)
    train, targets, _ = split(change(table(n_families=4)).reset_index(drop=True))
    draws, posteriors = forecast_with_posterior(train, targets, 0, QUICK)
    assert np.isfinite(draws).all()
    width = np.quantile(draws, 0.95, axis=0) - np.quantile(draws, 0.05, axis=0)
    assert (width >= 0).all()
    assert np.isfinite(posteriors[0].acceptance)


def test_a_falling_benchmark_may_rise_again() -> None:
    frame = table(n_families=4)
    fall = frame["benchmark"] == "b0"
    frame.loc[fall, "score"] = 0.6 - 0.05 * (np.log10(frame.loc[fall, "flops"]) - 20)
    train, targets, _ = split(frame)
    goal = targets[targets["benchmark"] == "b0"].assign(flops=2e22)
    low, high = np.quantile(forecast_joint(train, goal, 0, QUICK), [0.05, 0.95])
    assert low < train.loc[train["benchmark"] == "b0", "score"].max()
    assert high > train.loc[train["benchmark"] == "b0", "score"].max()


def test_what_the_sampler_cannot_hold_is_refused() -> None:
    train, targets, _ = split(table())
    with pytest.raises(DataError, match="needs training rows"):
        forecast_joint(train.iloc[:0], targets, 0)
    with pytest.raises(DataError, match="no training rows for benchmark 'x'"):
        forecast_joint(train, targets.assign(benchmark="x"), 0)
    with pytest.raises(DataError, match="split the table"):
        forecast_joint(pd.concat([train] * 200), targets, 0)
