"""Calendar dates and decimal years: 2025-07-02 is about 2025.5."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from dangercurve._errors import DataError
from dangercurve._text import printable

FloatArray = NDArray[np.float64]

DAYS_PER_YEAR = 365.25


def decimal_year(day: date) -> float:
    """The year as a number: 1 January is `.0`, each year has its own length."""
    start, end = date(day.year, 1, 1), date(day.year + 1, 1, 1)
    return day.year + (day - start).days / (end - start).days


def from_decimal_year(year: float) -> date:
    """The day that holds a decimal year. Raises DataError outside the years 1 to 9998."""
    if not (math.isfinite(year) and 1 <= year < 9999):
        raise DataError(f"{year} is no year of the calendar")
    whole = math.floor(year)
    start, end = date(whole, 1, 1), date(whole + 1, 1, 1)
    return start + timedelta(days=int((year - whole) * (end - start).days + 1e-6))


def iso_or_none(year: float) -> str | None:
    """A decimal year as an ISO date; None where it is infinite (never)."""
    return from_decimal_year(year).isoformat() if math.isfinite(year) else None


def parse_day(value: object) -> date:
    """A day from a date, a datetime or text `YYYY-MM-DD`. Raises DataError for other text: no guessing."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError as exc:
        raise DataError(f"'{printable(value, 40)}' is no date; write YYYY-MM-DD") from exc
