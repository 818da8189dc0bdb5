"""The random floor: how often a random participant succeeds, simulated on the worlds of the cell itself."""

from __future__ import annotations

import random
from functools import lru_cache

from dangercurve.tasks.kernel.episode import step_budget
from dangercurve.tasks.kernel.family import AnyWorld, get_family
from dangercurve.tasks.kernel.interfaces import ChoiceInterface
from dangercurve.tasks.kernel.seeds import DEV_SALT, Salt
from dangercurve.tasks.kernel.world import Setting

EPISODES = 400
MAX_STEPS = 40_000
FLOOR_INDEX = 1_000_000


def play_random(world: AnyWorld, budget: int, choice: bool, rng: random.Random) -> AnyWorld:
    """Play uniformly random legal actions (or options) until the end or the budget."""
    interface = ChoiceInterface()
    for _ in range(budget):
        if world.done() or world.lost():
            break
        world.play(rng.choice(interface.options(world)[:-2]) if choice else world.random_legal(rng))
    return world


def random_floor(name: str, level: int, twin: str, interface: str, kappa: float) -> float:
    """Share of successes of the random policy over 400 instances of its own (indices from 1,000,000), 100 from level 2 on.

    The number of episodes falls with their length (40,000 steps in all, at least 25 episodes). Tools and text share
    one floor: the random player of both takes legal actions.
    """
    return _floor(name, level, twin, interface == "choice", kappa)


@lru_cache(maxsize=1024)
def _floor(name: str, level: int, twin: str, choice: bool, kappa: float) -> float:
    family = get_family(name)
    salt = Salt("dev", DEV_SALT)
    setting = Setting(twin)
    wins = played = spent = 0
    wanted = EPISODES if level <= 1 else EPISODES // 4
    while played < wanted and (spent < MAX_STEPS or played < 25):
        instance = family.instance(level, FLOOR_INDEX + played, salt)
        world = family.build(instance, setting)
        budget = step_budget(kappa, sum(family.oracle_cost(world.spec).values()))
        play_random(world, budget, choice, instance.stream("random floor"))
        wins += world.success()
        played += 1
        spent += len(world.journal)
    return wins / played
