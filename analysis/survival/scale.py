"""Time to breach against compute: how fast safeguards fall as attackers scale, or "not identified", in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from dangercurve._errors import DataError
from dangercurve.analysis.survival.aft import Labels, Status, weibull_aft

Floats = NDArray[np.float64]
MIN_SCALES = 3  # attacker sizes below which a slope is a difference and no law
MIN_SPAN = 0.5  # orders of magnitude that the sizes must span


@dataclass(frozen=True, slots=True)
class ScaleSlope:
    """Orders of magnitude of effort that one order of magnitude of attacker compute takes off (negative) or adds.

    `slope` is d log10(effort) / d log10(C); `factor` = 10^slope multiplies effort for each tenfold of compute. `says`
    is the answer in words. With `status` not_identified the numbers may be there for reading, but no direction follows:
    the interval holds zero, or (numbers None) the data allow no fit at all.
    """

    status: Status
    slope: float | None
    lcb: float | None
    ucb: float | None
    factor: float | None
    n_units: int
    n_events: int
    n_scales: int
    span: float
    level: float
    says: str


def scale_slope(
    lower: ArrayLike,
    upper: ArrayLike,
    log10_compute: ArrayLike,
    cluster: Labels,
    *,
    controls: ArrayLike | None = None,
    control_names: Sequence[str] = (),
    level: float = 0.9,
) -> ScaleSlope:
    """Weibull AFT of effort on log10 compute of the attacker, with `controls` (units, K), clustered by attacker size.

    Units of one attacker size share that attacker: the size is the cluster where there are enough of them (eight),
    else the caller's `cluster` with the interval widened by Student's t on sizes - 2. Identified where at least three
    sizes span half an order of magnitude, a breach was seen, and the interval of the slope excludes zero.
    Raises DataError on compute that is not finite.
    """
    lo, hi = np.asarray(lower, np.float64).ravel(), np.asarray(upper, np.float64).ravel()
    x = np.asarray(log10_compute, np.float64).ravel()
    if x.size != lo.size or not np.isfinite(x).all():
        raise DataError("log10 compute needs one finite value a unit")
    sizes, index = np.unique(np.round(x, 6), return_inverse=True)
    span = float(sizes[-1] - sizes[0])
    n_events = int(np.isfinite(hi).sum())

    def answer(status: Status, numbers: tuple[float, float, float] | None, says: str) -> ScaleSlope:
        slope, low, high = numbers or (None, None, None)
        factor = float(10.0**slope) if slope is not None and abs(slope) < 30 else None
        return ScaleSlope(
            status, slope, low, high, factor, lo.size, n_events, int(sizes.size), span, level, says
        )

    def nothing(why: str) -> ScaleSlope:
        return answer("not_identified", None, f"not identified: {why}")

    if sizes.size < MIN_SCALES or span < MIN_SPAN:
        return nothing(
            f"{sizes.size} attacker sizes over {span:.2f} orders of magnitude; {MIN_SCALES} over {MIN_SPAN:g} are needed"
        )
    many = sizes.size >= 8
    columns = x[:, None] if controls is None else np.column_stack([x, np.asarray(controls, np.float64)])
    fit = weibull_aft(lo, hi, columns, ("log10_compute", *control_names), cluster=index if many else cluster)
    if fit.status != "identified":
        return nothing(fit.why)
    i = 1
    degrees = max(sizes.size - 2, 1)
    half = float(special.stdtrit(degrees, (1 + level) / 2) * fit.se[i] / np.log(10))
    slope = float(fit.beta[i] / np.log(10))
    low, high = slope - half, slope + half
    if low <= 0 <= high:
        says = (
            f"not identified: the slope {slope:+.2f} ({low:+.2f} to {high:+.2f}) may have either sign; "
            f"{n_events} breaches by {sizes.size} attacker sizes"
        )
        return answer("not_identified", (slope, low, high), says)
    word = "falls" if slope < 0 else "rises"
    times = 10.0 ** abs(slope)
    says = f"effort to a breach {word} {times:.2g}-fold for each tenfold of attacker compute"
    return answer("identified", (slope, low, high), says)
