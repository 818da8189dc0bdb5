"""The band of a fitted scale study: quantiles of a new model's capability at each training compute."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dangercurve.analysis import latent
from dangercurve.analysis.crossing import Fitted, shifts

Floats = NDArray[np.float64]
LEVELS = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
N_POINTS = 49
AHEAD = 6.0  # orders of magnitude beyond the largest model
_LOG2_RANGE = 60.0  # horizons beyond 2^60 steps are drawn at 2^60


def new_model_band(
    fitted: Fitted,
    *,
    log10_flop: ArrayLike | None = None,
    cap: float = 32.0,
    family: str | None = None,
    predicts: Literal["curve", "new_model"] = "new_model",
) -> dict[str, list[float]]:
    """Quantiles over all shapes by their weight: `log10_flop, q05, q50, q95`, lists of one length.

    Values are in the metric's unit. Each draw has its family's effect and, with `predicts="new_model"`, its own
    residual, so the band is for a new model and not for the mean of the fit. The default grid runs from half an order
    of magnitude below the smallest model to AHEAD orders beyond the largest, at most to `cap`. The same fit gives the
    same band.
    """
    data = fitted.data
    x = data.x + data.centre
    stop = max(min(x.max() + AHEAD, cap), x.max())
    grid = (
        np.linspace(x.min() - 0.5, stop, N_POINTS)
        if log10_flop is None
        else np.asarray(log10_flop, float).ravel()
    )
    rng = np.random.default_rng(np.random.SeedSequence(fitted.seed).spawn(1)[0])
    curves, weights = [], []
    for shape, fit, weight in zip(fitted.shapes, fitted.posteriors, fitted.weight, strict=True):
        shift = shifts(fit.z, shape, data, family, predicts, rng)
        curves.append(latent.curve(fit.z, shape, data, grid - data.centre, shift))
        weights.append(np.full(len(fit.z), weight / len(fit.z)))
    value, weight = np.concatenate(curves), np.concatenate(weights)
    if not data.rate:
        value = np.clip(value, -_LOG2_RANGE, _LOG2_RANGE) if data.scale == "log2" else value
        value = np.exp2(value) if data.scale == "log2" else value
    order = np.argsort(value, axis=0, kind="stable")
    ranked = np.take_along_axis(value, order, axis=0)
    mass = np.cumsum(weight[order], axis=0)
    out = {"log10_flop": [float(v) for v in grid]}
    for name, q in LEVELS.items():
        place = np.minimum((mass < q * mass[-1]).sum(axis=0), len(value) - 1)
        out[name] = [float(v) for v in ranked[place, np.arange(grid.size)]]
    return out
