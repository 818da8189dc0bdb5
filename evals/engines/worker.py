"""A worker's side of an engine: one job from its description to a delivered part. Only names, paths and states cross."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from dangercurve._errors import DangercurveError
from dangercurve._text import printable
from dangercurve.evals.engines.location import Location
from dangercurve.evals.engines.play import open_model, play
from dangercurve.evals.engines.scheduler import Job, Played
from dangercurve.evals.engines.settle import deliver, leave_event
from dangercurve.evals.progress.anomalies import Anomaly
from dangercurve.evals.study import Study, cells_of
from dangercurve.tasks.kernel.watch import Cell

if TYPE_CHECKING:
    from dangercurve.evals.engines.budget import Take
    from dangercurve.evals.engines.budget_meter import Meter


@dataclass(frozen=True)
class Order:
    """What a worker is told: the study, the job, where things lie, its share of the model and of the time."""

    study: str
    job: Job
    location: str
    connections: int | None
    aliases: Mapping[str, str]
    stopped: tuple[tuple[str, str, str, str], ...] = ()
    wall_s: float | None = None
    counted: bool = False
    rules: str = ""
    again: bool = False

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Order:
        data = json.loads(text)
        job = Job(**{**data["job"], "cells": tuple(data["job"]["cells"])})
        return cls(**{**data, "job": job, "stopped": tuple(tuple(s) for s in data["stopped"])})


def work(order: Order, take: Take | None) -> Played:
    """Play a job and deliver its part. Raises ConfigError where the configuration is wrong."""
    study = Study.model_validate_json(order.study)
    place, job = Location(order.location), order.job
    every = cells_of(study)
    cells = [every[index] for index in job.cells]

    def flag(found: Anomaly) -> None:
        leave_event(place, "anomaly", found.as_event())

    from dangercurve.evals.engines.early_stop import rules_from

    played = play(
        study,
        job.name,
        cells,
        place.at(f"logs/{job.name}"),
        model=open_model(cells[0]),
        connections=order.connections,
        meter=meter_of(order.wall_s, take if order.counted else None),
        flag=flag,
        rules=[rules_from(order.rules)] if order.rules else [],
        again=order.again,
        already={Cell(model, family, interface): why for model, family, interface, why in order.stopped},
    )
    return deliver(place, played, study.name, order.aliases)


def answer(order: str, take: Take | None) -> str:
    """What a worker says to an order (JSON): `played`, `refused` (the configuration is wrong) or `raised`, and the rest."""
    try:
        return f"played\n{work(Order.from_json(order), take).as_json()}"
    except DangercurveError as exc:
        return f"refused\n{exc}"
    except Exception as exc:  # the driver tries again, and says so
        return f"raised\n{type(exc).__name__}: {printable(exc, 300)}"


def meter_of(wall_s: float | None, take: Take | None) -> Meter | None:
    """The meter of a job with that many seconds left and that purse; None where nothing is capped."""
    if wall_s is None and take is None:
        return None
    import time

    from dangercurve.evals.engines.budget_meter import Meter

    return Meter(take, None if wall_s is None else time.monotonic() + wall_s)
