"""Residuals of a fitted scale study, and whether they are stationary in compute and in calendar time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from dangercurve.analysis import latent
from dangercurve.analysis.crossing import Fitted
from dangercurve.analysis.dates import decimal_year
from dangercurve.analysis.drift import MIN_POINTS, Drift, drift_check
from dangercurve.analysis.points import Points

Floats = NDArray[np.float64]
MOST = 500  # models beyond which the permutations cost more than the forecast
N_PERM = 500
_CURVES = 200  # draws of each shape that make its mean curve


def residuals(fitted: Fitted) -> Floats:
    """Value less the mean curve (n,), families' effects included, shapes averaged by weight; rates in logits."""
    data = fitted.data
    expected = np.zeros(data.x.size)
    for shape, fit, weight in zip(fitted.shapes, fitted.posteriors, fitted.weight, strict=True):
        z = fit.z[:_CURVES]
        for k, name in enumerate(data.families):
            mine = data.family == k
            shift = latent.family_effect(z, shape, data, name)[0]
            expected[mine] += weight * latent.curve(z, shape, data, data.x[mine], shift).mean(axis=0)
    if not data.rate:
        return np.asarray(data.y - expected)
    seen, meant = ((v - data.floor) / (1 - data.floor) for v in (data.y, expected))
    return np.asarray(special.logit(np.clip(seen, 0.02, 0.98)) - special.logit(np.clip(meant, 0.02, 0.98)))


def residual_drift(points: Points, fitted: Fitted, *, seed: int = 0) -> tuple[Drift, ...]:
    """Drift of the residuals along compute and, for the models with a release date, along time.

    Axes with fewer than eight models are left out, as are studies of more than MOST models. The curve has already been
    fitted to compute, so that axis shows what no shape could follow; time shows progress at equal compute.
    """
    data = fitted.data
    if not MIN_POINTS <= data.x.size <= MOST:
        return ()
    miss = residuals(fitted)
    if np.ptp(miss) < 1e-9:
        return ()
    found = []
    if np.ptp(data.x) > 0:
        found.append(drift_check(miss, data.x + data.centre, axis="log10 FLOP", n_perm=N_PERM, seed=seed))
    days = pd.to_datetime(points.frame["release_date"])
    known = days.notna().to_numpy(bool)
    if known.sum() >= MIN_POINTS and days[known].nunique() > 2:
        years = np.array([decimal_year(day.date()) for day in days[known]])
        found.append(drift_check(miss[known], years, axis="release date", n_perm=N_PERM, seed=seed))
    return tuple(found)


def drift_flags(found: tuple[Drift, ...]) -> list[str]:
    """A sentence for each axis along which the residuals are not stationary."""
    out = []
    for d in found:
        if d.stationary:
            continue
        least = min(d.p_break, d.p_trend, d.p_spread)
        what = {
            d.p_spread: "their scatter changes",
            d.p_break: f"they shift by {d.shift:+.2f} at {d.break_at:.1f}",
            d.p_trend: "they rise" if d.trend > 0 else "they fall",
        }[least]
        out.append(
            f"residuals are not stationary along {d.axis} ({what}, p {least:.3f}): tomorrow's models may not come from "
            "today's process"
        )
    return out
