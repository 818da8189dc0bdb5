"""What a cell came to, settled once: which of its logs counts, its part of the store, its flags.

A worker that was thought dead may still be playing, and may begin a log of its own beside the one that its successor
begins. Inspect gives each log begun anew a task id, and the store counts a sample once a task id: so the driver binds each
cell to the first task id that it accepts (`cells/CELL.json`, written before the part is taken in). A log of the cell under
another task id is set aside and never counted.

Layout of a location: `logs/MODEL/CELL/*.eval`, `parts/SHA256.parquet` (what workers read from their logs), `cells/`,
`events/`, `set-aside/`. The driver alone writes `cells/`, moves logs and takes parts into `store/` of the run folder.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dangercurve._errors import EvidenceError
from dangercurve._files import write_atomic
from dangercurve._text import printable
from dangercurve.evals.engines.location import Location
from dangercurve.evals.engines.play import fact_of, newest_logs
from dangercurve.evals.engines.scheduler import Job, LogFact, Played
from dangercurve.evals.ingest import Ingested, ingest_logs


def deliver(
    place: Location, played: Played, study: str, aliases: Mapping[str, str], partial: bool = False
) -> Played:
    """Read the newest log of a played cell and lay its rows down as `parts/SHA256.parquet`. Called by whoever played it."""
    fact = newest(played)
    if fact is None or (fact.status == "started" and not partial):
        return played
    content = place.read(f"logs/{played.job}/{fact.name}")
    digest = hashlib.sha256(content).hexdigest()
    if not place.exists(f"parts/{digest}.parquet"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            log = folder / fact.name
            log.write_bytes(content)
            done = ingest_logs([log], folder, study, aliases, partial=partial)
            if done.refused:
                raise EvidenceError(f"{printable(fact.name)}: {done.refused[0][1]}")
            place.write(f"parts/{digest}.parquet", (folder / "store" / f"{digest}.parquet").read_bytes())
    return replace(played, part=digest)


def given_up(place: Location, job: Job, study: str, aliases: Mapping[str, str]) -> Played:
    """What a cell that was given up came to: what its newest log holds, and every other planned sample as missing.

    A model whose replies kill workers must not make its worst cells vanish: they are rows of `infra_error`.
    """
    logs = newest_logs(place.at(f"logs/{job.name}")) if place.names(f"logs/{job.name}") else []
    played = Played(job.name, False, tuple(fact_of(log) for log in logs))
    return deliver(place, played, study, aliases, partial=True)


def newest(played: Played) -> LogFact | None:
    """The log of a cell that its eval set ended with: the last one by name, which starts with the time."""
    return max(played.logs, key=lambda log: log.name, default=None)


class Settled:
    """The bindings of a run: read at the start, written by the one driver."""

    def __init__(self, place: Location, run: Path) -> None:
        self._place, self._run = place, run
        self._bound: dict[str, dict[str, object]] = {}
        self._rows = 0
        for name, text in place.read_all("cells").items():
            try:
                data = json.loads(text)
                self._bound[str(data["job"])] = {str(k): v for k, v in data.items()}
            except (ValueError, KeyError, TypeError) as exc:
                raise EvidenceError(
                    f"cells/{printable(name)} is damaged ({printable(exc, 60)}): which log counts is unknown; restore it"
                ) from exc

    def done(self, job: Job) -> bool:
        """Whether the job was finished and accepted before. What it delivered is taken into the store again if need be."""
        held = self._bound.get(job.name)
        if held is None:
            return False
        self._take_in(str(held["part"]))
        return bool(held["finished"])

    def played(self, job: Job) -> Played | None:
        """What an accepted job came to."""
        held = self._bound.get(job.name)
        return None if held is None else Played.from_json(str(held["played"]))

    def accept(self, played: Played) -> str:
        """Bind a delivered cell and take its part into the store. Returns what was set aside, in words, or nothing."""
        fact = newest(played)
        if fact is None or not played.part:
            return ""
        held = self._bound.get(played.job)
        if held is not None and held["task_id"] != fact.task_id:
            self._set_aside(played.job, fact)
            return f"{fact.name} is a second beginning of a cell that was counted already: set aside"
        binding: dict[str, object] = {
            "job": played.job,
            "task_id": fact.task_id,
            "log": fact.name,
            "part": played.part,
            "finished": played.finished and not played.stopped_by,
            "played": played.as_json(),
        }
        self._place.write(f"cells/{_flat(played.job)}.json", json.dumps(binding, indent=1).encode() + b"\n")
        self._bound[played.job] = binding
        self._take_in(played.part)
        said = ""
        for other in played.logs:
            if other.task_id != fact.task_id:
                self._set_aside(played.job, other)
                said = f"{other.name} is a second beginning of the same cell: set aside, counted once"
        return said

    def _take_in(self, part: str) -> None:
        path = self._run / "store" / f"{part}.parquet"
        name = f"parts/{part}.parquet"
        if not path.exists():
            import pyarrow.parquet as pq

            try:
                content = self._place.read(name)
            except FileNotFoundError as exc:
                raise EvidenceError(
                    f"{name} is gone and so is its copy in the store: restore one of them"
                ) from exc
            write_atomic(path, content)
            self._rows += int(pq.read_metadata(path).num_rows)
        if self._place.local is not None and self._place.local == self._run:
            self._place.remove(name)

    def _set_aside(self, job: str, fact: LogFact) -> None:
        name = f"logs/{job}/{fact.name}"
        if self._place.exists(name):
            self._place.move(name, f"set-aside/{_flat(job)}/{fact.name}")

    def ingested(self) -> Ingested:
        """The parts that are bound, in the words of an ingest."""
        return Ingested(self._rows, tuple(sorted(str(b["log"]) for b in self._bound.values())))


def _flat(job: str) -> str:
    return job.replace("/", "--")


def leave_event(place: Location, kind: str, data: Mapping[str, object]) -> None:
    """A worker's event as a file of its own: no location can append, and an anomaly must outlive its worker."""
    place.write(f"events/{uuid.uuid4().hex}.json", json.dumps({"event": kind, **data}).encode())


def read_event(place: Location, name: str) -> dict[str, object]:
    """What a worker left. Raises EvidenceError where it cannot be read: an anomaly is never passed over."""
    try:
        data = json.loads(place.read(f"events/{name}"))
        return {"event": str(data.pop("event")), **{str(k): v for k, v in data.items()}}
    except (ValueError, KeyError, AttributeError) as exc:
        raise EvidenceError(f"events/{printable(name)} is damaged: {printable(exc, 80)}") from exc
