"""Live flags of a run: what changes while it goes on is marked or stops the cell, in `events.jsonl` and at the gate.

Three sequential rules (a jump in the share of samples that are not scored, drift in output tokens, drift in latency)
are conformal test martingales: each episode is ranked among the earlier ones of its own level and setting, and a mixture
of bets against uniform ranks grows where they stop being uniform. While episodes of a stratum are exchangeable the
capital passes 1/alpha with probability at most alpha over the whole run, however long (Ville). A flag also wants an
effect of a stated size in the last 20 episodes, so that no drift too small to matter is told. Three plain rules need no
statistics: the identifier of the prompt pack in a reply (canary), a tripwire, another answering model than before.
"""

from __future__ import annotations

import bisect
import json
import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from dangercurve._text import printable
from dangercurve.tasks.kernel.watch import Cell, Seen, watched_by

Action = Literal["off", "mark", "stop"]
Kind = Literal["status_rate", "tokens", "latency", "canary", "tripwire", "answering_model"]
KINDS: tuple[str, ...] = get_args(Kind)
ALPHA = 0.001
WINDOW = 20
JUMP = 0.01
BETS = (-2.0, -1.0, 0.0, 1.0, 2.0)
LEAST_RATE = 0.25
LEAST_RATIO: Mapping[str, float] = {"tokens": 1.5, "latency": 3.0}
MAX_EVENTS_BYTES = 50_000_000


class AnomalyRules(BaseModel):
    """A study's `anomalies`: what each kind of anomaly does. `mark` is told; `stop` ends the cell, which is then INVALID."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status_rate: Action = "mark"
    tokens: Action = "mark"
    latency: Action = "mark"
    canary: Action = "mark"
    tripwire: Action = "mark"
    answering_model: Action = "stop"

    def action(self, kind: str) -> Action:
        found: Action = getattr(self, kind)
        return found


@dataclass(frozen=True)
class Anomaly:
    """One flag: what was seen, in which cell, at which of its episodes, and what was done about it."""

    kind: str
    action: Action
    cell: Cell
    n: int
    sample: str
    detail: str

    def as_event(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "action": self.action,
            "model": self.cell.model,
            "family": self.cell.family,
            "interface": self.cell.interface,
            "n": self.n,
            "sample": self.sample,
            "detail": self.detail,
        }


@dataclass
class Martingale:
    """The simple jumper: M = sum over e of C_e, C_e <- ((1 - J) C_e + J mean(C)) (1 + e (p - 1/2)) for each p-value."""

    capital: list[float] = field(default_factory=lambda: [1.0 / len(BETS)] * len(BETS))

    def bet(self, p: float) -> float:
        share = JUMP * sum(self.capital) / len(BETS)
        self.capital = [
            ((1 - JUMP) * c + share) * (1 + e * (p - 0.5)) for c, e in zip(self.capital, BETS, strict=True)
        ]
        return sum(self.capital)


class Drift:
    """One sequential rule over one number an episode, ranked within its stratum."""

    def __init__(self, key: str, least: float, effect: Callable[[list[float], float, float], float]) -> None:
        self._rng = random.Random(key)
        self._past: dict[str, list[float]] = {}
        self._total: dict[str, float] = {}
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._martingale = Martingale()
        self._least, self._effect = least, effect

    def add(self, stratum: str, value: float) -> float | None:
        """The effect over the last 20 episodes where the rule flags, else None."""
        past = self._past.setdefault(stratum, [])
        low, high = bisect.bisect_left(past, value), bisect.bisect_right(past, value)
        above, equal = len(past) - high, high - low
        p = (above + self._rng.random() * (equal + 1)) / (len(past) + 1)
        if past:
            self._recent.append(self._effect(past, self._total[stratum], value))
        bisect.insort(past, value)
        self._total[stratum] = self._total.get(stratum, 0.0) + value
        capital = self._martingale.bet(p)
        if capital < 1 / ALPHA or len(self._recent) < WINDOW // 2:
            return None
        size = sum(self._recent) / len(self._recent) if self._least < 1 else median(self._recent)
        return size if abs(size) >= (self._least if self._least < 1 else math.log(self._least)) else None


def _more_than_before(past: list[float], total: float, value: float) -> float:
    return value - total / len(past)


def _log_ratio(past: list[float], total: float, value: float) -> float:
    middle = past[len(past) // 2]
    return math.log(max(value, 1e-9) / max(middle, 1e-9))


class CellWatch:
    """The six rules over the episodes of one cell. Each kind flags once."""

    def __init__(self, cell: Cell) -> None:
        self.cell, self.n = cell, 0
        self._told: set[str] = set()
        self._names: tuple[str, ...] | None = None
        key = f"{cell.model}|{cell.family}|{cell.interface}"
        self._missing = Drift(f"{key}|status", LEAST_RATE, _more_than_before)
        self._tokens = Drift(f"{key}|tokens", LEAST_RATIO["tokens"], _log_ratio)
        self._latency = Drift(f"{key}|latency", LEAST_RATIO["latency"], _log_ratio)

    def add(self, seen: Seen) -> Iterator[tuple[str, str]]:
        """Kind and detail of each new flag."""
        self.n += 1
        for kind, detail in self._found(seen):
            if kind not in self._told:
                self._told.add(kind)
                yield kind, detail

    def _found(self, seen: Seen) -> Iterator[tuple[str, str]]:
        names = seen.answering_models
        if names and self._names is None:
            self._names = names[:1]
        if names and set(names) != set(self._names or ()):
            before = ", ".join(self._names or ())
            yield "answering_model", f"{before} answered first, then {', '.join(names)}"
        if seen.canary:
            yield "canary", "a reply holds the identifier of the prompt pack"
        if seen.tripwires:
            yield "tripwire", f"{seen.tripwires} attempts beyond the declared affordances"
        size = self._missing.add(seen.stratum, float(seen.status != "scored"))
        if size is not None:
            yield (
                "status_rate",
                f"share not scored {size:+.2f} against the episodes before ({seen.status} last)",
            )
        turns = max(seen.turns, 1)
        if seen.output_tokens:
            size = self._tokens.add(seen.stratum, seen.output_tokens / turns)
            if size is not None:
                yield "tokens", f"output tokens a turn times {math.exp(size):.2g} against the episodes before"
        if seen.seconds > 0:
            size = self._latency.add(seen.stratum, seen.seconds / turns)
            if size is not None:
                yield "latency", f"seconds a turn times {math.exp(size):.2g} against the episodes before"


class RunWatcher:
    """Watches all cells of a run; `tell` gets each anomaly as it is found."""

    def __init__(
        self,
        rules: AnomalyRules,
        tell: Callable[[Anomaly], None],
        also: Callable[[Seen], None] | None = None,
    ) -> None:
        self._rules, self._tell, self._also = rules, tell, also
        self._cells: dict[Cell, CellWatch] = {}
        self._stopped: dict[Cell, str] = {}

    def stopped(self, cell: Cell) -> str:
        return self._stopped.get(cell, "")

    def saw(self, seen: Seen) -> None:
        if self._also is not None:
            self._also(seen)
        watch = self._cells.get(seen.cell)
        if watch is None:
            watch = self._cells[seen.cell] = CellWatch(seen.cell)
        for kind, detail in watch.add(seen):
            action = self._rules.action(kind)
            if action == "off":
                continue
            found = Anomaly(kind, action, seen.cell, watch.n, seen.sample, printable(detail))
            if action == "stop":
                self._stopped.setdefault(seen.cell, f"{kind}: {found.detail}")
            self._tell(found)


@contextmanager
def watching(
    rules: AnomalyRules,
    tell: Callable[[Anomaly], None],
    already: Mapping[Cell, str],
    also: Callable[[Seen], None] | None = None,
) -> Iterator[None]:
    """Watch every episode that is played inside; `already` are cells that an earlier part of the run stopped, `also` is
    told of every episode first."""
    watcher = RunWatcher(rules, tell, also)
    watcher._stopped.update(already)
    with watched_by(watcher):
        yield


def read_anomalies(run: Path) -> tuple[list[Anomaly], list[str]]:
    """Every anomaly in a run's `events.jsonl`, and what is wrong with a line that speaks of one.

    Other events, and damaged lines without the word, are no business of the gate.
    """
    path = run / "events.jsonl"
    if not path.is_file():
        return [], []
    if path.stat().st_size > MAX_EVENTS_BYTES:
        return [], [
            f"events.jsonl is larger than {MAX_EVENTS_BYTES} bytes: no anomaly in it can be ruled out"
        ]
    found, problems = [], []
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if b'"anomaly"' not in line:
            continue
        try:
            entry = json.loads(line)
            if entry["event"] != "anomaly":
                continue
            words = {k: str(entry[k]) for k in ("kind", "model", "family", "interface", "sample", "detail")}
            if entry["action"] not in ("mark", "stop") or words["kind"] not in KINDS:
                raise ValueError("no action or kind of this version")
            cell = Cell(words["model"], words["family"], words["interface"])
            found.append(
                Anomaly(
                    words["kind"], entry["action"], cell, int(entry["n"]), words["sample"], words["detail"]
                )
            )
        except (ValueError, KeyError, TypeError, RecursionError) as exc:
            problems.append(f"events.jsonl:{number}: an anomaly that cannot be read ({printable(exc, 80)})")
    return found, problems


def stopped_cells(found: list[Anomaly]) -> dict[Cell, str]:
    """Cells that an anomaly stopped, with the first reason."""
    out: dict[Cell, str] = {}
    for anomaly in found:
        if anomaly.action == "stop":
            out.setdefault(anomaly.cell, f"{anomaly.kind}: {anomaly.detail}")
    return out
