"""Tables of runs: read CSV, Parquet or JSON Lines, and say exactly what is wrong with them.

Arrow and NumPy only: importing pandas would cost more than fitting every horizon of the table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dangercurve._errors import ConfigError, DataError, did_you_mean
from dangercurve._text import printable

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NAMES = ("model", "task_id", "task_family")
REQUIRED = (*NAMES, "human_minutes", "score")
OPTIONAL = ("weight", "run_id")
LONGEST_MINUTES = 5_256_000.0  # ten years: beyond it the unit is surely not minutes
_MISSING = ("", "na", "n/a", "nan", "null", "none")


@dataclass(frozen=True)
class Runs:
    """A checked table of runs; all arrays are `(runs,)`.

    `model`, `task`, `task_family` index the name tuples; `human_minutes` > 0; `score` in [0, 1]; `weight` > 0 or None.
    `dropped` lists what was left out, `{reason: row numbers}`, rows counted from 1 without the header. `notes` are
    sentences for the reader about what is unusual.
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    task_families: tuple[str, ...]
    model: IntArray
    task: IntArray
    task_family: IntArray
    human_minutes: FloatArray
    score: FloatArray
    weight: FloatArray | None
    dropped: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.score)


def read_runs(
    path: Path | str, mapping: Mapping[str, str] | None = None, *, missing_as: float | None = None
) -> Runs:
    """Read and check a table of runs; `mapping` gives our column name -> the table's own. See `check_runs`.

    Raises ConfigError for a file or column that is not there, DataError for content.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"no file {printable(path)}; give a CSV, Parquet or JSON Lines table of runs")
    try:
        table = _read_arrow(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as exc:
        raise DataError(
            f"{printable(path)} cannot be read as {path.suffix[1:]}: {printable(exc, 200)}"
        ) from exc
    return check_runs(table, mapping, missing_as=missing_as)


def runs_from_frame(
    frame: pd.DataFrame, mapping: Mapping[str, str] | None = None, *, missing_as: float | None = None
) -> Runs:
    """`check_runs` on a data frame."""
    return check_runs(pa.Table.from_pandas(frame, preserve_index=False), mapping, missing_as=missing_as)


def check_runs(
    table: pa.Table, mapping: Mapping[str, str] | None = None, *, missing_as: float | None = None
) -> Runs:
    """Check a table of runs; columns `model, task_id, task_family, human_minutes, score, weight?, run_id?`.

    Rows without a score, a length or a name are dropped, counted and listed (a missing score is no failure); with
    `missing_as` a missing score counts as that number instead: 1 gives the worst case of a dangerous skill. Rows that
    repeat another row's `run_id` and content are dropped likewise. Everything else that is wrong raises DataError:
    missing columns, no rows, text where a number belongs, scores outside [0, 1], lengths that are not positive and
    finite or longer than ten years, weights that are not positive, one `run_id` with two contents.
    """
    columns = _select(table, mapping or {})
    if table.num_rows == 0:
        raise DataError("the table of runs has no rows")
    numbers: dict[str, FloatArray] = {
        name: _numbers(columns[name], name)
        for name in ("human_minutes", "score", "weight")
        if name in columns
    }
    if missing_as is not None:
        numbers["score"] = np.where(np.isnan(numbers["score"]), missing_as, numbers["score"])
    coded = {name: _codes(columns[name]) for name in (*NAMES, "run_id") if name in columns}
    dropped: dict[str, tuple[int, ...]] = {}
    keep = np.ones(table.num_rows, dtype=bool)

    def drop(gone: BoolArray, reason: str) -> None:
        gone = gone & keep
        if gone.any():
            dropped[reason] = _row_numbers(gone)
            np.logical_and(keep, ~gone, out=keep)

    for name in NAMES:
        drop(coded[name][0] < 0, f"no {name}")
    for name, values in numbers.items():
        drop(np.isnan(values), f"no {name}")
    content = np.column_stack([*(coded[name][0] for name in NAMES), *numbers.values()])
    notes: list[str] = []
    if "run_id" in coded:
        again, clash = _repeats(coded["run_id"][0], content, keep)
        drop(again, "repeats an earlier row with the same run_id")
        if clash.any():
            raise DataError(f"one run_id names two different runs{_where(clash)}; one run is one row")
    if not keep.any():
        raise DataError("no usable rows: " + "; ".join(f"{len(v)} rows: {k}" for k, v in dropped.items()))
    _check_ranges(numbers, keep)
    if "run_id" not in coded and (copies := _count_copies(content[keep])):
        notes.append(
            f"no run_id: {copies} rows that repeat another in every column count as runs of their own"
        )
    names = {name: _recode(coded[name][0][keep], coded[name][1]) for name in NAMES}
    weight = numbers.get("weight")
    return Runs(
        models=names["model"][1],
        tasks=names["task_id"][1],
        task_families=names["task_family"][1],
        model=names["model"][0],
        task=names["task_id"][0],
        task_family=names["task_family"][0],
        human_minutes=numbers["human_minutes"][keep],
        score=numbers["score"][keep],
        weight=None if weight is None else weight[keep],
        dropped=dropped,
        notes=tuple(notes),
    )


def exclude_models(runs: Runs, models: Sequence[str]) -> Runs:
    """`runs` without the named models. Raises ConfigError for a name that is not there, DataError if none is left."""
    for name in models:
        if name not in runs.models:
            raise ConfigError(f"--exclude {printable(name)}: no such model{did_you_mean(name, runs.models)}")
    keep = ~np.isin(runs.model, [runs.models.index(name) for name in models])
    if not keep.any():
        raise DataError("every model is excluded; nothing is left to fit")
    model, left = _recode(runs.model[keep], runs.models)
    return replace(
        runs,
        models=left,
        model=model,
        task=runs.task[keep],
        task_family=runs.task_family[keep],
        human_minutes=runs.human_minutes[keep],
        score=runs.score[keep],
        weight=None if runs.weight is None else runs.weight[keep],
    )


def dropped_lines(runs: Runs) -> list[str]:
    """One sentence for each reason why rows were left out, and the notes."""
    lines = [
        f"dropped {len(rows)} rows: {reason} (rows {', '.join(map(str, rows[:8]))}{', ...' if len(rows) > 8 else ''})"
        for reason, rows in runs.dropped.items()
    ]
    return lines + list(runs.notes)


def _read_arrow(path: Path) -> pa.Table:
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(path) as file:  # read_table would import pandas
            return file.read()
    if suffix == ".csv":
        from pyarrow import csv

        # every column as text: one place turns text into numbers and can name the row that is none
        names = csv.open_csv(path).schema.names
        return csv.read_csv(
            path, convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
        )
    if suffix in (".jsonl", ".ndjson"):
        from pyarrow import json

        return json.read_json(path)
    raise ConfigError(f"{printable(path)}: unknown kind '{suffix}'; use .csv, .parquet or .jsonl")


def _select(table: pa.Table, mapping: Mapping[str, str]) -> dict[str, pa.ChunkedArray]:
    known = REQUIRED + OPTIONAL
    for ours, theirs in mapping.items():
        if ours not in known:
            raise ConfigError(
                f"--map {ours}={theirs}: '{ours}' is no column of ours{did_you_mean(ours, known)}"
            )
        if theirs not in table.column_names:
            near = did_you_mean(theirs, table.column_names)
            raise ConfigError(f"--map {ours}={theirs}: the table has no column '{theirs}'{near}")
    source = {name: mapping.get(name, name) for name in known}
    missing = [name for name in REQUIRED if source[name] not in table.column_names]
    if missing:
        have = ", ".join(printable(name, 40) for name in table.column_names[:20])
        raise DataError(
            f"the table of runs lacks {', '.join(missing)} (it has: {have}); name them with --map {missing[0]}=COLUMN"
        )
    twice = {name for name in source.values() if table.column_names.count(name) > 1}
    if twice:
        raise DataError(f"the table has two columns named {', '.join(sorted(twice))}; rename one")
    return {ours: table.column(theirs) for ours, theirs in source.items() if theirs in table.column_names}


def _codes(column: pa.ChunkedArray) -> tuple[IntArray, tuple[str, ...]]:
    """Texts as codes, -1 where missing or blank, and the texts in order of appearance."""
    text = column if pa.types.is_string(column.type) else column.cast(pa.string())
    array = text.combine_chunks()
    encoded = array.dictionary_encode() if isinstance(array, pa.Array) else array.chunk(0).dictionary_encode()
    names = tuple(encoded.dictionary.to_pylist())
    codes = _plain(encoded.indices, -1).astype(np.int64)
    blank = [i for i, name in enumerate(names) if not name.strip()]
    return (np.where(np.isin(codes, blank), -1, codes) if blank else codes), names


def _recode(codes: IntArray, names: Sequence[str]) -> tuple[IntArray, tuple[str, ...]]:
    """Codes into the sorted tuple of the names that occur: the result does not depend on the order of rows."""
    present = np.bincount(codes, minlength=len(names)) > 0
    order = sorted((i for i in range(len(names)) if present[i]), key=lambda i: names[i])
    place = np.zeros(len(names), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place[codes], tuple(names[i] for i in order)


def _numbers(column: pa.ChunkedArray, name: str) -> FloatArray:
    """A column as floats, NaN where missing; text that is no number is refused."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        codes, texts = _codes(column)
        parsed = [_number(text) for text in texts]
        wrong = [code for code, value in enumerate(parsed) if value is None]
        if wrong:
            row = int(np.flatnonzero(np.isin(codes, wrong))[0])
            raise DataError(f"{name} is not a number: '{printable(texts[codes[row]], 40)}' in row {row + 1}")
        result: FloatArray = np.array([*parsed, np.nan], dtype=np.float64)[codes]  # code -1 takes the last
        return result
    try:
        column = column.cast(pa.int8()) if pa.types.is_boolean(kind) else column
        array = column.cast(pa.float64()).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        raise DataError(f"{name} is no column of numbers: it holds {kind}") from exc
    return _plain(array, np.nan)


def _plain(array: pa.Array | pa.ChunkedArray, missing: float) -> NDArray[np.float64]:
    """A primitive Arrow array as NumPy, nulls as `missing`. Read from its buffers: `to_numpy` imports pandas."""
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    validity, data = array.buffers()
    width = np.dtype(str(array.type).replace("double", "float64"))
    values = np.frombuffer(data, dtype=width, count=array.offset + len(array))[array.offset :].copy()
    if array.null_count:
        bits = np.unpackbits(np.frombuffer(validity, dtype=np.uint8), bitorder="little")
        values[bits[array.offset : array.offset + len(array)] == 0] = missing
    return values


def _number(text: str) -> float | None:
    """The number that a text says, NaN for a missing one, None for text that is no number."""
    word = text.strip().lower()
    if word in _MISSING:
        return math.nan
    if word in ("true", "false"):
        return float(word == "true")
    try:
        return float(word)
    except ValueError:
        return None


def _repeats(run_id: IntArray, content: FloatArray, keep: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Rows that repeat an earlier row's run_id with the same content, and with another content."""
    rows = np.flatnonzero(keep & (run_id >= 0))
    _, first, which = np.unique(run_id[rows], return_index=True, return_inverse=True)
    original = rows[first[which]]
    later = rows != original
    same = (content[rows] == content[original]).all(axis=1)
    again, clash = np.zeros(len(keep), dtype=bool), np.zeros(len(keep), dtype=bool)
    again[rows[later & same]] = True
    clash[rows[later & ~same]] = True
    return again, clash


def _count_copies(content: FloatArray) -> int:
    ordered = content[np.lexsort(content.T)]
    return int((ordered[1:] == ordered[:-1]).all(axis=1).sum())


def _check_ranges(numbers: dict[str, FloatArray], keep: BoolArray) -> None:
    score, minutes, weight = numbers["score"], numbers["human_minutes"], numbers.get("weight")
    refusals = [
        (
            score,
            (score >= 0) & (score <= 1),
            "score outside [0, 1]",
            "map a column of fractions: --map score=COLUMN",
        ),
        (
            minutes,
            np.isfinite(minutes) & (minutes > 0),
            "human_minutes not positive and finite",
            "give minutes > 0",
        ),
        (
            minutes,
            minutes <= LONGEST_MINUTES,
            "human_minutes of more than ten years",
            "give minutes, not seconds",
        ),
    ]
    if weight is not None:
        refusals.append(
            (weight, np.isfinite(weight) & (weight > 0), "weight not positive and finite", "drop the row")
        )
    for values, good, what, remedy in refusals:
        bad = keep & ~good
        if bad.any():
            raise DataError(f"{what}: {values[bad][0]:g}{_where(bad)}; {remedy}")


def _row_numbers(mask: BoolArray) -> tuple[int, ...]:
    return tuple(int(i) + 1 for i in np.flatnonzero(mask))


def _where(mask: BoolArray) -> str:
    rows = np.flatnonzero(mask)[:5] + 1
    count = int(mask.sum())
    shown = ", ".join(map(str, rows)) + (", ..." if count > 5 else "")
    return f" in {count} row{'s' if count > 1 else ''} (row {shown})"
