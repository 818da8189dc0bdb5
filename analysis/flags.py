"""What a reader must know beside a forecast: thin or saturated data, abrupt rises, compute that looks wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dangercurve._text import printable
from dangercurve.analysis.crossing import Fitted
from dangercurve.analysis.latent import CurveData
from dangercurve.analysis.points import Points, curve_data

Floats = NDArray[np.float64]
SUSPECT_OOM = 2.0  # orders of magnitude by which a model's compute must be off before it is named
SUSPECT_SD = 6.0  # and how many robust standard deviations of the others
SUSPECT_SPREAD = 0.75  # orders of magnitude of scatter beyond which the line says nothing about compute
SUSPECT_MODELS = 8
FEW_MODELS, FEW_FAMILIES = 8, 4  # below either, scatter is not measured: resampling has nothing to resample
SUSPECT_MOST = 300  # models beyond which the pairwise slopes are not worth their cost


def data_flags(points: Points, threshold: float, fitted: Fitted) -> list[str]:
    """What a reader must know of the data and the fit beside the forecast, a sentence each."""
    value = points.frame["value"].to_numpy(np.float64)
    out = table_flags(points)
    reached = int(np.sum(value <= threshold if points.falls else value >= threshold))
    if reached:
        out.append(f"{reached} models measured at or beyond the threshold")
    if np.isfinite(fitted.last_value) and fitted.last_value > float(fitted.held_out.max()):
        out.append("the last value carried forward predicts the larger models better than every curve")
    low = [s.name for s, p in zip(fitted.shapes, fitted.posteriors, strict=True) if p.efficiency < 0.01]
    if low:
        out.append(f"fewer than 1 % of proposals counted for {', '.join(low)}: raise --draws")
    return out


def table_flags(points: Points) -> list[str]:
    """What a reader must know of one benchmark's data alone: one family, little compute, floor, ceiling, a sudden rise,
    compute that looks wrong."""
    frame = points.frame
    out: list[str] = []
    if frame.empty:
        return out
    models, families = len(frame), int(frame["model_family"].nunique())
    if families == 1:
        out.append("one model family: the spread between families is a prior, not measured")
    if models < FEW_MODELS or 1 < families < FEW_FAMILIES:
        out.append(
            f"{models} models of {families} model families (fewer than {FEW_MODELS} or {FEW_FAMILIES}): the intervals lean "
            "on the priors"
        )
    span = float(np.log10(frame["flops"].max() / frame["flops"].min()))
    if span < 1:
        out.append(
            f"models span {span:.2f} orders of magnitude of compute: extrapolation rests on the priors"
        )
    value = frame["value"].to_numpy(np.float64)
    if points.scale == "logit":
        if (value <= points.floor + 0.02).all():
            out.append("every score is at the chance floor: no slope can be seen")
        if (value >= 0.98).all():
            out.append("every score is at the ceiling: the benchmark is saturated")
        rising = value[np.argsort(frame["flops"].to_numpy())]
        if rising.size >= 6 and _abrupt(rising, points.floor):
            out.append(
                "abrupt: the scores leave the floor within one step of compute; shapes differ most here"
            )
    out += compute_suspects(curve_data(points), [str(m) for m in frame["model"]])
    return out


def _abrupt(rising: Floats, floor: float) -> bool:
    """More than half of the whole rise above the floor happens between two neighbours, from a flat start."""
    rise = float(rising.max() - max(floor, rising.min()))
    jumps = np.diff(rising)
    i = int(np.argmax(jumps))
    return rise > 0.2 and jumps[i] > 0.5 * rise and bool(np.all(rising[: i + 1] < floor + 0.2 * rise + 0.05))


def compute_suspects(data: CurveData, models: Sequence[str]) -> list[str]:
    """Models whose compute or kind is another: the others reach the same value two orders of magnitude away from it.

    The line through the others (latent values against log10 FLOP, Theil-Sen) gives the compute that a model's value
    asks for. Without N and D there is nothing else to check a thousandfold error against. Needs a rising line and
    SUSPECT_MODELS models; scores at the floor or the ceiling, which ask for no compute, are passed over.
    """
    if not SUSPECT_MODELS <= data.x.size <= SUSPECT_MOST:
        return []
    if data.rate:
        share = (data.y - data.floor) / (1 - data.floor)
        inside = (share > 0.01) & (share < 0.99)
        value = special.logit(np.clip(share, 0.005, 0.995))
    else:
        inside, value = np.isfinite(data.y), data.y
    out: list[str] = []
    for i in range(data.x.size):
        rest = np.delete(np.arange(data.x.size), i)
        rest = rest[inside[rest]]
        if not inside[i] or rest.size < SUSPECT_MODELS - 2:
            continue
        slope, level = _theil_sen(data.x[rest], value[rest])
        if not slope > 0:
            continue
        miss = value[rest] - level - slope * data.x[rest]
        sd = 1.4826 * float(np.median(np.abs(miss - np.median(miss)))) / slope
        off = data.x[i] - (value[i] - level) / slope
        if sd < SUSPECT_SPREAD and abs(off) > max(SUSPECT_OOM, SUSPECT_SD * sd):
            word = "more" if off > 0 else "less"
            out.append(
                f"{printable(models[i])} has {abs(off):.1f} orders of magnitude {word} compute than the other models "
                "need for its value: a wrong FLOP, or a model of another kind"
            )
    return out


def _theil_sen(x: Floats, y: Floats) -> tuple[float, float]:
    """Median of the pairwise slopes, and the median level."""
    i, j = np.triu_indices(x.size, 1)
    apart = np.abs(x[j] - x[i]) > 1e-9
    if not apart.any():
        return 0.0, float(np.median(y))
    slope = float(np.median((y[j] - y[i])[apart] / (x[j] - x[i])[apart]))
    return slope, float(np.median(y - slope * x))
