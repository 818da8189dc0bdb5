"""The scaling law L = E + A/N^a + B/D^b: fit, compute-optimal sizes, and what over-training costs.

Source of the form: Hoffmann et al. 2022, "Training Compute-Optimal Large Language Models", section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dangercurve._errors import DataError

Floats = NDArray[np.float64]
NAMES = ("E", "A", "B", "a", "b")
HUBER = 1e-3  # residuals of log loss beyond this weigh linearly
_CELLS = 60_000  # replicates x points in one batch, so that its arrays stay in cache
_EPSILON = 1e-4  # smallest floor E relative to the lowest loss


@dataclass(frozen=True, slots=True)
class Law:
    """Parameters of L = E + A/N^a + B/D^b, with `draws` (R, 5) of bootstrap refits (empty without bootstrap).

    `objective` is the mean Huber loss of log residuals; `gradient` the largest absolute component at the end.
    """

    E: float
    A: float
    B: float
    a: float
    b: float
    n: int
    objective: float
    gradient: float
    converged: bool
    draws: Floats

    def loss(self, n_params: ArrayLike, tokens: ArrayLike) -> Floats:
        """Loss at N parameters and D tokens."""
        n, d = np.asarray(n_params, np.float64), np.asarray(tokens, np.float64)
        return np.asarray(self.E + self.A * n**-self.a + self.B * d**-self.b, np.float64)

    def interval(self, name: str, alpha: float = 0.1) -> tuple[float, float]:
        """Two-sided percentile interval of a parameter over the refits. Raises DataError without refits."""
        if len(self.draws) == 0:
            raise DataError("no bootstrap refits: fit the law with n_boot > 0")
        column = self.draws[:, NAMES.index(name)]
        low, high = np.quantile(column, [alpha / 2, 1 - alpha / 2])
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Optimum:
    """Compute-optimal training at a budget of `flops` = 6 N D."""

    flops: float
    n_params: float
    tokens: float
    tokens_per_param: float
    loss: float


def fit_law(
    n_params: ArrayLike,
    tokens: ArrayLike,
    loss: ArrayLike,
    *,
    huber: float = HUBER,
    n_boot: int = 0,
    seed: int = 0,
) -> Law:
    """Minimise the mean Huber loss of log(L_hat) - log(L) over E, A, B > 0 and exponents a, b.

    One start: exponents on a coarse grid with E, A, B by least squares (they are linear there); then damped
    Gauss-Newton with the analytic gradient. Refits resample points with replacement, all in batches.
    Raises DataError on fewer than six points, non-positive values, or N and D that do not vary apart.
    """
    n, d, y = (np.asarray(v, np.float64).ravel() for v in (n_params, tokens, loss))
    if not n.size == d.size == y.size:
        raise DataError("N, D and loss must have one entry a model")
    if n.size < 6:
        raise DataError(f"{n.size} points: the law has five parameters and needs at least 6")
    if not all(np.isfinite(v).all() and (v > 0).all() for v in (n, d, y)):
        raise DataError("N, D and loss must be finite and positive: drop the other rows and say which")
    log_n, log_d, log_y = np.log(n), np.log(d), np.log(y)
    centre = np.array([log_n.mean(), log_d.mean()])
    u, v = log_n - centre[0], log_d - centre[1]
    rank = np.linalg.matrix_rank(np.column_stack([np.ones_like(u), u, v]), tol=1e-6)
    if rank < 3:
        raise DataError(
            "N and D do not vary independently (one token ratio): A/N^a and B/D^b cannot be told apart"
        )
    begin = _start(u, v, y)
    weight = np.ones((1, n.size))
    z, value, slope, done = _minimise(begin[None, :], u, v, log_y, weight, huber)
    draws = np.zeros((0, 5))
    if n_boot:
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        parts = []
        batch = max(1, _CELLS // n.size)
        for first in range(0, n_boot, batch):
            size = min(batch, n_boot - first)
            counts = rng.multinomial(n.size, np.full(n.size, 1 / n.size), size).astype(np.float64)
            parts.append(_minimise(np.repeat(z, size, axis=0), u, v, log_y, counts, huber)[0])
        draws = _natural(np.concatenate(parts), centre)
    point = _natural(z, centre)[0]
    e, coef_n, coef_d, a, b = (float(p) for p in point)
    return Law(e, coef_n, coef_d, a, b, n.size, float(value[0]), float(slope[0]), bool(done[0]), draws)


def optimum(law: Law, flops: float) -> Optimum:
    """Minimise L at 6 N D = flops: N* = G (C/6)^(b/(a+b)), G = (a A / (b B))^(1/(a+b)), D* = C / (6 N*)."""
    if not flops > 0 or not np.isfinite(flops):
        raise DataError(f"a compute budget must be positive and finite, not {flops}")
    if min(law.a, law.b, law.A, law.B) <= 0:
        raise DataError("the fitted law does not fall in both N and D: no optimum exists")
    g = (law.a * law.A / (law.b * law.B)) ** (1 / (law.a + law.b))
    n = g * (flops / 6) ** (law.b / (law.a + law.b))
    d = flops / (6 * n)
    return Optimum(flops, float(n), float(d), float(d / n), float(law.loss(n, d)))


def over_training(law: Law, n_params: float, tokens: float) -> tuple[float, float]:
    """(loss above the optimum at the same compute, factor of compute wasted) of training N on D tokens.

    The factor is C over the budget at which optimal training reaches the same loss; at least 1.
    """
    flops = 6 * n_params * tokens
    reached = float(law.loss(n_params, tokens))
    penalty = max(reached - optimum(law, flops).loss, 0.0)
    low, high = np.log(flops) - 60.0, np.log(flops)
    for _ in range(80):
        middle = (low + high) / 2
        if optimum(law, float(np.exp(middle))).loss > reached:
            low = middle
        else:
            high = middle
    return penalty, float(flops / np.exp(high))


def _start(u: Floats, v: Floats, y: Floats) -> Floats:
    """Best of a grid of exponents, with E, A, B by non-negative weighted least squares of relative error."""
    best: tuple[float, Floats] | None = None
    for a in (0.2, 0.35, 0.5, 0.8):
        for b in (0.2, 0.35, 0.5, 0.8):
            design = np.column_stack([np.ones_like(u), np.exp(-a * u), np.exp(-b * v)])
            coef, *_ = np.linalg.lstsq(design / y[:, None], np.ones_like(y), rcond=None)
            coef = np.maximum(coef, _EPSILON * y.min())
            miss = float(np.sum((design @ coef / y - 1) ** 2))
            if best is None or miss < best[0]:
                best = (miss, np.array([*np.log(coef), a, b]))
    if best is None:
        raise DataError("no starting point for the law")
    return best[1]


def _minimise(
    z: Floats, u: Floats, v: Floats, log_y: Floats, weight: Floats, huber: float
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Batched Levenberg-Marquardt on the reweighted residuals; rows of `z` (R, 5) that are done drop out.

    Returns parameters, objectives, largest gradient components, and which rows converged.
    """
    z = z.copy()
    total = weight.sum(axis=1)
    value = np.empty(len(z))
    slope = np.full(len(z), np.inf)
    damping = np.full(len(z), 1e-3)
    active = np.arange(len(z))
    r, jac = _residual(z, u, v, log_y)
    value[:] = _objective(r, weight, huber) / total
    for _ in range(300):
        w = weight[active]
        bend = w * np.minimum(1.0, huber / np.maximum(np.abs(r), 1e-300))
        gradient = np.einsum("rn,rnk->rk", bend * r, jac)
        slope[active] = np.abs(gradient).max(axis=1) / total[active] / huber
        hessian = np.matmul((jac * bend[:, :, None]).transpose(0, 2, 1), jac)
        scale = np.einsum("rkk->rk", hessian) + 1e-12
        keep = slope[active] > 1e-6
        if not keep.any():
            active = active[:0]
            break
        system = hessian + (damping[active, None] * scale)[:, :, None] * np.eye(5)
        step = np.clip(-np.linalg.solve(system, gradient[:, :, None])[:, :, 0], -2.0, 2.0)
        trial = z[active] + step
        r_new, jac_new = _residual(trial, u, v, log_y)
        new = _objective(r_new, w, huber) / total[active]
        better = new < value[active]
        small = better & (value[active] - new < 1e-11 * (value[active] + 1e-300))
        z[active] = np.where(better[:, None], trial, z[active])
        value[active] = np.where(better, new, value[active])
        damping[active] = np.where(better, damping[active] * 0.2, damping[active] * 8).clip(1e-12, 1e12)
        stuck = damping[active] >= 1e11
        r = np.where(better[:, None], r_new, r)
        jac = np.where(better[:, None, None], jac_new, jac)
        going = keep & ~small & ~stuck
        active, r, jac = active[going], r[going], jac[going]
        if active.size == 0:
            break
    done = np.ones(len(z), dtype=np.bool_)
    done[active] = False
    return z, value, slope, done


def _residual(z: Floats, u: Floats, v: Floats, log_y: Floats) -> tuple[Floats, Floats]:
    """log L_hat - log L (R, n) and its Jacobian (R, n, 5) in (log E, log A, log B, a, b)."""
    n_part = np.exp(z[:, 1:2] - z[:, 3:4] * u)
    d_part = np.exp(z[:, 2:3] - z[:, 4:5] * v)
    floor = np.exp(z[:, 0:1])
    total = floor + n_part + d_part
    jac = np.empty((*total.shape, 5))
    jac[:, :, 0] = floor / total
    jac[:, :, 1] = n_part / total
    jac[:, :, 2] = d_part / total
    jac[:, :, 3] = -u * jac[:, :, 1]
    jac[:, :, 4] = -v * jac[:, :, 2]
    return np.log(total) - log_y, jac


def _objective(r: Floats, weight: Floats, huber: float) -> Floats:
    size = np.abs(r)
    value = np.where(size <= huber, 0.5 * r * r, huber * (size - 0.5 * huber))
    return np.asarray(np.sum(weight * value, axis=1), np.float64)


def _natural(z: Floats, centre: Floats) -> Floats:
    """(E, A, B, a, b) from centred (log E, log A, log B, a, b)."""
    out = np.empty_like(z)
    out[:, 0] = np.exp(z[:, 0])
    out[:, 1] = np.exp(z[:, 1] + z[:, 3] * centre[0])
    out[:, 2] = np.exp(z[:, 2] + z[:, 4] * centre[1])
    out[:, 3:] = z[:, 3:]
    return out
