"""Sums over a store of any size, in place: nothing is read into memory but the groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dangercurve._errors import ConfigError, EvidenceError, did_you_mean
from dangercurve._text import printable
from dangercurve.evals.run_folder import database, duck_path, part_paths, store_digest
from dangercurve.evals.store_compact import FOLDER, compacted
from dangercurve.evals.store_schema import select_list


@dataclass(frozen=True)
class Group:
    """One group: its values of the columns grouped by, samples, instances, scored samples, mean success of the scored."""

    key: tuple[object, ...]
    samples: int
    instances: int
    scored: int
    success: float | None


def summary(run: Path, by: Sequence[str]) -> list[Group]:
    """Counts and mean success by columns of the store, each (task id, sample id, epoch) once, the newest winning.

    A log holds each sample once, so that only task ids with several parts (a run that was resumed) are looked at for older
    rows. Who answered is not asked here: numbers about a model come from `read_observations`. Raises ConfigError for an
    unknown column, EvidenceError for an empty or damaged store.
    """
    import duckdb

    parts = part_paths(run)
    if not parts:
        raise EvidenceError(f"{run}: the store holds no observations; run or ingest first")
    if (run / FOLDER).is_dir() and (one := compacted(run, store_digest(run))) is not None:
        parts = (one,)
    paths = [duck_path(path) for path in parts]
    source = "read_parquet($parts, union_by_name=true)"
    try:
        with database() as db:
            db.execute("set enable_progress_bar = false")
            found = db.execute(f"describe select * from {source}", {"parts": paths}).fetchall()
            names = [str(row[0]) for row in found]
            unknown = next((column for column in by if column not in names), None)
            if unknown is not None:
                raise ConfigError(
                    f"the store has no column '{printable(unknown, 40)}'{did_you_mean(unknown, names)}"
                )
            columns = ", ".join(f'"{name}"' for name in by)
            part = f"(select {select_list(names)} from {source})"
            again = db.execute(
                f"select eval_task_id from (select distinct eval_task_id, log_sha256 from {part}) group by 1 "
                "having count(*) > 1",
                {"parts": paths},
            ).fetchall()
            given: dict[str, object] = {"parts": paths}
            kept = part
            if again:  # rare, and looking for older rows holds the whole store in memory
                given["again"] = [str(row[0]) for row in again]
                kept = (
                    f"(select * from {part} where not list_contains($again, eval_task_id) union all by name "
                    f"select * from (select * from {part} where list_contains($again, eval_task_id) "
                    "qualify row_number() over (partition by eval_task_id, sample_id, epoch "
                    "order by completed_at desc, log_sha256 desc, sample_uuid) = 1))"
                )
            rows = db.execute(
                f"select {columns}, count(*), count(distinct instance_id), "
                "count(*) filter (status = 'scored'), avg(success) filter (status = 'scored') "
                f"from {kept} group by {columns} order by {columns}",
                given,
            ).fetchall()
    except duckdb.Error as exc:
        raise EvidenceError(f"{run}: the store cannot be asked: {printable(exc, 160)}") from exc
    k = len(by)
    return [Group(tuple(row[:k]), int(row[k]), int(row[k + 1]), int(row[k + 2]), row[k + 3]) for row in rows]
