"""The direct time route: when the trend of record horizons reaches a threshold, beside or without the compute route.

The two routes share no assumption: one goes from compute to capability and then waits for the compute, the other carries
the record of measured capability forward in calendar time. They are shown side by side and never averaged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dangercurve._errors import DataError
from dangercurve.analysis.breach import TimeToBreach, summarise_years, time_route
from dangercurve.analysis.horizon_table import Records, check_horizons, to_records
from dangercurve.analysis.points import Points
from dangercurve.analysis.trend import trend_draws

Floats = NDArray[np.float64]
MIN_RECORDS = 5
END = 2050.0  # decimal year at which the trend ends
DAYS_APART = 182.6  # medians further apart than this are said to disagree
RouteStatus = Literal["identified", "not_within_cap", "reached"]


@dataclass(frozen=True)
class Disagreement:
    """Direct route against compute route: `days` = direct - compute median (None where one is "never").

    `p_direct_first`: probability that a draw of the direct route comes before an independent draw of the other.
    """

    days: float | None
    p_direct_first: float
    says: str


@dataclass(frozen=True)
class DirectRoute:
    """Dates at which the record reaches `threshold` (the records' unit) by its own trend, and how far that is from the
    compute route. `status`: reached (a record is at or beyond it), not_within_cap (more than half of the draws do not
    get there by `end`), else identified."""

    route: str
    threshold: float
    status: RouteStatus
    date: dict[str, str | None]
    p_by: dict[str, float]
    p_never: float
    p_breached: float
    end: str
    n_records: int
    last_record: str
    last_record_date: str
    disagreement: Disagreement | None

    def as_dict(self) -> dict[str, object]:
        """The route as plain JSON types."""
        return asdict(self)


def records_of(points: Points) -> Records | None:
    """The record series of a log2 metric whose models have release dates; None for other metrics or too few records."""
    if points.scale != "log2" or points.falls:
        return None
    known = points.frame[points.frame["release_date"].notna()]
    if len(known) < MIN_RECORDS:
        return None
    records = to_records(check_horizons(known.rename(columns={"value": "p50"})))
    return records if len(records) >= MIN_RECORDS else None


def direct_route(
    records: Records,
    threshold: float,
    *,
    as_of: date,
    compute: TimeToBreach | None = None,
    dates: Sequence[date] = (),
    n_draws: int = 2000,
    seed: int = 0,
) -> DirectRoute:
    """When the trend through `records` reaches `threshold`, in their unit; `compute` is the other route to set beside it.

    Raises DataError with fewer than five records or a threshold that is not positive.
    """
    if not (np.isfinite(threshold) and threshold > 0):
        raise DataError(f"a horizon threshold must be positive, got {threshold:g}")
    if len(records) < MIN_RECORDS:
        raise DataError(
            f"{len(records)} record horizons: the direct time route needs at least {MIN_RECORDS}, each above the last"
        )
    reached = np.flatnonzero(records.log2_p50 >= np.log2(threshold))
    if reached.size:
        at = np.full(n_draws, records.years[reached[0]])
        found = summarise_years(
            at, frontier="time", scenario="trend", cap=None, as_of=as_of, end=END, dates=dates
        )
        status: RouteStatus = "reached"
    else:
        trend = trend_draws(records, end=END, n_draws=n_draws, seed=seed)
        found = time_route(threshold, trend, as_of=as_of, dates=dates)
        status = "identified" if found.p_never <= 0.5 else "not_within_cap"
    return DirectRoute(
        "trend of record horizons",
        threshold,
        status,
        found.date,
        found.p_by,
        found.p_never,
        found.p_breached,
        found.end,
        len(records),
        records.models[-1],
        records.dates[-1],
        None if compute is None else compare_routes(found, compute),
    )


def compare_routes(direct: TimeToBreach, compute: TimeToBreach) -> Disagreement:
    """How the two routes differ: days between the medians, who comes first, and a sentence."""
    size = max(direct.years.size, compute.years.size)
    # both are sorted by nothing in common; a cyclic shift of one keeps the pairing independent and deterministic
    a, b = np.resize(direct.years, size), np.roll(np.resize(compute.years, size), size // 3)
    first = float(np.mean((a < b) + 0.5 * ((a == b) & np.isfinite(a))))
    mid_direct, mid_compute = direct.date["q50"], compute.date["q50"]
    if mid_direct is None or mid_compute is None:
        word = {True: "never by its end", False: "a date"}
        same = mid_direct is None and mid_compute is None
        says = (
            "both routes say never in the median"
            if same
            else f"the routes disagree: the direct one says {word[mid_direct is None]} in the median, "
            f"the compute one {word[mid_compute is None]}"
        )
        return Disagreement(None, first, says)
    days = float((date.fromisoformat(mid_direct) - date.fromisoformat(mid_compute)).days)
    verb = "disagree" if abs(days) > DAYS_APART else "agree within half a year"
    order = "before" if days < 0 else "after"
    return Disagreement(
        days, first, f"the routes {verb}: the direct median lies {abs(days):.0f} days {order} the compute one"
    )


def records_sha256(records: Records) -> str:
    """Hash of a record series in a canonical form, twelve significant digits."""
    lines = [
        f"{m},{d},{v:.12g}" for m, d, v in zip(records.models, records.dates, records.log2_p50, strict=True)
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
