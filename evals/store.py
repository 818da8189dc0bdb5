"""The store of observations: one immutable Parquet part a log, named by the log's SHA-256; read through DuckDB.

Ingesting twice changes nothing, two stores merge by copying files, and a view keeps one row a (eval task id, sample
id, epoch), the newest completed log winning, so that a resumed or retried run is counted once.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dangercurve._errors import EvidenceError
from dangercurve._files import atomic_path
from dangercurve._text import printable
from dangercurve.evals.answering import without_strangers
from dangercurve.evals.run_folder import part_paths, store_digest
from dangercurve.evals.store_compact import FOLDER, compacted
from dangercurve.evals.store_schema import SCHEMA, select_list

if TYPE_CHECKING:
    import pandas as pd

MAX_TEXT = 4_000
TEXT = (
    "study", "model", "answering_model", "roles", "eval_task_id", "sample_id", "completed_at", "task", "task_version",
    "domain", "family", "construct", "instance_id", "twin", "interface", "seed_commitment", "status", "declined",
    "family_metrics", "reasoning_effort", "log_path", "log_sha256", "sample_uuid", "inspect_version", "scaffold",
    "elicitation", "judge", "comparability_key", "journal_head", "stopping",
)  # fmt: skip
DIFFERENT = ("sample_id", "sample_uuid", "instance_id", "journal_head", "completed_at")
"""Texts that differ from row to row: a dictionary of them only costs time and room. Numbers repeat, and need no more."""
INTEGERS = (
    "schema", "paraphrase", "level", "index", "oracle_steps", "epoch", "from_milestone", "milestones_reached",
    "milestones_total", "tripwires", "violations", "steps", "budget", "unparsed", "invalid", "input_tokens",
    "output_tokens", "reasoning_tokens", "turns",
)  # fmt: skip
NUMBERS = ("human_minutes", "kappa", "success", "outcome", "random_floor", "working_s", "usd", "bits")
FLAGS = ("simulated", "opportunity", "competent")
COLUMNS = (*TEXT, *INTEGERS, *NUMBERS, *FLAGS)


def _cell(value: object, kind: str) -> object:
    """A value as its column holds it: text harmless and writable, numbers in range; None where it is none of these.

    What a log says is untrusted: one count of thirty digits or one lone surrogate must not cost the log its rows.
    """
    if value is None:
        return None
    if kind == "text":
        return label(value, MAX_TEXT)
    if kind == "flag":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if kind == "integer":
        return int(value) if abs(value) < 2**63 and value == math.floor(value) else None
    try:
        return float(value)
    except OverflowError:
        return None


def _column(values: list[object], kind: str) -> list[object]:
    """The cells of a column. What is as it should be is seen at a glance, and a text that stands in many rows is made
    harmless once."""
    different = {value for value in values if isinstance(value, str)} if kind == "text" else None
    if _plain(values, kind, different):
        return values
    if different is None:
        return [_cell(value, kind) for value in values]
    known = {text: _cell(text, kind) for text in different}
    return [known[value] if isinstance(value, str) else _cell(value, kind) for value in values]


def _plain(values: list[object], kind: str, texts: set[str] | None) -> bool:
    """Whether every value is None or already a cell of its kind."""
    types = set(map(type, values)) - {type(None)}
    if kind == "text":
        fits = not texts or (max(map(len, texts)) <= MAX_TEXT and "".join(texts).isprintable())
        return types <= {str} and fits
    if kind == "integer" and types == {int}:
        numbers = cast("list[int]", [v for v in values if v is not None] if None in values else values)
        return max(numbers) < 2**63 and min(numbers) > -(2**63)
    fitting: dict[str, set[type]] = {"flag": {bool}, "number": {float}, "integer": set()}
    return types <= fitting[kind]


def label(text: object, limit: int = 160) -> str:
    """`text` made printable; where that changed it, with a digest, so that two different texts stay different."""
    raw = str(text)
    shown = printable(raw, limit)
    if shown == raw:
        return shown
    return f"{shown}#{hashlib.sha256(json.dumps(raw).encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class Rows:
    """Rows of one log, column by column: `shared` says what all have in common, `columns` where they differ (lists of
    length `n`, before `shared` where both name one)."""

    n: int
    columns: Mapping[str, list[object]]
    shared: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, object]], shared: Mapping[str, object] | None = None) -> Rows:
        """Rows given one by one; what a row does not say is as `shared` says, else None."""
        return cls(0, {}, shared or {}).followed_by(rows)

    def followed_by(self, rows: Iterable[Mapping[str, object]]) -> Rows:
        """These rows and then `rows`."""
        more = list(rows)
        if not more:
            return self
        columns = {}
        for name in {*self.columns, *chain.from_iterable(more)}:
            default = self.shared.get(name)
            before = self.columns.get(name) or [default] * self.n
            columns[name] = [*before, *(row.get(name, default) for row in more)]
        return Rows(self.n + len(more), columns, self.shared)


def write_part(run: Path, log_sha256: str, rows: Rows) -> Path:
    """Write one log's rows as `store/SHA256.parquet`, atomically; an existing part is left as it is."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = run / "store" / f"{log_sha256}.parquet"
    if path.exists():
        return path
    names = rows.columns.keys() | rows.shared.keys()
    arms = sorted(name for name in names if name.startswith(("arm_", "dose_")) and name.isidentifier())
    types = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "flag": pa.bool_()}
    kinds = {
        **dict.fromkeys(TEXT, "text"),
        **dict.fromkeys(INTEGERS, "integer"),
        **dict.fromkeys(NUMBERS, "number"),
        **dict.fromkeys(FLAGS, "flag"),
        **{name: "integer" if name.startswith("dose_") else "text" for name in arms},
    }

    def column(name: str, kind: str) -> pa.Array:
        if name in rows.columns:
            return pa.array(_column(rows.columns[name], kind), types[kind])
        return pa.repeat(pa.scalar(_cell(rows.shared.get(name), kind), types[kind]), rows.n)

    table = pa.table(
        {name: column(name, kind) for name, kind in kinds.items()},
        schema=pa.schema([(name, types[kind]) for name, kind in kinds.items()]),
    )
    with atomic_path(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression={name: "zstd" if kind == "text" else "none" for name, kind in kinds.items()},
            use_dictionary=[name for name in kinds if name not in DIFFERENT],
        )
    return path


def read_observations(run: Path, where: str = "true") -> pd.DataFrame:
    """The deduplicated observations of a run folder as a frame. Raises EvidenceError where there are none or a part
    is damaged or from a newer schema. A sample that another model answered is missing evidence
    (`answering`). `where` is a trusted SQL condition, never user text."""
    import duckdb

    parts = [str(p) for p in part_paths(run)]
    if not parts:
        raise EvidenceError(f"{run}: the store holds no observations; run or ingest first")
    if (run / FOLDER).is_dir() and (one := compacted(run, store_digest(run))) is not None:
        parts = [str(one)]
    source = "read_parquet($parts, union_by_name=true)"
    try:
        with duckdb.connect(":memory:", config={"threads": "2"}) as db:
            described = db.execute(f"describe select * from {source}", {"parts": parts}).fetchall()
            query = (
                f"select {select_list({str(row[0]) for row in described})} from {source} "
                "qualify row_number() over (partition by eval_task_id, sample_id, epoch "
                "order by completed_at desc, log_sha256 desc, sample_uuid) = 1 "
                f"and {where} order by model, family, level, instance_id, sample_id, epoch, eval_task_id"
            )
            frame = db.execute(query, {"parts": parts}).df()
    except duckdb.Error as exc:
        raise EvidenceError(f"{run}: the store cannot be read: {str(exc).splitlines()[0][:160]}") from exc
    if "schema" in frame and len(frame) and int(frame["schema"].max()) > SCHEMA:
        raise EvidenceError(
            f"{run}: the store is of schema {int(frame['schema'].max())}; this version reads {SCHEMA}"
        )
    return without_strangers(frame)


__all__ = ["COLUMNS", "SCHEMA", "Rows", "part_paths", "read_observations", "store_digest", "write_part"]
