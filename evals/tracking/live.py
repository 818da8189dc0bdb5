"""A run as it is at this moment: its progress, its live flags, its logs; read only, never written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from dangercurve._text import printable
from dangercurve.evals.progress.anomalies import Anomaly, read_anomalies
from dangercurve.evals.progress.progress import Snapshot, read_progress
from dangercurve.scorers.results import results_in, status_in

MAX_LOGS = 4000
MAX_BYTES = 500_000_000
V = TypeVar("V")


@dataclass(frozen=True)
class Live:
    """One run folder now. `state`: running, finished, stopped, unfinished, interrupted (its process is gone), or unknown."""

    label: str
    root: Path
    state: str
    snapshot: Snapshot | None
    flags: tuple[Anomaly, ...]
    problems: tuple[str, ...]

    @property
    def going(self) -> bool:
        return self.state == "running"

    @property
    def token(self) -> str:
        """What stands for this folder in an address: a digest, never a path."""
        return token_of(self.root)


@dataclass(frozen=True)
class LogFile:
    """One Inspect log: where it lies under `logs/`, and whose it is."""

    name: str
    model: str
    task: str
    interface: str
    status: str
    path: Path

    @property
    def token(self) -> str:
        return token_of(self.path)


@dataclass(frozen=True)
class SampleRow:
    """One sample of a log, for a list."""

    sample: str
    epoch: int
    status: str
    success: float | None
    level: int | None


def token_of(path: Path) -> str:
    """Twelve hex digits of the absolute path's SHA-256."""
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]


def read_live(label: str, root: Path) -> Live:
    """The state of a run folder from `progress.json` and the flags in `events.jsonl`."""
    snapshot = read_progress(root)
    problems: list[str] = []
    state = "unknown"
    if snapshot is not None:
        state = snapshot.state
        if state == "running" and not alive(snapshot.pid):
            state = "interrupted"
    elif (root / "progress.json").exists():
        problems.append("progress.json cannot be read: no live numbers of this run")
    flags, damaged = _anomalies(root)
    return Live(label, root, state, snapshot, tuple(flags), (*problems, *damaged))


def alive(pid: int) -> bool:
    """Whether a process of that id lives on this machine."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def logs_of(root: Path) -> list[LogFile]:
    """The Inspect logs of a run folder, by name. A log whose header cannot be read yet is left out."""
    folder = root / "logs"
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.rglob("*.eval"))[:MAX_LOGS]:
        made = _fresh(path, _header)
        if made is not None:
            model, task, interface, status = made
            found.append(LogFile(path.relative_to(folder).as_posix(), model, task, interface, status, path))
    return found


def samples_of(log: LogFile) -> list[SampleRow]:
    """The samples that a log holds so far, in its order."""
    return list(_fresh(log.path, _samples) or ())


def viewer_link(port: int, log: LogFile, sample: str, epoch: int) -> str:
    """Where Inspect's viewer, started on the run's `logs/` at that port, shows one sample."""
    name = "/".join(quote(part, safe="") for part in log.name.split("/"))
    return f"http://127.0.0.1:{port}/#/logs/{name}/samples/sample/{quote(sample, safe='')}/{int(epoch)}"


def viewer_command(root: Path, port: int) -> str:
    """The command that starts Inspect's viewer for a run."""
    return f"inspect view --log-dir {printable(root / 'logs', 300)} --port {port}"


def _fresh(path: Path, make: Callable[[str, Hashable], V]) -> V | None:
    """`make` of a file, remembered while the file is unchanged; None where it cannot be read."""
    try:
        stat = path.stat()
    except OSError:
        return None
    if stat.st_size > MAX_BYTES:
        return None
    return make(str(path), (stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=MAX_LOGS)
def _header(path: str, stamp: Hashable) -> tuple[str, str, str, str] | None:
    from inspect_ai.log import read_eval_log

    try:
        log = read_eval_log(path, header_only=True)
    except Exception:  # a log that is being written: Inspect raises whatever its zip reader met
        return None
    interface = str(log.eval.task_args.get("interface", ""))
    return log.eval.model, log.eval.task.split("/")[-1], interface, log.status


@lru_cache(maxsize=16)
def _samples(path: str, stamp: Hashable) -> tuple[SampleRow, ...]:
    from inspect_ai.log import read_eval_log_sample_summaries

    try:
        summaries = read_eval_log_sample_summaries(path)
    except Exception:  # as above
        return ()
    rows = []
    for s in summaries:
        scores = s.scores or {}
        running = "status" not in scores and not s.error
        status = "running" if running else "infra_error" if s.error else status_in(scores) or "infra_error"
        value, _ = results_in(scores)
        level = (s.metadata or {}).get("level")
        known = isinstance(value, (int, float)) and status == "scored"
        rows.append(
            SampleRow(
                str(s.id),
                s.epoch,
                status,
                float(value) if known and isinstance(value, (int, float)) else None,
                level if isinstance(level, int) else None,
            )
        )
    return tuple(rows)


def _anomalies(root: Path) -> tuple[list[Anomaly], list[str]]:
    try:
        return read_anomalies(root)
    except OSError as exc:
        return [], [f"events.jsonl cannot be read: {exc.strerror or exc}"]
