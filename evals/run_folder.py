"""What lies in a run folder: parts of the store, estimates, forecasts, evidence; read once, hashed, never written."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from dangercurve._errors import ConfigError, EvidenceError
from dangercurve._files import sha256_file
from dangercurve._text import printable

if TYPE_CHECKING:
    import duckdb

Row = Mapping[str, object]
ESTIMATE_COLUMNS = (
    "model",
    "domain",
    "family",
    "metric",
    "estimate",
    "lcb",
    "ucb",
    "alpha",
    "worst_case_lcb",
    "worst_case_ucb",
    "n_instances",
    "status_shares",
    "comparability_key",
    "store_digest",
)
MAX_JSON_BYTES = 20_000_000
MANIFESTS = ("eval-set.json", "logs.json", "listing.json")


@dataclass(frozen=True)
class RunFolder:
    """A run's evidence in memory. `problems` are what could not be read: each makes every claim INVALID."""

    root: Path
    parts: tuple[Path, ...]
    store_digest: str | None
    estimates: tuple[Row, ...]
    forecasts: tuple[Row, ...]
    files: Mapping[str, str]
    problems: tuple[str, ...] = ()
    evidence: Mapping[str, object] = field(default_factory=dict)


def locate(path: Path | str) -> Path:
    """The run folder of `path`: the folder itself, or its parent where `path` is its `store/`.

    Raises ConfigError where there is no such folder.
    """
    target = Path(path)
    if not target.is_dir():
        raise ConfigError(f"--store {target}: no such folder; give a run folder with store/ and estimates/")
    if target.name == "store" and not (target / "estimates").is_dir() and not (target / "store").is_dir():
        return target.parent if target.parent != target and target.parent.name else target.resolve().parent
    return target


def part_paths(root: Path) -> tuple[Path, ...]:
    """The store's parts, one a log, in the order of their names."""
    return tuple(sorted((root / "store").glob("*.parquet")))


def log_paths(root: Path) -> tuple[Path, ...]:
    """The Inspect logs under `logs/`, sorted. Manifests that Inspect keeps beside them (MANIFESTS) are no logs."""
    if not (root / "logs").is_dir():
        return ()
    return tuple(
        path
        for path in sorted((root / "logs").rglob("*"))
        if path.suffix in (".eval", ".json") and path.name not in MANIFESTS and path.is_file()
    )


def digest_of(parts: Mapping[str, str]) -> str:
    """The store's digest: SHA-256 over the sorted lines `NAME SHA256` of its parts."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(parts.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def store_digest(root: Path) -> str:
    """`digest_of` the parts that lie in the run folder `root`, from their bytes."""
    return digest_of({path.name: sha256_file(path) for path in part_paths(root)})


def read_run_folder(path: Path | str) -> RunFolder:
    """Everything in the run folder but the rows of the store. Damage becomes a line in `problems`, not an exception.

    Raises ConfigError where there is no folder.
    """
    root = locate(path)
    problems: list[str] = []
    files: dict[str, str] = {}

    def take(found: Path) -> str | None:
        name = found.relative_to(root).as_posix()
        try:
            files[printable(name)] = sha256_file(found)
        except OSError as exc:
            problems.append(f"{printable(name)} cannot be read: {exc.strerror or exc}")
            return None
        return printable(name)

    parts = part_paths(root)
    for part in parts:
        take(part)
    digest = digest_of({p.name: files[f"store/{p.name}"] for p in parts if f"store/{p.name}" in files})
    if not parts:
        problems.append("the store holds no observations")
    estimates: list[Row] = []
    for found in sorted((root / "estimates").glob("*.parquet")):
        if take(found):
            estimates += _estimates(found, problems)
    forecasts: list[Row] = []
    for found in sorted((root / "forecasts").glob("*.json")):
        if take(found):
            forecasts += _forecasts(found, problems)
    evidence: dict[str, object] = {}
    for found in sorted((root / "evidence").glob("*.json")):
        if take(found):
            evidence[found.stem] = _json(found, problems)
    for found in sorted((root / "monitors").glob("*.parquet")):
        take(found)
    events = root / "events.jsonl"
    if events.is_file() and b'"anomaly"' in events.read_bytes():
        take(events)
    for name in ("study.yaml", "forecast_ledger.jsonl", "waivers.jsonl", "signoff.jsonl"):
        if (root / name).is_file():
            take(root / name)
    for found in log_paths(root):
        take(found)
    return RunFolder(
        root,
        parts,
        digest if parts else None,
        tuple(estimates),
        tuple(forecasts),
        files,
        tuple(problems),
        evidence,
    )


def _estimates(path: Path, problems: list[str]) -> list[Row]:
    import duckdb

    name = f"estimates/{printable(path.name)}"
    try:
        with database() as db:
            found = db.execute("select * from read_parquet(?)", [duck_path(path)])
            columns = [str(column[0]) for column in found.description or []]
            rows: list[Row] = [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
    except (duckdb.Error, ValueError, OverflowError) as exc:
        problems.append(f"{name} is no readable Parquet file: {printable(exc, 120)}")
        return []
    lacking = [column for column in ESTIMATE_COLUMNS if column not in columns]
    if lacking:
        problems.append(f"{name} lacks the column {lacking[0]}")
        return []
    return [{**row, "_file": name, "_row": index} for index, row in enumerate(rows)]


@cache
def _process_database() -> duckdb.DuckDBPyConnection:
    import duckdb

    base = duckdb.connect(":memory:", config={"threads": "2"})
    known = {row[0] for row in base.execute("select name from duckdb_settings()").fetchall()}
    for name in (
        "enable_external_file_cache",
        "parquet_metadata_cache",
    ):  # evidence is read from disk each time
        if name in known:
            base.execute(f"set global {name} = false")
    return base


def database() -> duckdb.DuckDBPyConnection:
    """A connection to this process's in-memory DuckDB, with temporary tables of its own; close it after use.

    Parquet is read with DuckDB and not with pyarrow, which imports pandas and costs the gate half its start-up.
    """
    return _process_database().cursor()


def duck_path(path: Path) -> str:
    """A path as DuckDB reads it: the characters of its glob patterns quoted."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def _forecasts(path: Path, problems: list[str]) -> list[Row]:
    data = _json(path, problems)
    entries = data if isinstance(data, list) else [data]
    name = f"forecasts/{printable(path.name)}"
    if data is not None and not all(isinstance(entry, dict) for entry in entries):
        problems.append(f"{name} holds something that is no forecast")
    return [{**entry, "_file": name} for entry in entries if isinstance(entry, dict)]


def _json(path: Path, problems: list[str]) -> object:
    try:
        return read_json(path)
    except EvidenceError as exc:
        problems.append(str(exc))
        return None


def read_json(path: Path) -> object:
    """Strict JSON from a file: no NaN, no infinities, no key twice. Raises EvidenceError naming the file."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in pairs]
        if len(set(keys)) != len(keys):
            raise ValueError("a key stands twice")
        return dict(pairs)

    def refuse(word: str) -> float:
        raise ValueError(f"{printable(word, 40)} is no number that evidence may hold")

    def finite(word: str) -> float:
        value = float(word)
        return value if math.isfinite(value) else refuse(word)

    name = f"{path.parent.name}/{printable(path.name)}"
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError(f"larger than {MAX_JSON_BYTES} bytes")
        data: object = json.loads(
            path.read_bytes().decode("utf-8"),
            object_pairs_hook=once,
            parse_constant=refuse,
            parse_float=finite,
        )
    except (OSError, ValueError, RecursionError) as exc:
        raise EvidenceError(f"{name} is no readable JSON: {printable(exc, 120)}") from exc
    return data


def number(value: object) -> float:
    """A number from a cell; NaN where there is none (a bool or a text is none)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.nan


def text(value: object) -> str | None:
    """A cell as text; None where it is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value)
