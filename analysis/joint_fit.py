"""Posterior of the joint model: its mode by damped Newton steps, then Hamiltonian Monte Carlo around it.

The mode is the same from any start in practice, so the chains start in one place and the result is stable by seed. The
Fisher information, renewed as the chains leave the mode, preconditions the sampler.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dangercurve._errors import DataError
from dangercurve.analysis.hmc import sample_hmc
from dangercurve.analysis.joint_model import JointModel
from dangercurve.analysis.scoring import FloatArray

HELD = ("scale", "noise", "noise_mean")


@dataclass(frozen=True)
class Effort:
    """How long to sample: `chains` x `draws` kept, after `rounds` warm-ups of `warmup` steps.

    Chains that still disagree (`rhat_limit`) go on for up to `extra_rounds` more.
    """

    chains: int = 12
    draws: int = 300
    warmup: int = 100
    rounds: int = 3
    leapfrog: int = 16
    extra_rounds: int = 2
    rhat_limit: float = 1.5


@dataclass(frozen=True)
class Posterior:
    """Draws (n, size) in standardised parameters, mean acceptance and split R-hat of the log density."""

    draws: FloatArray
    acceptance: float
    rhat: float


def find_mode(model: JointModel, rng: np.random.Generator, max_steps: int = 60) -> FloatArray:
    """Mode (size,) given the scales and the noise at their prior centres, by Fisher scoring with a Levenberg term.

    At the joint mode the noise collapses, far from where the posterior's mass is; with the scales held it does not.
    Raises DataError where the density is not finite.
    """
    z = 0.1 * rng.standard_normal(model.layout.size)
    held = np.zeros(z.size, dtype=bool)
    for name in HELD:
        held[model.layout.blocks[name][0]] = True
    z[held] = 0.0
    value, gradient = model.log_density(z[None])
    if not np.isfinite(value[0]):
        raise DataError("the joint model cannot be evaluated on this table: check scores and compute")
    damping = 1.0
    for _ in range(max_steps):
        information = model.information(z)
        information[np.diag_indices(z.size)] += damping
        information[held, :], information[:, held] = 0.0, 0.0
        information[held, held] = 1.0
        step = np.linalg.solve(information, np.where(held, 0.0, gradient[0]))
        for shrink in (1.0, 0.3, 0.1, 0.03):
            trial = z + shrink * step
            with np.errstate(
                over="ignore", invalid="ignore", divide="ignore"
            ):  # a bad trial is refused below
                new, new_gradient = model.log_density(trial[None])
            if np.isfinite(new[0]) and new[0] > value[0]:
                break
        else:
            if damping > 1e3:
                break
            damping *= 10.0
            continue
        damping = max(damping * (0.3 if shrink == 1.0 else 2.0), 1e-3)
        gain = new[0] - value[0]
        z, value, gradient = trial, new, new_gradient
        if gain < 0.1:
            break
    return np.asarray(z)


def sample_posterior(model: JointModel, rng: np.random.Generator, effort: Effort) -> Posterior:
    """Draw from the joint posterior; deterministic by the generator's state."""
    mode = find_mode(model, rng)
    factor = np.linalg.cholesky(model.information(mode))
    noise = rng.standard_normal((effort.chains, mode.size))
    position = mode + 0.1 * np.linalg.solve(factor.T, noise.T).T
    for round_ in range(effort.rounds + effort.extra_rounds):
        last = round_ >= effort.rounds - 1
        factor = np.linalg.cholesky(model.information(position.mean(axis=0)))
        root = np.linalg.inv(factor)
        # single precision halves the cost; density and gradient are those of one and the same rounded map
        short = root.astype(np.float32)
        back = np.ascontiguousarray(short.T)

        def density(
            u: FloatArray, short: np.ndarray = short, back: np.ndarray = back
        ) -> tuple[FloatArray, FloatArray]:
            value, gradient = model.log_density((u.astype(np.float32) @ short).astype(float))
            return value, (gradient.astype(np.float32) @ back).astype(float)

        sample = sample_hmc(
            density,
            position @ factor,
            rng,
            n_warmup=effort.warmup,
            n_draws=effort.draws if last else 1,
            max_leapfrog=effort.leapfrog,
        )
        position = sample.draws[:, -1] @ root
        if last and not sample.rhat > effort.rhat_limit:
            break
    return Posterior(sample.flat @ root, sample.acceptance, sample.rhat)
