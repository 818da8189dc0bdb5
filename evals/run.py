"""A study becomes Inspect eval sets, one a model and its settings; the same command again goes on where it stopped.

Inspect logs every finished sample; a killed run is picked up from its logs by the same eval set. Tasks run by registry
name, so that an eval set recognises them. What is done and what is left is told by events (`events.jsonl` and a
callback), never by parsing output.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import gc
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from inspect_ai import Epochs, Task, eval_set
from inspect_ai.log import EvalLog
from inspect_ai.model import Model, get_model

from dangercurve import _registry
from dangercurve._errors import ConfigError
from dangercurve._files import WRITE_ERRORS, sha256_file, write_atomic
from dangercurve._text import printable
from dangercurve.evals.anomalies import Anomaly, read_anomalies, stopped_cells, watching
from dangercurve.evals.ingest import Ingested, find_logs, ingest_logs
from dangercurve.evals.study import Cell, Study, cells_of, group_slug

Tell = Callable[[str], None]
OWN_PROVIDERS = ("bot/", "sim/")
LOCAL_PROVIDERS = ("local/", "ladder/")
UNWRITABLE = tuple(os.strerror(code) for code in WRITE_ERRORS)
RETRIES = 2
CONNECTION_RETRIES = 5


@dataclass
class Ran:
    """What a run did. `complete` means that every cell has a finished log."""

    complete: bool = True
    samples: int = 0
    cells: int = 0
    stopped_by: str = ""
    problems: list[str] = field(default_factory=list)
    ingested: Ingested = field(default_factory=Ingested)


def open_run(study_file: Path, run: Path, study: Study) -> None:
    """Prepare the run folder. A folder that belongs to another study is refused, not mixed."""
    held = run / "study.yaml"
    if held.exists() and sha256_file(held) != sha256_file(study_file):
        raise ConfigError(
            f"{run} holds the run of another version of study '{study.name}'; give --run another folder or restore it"
        )
    if run.exists() and not run.is_dir():
        raise ConfigError(f"{run} is a file; give --run a folder")
    if not held.exists():
        write_atomic(held, study_file.read_bytes())
    if not os.access(run, os.W_OK):
        raise ConfigError(f"cannot write {run}; choose a folder that you may write to")


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """One driver a run folder; the lock ends with the process, however it ends."""
    with (run / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"{run} is being run by another process; wait for it or choose another folder"
            ) from None
        yield


def run_study(study: Study, run: Path, tell: Tell) -> Ran:
    """Run every cell of a study and ingest its logs. Raises ConfigError for a model that cannot be had."""
    groups = [list(cells) for _, cells in itertools.groupby(cells_of(study), key=Cell.group)]
    models = [_open_model(cells[0]) for cells in groups]
    if any(cell.interface == "shell" for cells in groups for cell in cells):
        from dangercurve.evals.isolation import require_isolation

        require_isolation(None if study.salt == "dev" else Path(study.salt))
    started, done = time.monotonic(), Ran()
    total = sum(c.samples() for cells in groups for c in cells)
    with quiet_collector():
        for cells, model in zip(groups, models, strict=True):
            done.stopped_by = _spent(study, run, started)
            if done.stopped_by:
                done.complete = False
                tell(f"stopped: {done.stopped_by}; the cells that are left count as missing evidence")
                event(run, "stopped", reason=done.stopped_by)
                break
            with watching(study.anomalies, partial(_flag, run, tell), stopped_cells(read_anomalies(run)[0])):
                _run_group(study, run, cells, model, done, tell)
            left = total - done.samples
            tell(f"  {done.samples} of {total} samples done, {left} left, {time.monotonic() - started:.0f} s")
    done.ingested = ingest_run(run, study)
    done.problems += [f"{name}: {why}" for name, why in done.ingested.refused]
    return done


def _flag(run: Path, tell: Tell, found: Anomaly) -> None:
    """Write an anomaly down as it is seen, and say so."""
    event(run, "anomaly", **found.as_event())
    cell = found.cell
    did = "no verdict from this cell" if found.action == "stop" else "marked"
    tell(
        f"  anomaly in {printable(cell.model, 80)} x {cell.family} ({cell.interface}): {found.detail}: {did}"
    )


def ingest_run(run: Path, study: Study) -> Ingested:
    """Ingest all logs of a run folder."""
    return ingest_logs(find_logs([run / "logs"]), run, study.name, aliases_of(study))


def aliases_of(study: Study) -> dict[str, str]:
    """Names under which a study's models may answer: those that the study lists, and the aliases on their records."""
    listed = {name: model for model, names in study.answering_models.items() for name in names}
    real = [entry.model for entry in study.models if not entry.model.startswith(OWN_PROVIDERS)]
    if not real:
        return listed
    from dangercurve.evals.models import find, load_registry

    registry = load_registry()
    records = {model: find(registry, model) for model in real}
    return listed | {
        name: model
        for model, record in records.items()
        if record is not None
        for alias in (record.model, *record.aliases)
        for name in (alias, alias.split("/", 1)[-1])
    }


def _run_group(study: Study, run: Path, cells: list[Cell], model: Model, done: Ran, tell: Tell) -> None:
    first = cells[0]
    count = sum(c.samples() for c in cells)
    tell(f"{first.model}: {len(cells)} task{'s' if len(cells) > 1 else ''}, {count} samples")
    event(run, "group_started", model=first.model, samples=count)
    started = time.monotonic()
    own = first.model.startswith(OWN_PROVIDERS)
    config: dict[str, Any] = first.sampling.model_dump(exclude_none=True)
    if first.effort is not None:
        config["reasoning_effort"] = first.effort
    if study.batch:
        config["batch"] = True
    elif not own:
        # A reply that drips a byte at a time for ever trips no read time-out.
        config["attempt_timeout"] = study.limits.call_s
    if first.max_connections is not None:
        config["max_connections"] = first.max_connections
    elif own:
        config["max_connections"] = 20
    elif first.model.startswith(LOCAL_PROVIDERS):
        # One conversation a slot of the server: prefixes stay cached and the order of requests is always the same.
        config["max_connections"] = config["max_samples"] = model.api.max_connections()
    finished, logs = eval_set(
        tasks=[_task(cell, study.salt) for cell in cells],
        model=model,
        model_roles=cast(Any, dict(study.roles)) or None,
        log_dir=str(run / "logs" / group_slug(first)),
        epochs=Epochs(first.epochs),
        retry_attempts=RETRIES,
        retry_wait=1.0,
        retry_on_error=0 if own else RETRIES,
        fail_on_error=False,
        continue_on_fail=True,
        token_limit=f"output:{study.limits.output_tokens}" if study.limits.output_tokens else None,
        max_tasks=1 if own or first.model.startswith(LOCAL_PROVIDERS) else None,
        max_retries=CONNECTION_RETRIES,
        display="none",
        score_display=False,
        log_realtime=False,
        log_format="eval",
        ctl_server=False,
        log_level="error",
        **config,
    )
    seconds = time.monotonic() - started
    _require_disk(run, logs)
    done.samples += count
    done.cells += len(cells)
    done.complete &= finished
    failed = sum(_failed(log) for log in logs)
    if failed:
        tell(f"  {failed} of {count} samples crashed: recorded as infra_error, never as a low score")
    for log in logs:
        if log.status != "success":
            reason = printable(log.error.message if log.error else log.status, 200)
            done.problems.append(f"{first.model} x {log.eval.task}: {reason}")
    event(run, "group_finished", model=first.model, samples=count, failed=failed, seconds=round(seconds, 2))


def _require_disk(run: Path, logs: list[EvalLog]) -> None:
    """Raise ConfigError where a log could not be written: to go on would record crashes that are none of the model's."""
    for log in logs:
        said = log.error.message if log.status != "success" and log.error else ""
        found = next((text for text in UNWRITABLE if text in said), None)
        if found:
            raise ConfigError(
                f"{run} cannot be written: {found}; mend that and give the same command again, it goes on from there"
            )


def _failed(log: EvalLog) -> int:
    if log.results is None:
        return 0
    return max(0, log.results.total_samples - log.results.completed_samples)


def _task(cell: Cell, salt: str) -> Task:
    make = getattr(_registry, cell.task, None)
    if make is None:
        raise ConfigError(f"task {cell.task} is not in the registry of this installation")
    task = make(**cell.task_args(salt))
    assert isinstance(task, Task)
    return task


def _open_model(cell: Cell) -> Model:
    try:
        return get_model(cell.model, **cast(Any, dict(cell.model_args)))
    except ConfigError:
        raise
    except Exception as exc:  # a provider may raise anything: no key, no package, no such name
        raise ConfigError(f"model {printable(cell.model, 80)} cannot be used: {printable(exc, 240)}") from exc


def _spent(study: Study, run: Path, started: float) -> str:
    """Which limit of the study is reached, from the logs so far; empty where none is."""
    limits = study.limits
    if limits.wall_s is not None and time.monotonic() - started >= limits.wall_s:
        return f"wall time {limits.wall_s:g} s is spent"
    if limits.tokens is None and limits.usd is None:
        return ""
    ingest_run(run, study)
    if not any((run / "store").glob("*.parquet")):
        return ""
    from dangercurve.evals.store import read_observations

    frame = read_observations(run)
    tokens = int(frame["input_tokens"].fillna(0).sum() + frame["output_tokens"].fillna(0).sum())
    if limits.tokens is not None and tokens >= limits.tokens:
        return f"{tokens} tokens of {limits.tokens} are spent"
    usd = float(frame["usd"].fillna(0.0).sum())
    if limits.usd is not None and usd >= limits.usd:
        return f"{usd:.2f} USD of {limits.usd:.2f} are spent"
    return ""


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Fewer runs of the cyclic garbage collector: 43 % of the harness cost of cheap samples by default."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def event(run: Path, kind: str, /, **data: object) -> None:
    """Append one line to the run's event file."""
    line = json.dumps(
        {"time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"), "event": kind, **data}
    )
    with (run / "events.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")


def coverage(study: Study, run: Path) -> list[Mapping[str, object]]:
    """Which task x model cells have a finished log, which are missing, which were never started (`run --check`)."""
    from inspect_ai.log import read_eval_log

    logs = [
        read_eval_log(str(path), header_only=True)
        for path in (find_logs([run / "logs"]) if (run / "logs").is_dir() else [])
    ]
    rows: list[Mapping[str, object]] = []
    for cell in cells_of(study):
        wanted = cell.task_args(study.salt)
        status = next((log.status for log in logs if _is_log_of(log, cell, wanted)), None)
        state = "missing" if status is None else "current" if status == "success" else status
        rows.append(
            {
                "model": cell.model,
                "task": cell.task,
                "interface": cell.interface,
                "kappa": cell.kappa,
                "samples": cell.samples(),
                "log": state,
            }
        )
    return rows


def _is_log_of(log: EvalLog, cell: Cell, wanted: Mapping[str, object]) -> bool:
    held = log.eval.task_args
    return (
        log.eval.model == cell.model
        and log.eval.task.split("/")[-1] == cell.task
        and all(str(held.get(k)) == str(v) for k, v in wanted.items())
    )
