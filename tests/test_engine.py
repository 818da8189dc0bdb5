"""One scheduler for every engine: bounded attempts, shared connections, a cell that is counted once whoever plays it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dangercurve._errors import ConfigError, EvidenceError
from dangercurve.evals.coverage import coverage
from dangercurve.evals.engines import scheduler as engine
from dangercurve.evals.engines.location import Location
from dangercurve.evals.engines.scheduler import (
    Connections,
    Died,
    Job,
    LogFact,
    Played,
    Scheduler,
    cell_slug,
    jobs_of,
    pause_before,
)
from dangercurve.evals.engines.settle import Settled, deliver, given_up, leave_event
from dangercurve.evals.run import Engine, open_run, run_study
from dangercurve.evals.store import read_observations
from dangercurve.evals.study import Study, cells_of, load_study

Write = Callable[[str], Path]
TWO = """
name: two
models: [bot/oracle, sim/smooth@22]
tasks: [ops_horizon]
levels: [0, 1]
interfaces: [text]
n: 6
shard: 3
"""


def job(name: str = "m/c", model: str = "openai/x", connections: int | None = None) -> Job:
    return Job(name, (0,), model, 10, connections)


class Fake:
    """A backend whose jobs end as a list says, in order."""

    split = True

    def __init__(self, slots: int, ends: dict[str, list[str]]) -> None:
        self.slots, self.ends, self.running = slots, ends, list[str]()
        self.shares: dict[str, int | None] = {}
        self.most = 0

    def submit(self, job: Job, connections: int | None) -> None:
        self.running.append(job.name)
        self.shares[job.name] = connections
        self.most = max(self.most, len(self.running))

    def wait(self, timeout: float) -> list[Played | Died]:
        name = self.running.pop(0)
        how = self.ends[name].pop(0)
        return [Died(name, "killed") if how == "died" else Played(name, True, stopped_by=how)]

    def close(self) -> None:
        return


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "FIRST_PAUSE_S", 0.001)


@pytest.mark.usefixtures("quick")
def test_a_job_whose_worker_dies_is_tried_again_a_bounded_number_of_times() -> None:
    backend = Fake(2, {"a/1": ["died", "died", ""], "a/2": ["died"] * 3})
    told: list[str] = []
    scheduler = Scheduler(backend, attempts=3, tell=told.append)
    ended = {j.name: e for j, e in scheduler.run([job("a/1"), job("a/2")])}
    assert isinstance(ended["a/1"], Played)
    assert isinstance(ended["a/2"], Died)
    assert len(told) == 4, "two pauses for each job"


def test_pauses_double_and_stay_below_a_minute() -> None:
    assert [pause_before(k) for k in (1, 2, 3, 4)] == [0.0, 1.0, 2.0, 4.0]
    assert pause_before(50) == 60.0


@pytest.mark.usefixtures("quick")
def test_nothing_starts_once_a_job_says_that_the_budget_is_spent() -> None:
    backend = Fake(1, {"a/1": ["its tokens are spent"], "a/2": [""]})
    scheduler = Scheduler(backend)
    ended = [j.name for j, _ in scheduler.run([job("a/1"), job("a/2")])]
    assert ended == ["a/1"]
    assert scheduler.stopped_by == "its tokens are spent"


def test_jobs_of_one_model_share_its_connections_and_never_exceed_them() -> None:
    backend = Fake(8, {f"a/{i}": [""] for i in range(5)})
    jobs = [job(f"a/{i}", connections=3) for i in range(5)]
    assert len(list(Scheduler(backend).run(jobs))) == 5
    assert backend.most == 3, "a job without a connection waits"
    shares = Connections(slots=2)
    assert [shares.lease(job(connections=7), 1)[1], shares.lease(job(connections=7), 0)[1]] == [4, 3]
    assert shares.lease(job(connections=7), 0) == (False, None)
    shares.give_back(job(connections=7), 4)
    assert shares.lease(job(connections=7), 0) == (True, 4)


def test_one_server_of_local_weights_has_one_job_and_bots_need_no_share() -> None:
    shares = Connections(slots=4)
    assert shares.lease(job(model="local/x"), 3) == (True, None)
    assert shares.lease(job(model="local/x"), 2) == (False, None)
    assert [shares.lease(job(model="bot/oracle"), 3) for _ in range(9)] == [(True, None)] * 9


def test_without_connections_in_the_study_all_workers_together_get_inspects_own_number() -> None:
    shares = Connections(slots=4)
    given = [shares.lease(job(), waiting) for waiting in (3, 2, 1, 0)]
    assert sum(share or 0 for _, share in given) == engine.SHARED_CONNECTIONS


def study_of(text: str, folder: Path) -> tuple[Study, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.yaml"
    path.write_text(text)
    study, _ = load_study(path)
    open_run(path, folder / "run", study)
    return study, folder / "run"


def test_a_cell_begun_by_one_engine_is_never_begun_again_by_another(tmp_path: Path) -> None:
    study, _ = study_of(TWO, tmp_path)
    cells = cells_of(study)
    whole, apart = jobs_of(cells, lambda _: [], split=False), jobs_of(cells, lambda _: [], split=True)
    assert [len(j.cells) for j in whole] == [2, 2] and [len(j.cells) for j in apart] == [1] * 4
    assert jobs_of(cells, lambda _: ["2026_x_y.eval"], split=True) == whole
    assert jobs_of(cells, lambda _: [cell_slug(cells[0])], split=False) == apart
    with pytest.raises(ConfigError, match="restore one"):
        jobs_of(cells, lambda _: ["2026_x_y.eval", cell_slug(cells[0])], split=True)


def test_a_shard_is_a_cell_of_its_own_and_all_shards_are_the_instances_of_the_whole(tmp_path: Path) -> None:
    study, _ = study_of(TWO, tmp_path)
    whole = cells_of(study.model_copy(update={"shard": None}))
    shards = cells_of(study)
    assert sum(c.samples() for c in shards) == sum(c.samples() for c in whole)
    spans = [(c.start, c.n) for c in shards if c.model == "bot/oracle"]
    assert spans == [(0, 3), (3, 3)]
    assert len({cell_slug(c) for c in shards if c.model == "bot/oracle"}) == 2


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study played by two processes, one of which is killed on the way."""
    study, run = study_of(TWO, tmp_path_factory.mktemp("spread"))
    killed: list[int] = []

    def kill_one(line: str) -> None:
        from multiprocessing import active_children

        if "samples" in line and not killed and (alive := active_children()):
            pid = alive[0].pid
            assert pid is not None
            killed.append(pid)
            threading.Timer(2.0, os.kill, [pid, signal.SIGKILL]).start()

    done = run_study(study, run, kill_one, engine=Engine("processes", 2))
    assert done.complete and killed
    return run


def test_processes_with_a_killed_worker_come_to_what_one_process_comes_to(
    spread: Path, tmp_path: Path
) -> None:
    study, run = study_of(TWO, tmp_path)
    run_study(study, run, lambda _: None)
    columns = ["model", "sample_id", "status", "success", "outcome", "journal_head", "comparability_key"]
    order = ["model", "sample_id"]
    mine = read_observations(spread)[columns].sort_values(order, ignore_index=True)
    theirs = read_observations(run)[columns].sort_values(order, ignore_index=True)
    assert mine.equals(theirs)
    assert len(mine) == 2 * 2 * 6
    assert all(row["log"] == "current" for row in coverage(study, Location(str(spread))))


def test_any_engine_goes_on_with_a_run_that_another_finished_and_plays_nothing(spread: Path) -> None:
    study, _ = load_study(spread / "study.yaml")
    before = sorted(p.name for p in spread.rglob("*.eval"))
    for kind in (Engine(), Engine("processes", 2)):
        done = run_study(study, spread, lambda _: None, engine=kind)
        assert done.complete and done.ingested.rows == 0
    assert sorted(p.name for p in spread.rglob("*.eval")) == before


def test_a_second_beginning_of_a_cell_is_set_aside_and_counted_once(spread: Path, tmp_path: Path) -> None:
    """A worker that was thought dead wrote a log of its own beside its successor's."""
    run = tmp_path / "run"
    shutil.copytree(spread, run)
    place, counted = Location(str(run)), len(read_observations(run))
    settled = Settled(place, run)
    study, _ = load_study(run / "study.yaml")
    first = jobs_of(cells_of(study), place.names, split=True)[0]
    held = settled.played(first)
    assert held is not None and settled.done(first)
    zombie = replace(held.logs[0], name=f"9999-{held.logs[0].name}", task_id="another")
    folder = run / "logs" / first.name
    shutil.copy(folder / held.logs[0].name, folder / zombie.name)
    late = deliver(place, replace(held, logs=(zombie,), part=""), study.name, {})
    assert "set aside" in settled.accept(late)
    assert not (folder / zombie.name).exists()
    assert (run / "set-aside").is_dir()
    assert len(read_observations(run)) == counted
    assert len(Settled(place, run).ingested().written) == 4


def test_a_cell_that_was_given_up_is_missing_evidence_and_not_absent(spread: Path, tmp_path: Path) -> None:
    """A log that a killed worker left holds some samples; all others that were planned are rows of `infra_error`."""
    import zipfile

    run = tmp_path / "run"
    shutil.copytree(spread, run)
    place, study = Location(str(run)), load_study(run / "study.yaml")[0]
    first = jobs_of(cells_of(study), place.names, split=True)[0]
    held = Settled(place, run).played(first)
    assert held is not None
    log = run / "logs" / first.name / held.logs[0].name
    torn = log.with_suffix(".torn")
    with zipfile.ZipFile(log) as whole, zipfile.ZipFile(torn, "w") as left:
        for name in whole.namelist():
            if name not in ("header.json", "summaries.json", "reductions.json") and "summaries" not in name:
                left.writestr(name, whole.read(name))
    torn.replace(log)
    next((run / "cells").glob(f"{first.name.replace('/', '--')}.json")).unlink()
    (run / "store" / f"{held.part}.parquet").unlink()
    settled = Settled(place, run)
    settled.accept(given_up(place, first, study.name, {}))
    frame = read_observations(run)
    assert len(frame) == 24, "no planned sample is absent"
    lost = frame[frame["eval_task_id"] == held.logs[0].task_id]
    assert len(lost) == first.samples and set(lost["status"]) == {"infra_error"}
    assert not settled.done(first), "the same command tries it again"


def test_a_driver_that_died_after_binding_takes_the_part_in_when_it_comes_back(
    spread: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(spread, run)
    part = next((run / "store").glob("*.parquet"))
    (run / "parts").mkdir(exist_ok=True)
    part.rename(run / "parts" / part.name)
    study, _ = load_study(run / "study.yaml")
    assert run_study(study, run, lambda _: None).complete
    assert part.exists()
    assert len(read_observations(run)) == 24


def test_a_damaged_binding_is_an_error_and_not_a_cell_to_play_again(spread: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(spread, run)
    next((run / "cells").glob("*.json")).write_text("{")
    with pytest.raises(EvidenceError, match="restore it"):
        Settled(Location(str(run)), run)


def test_an_anomaly_outlives_its_worker_and_is_written_down_once(spread: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(spread, run)
    leave_event(Location(str(run)), "anomaly", {"kind": "canary", "model": "m", "detail": "d"})
    left = next((run / "events").glob("*.json"))
    study, _ = load_study(run / "study.yaml")
    copy = left.read_bytes()
    run_study(study, run, lambda _: None)
    left.write_bytes(copy)  # the driver died before it removed the file
    run_study(study, run, lambda _: None)
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert len([line for line in lines if line["event"] == "anomaly" and line["kind"] == "canary"]) == 1
    assert not left.exists()


def test_a_worker_that_finds_the_configuration_wrong_ends_the_run_with_its_line(tmp_path: Path) -> None:
    study, run = study_of(
        TWO.replace("tasks: [ops_horizon]", "tasks: [ops_horizon]\nsalt: missing.salt"), tmp_path
    )
    started = time.monotonic()
    with pytest.raises(ConfigError, match="missing"):
        run_study(study, run, lambda _: None, engine=Engine("processes", 1))
    assert time.monotonic() - started < 60


def test_what_crosses_between_processes_is_names_and_states() -> None:
    played = Played("m/c", True, (LogFact("a.eval", "t", "id", "success"),), 0, "", 1.5, "ab")
    assert Played.from_json(played.as_json()) == played


def test_a_location_reads_writes_lists_and_moves_on_a_file_system_without_folders() -> None:
    place = Location("memory://engine-test")
    place.write("a/b.json", b"1")
    place.move("a/b.json", "c/b.json")
    assert place.names("a") == [] and place.names("c") == ["b.json"]
    assert place.read("c/b.json") == b"1" and place.exists("c/b.json")
    place.write("c/a.json", b"2")
    assert place.read_all("c") == {"a.json": b"2", "b.json": b"1"} and place.read_all("nothing") == {}
    place.remove("c/a.json")
    place.remove("c/b.json")
    place.remove("c/b.json")
    assert not place.exists("c/b.json")
    with pytest.raises(ConfigError, match="cannot be opened"):
        Location("nowhere://x").names("a")
