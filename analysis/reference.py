"""Reference methods of protocol P1: what a forecaster must beat. One benchmark at a time, compute only.

Each takes the training rows, the targets (no score) and a seed, and returns predictive draws (n_draws, n_targets). Random
numbers follow the order of the rows (`canonical.by_content` makes it one), never that of names.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.special import expit

from dangercurve.analysis.batched import fit_batch
from dangercurve.analysis.scores import chance_floor
from dangercurve.analysis.scoring import FloatArray

N_DRAWS = 1000


def last5_mean(train: pd.DataFrame, targets: pd.DataFrame, seed: int) -> FloatArray:
    """The mean of the five largest training models; Student-t draws from their spread (df 4)."""

    def predict(part: pd.DataFrame, goal: pd.DataFrame, rng: np.random.Generator) -> FloatArray:
        last = part.sort_values("flops", kind="stable")["score"].to_numpy()[-5:]
        n = last.size
        spread = last.std(ddof=1) * np.sqrt(1 + 1 / n) if n > 1 else 0.25
        noise = rng.standard_t(max(n - 1, 1), size=(N_DRAWS, len(goal)))
        return np.asarray(np.clip(last.mean() + spread * noise, 0.0, 1.0))

    return _each_benchmark(train, targets, seed, predict)


def logistic_params(train: pd.DataFrame, targets: pd.DataFrame, seed: int) -> FloatArray:
    """Pooled logistic between chance and 1; draws are bootstrap refits (models resampled)."""
    return _each_benchmark(train, targets, seed, lambda p, g, r: _logistic_bootstrap(p, g, r)[0])


def logistic_residual(train: pd.DataFrame, targets: pd.DataFrame, seed: int) -> FloatArray:
    """As `logistic_params`, plus normal residual noise of the training models' spread."""

    def predict(part: pd.DataFrame, goal: pd.DataFrame, rng: np.random.Generator) -> FloatArray:
        curve, residual = _logistic_bootstrap(part, goal, rng)
        return np.clip(curve + residual * rng.standard_normal(curve.shape), 0.0, 1.0)

    return _each_benchmark(train, targets, seed, predict)


def random_intercept(train: pd.DataFrame, targets: pd.DataFrame, seed: int) -> FloatArray:
    """Logistic with a normal random intercept for each model family; Laplace draws of curve and intercepts.

    `score = chance + (1 - chance) expit(a + b x + u_family) + N(0, s^2)`; the variances by EM.
    """
    return _each_benchmark(train, targets, seed, _random_intercept)


REFERENCE_METHODS: dict[str, Callable[[pd.DataFrame, pd.DataFrame, int], FloatArray]] = {
    "last5_mean": last5_mean,
    "logistic_params": logistic_params,
    "logistic_residual": logistic_residual,
    "random_intercept": random_intercept,
}


def _each_benchmark(
    train: pd.DataFrame,
    targets: pd.DataFrame,
    seed: int,
    predict: Callable[[pd.DataFrame, pd.DataFrame, np.random.Generator], FloatArray],
) -> FloatArray:
    names = list(targets["benchmark"].unique())
    streams = np.random.SeedSequence(seed).spawn(len(names))
    out = np.empty((N_DRAWS, len(targets)))
    for name, stream in zip(names, streams, strict=True):
        rows = (targets["benchmark"] == name).to_numpy()
        part = train[train["benchmark"] == name]
        out[:, rows] = predict(part, targets[rows], np.random.default_rng(stream))
    return out


def _curve(eta: FloatArray, x: FloatArray, floor: float) -> tuple[FloatArray, list[FloatArray]]:
    """Score between the floor and 1 at `eta = a + b x`, with its Jacobian in (a, b)."""
    p = expit(eta)
    rise = (1 - floor) * p * (1 - p)
    return floor + (1 - floor) * p, [rise, rise * x]


def _standard(part: pd.DataFrame, goal: pd.DataFrame) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    x = np.log10(part["flops"].to_numpy(dtype=float))
    y = part["score"].to_numpy(dtype=float)
    floor = min(chance_floor(list(y), float(part["chance"].iloc[0])), 0.95)
    return x - 22.0, np.log10(goal["flops"].to_numpy(dtype=float)) - 22.0, y, floor


_MEAN = np.array([-1.0, 1.0])
_PRECISION = np.array([1 / 9.0, 1 / 100.0])
_SD = 0.05


def _logistic_bootstrap(
    part: pd.DataFrame, goal: pd.DataFrame, rng: np.random.Generator
) -> tuple[FloatArray, float]:
    x, x_goal, y, floor = _standard(part, goal)
    n = x.size

    def model(params: FloatArray, at: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
        return _curve(params[:, :1] + params[:, 1:2] * at, at, floor)

    precision = _PRECISION * _SD**2
    full = fit_batch(model, x, y, np.ones((1, n)), _MEAN, precision, _MEAN)
    weights = rng.multinomial(n, np.full(n, 1 / n), N_DRAWS).astype(float)
    fits = fit_batch(model, x, y, weights, _MEAN, precision, full.params)
    residual = y - model(full.params, x)[0][0]
    return model(fits.params, x_goal)[0], float(np.sqrt(residual @ residual / max(n - 2, 1)))


def _random_intercept(part: pd.DataFrame, goal: pd.DataFrame, rng: np.random.Generator) -> FloatArray:
    x, x_goal, y, floor = _standard(part, goal)
    names = list(part["model_family"].unique())
    index = part["model_family"].map({f: i for i, f in enumerate(names)}).to_numpy(dtype=int)
    k = len(names)
    one = np.eye(k)[index]

    noise, between = _SD**2, 0.5**2
    mean = np.concatenate([_MEAN, np.zeros(k)])
    params = mean.copy()
    covariance = np.eye(2 + k)
    for _ in range(15):
        prior = np.concatenate([_PRECISION, np.full(k, 1 / between)])
        params, value, J = _mode(x, y, floor, one, params, mean, prior, noise)
        covariance = np.asarray(np.linalg.inv(J.T @ J / noise + np.diag(prior)))
        residual = y - value
        noise = float(np.mean(residual**2) + np.trace(J @ covariance @ J.T) / x.size) + 1e-6
        between = float(np.mean(params[2:] ** 2 + np.diag(covariance)[2:])) + 1e-4
    factor = np.linalg.cholesky(covariance + 1e-12 * np.eye(2 + k))
    draws = params + rng.standard_normal((N_DRAWS, 2 + k)) @ factor.T
    out = np.empty((N_DRAWS, len(goal)))
    fresh: dict[str, FloatArray] = {}
    for t, family in enumerate(goal["model_family"]):
        if family in names:
            u = draws[:, 2 + names.index(family)]
        else:
            u = fresh.setdefault(family, rng.standard_normal(N_DRAWS) * np.sqrt(between))
        p = expit(draws[:, 0] + draws[:, 1] * x_goal[t] + u)
        out[:, t] = floor + (1 - floor) * p + rng.standard_normal(N_DRAWS) * np.sqrt(noise)
    return np.clip(out, 0.0, 1.0)


def _mode(
    x: FloatArray,
    y: FloatArray,
    floor: float,
    one: FloatArray,
    params: FloatArray,
    mean: FloatArray,
    prior: FloatArray,
    noise: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Penalised least squares of curve and intercepts by damped Gauss-Newton: parameters, fitted scores, Jacobian."""

    def at(p: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        value, (rise, rise_x) = _curve(p[0] + p[1] * x + one @ p[2:], x, floor)
        J: FloatArray = np.column_stack([rise, rise_x, rise[:, None] * one])
        return value, np.asarray(J), float(np.sum((y - value) ** 2) / noise + prior @ (p - mean) ** 2)

    value, J, loss = at(params)
    damping = 1e-3
    for _ in range(40):
        hessian = J.T @ J / noise + np.diag(prior)
        gradient = J.T @ (y - value) / noise - prior * (params - mean)
        step = np.asarray(np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), gradient))
        new_value, new_J, new_loss = at(params + step)
        if new_loss > loss:
            damping *= 10.0
            if damping > 1e8:
                break
            continue
        gain = loss - new_loss
        params = np.asarray(params + step)
        value, J, loss = new_value, new_J, new_loss
        damping *= 0.2
        if gain < 1e-6:
            break
    return params, value, J
