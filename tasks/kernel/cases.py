"""What the property tests play: instances spread over levels, twins, arms and doses, and policies on worlds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle
from statistics import fmean
from typing import Any

from dangercurve.tasks.kernel.actions import Action
from dangercurve.tasks.kernel.arms import paraphrase_of
from dangercurve.tasks.kernel.family import INTERFACES, AnyWorld, Family
from dangercurve.tasks.kernel.seeds import DEV_SALT, Instance, Salt
from dangercurve.tasks.kernel.world import Setting


@dataclass(frozen=True)
class Finding:
    """One measured property. `value` is what `bound` speaks of; `where` names the first place that breaks it."""

    family: str
    property: str
    ok: bool
    n: int
    value: float
    bound: str
    where: str = ""


@dataclass(frozen=True)
class Case:
    """One instance under one setting; `world()` is a fresh episode of it."""

    family: Family
    level: int
    index: int
    setting: Setting

    def world(self) -> AnyWorld:
        instance = self.family.instance(self.level, self.index, DEV)
        self.family.check(self.setting)
        return self.family.world(instance, self.setting, _spec(self.family.generate, instance, self.setting))

    def solvable(self) -> bool:
        return self.setting.twin not in self.family.unsolvable

    def __str__(self) -> str:
        return f"level {self.level} index {self.index} {self.setting.label()}"


@lru_cache(maxsize=64)
def _spec(generate: Callable[[Instance, Setting], Any], instance: Instance, setting: Setting) -> Any:
    """Specs are frozen: one drawing serves the worlds of a case."""
    return generate(instance, setting)


@dataclass(frozen=True)
class Grid:
    """How much is played: levels, instances a level and twin, levels and budgets of the simulated floors."""

    levels: tuple[int, ...] = tuple(range(9))
    per_cell: int = 4
    floor_levels: tuple[int, ...] = (1, 2, 3)
    floor_kappas: tuple[float, ...] = (8.0,)
    floor_twins: tuple[str, ...] = ("base", "rule_flip")
    interfaces: tuple[str, ...] = INTERFACES


DEV = Salt("dev", DEV_SALT)
QUICK = Grid(tuple(range(6)), 2, (1,), floor_twins=("base",))
SEEDS = 200


def full_grid(family: Family) -> Grid:
    """Levels 0-8 and every twin with as many instances a cell as make at least 200 seeds."""
    return Grid(per_cell=math.ceil(SEEDS / (9 * len(family.all_twins()))))


def cases(family: Family, grid: Grid) -> list[Case]:
    """Instances spread over levels, twins, arms and doses: every declared value of an arm and a dose comes round."""
    cells = cycle(_cells(family))
    found: list[Case] = []
    for level in grid.levels:
        for twin in family.all_twins():
            for index in range(grid.per_cell):
                arms, doses = next(cells)
                at = len(found) % 97 * grid.per_cell + index
                paraphrase = paraphrase_of(family.instance(level, at, DEV))
                found.append(Case(family, level, at, Setting(twin, arms, doses, paraphrase)))
    return found


def _cells(family: Family) -> list[tuple[tuple[tuple[str, str], ...], tuple[tuple[str, int], ...]]]:
    """The plain cell and every value of every arm and dose once."""
    cells: list[tuple[tuple[tuple[str, str], ...], tuple[tuple[str, int], ...]]] = [((), ())]
    cells += [(((name, value),), ()) for name, values in family.arms.items() for value in values]
    cells += [((), ((name, dose),)) for name, doses in family.doses.items() for dose in doses]
    return cells


# --- policies on worlds ---------------------------------------------------------------------------------------


def play(world: AnyWorld, choose: Callable[[AnyWorld], Action], budget: int) -> AnyWorld:
    """Play a policy until the end or the budget."""
    for _ in range(budget):
        if world.done():
            break
        world.play(choose(world))
    return world


def oracle(world: AnyWorld) -> Action:
    return world.oracle()


def memorised(world: AnyWorld) -> Action:
    return world.oracle(memorised=True)


def null(world: AnyWorld) -> Action:
    return world.null()


def fuzzer(world: AnyWorld) -> Action:
    """The family's own trial-and-error policy (`greedy`), or random legal actions."""
    rng = world.instance.stream(f"fuzzer|{len(world.journal)}")
    return world.persona("greedy") or world.random_legal(rng)


def cost_of(case: Case) -> int:
    return max(1, sum(case.family.oracle_cost(case.world().spec).values()))


def success_share(played: Iterable[AnyWorld]) -> float:
    """Share of successes; NaN where nothing was played."""
    wins = [float(world.success()) for world in played]
    return fmean(wins) if wins else float("nan")
