"""Runs are resumable, count every sample once, and never turn a fault into a low score."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dangercurve._errors import ConfigError, EvidenceError
from dangercurve.evals.coverage import coverage
from dangercurve.evals.engines.location import Location
from dangercurve.evals.ingest import find_logs, ingest_logs
from dangercurve.evals.run import locked, open_run, run_study
from dangercurve.evals.store import read_observations, store_digest
from dangercurve.evals.study import cells_of, load_study

Write = Callable[[str], Path]
SMALL = """
name: small
models: [bot/oracle, {model: bot/crash, n: 2}]
tasks: [ops_horizon]
levels: [0, 1]
interfaces: [text]
epochs: 2
n: 3
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    path = folder / "study.yaml"
    path.write_text(SMALL)
    study, _ = load_study(path)
    run = folder / "run"
    open_run(path, run, study)
    done = run_study(study, run, lambda _: None)
    assert done.complete
    return run


def test_every_sample_and_epoch_of_a_study_is_one_observation(finished: Path) -> None:
    frame = read_observations(finished)
    counts = frame.groupby("model").size().to_dict()
    assert counts == {"bot/oracle": 2 * 3 * 2, "bot/crash": 2 * 2 * 2}
    assert not frame.duplicated(["eval_task_id", "sample_id", "epoch"]).any()
    assert frame["simulated"].all()


def test_a_crash_is_an_infra_error_and_never_a_score(finished: Path) -> None:
    crashed = read_observations(finished).query("model == 'bot/crash'")
    assert set(crashed["status"]) == {"infra_error"}
    assert crashed["success"].isna().all()
    assert crashed["outcome"].isna().all()


def test_ingesting_twice_changes_nothing(finished: Path) -> None:
    before = store_digest(finished)
    again = ingest_logs(find_logs([finished / "logs"]), finished, "small")
    assert again.rows == 0
    assert len(again.known) == 2
    assert store_digest(finished) == before


def test_two_stores_merge_by_copying_files(finished: Path, tmp_path: Path) -> None:
    for part in (finished / "store").glob("*.parquet"):
        (tmp_path / "store").mkdir(exist_ok=True)
        shutil.copy(part, tmp_path / "store" / part.name)
    assert len(read_observations(tmp_path)) == len(read_observations(finished))


def test_the_same_study_again_runs_nothing(finished: Path) -> None:
    study, _ = load_study(finished / "study.yaml")
    logs = sorted(p.name for p in find_logs([finished / "logs"]))
    run_study(study, finished, lambda _: None)
    assert sorted(p.name for p in find_logs([finished / "logs"])) == logs
    assert all(row["log"] == "current" for row in coverage(study, Location(str(finished))))


def test_a_damaged_log_is_refused_with_a_reason_and_the_others_are_read(
    finished: Path, tmp_path: Path
) -> None:
    logs = find_logs([finished / "logs"])
    good, bad = tmp_path / "logs" / logs[0].name, tmp_path / "logs" / "damaged.eval"
    good.parent.mkdir()
    shutil.copy(logs[0], good)
    bad.write_bytes(logs[1].read_bytes()[:2000])
    done = ingest_logs(find_logs([tmp_path / "logs"]), tmp_path)
    assert len(done.written) == 1
    assert [name for name, _ in done.refused] == ["damaged.eval"]


def test_a_damaged_store_part_is_named(finished: Path, tmp_path: Path) -> None:
    part = next((finished / "store").glob("*.parquet"))
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / part.name).write_bytes(part.read_bytes()[:-50])
    with pytest.raises(EvidenceError, match="cannot be read"):
        read_observations(tmp_path)


def test_a_run_folder_of_another_study_is_refused(finished: Path, study_file: Write) -> None:
    path = study_file(SMALL.replace("n: 3", "n: 4"))
    study, _ = load_study(path)
    with pytest.raises(ConfigError, match="another version"):
        open_run(path, finished, study)


def test_a_run_folder_has_one_driver(finished: Path) -> None:
    with locked(finished), pytest.raises(ConfigError, match="another process"), locked(finished):
        pass


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("tasks: [ops_horizon]", "tasks: [ops_horizn]"), "did you mean 'ops_horizon'"),
        (("levels: [0, 1]", "level: [0, 1]"), "did you mean 'levels'"),
        (("levels: [0, 1]", "levels: [-1]"), "greater than or equal to 0"),
        (("n: 3", "n: 0"), "greater than or equal to 1"),
        (("n: 3", "n: three"), "valid integer"),
        (("interfaces: [text]", "interfaces: [texts]"), "did you mean 'text'"),
        (("epochs: 2", "twins: [surfaces]"), "did you mean 'surface'"),
        (("epochs: 2", "arms: {cue: [evil]}"), "did you mean 'eval'"),
        (("bot/oracle", "bot/oracel"), "did you mean 'oracle'"),
        (("bot/oracle", "nowhere/model"), "cannot be used"),
        (("bot/oracle", "sim/smoth@21"), "did you mean 'smooth'"),
        (("models: [bot/oracle, {model: bot/crash, n: 2}]", "models: []"), "at least 1"),
    ],
)
def test_a_typo_in_a_study_is_one_clear_line(
    study_file: Write, tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    assert change[0] in SMALL
    path = study_file(SMALL.replace(*change))
    with pytest.raises(ConfigError) as caught:
        study, _ = load_study(path)
        run_study(study, tmp_path, lambda _: None)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_refused(study_file: Write, tmp_path: Path) -> None:
    path = study_file(SMALL)
    study, _ = load_study(path)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigError, match=r"cannot write|is a file"):
        open_run(path, blocked / "run", study)


def test_a_study_limit_stops_within_a_cell_and_the_rest_is_missing_evidence(
    study_file: Write, tmp_path: Path
) -> None:
    path = study_file(SMALL.replace("n: 3", "n: 3\nlimits: {tokens: 10}"))
    study, _ = load_study(path)
    run = tmp_path / "run"
    open_run(path, run, study)
    done = run_study(study, run, lambda _: None)
    assert not done.complete
    assert "tokens" in done.stopped_by
    assert [row["log"] for row in coverage(study, Location(str(run)))] == ["cancelled", "missing"]
    assert "scored" not in set(read_observations(run)["status"])
    assert "tokens" in run_study(study, run, lambda _: None).stopped_by, "what was spent stays spent"


def test_cells_of_a_study_are_stable_and_distinct(study_file: Write) -> None:
    study, _ = load_study(study_file(SMALL))
    cells = cells_of(study)
    assert cells == cells_of(study)
    assert len({(c.group(), c.task, c.interface) for c in cells}) == len(cells)


KILLED = """
name: killed
models: [sim/smooth@24]
tasks: [ops_horizon]
levels: [3, 4]
interfaces: [text]
n: 60
"""


def test_kill_minus_nine_then_the_same_command_loses_and_doubles_nothing(
    study_file: Write, tmp_path: Path
) -> None:
    path, run = study_file(KILLED), tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "dangercurve.evals.cli",
        "run",
        str(path),
        "--run",
        str(run),
        "--format",
        "json",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as driver:
        deadline = time.monotonic() + 120
        while (
            not list((run / "logs").glob("*/*.eval"))
            and driver.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        time.sleep(1.0)
        assert driver.poll() is None, "the run ended before it could be killed"
        os.killpg(driver.pid, signal.SIGKILL)
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stderr
    frame = read_observations(run)
    assert len(frame) == 2 * 60
    assert not frame.duplicated(["sample_id", "epoch"]).any()
    assert set(frame["status"]) == {"scored"}
    undisturbed, _ = load_study(path)
    other = tmp_path / "other"
    open_run(path, other, undisturbed)
    run_study(undisturbed, other, lambda _: None)
    columns = ["sample_id", "success", "outcome", "journal_head"]
    expected = read_observations(other)[columns].sort_values("sample_id", ignore_index=True)
    assert frame[columns].sort_values("sample_id", ignore_index=True).equals(expected)
