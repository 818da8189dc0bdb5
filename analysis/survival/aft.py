"""Weibull accelerated failure time: effort to a breach against covariates, with censoring of every kind.

Source: Kalbfleisch and Prentice (2002).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from dangercurve._errors import DataError
from dangercurve.analysis.intervals import Sides, tail

Floats = NDArray[np.float64]
Labels = Sequence[object] | NDArray[np.generic]
Status = Literal["identified", "not_identified"]
_MAX_STEPS, _TOLERANCE = 60, 1e-9
_RUNAWAY = 12.0  # a coefficient that moves effort by more than e^12 a standard deviation has no maximum


@dataclass(frozen=True, slots=True)
class Factor:
    """An acceleration factor exp(change * coefficient): how many times the effort a change in a covariate costs.

    Bounds are None where they are open: nothing limits the factor on that side.
    """

    name: str
    estimate: float | None
    lcb: float | None
    ucb: float | None
    p_value: float
    status: Status


@dataclass(frozen=True, slots=True)
class WeibullAft:
    """log T = x beta + W / rho with W the smallest-extreme-value law: S(t | x) = exp(-(t / e^(x beta))^rho).

    `names` (P,) begin with the intercept; `beta` (P,), `log_rho`; `covariance` (P + 1, P + 1) of (beta, log_rho), robust
    where clusters were given. `status` not_identified (with `why`) where the likelihood has no maximum: numbers are NaN.
    """

    names: tuple[str, ...]
    beta: Floats
    log_rho: float
    covariance: Floats
    log_likelihood: float
    n_units: int
    n_events: int
    n_clusters: int
    steps: int
    status: Status
    why: str

    @property
    def rho(self) -> float:
        """Weibull shape: above 1 the hazard rises with effort, below 1 it falls."""
        return float(np.exp(self.log_rho))

    @property
    def se(self) -> Floats:
        """Standard errors (P + 1,) of beta and log_rho."""
        return np.asarray(np.sqrt(np.diag(self.covariance)), np.float64)

    def factor(self, name: str, change: float = 1.0, *, alpha: float = 0.1, sides: Sides = 2) -> Factor:
        """Acceleration factor of `change` in the covariate `name`, with its Wald interval."""
        if name not in self.names:
            raise DataError(f"the fit has no covariate '{name}'; it has {', '.join(self.names)}")
        i = self.names.index(name)
        if self.status != "identified":
            return Factor(name, None, None, None, float("nan"), "not_identified")
        centre, se = change * float(self.beta[i]), abs(change) * float(self.se[i])
        half = float(special.ndtri(1 - tail(alpha, sides))) * se
        p = float(2 * special.ndtr(-abs(centre) / se)) if se > 0 else float("nan")
        return Factor(name, _exp(centre), _exp(centre - half), _exp(centre + half), p, "identified")

    def survival(self, effort: ArrayLike, x: ArrayLike) -> Floats:
        """S at `effort` for one row `x` (P,) of covariates, the intercept's 1 included."""
        scale = float(np.asarray(x, np.float64) @ self.beta)
        log_t = np.log(np.asarray(effort, np.float64))
        return np.asarray(np.exp(-np.exp(self.rho * (log_t - scale))), np.float64)

    def survival_bounds(
        self, effort: float, x: ArrayLike, *, alpha: float = 0.1, sides: Sides = 2
    ) -> tuple[float, float]:
        """Delta-method bounds of S(effort | x) on the scale of log(-log S)."""
        row = np.asarray(x, np.float64)
        w = float(np.log(effort) - row @ self.beta)
        gradient = np.concatenate([-self.rho * row, [self.rho * w]])
        se = float(np.sqrt(gradient @ self.covariance @ gradient))
        half = float(special.ndtri(1 - tail(alpha, sides))) * se
        z = self.rho * w
        return float(np.exp(-np.exp(z + half))), float(np.exp(-np.exp(z - half)))


def weibull_aft(
    lower: ArrayLike,
    upper: ArrayLike,
    covariates: ArrayLike | None = None,
    names: Sequence[str] = (),
    *,
    cluster: Labels | None = None,
    weight: ArrayLike | None = None,
) -> WeibullAft:
    """Maximum likelihood by Newton's method with the analytic gradient and Hessian.

    `lower`, `upper` (units,): equal where the breach was seen at that effort; upper = inf, right-censored at lower;
    0 < lower < upper, a breach between them; lower = 0 < upper, left-censored. `covariates` (units, P - 1) without the
    intercept, `names` theirs. With `cluster` the covariance is the sandwich summed over clusters times G / (G - 1).
    No breach at all, or a covariate along which the likelihood rises without end (a safeguard that was never broken),
    is `not_identified`. Raises DataError on unordered intervals, NaN, or covariates that say the same.
    """
    lo, hi = np.asarray(lower, np.float64).ravel(), np.asarray(upper, np.float64).ravel()
    _check_intervals(lo, hi)
    n = lo.size
    x = np.ones((n, 1)) if covariates is None else np.asarray(covariates, np.float64)
    if covariates is not None:
        x = x.reshape(n, -1) if x.ndim < 2 else x
        if len(x) != n or not np.isfinite(x).all():
            raise DataError("covariates need one finite row a unit")
        x = np.column_stack([np.ones(n), x])
    labels = ("intercept", *names)
    if len(labels) != x.shape[1]:
        raise DataError(f"{x.shape[1] - 1} covariates but {len(names)} names")
    w = np.ones(n) if weight is None else np.asarray(weight, np.float64).ravel()
    mean, sd = x[:, 1:].mean(axis=0), x[:, 1:].std(axis=0)
    flat = np.flatnonzero(sd <= 1e-12 * (1 + np.abs(mean)))
    if flat.size:
        raise DataError(f"covariate '{names[int(flat[0])]}' has one value: it explains nothing, leave it out")
    z = np.column_stack([np.ones(n), (x[:, 1:] - mean) / sd])
    if np.linalg.matrix_rank(z) < z.shape[1]:
        raise DataError(f"the covariates {', '.join(names)} say the same: leave one out")
    data = _prepare(lo, hi, z, w)
    groups = None if cluster is None else np.unique([str(c) for c in cluster], return_inverse=True)[1]
    n_clusters = n if groups is None else int(groups.max()) + 1
    n_events = int(np.isfinite(hi).sum())
    lost = (labels, n, n_events, n_clusters)
    if n_events == 0:
        return _unidentified(*lost, "no breach was seen: effort to breach has no upper limit in these data")
    if (lo <= 0).all():
        return _unidentified(
            *lost, "every breach came before the first look: effort has no lower limit in these data"
        )
    if n_events <= 1 and np.unique(np.where(np.isfinite(hi), hi, lo)).size == 1:
        return _unidentified(*lost, "one effort alone fixes no shape")
    theta, steps, converged = _newton(data)
    p = z.shape[1]
    if not converged or np.abs(theta[1:p]).max(initial=0.0) > _RUNAWAY or abs(theta[p]) > 6:
        why = "the likelihood rises without end along " + _runaway(theta, labels)
        return _unidentified(*lost, why)
    value, _, hessian = _derivatives(theta, data)
    bread = np.linalg.inv(-hessian)
    covariance = bread
    if groups is not None and n_clusters < n:
        if n_clusters < 2:
            return _unidentified(*lost, "one cluster: nothing says how clusters differ")
        scores = np.zeros((n_clusters, p + 1))
        np.add.at(scores, groups, _scores(theta, data))
        covariance = bread @ (scores.T @ scores) @ bread * n_clusters / (n_clusters - 1)
    back = np.eye(p + 1)  # from standardised covariates to the caller's
    back[1:p, 1:p] = np.diag(1 / sd)
    back[0, 1:p] = -mean / sd
    natural = back @ theta
    return WeibullAft(
        labels, natural[:p], float(natural[p]), back @ covariance @ back.T, value, n, n_events, n_clusters,
        steps, "identified", "",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Data:
    log_lo: Floats
    log_hi: Floats
    x: Floats
    w: Floats
    left: NDArray[np.bool_]  # lower = 0
    right: NDArray[np.bool_]  # upper = inf
    exact: NDArray[np.bool_]


def _prepare(lo: Floats, hi: Floats, x: Floats, w: Floats) -> _Data:
    left, right = lo <= 0, np.isinf(hi)
    log_lo = np.log(np.where(left, 1.0, lo))
    log_hi = np.log(np.where(right, 1.0, hi))
    return _Data(log_lo, log_hi, x, w, left, right, lo == hi)


def _pieces(theta: Floats, d: _Data) -> tuple[Floats, ...]:
    """Log-likelihood (n,), z at both ends, and first and second derivatives by them.

    With H = e^z: right -H_l; exact log rho + z - H - log t; interval -H_l + log(1 - e^-(H_u - H_l)).
    """
    p = d.x.shape[1]
    rho = np.exp(theta[p])
    eta = d.x @ theta[:p]
    z_l = np.where(d.left, 0.0, rho * (d.log_lo - eta))
    z_u = np.where(d.right, 0.0, rho * (d.log_hi - eta))
    h_l = np.where(d.left, 0.0, np.exp(np.minimum(z_l, 300.0)))
    h_u = np.where(d.right | d.exact, 0.0, np.exp(np.minimum(z_u, 300.0)))
    between = ~(d.right | d.exact)
    gap = np.where(between, np.maximum(h_u - h_l, 1e-300), 1.0)
    tiny = -np.expm1(-gap)
    q = np.where(between, np.exp(-gap) / tiny, 0.0)
    value = -h_l + np.where(between, np.log(tiny), 0.0)
    value = value + np.where(d.exact, theta[p] + z_l - d.log_lo, 0.0)
    g_l = np.where(between, -(1 + q) * h_l, -h_l) + d.exact
    g_u = q * h_u
    curve = q * (1 + q)
    h_ll = np.where(between, -(1 + q) * h_l - curve * h_l**2, -h_l)
    h_uu = g_u - curve * h_u**2
    h_lu = curve * h_l * h_u
    return value, z_l, z_u, g_l, g_u, h_ll, h_uu, h_lu


def _derivatives(theta: Floats, d: _Data) -> tuple[float, Floats, Floats]:
    """Log-likelihood, gradient (P + 1,) and Hessian (P + 1, P + 1) in (beta, log rho)."""
    p = d.x.shape[1]
    rho = float(np.exp(theta[p]))
    value, z_l, z_u, g_l, g_u, h_ll, h_uu, h_lu = _pieces(theta, d)
    gradient, hessian = np.empty(p + 1), np.empty((p + 1, p + 1))
    g = g_l + g_u
    gradient[:p] = -rho * (d.x.T @ (d.w * g))
    gradient[p] = float(np.sum(d.w * (g_l * z_l + g_u * z_u + d.exact)))
    hessian[:p, :p] = rho**2 * (d.x.T * (d.w * (h_ll + 2 * h_lu + h_uu))) @ d.x
    cross = g + h_ll * z_l + h_lu * (z_l + z_u) + h_uu * z_u
    hessian[:p, p] = hessian[p, :p] = -rho * (d.x.T @ (d.w * cross))
    own = g_l * z_l + g_u * z_u + h_ll * z_l**2 + 2 * h_lu * z_l * z_u + h_uu * z_u**2
    hessian[p, p] = float(np.sum(d.w * own))
    return float(np.sum(d.w * value)), gradient, hessian


def _scores(theta: Floats, d: _Data) -> Floats:
    """Gradient of each unit (n, P + 1)."""
    p = d.x.shape[1]
    _, z_l, z_u, g_l, g_u, *_ = _pieces(theta, d)
    first = -float(np.exp(theta[p])) * d.x * (g_l + g_u)[:, None]
    return np.asarray(np.column_stack([first, g_l * z_l + g_u * z_u + d.exact]) * d.w[:, None], np.float64)


def _start(d: _Data) -> Floats:
    p = d.x.shape[1]
    seen = np.where(d.right, d.log_lo, np.where(d.left, d.log_hi, 0.5 * (d.log_lo + d.log_hi)))
    theta = np.zeros(p + 1)
    events = max(float(np.sum(d.w[~d.right])), 0.5)
    theta[0] = float(np.log(np.sum(d.w * np.exp(seen - seen.max())) / events)) + float(seen.max())
    return theta


def _newton(d: _Data) -> tuple[Floats, int, bool]:
    theta = _start(d)
    value, gradient, hessian = _derivatives(theta, d)
    for step in range(1, _MAX_STEPS + 1):
        level, basis = np.linalg.eigh(-hessian)
        direction = basis @ ((basis.T @ gradient) / np.maximum(np.abs(level), 1e-6 * np.abs(level).max()))
        direction *= min(1.0, 3.0 / max(float(np.abs(direction).max()), 1e-12))
        if float(direction @ gradient) < _TOLERANCE:
            return theta, step, bool(level.min() > 1e-9 * level.max())
        length = 1.0
        while length > 1e-6:
            trial = theta + length * direction
            found = _derivatives(trial, d)
            if np.isfinite(found[0]) and found[0] > value:
                break
            length /= 2
        else:
            return theta, step, bool(float(direction @ gradient) < 1e-5 and level.min() > 0)
        theta, (value, gradient, hessian) = trial, found
        if np.abs(theta[1:]).max(initial=0.0) > 2 * _RUNAWAY:
            return theta, step, False
    return theta, _MAX_STEPS, False


def _runaway(theta: Floats, names: tuple[str, ...]) -> str:
    far = int(np.argmax(np.abs(theta[1:]))) + 1
    return f"'{names[far]}'" if far < len(names) else "the shape (every breach at one effort)"


def _unidentified(names: tuple[str, ...], n: int, n_events: int, n_clusters: int, why: str) -> WeibullAft:
    p = len(names)
    nothing = np.full(p, np.nan)
    return WeibullAft(
        names, nothing, float("nan"), np.full((p + 1, p + 1), np.nan), float("nan"), n, n_events, n_clusters,
        0, "not_identified", why,
    )  # fmt: skip


def _check_intervals(lo: Floats, hi: Floats) -> None:
    if lo.size == 0 or lo.size != hi.size:
        raise DataError(
            f"{lo.size} lower and {hi.size} upper ends: give both for each unit, and one unit at least"
        )
    if np.isnan(lo).any() or np.isnan(hi).any() or np.isinf(lo).any() or (lo < 0).any() or (hi <= 0).any():
        raise DataError(
            "efforts must be numbers, not negative; only the upper end of a right-censored unit is inf"
        )
    if (hi < lo).any():
        raise DataError(f"unit {int(np.flatnonzero(hi < lo)[0])}: its interval ends before it begins")
    if ((lo == 0) & np.isinf(hi)).any():
        raise DataError("a unit with lower 0 and no upper end says nothing: leave it out")


def _exp(value: float) -> float | None:
    """exp(value), or None where it is no number one can print."""
    return float(np.exp(value)) if abs(value) < 100 else None
