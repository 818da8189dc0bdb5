"""The coverage matrix of a run: for each task x model x arm, whether its log exists, is current, and holds its samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Literal

from inspect_ai.log import (
    EvalLog,
    EvalSampleSummary,
    list_eval_logs,
    read_eval_log,
    read_eval_log_sample_summaries,
)

from dangercurve._text import printable
from dangercurve.evals.engines.location import Location
from dangercurve.evals.study import Cell, Study, cells_of

State = Literal["current", "stale", "error", "cancelled", "started", "missing"]
ORDER: tuple[State, ...] = ("current", "started", "cancelled", "error", "stale")
"""Which log of a cell speaks for it: the best one. `stale`: of another version of the task, or of other epochs."""


def coverage(study: Study, place: Location) -> list[Mapping[str, object]]:
    """One row a cell and combination of its arms: the state of its log, samples wanted and logged without an error.

    A log that is `current` and short of samples says so in numbers; one that an e-process stopped is `current` with
    `stopped_early`. Raises nothing for logs that cannot be read: what they were to cover is missing.
    """
    logs = list(_headers(place))
    rows: list[Mapping[str, object]] = []
    for cell in cells_of(study):
        state, log = state_of(cell, study, logs)
        summaries = _summaries(log) if log is not None else []
        stopped = log is not None and log.results is not None and log.results.early_stopping is not None
        combinations = list(product(*([(name, v) for v in values] for name, values in cell.arms)))
        for arms in combinations:
            logged = sum(
                s.completed and not s.error and all(str(s.metadata.get(f"arm_{k}")) == v for k, v in arms)
                for s in summaries
            )
            rows.append(
                {
                    "model": cell.model,
                    "task": cell.task,
                    "interface": cell.interface,
                    "kappa": cell.kappa,
                    **({"effort": cell.effort} if cell.effort else {}),
                    **({"start": cell.start} if study.shard else {}),
                    "arms": ", ".join(f"{k}={v}" for k, v in arms) or "none",
                    "samples": cell.samples() // len(combinations),
                    "logged": logged,
                    "log": state,
                    **({"stopped_early": True} if stopped else {}),
                }
            )
    return rows


def state_of(cell: Cell, study: Study, logs: list[EvalLog]) -> tuple[State, EvalLog | None]:
    """The state of a cell, and the log that speaks for it."""
    found: dict[State, EvalLog] = {}
    for log in logs:
        if is_log_of(log, cell, study.salt):
            found[_state(log, cell)] = log
    return next(((state, found[state]) for state in ORDER if state in found), ("missing", None))


def _state(log: EvalLog, cell: Cell) -> State:
    from dangercurve.tasks.kernel.family import get_family

    version = str(get_family(cell.task).version)
    if str(log.eval.task_version) != version or (log.eval.config.epochs or 1) != cell.epochs:
        return "stale"
    if log.status == "success":
        return "error" if log.invalidated else "current"
    return log.status


def is_log_of(log: EvalLog, cell: Cell, salt: str) -> bool:
    """Whether a log was made for that model under those task arguments and generation settings."""
    held, settings = log.eval.task_args, log.eval.model_generate_config
    return (
        log.eval.model == cell.model
        and log.eval.task.split("/")[-1].replace("-", "_") == cell.task
        and str(held.get("scaffold", "kernel")) == cell.scaffold
        and settings.reasoning_effort == cell.effort
        and all(getattr(settings, k) == v for k, v in cell.sampling.model_dump(exclude_none=True).items())
        and all(str(held.get(k)) == str(v) for k, v in cell.task_args(salt).items())
    )


def _headers(place: Location) -> Iterator[EvalLog]:
    if not place.names("logs"):
        return
    for info in list_eval_logs(place.at("logs"), recursive=True):
        try:
            yield read_eval_log(info, header_only=True)
        except Exception:  # noqa: S112 - a torn log of a killed run: what it was to cover is missing
            continue


def _summaries(log: EvalLog) -> list[EvalSampleSummary]:
    try:
        return read_eval_log_sample_summaries(log.location)
    except Exception as exc:  # the same log was read a moment ago
        raise OSError(f"{printable(log.location)} changed while it was read: {printable(exc, 80)}") from exc
