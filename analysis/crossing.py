"""The compute C* at which a curve meets a threshold: draws with mass at "never", and an answer in three words.

Source: Fieller (1954) for a ratio whose interval may be unbounded: a slope that may be zero has no finite crossing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dangercurve._errors import DataError
from dangercurve.analysis import latent
from dangercurve.analysis.held_out import last_value_score, n_training, shape_scores
from dangercurve.analysis.latent import CurveData, Shape
from dangercurve.analysis.posterior import Posterior, sample

Floats = NDArray[np.float64]
Status = Literal["identified", "not_identified", "not_within_cap"]
SLOPE_SHARE = 0.025  # more draws of an unconstrained slope at or below zero than this: not identified
MAX_MODELS = 5000  # of one metric: the memory of a fit grows with models x draws
_STEP = 0.02  # grid of log10 FLOP on which crossings are sought, interpolated within


@dataclass(frozen=True, slots=True)
class ShapeFit:
    """One shape of the sensitivity table: its weight, its draws of log10 C* (S,) and its sampling efficiency.

    `held_out` is the log score that gave it its weight, summed over the held-out models (`analysis.held_out`).
    """

    shape: str
    weight: float
    log10_c: Floats
    efficiency: float
    held_out: float

    @property
    def p_never(self) -> float:
        return float(np.mean(np.isinf(self.log10_c)))

    def quantile(self, q: float) -> float:
        """Quantile of log10 C* under this shape alone, infinite where it lies in "never"."""
        return _quantile(self.log10_c, q)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Draws of log10 C* (S,), infinite where the curve does not meet the threshold below `cap`.

    `status`: not_identified where the unconstrained slope is <= 0 in more than 2.5 % of draws (`p_slope`);
    not_within_cap where more than half of the draws never cross; else identified. `predicts` says whether a
    new model's own residual is part of the draws or only the curve of its family.
    """

    threshold: float
    cap: float
    status: Status
    log10_c: Floats
    p_slope: float
    shapes: tuple[ShapeFit, ...]
    predicts: Literal["curve", "new_model"]
    seed: int

    @property
    def p_never(self) -> float:
        return float(np.mean(~np.isfinite(self.log10_c)))

    def quantile(self, q: float) -> float:
        """Quantile of log10 C*, infinite where it lies in "never"."""
        return _quantile(self.log10_c, q)


@dataclass(frozen=True, slots=True)
class Fitted:
    """Every shape fitted to one table: draws, pooling weights, and the share of unconstrained slopes <= 0.

    `held_out` (shapes,) and `last_value` are log scores of the `n_held_out` larger models, rolling by compute.
    """

    data: CurveData
    shapes: tuple[Shape, ...]
    posteriors: tuple[Posterior, ...]
    weight: Floats
    held_out: Floats
    last_value: float
    n_held_out: int
    p_slope: float
    n_draws: int
    seed: int


def fit_shapes(
    data: CurveData, *, shapes: tuple[str, ...] | None = None, n_draws: int = 2000, seed: int = 0
) -> Fitted:
    """Fit each shape with its priors; pooling weights are exp(held-out log score) times prior weight.

    The score rolls by compute: each model beyond the smallest third is predicted from all smaller ones.

    Raises DataError on fewer than three models or an unknown shape.
    """
    if data.x.size < 3:
        raise DataError(f"{data.x.size} models with a score and compute: a crossing needs at least 3")
    if data.x.size > MAX_MODELS:
        raise DataError(
            f"{data.x.size} models: more than {MAX_MODELS} in one fit; a row is a model on one benchmark, so group by model"
        )
    streams = np.random.SeedSequence(seed).spawn(len(latent.RATE_SHAPES) + 3)
    chosen = latent.shapes_for(data, shapes)
    fits = tuple(fit_shape(shape, data, n_draws, stream) for shape, stream in zip(chosen, streams[2:-1]))
    prior = np.log([_prior_weight(shape.name, data.x.size) for shape in chosen])
    score = shape_scores(data, chosen, fits, n_draws, streams[-1])
    return Fitted(
        data,
        chosen,
        fits,
        np.asarray(special.softmax(score + prior)),
        score,
        last_value_score(data),
        data.x.size - n_training(data.x.size),
        _unconstrained(data, n_draws, streams[1]),
        n_draws,
        seed,
    )


def crossing(
    fitted: Fitted,
    threshold: float,
    *,
    cap: float = 32.0,
    family: str | None = None,
    predicts: Literal["curve", "new_model"] = "new_model",
) -> Crossing:
    """C* of `threshold` (on the data's scale: rate, log2 or linear) from below, up to log10 FLOP `cap`.

    `family` names the model family asked about; None is a family not seen. Raises DataError on a threshold not above
    the chance floor or not below 1, or a cap inside the data.
    """
    data = fitted.data
    _check(data, threshold, cap)
    rng = np.random.default_rng(np.random.SeedSequence(fitted.seed).spawn(1)[0])
    drawn = []
    for shape, fit in zip(fitted.shapes, fitted.posteriors, strict=True):
        shift = shifts(fit.z, shape, data, family, predicts, rng)
        drawn.append(first_crossing(fit.z, shape, data, threshold, cap, shift))
    share = _apportion(fitted.weight, fitted.n_draws)
    pooled = rng.permutation(np.concatenate([d[:k] for d, k in zip(drawn, share, strict=True)]))
    table = tuple(
        ShapeFit(shape.name, float(w), d, fit.efficiency, float(h))
        for shape, fit, w, d, h in zip(
            fitted.shapes, fitted.posteriors, fitted.weight, drawn, fitted.held_out, strict=True
        )
    )
    never = float(np.mean(np.isinf(pooled)))
    status: Status = "identified"
    if fitted.p_slope > SLOPE_SHARE:
        status = "not_identified"
    elif never > 0.5:
        status = "not_within_cap"
    return Crossing(threshold, cap, status, pooled, fitted.p_slope, table, predicts, fitted.seed)


def fit_shape(shape: Shape, data: CurveData, n_draws: int, stream: np.random.SeedSequence) -> Posterior:
    """Posterior draws of one shape's parameters."""

    def density(z: Floats) -> Floats:
        return latent.log_likelihood(z, shape, data) + latent.log_prior(z, shape, data)

    return sample(density, latent.start(shape, data), n_draws, np.random.default_rng(stream))


def shifts(
    z: Floats,
    shape: Shape,
    data: CurveData,
    family: str | None,
    predicts: Literal["curve", "new_model"],
    rng: np.random.Generator,
) -> Floats:
    """Latent shift (S,) of the model asked about: its family's effect and, for a new model, its own residual."""
    mean, sd = latent.family_effect(z, shape, data, family)
    out = mean + sd * rng.standard_normal(len(z))
    if predicts == "new_model":
        out = out + np.exp(np.clip(z[:, -2], -12, 6)) * rng.standard_normal(len(z))
    return out


def first_crossing(
    z: Floats, shape: Shape, data: CurveData, threshold: float, cap: float, shift: Floats
) -> Floats:
    """log10 C (S,) at which each drawn curve first reaches `threshold` from below; the start of the grid where it begins
    above and never rises through it; infinite where it never does below `cap`.

    The grid begins three orders below the data; a curve that falls below the threshold before it rises, as a broken one
    may far left of the data, crosses where it rises.
    """
    grid = np.arange(data.x.min() - 3.0, cap - data.centre + _STEP, _STEP)
    out = np.full(len(z), np.inf)
    for begin in range(0, len(z), 500):
        part = slice(begin, begin + 500)
        value = latent.curve(z[part], shape, data, grid, shift[part])
        over = value >= threshold
        rising = over.copy()
        rising[:, 1:] &= ~over[
            :, :-1
        ]  # where a curve comes from below; a start above counts only if it never does
        rising[:, 0] &= ~rising[:, 1:].any(axis=1)
        hit = rising.any(axis=1)
        i = np.argmax(rising, axis=1)
        rows = np.arange(len(value))
        before = value[rows, np.maximum(i - 1, 0)]
        rise = value[rows, i] - before
        inside = np.where(rise > 0, (threshold - before) / np.where(rise > 0, rise, 1.0), 1.0)
        place = grid[np.maximum(i - 1, 0)] + np.where(i > 0, inside, 0.0) * _STEP
        out[part] = np.where(hit, place, np.inf)
    at = out + data.centre
    return np.where(at > cap, np.inf, at)


def _quantile(draws: Floats, q: float) -> float:
    return float(np.quantile(draws, q, method="inverted_cdf"))


def _unconstrained(data: CurveData, n_draws: int, stream: np.random.SeedSequence) -> float:
    """Share of draws of the straight latent line whose slope is at or below zero (its prior is centred on zero)."""
    straight = latent.shapes_for(data, ("logistic",) if data.rate else ("linear",))[0]
    return float(np.mean(fit_shape(straight, data, n_draws, stream).z[:, 1] <= 0))


def _prior_weight(name: str, n: int) -> float:
    """Prior weight of a shape; a broken law of a rate needs points enough to tell a break from noise.

    An unbounded metric has no other shape that bends: there the broken line weighs as much as the line, for a line
    alone dates a rise that has begun too late.
    """
    if name == "broken":
        return 0.5 if n >= latent.MIN_BROKEN else 0.125
    return {"gompertz": 0.3, "power": 0.3, "saturating": 0.4}.get(name, 1.0)


def _apportion(weight: Floats, n: int) -> list[int]:
    """Whole numbers that sum to n in proportion to `weight`, largest remainders first."""
    exact = weight * n
    whole = np.floor(exact).astype(int)
    short = n - int(whole.sum())
    whole[np.argsort(-(exact - whole), kind="stable")[:short]] += 1
    return [int(k) for k in whole]


def _check(data: CurveData, threshold: float, cap: float) -> None:
    if data.rate and not data.floor < threshold < 1:
        raise DataError(f"threshold {threshold:g} must lie above the chance floor {data.floor:g} and below 1")
    if not np.isfinite(threshold):
        raise DataError("the threshold is not finite")
    if cap <= data.centre + data.x.max():
        raise DataError(
            f"cap 10^{cap:g} FLOP lies inside the data (largest model 10^{data.centre + data.x.max():.2f})"
        )
