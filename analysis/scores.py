"""Benchmark tables: `model, model_family | family, release_date?, N?, D?, flops?, benchmark, score, chance?, n_items?`.

A row that cannot be used is dropped, counted and listed with its reason; a value that was read in another unit or is
unknown is flagged. Nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from dangercurve._errors import DataError, did_you_mean
from dangercurve._text import printable
from dangercurve.analysis.canonical import by_content
from dangercurve.analysis.tables import read_frame

COLUMNS = (
    "model",
    "model_family",
    "release_date",
    "N",
    "D",
    "flops",
    "benchmark",
    "score",
    "chance",
    "n_items",
)
ALIASES = {"family": "model_family", "params": "N", "tokens": "D", "flop": "flops", "training_flop": "flops"}
Drop = Callable[[npt.NDArray[np.bool_], str], None]
_MAX_TOKENS = 1e14
_AUDIT_FACTOR = 10.0
_FAMILY_FACTOR = 300.0


@dataclass(frozen=True)
class Dropped:
    """One row that was not used: its number in the table (0 is the first data row) and why."""

    row: int
    model: str
    benchmark: str
    reason: str


@dataclass(frozen=True)
class ScoreTable:
    """A validated table: `frame` has exactly `COLUMNS`, one row a (model, benchmark), finite score and flops, in the
    order of `canonical.by_content`: what is computed from it does not depend on the order of the rows that were read.

    `N`, `D`, `chance`, `n_items` and `release_date` may be missing (NaN, NaT). `dropped` lists every unused row,
    `flags` every assumption that was made.
    """

    frame: pd.DataFrame
    dropped: tuple[Dropped, ...] = ()
    flags: tuple[str, ...] = ()


def read_scores(path: Path | str, mapping: Mapping[str, str] | None = None) -> ScoreTable:
    """Read and validate a benchmark table from CSV, JSONL or Parquet; `mapping` as in `read_frame`. Raises DataError."""
    return validate_scores(read_frame(path, mapping))


def validate_scores(frame: pd.DataFrame) -> ScoreTable:
    """Check a benchmark table and bring it to `COLUMNS`.

    Compute is `flops`, or `6 N D` where it is missing. Rows are dropped for a missing or non-finite score, a score
    outside [0, 1], no or impossible compute, compute more than tenfold off `6 N D`, and repeats. Raises DataError on
    missing columns, on an empty table, on percentages, and where no row is left.
    """
    data = frame.rename(columns={k: v for k, v in ALIASES.items() if k in frame and v not in frame})
    _require(data)
    n = len(data)
    flags: list[str] = []
    reason = np.full(n, "", dtype=object)

    def drop(mask: np.ndarray, why: str) -> None:
        reason[np.asarray(mask, dtype=bool) & (reason == "")] = why

    out = pd.DataFrame({"row": np.arange(n)})
    for column in ("model", "model_family", "benchmark"):
        values = data[column].reset_index(drop=True)
        out[column] = values.astype("string").fillna("").astype(object)
        drop((out[column] == "").to_numpy(), f"no {column}")
    for column in ("score", "N", "D", "flops", "chance", "n_items"):
        out[column] = _numbers(data, column)
    score = out["score"].to_numpy()
    finite = score[np.isfinite(score)]
    if finite.size and np.mean((finite > 1) & (finite <= 100)) > 0.2:
        raise DataError("column 'score' looks like percentages; divide it by 100 (scores lie in [0, 1])")
    drop(~np.isfinite(score), "score missing or not a number")
    drop((score < 0) | (score > 1), "score outside [0, 1]")
    flags += audit_units(out, drop)
    _audit_ratio(out, drop)
    flags += _chance(out, drop)
    out["n_items"] = out["n_items"].where(np.isfinite(out["n_items"]) & (out["n_items"] > 0))
    out["release_date"], bad_dates = parse_dates(data.get("release_date"), n)
    if bad_dates:
        flags.append(f"{bad_dates} release dates could not be read without guessing: treated as unknown")
    kept = out[reason == ""]
    refuse_runs(kept, ("model", "benchmark"))
    repeated = kept.duplicated(["model", "benchmark"], keep=False)
    if repeated.any():
        flags += _merge_repeats(kept[repeated], out, drop)
        kept = out[reason == ""]
    lost = np.flatnonzero(reason != "")
    shown = {name: printable(name) for name in {*out["model"].iloc[lost], *out["benchmark"].iloc[lost]}}
    dropped = tuple(
        Dropped(int(i), shown[model], shown[benchmark], str(why))
        for i, model, benchmark, why in zip(
            lost, out["model"].iloc[lost], out["benchmark"].iloc[lost], reason[lost], strict=True
        )
    )
    if kept.empty:
        first = dropped[0].reason if dropped else "it has no rows"
        raise DataError(f"no usable row in the table of {n}: {first}")
    flags += _unlike_facts(kept)
    if dropped:
        flags.append(f"{len(dropped)} of {n} rows dropped")
    return ScoreTable(by_content(kept[list(COLUMNS)]), dropped, tuple(flags))


def parse_dates(values: pd.Series | None, n: int) -> tuple[pd.Series, int]:
    """Dates from ISO (`2024-05-31`, `2024-05`), named months (`31 May 2024`, `May 2024`) and unambiguous slashes.

    Returns the dates (NaT where unknown) and the number that were given but cannot be read without guessing, like
    `03/04/2024`.
    """
    if values is None:
        return pd.Series(pd.NaT, index=range(n), dtype="datetime64[ns]"), 0
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.reset_index(drop=True), 0
    text = values.reset_index(drop=True).astype("string").str.strip().fillna("")
    dates = pd.Series(pd.NaT, index=range(n), dtype="datetime64[ns]")
    for form in (
        "%Y-%m-%d",
        "%Y-%m",
        "%Y/%m/%d",
        "%Y%m%d",
        "%d %B %Y",
        "%d %b %Y",
        "%B %d, %Y",
        "%b %d, %Y",
        "%B %Y",
        "%b %Y",
    ):
        todo = dates.isna() & (text != "")
        if not todo.any():
            break
        dates[todo] = pd.to_datetime(text[todo], format=form, errors="coerce").astype("datetime64[ns]")
    todo = dates.isna() & text.str.fullmatch(r"\d{1,2}[/.]\d{1,2}[/.]\d{4}").fillna(False).astype(bool)
    if todo.any():
        slashed = text[todo].str.replace(".", "/", regex=False)
        european = pd.to_datetime(slashed, format="%d/%m/%Y", errors="coerce")
        american = pd.to_datetime(slashed, format="%m/%d/%Y", errors="coerce")
        clear = european.isna() | american.isna() | (european == american)
        dates[todo] = european.fillna(american).where(clear).astype("datetime64[ns]")
    return dates, int((dates.isna() & (text != "")).sum())


def _require(data: pd.DataFrame) -> None:
    for column in ("model", "model_family", "benchmark", "score"):
        if column not in data:
            hint = did_you_mean(column, [str(c) for c in data.columns])
            raise DataError(f"the table has no column '{column}'{hint}")
    if "flops" not in data and not {"N", "D"} <= set(data.columns):
        raise DataError("the table has neither 'flops' nor both 'N' and 'D': compute is unknown")
    if len(data) == 0:
        raise DataError("the table is empty")


def _numbers(data: pd.DataFrame, column: str) -> np.ndarray:
    if column not in data:
        return np.full(len(data), np.nan)
    return pd.to_numeric(data[column], errors="coerce").to_numpy(dtype=float)


def audit_units(out: pd.DataFrame, drop: Drop) -> list[str]:
    """Repair tokens and parameters given in other units where compute proves it; drop rows that contradict `6ND`.

    `out` has `N`, `D`, `flops` (NaN where unknown), changed in place; `drop(mask, why)` is called for rows that cannot be
    used. Returns a sentence for each assumption.
    """
    flags: list[str] = []
    N, D, flops = (out[c].to_numpy(copy=True) for c in ("N", "D", "flops"))
    drop(np.isinf(flops) | (flops <= 0), "flops infinite, zero or negative")
    for values, name in ((N, "N"), (D, "D")):
        bad = np.isinf(values) | (values <= 0)
        values[bad] = np.nan
        if bad.any():
            flags.append(f"{int(bad.sum())} values of '{name}' are not positive numbers: treated as unknown")
    ok = np.isfinite(flops) & (flops > 0)
    for scale_n, scale_d, label in (
        (1.0, 1e12, "tokens in trillions"),
        (1.0, 1e9, "tokens in billions"),
        (1e9, 1.0, "parameters in billions"),
        (1e9, 1e12, "parameters in billions and tokens in trillions"),
        (1e9, 1e9, "parameters and tokens in billions"),
    ):
        small = ((scale_d == 1.0) | (D < 1e6)) & ((scale_n == 1.0) | (N < 1e4))
        guess = 6.0 * N * scale_n * D * scale_d
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            match = ok & small & (np.abs(np.log10(guess / flops)) < 0.5)
        if match.any():
            N[match] *= scale_n
            D[match] *= scale_d
            flags.append(f"{int(match.sum())} rows read as {label} (their compute agrees)")
    drop(~ok & (D < 1e6) & np.isfinite(N), "tokens in an unknown unit and no compute to check them")
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        counted = 6.0 * N * D
        filled = np.isnan(flops) & np.isfinite(counted)
        flops[filled] = counted[filled]
        off = np.abs(np.log10(flops / counted)) > np.log10(_AUDIT_FACTOR)
    if filled.any():
        flags.append(f"compute of {int(filled.sum())} rows counted as 6ND")
    drop(~np.isfinite(flops), "no compute: flops is missing and N or D is unknown")
    drop(off, "flops more than tenfold off 6ND")
    drop(D > _MAX_TOKENS, "more than 1e14 training tokens: check the unit")
    out["N"], out["D"], out["flops"] = N, D, flops
    return flags


def _audit_ratio(out: pd.DataFrame, drop: Drop) -> None:
    ratio = np.log10(out["D"].to_numpy() / out["N"].to_numpy())
    models = pd.DataFrame({"f": out["model_family"], "m": out["model"], "r": ratio}).drop_duplicates("m")
    centre = models.groupby("f")["r"].agg(["median", "count"])
    middle = out["model_family"].map(centre["median"]).to_numpy(dtype=float)
    several = out["model_family"].map(centre["count"]).to_numpy(dtype=float) >= 3
    drop(
        several & (np.abs(ratio - middle) > np.log10(_FAMILY_FACTOR)),
        "tokens a parameter more than 300-fold off the model family: check the unit",
    )


def _unlike_facts(kept: pd.DataFrame) -> list[str]:
    """A model is one training: rows that give it another compute or another model family are named."""
    flags = []
    compute = kept.groupby("model", sort=True)["flops"].agg(["min", "max"])
    spread = compute["max"] / compute["min"]
    apart = spread[spread > 1.01]
    if len(apart):
        worst = str(apart.idxmax())
        flags.append(
            f"{len(apart)} models have several values of compute (up to {apart.max():.3g}-fold: {printable(worst)}): "
            "each row is read with its own"
        )
    families = kept.groupby("model", sort=True)["model_family"].nunique()
    if several := list(families[families > 1].index):
        flags.append(f"{len(several)} models have several model families (first: {printable(several[0])})")
    return flags


def _chance(out: pd.DataFrame, drop: Drop) -> list[str]:
    chance = out["chance"].to_numpy()
    drop(np.isfinite(chance) & ((chance < 0) | (chance >= 1)), "chance outside [0, 1)")
    unknown = out.loc[~np.isfinite(chance), "benchmark"].unique()
    if len(unknown) == 0:
        return []
    shown = ", ".join(printable(b) for b in sorted(unknown)[:8]) + (", ..." if len(unknown) > 8 else "")
    return [f"no chance floor for {len(unknown)} benchmarks ({shown}): inferred from the lowest scores"]


def refuse_runs(kept: pd.DataFrame, keys: Sequence[str]) -> None:
    """Raise DataError on a table of single runs: many zeros and ones for each of `keys` have no median worth using."""
    if len(kept) < 20 or not kept["score"].isin((0.0, 1.0)).all():
        return
    pairs = kept.groupby(list(keys), sort=False, dropna=False).ngroups
    if len(kept) >= 5 * pairs:
        raise DataError(
            f"{len(kept)} scores of 0 or 1 for {pairs} pairs of model and benchmark: this is a table of runs; average "
            "them to one row a pair (n_items = runs), or use `dangercurve horizon`"
        )


def _merge_repeats(repeats: pd.DataFrame, out: pd.DataFrame, drop: Drop) -> list[str]:
    """Keep the first row of each (model, benchmark) with the median score; drop the others with their reason."""
    groups = repeats.groupby(["model", "benchmark"], sort=False)["score"]
    later = repeats["row"][repeats.duplicated(["model", "benchmark"])].to_numpy()
    first = repeats["row"][~repeats.duplicated(["model", "benchmark"])].to_numpy()
    middle = groups.transform("median")
    conflicting = int((groups.max() > groups.min()).sum())
    out.loc[first, "score"] = middle.loc[
        repeats.index[~repeats.duplicated(["model", "benchmark"])]
    ].to_numpy()
    mask = np.zeros(len(out), dtype=bool)
    mask[later] = True
    drop(mask, "repeats a (model, benchmark) above")
    flags = [f"{len(later)} repeated (model, benchmark) rows"]
    if conflicting:
        flags.append(
            f"{conflicting} (model, benchmark) pairs repeat with different scores: their median is used"
        )
    return flags


def chance_floor(scores: Sequence[float], chance: float) -> float:
    """The floor to use: `chance` if known; else the usual guessing rate just at the lowest scores, else 0."""
    if np.isfinite(chance):
        return float(chance)
    values = np.sort(np.asarray(scores, dtype=float))
    if values.size == 0:
        return 0.0
    low = float(np.quantile(values, 0.1))
    for rate in (0.5, 1 / 3, 0.25, 0.2, 0.1):
        if abs(low - rate) <= 0.03:
            return rate
    return 0.0
