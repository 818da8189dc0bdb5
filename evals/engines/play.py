"""Playing one job: cells of a study as an Inspect eval set, in this process. Every engine ends here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from inspect_ai import Epochs, Task, eval_set
from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log
from inspect_ai.model import Model, get_model

from dangercurve import _registry
from dangercurve._errors import ConfigError
from dangercurve._files import WRITE_ERRORS
from dangercurve._text import printable
from dangercurve.evals.engines.collector import quiet_collector, quiet_trace
from dangercurve.evals.engines.location import Location
from dangercurve.evals.engines.scheduler import (
    LOCAL_PROVIDERS,
    OWN_CONNECTIONS,
    OWN_PROVIDERS,
    LogFact,
    Played,
)
from dangercurve.evals.progress.anomalies import Anomaly, watching
from dangercurve.evals.study import Batch, Cell, Study
from dangercurve.tasks.kernel import watch

if TYPE_CHECKING:
    from dangercurve.evals.engines.budget_meter import Meter
    from dangercurve.evals.engines.early_stop import StopRule

UNWRITABLE = tuple(os.strerror(code) for code in WRITE_ERRORS)
RETRIES = 2
CONNECTION_RETRIES = 5


def play(
    study: Study,
    name: str,
    cells: Sequence[Cell],
    log_dir: str,
    *,
    model: Model | None = None,
    connections: int | None = None,
    meter: Meter | None = None,
    flag: Callable[[Anomaly], None] = lambda _: None,
    already: Mapping[watch.Cell, str] | None = None,
    also: Callable[[watch.Seen], None] | None = None,
    rules: Sequence[tuple[StopRule, ...]] = (),
    again: bool = False,
) -> Played:
    """Play `cells`, which share a model and its settings, with their logs in `log_dir` (a path or a URL).

    Goes on from the logs that lie there. `connections` bounds the calls in flight to the model, `meter` what they use;
    `flag` is told of anomalies, `already` are the cells that one stopped, `also` is told of every episode, `rules` say for
    each cell when it may stop early. With `again`, crashed samples of finished logs are played again. Raises
    ConfigError for a model that cannot be had and for a place that cannot be written.
    """
    marked, left_alone = 0, list[str]()
    if again:
        from dangercurve.evals.engines.crashed import mark_crashed

        marked, left_alone = mark_crashed(
            log_dir, newest_logs(log_dir) if Location(log_dir).names("") else []
        )
    first = cells[0]
    own = first.model.startswith(OWN_PROVIDERS)
    opened = model or open_model(first)
    started = time.monotonic()
    returned: list[EvalLog] = []
    if meter is not None:
        from dangercurve.evals.engines.budget_meter import metered, tell_prices

        tell_prices(study)
        meter.priced = study.limits.usd is not None
    with (
        quiet_collector(),
        quiet_trace(all(name.startswith(OWN_PROVIDERS) for name in (first.model, *study.roles.values()))),
        watching(study.anomalies, flag, already or {}, also),
        metered(meter) if meter is not None else nullcontext(),
    ):
        _, returned = eval_set(
            tasks=[task_of(cell, study.salt, *rules[i : i + 1]) for i, cell in enumerate(cells)],
            model=opened,
            model_roles=cast(Any, dict(study.roles)) or None,
            log_dir=log_dir,
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
            **generate_config(study, first, opened, connections),
        )
    logs = returned or newest_logs(log_dir)  # none is returned where a cap interrupted it
    require_disk(log_dir, logs)
    return Played(
        job=name,
        finished=len(logs) == len(cells) and all(log.status == "success" for log in logs),
        logs=tuple(fact_of(log) for log in logs),
        failed=sum(map(failed_in, logs)),
        stopped_by=meter.stopped_by if meter is not None else "",
        seconds=time.monotonic() - started,
        played_again=marked,
        left_alone=tuple(left_alone),
    )


def generate_config(study: Study, cell: Cell, model: Model, connections: int | None) -> dict[str, Any]:
    """Inspect's generation settings of a cell; `connections` is this job's share of the model's connections."""
    config: dict[str, Any] = cell.sampling.model_dump(exclude_none=True)
    own = cell.model.startswith(OWN_PROVIDERS)
    if cell.effort is not None:
        config["reasoning_effort"] = cell.effort
    if study.batch:
        config["batch"] = study.batch.config() if isinstance(study.batch, Batch) else True
    elif not own:
        # A reply that drips a byte at a time for ever trips no read time-out.
        config["attempt_timeout"] = study.limits.call_s
    if connections is not None:
        config["max_connections"] = connections
    elif own:
        config["max_connections"] = OWN_CONNECTIONS
    elif cell.model.startswith(LOCAL_PROVIDERS):
        # One conversation a slot of the server: prefixes stay cached and the order of requests is always the same.
        config["max_connections"] = config["max_samples"] = model.api.max_connections()
    return config


def task_of(cell: Cell, salt: str, rules: tuple[StopRule, ...] = ()) -> Task:
    """The Inspect task of a cell, which `rules` may stop early. Raises ConfigError where there is no such task."""
    make = getattr(_registry, cell.task, None)
    if make is None:
        raise ConfigError(f"task {cell.task} is not in the registry of this installation")
    task = make(**cell.task_args(salt))
    assert isinstance(task, Task)
    if rules:
        from dangercurve.evals.engines.early_stop import EProcessStopper

        task.early_stopping = EProcessStopper(rules)
    return task


def open_model(cell: Cell) -> Model:
    """The model of a cell. Raises ConfigError for one that cannot be had."""
    try:
        return get_model(cell.model, **cast(Any, dict(cell.model_args)))
    except ConfigError:
        raise
    except Exception as exc:  # a provider may raise anything: no key, no package, no such name
        raise ConfigError(f"model {printable(cell.model, 80)} cannot be used: {printable(exc, 240)}") from exc


def newest_logs(log_dir: str) -> list[EvalLog]:
    """Headers of the logs in a folder, the newest of each task id."""
    newest: dict[str, EvalLog] = {}
    for info in sorted(list_eval_logs(log_dir, recursive=False), key=lambda i: i.name):
        log = read_eval_log(info, header_only=True)
        newest[log.eval.task_id] = log
    return list(newest.values())


def fact_of(log: EvalLog) -> LogFact:
    reason = printable(log.error.message, 200) if log.error else ""
    return LogFact(Path(log.location).name, log.eval.task, log.eval.task_id, log.status, reason)


def failed_in(log: EvalLog) -> int:
    """Samples of a log that did not complete."""
    if log.results is None:
        return 0
    return max(0, log.results.total_samples - log.results.completed_samples)


def require_disk(place: str, logs: Sequence[EvalLog]) -> None:
    """Raise ConfigError where a log could not be written: to go on would record crashes that are none of the model's."""
    for log in logs:
        said = log.error.message if log.status != "success" and log.error else ""
        found = next((text for text in UNWRITABLE if text in said), None)
        if found:
            raise ConfigError(
                f"{place} cannot be written: {found}; mend that and give the same command again, it goes on from there"
            )
