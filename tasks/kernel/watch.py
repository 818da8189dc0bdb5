"""What a run may see of its episodes while it goes on. A watcher is told of each one, and may stop those to come.

Light on purpose: the gate imports it and does not import Inspect.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Cell:
    """What is watched together and stopped together."""

    model: str
    family: str
    interface: str


@dataclass(frozen=True)
class Seen:
    """One episode when it ended. `stratum`: what may differ in length by design (level and setting)."""

    cell: Cell
    stratum: str
    sample: str
    status: str
    turns: int
    output_tokens: int
    seconds: float
    answering_models: tuple[str, ...]
    tripwires: int
    canary: bool


class Watcher(Protocol):
    """Told by the solver; quick, for it stands in the way of every episode."""

    def stopped(self, cell: Cell) -> str:
        """Why no further episode of the cell is played; empty where there is no reason."""

    def saw(self, seen: Seen) -> None:
        """One episode has ended."""


current_watcher: ContextVar[Watcher | None] = ContextVar("dangercurve_watcher", default=None)
