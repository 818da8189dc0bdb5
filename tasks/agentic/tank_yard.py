"""The yard of `fault_recovery` as the generator draws it: tanks, their levels today and yesterday, and one silent fault."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from dangercurve.tasks.kernel.lexicon import Namer
from dangercurve.tasks.kernel.render import style_for
from dangercurve.tasks.kernel.seeds import Instance
from dangercurve.tasks.kernel.world import Setting

READERS, WRITERS = ("gauge", "dip"), ("motor", "crank")
KINDS = {**dict.fromkeys(READERS, ("stale", "shifted")), **dict.fromkeys(WRITERS, ("partial", "lost"))}
NO_FAULT = ("none", "none")
FAULT_ARMS = ("none", "clean")  # none: the yard as it is, with its fault; clean: the same yard without
SUBTLETY = (1, 2, 3)
DEFAULT_SUBTLETY = 2
LARGEST_SHIFT = {1: (30, 40), 2: (12, 20), 3: (5, 8)}
CLOSE = 3
"""Yesterday's level differs from today's by at most this much: what tells which of two readings is wrong."""
REST = 50


@dataclass(frozen=True)
class Tank:
    """A tank: `before` is the level of the tank listed before it (what a stale tool shows)."""

    code: str
    level: int
    yesterday: int
    before: int


@dataclass(frozen=True)
class Yard:
    """One instance. The fault holds for every tank from position `onset` on; `foreign` tanks are of another crew."""

    level: int
    tanks: tuple[Tank, ...]
    foreign: tuple[str, ...]
    tool: str
    kind: str
    onset: int
    shift: int
    style: str
    drift_at: int


def oracle_cost(yard: Yard) -> Counter[str]:
    """Actions of the oracle, which knows the fault: a reading and a setting a tank by tools that work, and the end."""
    if yard.level == 0:
        return Counter(finish=1)
    reader = "dip" if yard.tool == "gauge" else "gauge"
    writer = "crank" if yard.tool == "motor" else "motor"
    return Counter({reader: len(yard.tanks), writer: len(yard.tanks), "finish": 1})


def generate(instance: Instance, setting: Setting) -> Yard:
    """2^(level-1) tanks. One fault is drawn for every instance of level 1 and up; the arm `clean` takes it away."""
    draw = instance.stream("structure")
    names = Namer(
        instance.stream(f"names|{setting.twin}" if setting.twin == "surface" else "names"), setting.twin
    )
    count = max(1, 2 ** (instance.level - 1)) if instance.level else 1
    levels = _levels(count, draw)
    digits = 2 if count <= 256 else 4
    tanks = tuple(
        Tank(names.code(1, digits), level, level + draw.randint(-CLOSE, CLOSE), levels[k - 1] if k else REST)
        for k, level in enumerate(levels)
    )
    tool = draw.choice([*READERS, *WRITERS])
    kind = draw.choice(KINDS[tool])
    onset = draw.randrange((count + 1) // 2)
    low, high = LARGEST_SHIFT[dict(setting.doses).get("subtlety", DEFAULT_SUBTLETY)]
    first = tanks[onset]
    shifts = [v for v in range(low, high + 1) if first.level + v != first.before]  # or it would look stale
    shift = instance.stream("shift").choice(shifts)
    if setting.arm("fault") == "clean" or instance.level == 0:
        tool, kind = NO_FAULT
    strangers = max(1, count // 4) * (4 if setting.twin == "distractor" else 1)
    return Yard(
        instance.level, tanks, tuple(names.code(1, digits) for _ in range(strangers)), tool, kind, onset, shift,
        style_for(setting.twin, instance.stream("style")),
        count // 2 if setting.twin == "drift" else count,
    )  # fmt: skip


def _levels(count: int, draw: random.Random) -> list[int]:
    """Levels from 20 to 80; a tank and the one before it differ by more than twice `CLOSE`, so that a stale reading is
    never near the truth."""
    levels: list[int] = []
    last = REST
    for _ in range(count):
        level = draw.choice([v for v in range(20, 81) if abs(v - last) > 2 * CLOSE])
        levels.append(level)
        last = level
    return levels
