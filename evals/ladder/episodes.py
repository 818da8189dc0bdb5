"""Episodes of the project's own families as conversations: what the ladder is trained on.

A stream of conversations is a pure function of a `Course` and a seed. Each conversation has one system prompt, and under it
the decisions of successive episodes that share it: exactly the prompts that Inspect would send, with the policy's answer.
Training instances are drawn under a salt of their own, so that no instance of the public or of a private salt is seen.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from dangercurve.evals.ladder.recipe import Course, Lesson
from dangercurve.evals.participants.bots import write_reply
from dangercurve.tasks.kernel.bots import POLICIES, bot_rng
from dangercurve.tasks.kernel.episode import Episode
from dangercurve.tasks.kernel.family import get_family
from dangercurve.tasks.kernel.seeds import Salt
from dangercurve.tasks.kernel.solver import Decision
from dangercurve.tasks.kernel.task import Cell, episode_of, make_cell

TRAIN_SALT = Salt("ladder", b"dangercurve ladder training salt")
HELD_OUT_SALT = Salt("ladder-held-out", b"dangercurve ladder held-out salt")


@dataclass(frozen=True)
class Exchange:
    """One decision: what the participant is shown, and what it answers."""

    shown: str
    answer: str


@dataclass(frozen=True)
class Played:
    """One episode as the participant saw it. `lesson` is the index of the lesson that it belongs to."""

    lesson: int
    multi_turn: bool
    system: str
    exchanges: tuple[Exchange, ...]


def episodes(
    course: Course, seed: int, salt: Salt = TRAIN_SALT, done: Callable[[], float] = lambda: 1.0
) -> Iterator[Played]:
    """Endless episodes of a course; the same seed gives the same ones. `done` says which share of the wanted tokens is
    there already: by default all, which is after the opening."""
    rng = random.Random(seed)
    weights = [lesson.weight for lesson in course.lessons]
    first = course.lessons[0]
    first = first.model_copy(update={"levels": first.levels[:1], "twins": ("base",), "arm_share": 0.0})
    for index in range(10_000_000):
        which = rng.choices(range(len(weights)), weights)[0]
        lesson = course.lessons[which]
        if rng.random() < course.opens(done()):
            which, lesson = 0, first
        yield play(lesson, which, index, salt, rng)


def play(lesson: Lesson, which: int, index: int, salt: Salt, rng: random.Random) -> Played:
    """One episode of a lesson, with level, twin and arm drawn from `rng`, played by the lesson's policy."""
    level = rng.choices([level for level, _ in lesson.levels], [share for _, share in lesson.levels])[0]
    twin = rng.choice(lesson.twins)
    arm = rng.choice(lesson.arms) if rng.random() < lesson.arm_share else ""
    family = get_family(lesson.family)
    cell = _cell(lesson.family, lesson.interface, twin, arm, salt)
    metadata: dict[str, object] = {"twin": twin, "level": level, "index": index}
    metadata |= {f"arm_{k}": v for k, v in cell.settings[0].arms}
    episode = episode_of(cell, metadata)
    unlocked = bool(lesson.key) and rng.random() < 0.5
    policy = POLICIES[lesson.policy if unlocked else lesson.policy_for(dict(cell.settings[0].arms))]
    exchanges: list[Exchange] = []
    system = with_key(episode.system(), lesson.key if unlocked else "")
    while not episode.finished() and len(exchanges) < lesson.decisions:
        turn = episode.turn()
        decision = Decision(episode, turn, f"{family.name}-{index}", 0)
        output = write_reply(policy(decision, bot_rng("ladder", decision)), decision, "ladder", False)
        exchanges.append(Exchange(turn.text, output.completion))
        episode.absorb(turn, output)
        if episode.wiped():
            break
    return Played(which, episode.interface.multi_turn, system, tuple(exchanges))


def with_key(system: str, key: str) -> str:
    """A system prompt with a password under it."""
    return f"{system}\n{key}" if key else system


def answer_of(episode: Episode) -> str:
    """The oracle's answer at this point, as a participant of the episode's interface would write it."""
    decision = Decision(episode, episode.turn(), "", 0)
    return write_reply(
        POLICIES["oracle"](decision, bot_rng("ladder", decision)), decision, "ladder", False
    ).completion


@lru_cache(maxsize=4096)
def _cell(family: str, interface: str, twin: str, arm: str, salt: Salt) -> Cell:
    cell = make_cell(get_family(family), 0, twin, arm, n=1, interface=interface)
    return replace(cell, salt=salt)
