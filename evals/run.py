"""A study becomes Inspect eval sets, played by an engine; the same command again goes on where it stopped.

Inspect logs every finished sample; a killed run is picked up from its logs by the same eval set. Tasks run by registry
name, so that an eval set recognises them. What is done and what is left is told by events (`events.jsonl` and a
callback), never by parsing output. Every engine takes this way; what differs is the backend of the scheduler.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dangercurve._errors import ConfigError
from dangercurve._files import sha256_file, write_atomic
from dangercurve._text import printable
from dangercurve.evals.engines.budget import Purse, prices_of, require_prices
from dangercurve.evals.engines.location import Location
from dangercurve.evals.engines.owner import Ownership
from dangercurve.evals.engines.play import open_model, play
from dangercurve.evals.engines.purse import purse_at
from dangercurve.evals.engines.scheduler import ATTEMPTS, Backend, Died, Job, Played, Scheduler, jobs_of
from dangercurve.evals.engines.settle import Settled, deliver, given_up, read_event
from dangercurve.evals.engines.worker import Order, meter_of
from dangercurve.evals.ingest import Ingested, find_logs, ingest_logs
from dangercurve.evals.progress.anomalies import Anomaly, read_anomalies, stopped_cells
from dangercurve.evals.progress.progress import Progress, Snapshot
from dangercurve.evals.progress.resume import played as logged
from dangercurve.evals.progress.resume import seen_in_part
from dangercurve.evals.study import Study, cells_of

if TYPE_CHECKING:
    from dangercurve.evals.engines.early_stop import StopRule
    from dangercurve.evals.policy import LoadedPolicy

Tell = Callable[[str], None]
OWN_PROVIDERS = ("bot/", "sim/")


@dataclass(frozen=True)
class Engine:
    """Who plays the cells of a study, and where their logs lie.

    `local`: this process. `processes`: `workers` processes of this machine. `ray`: `workers` of a Ray cluster at
    `address`, or of one started on this machine. `location`: a URL that every worker reaches; the run folder by default.
    `again`: samples that crashed in finished logs are played again.
    """

    kind: Literal["local", "processes", "ray"] = "local"
    workers: int | None = None
    address: str | None = None
    location: str | None = None
    attempts: int = ATTEMPTS
    again: bool = False


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


def run_study(
    study: Study,
    run: Path,
    tell: Tell,
    show: Callable[[Snapshot], None] | None = None,
    engine: Engine | None = None,
    policy: LoadedPolicy | None = None,
) -> Ran:
    """Run every cell of a study and ingest its logs. `show` is given a snapshot of the progress now and then; `policy` may
    let cells stop early.

    Raises ConfigError for a model that cannot be had.
    """
    return _Run(study, run, tell, show, engine or Engine(), policy).go()


class _Run:
    """One command over one run folder."""

    def __init__(
        self,
        study: Study,
        run: Path,
        tell: Tell,
        show: Callable[[Snapshot], None] | None,
        engine: Engine,
        policy: LoadedPolicy | None,
    ) -> None:
        self.policy = policy
        self.study, self.run, self.tell, self.engine = study, run, tell, engine
        self.cells = cells_of(study)
        require_prices(study)
        self.progress = Progress(study, self.cells, run, show, prices=prices_of(study))
        self.place = Location(engine.location or str(run))
        self.owner = Ownership(self.place, run)
        self.started = time.monotonic()
        self.aliases = aliases_of(study)
        self.models = {cell.group(): cell for cell in reversed(self.cells)}
        self.opened = {group: open_model(cell) for group, cell in self.models.items()}
        if any(cell.interface == "shell" for cell in self.cells):
            from dangercurve.evals.isolation import require_isolation

            require_isolation(None if study.salt == "dev" else Path(study.salt))
        self.purse = purse_at(self.place, study.limits) if engine.kind != "ray" else None

    def go(self) -> Ran:
        done = Ran()
        self.owner.take()
        self._collect()
        settled = Settled(self.place, self.run)
        split = self.engine.kind != "local"
        jobs = jobs_of(self.cells, self.place.names, split)
        if self.engine.location and not all(job.split for job in jobs):
            raise ConfigError(f"{self.run} was begun without --location: go on with it without")
        total = sum(job.samples for job in jobs)
        left = []
        for job in jobs:
            held = settled.played(job) if settled.done(job) else None
            if held is None or (self.engine.again and held.failed):
                left.append(job)
            else:
                self._count(job, held, done, again=True)
        backend = self._backend() if left else None
        try:
            if backend is not None:
                scheduler = Scheduler(backend, self.engine.attempts, self._spent, self._started_job)
                for job, ended in scheduler.run(left):
                    self._end(job, ended, settled, done)
                    say = f"  {done.samples} of {total} samples done, {total - done.samples} left"
                    self.tell(f"{say}, {time.monotonic() - self.started:.0f} s")
                done.stopped_by = scheduler.stopped_by
        finally:
            if backend is not None:
                backend.close()
        if done.stopped_by:
            done.complete = False
            self.progress.snapshot("stopped", done.stopped_by)
            self.tell(f"stopped: {done.stopped_by}; the cells that are left count as missing evidence")
            event(self.run, "stopped", reason=done.stopped_by)
        done.ingested = (
            settled.ingested() if self.engine.location else ingest_run(self.run, self.study, settled)
        )
        done.problems += [f"{name}: {why}" for name, why in done.ingested.refused]
        if not done.stopped_by:
            self.progress.snapshot("finished" if done.complete else "unfinished", "all cells ended")
        return done

    def _backend(self) -> Backend:
        kind = self.engine.kind
        if kind == "processes":
            from dangercurve.evals.engines.processes import ProcessBackend

            return ProcessBackend(self.engine.workers or os.cpu_count() or 1, self._order, self.purse)
        if kind == "ray":
            from dangercurve.evals.engines.ray_cluster import RayBackend

            limits = self.study.limits
            capped = limits.tokens is not None or limits.usd is not None
            return RayBackend(
                self.engine.workers,
                self.engine.address,
                self._order,
                self._reached(),
                limits.model_dump_json() if capped else "",
            )
        return _ThisProcess(self._play_here)

    def _reached(self) -> str:
        """The location as another process finds it."""
        local = self.place.local
        return self.place.url if local is None else str(local.absolute())

    def _order(self, job: Job, connections: int | None) -> str:
        """What a worker is told of a job."""
        self._tell_start(job)
        stopped = stopped_cells(read_anomalies(self.run)[0])
        limits = self.study.limits
        return Order(
            study=self.study.model_dump_json(),
            job=job,
            location=self._reached(),
            connections=connections,
            aliases=self.aliases,
            stopped=tuple((c.model, c.family, c.interface, why) for c, why in stopped.items()),
            wall_s=self._wall_left(),
            counted=limits.tokens is not None or limits.usd is not None,
            rules=self._rules_text(job),
            again=self.engine.again,
        ).as_json()

    def _play_here(self, job: Job, connections: int | None) -> Played:
        self._tell_start(job)
        cells = [self.cells[index] for index in job.cells]
        played = play(
            self.study,
            job.name,
            cells,
            str(self.run / "logs" / job.name),
            model=self.opened[cells[0].group()],
            connections=connections,
            meter=meter_of(self._wall_left(), self.purse.take if self.purse else None),
            flag=partial(_flag, self.run, self.tell, self.progress),
            already=stopped_cells(read_anomalies(self.run)[0]),
            also=self.progress.saw,
            rules=self._rules(job),
            again=self.engine.again,
        )
        return deliver(self.place, played, self.study.name, self.aliases) if job.split else played

    def _rules(self, job: Job) -> list[tuple[StopRule, ...]]:
        """When each cell of a job may stop early."""
        if self.policy is None or not any(claim.test.early_stop for claim in self.policy.policy.claims):
            return []
        from dangercurve.evals.engines.early_stop import rules_for

        return [rules_for(self.cells[index], self.policy) for index in job.cells]

    def _rules_text(self, job: Job) -> str:
        rules = self._rules(job)
        if not rules:
            return ""
        from dangercurve.evals.engines.early_stop import rules_json

        return rules_json(rules[0])

    def _tell_start(self, job: Job) -> None:
        many = f"{len(job.cells)} task{'s' if len(job.cells) > 1 else ''}"
        cell = self.cells[job.cells[0]]
        what = f"{cell.task} ({cell.interface})" if job.split else many
        self.tell(f"{job.model}: {what}, {job.samples} samples")
        event(self.run, "group_started", model=job.model, samples=job.samples, job=job.name)
        if not job.split:
            for seen in logged(self.run / "logs" / job.name, [self.cells[i] for i in job.cells]):
                self.progress.count(seen)
        self.progress.group_started(job.model)

    def _started_job(self, line: str) -> None:
        self.tell(line)
        event(self.run, "retry", said=line.strip())

    def _end(self, job: Job, ended: Played | Died, settled: Settled, done: Ran) -> None:
        self._collect()
        self.owner.check()
        if isinstance(ended, Died):
            done.complete = False
            done.problems.append(
                f"{job.model} ({job.name}): gave up after {self.engine.attempts} attempts: {ended.reason}"
            )
            event(self.run, "gave_up", model=job.model, job=job.name, reason=ended.reason)
            if job.split:
                settled.accept(given_up(self.place, job, self.study.name, self.aliases))
            return
        if job.split:
            said = settled.accept(ended)
            if said:
                self.tell(f"  {said}")
                event(self.run, "set_aside", job=job.name, said=said)
        if ended.played_again:
            self.tell(f"  {ended.played_again} samples that had crashed were played again")
            event(self.run, "retry_crashed", job=job.name, samples=ended.played_again)
        self._count(job, ended, done)

    def _count(self, job: Job, played: Played, done: Ran, again: bool = False) -> None:
        done.samples += job.samples
        done.cells += len(job.cells)
        done.complete &= played.finished
        if job.split and played.part:
            for seen in seen_in_part(self.run / "store" / f"{played.part}.parquet"):
                self.progress.count(seen)
        whole = [] if job.split or played.stopped_by else [self.cells[i] for i in job.cells]
        self.progress.group_finished(job.model, whole)
        if played.failed and not played.stopped_by:
            self.tell(
                f"  {played.failed} of {job.samples} samples crashed: recorded as infra_error, never as a low score"
            )
        for said in played.left_alone:
            self.tell(f"  {said}")
        for log in played.logs:
            if log.status != "success" and not played.stopped_by:
                done.problems.append(f"{job.model} x {log.task}: {log.error or log.status}")
        if not again:
            seconds, failed = round(played.seconds, 2), played.failed
            event(
                self.run,
                "group_finished",
                model=job.model,
                samples=job.samples,
                failed=failed,
                seconds=seconds,
            )

    def _collect(self) -> None:
        """Take what workers left in `events/` into `events.jsonl`, each once, and tell of anomalies."""
        names = self.place.names("events")
        path = self.run / "events.jsonl"
        text = path.read_text(encoding="utf-8") if names and path.is_file() else ""
        for name in names:
            if f'"{name}"' not in text:  # written down by a driver that died before it removed the file
                found = read_event(self.place, name)
                event(self.run, str(found.pop("event")), **found, left_as=name)
                self.progress.flagged()
                said = f"{found.get('kind')} in {printable(found.get('model'), 80)}"
                self.tell(f"  {said}: {printable(found.get('detail'), 200)}")
            self.place.remove(f"events/{name}")

    def _wall_left(self) -> float | None:
        wall = self.study.limits.wall_s
        return None if wall is None else max(0.0, wall - (time.monotonic() - self.started))

    def _spent(self) -> str:
        """Which cap of the study is reached; empty where none is."""
        if self._wall_left() == 0.0:
            return f"wall time {self.study.limits.wall_s:g} s is spent"
        purse: Purse | None = self.purse
        return purse.spent_up() if purse is not None else ""


class _ThisProcess:
    """The backend of one process: a job is played when it is submitted."""

    slots = 1
    split = False

    def __init__(self, play_here: Callable[[Job, int | None], Played]) -> None:
        self._play = play_here
        self._ended: list[Played | Died] = []

    def submit(self, job: Job, connections: int | None) -> None:
        self._ended.append(self._play(job, connections))

    def wait(self, timeout: float) -> list[Played | Died]:
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        return


def _flag(run: Path, tell: Tell, progress: Progress, found: Anomaly) -> None:
    """Write an anomaly down as it is seen, and say so."""
    progress.flagged()
    event(run, "anomaly", **found.as_event())
    cell = found.cell
    did = "no verdict from this cell" if found.action == "stop" else "marked"
    tell(
        f"  anomaly in {printable(cell.model, 80)} x {cell.family} ({cell.interface}): {found.detail}: {did}"
    )


def ingest_run(run: Path, study: Study, settled: Settled | None = None) -> Ingested:
    """Ingest the logs of a run folder: those of whole models as they lie, those of single cells by their bindings."""
    logs = [path for path in find_logs([run / "logs"]) if len(path.relative_to(run / "logs").parts) < 3]
    done = ingest_logs(logs, run, study.name, aliases_of(study))
    bound = (settled or Settled(Location(str(run)), run)).ingested()
    return Ingested(
        done.rows + bound.rows, done.written + bound.written, done.known, done.unfinished, done.refused
    )


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


def event(run: Path, kind: str, /, **data: object) -> None:
    """Append one line to the run's event file."""
    line = json.dumps(
        {"time": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"), "event": kind, **data}
    )
    with (run / "events.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")
