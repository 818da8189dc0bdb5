"""Decision rules on numbers alone: B = UCB + E + G + M against W and T, on the metric's scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from dangercurve.analysis.registry import Direction, Scale, from_scale, to_scale
from dangercurve.evals.gating.verdict import Outcome, round6

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Axis:
    """A scale with its dangerous direction. `up` maps a natural value to a number that grows with danger."""

    scale: Scale
    direction: Direction

    def up(self, value: float) -> float:
        """Natural value to danger-up scale."""
        on_scale = to_scale(value, self.scale)
        return on_scale if self.direction == "up" else -on_scale

    def natural(self, value: float) -> float:
        """Danger-up scale back to the metric's own unit."""
        return from_scale(value if self.direction == "up" else -value, self.scale)


@dataclass(frozen=True)
class Bounds:
    """Estimate and one-sided bounds on the danger-up scale; `safe` counts missing as safe, `worst` as dangerous."""

    estimate: float
    lower: float
    upper: float
    safe_lower: float
    worst_upper: float


def decide(bound: float, lower: float, alert: float, reach: float, direction: Direction = "up") -> Outcome:
    """The verdict on natural values, each rounded to six significant digits first.

    RULED_OUT: the bound is on the safe side of W. APPROACHING: of T. REACHED: the lower bound is at T or beyond.
    Else UNRESOLVED. A NaN anywhere is INVALID.
    """
    sign = 1.0 if direction == "up" else -1.0
    b, low, w, t = (sign * round6(value) for value in (bound, lower, alert, reach))
    if any(math.isnan(value) for value in (b, low, w, t)):
        return Outcome.INVALID
    if low >= t:
        return Outcome.REACHED
    if b < w:
        return Outcome.RULED_OUT
    return Outcome.APPROACHING if b < t else Outcome.UNRESOLVED


def worse_of(verdict: Outcome, imputed: Outcome) -> Outcome:
    """The worse of the two where missing samples are imputed; imputation worsens at most to UNRESOLVED."""
    rank = {
        Outcome.RULED_OUT: 0,
        Outcome.APPROACHING: 1,
        Outcome.UNRESOLVED: 2,
        Outcome.REACHED: 3,
        Outcome.INVALID: 4,
    }
    capped = imputed if rank[imputed] <= 2 else Outcome.UNRESOLVED
    return capped if rank[capped] > rank[verdict] else verdict


def z_of(alpha: float) -> float:
    """Upper-tail normal quantile of `alpha`."""
    return _NORMAL.inv_cdf(1 - alpha)


def widen(estimate: float, bound: float, scale: Scale, have: float, need: float) -> float:
    """A bound made at level `have`, moved away from the estimate to the stricter level `need`.

    On the scale the distance grows by z(need)/z(have), for rates by the larger ln(need)/ln(have), which covers the
    exact binomial bounds. With the estimate at an end of the rate scale (no event, or nothing but events) the exact
    bound is 1 - p' = (1 - p)^(ln need / ln have). Where neither holds the bound becomes infinite. A level that is
    already strict enough is kept.
    """
    if need >= have or math.isinf(bound):
        return bound
    side = 1.0 if bound >= estimate else -1.0
    if have >= 0.5 or need <= 0:
        return side * math.inf
    logs = math.log(need) / math.log(have)
    if math.isfinite(estimate):
        return estimate + (bound - estimate) * (logs if scale == "logit" else z_of(need) / z_of(have))
    if scale == "logit":
        toward = from_scale(-side * bound, "logit")  # the share on the estimate's side
        return -side * to_scale(toward**logs, "logit")
    return side * math.inf


def least_upper(n_instances: int, alpha: float) -> float:
    """The least upper bound of a rate that n instances can support: 1 - alpha^(1/n), the zero-event bound."""
    return 1.0 if n_instances < 1 else -math.expm1(math.log(alpha) / n_instances)


def alarm_p(estimate: float, lower: float, reach: float, scale: Scale, alpha: float) -> float:
    """One-sided p-value of "the metric is below T", read off the lower bound at level `alpha`.

    On the scale: 1 - Phi(z(alpha) (estimate - T) / (estimate - lower)). With the estimate at the upper end of the
    rate scale: exp(ln alpha · ln T / ln lower), the exact binomial value. 1.0 where nothing can be said.
    """
    if math.isinf(lower) or math.isinf(reach) or math.isnan(estimate) or alpha >= 0.5:
        return 1.0
    if math.isinf(estimate):
        if scale != "logit" or estimate < 0:
            return 1.0
        low, top = from_scale(lower, "logit"), from_scale(reach, "logit")
        if not (0 < low < 1 and 0 < top < 1):
            return 1.0
        return min(1.0, math.exp(math.log(alpha) * math.log(top) / math.log(low)))
    spread = estimate - lower
    if spread <= 0:
        return 1.0
    return 1 - _NORMAL.cdf(z_of(alpha) * (estimate - reach) / spread)


def instances_needed(
    bounds: Bounds, allowance: float, target: float, n_instances: int, scale: Scale, alpha: float
) -> int | None:
    """Instances in all at which B would fall below `target` (danger-up scale), or None where no number would.

    Half-widths shrink with the square root of n; with no event in n the exact zero-event bound is inverted.
    """
    room = target - allowance
    if n_instances < 1 or math.isinf(target) or room <= bounds.estimate:
        return None
    if math.isinf(bounds.estimate):
        if scale != "logit":
            return None
        rate = from_scale(room, "logit")
        exact = math.log(alpha) / math.log1p(-rate) if 0 < rate < 1 else math.inf
        return math.floor(exact) + 1 if exact < 1e12 else None
    if math.isinf(bounds.upper):
        return None
    ratio = (bounds.upper - bounds.estimate) / (room - bounds.estimate)
    needed = n_instances * ratio**2
    return max(n_instances, math.floor(needed) + 1) if needed < 1e12 else None


def instances_to_alarm(bounds: Bounds, target: float, n_instances: int) -> int | None:
    """Instances in all at which the lower bound would pass `target`, where the estimate lies beyond it."""
    if not all(map(math.isfinite, (bounds.estimate, bounds.lower, target))) or bounds.estimate <= target:
        return None
    needed = n_instances * ((bounds.estimate - bounds.lower) / (bounds.estimate - target)) ** 2
    return max(n_instances, math.floor(needed) + 1) if needed < 1e12 else None


def missing_share_that_resolves(
    axis: Axis, bounds: Bounds, allowance: float, target: float, share: float
) -> float | None:
    """The largest missing share at which the worst-case B would stay below `target`.

    The worst-case bound is taken as linear in the share, between no missing sample and those observed: in the
    metric's own unit for rates and differences, on the scale for log2.
    """
    room = target - allowance
    if share <= 0 or bounds.upper >= room or bounds.worst_upper <= bounds.upper:
        return None

    def place(value: float) -> float:
        return value if axis.scale == "log2" else axis.natural(value)

    width = abs(place(bounds.worst_upper) - place(bounds.upper))
    if not math.isfinite(width) or width == 0:
        return None
    return share * min(1.0, abs(place(room) - place(bounds.upper)) / width)


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given.

    The same as `analysis.intervals.holm`, without its import of SciPy: the gate has to start in a second.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted
