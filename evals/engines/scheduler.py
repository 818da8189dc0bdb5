"""The scheduler: jobs of a study, who plays them, how often one is tried again, and which share of a model it gets.

A job is one Inspect eval set: a cell, or all cells of a model and its settings where one process plays them all. Every
engine goes through `Scheduler.run`; they differ in the backend alone. A job whose worker died is tried again after a
pause, a bounded number of times, and goes on from what Inspect had logged.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

from dangercurve._errors import ConfigError
from dangercurve.evals.study import Cell, group_slug

ATTEMPTS = 5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
OWN_PROVIDERS = ("bot/", "sim/")
LOCAL_PROVIDERS = ("local/", "ladder/")
OWN_CONNECTIONS = 20
SHARED_CONNECTIONS = 10
"""Connections of a model over all workers where the study names none: Inspect's own starting value for one process."""


@dataclass(frozen=True)
class Job:
    """One eval set: where its logs lie below `logs/`, which cells of the study it plays (their positions), how large."""

    name: str
    cells: tuple[int, ...]
    model: str
    samples: int
    connections: int | None

    @property
    def split(self) -> bool:
        """Whether it is one cell in a folder of its own: any worker may play it, and its result is bound (`settle`)."""
        return "/" in self.name


@dataclass(frozen=True)
class LogFact:
    """What is told of a log across processes: names and states, never what a model wrote."""

    name: str
    task: str
    task_id: str
    status: str
    error: str = ""


@dataclass(frozen=True)
class Played:
    """What playing a job came to. `finished`: every sample has been played or accounted for, and its log is closed.
    `played_again` counts samples that had crashed before; `left_alone` says which of them were not played, and why."""

    job: str
    finished: bool
    logs: tuple[LogFact, ...] = ()
    failed: int = 0
    stopped_by: str = ""
    seconds: float = 0.0
    part: str = ""
    played_again: int = 0
    left_alone: tuple[str, ...] = ()

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Played:
        data = json.loads(text)
        logs = tuple(LogFact(**log) for log in data["logs"])
        return cls(**{**data, "logs": logs, "left_alone": tuple(data.get("left_alone", ()))})


@dataclass(frozen=True)
class Died:
    """A job that its worker did not end: the worker died, or raised something that no configuration explains."""

    job: str
    reason: str


def ended_with(job: str, kind: str, text: str) -> Played | Died:
    """A worker's answer. Raises ConfigError where it says that the configuration is wrong: nothing would mend it."""
    if kind == "refused":
        raise ConfigError(text)
    return Played.from_json(text) if kind == "played" else Died(job, text)


class Backend(Protocol):
    """Who plays jobs. `submit` may play at once (one process) or hand over; `wait` gives what has ended since."""

    slots: int
    split: bool

    def submit(self, job: Job, connections: int | None) -> None:
        """Start a job with at most that many connections to its model (None: as many as it likes)."""

    def wait(self, timeout: float) -> list[Played | Died]:
        """What ended within `timeout` seconds. Raises ConfigError where a worker says that the configuration is wrong."""

    def close(self) -> None:
        """End all workers."""


def jobs_of(cells: Sequence[Cell], held: Callable[[str], Sequence[str]], split: bool) -> list[Job]:
    """The jobs of a study. `held(folder)` lists what lies in a folder of the run.

    A model whose logs lie in one folder already stays one job, and one that was split stays split, whatever engine goes
    on with the run: a cell that was begun is never begun a second time elsewhere.
    """
    jobs = []
    for _, group in itertools.groupby(enumerate(cells), key=lambda pair: pair[1].group()):
        listed = list(group)
        name = group_slug(listed[0][1])
        there = held(f"logs/{name}")
        whole = any(n.endswith(".eval") for n in there)
        apart = any("." not in n for n in there)
        if whole and apart:
            raise ConfigError(
                f"logs/{name} holds logs of a whole model and of single cells: restore one of them"
            )
        if apart or (split and not whole):
            jobs += [_job(f"{name}/{cell_slug(cell)}", [(index, cell)]) for index, cell in listed]
        else:
            jobs.append(_job(name, listed))
    return jobs


def _job(name: str, cells: list[tuple[int, Cell]]) -> Job:
    first = cells[0][1]
    return Job(
        name,
        tuple(index for index, _ in cells),
        first.model,
        sum(cell.samples() for _, cell in cells),
        first.max_connections,
    )


def cell_slug(cell: Cell) -> str:
    """Folder name of a cell within its model's: what it plays, and a digest of all that it crosses."""
    digest = hashlib.sha256(json.dumps(cell.task_args(""), sort_keys=True).encode()).hexdigest()[:10]
    return f"{cell.task}-{cell.interface}-{digest}".replace(".", "-")


@dataclass
class Connections:
    """Connections to each model, shared by all jobs that run at once: the leases together never exceed the model's own.

    A bot needs none. Weights on this machine are one server: one job of theirs at a time.
    """

    slots: int
    left: dict[str, int] = field(default_factory=dict)

    def lease(self, job: Job, waiting: int) -> tuple[bool, int | None]:
        """Whether a job may start now, while `waiting` others of its model wait, and with how many connections."""
        if self.slots == 1 or job.model.startswith(OWN_PROVIDERS):
            return True, job.connections
        local = job.model.startswith(LOCAL_PROVIDERS)
        total = 1 if local else job.connections or SHARED_CONNECTIONS
        left = self.left.setdefault(job.model, total)
        if left < 1:
            return False, None
        share = left if local else max(1, -(-left // min(self.slots, waiting + 1)))
        self.left[job.model] = left - share
        return True, None if local else share

    def give_back(self, job: Job, leased: int | None) -> None:
        """Return what `lease` gave; the one server of local weights is one lease, whatever its slots."""
        if job.model in self.left:
            self.left[job.model] += 1 if leased is None else leased


def pause_before(attempt: int) -> float:
    """Seconds before attempt 2, 3, ...: they double from 1 s to at most a minute."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (attempt - 2)) if attempt > 1 else 0.0


@dataclass
class Scheduler:
    """Hands jobs to a backend until each is done, was tried `attempts` times, or `stop()` says why nothing more starts."""

    backend: Backend
    attempts: int = ATTEMPTS
    stop: Callable[[], str] = lambda: ""
    tell: Callable[[str], None] = lambda _: None
    now: Callable[[], float] = time.monotonic
    stopped_by: str = ""

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Played | Died]]:
        """Each job with what it came to in the end, as they end. A job that `stop` kept from starting is not among them."""
        by_name = {job.name: job for job in jobs}
        waiting: list[tuple[float, Job]] = [(0.0, job) for job in by_name.values()]
        running: dict[str, int | None] = {}
        tries: Counter[str] = Counter()
        shares = Connections(self.backend.slots)
        while waiting or running:
            self.stopped_by = self.stopped_by or self.stop()
            if self.stopped_by:
                waiting = []
            else:
                waiting = self._start(waiting, running, tries, shares)
            if not running:
                if waiting:
                    time.sleep(min(0.2, max(0.0, waiting[0][0] - self.now())))
                continue
            for ended in self.backend.wait(0.5):
                job = by_name[ended.job]
                shares.give_back(job, running.pop(job.name))
                if isinstance(ended, Died) and tries[job.name] < self.attempts:
                    pause = pause_before(tries[job.name] + 1)
                    self.tell(
                        f"  {job.name}: {ended.reason}; attempt {tries[job.name] + 1} of {self.attempts} in {pause:g} s"
                    )
                    waiting.append((self.now() + pause, job))
                    continue
                if isinstance(ended, Played) and ended.stopped_by:
                    self.stopped_by = self.stopped_by or ended.stopped_by
                yield job, ended

    def _start(
        self,
        waiting: list[tuple[float, Job]],
        running: dict[str, int | None],
        tries: Counter[str],
        shares: Connections,
    ) -> list[tuple[float, Job]]:
        """Start what may start now; returns what still waits, soonest first."""
        left: list[tuple[float, Job]] = []
        models = Counter(job.model for _, job in waiting)
        for due, job in sorted(waiting, key=lambda pair: pair[0]):
            if len(running) >= self.backend.slots or due > self.now():
                left.append((due, job))
                continue
            models[job.model] -= 1
            free, running_with = shares.lease(job, models[job.model])
            if not free:
                left.append((due, job))
                continue
            tries[job.name] += 1
            running[job.name] = running_with
            self.backend.submit(job, running_with)
        return left
