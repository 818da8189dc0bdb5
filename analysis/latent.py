"""Curve shapes of one metric against log10 compute, and the likelihood of a table under each.

A score y_i of model i of model family f is read as

    y_i = link(eta(x_i) + u_f + e_i) + noise,   u_f ~ N(0, s_f^2),  e_i ~ N(0, s_e^2 + (eta'(x_i) flop_sd_i)^2)

with x = log10 FLOP less its mean. Family and model effects live on the latent scale and are integrated out to first
order, so the likelihood is a normal one in blocks of model families (Sherman-Morrison, no matrix is built).
Every function is vectorised over parameter draws: `z` is (S, P).

Source: Lindstrom and Bates (1990) for integrating random effects out to first order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dangercurve._errors import DataError, did_you_mean
from dangercurve.analysis.registry import Scale

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Own = tuple[tuple[str, ...], list[float], list[float]]

RATE_SHAPES = ("logistic", "gompertz", "power", "saturating", "broken")
PLAIN_SHAPES = ("linear", "broken_linear")
MIN_BROKEN = (
    15  # models below which a broken law is offered only as a sensitivity, not as a shape of its own weight
)
_BEND = 0.15  # width of a break in log10 FLOP
_SPREAD_SD = np.array([0.8, 1.0])  # prior sd of log s_e and log s_f


@dataclass(frozen=True, slots=True)
class ErrorLaw:
    """Standard error as a function of the value: log se = c0 + c1 u + c2 u^2 + offset_i, u = value - middle.

    `middle` and `low`, `high` (between which values are read) are on the metric's scale; `offset` (n,) is what a
    model's own number of instances adds.
    """

    coefficients: tuple[float, float, float]
    middle: float
    low: float
    high: float
    offset: Floats

    def variance(self, value: Floats) -> Floats:
        """Sampling variance (S, n) of models whose true values are `value` (S, n)."""
        u = np.clip(value, self.low, self.high) - self.middle
        c0, c1, c2 = self.coefficients
        return np.asarray(np.exp(2 * (c0 + c1 * u + c2 * u**2 + self.offset)), np.float64)


def error_law(value: Floats, se: Floats, n: Floats) -> ErrorLaw | None:
    """Fit the law to estimates `value`, their `se` and instance counts `n` (NaN where unknown); None below six models.

    An estimate that came out low by chance also reports a smaller error (horizons beyond the levels tried), so weighing
    by its own error pulls the curve low: the error that counts is that of the value which the curve predicts.
    """
    good = np.isfinite(value) & np.isfinite(se) & (se > 0)
    if good.sum() < 6 or np.ptp(value[good]) <= 0:
        return None
    size = np.where(np.isfinite(n) & (n > 0), n, np.nan)
    known = np.isfinite(size)
    offset = np.zeros(value.size) if not known.all() else -0.5 * np.log(size / np.mean(size))
    middle, spread = float(np.mean(value[good])), float(np.std(value[good]))
    u = (value[good] - middle) / spread
    design = np.column_stack([np.ones_like(u), u, u**2])
    ridge = np.diag([1e-9, 0.1, 0.1])
    c = np.linalg.solve(design.T @ design + ridge, design.T @ (np.log(se[good]) - offset[good]))
    return ErrorLaw(
        (float(c[0]), float(c[1]) / spread, float(c[2]) / spread**2),
        middle,
        float(value[good].min()),
        float(value[good].max()),
        offset,
    )


@dataclass(frozen=True, slots=True)
class CurveData:
    """One metric of many models, ready to fit. Arrays are (n,); `x` is log10 FLOP less `centre`.

    `y` is the score (rates) or the value on its scale (log2, linear); `var` its known sampling variance where
    `n_items` is NaN; for rates with items, and by `law` for other metrics, the variance follows from the curve.
    `floor` is the chance rate.
    """

    x: Floats
    y: Floats
    family: Ints
    families: tuple[str, ...]
    n_items: Floats
    var: Floats
    flop_sd: Floats
    floor: float
    centre: float
    scale: Scale
    law: ErrorLaw | None = None

    @property
    def rate(self) -> bool:
        return self.scale == "logit"


@dataclass(frozen=True, slots=True)
class Shape:
    """A latent curve eta, its link, and the names and normal priors (mean, sd) of its own parameters."""

    name: str
    names: tuple[str, ...]
    mean: Floats
    sd: Floats
    eta: Callable[[Floats, Floats], Floats]
    link: Callable[[Floats, Floats], Floats]


def shapes_for(data: CurveData, names: tuple[str, ...] | None = None) -> tuple[Shape, ...]:
    """The shapes that fit `data`: by default all of its scale. Raises DataError on an unknown name."""
    known = RATE_SHAPES if data.rate else PLAIN_SHAPES
    wanted = names or known
    for name in wanted:
        if name not in known:
            raise DataError(f"no shape '{name}' for a {data.scale} metric{did_you_mean(name, known)}")
    return tuple(_shape(name, data) for name in wanted)


def log_likelihood(z: Floats, shape: Shape, data: CurveData) -> Floats:
    """(S,) marginal log-likelihood of parameter draws `z` (S, P): shape parameters, log s_e, log s_f."""
    return _moments(z, shape, data)[0]


def family_effect(z: Floats, shape: Shape, data: CurveData, family: str | None) -> tuple[Floats, Floats]:
    """Posterior mean and sd (S,) of u_f for a named model family given draws; the prior for a new one (None)."""
    s_f = np.exp(np.clip(z[:, -1], -12, 6))
    if family is None or family not in data.families:
        return np.zeros(len(z)), s_f
    _, precision, pull = _moments(z, shape, data)
    k = data.families.index(family)
    total = 1 / s_f**2 + precision[:, k]
    return pull[:, k] / total, 1 / np.sqrt(total)


def log_prior(z: Floats, shape: Shape, data: CurveData) -> Floats:
    """(S,) log density of the priors, shape parameters normal, log s_e and log s_f normal."""
    own = shape.mean.size
    scaled = (z[:, :own] - shape.mean) / shape.sd
    out = -0.5 * np.sum(scaled**2 + np.log(2 * np.pi * shape.sd**2), axis=1)
    location = _spread_location(data)
    spread = (z[:, own:] - location[None, :]) / _SPREAD_SD
    return np.asarray(out - 0.5 * np.sum(spread**2, axis=1), np.float64)


def start(shape: Shape, data: CurveData) -> Floats:
    """A starting point (P,): prior means, with level and slope from a straight line through the linked scores."""
    own = shape.mean.copy()
    if data.rate:
        share = np.clip((data.y - data.floor) / (1 - data.floor), 0.02, 0.98)
        eta = special.logit(share)
    else:
        eta = data.y
    design = np.column_stack([np.ones_like(data.x), data.x])
    ridge = np.diag([1e-6, 0.02])
    own[:2] = np.linalg.solve(design.T @ design + ridge, design.T @ eta)
    return np.concatenate([own, _spread_location(data)])


def curve(z: Floats, shape: Shape, data: CurveData, x: Floats, shift: Floats | None = None) -> Floats:
    """Curves (S, G) at `x` (G,) in centred log10 FLOP, with a latent `shift` (S,) of family and model."""
    eta = shape.eta(z, x)
    return shape.link(z, eta if shift is None else eta + shift[:, None])


def _moments(z: Floats, shape: Shape, data: CurveData) -> tuple[Floats, Floats, Floats]:
    """Log-likelihood (S,), and for each family the precision and pull (S, F) that the data put on its effect."""
    s_e2, s_f2 = (np.exp(2 * np.clip(z[:, k], -12, 6))[:, None] for k in (-2, -1))
    eta = shape.eta(z, data.x)
    step = 1e-4
    mean = shape.link(z, eta)
    slope = (shape.link(z, eta + step) - mean) / step
    if data.flop_sd.any():
        steep = (shape.eta(z, data.x + step) - eta) / step
        s_e2 = s_e2 + (steep * data.flop_sd) ** 2
    if data.rate:
        p = np.clip(mean, 1e-4, 1 - 1e-4)
        noise = np.where(np.isfinite(data.n_items), p * (1 - p) / data.n_items, data.var)
    elif data.law is not None:
        noise = data.law.variance(mean)
    else:
        noise = np.broadcast_to(data.var, mean.shape)
    var = noise + slope**2 * s_e2 + 1e-8
    miss = data.y - mean
    precision = _by_family(slope**2 / var, data)
    pull = _by_family(slope * miss / var, data)
    shrink = s_f2 / (1 + s_f2 * precision)
    quad = np.sum(miss**2 / var, axis=1) - np.sum(shrink * pull**2, axis=1)
    log_det = np.sum(np.log(var), axis=1) + np.sum(np.log1p(s_f2 * precision), axis=1)
    value = -0.5 * (quad + log_det)
    return np.where(np.isfinite(value), value, -1e12), precision, pull


def _by_family(values: Floats, data: CurveData) -> Floats:
    """Sums over the models of each family, (S, n) -> (S, F). Every family has a model."""
    order = np.argsort(data.family, kind="stable")
    starts = np.searchsorted(data.family[order], np.arange(len(data.families)))
    return np.asarray(np.add.reduceat(values[:, order], starts, axis=1), np.float64)


def _spread_location(data: CurveData) -> Floats:
    unit = 1.0 if data.rate else max(float(np.std(data.y)), 0.1)
    return np.log(np.array([0.2, 0.45]) * unit)


def _straight(z: Floats, x: Floats) -> Floats:
    return z[:, 0:1] + z[:, 1:2] * x[None, :]


def _broken(at: int, low: float, high: float) -> Callable[[Floats, Floats], Floats]:
    """A line whose slope changes by z[at+1] at a place between `low` and `high` given by expit(z[at])."""

    def eta(z: Floats, x: Floats) -> Floats:
        place = low + (high - low) * special.expit(z[:, at : at + 1])
        soft = _BEND * np.logaddexp(0.0, (x[None, :] - place) / _BEND)
        return z[:, 0:1] + z[:, 1:2] * x[None, :] + z[:, at + 1 : at + 2] * soft

    return eta


def _shape(name: str, data: CurveData) -> Shape:
    floor = data.floor
    low, high = float(data.x.min()), float(data.x.max())
    base: Own = (("level", "slope"), [0.0, 0.0], [3.0, 3.0])
    own: Own

    def over(share: Floats) -> Floats:
        return floor + (1 - floor) * share

    if name == "logistic":
        return _make(name, base, _straight, lambda z, eta: over(special.expit(eta)))
    if name == "gompertz":
        return _make(name, base, _straight, lambda z, eta: over(np.exp(-np.exp(np.minimum(-eta, 50.0)))))
    if name == "power":
        return _make(name, base, _straight, lambda z, eta: over(-np.expm1(-np.logaddexp(0.0, 3 * eta) / 3)))
    if name == "saturating":
        own = ((*base[0], "logit_ceiling"), [*base[1], 1.7], [*base[2], 1.2])
        return _make(
            name,
            own,
            _straight,
            lambda z, eta: floor + (1 - floor) * special.expit(z[:, 2:3]) * special.expit(eta),
        )
    if name == "broken":
        own = ((*base[0], "break_at", "slope_change"), [*base[1], 0.0, 0.0], [*base[2], 1.5, 1.5])
        return _make(name, own, _broken(2, low, high), lambda z, eta: over(special.expit(eta)))
    mid, unit = float(np.mean(data.y)), max(float(np.std(data.y)), 0.1)
    plain: Own = (("level", "slope"), [mid, 0.0], [10 * unit, 5 * unit])
    if name == "linear":
        return _make(name, plain, _straight, lambda z, eta: eta)
    own = ((*plain[0], "break_at", "slope_change"), [*plain[1], 0.0, 0.0], [*plain[2], 1.5, 1.5 * unit])
    return _make(name, own, _broken(2, low, high), lambda z, eta: eta)


def _make(
    name: str,
    own: Own,
    eta: Callable[[Floats, Floats], Floats],
    link: Callable[[Floats, Floats], Floats],
) -> Shape:
    return Shape(name, own[0], np.array(own[1]), np.array(own[2]), eta, link)
