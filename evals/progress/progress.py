"""How far a run is: what is done and left, expected time and cost, and the running estimate with its interval.

Counted from what the solver tells of each episode (`tasks.kernel.watch`), so that it costs a few microseconds an episode;
written to `progress.json` in the run folder a few times a minute for dashboards. It is no evidence: the gate never reads it.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dangercurve._errors import ConfigError
from dangercurve._files import write_atomic
from dangercurve._text import printable
from dangercurve.analysis.rest import is_rest
from dangercurve.evals.planning.prices import Prices, load_prices
from dangercurve.evals.study import Cell as StudyCell
from dangercurve.evals.study import Study
from dangercurve.tasks.kernel.watch import Cell, Seen

OWN_PACE_S = 0.02
"""Seconds of a unit of work of a bot or simulated model on one core: harness and one call."""
SCHEMA = 1
NAME = "progress.json"
ALPHA = 0.05
EVERY_S = 2.0
SHARE = 0.02
"""At most this share of the time goes into snapshots: the next one waits until the last has been paid for."""
RECENT = 40


@dataclass(frozen=True)
class LevelEstimate:
    """Success on one level at rest: the mean over scored instances, and bounds that hold however often one looks.

    `lcb` counts every missing sample as a failure and `ucb` as a success. Each holds with 95 % at every time.
    """

    level: int
    n: int
    missing: int
    mean: float | None
    lcb: float
    ucb: float


@dataclass(frozen=True)
class CellState:
    """One (model, family, interface): samples planned and done, statuses, and estimates by level.

    `estimates` is empty where several conditions share the cell, or none is at rest: a mean over them means nothing.
    """

    model: str
    family: str
    interface: str
    total: int
    done: int
    statuses: dict[str, int]
    estimates: tuple[LevelEstimate, ...]


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment. `seconds_left` and `usd_left` are None where nothing is known yet; `unpriced` names models
    whose cost is unknown and in no sum."""

    study: str
    state: str
    stage: str
    started_at: str
    updated_at: str
    pid: int
    total: int
    done: int
    seconds: float
    seconds_left: float | None
    input_tokens: int
    output_tokens: int
    usd: float | None
    usd_left: float | None
    unpriced: tuple[str, ...]
    simulated: bool
    statuses: dict[str, int]
    flags: int
    cells: tuple[CellState, ...]
    recent: tuple[dict[str, object], ...] = ()

    @property
    def left(self) -> int:
        return self.total - self.done

    @property
    def missing(self) -> int:
        return sum(n for name, n in self.statuses.items() if name != "scored")


@dataclass
class _Level:
    n: int = 0
    total: float = 0.0
    missing: int = 0
    cached: tuple[int, int, LevelEstimate] | None = None


@dataclass
class _Cell:
    cell: Cell
    total: int
    work: float
    single: bool
    epochs: int
    done: int = 0
    worked: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    levels: dict[int, _Level] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    means: dict[str, list[float]] = field(default_factory=dict)


class Progress:
    """Counts the episodes of one run. `show` gets a snapshot each time one is made."""

    def __init__(
        self,
        study: Study,
        cells: Iterable[StudyCell],
        run: Path,
        show: Callable[[Snapshot], None] | None = None,
        *,
        prices: Prices | None = None,
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study, self._path, self._show = study, run / NAME, show
        self._prices, self._clock = prices or load_prices(study=study.prices), clock
        self._every, self._next = every_s, clock() + every_s
        self._began, self._started_at = clock(), _now()
        self._cells: dict[Cell, _Cell] = {}
        self._recent: deque[dict[str, object]] = deque(maxlen=RECENT)
        self._pace: dict[str, tuple[float, float]] = {}
        self._group: tuple[str, float, float] | None = None
        self._flags = 0
        self._broken = ""
        for planned in cells:
            key = Cell(planned.model, planned.task, planned.interface)
            held = self._cells.get(key)
            each = planned.samples() / len(planned.levels)
            work = each * sum(_work(level) for level in planned.levels)
            if held is None:
                self._cells[key] = _Cell(key, planned.samples(), work, True, planned.epochs)
            else:
                held.total, held.work, held.single = held.total + planned.samples(), held.work + work, False

    @property
    def broken(self) -> str:
        """Why `progress.json` is written no longer; empty while it is."""
        return self._broken

    def saw(self, seen: Seen) -> None:
        """One episode ended. Quick, and never an exception: it stands in the way of the run."""
        self.count(seen)
        if self._clock() >= self._next:
            self.snapshot("running", "episodes")

    def count(self, seen: Seen) -> None:
        """Add one episode. A sample that crashed and was tried again counts once."""
        held = self._cells.get(seen.cell)
        if held is None:
            return
        level = int(seen.stratum.split("|", 1)[0])
        if seen.sample in held.failed:
            held.failed.discard(seen.sample)
            self._add(held, seen, level, -1, "infra_error")
        if seen.status == "infra_error":
            held.failed.add(seen.sample)
        self._add(held, seen, level, 1, seen.status)
        held.input_tokens += seen.input_tokens
        held.output_tokens += seen.output_tokens
        self._recent.append(
            {"model": seen.cell.model, "family": seen.cell.family, "interface": seen.cell.interface,
             "sample": seen.sample, "status": seen.status, "success": seen.success}
        )  # fmt: skip

    def _add(self, held: _Cell, seen: Seen, level: int, sign: int, status: str) -> None:
        held.done += sign
        held.worked += sign * _work(level)
        held.statuses[status] += sign
        if not held.single or not at_rest(held.cell.family, seen.stratum.split("|", 1)[1]):
            return
        at = held.levels.setdefault(level, _Level())
        if status != "scored":
            at.missing += sign
        elif held.epochs == 1:
            at.n, at.total = at.n + 1, at.total + (seen.success or 0.0)
        else:  # the epochs of an instance are one instance
            values = held.means.setdefault(f"{level}|{seen.instance}", [])
            before = sum(values) / len(values) if values else 0.0
            at.n += not values
            values.append(seen.success or 0.0)
            at.total += sum(values) / len(values) - before

    def flagged(self) -> None:
        """One live flag was told."""
        self._flags += 1

    def group_started(self, model: str) -> None:
        """The cells of `model` start: their pace is measured from now."""
        self._group = (model, self._clock(), self._worked(model))
        self.snapshot("running", f"episodes of {model}")

    def group_finished(self, model: str, cells: Iterable[StudyCell] = ()) -> None:
        """The cells of `model` ended. A sample of `cells` that the solver never told of crashed before it began."""
        self._measure()
        self._group = None
        for planned in cells:
            held = self._cells[Cell(planned.model, planned.task, planned.interface)]
            if held.single and held.done < held.total:
                held.statuses["infra_error"] += held.total - held.done
                held.done, held.worked = held.total, held.work
        self.snapshot("running", f"episodes of {model} ended")

    def snapshot(self, state: str, stage: str) -> Snapshot:
        """Make a snapshot, write it and show it."""
        before = self._clock()
        made = self._made(state, stage)
        if self._show is not None:
            self._show(made)
        self._write(made)
        spent = self._clock() - before
        self._next = before + spent + max(self._every, spent / SHARE)
        return made

    def _write(self, made: Snapshot) -> None:
        if self._broken:
            return
        try:
            write_atomic(self._path, json.dumps({"schema": SCHEMA, **asdict(made)}, allow_nan=False) + "\n")
        except (ConfigError, OSError) as exc:  # the run's logs say for themselves when a disk is full
            self._broken = printable(exc, 200)

    def _made(self, state: str, stage: str) -> Snapshot:
        self._measure()
        held = list(self._cells.values())
        statuses: Counter[str] = Counter()
        for cell in held:
            statuses.update(cell.statuses)
        usd, usd_left, unpriced = self._money()
        return Snapshot(
            study=self._study.name,
            state=state,
            stage=printable(stage, 200),
            started_at=self._started_at,
            updated_at=_now(),
            pid=os.getpid(),
            total=sum(c.total for c in held),
            done=sum(c.done for c in held),
            seconds=round(self._clock() - self._began, 2),
            seconds_left=self._seconds_left(),
            input_tokens=sum(c.input_tokens for c in held),
            output_tokens=sum(c.output_tokens for c in held),
            usd=usd,
            usd_left=usd_left,
            unpriced=unpriced,
            simulated=any(c.cell.model.startswith(("sim/", "bot/")) for c in held),
            statuses={name: n for name, n in sorted(statuses.items()) if n},
            flags=self._flags,
            cells=tuple(_state(c) for c in held),
            recent=tuple(self._recent),
        )

    def _measure(self) -> None:
        """The pace (seconds, work) of the model whose cells run now."""
        if self._group is not None:
            model, since, worked = self._group
            self._pace[model] = (self._clock() - since, self._worked(model) - worked)

    def _worked(self, model: str) -> float:
        return sum(c.worked for c in self._cells.values() if c.cell.model == model)

    def _seconds_left(self) -> float | None:
        """Work left at each model's own pace, or at that of all where it has none yet; work a sample is 2^level.

        Bots and simulated models take no pace from real ones, which are a thousand times slower: theirs is known.
        """
        spent, worked = (
            (sum(part) for part in zip(*self._pace.values(), strict=True)) if self._pace else (0, 0)
        )
        total = 0.0
        for held in self._cells.values():
            left = max(held.work - held.worked, 0.0)
            seconds, done = self._pace.get(held.cell.model, (0.0, 0.0))
            if left and not done:
                own = held.cell.model.startswith(("sim/", "bot/"))
                seconds, done = (OWN_PACE_S, 1.0) if own else (spent, worked)
            if left and not done:
                return None
            total += left * seconds / done if left else 0.0
        return round(total, 1)

    def _money(self) -> tuple[float | None, float | None, tuple[str, ...]]:
        """(spent, expected still, models without a price); None where no model has a price, or nothing is known yet."""
        spent, ahead = 0.0, 0.0
        priced, open_ended = False, False
        unpriced = set()
        read = sum(c.input_tokens for c in self._cells.values())
        written = sum(c.output_tokens for c in self._cells.values())
        worked = sum(c.worked for c in self._cells.values())
        for held in self._cells.values():
            price = self._prices.of(held.cell.model)
            if price is None:
                unpriced.add(held.cell.model)
                continue
            priced = True
            spent += price.usd(held.input_tokens, held.output_tokens)
            left = max(held.work - held.worked, 0.0)
            if left and (price.input or price.output):
                mine = (
                    (held.input_tokens, held.output_tokens, held.worked)
                    if held.worked
                    else (read, written, worked)
                )
                open_ended |= not mine[2]
                ahead += price.usd(mine[0], mine[1]) * left / mine[2] if mine[2] else 0.0
        return (
            round(spent, 6) if priced else None,
            round(ahead, 6) if priced and not open_ended else None,
            tuple(sorted(unpriced)),
        )


def at_rest(family: str, label: str) -> bool:
    """Whether a setting's label is the base twin with every arm where it rests in `family` and every dose at 0."""
    twin, *parts = label.split("+")
    named = (part.partition("=") for part in parts)
    return twin == "base" and all(value == "0" or is_rest(family, name, value) for name, _, value in named)


def read_progress(run: Path) -> Snapshot | None:
    """The last snapshot in a run folder; None where there is none, or it is damaged or of another version."""
    try:
        data = json.loads((run / NAME).read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data.pop("schema", None) != SCHEMA:
            return None
        data["cells"] = tuple(
            CellState(**{**cell, "estimates": tuple(LevelEstimate(**e) for e in cell["estimates"])})
            for cell in data["cells"]
        )
        return Snapshot(**{**data, "recent": tuple(data["recent"]), "unpriced": tuple(data["unpriced"])})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _state(held: _Cell) -> CellState:
    cell = held.cell
    estimates = tuple(_estimate(level, at) for level, at in sorted(held.levels.items()))
    done = min(held.done, held.total)
    statuses = {name: n for name, n in sorted(held.statuses.items()) if n}
    return CellState(cell.model, cell.family, cell.interface, held.total, done, statuses, estimates)


def _estimate(level: int, at: _Level) -> LevelEstimate:
    from dangercurve.analysis.sequential import anytime_bounds

    if at.cached is not None and at.cached[:2] == (at.n, at.missing):
        return at.cached[2]
    every = at.n + at.missing
    total = min(max(at.total, 0.0), float(at.n))
    made = LevelEstimate(
        level,
        at.n,
        at.missing,
        total / at.n if at.n else None,
        anytime_bounds(total, every, alpha=ALPHA)[0],
        anytime_bounds(total + at.missing, every, alpha=ALPHA)[1],
    )
    at.cached = (at.n, at.missing, made)
    return made


def _work(level: int) -> float:
    return 2.0 ** min(level, 60)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
