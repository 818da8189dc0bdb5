"""Time to breach: the date at which a frontier, a roadmap or a horizon trend reaches the crossing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dangercurve._errors import DataError
from dangercurve.analysis.dates import decimal_year, from_decimal_year, iso_or_none
from dangercurve.analysis.frontier import FrontierDraws

if TYPE_CHECKING:
    from dangercurve.analysis.trend import TrendDraws

FloatArray = NDArray[np.float64]

QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
YEARS_AHEAD = 10


@dataclass(frozen=True)
class TimeToBreach:
    """When a threshold is reached.

    `date`: quantiles over all draws, None where the quantile lies in "never". `p_by`: probability of a breach by each
    date. `p_never`: share of draws that never cross, cross beyond `cap`, or are not reached by `end`. `p_breached`:
    share already reached at `as_of`. `years` `(M,)`: decimal years, inf for never.
    """

    date: dict[str, str | None]
    p_by: dict[str, float]
    p_never: float
    p_breached: float
    frontier: str
    scenario: str
    cap: float | None
    as_of: str
    end: str
    n_draws: int
    years: FloatArray

    def as_dict(self) -> dict[str, object]:
        """Everything but the draws."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "years"}


def time_to_breach(
    log10_c: FloatArray,
    frontier: FrontierDraws,
    *,
    cap: float | None = None,
    as_of: date,
    dates: Sequence[date] = (),
) -> TimeToBreach:
    """The date at which the frontier reaches C*.

    Draw k of C* meets draw k of the frontier; the shorter list is repeated, so the order of both must be random.

    Args:
        log10_c: `(M,)` draws of the crossing, log10 FLOP; inf where the curve never crosses.
        frontier: from `frontier_draws` or `roadmap_draws`.
        cap: log10 FLOP beyond which a crossing counts as not within the cap.
        as_of: the day the forecast is made; breaches before it are `p_breached`.
        dates: days for `p_by`; default the last day of this year and of the ten that follow.

    Raises:
        DataError: no draws, or NaN among them (say inf for "never"; an unidentified crossing has no date).
    """
    crossing = np.asarray(log10_c, dtype=np.float64).ravel()
    if crossing.size == 0:
        raise DataError("no draws of the crossing: an unidentified crossing has no date")
    if np.isnan(crossing).any():
        raise DataError(f"{int(np.isnan(crossing).sum())} draws of the crossing are NaN; use inf for 'never'")
    if cap is not None:
        crossing = np.where(crossing > cap, np.inf, crossing)
    size = max(crossing.size, frontier.log10_flop.shape[0])
    reached = arrival_years(np.resize(crossing, size), frontier)
    return summarise_years(
        reached,
        frontier=frontier.kind,
        scenario=frontier.scenario,
        cap=cap,
        as_of=as_of,
        end=float(frontier.years[-1]),
        dates=dates,
    )


def time_route(
    threshold_minutes: float, trend: TrendDraws, *, as_of: date, dates: Sequence[date] = ()
) -> TimeToBreach:
    """The direct route: the date at which the trend of horizons reaches `threshold_minutes`, without compute.

    `trend` comes from `trend_draws`; draws that do not get there by its end are "never".
    Raises DataError for a threshold that is not a positive number of minutes.
    """
    if not (np.isfinite(threshold_minutes) and threshold_minutes > 0):
        raise DataError(f"a horizon threshold must be a positive number of minutes, got {threshold_minutes}")
    paths = FrontierDraws(trend.years, trend.log2_minutes, "time", "trend", trend.seed)
    reached = arrival_years(np.full(len(trend.log2_minutes), np.log2(threshold_minutes)), paths)
    return summarise_years(
        reached,
        frontier="time",
        scenario="trend",
        cap=None,
        as_of=as_of,
        end=float(trend.years[-1]),
        dates=dates,
    )


def arrival_years(log10_c: FloatArray, frontier: FrontierDraws) -> FloatArray:
    """Decimal year at which each draw of the frontier reaches the paired crossing, inf if not by its last year.

    `log10_c` is `(M,)`; row `k mod S` of the frontier is read. Linear between grid years; a crossing already below the
    first grid value gives the first grid year.
    """
    years, result = frontier.years, np.full(log10_c.shape, np.inf)
    rows = np.arange(log10_c.size) % frontier.log10_flop.shape[0]
    path = frontier.log10_flop[rows]
    passed = path >= log10_c[:, None]
    hit = passed.any(axis=1)
    right = passed.argmax(axis=1)
    left = np.maximum(right - 1, 0)
    index = np.arange(log10_c.size)
    if frontier.kind == "roadmap":  # a plan is a step: nothing is reached between two runs
        result[hit] = years[right[hit]]
        return result
    low, high = path[index, left], path[index, right]
    rise = high - low
    target = np.where(np.isfinite(log10_c), log10_c, low)
    share = np.divide(np.clip(target - low, 0.0, None), rise, out=np.ones_like(rise), where=rise > 0)
    result[hit] = (years[left] + np.minimum(share, 1.0) * (years[right] - years[left]))[hit]
    return result


def summarise_years(
    years: FloatArray,
    *,
    frontier: str,
    scenario: str,
    cap: float | None,
    as_of: date,
    end: float,
    dates: Sequence[date] = (),
) -> TimeToBreach:
    """Draws of the breach year (inf: never) as quantiles and probabilities."""
    if years.size == 0 or np.isnan(years).any():
        raise DataError("breach years must be numbers or inf, and at least one")
    days = list(dates) or [date(as_of.year + k, 12, 31) for k in range(YEARS_AHEAD + 1)]
    ordered = np.sort(years)
    # inverted empirical distribution: an infinite draw stays infinite instead of poisoning an interpolation
    place = {name: int(np.ceil(q * years.size)) - 1 for name, q in QUANTILES.items()}
    return TimeToBreach(
        date={name: iso_or_none(float(ordered[max(i, 0)])) for name, i in place.items()},
        p_by={day.isoformat(): float((years <= decimal_year(day)).mean()) for day in sorted(days)},
        p_never=float(np.isinf(years).mean()),
        p_breached=float((years <= decimal_year(as_of)).mean()),
        frontier=frontier,
        scenario=scenario,
        cap=cap,
        as_of=as_of.isoformat(),
        end=from_decimal_year(end).isoformat(),
        n_draws=int(years.size),
        years=years,
    )
