"""Curve forms: score against log10 FLOP, each with its Jacobian, prior and the slope that decides "identified".

Every form works in `u = log10 C - centre` and shares the first two parameters: `a` (latent level at the centre) and
`b` (latent slope an order of magnitude). The slope's prior is normal and *not* sign-constrained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from dangercurve.analysis.scoring import FloatArray

_BEND = 0.25  # orders of magnitude over which the broken law turns


@dataclass(frozen=True)
class CurveForm:
    """One curve form.

    `evaluate(params (B, P), u (B | 1, T), shift (B, 1))` gives the score (B, T) and its P partial derivatives;
    `shift` is added to the latent value (a model's own offset). `prior_mean`, `prior_sd` are (P,) on the scale of the
    parameters; `bounded` says whether the score is held in [0, 1]; `min_points` is the fewest points it may be
    fitted to.
    """

    name: str
    parameters: tuple[str, ...]
    evaluate: Callable[[FloatArray, FloatArray, FloatArray], tuple[FloatArray, list[FloatArray]]]
    prior_mean: tuple[float, ...]
    prior_sd: tuple[float, ...]
    bounded: bool
    min_points: int
    description: str

    def slope(self, params: FloatArray) -> FloatArray:
        """Latent slope an order of magnitude at the largest compute, (B,); unconstrained in sign."""
        if self.name == "last_value":
            return np.zeros(params.shape[0])
        late = params[:, self.parameters.index("d")] if "d" in self.parameters else 0.0
        return np.asarray(params[:, 1] + late)


def _between(
    params: FloatArray, p: FloatArray, dp: FloatArray, u: FloatArray, lo: int = 2, hi: int = 3
) -> tuple[FloatArray, list[FloatArray]]:
    floor, ceiling = params[:, lo : lo + 1], params[:, hi : hi + 1]
    rise = (ceiling - floor) * dp
    return floor + (ceiling - floor) * p, [rise, rise * u, 1 - p, p]


def _logistic(params: FloatArray, u: FloatArray, shift: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
    p = expit(params[:, :1] + params[:, 1:2] * u + shift)
    return _between(params, p, p * (1 - p), u)


def _gompertz(params: FloatArray, u: FloatArray, shift: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
    z = np.exp(np.clip(-(params[:, :1] + params[:, 1:2] * u + shift), -30.0, 30.0))
    p = np.exp(-z)
    return _between(params, p, z * p, u)


def _power_law(params: FloatArray, u: FloatArray, shift: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
    error = np.exp(np.clip(-(params[:, :1] + params[:, 1:2] * u + shift), -30.0, 30.0))
    floor, ceiling = params[:, 2:3], params[:, 3:4]
    above = (ceiling - error) > floor
    value = np.where(above, ceiling - error, floor)
    rise = np.where(above, error, 0.0)
    return value, [rise, rise * u, (~above).astype(float), above.astype(float)]


def _broken(params: FloatArray, u: FloatArray, shift: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
    d, k = params[:, 4:5], params[:, 5:6]
    v = (u - k) / _BEND
    hinge = _BEND * np.logaddexp(0.0, v)
    p = expit(params[:, :1] + params[:, 1:2] * u + d * hinge + shift)
    value, jacobian = _between(params, p, p * (1 - p), u)
    return value, [*jacobian, jacobian[0] * hinge, -jacobian[0] * d * expit(v)]


def _linear(params: FloatArray, u: FloatArray, shift: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
    value = params[:, :1] + params[:, 1:2] * u + shift
    return value, [np.ones_like(value), np.broadcast_to(u, value.shape) + 0.0]


def _last_value(params: FloatArray, u: FloatArray, shift: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
    value = params[:, :1] + shift + 0.0 * u
    return value, [np.ones_like(value)]


_LOHI_MEAN, _LOHI_SD = (0.0, 1.0), (0.03, 0.1)

FORMS: dict[str, CurveForm] = {
    form.name: form
    for form in (
        CurveForm(
            "logistic",
            ("a", "b", "lo", "hi"),
            _logistic,
            (-1.0, 1.0, *_LOHI_MEAN),
            (3.0, 1.5, *_LOHI_SD),
            True,
            4,
            "logistic with floor and ceiling",
        ),
        CurveForm(
            "gompertz",
            ("a", "b", "lo", "hi"),
            _gompertz,
            (-0.5, 0.7, *_LOHI_MEAN),
            (2.0, 1.0, *_LOHI_SD),
            True,
            4,
            "Gompertz with floor and ceiling",
        ),
        CurveForm(
            "power_law",
            ("a", "b", "lo", "hi"),
            _power_law,
            (0.7, 0.3, *_LOHI_MEAN),
            (1.5, 0.5, *_LOHI_SD),
            True,
            4,
            "power law in the error: 1 - score falls as a power of compute",
        ),
        CurveForm(
            "logit_prior",
            ("a", "b", "lo", "hi"),
            _logistic,
            (-1.0, 1.0, *_LOHI_MEAN),
            (3.0, 0.4, 0.002, 0.002),
            True,
            3,
            "logit with an informative slope prior, floor and ceiling fixed",
        ),
        CurveForm(
            "broken",
            ("a", "b", "lo", "hi", "d", "k"),
            _broken,
            (-1.0, 0.6, *_LOHI_MEAN, 0.0, 0.0),
            (3.0, 1.0, 0.02, 0.05, 1.0, 0.7),
            True,
            15,
            "piecewise: a logistic whose slope changes once",
        ),
        CurveForm(
            "linear",
            ("a", "b"),
            _linear,
            (0.0, 0.0),
            (10.0, 5.0),
            False,
            3,
            "linear in the latent (y is taken on its own scale)",
        ),
        CurveForm("last_value", ("a",), _last_value, (0.0,), (10.0,), False, 2, "last value carried forward"),
    )
}
