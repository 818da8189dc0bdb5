"""Reading a plain table of any columns: CSV, Parquet or JSON Lines into a data frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dangercurve._errors import ConfigError, DataError, did_you_mean
from dangercurve._text import printable

MAX_ROWS = 2_000_000  # of one table: beyond it memory and time are not bounded


def read_frame(path: Path | str, mapping: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The table at `path` with columns renamed by `mapping` {our name: its column}. Raises DataError, never guesses.

    A table of more than MAX_ROWS rows is refused before it is read.
    """
    source = Path(path)
    rows = _count_rows(source)
    if rows > MAX_ROWS:
        raise DataError(
            f"{source.name} has {rows:,} rows, more than {MAX_ROWS:,}: average the runs of a model on a benchmark to one "
            "row (n_items = runs), or split the table; `dangercurve horizon` reads long tables of runs"
        )
    try:
        if source.suffix in {".jsonl", ".ndjson"}:
            frame = pd.read_json(source, lines=True)
        elif source.suffix in {".parquet", ".pq"}:
            frame = pd.read_parquet(source)
        elif source.suffix == ".csv" or source.name.endswith(".csv.gz"):
            frame = pd.read_csv(source)
        else:
            raise DataError(
                f"{source}: cannot read '{source.suffix}' files; use .csv, .csv.gz, .parquet or .jsonl"
            )
    except FileNotFoundError as exc:
        raise DataError(f"{source}: no such file") from exc
    except DataError:
        raise
    except pd.errors.EmptyDataError as exc:
        raise DataError(f"{source.name} is empty: nothing can be estimated") from exc
    except (ValueError, OSError) as exc:
        raise DataError(f"{source}: not a readable table ({printable(str(exc), 120)})") from exc
    for name, column in (mapping or {}).items():
        if column not in frame.columns:
            raise DataError(
                f"{source.name} has no column '{printable(column)}'{did_you_mean(column, map(str, frame.columns))}"
            )
        frame = frame.drop(columns=[name] if name in frame.columns and name != column else [])
        frame = frame.rename(columns={column: name})
    if frame.empty:
        raise DataError(f"{source.name} is empty: nothing can be estimated")
    return frame


def column_names(path: Path | str) -> set[str]:
    """The columns of a table, read from its head. Raises DataError where it cannot be read."""
    source = Path(path)
    try:
        if source.suffix in {".parquet", ".pq"}:
            import pyarrow.parquet as pq

            return set(pq.read_schema(source).names)
        if source.suffix in {".jsonl", ".ndjson"}:
            return set(map(str, pd.read_json(source, lines=True, nrows=1).columns))
        return set(map(str, pd.read_csv(source, nrows=0).columns))
    except FileNotFoundError as exc:
        raise DataError(f"{source}: no such file") from exc
    except pd.errors.EmptyDataError as exc:
        raise DataError(f"{source.name} is empty: nothing can be estimated") from exc
    except (ValueError, OSError) as exc:
        raise DataError(f"{source}: not a readable table ({printable(str(exc), 120)})") from exc


def _count_rows(source: Path) -> int:
    """Rows of a Parquet file, lines of a text file less a header; 0 where it cannot be told without reading it all."""
    if not source.is_file() or source.name.endswith(".gz"):
        return 0
    if source.suffix in {".parquet", ".pq"}:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return int(pq.read_metadata(source).num_rows)
        except (pa.ArrowException, OSError):
            return 0  # the reader says what is wrong with it
    if source.stat().st_size < MAX_ROWS:  # a row has at least one byte
        return 0
    with source.open("rb") as stream:
        lines = sum(block.count(b"\n") for block in iter(lambda: stream.read(1 << 22), b""))
    return lines - (source.suffix == ".csv")


def parse_mapping(items: Sequence[str]) -> dict[str, str]:
    """`NAME=COLUMN` options as a mapping. Raises ConfigError on another form."""
    pairs = {}
    for item in items:
        name, separator, column = item.partition("=")
        if not separator or not name.strip() or not column.strip():
            raise ConfigError(f"--map {printable(item)}: write NAME=COLUMN, for example --map model=alias")
        pairs[name.strip()] = column.strip()
    return pairs


def positive(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Rows whose `columns` are all finite and positive, and a line for every row left out."""
    keep: NDArray[np.bool_] = np.ones(len(frame), dtype=np.bool_)
    lines: list[str] = []
    values = {c: pd.to_numeric(frame[c], errors="coerce").to_numpy(np.float64) for c in columns}
    for i in range(len(frame)):
        bad = [c for c in columns if not (np.isfinite(values[c][i]) and values[c][i] > 0)]
        if bad:
            keep[i] = False
            lines.append(f"row {i}: {bad[0]} is missing, infinite or not positive")
    return frame.assign(**values)[keep].reset_index(drop=True), lines
