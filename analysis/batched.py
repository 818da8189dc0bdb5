"""Many small penalised least-squares fits at once: damped Gauss-Newton (Levenberg-Marquardt) over replicates.

One design, many (scores, weights) pairs: bootstrap replicates of one curve share `x`, so each iteration is a few
array operations over all replicates. Memory is bounded by working in blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
# value_and_jacobian(params (B, P), x (T,)) -> value (B, T), jacobian as P arrays (B, T)
Model = Callable[[FloatArray, FloatArray], tuple[FloatArray, list[FloatArray]]]


@dataclass(frozen=True)
class BatchFit:
    """Parameters (B, P), objective (B,) and whether each fit met the tolerance."""

    params: FloatArray
    objective: FloatArray
    converged: npt.NDArray[np.bool_]


def fit_batch(
    model: Model,
    x: FloatArray,
    y: FloatArray,
    weights: FloatArray,
    prior_mean: FloatArray,
    prior_precision: FloatArray,
    start: FloatArray,
    *,
    max_iter: int = 30,
    tol: float = 1e-5,
    block: int = 4096,
) -> BatchFit:
    """Minimise `sum_t w (y - f(x, p))^2 + sum_k precision_k (p_k - mean_k)^2` for each row of `weights`.

    Shapes: x (T,), y (T,) or (B, T), weights (B, T), prior mean (P,) or
    (B, P), prior precision (P,), start (P,) or (B, P). A fit has converged when its
    last step is below `tol` prior standard deviations in every parameter, or no damped step improves it.
    """
    n = weights.shape[0]
    p = prior_precision.shape[0]
    params, objective = np.empty((n, p)), np.empty(n)
    done = np.zeros(n, dtype=bool)
    first = np.broadcast_to(start, (n, p))
    scores = np.broadcast_to(y, weights.shape)
    means = np.broadcast_to(prior_mean, (n, p))
    for lo in range(0, n, block):
        part = slice(lo, min(lo + block, n))
        params[part], objective[part], done[part] = _fit_block(
            model,
            x,
            scores[part],
            weights[part],
            means[part],
            prior_precision,
            first[part].copy(),
            max_iter,
            tol,
        )
    return BatchFit(params, objective, done)


def _fit_block(
    model: Model,
    x: FloatArray,
    y: FloatArray,
    w: FloatArray,
    mean: FloatArray,
    precision: FloatArray,
    params: FloatArray,
    max_iter: int,
    tol: float,
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    n, p = params.shape
    scale = 1.0 / np.sqrt(precision)
    damping = np.full(n, 1e-3)
    result, best = params.copy(), np.full(n, np.inf)
    converged = np.zeros(n, dtype=bool)
    active = np.arange(n)
    current = params
    value, jacobian = model(current, x)
    objective = _objective(w, y - value, precision, current - mean)
    for _ in range(max_iter):
        residual = y - value
        hessian = np.empty((p, p, active.size))
        gradient = np.empty((p, active.size))
        for i in range(p):
            weighted = w * jacobian[i]
            gradient[i] = np.einsum("bt,bt->b", weighted, residual) - precision[i] * (
                current[:, i] - mean[:, i]
            )
            for j in range(i + 1):
                hessian[i, j] = np.einsum("bt,bt->b", weighted, jacobian[j])
            hessian[i, i] += precision[i]
        step = _solve(hessian, gradient, damping).T
        trial = current + step
        trial_value, trial_jacobian = model(trial, x)
        trial_objective = _objective(w, y - trial_value, precision, trial - mean)
        better = trial_objective <= objective
        small = (np.abs(step) < tol * scale).all(axis=1)
        finished = (better & small) | (damping > 1e8)
        damping = np.where(better, damping * 0.1, damping * 10.0)
        current = np.where(better[:, None], trial, current)
        objective = np.where(better, trial_objective, objective)
        if finished.any() or not better.all():
            value = np.where(better[:, None], trial_value, value)
            jacobian = [
                np.where(better[:, None], new, old) for new, old in zip(trial_jacobian, jacobian, strict=True)
            ]
        else:
            value, jacobian = trial_value, trial_jacobian
        if finished.any():
            result[active[finished]], best[active[finished]] = current[finished], objective[finished]
            converged[active[finished]] = True
            go = ~finished
            active, current, objective, damping = active[go], current[go], objective[go], damping[go]
            if active.size == 0:
                break
            y, w, value, mean = y[go], w[go], value[go], mean[go]
            jacobian = [part[go] for part in jacobian]
    result[active], best[active] = current, objective
    return result, best, converged


def _objective(
    w: FloatArray, residual: FloatArray, precision: FloatArray, deviation: FloatArray
) -> FloatArray:
    return np.asarray(np.einsum("bt,bt,bt->b", w, residual, residual) + deviation**2 @ precision)


def _solve(hessian: FloatArray, gradient: FloatArray, damping: FloatArray) -> FloatArray:
    """Solve `(H + damping diag(H)) s = g` for many small systems by a Cholesky factor laid out over the batch."""
    p = gradient.shape[0]
    factor = np.zeros_like(hessian)
    for i in range(p):
        for j in range(i + 1):
            entry = hessian[i, j] * (1.0 + damping) if i == j else hessian[i, j].copy()
            for k in range(j):
                entry -= factor[i, k] * factor[j, k]
            factor[i, j] = np.sqrt(np.maximum(entry, 1e-300)) if i == j else entry / factor[j, j]
    forward = np.empty_like(gradient)
    for i in range(p):
        forward[i] = (gradient[i] - sum(factor[i, k] * forward[k] for k in range(i))) / factor[i, i]
    step = np.empty_like(gradient)
    for i in reversed(range(p)):
        step[i] = (forward[i] - sum(factor[k, i] * step[k] for k in range(i + 1, p))) / factor[i, i]
    return step
