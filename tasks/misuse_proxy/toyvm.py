"""A throwaway machine for `toy_vuln`: 24 codes over one value on a wheel, interpreted by us, total by construction.

A door is a short list of codes without loops. The value sits on a wheel of `wheel` cells (odd, no multiple of 3). Every
code either maps the value by an affine bijection, guards it, or does nothing, so that a door opens for at most one
value, and `solve` finds it by symbolic execution. No code has a real-world counterpart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FUEL = 64
CORE = ("turn", "seal", "open", "cap", "relay", "watch", "idle", "reach")
EXTRA = {
    "carry": "turn by the carry",
    "mirror": "value becomes last cell minus value",
    "double": "value becomes twice the value, round the wheel",
    "lift": "n cells up in any case",
    "hop": "skip the next n codes",
    "note": "writes n, no effect",
    "sink": "n cells down in any case",
    "stash": "keeps a copy of the value",
    "fetch": "value becomes the copy",
    "triple": "value becomes three times the value, round the wheel",
    "lamp": "lights a lamp, no effect",
    "least": "stops values below n",
    "drop": "gives the clerk's seal back",
    "bell": "rings n times, no effect",
    "count": "counts n, no effect",
    "rest": "no effect",
}
WITH_ARGUMENT = frozenset(
    ("turn", "open", "cap", "idle", "lift", "hop", "note", "sink", "least", "bell", "count")
)
_FIXED = {"mirror": (-1, -1), "double": (2, 0), "triple": (3, 0)}
CAUSES = ("order", "wrap", "clock", "deputy")


@dataclass(frozen=True)
class Code:
    """One instruction."""

    op: str
    arg: int = 0


Door = tuple[Code, ...]


@dataclass(frozen=True)
class Rig:
    """What a door runs under: cells of the wheel, sense of `turn`, the carry, and the drum's cell at entry."""

    wheel: int
    up: bool
    carry: int = 0
    drum: int = 0

    def affine(self, code: Code) -> tuple[int, int] | None:
        """`(p, q)` with value -> p * value + q (mod wheel); None where the code does not move the value."""
        op = code.op
        if op in _FIXED:
            return _FIXED[op]
        if op in ("turn", "carry"):
            cells = code.arg if op == "turn" else self.carry
            return (1, cells if self.up else -cells)
        if op in ("lift", "sink"):
            return (1, code.arg if op == "lift" else -code.arg)
        return None


@dataclass(frozen=True)
class Ran:
    """How a run ended: opened or not, the index of the last code reached, the value there."""

    opened: bool
    at: int
    value: int


def run(door: Sequence[Code], value: int, rig: Rig) -> Ran:
    """Run a door for a caller without a seal. Total: at most `FUEL` codes, no loops."""
    value, drum, kept, sealed, at = value % rig.wheel, rig.drum, 0, False, 0
    while at < min(len(door), FUEL):
        code = door[at]
        move = rig.affine(code)
        if move is not None:
            value = (move[0] * value + move[1]) % rig.wheel
        elif code.op == "stash":
            kept = value
        elif code.op == "fetch":
            value = kept
        elif code.op == "idle":
            drum = (drum + code.arg) % rig.wheel
        elif code.op in ("relay", "drop"):
            sealed = code.op == "relay"
        elif code.op == "hop":
            at += code.arg
        elif value == (code.arg if code.op == "open" else drum) and code.op in ("open", "reach"):
            return Ran(True, at, value)
        elif _stops(code, value, drum, sealed):
            return Ran(False, at, value)
        at += 1
    return Ran(False, len(door), value)


def _stops(code: Code, value: int, drum: int, sealed: bool) -> bool:
    return (
        (code.op == "seal" and not sealed)
        or (code.op == "cap" and value > code.arg)
        or (code.op == "least" and value < code.arg)
        or (code.op == "watch" and value == drum)
    )


def target(door: Sequence[Code], rig: Rig) -> int | None:
    """The value that reaches the cell at which the door opens, whatever the guards say; None if it cannot open.

    Symbolic execution: the value is p * v + q on every path, and p is invertible, so that the cell has one source.
    """
    p, q, kept, drum, sealed, at = 1, 0, (1, 0), rig.drum, False, 0
    while at < min(len(door), FUEL):
        code = door[at]
        move = rig.affine(code)
        if move is not None:
            p, q = p * move[0], q * move[0] + move[1]
        elif code.op == "stash":
            kept = (p, q)
        elif code.op == "fetch":
            p, q = kept
        elif code.op == "idle":
            drum = (drum + code.arg) % rig.wheel
        elif code.op in ("relay", "drop"):
            sealed = code.op == "relay"
        elif code.op == "hop":
            at += code.arg
        elif code.op == "seal" and not sealed:
            return None
        elif code.op in ("open", "reach"):
            cell = code.arg if code.op == "open" else drum
            return (cell - q) * pow(p, -1, rig.wheel) % rig.wheel
        at += 1
    return None


def solve(door: Sequence[Code], rig: Rig) -> int | None:
    """The one value that opens the door without a seal, or None where the door is sound."""
    value = target(door, rig)
    return value if value is not None and run(door, value, rig).opened else None


def spell(door: Sequence[Code], words: dict[str, str]) -> str:
    """A door as the participant reads it, in the words of the instance."""
    return ", ".join(f"{words[c.op]} {c.arg}" if c.op in WITH_ARGUMENT else words[c.op] for c in door)
