"""The two-parameter weighted logistic of success on log2(human minutes), fitted for many replicates at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

MAX_ITERATIONS = 100
TOLERANCE = 1e-9
_DEEP = 40.0  # linear predictors are cut here: the logistic is 0 or 1 to double precision beyond it


def fit_logistic(
    x: FloatArray,
    success: FloatArray,
    weight: FloatArray,
    penalty: float,
    *,
    asymptote: float = 1.0,
    start: FloatArray | None = None,
) -> FloatArray:
    """Maximise `sum(success*log p + (weight - success)*log(1 - p)) - penalty/2 * slope**2`, slope <= 0, in every row.

    `p = asymptote / (1 + exp(-(intercept + slope * x)))`; the intercept is free of the penalty. The problem is
    concave, so where the free maximum has a positive slope the admissible one is flat: slope 0 at the rate of success.

    Damped Newton (Fisher scoring where `asymptote < 1`) over all rows together. The step is shortened by
    `log(1 + d)/d`, with `d` the largest change of the linear predictor: for the logistic this never overshoots
    (generalised self-concordance; Bach 2010, doi:10.1214/09-EJS521), so no objective is evaluated.

    Args:
        x: log2 of human minutes, `(rows, cells)` or `(cells,)`; cells of weight 0 may hold any finite number.
        success: weight of the successes, `(rows, cells)`.
        weight: weight of the runs, `(rows, cells)`; rows are used as they are, normalise them before.
        penalty: lambda >= 0, on the slope alone.
        asymptote: success probability on the easiest tasks, in (0.5, 1].
        start: intercept and slope to start from, `(2,)` or `(rows, 2)`.

    Returns:
        `(rows, 2)`: intercept and slope. A row without any success is (-inf, 0), one without any failure (inf, 0).
    """
    rows = success.shape[0]
    total, won = weight.sum(axis=1), success.sum(axis=1)
    result = np.zeros((rows, 2))
    lost_all, won_all = won <= 0.0, won >= total * (1.0 - 1e-12)
    result[lost_all, 0], result[won_all, 0] = -np.inf, np.inf
    todo = np.flatnonzero(~(lost_all | won_all))
    if todo.size == 0:
        return result
    if start is None:
        rate = np.clip(won[todo] / total[todo] / asymptote, 1e-3, 1 - 1e-3)
        beta = np.column_stack([np.log(rate / (1.0 - rate)), np.zeros(todo.size)])
    else:
        beta = np.array(np.broadcast_to(start, (rows, 2))[todo], dtype=np.float64)
    everything = todo.size == rows
    xs = x if x.ndim == 1 or everything else x[todo]
    s, w = (success, weight) if everything else (success[todo], weight[todo])
    for _ in range(MAX_ITERATIONS):
        step, reach = _newton_step(xs, s, w, beta, penalty, asymptote)
        beta += step * np.where(reach > 1e-6, np.log1p(reach) / np.maximum(reach, 1e-6), 1.0)[:, None]
        open_rows = reach > TOLERANCE
        if open_rows.all():
            continue
        result[todo[~open_rows]] = beta[~open_rows]
        todo, beta = todo[open_rows], beta[open_rows]
        if todo.size == 0:
            break
        xs = xs if xs.ndim == 1 else xs[open_rows]
        s, w = s[open_rows], w[open_rows]
    result[todo] = beta  # separated rows under no penalty run off: their ratio is still the threshold between
    wrong = np.isfinite(result[:, 0]) & (result[:, 1] >= 0.0)
    rate = np.clip(won[wrong] / total[wrong] / asymptote, 1e-12, 1.0 - 1e-12)
    result[wrong, 0], result[wrong, 1] = np.log(rate / (1.0 - rate)), 0.0
    return result


def _newton_step(
    x: FloatArray, s: FloatArray, w: FloatArray, beta: FloatArray, penalty: float, asymptote: float
) -> tuple[FloatArray, FloatArray]:
    """One scoring step `(rows, 2)` and the largest change of a linear predictor that it makes `(rows,)`."""
    eta = beta[:, 1:] * x
    eta += beta[:, :1]
    np.clip(eta, -_DEEP, _DEEP, out=eta)
    np.negative(eta, out=eta)
    np.exp(eta, out=eta)
    eta += 1.0
    p = np.reciprocal(eta, out=eta)
    if asymptote == 1.0:
        q = w * p
        residual = s - q
        curvature = np.subtract(1.0, p, out=p)
        curvature *= q
    else:
        shrink = (1.0 - p) / (1.0 - asymptote * p)
        residual = (s - w * asymptote * p) * shrink
        curvature = w * asymptote * p * (1.0 - p) * shrink
    slope = beta[:, 1]
    g0, g1 = residual.sum(axis=1), _dot(residual, x) - penalty * slope
    h00 = curvature.sum(axis=1) + 1e-300
    h01 = _dot(curvature, x)
    curvature *= x
    h11 = _dot(curvature, x) + penalty
    # one distinct length, no penalty: the slope is not there to be found; the ridge leaves it where it is
    determinant = np.maximum(h00 * h11 - h01 * h01, 1e-14 * h00 * (h11 + 1e-300))
    step = np.column_stack([h11 * g0 - h01 * g1, h00 * g1 - h01 * g0]) / determinant[:, None]
    low, high = (x.min(), x.max()) if x.ndim == 1 else (x.min(axis=1), x.max(axis=1))
    reach = np.maximum(np.abs(step[:, 0] + step[:, 1] * low), np.abs(step[:, 0] + step[:, 1] * high))
    return step, reach


def _dot(a: FloatArray, x: FloatArray) -> FloatArray:
    result: FloatArray = a @ x if x.ndim == 1 else np.einsum("rc,rc->r", a, x)
    return result


def log2_horizon(beta: FloatArray, level: float, asymptote: float = 1.0) -> FloatArray:
    """log2 minutes at which success falls to `level`, `(rows,)`.

    A flat curve (slope 0) has horizon +inf where its rate is above `level` and -inf where it is below.
    """
    if level >= asymptote:
        return np.full(beta.shape[0], -np.inf)
    target = np.log(level / (asymptote - level))
    intercept, slope = beta[:, 0], beta[:, 1]
    falls = slope < 0.0
    result = np.where(intercept > target, np.inf, -np.inf)
    result[falls] = (target - intercept[falls]) / slope[falls]
    return result
