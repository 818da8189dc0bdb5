"""A local-linear-trend model of records in time, and what it predicts for the next ones.

log2 horizon of a record at s years from the last one:

    y(s) = level + slope * s + acceleration * s**2 / 2 + wander(s) + noise

with a flat level, a normal slope, an acceleration that is 0 or a mild positive one with equal prior weight, an
integrated Brownian `wander` (the slope drifts as a random walk) and independent noise of a new record. Drift and noise
scales are integrated over a small grid, so the posterior is a finite mixture of Gaussian processes (Harvey 1989,
ch. 4, for the state-space form; Rasmussen and Williams 2006, ch. 2, for this one).

A target is known to be a *record*: its predictive distribution is cut at the last record. The prior's numbers were
chosen on simulated series (`trend_simulate`), not on the open records; docs/forecast-p2.md tells how.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dangercurve._errors import DataError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TrendPrior:
    """Units: doublings and years. `acceleration` lists (weight, mean, sd); `drift` is in doublings a year**1.5."""

    slope_mean: float = 2.0
    slope_sd: float = 1.5
    acceleration: tuple[tuple[float, float, float], ...] = ((0.5, 0.0, 0.0), (0.5, 0.3, 0.2))
    drift: tuple[float, ...] = (0.05, 0.3, 0.8)
    noise_median: float = 0.45
    noise_log_sd: float = 0.4
    noise_nodes: tuple[float, ...] = (-2.0, -1.0, 0.0, 1.0, 2.0)
    noise_df: float = 5.0
    level_sd: float = 10.0


PRIOR = TrendPrior()


@dataclass(frozen=True)
class Component:
    """One member of the posterior mixture: the curve at the years asked for is N(mean, covariance)."""

    weight: float
    mean: FloatArray
    covariance: FloatArray
    noise: float


def posterior(
    years: FloatArray, log2_p50: FloatArray, at: FloatArray, prior: TrendPrior = PRIOR
) -> list[Component]:
    """The curve of records at the years `at` `(m,)`, given records `(n,)` in order of time.

    Raises DataError with fewer than two records, or years that do not rise.
    """
    if len(years) < 2 or (np.diff(years) <= 0).any():
        raise DataError("a trend needs at least two records at rising dates")
    n = len(years)
    s = np.concatenate([years, at]) - years[-1]
    basis = np.column_stack([np.ones_like(s), s, 0.5 * s**2])
    wander = integrated_brownian(s)
    nodes = np.asarray(prior.noise_nodes)
    noise = prior.noise_median * np.exp(prior.noise_log_sd * nodes)
    log_weights, found = [], []
    for share, mean, sd in prior.acceleration:
        centre = basis @ np.array([log2_p50[-1], prior.slope_mean, mean])
        spread = basis * np.array([prior.level_sd, prior.slope_sd, sd])
        residual = log2_p50 - centre[:n]
        for drift in prior.drift:
            covariance = spread @ spread.T + drift**2 * wander
            values, vectors = np.linalg.eigh(covariance[:n, :n])
            rotated, cross = vectors.T @ residual, covariance[n:, :n] @ vectors
            for node, scale in zip(nodes, noise, strict=True):
                variance = np.maximum(values, 0.0) + scale**2
                fit = -0.5 * (np.log(variance).sum() + (rotated**2 / variance).sum())
                log_weights.append(np.log(share) - 0.5 * node**2 + fit)
                gain = cross / variance
                found.append((centre[n:] + gain @ rotated, covariance[n:, n:] - gain @ cross.T, float(scale)))
    weights = special.softmax(np.array(log_weights))
    return [Component(float(w), *rest) for w, rest in zip(weights, found, strict=True)]


def integrated_brownian(s: FloatArray) -> FloatArray:
    """Covariance of integrated Brownian motion anchored (value and slope 0) at s = 0, independent on the two sides."""
    size = np.abs(s)
    low, high = np.minimum.outer(size, size), np.maximum.outer(size, size)
    same_side = np.multiply.outer(np.sign(s), np.sign(s)) > 0
    return np.asarray(np.where(same_side, low**2 * (3.0 * high - low) / 6.0, 0.0))


def predict_records(
    years: FloatArray,
    log2_p50: FloatArray,
    at: FloatArray,
    *,
    prior: TrendPrior = PRIOR,
    n_draws: int = 2000,
    seed: int = 0,
) -> FloatArray:
    """Predictive draws `(n_draws, m)` of log2 p50 of records released at `at`, each sorted within its column.

    A draw of the curve gets Student-t noise, cut so that the record exceeds the last one. Columns are marginal
    predictions: pair no rows across columns.
    """
    rng = np.random.default_rng(seed)
    curve, noise = _sample(posterior(years, log2_p50, at, prior), 2 * n_draws, rng)
    last = float(log2_p50[-1])
    result = np.empty((n_draws, len(at)))
    strata = (np.arange(len(noise)) + 0.5) / len(noise)
    for j in range(len(at)):
        beyond = special.stdtr(
            prior.noise_df, (curve[:, j] - last) / noise
        )  # P(this draw's record exceeds the last)
        tail = np.maximum(beyond * rng.permutation(strata), 1e-15)
        record = curve[:, j] - noise * special.stdtrit(prior.noise_df, tail)
        result[:, j] = np.sort(np.maximum(record, last)).reshape(n_draws, 2).mean(axis=1)
    return result


def trend_paths(
    years: FloatArray,
    log2_p50: FloatArray,
    grid: FloatArray,
    *,
    prior: TrendPrior = PRIOR,
    n_draws: int = 2000,
    seed: int = 0,
) -> FloatArray:
    """Joint draws `(n_draws, T)` of the best log2 p50 so far on a grid of years: never falling, from the last record on.

    A draw keeps one residual, as records keep lying off the trend.
    """
    rng = np.random.default_rng(seed)
    curve, noise = _sample(posterior(years, log2_p50, grid, prior), n_draws, rng)
    order = rng.permutation(n_draws)
    curve, noise = curve[order], noise[order]
    residual = noise * rng.standard_t(prior.noise_df, n_draws)
    best = np.maximum(curve + residual[:, None], log2_p50[-1])
    return np.asarray(np.maximum.accumulate(best, axis=1))


def _sample(components: list[Component], n: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """`n` draws of the curve `(n, m)` and of the noise scale `(n,)`, components in proportion to their weights."""
    weights = np.array([c.weight for c in components])
    edges = np.floor(np.cumsum(weights) * n + rng.random())  # systematic resampling
    counts = np.diff(np.concatenate([[0.0], edges])).astype(int)
    counts[int(np.argmax(weights))] += n - counts.sum()
    curves, scales = [], []
    for component, count in zip(components, counts, strict=True):
        if count <= 0:
            continue
        # smooth curves have nearly singular covariances: a ridge far below any noise keeps the factor real
        ridge = 1e-10 * float(component.covariance.diagonal().max()) + 1e-12
        root = np.linalg.cholesky(component.covariance + ridge * np.eye(len(component.mean)))
        curves.append(component.mean + rng.standard_normal((count, len(component.mean))) @ root.T)
        scales.append(np.full(count, component.noise))
    return np.concatenate(curves), np.concatenate(scales)
