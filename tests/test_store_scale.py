"""The store at size: parts stay the truth, compaction and older schemas change no result, writers need no locks."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dangercurve._errors import ConfigError, EvidenceError
from dangercurve.evals.gating.observed import Observed
from dangercurve.evals.ingest import find_logs, ingest_logs
from dangercurve.evals.run import open_run, run_study
from dangercurve.evals.run_folder import part_paths, read_run_folder, store_digest
from dangercurve.evals.store import COLUMNS, read_observations
from dangercurve.evals.store_compact import FOLDER, compact, compacted
from dangercurve.evals.store_query import summary
from dangercurve.evals.store_schema import SCHEMA, SINCE, select_list
from dangercurve.evals.study import load_study

STUDY = """
name: store
models: [bot/oracle, sim/smooth@22]
tasks: [ops_horizon]
levels: [0, 1]
interfaces: [text]
n: 4
shard: 2
"""
COLUMNS_1 = tuple(column for column in COLUMNS if column not in SINCE)
"""What schema 1 wrote, beside arms and doses."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    path = folder / "study.yaml"
    path.write_text(STUDY)
    study, _ = load_study(path)
    open_run(path, folder / "run", study)
    assert run_study(study, folder / "run", lambda _: None).complete
    return folder / "run"


def copy_of(run: Path, to: Path) -> Path:
    shutil.copytree(run, to)
    return to


def as_schema_1(path: Path) -> None:
    """Write a part as schema 1 had it: without the later columns, and saying so."""
    table = pq.read_table(path)
    kept = table.select([name for name in table.column_names if name not in SINCE])
    index = kept.column_names.index("schema")
    old = kept.set_column(index, "schema", pa.array([1] * len(kept), pa.int64()))
    pq.write_table(old, path, compression="zstd")


def test_compaction_changes_no_digest_and_no_result(run: Path, tmp_path: Path) -> None:
    mine = copy_of(run, tmp_path / "run")
    before, digest = read_observations(mine), store_digest(mine)
    path = compact(mine)
    assert compacted(mine, digest) == path and compact(mine) == path
    assert store_digest(mine) == digest and len(part_paths(mine)) == len(part_paths(run))
    assert read_observations(mine).equals(before)
    for part in (mine / "store").iterdir():
        part.unlink()
    with pytest.raises(EvidenceError, match="no observations"):
        read_observations(mine)


def test_a_compacted_file_stands_for_its_parts_alone(run: Path, tmp_path: Path) -> None:
    mine = copy_of(run, tmp_path / "run")
    held = part_paths(mine)[0]
    aside = held.rename(tmp_path / held.name)
    few, path = len(read_observations(mine)), compact(mine)
    aside.rename(held)
    assert len(read_observations(mine)) > few, "a part that came later is read"
    again = compact(mine)
    assert again != path and not path.exists()
    again.write_bytes(again.read_bytes()[:-100])
    assert compacted(mine, store_digest(mine)) is None
    assert len(read_observations(mine)) == len(read_observations(run)), "a damaged one is not read"


def test_the_gate_reads_the_parts_and_not_their_compaction(run: Path, tmp_path: Path) -> None:
    mine = copy_of(run, tmp_path / "run")
    path = compact(mine)
    table = pq.read_table(path)
    index = table.column_names.index("model")
    pq.write_table(table.set_column(index, "model", pa.array(["forged"] * len(table))), path)
    with Observed(read_run_folder(mine)) as observed:
        assert "forged" not in observed.models()
    assert FOLDER not in "".join(read_run_folder(mine).files)


@pytest.mark.parametrize("some", [True, False])
def test_a_store_of_schema_1_reads_as_one_of_today(run: Path, tmp_path: Path, some: bool) -> None:
    """Every version that a store was ever written in: 1, alone and mixed with this one."""
    mine = copy_of(run, tmp_path / "run")
    for path in part_paths(mine)[: 1 if some else None]:
        as_schema_1(path)
    now, old = read_observations(run), read_observations(mine)
    assert set(old["stopping"]) == {"fixed"}
    assert set(old["schema"]) == ({1, SCHEMA} if some else {1})
    assert old.drop(columns="schema")[sorted(now.columns.drop("schema"))].equals(
        now.drop(columns="schema")[sorted(now.columns.drop("schema"))]
    )
    with Observed(read_run_folder(mine)) as observed:
        cell = observed.cell("bot/oracle", "ops_horizon", {})
        assert cell.stopping == {"fixed"} and cell.rows == 8
    compact(mine)
    assert read_observations(mine).equals(old)


def test_a_part_from_a_newer_schema_is_refused(run: Path, tmp_path: Path) -> None:
    mine = copy_of(run, tmp_path / "run")
    path = part_paths(mine)[0]
    table = pq.read_table(path)
    index = table.column_names.index("schema")
    pq.write_table(table.set_column(index, "schema", pa.array([SCHEMA + 1] * len(table), pa.int64())), path)
    with pytest.raises(EvidenceError, match="schema"):
        read_observations(mine)


def test_every_column_that_a_later_schema_brought_has_a_value_for_older_rows() -> None:
    assert set(SINCE) <= set(COLUMNS) and not set(SINCE) & set(COLUMNS_1)
    assert all(1 < version <= SCHEMA for version, _ in SINCE.values())
    assert select_list(COLUMNS_1) == "*, 'fixed' as stopping"


def _ingest(logs: Path, run: Path) -> None:
    ingest_logs(find_logs([logs]), run, "store")


def test_writers_at_once_need_no_lock_and_come_to_one_store(run: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    mine = tmp_path / "run"
    writers = [context.Process(target=_ingest, args=(run / "logs", mine)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    assert store_digest(mine) == store_digest(run)
    assert not list(mine.rglob("*.tmp"))


def test_sums_in_place_are_those_of_the_observations_and_count_a_resumed_run_once(
    run: Path, tmp_path: Path
) -> None:
    mine = copy_of(run, tmp_path / "run")
    path = part_paths(mine)[0]
    table = pq.read_table(path)
    digest = "f" * 64
    index = table.column_names.index("log_sha256")
    again = table.set_column(index, "log_sha256", pa.array([digest] * len(table)))
    pq.write_table(again, mine / "store" / f"{digest}.parquet")
    frame = read_observations(mine)
    wanted = frame.groupby(["model", "level"]).agg(n=("success", "size"), mean=("success", "mean"))
    for groups in (summary(mine, ["model", "level"]), (compact(mine), summary(mine, ["model", "level"]))[1]):
        assert [g.key for g in groups] == list(wanted.index)
        assert [g.samples for g in groups] == list(wanted["n"])
        assert [g.success for g in groups] == pytest.approx(list(wanted["mean"]))
        assert all(g.instances == 4 for g in groups)
    with pytest.raises(ConfigError, match="did you mean 'model'"):
        summary(mine, ["modell"])
