"""Facts that the gate takes from the observations themselves: who answered, with which status, on what n."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import duckdb

from dangercurve._errors import EvidenceError
from dangercurve._text import printable
from dangercurve.analysis.rest import REST, UNSET, rest_of
from dangercurve.evals.run_folder import RunFolder, database, duck_path, number, store_digest
from dangercurve.evals.store import SCHEMA

STATUSES = ("scored", "refused", "eval_aware_abstain", "format_failure", "limit_censored", "infra_error")
TEXT_COLUMNS = (
    "model",
    "answering_model",
    "eval_task_id",
    "sample_id",
    "sample_uuid",
    "completed_at",
    "task_version",
    "domain",
    "family",
    "instance_id",
    "twin",
    "interface",
    "elicitation",
    "seed_commitment",
    "status",
    "log_sha256",
    "comparability_key",
)
UNABLE = "(competent is not distinct from false and success is null and outcome is null)"
STOPPING = "coalesce(cast(stopping as varchar), 'fixed') as stopping"
"""How the number of samples was decided; before schema 2 it was always fixed."""
NUMBER_COLUMNS = ("schema", "epoch", "kappa", "success", "outcome")
CONDITION = ("domain", "interface", "kappa", "elicitation", "twin", "comparability_key")
"""Columns that, with the arms, make a condition."""
LEVEL = "coalesce(nullif(printf('%g', try_cast(level as double)), 'nan'), cast(level as varchar)) as level"
"""A level as the estimates of `survival_at` name it."""
ATTEMPTED = """coalesce(regexp_matches(cast(family_metrics as varchar), '"breached"\\s*:\\s*[^nN\\s]'), false) as attempted"""
"""Whether a family with a clock says that the sample made an attempt: `breached` is there and not null."""


@dataclass(frozen=True)
class Cell:
    """What the store holds for one estimate: counts and every distinct value that comparability looks at."""

    rows: int
    instances: int
    statuses: Mapping[str, int]
    least_epochs: int
    answering: frozenset[str | None]
    keys: frozenset[str | None]
    versions: frozenset[str | None]
    commitments: frozenset[str | None]
    simulated: frozenset[bool]
    first: str | None
    last: str | None
    bad_values: int
    no_success: int
    no_outcome: int
    success_rate: float | None
    mean_outcome: float | None
    unable: int = 0
    stopping: frozenset[str] = frozenset()

    @property
    def missing(self) -> float:
        """Share of the rows that say nothing: not scored, or scored without the competence that its mapping wants."""
        return 1 - (self.statuses.get("scored", 0) - self.unable) / self.rows if self.rows else 1.0

    @property
    def shares(self) -> dict[str, float]:
        """Share of each status over all rows."""
        return {name: self.statuses.get(name, 0) / self.rows if self.rows else 0.0 for name in STATUSES}


class Observed:
    """The deduplicated observations of a run folder, queried in place.

    One row a (eval task id, sample id, epoch): the newest completed one. Raises EvidenceError on damage: a part that
    cannot be read, a missing column, a newer schema, a part not named by its log, an unknown status; and on leaving,
    where a part was changed meanwhile.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._db = database()
        self._folder = folder
        self.arms: list[str] = []
        self._cells: dict[str, Cell] = {}
        if not folder.parts:
            raise EvidenceError("the store holds no observations")
        try:
            self._load([duck_path(path) for path in folder.parts])
        except duckdb.Error as exc:
            raise EvidenceError(f"the store cannot be read: {printable(exc, 160)}") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()
        if kind is None:
            self.refuse_changed()

    def _load(self, paths: list[str]) -> None:
        source = "read_parquet(?, union_by_name=true, filename='part')"
        found = [row[0] for row in self._db.execute(f"describe select * from {source}", [paths]).fetchall()]
        for column in (*TEXT_COLUMNS, *NUMBER_COLUMNS, "simulated"):
            if column not in found:
                raise EvidenceError(f"the store lacks the column {column}: it was written by another version")
        self.arms = sorted(column for column in found if column.startswith("arm_"))
        wanted = [f'cast("{name}" as varchar) as "{name}"' for name in (*TEXT_COLUMNS, *self.arms)]
        wanted += [f'try_cast("{name}" as double) as "{name}"' for name in NUMBER_COLUMNS]
        # A view, so that each question reads only its own columns: copying a million rows costs as much as all of them.
        listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
        wanted.append(STOPPING if "stopping" in found else "'fixed' as stopping")
        wanted.append(LEVEL if "level" in found else "cast(null as varchar) as level")
        wanted.append(ATTEMPTED if "family_metrics" in found else "false as attempted")
        self._db.execute(
            f"create temp view raw as select {', '.join(wanted)}, try_cast(simulated as boolean) as simulated, "
            f"{'try_cast(competent as boolean)' if 'competent' in found else 'cast(null as boolean)'} as competent, "
            f"parse_filename(part, true) as part from {source.replace('?', f'[{listed}]')}"
        )
        self._check_rows()
        rows, kept = self._one(
            "select count(*), count(distinct hash(eval_task_id, sample_id, epoch)) from raw"
        )
        unique = (
            ""
            if rows == kept
            else (
                " qualify row_number() over (partition by eval_task_id, sample_id, epoch "
                "order by completed_at desc, log_sha256 desc, sample_uuid) = 1"
            )
        )
        self._db.execute(f"create temp {'table' if unique else 'view'} obs as select * from raw{unique}")

    def _check_rows(self) -> None:
        row = self._one(
            "select count(*), count(*) filter (schema is null or schema < 1), max(schema), "
            "count(*) filter (log_sha256 is distinct from part), "
            f"count(*) filter (status is null or status not in ({', '.join('?' * len(STATUSES))})), "
            "count(*) filter (eval_task_id is null or sample_id is null or instance_id is null "
            "or model is null or simulated is null or completed_at is null "
            "or epoch is null or not isfinite(epoch) or epoch not between 1 and 1e6 or epoch <> floor(epoch)) from raw",
            list(STATUSES),
        )
        total, no_schema, newest, misnamed, strange, nameless = row
        if not total:
            raise EvidenceError("the store holds no observations")
        if no_schema:
            raise EvidenceError(f"{no_schema} observations name no schema")
        if isinstance(newest, float) and newest > SCHEMA:
            raise EvidenceError(
                f"the store has schema {newest:g}; this version reads {SCHEMA}: upgrade dangercurve"
            )
        if misnamed:
            raise EvidenceError(
                f"{misnamed} observations lie in a part that is not named by their log's SHA-256"
            )
        if strange:
            raise EvidenceError(f"{strange} observations have a status that is none of {', '.join(STATUSES)}")
        if nameless:
            raise EvidenceError(
                f"{nameless} observations lack an identifier (model, instance, sample, epoch, simulated or time)"
            )

    def _one(self, sql: str, parameters: Sequence[object] = ()) -> tuple[object, ...]:
        try:
            row = self._db.execute(sql, list(parameters)).fetchone()
        except duckdb.Error as exc:
            raise EvidenceError(f"the store cannot be asked: {printable(exc, 160)}") from exc
        if row is None:
            raise EvidenceError("the store answered nothing")
        return tuple(row)

    def _all(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        try:
            return [tuple(row) for row in self._db.execute(sql, list(parameters)).fetchall()]
        except duckdb.Error as exc:
            raise EvidenceError(f"the store cannot be asked: {printable(exc, 160)}") from exc

    def refuse_changed(self) -> None:
        """Raise EvidenceError where a part is not the one that was hashed: each question reads the parts again."""
        if store_digest(self._folder.root) != self._folder.store_digest:
            raise EvidenceError("the store was changed while it was read: ask again")

    def models(self) -> list[str]:
        """Every model in the store, sorted."""
        return [str(row[0]) for row in self._all("select distinct model from obs order by 1")]

    def simulated(self, model: str) -> set[bool]:
        """Which values `simulated` has among the rows of `model`."""
        found = self._all("select distinct simulated from obs where model = ?", [model])
        return {bool(row[0]) for row in found}

    def cell(self, model: str, family: str, where: Mapping[str, object]) -> Cell:
        """Counts over the rows of `model` and `family` whose columns equal `where` (null means null, `rest` of an arm
        any name of its rest).

        Columns that the store does not have match only null. Asked twice, counted once.
        """
        key = repr((model, family, sorted(where.items(), key=lambda item: item[0])))
        if key not in self._cells:
            self._cells[key] = self._count(model, family, where)
        return self._cells[key]

    def _condition(self, model: str, family: str, where: Mapping[str, object]) -> tuple[str, list[object]]:
        """SQL and its parameters for the rows of `model` and `family` whose columns equal `where`."""
        known = {*TEXT_COLUMNS, *NUMBER_COLUMNS, *self.arms, "level"}
        clauses: list[str] = ["model = ?", "family = ?"]
        parameters: list[object] = [model, family]
        for column, value in where.items():
            if column not in known:
                if value is not None:
                    clauses.append("false")
                continue
            if value == REST and column in self.arms:
                levels = (*UNSET, rest_of(family, column.removeprefix("arm_")))
                clauses.append(f"coalesce(\"{column}\", '') in ({', '.join('?' * len(levels))})")
                parameters.extend(levels)
                continue
            clauses.append(f'"{column}" is not distinct from ?')
            if value is None:
                parameters.append(None)
            elif column in NUMBER_COLUMNS:
                parameters.append(None if math.isnan(number(value)) else number(value))
            else:
                parameters.append(str(value))
        return " and ".join(clauses), parameters

    def _count(self, model: str, family: str, where: Mapping[str, object]) -> Cell:
        condition, parameters = self._condition(model, family, where)
        row = self._one(
            "select count(*), count(distinct instance_id), "
            "list(distinct answering_model) filter (status = 'scored' or answering_model is not null), "
            "list(distinct comparability_key), list(distinct task_version), list(distinct simulated), "
            "min(completed_at), max(completed_at), "
            "count(*) filter (isnan(success) or isnan(outcome) or success not in (0, 1) "
            "or outcome not between 0 and 1), "
            f"count(*) filter (status = 'scored' and success is null and not {UNABLE}), "
            f"count(*) filter (status = 'scored' and outcome is null and not {UNABLE}), "
            "count(*) filter (status = 'scored' and answering_model is null), "
            "count(*) filter (comparability_key is null), count(*) filter (task_version is null), "
            f"list(distinct seed_commitment), count(*) filter (status = 'scored' and {UNABLE}), "
            "list(distinct stopping) "
            f"from obs where {condition}",
            parameters,
        )
        statuses = self._all(f"select status, count(*) from obs where {condition} group by 1", parameters)
        usable = "(status = 'scored' or success = 1)"
        *means, epochs = self._one(
            "select avg(s), avg(o), coalesce(min(n), 0) from ("
            f"select avg(success) filter ({usable}) as s, avg(outcome) filter ({usable}) as o, "
            "bit_count(bit_or(cast(1 as bigint) << cast(least(epoch, 62) as bigint))) as n "
            f"from obs where {condition} group by instance_id)",
            parameters,
        )
        lists = [set(found) if isinstance(found, list) else set() for found in row[2:6]]
        for index, unnamed in ((0, row[11]), (1, row[12]), (2, row[13])):
            if unnamed:
                lists[index].add(None)
        return Cell(
            rows=_int(row[0]),
            instances=_int(row[1]),
            statuses={str(name): _int(count) for name, count in statuses},
            least_epochs=_int(epochs),
            answering=frozenset(lists[0]),
            keys=frozenset(lists[1]),
            versions=frozenset(lists[2]),
            commitments=frozenset(row[14] if isinstance(row[14], list) else ()),
            simulated=frozenset(bool(v) for v in lists[3]),
            first=None if row[6] is None else str(row[6]),
            last=None if row[7] is None else str(row[7]),
            bad_values=_int(row[8]),
            no_success=_int(row[9]),
            no_outcome=_int(row[10]),
            success_rate=means[0] if isinstance(means[0], float) else None,
            mean_outcome=means[1] if isinstance(means[1], float) else None,
            unable=_int(row[15]),
            stopping=frozenset(str(v) for v in row[16]) if isinstance(row[16], list) else frozenset(),
        )

    def conditions(self, model: str, family: str) -> list[dict[str, object]]:
        """Every condition under which the store holds rows of `model` and `family`, with its comparability key."""
        names = [*CONDITION, *self.arms]
        columns = ", ".join(f'"{name}"' for name in names)
        rows = self._all(
            f"select distinct {columns} from obs where model = ? and family = ? order by all", [model, family]
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def levels(
        self, model: str, family: str, where: Mapping[str, object]
    ) -> dict[str | None, tuple[int, int]]:
        """Each level of a condition, as estimates name it, with how many of its samples show an attempt at a safeguard, and
        how many others were lost (not scored)."""
        condition, parameters = self._condition(model, family, where)
        rows = self._all(
            "select level, count(*) filter (attempted), count(*) filter (not attempted and status <> 'scored') "
            f"from obs where {condition} group by 1 order by try_cast(level as double), level",
            parameters,
        )
        return {None if level is None else str(level): (_int(a), _int(b)) for level, a, b in rows}

    def evidence_digest(self, model: str, family: str) -> str:
        """SHA-256 over the sorted digests of the logs behind this model and family: which evidence was looked at."""
        rows = self._all(
            "select distinct log_sha256 from obs where model = ? and family = ? order by 1", [model, family]
        )
        return hashlib.sha256("\n".join(str(row[0]) for row in rows).encode()).hexdigest()

    def samples(self, model: str, family: str) -> int:
        """How many samples, epochs apart, the store holds of an evaluation."""
        return _int(self._one("select count(*) from obs where model = ? and family = ?", [model, family])[0])

    def last(self, model: str, family: str) -> str | None:
        """When the newest sample of an evaluation was completed, as text."""
        found = self._one(
            "select max(completed_at) from obs where model = ? and family = ?", [model, family]
        )[0]
        return None if found is None else str(found)

    def random_samples(
        self, model: str, family: str, seed: str, count: int
    ) -> list[tuple[str, str, str, int]]:
        """(log SHA-256, sample uuid, sample id, epoch) of the `count` samples whose MD5 with `seed` is smallest."""
        rows = self._all(
            "select log_sha256, coalesce(sample_uuid, ''), sample_id, cast(epoch as bigint) from obs "
            "where model = ? and family = ? "
            "order by md5(concat_ws(chr(31), ?, log_sha256, sample_uuid, sample_id, epoch)), sample_id, epoch limit ?",
            [model, family, seed, count],
        )
        return [(str(a), str(b), str(c), _int(d)) for a, b, c, d in rows]


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def parse_time(stamp: str) -> dt.datetime:
    """An ISO 8601 time in UTC; without a zone it is UTC. Raises EvidenceError for anything else."""
    try:
        found = dt.datetime.fromisoformat(stamp.strip().replace("Z", "+00:00"))
    except ValueError as exc:
        raise EvidenceError(f"'{printable(stamp, 60)}' is no ISO 8601 time") from exc
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
