"""Tables of horizons against release date, and the record series that forecasts in time are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dangercurve._errors import DataError, did_you_mean
from dangercurve._text import printable
from dangercurve.analysis.dates import decimal_year
from dangercurve.analysis.scores import parse_dates

FloatArray = NDArray[np.float64]

EARLIEST, LATEST = 1950, 2200
LONGEST_MINUTES = 5.256e9  # ten thousand years


@dataclass(frozen=True)
class HorizonTable:
    """Checked horizons, one row a model, in order of release: `frame` has `model, release_date, year, log2_p50`.

    `dropped` lists rows left out `{reason: row numbers from 1}`; `flags` are sentences about what is unusual.
    """

    frame: pd.DataFrame
    dropped: dict[str, tuple[int, ...]]
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Records:
    """The running maximum, one record a date, strictly rising: arrays `(n,)` of decimal years and log2 minutes."""

    models: tuple[str, ...]
    dates: tuple[str, ...]
    years: FloatArray
    log2_p50: FloatArray

    def __len__(self) -> int:
        return len(self.models)

    def first(self, n: int) -> Records:
        """The first `n` records: what was known when the n-th was released."""
        return Records(self.models[:n], self.dates[:n], self.years[:n], self.log2_p50[:n])

    def until(self, day: str) -> Records:
        """The records released before an ISO date."""
        return self.first(sum(date < day for date in self.dates))


def check_horizons(table: pd.DataFrame) -> HorizonTable:
    """Check a table `model, release_date, p50, p50_lo?, p50_hi?` (minutes).

    Rows without a name, a readable date or a p50 above 0, and exact copies, are dropped, counted and listed. Raises
    DataError for missing columns, no usable rows, and p50 that is text, negative, infinite or beyond ten thousand years.
    """
    for column in ("model", "release_date", "p50"):
        if column not in table:
            hint = did_you_mean(column, [str(c) for c in table.columns])
            raise DataError(f"the table of horizons has no column '{column}'{hint}")
    if table.empty:
        raise DataError("the table of horizons has no rows")
    data = table.reset_index(drop=True)
    day_text = data["release_date"]
    if not pd.api.types.is_datetime64_any_dtype(day_text):
        day_text = day_text.astype("string").str.replace(r"[T ]\d\d:\d\d.*$", "", regex=True)
    days, _ = parse_dates(day_text, len(data))
    minutes = pd.to_numeric(data["p50"], errors="coerce").astype(np.float64)
    text = minutes.isna() & data["p50"].notna()
    if text.any():
        raise DataError(
            f"p50 is not a number: '{printable(data['p50'][text].iloc[0], 40)}' in row {int(np.argmax(text.to_numpy())) + 1}"
        )
    bad = minutes.notna() & ~((minutes >= 0) & (minutes <= LONGEST_MINUTES))
    if bad.any():
        raise DataError(
            f"p50 must be finite, not negative and in minutes: {minutes[bad].iloc[0]:g} "
            f"in row {int(np.argmax(bad.to_numpy())) + 1}"
        )
    keep = pd.Series(True, index=data.index)
    dropped: dict[str, tuple[int, ...]] = {}
    wrong_year = days.notna() & ~days.dt.year.between(EARLIEST, LATEST)
    names = data["model"].astype("string").str.strip()
    copies = pd.DataFrame({"m": names, "d": days, "p": minutes}).duplicated()
    for reason, gone in {
        "no model": names.isna() | (names == ""),
        "no release_date that can be read without guessing (write YYYY-MM-DD)": days.isna(),
        f"release_date outside {EARLIEST} to {LATEST}": wrong_year,
        "no p50": minutes.isna(),
        "p50 of 0: below any task, no horizon was measured": minutes == 0.0,
        "copy of an earlier row": copies,
    }.items():
        lost = gone & keep
        if lost.any():
            dropped[reason] = tuple(int(i) + 1 for i in np.flatnonzero(lost))
            keep &= ~gone
    if not keep.any():
        raise DataError("no usable horizons: " + "; ".join(f"{len(v)} rows: {k}" for k, v in dropped.items()))
    frame = pd.DataFrame({"model": names[keep], "release_date": days[keep].dt.date})
    frame["year"] = [decimal_year(day) for day in frame["release_date"]]
    frame["log2_p50"] = np.log2(minutes[keep])
    frame = frame.sort_values(["year", "log2_p50", "model"], ascending=[True, False, True], kind="stable")
    flags = [f"dropped {len(rows)} rows: {reason}" for reason, rows in dropped.items()]
    several = int(frame["model"].duplicated().sum())
    if several:
        flags.append(f"{several} rows give a second value for a model; a date keeps the highest")
    return HorizonTable(frame.reset_index(drop=True), dropped, tuple(flags))


def to_records(table: HorizonTable) -> Records:
    """The true running maximum over release dates, one record a date (the highest of that day)."""
    best = table.frame.drop_duplicates("year", keep="first")
    value = best["log2_p50"].to_numpy(dtype=np.float64)
    before = np.concatenate([[-np.inf], np.maximum.accumulate(value)[:-1]])
    records = best[value > before]
    return Records(
        models=tuple(str(name) for name in records["model"]),
        dates=tuple(day.isoformat() for day in records["release_date"]),
        years=records["year"].to_numpy(dtype=np.float64),
        log2_p50=records["log2_p50"].to_numpy(dtype=np.float64),
    )
