"""Hamiltonian Monte Carlo over several chains at once, for posteriors whose parameters are standard normal a priori.

Step size by dual averaging, a diagonal metric from the warm-up, a random number of leapfrog steps. Source: Neal
(2011); Hoffman and Gelman (2014) for the dual averaging.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dangercurve._errors import DataError
from dangercurve.analysis.scoring import FloatArray

# positions (chains, dim) -> log density (chains,), gradient (chains, dim)
LogDensity = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True)
class Sample:
    """Draws (n_chains, n_draws, dim), mean acceptance and the largest split R-hat over the log density."""

    draws: FloatArray
    acceptance: float
    rhat: float

    @property
    def flat(self) -> FloatArray:
        """All draws as (n_chains * n_draws, dim)."""
        return self.draws.reshape(-1, self.draws.shape[-1])


def sample_hmc(
    log_density: LogDensity,
    start: FloatArray,
    rng: np.random.Generator,
    *,
    n_warmup: int = 300,
    n_draws: int = 300,
    max_leapfrog: int = 24,
    target: float = 0.8,
) -> Sample:
    """Draw from `log_density` from `start` (chains, dim). Raises DataError where the density is not finite there."""
    position = start.copy()
    chains, dim = position.shape
    value, gradient = log_density(position)
    if not np.isfinite(value).all():
        raise DataError("the posterior is not finite at its starting point")
    metric = np.ones(dim)  # inverse mass: posterior variance
    log_step, log_step_mean, error_mean = np.log(0.05), np.log(0.05), 0.0
    anchor, tuned = np.log(0.5), 0
    windows = {int(n_warmup * share) for share in (0.25, 0.5, 0.8)}
    seen: list[FloatArray] = []
    kept = np.empty((chains, n_draws, dim))
    densities = np.empty((chains, n_draws))
    accepted = []
    for step in range(n_warmup + n_draws):
        warm = step < n_warmup
        size = np.exp(log_step if warm else log_step_mean)
        n_leap = int(rng.integers(max(max_leapfrog // 3, 1), max_leapfrog + 1))
        momentum = rng.standard_normal((chains, dim)) / np.sqrt(metric)
        energy = value - 0.5 * (momentum**2 * metric).sum(axis=1)
        q, g = position, gradient
        p = momentum + 0.5 * size * g
        v = value
        with np.errstate(
            over="ignore", invalid="ignore", divide="ignore"
        ):  # a step too far is rejected below
            for leap in range(n_leap):
                q = q + size * metric * p
                v, g = log_density(q)
                p = p + (size if leap < n_leap - 1 else 0.5 * size) * g
            change = v - 0.5 * (p**2 * metric).sum(axis=1) - energy
        rate = np.exp(np.minimum(np.where(np.isfinite(change), change, -np.inf), 0.0))
        accept = rng.random(chains) < rate
        position = np.where(accept[:, None], q, position)
        gradient = np.where(accept[:, None], g, gradient)
        value = np.where(accept, v, value)
        if not warm:
            kept[:, step - n_warmup] = position
            densities[:, step - n_warmup] = value
            accepted.append(float(rate.mean()))
            continue
        tuned += 1
        weight = 1.0 / (tuned + 10.0)
        error_mean = (1 - weight) * error_mean + weight * (target - float(rate.mean()))
        log_step = anchor - np.sqrt(tuned) / 0.05 * error_mean
        share = tuned**-0.75
        log_step_mean = share * log_step + (1 - share) * log_step_mean
        seen.append(position)
        if step + 1 in windows:
            pooled = np.concatenate(seen[len(seen) // 3 :])
            n = pooled.shape[0]
            variance = pooled.var(axis=0)
            metric = variance * n / (n + 20.0) + 0.3 * 20.0 / (n + 20.0)
            seen = []
            anchor, tuned, error_mean = log_step_mean + np.log(2.0), 0, 0.0
            log_step = log_step_mean
    return Sample(kept, float(np.mean(accepted)), split_rhat(densities))


def split_rhat(values: FloatArray) -> float:
    """Split R-hat of `values` (chains, draws); 1 where all chains agree, NaN with fewer than four draws."""
    half = values.shape[1] // 2
    if half < 2:
        return float("nan")
    parts = np.concatenate([values[:, :half], values[:, half : 2 * half]])
    within = parts.var(axis=1, ddof=1).mean()
    between = half * parts.mean(axis=1).var(ddof=1)
    return float(np.sqrt(((half - 1) / half * within + between / half) / within)) if within > 0 else 1.0
