"""A disk that is full, a file that may not grow: one line, nothing that would be believed, and the same command goes on."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dangercurve._errors import ConfigError
from dangercurve._files import WRITE_ERRORS, atomic_path, write_atomic
from dangercurve.evals.cli import _say
from dangercurve.evals.run import open_run, run_study
from dangercurve.evals.store import read_observations
from dangercurve.evals.study import load_study

STUDY = """
name: full
models: [bot/oracle]
tasks: [ops_horizon]
levels: [3]
interfaces: [text]
n: 60
"""


@pytest.mark.parametrize("code", WRITE_ERRORS)
def test_a_file_that_cannot_be_written_keeps_its_old_content_and_is_named(tmp_path: Path, code: int) -> None:
    path = write_atomic(tmp_path / "kept.json", "old")
    with (
        pytest.raises(ConfigError, match=rf"cannot write .*kept\.json: {os.strerror(code)}"),
        atomic_path(path),
    ):
        raise OSError(code, os.strerror(code))
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["kept.json"]


def test_other_errors_are_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="timed out"), atomic_path(tmp_path / "x"):
        raise OSError(errno.ETIMEDOUT, "timed out")


def test_a_full_disk_is_one_line_and_no_internal_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert _say(OSError(errno.ENOSPC, "No space left on device", "events.jsonl")) == 2
    assert capsys.readouterr().err == (
        "error: cannot write events.jsonl: No space left on device; make room or choose another folder\n"
    )
    assert _say(OSError(errno.ETIMEDOUT, "timed out")) == 70


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system can only be mounted by root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_stops_the_run_and_the_same_command_goes_on(
    study_file: Callable[[str], Path], small_disk: Path
) -> None:
    path, run = study_file(STUDY), small_disk / "run"
    study, _ = load_study(path)
    open_run(path, run, study)
    with pytest.raises(ConfigError, match="cannot be written: No space left on device"):
        run_study(study, run, lambda _: None)
    assert not list((run / "store").glob("*"))
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert run_study(study, run, lambda _: None).complete
    frame = read_observations(run)
    assert len(frame) == 60 and set(frame["status"]) == {"scored"}
    assert not frame.duplicated(["sample_id", "epoch"]).any()
