"""Numbers and names as a reader wants them: short, with their interval, and `–` for what is not known."""

from __future__ import annotations

import math
from collections.abc import Sequence

NOTHING = "–"


def num(value: float | None, digits: int = 3) -> str:
    """A number to `digits` significant digits; `–` for None and NaN, `∞` for infinity."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e7 else f"{value:.{digits}g}"
    text = f"{value:.{digits}g}"
    if "e" in text and abs(value) >= 1e-4:
        text = f"{value:.{digits + 3}f}".rstrip("0").rstrip(".")
    return text.replace("-", "−")


def percent(share: float | None) -> str:
    """A share as a percentage; never rounds a share that is not 0 to `0 %`, nor one below 1 to `100 %`."""
    if share is None or math.isnan(share):
        return NOTHING
    if 0 < share < 0.001:
        return "<0.1 %"
    if 0.999 < share < 1:
        return ">99.9 %"
    value = 100 * share
    whole = abs(value - round(value)) < 0.05
    return f"{value:.0f} %" if whole else f"{value:.1f} %"


def interval(estimate: float | None, low: float | None, high: float | None) -> str:
    """`0.43 (0.38 to 0.49)`; where a bound is not finite `116 (at least 16.6)`; `–` where nothing is known."""
    middle = num(estimate)
    low, high = (None if v is None or not math.isfinite(v) else v for v in (low, high))
    if low is not None and high is not None:
        return f"{middle} ({num(low)} to {num(high)})"
    if low is not None:
        return f"{middle} (at least {num(low)})"
    return f"{middle} (at most {num(high)})" if high is not None else middle


def power(log10: float | None) -> str:
    """log10 FLOP as `10^22.4`; `never` is the caller's word for None."""
    return NOTHING if log10 is None or not math.isfinite(log10) else f"10^{log10:.1f}"


def count(n: int, one: str, many: str = "") -> str:
    """`1 model`, `3 models`, `no model`."""
    return f"no {one}" if n == 0 else f"{n:,} {one if n == 1 else many or one + 's'}"


def listing(items: Sequence[str], limit: int = 4) -> str:
    """`a, b and c`; beyond `limit` the rest is counted."""
    if len(items) > limit:
        return ", ".join(items[:limit]) + f" and {len(items) - limit} more"
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + f" and {items[-1]}"


def bound_name(alpha: float) -> str:
    """The level of a one-sided bound: `95 %`."""
    return f"{100 * (1 - alpha):.4g} %"
