"""The method `dangercurve` of protocol P1: draws of a new model's score from the joint latent model.

A forecast may pool several links. Each draw is one possible world: its curves, its families, and for every target model an
ability of its own, a residual, and the error with which its compute is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from dangercurve._errors import DataError
from dangercurve.analysis.joint_design import Codes, Goal, target_design, training_design
from dangercurve.analysis.joint_fit import Effort, Posterior, sample_posterior
from dangercurve.analysis.joint_model import JointModel, Prior, basis, link
from dangercurve.analysis.scoring import FloatArray

MAX_TRAINING_CELLS = 4000
MAX_TARGET_CELLS = 100_000


@dataclass(frozen=True)
class Settings:
    """What the development protocol chose (docs/forecast-p1.md): priors, links with weights, sampling effort.

    A link of weight 0.5 contributes half as many draws as one of weight 1.
    `change_probability` is the prior probability that a benchmark whose training trend is flat or falling changes its
    regime, and rises like the others, somewhere beyond the training range.
    """

    prior: Prior = field(default_factory=Prior)
    links: tuple[tuple[str, float], ...] = (("gompertz", 1.0),)
    effort: Effort = field(default_factory=Effort)
    compute_log10_sd: float = 0.05
    change_probability: float = 0.3
    change_below: float = 0.25


def forecast_joint(
    train: pd.DataFrame, targets: pd.DataFrame, seed: int, settings: Settings | None = None
) -> FloatArray:
    """Predictive draws (n_draws, n_targets) of the score in [0, 1]; the same seed gives the same bytes.

    `train` and `targets` have the columns of a `ScoreTable` frame; of a target only model, model_family, N, D, flops,
    benchmark and n_items are read. Raises DataError on an empty table, on a target benchmark without training rows,
    and on tables beyond the sizes that the sampler holds.
    """
    return forecast_with_posterior(train, targets, seed, settings)[0]


def forecast_with_posterior(
    train: pd.DataFrame, targets: pd.DataFrame, seed: int, settings: Settings | None = None
) -> tuple[FloatArray, tuple[Posterior, ...]]:
    """As `forecast_joint`, with each link's posterior for its diagnostics."""
    chosen = settings or Settings()
    _check(train, targets)
    draws, posteriors = [], []
    streams = np.random.SeedSequence(seed).spawn(len(chosen.links))
    for (name, weight), stream in zip(chosen.links, streams, strict=True):
        first, second = stream.spawn(2)
        design, codes = training_design(train, targets, chosen.prior)
        model = JointModel(design, chosen.prior, name)
        effort = replace(chosen.effort, draws=max(int(chosen.effort.draws * weight), 1))
        posterior = sample_posterior(model, np.random.default_rng(first), effort)
        goal = target_design(targets, codes)
        draws.append(predict(model, posterior.draws, goal, codes, np.random.default_rng(second), chosen))
        posteriors.append(posterior)
    return np.concatenate(draws), tuple(posteriors)


def predict(
    model: JointModel,
    z: FloatArray,
    goal: Goal,
    codes: Codes,
    rng: np.random.Generator,
    settings: Settings,
) -> FloatArray:
    """Scores (n, cells) of new models: known families keep their effects, others are drawn; residual included."""
    q, d, p = model.transform(z), model.design, model.prior
    n, n_models = z.shape[0], goal.x.size
    F1, F2, G = _family_effects(model, z, goal, codes, rng)
    x = goal.x + settings.compute_log10_sd * rng.standard_normal((n, n_models))
    V1 = q.scale["V1"][:, None] * rng.standard_normal((n, n_models))
    V2 = q.scale["V2"][:, None] * rng.standard_normal((n, n_models))
    t = x + q.over[:, :1] * goal.over + F1[:, goal.family] + V1
    s = q.over[:, 1:] * goal.over + F2[:, goal.family] + V2
    i, j = goal.model, goal.benchmark
    inner = t[:, i] + q.c[:, j] * s[:, i] + G[:, goal.family[i], j] + departure(model, z, goal.x)[:, j, i]
    eta = q.a[:, j] + q.b[:, j] * inner + regime_change(model, z, goal.x, rng, settings)[:, j, i]
    g = link(eta, model.link)[0]
    mean = d.floor[j] + (q.ceiling - d.floor)[:, j] * g
    variance = (
        q.noise[:, j] ** 2 * (4 * g * (1 - g)) ** p.noise_power
        + mean * (1 - mean) / goal.n_items
        + p.noise_floor**2
    )
    return np.clip(mean + np.sqrt(variance) * rng.standard_normal(mean.shape), 0.0, 1.0)


def departure(model: JointModel, z: FloatArray, x: FloatArray) -> FloatArray:
    """Smooth departures of each benchmark at centred log10 compute `x` (m,) -> (n, benchmarks, m)."""
    q, get = model.transform(z), model.layout.get
    bump, bend = basis(x, model.design.bumps, model.design.knots, model.prior)
    return np.asarray(
        q.scale["bump"][:, None, None] * (get(z, "bump") @ bump.T)
        + q.scale["bend"][:, None, None] * (get(z, "bend") @ bend.T)
    )


def regime_change(
    model: JointModel, z: FloatArray, x: FloatArray, rng: np.random.Generator, settings: Settings
) -> FloatArray:
    """Latent rise (n, benchmarks, m) of benchmarks that leave a flat or falling trend, 0 elsewhere.

    Where a draw's latent slope over the last order of magnitude of training compute is below `change_below` times the
    typical slope, and the draw is chosen with `change_probability`, a typical slope sets in at a uniform point between
    half an order before and one and a half after the end of training.
    """
    q, p = model.transform(z), model.prior
    n, k = q.b.shape
    end = float(model.design.x.max())
    late = departure(model, z, np.array([end - 1.0, end]))
    slope = q.b * (1.0 + late[:, :, 1] - late[:, :, 0])
    typical = np.exp(p.b_log + p.b_log_sd * model.layout.get(z, "mean")[:, 1:])
    fresh = typical * np.exp(q.scale["b"][:, None] * rng.standard_normal((n, k)))
    onset = end + rng.uniform(-0.5, 1.5, (n, k))
    chosen = (slope < settings.change_below * typical) & (rng.random((n, k)) < settings.change_probability)
    hinge = 0.2 * np.logaddexp(0.0, (x - onset[:, :, None]) / 0.2)
    return np.asarray((chosen * fresh)[:, :, None] * hinge)


def _family_effects(
    model: JointModel, z: FloatArray, goal: Goal, codes: Codes, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """General and second factor (n, families), interaction (n, families, benchmarks): learned where seen, else drawn."""
    q, n, k = model.transform(z), z.shape[0], len(goal.families)
    n_benchmarks = len(codes.benchmarks)
    F1 = q.scale["F1"][:, None] * rng.standard_normal((n, k))
    F2 = q.scale["F2"][:, None] * rng.standard_normal((n, k))
    G = q.scale["G"][:, None, None] * rng.standard_normal((n, k, n_benchmarks))
    position = {int(pair): at for at, pair in enumerate(model.pairs)}
    for column, name in enumerate(goal.families):
        known = codes.families.get(name)
        if known is None:
            continue
        F1[:, column], F2[:, column] = q.F1[:, known], q.F2[:, known]
        for j in range(n_benchmarks):
            at = position.get(known * n_benchmarks + j)
            if at is not None:
                G[:, column, j] = q.G[:, at]
    return F1, F2, G


def _check(train: pd.DataFrame, targets: pd.DataFrame) -> None:
    if train.empty or targets.empty:
        raise DataError("the joint forecast needs training rows and targets")
    unknown = sorted(set(targets["benchmark"]) - set(train["benchmark"]))
    if unknown:
        raise DataError(f"no training rows for benchmark '{unknown[0]}': nothing to forecast from")
    if len(train) > MAX_TRAINING_CELLS or len(targets) > MAX_TARGET_CELLS:
        raise DataError(
            f"{len(train)} training and {len(targets)} target cells are more than the joint model holds "
            f"({MAX_TRAINING_CELLS} and {MAX_TARGET_CELLS}): split the table by benchmark"
        )
