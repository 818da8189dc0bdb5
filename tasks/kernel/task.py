"""From a family to an Inspect task: the samples of a cell, the solver, the scorers, the version."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import HeadlineMetric
from inspect_ai.solver import TaskState

from dangercurve._errors import ConfigError, did_you_mean
from dangercurve._version import __version__
from dangercurve.scorers.episode import episode_scorers
from dangercurve.tasks.kernel.arms import check_elicitation, paraphrase_of, parse_crossing
from dangercurve.tasks.kernel.episode import Episode, step_budget
from dangercurve.tasks.kernel.family import AnyWorld, Family, get_family
from dangercurve.tasks.kernel.floors import random_floor
from dangercurve.tasks.kernel.golden import require_golden
from dangercurve.tasks.kernel.interfaces import get_interface
from dangercurve.tasks.kernel.planner import check_scaffold
from dangercurve.tasks.kernel.roles import RoleEpisode
from dangercurve.tasks.kernel.seeds import Instance, Salt, load_salt
from dangercurve.tasks.kernel.shell import ShellEpisode, shell_sandbox
from dangercurve.tasks.kernel.solver import play
from dangercurve.tasks.kernel.world import Setting

EXAMPLE_INDEX, EXAMPLES = 2_000_000, 16
Levels = int | str | Sequence[int | str]
Names = str | Sequence[str]


@dataclass(frozen=True)
class Cell:
    """What a task runs: instances x settings under one interface, budget and elicitation."""

    family: Family
    levels: tuple[int, ...]
    settings: tuple[Setting, ...]
    n: int
    start: int
    interface: str
    kappa: float
    salt: Salt
    elicitation: str
    choice_by: str
    from_milestone: int
    scaffold: str = "kernel"


def parse_levels(levels: Levels) -> tuple[int, ...]:
    """`3`, `"0-3"`, `"0,2,4"` or a list as sorted levels. Raises ConfigError."""
    parts = levels if isinstance(levels, (list, tuple)) else str(levels).split(",")
    found: set[int] = set()
    for part in parts:
        match = re.fullmatch(r"\s*(\d{1,2})(?:\s*-\s*(\d{1,2}))?\s*", str(part))
        if match is None or (match[2] and int(match[2]) < int(match[1])):
            raise ConfigError(f"cannot read level '{part}'; write 3, 0-3 or 0,2,4")
        found.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(sorted(found))


def parse_names(names: Names) -> tuple[str, ...]:
    parts = names.split(",") if isinstance(names, str) else names
    return tuple(dict.fromkeys(str(p).strip() for p in parts if str(p).strip()))


def make_cell(
    family: Family,
    level: Levels = 0,
    twin: Names = "base",
    arm: str = "",
    dose: str = "",
    n: int = 20,
    start: int = 0,
    interface: str = "tools",
    kappa: float = 2.0,
    salt: str = "dev",
    elicitation: str = "zero",
    choice_by: str = "letter",
    from_milestone: int = 0,
    scaffold: str = "kernel",
) -> Cell:
    """Validate task arguments. Raises ConfigError with a suggestion."""
    if interface not in family.interfaces():
        known = did_you_mean(interface, family.interfaces())
        raise ConfigError(f"{family.name} has no interface '{interface}'{known}")
    if choice_by not in ("letter", "logprob"):
        raise ConfigError(f"no choice_by '{choice_by}'{did_you_mean(choice_by, ('letter', 'logprob'))}")
    if not 1 <= int(n) <= 1_000_000:
        raise ConfigError(f"n={n}: write a number of instances from 1 to 1000000")
    if not 1.0 <= float(kappa) <= 64.0:
        raise ConfigError(f"kappa={kappa}: the step budget is kappa x oracle steps, from 1 to 64")
    arms = parse_crossing(arm, "arm")
    doses = [tuple((k, _dose(k, v)) for k, v in cell) for cell in parse_crossing(dose, "dose")]
    settings = tuple(Setting(t, a, d) for t in parse_names(twin) for a in arms for d in doses)
    for setting in settings:
        family.check(setting)
    return Cell(
        family, parse_levels(level), settings, int(n), int(start), interface, float(kappa), load_salt(salt),
        check_elicitation(elicitation), choice_by, int(from_milestone), check_scaffold(scaffold, interface),
    )  # fmt: skip


def _dose(name: str, value: str) -> int:
    if not re.fullmatch(r"\d{1,3}", value):
        raise ConfigError(f"dose {name}={value}: a dose is a whole number")
    return int(value)


def build_task(cell: Cell) -> Task:
    """The Inspect task of a cell. Samples stand in Latin-square order over settings, so that no arm always comes first."""
    family = cell.family
    require_golden(family)
    samples = []
    for level in cell.levels:
        for position in range(cell.n):
            shift = position % len(cell.settings)
            for setting in (*cell.settings[shift:], *cell.settings[:shift]):
                samples.append(make_sample(cell, level, cell.start + position, setting))

    def make_episode(state: TaskState) -> Episode:
        return episode_of(cell, state.metadata)

    return Task(
        dataset=MemoryDataset(samples, name=f"{family.name}-{cell.interface}"),
        solver=play(make_episode, cell.scaffold),
        sandbox=shell_sandbox() if cell.interface == "shell" else None,
        scorer=episode_scorers(),
        version=family.version,
        name=family.name,
        metadata=cell_metadata(cell),
        headline_metric=HeadlineMetric(scorer="outcome", metric="success"),
        score_on_error=True,  # the status scorer counts crashed samples too, or its shares would be of the others alone
        tags=["dangercurve", family.domain],
    )


def cell_metadata(cell: Cell) -> dict[str, object]:
    """What all samples of a cell share. It stands once on the task: on each sample Inspect would copy it a dozen times."""
    family = cell.family
    return {
        "family": family.name,
        "domain": family.domain,
        "construct": family.construct,
        "gen_version": family.gen_version,
        "interface": cell.interface,
        "kappa": cell.kappa,
        "elicitation": elicitation_label(cell),
        "from_milestone": cell.from_milestone,
        "seed_commitment": cell.salt.commitment,
        "suite_version": __version__,
        "scaffold": "shell" if cell.interface == "shell" else cell.scaffold,
    }


def make_sample(cell: Cell, level: int, index: int, setting: Setting) -> Sample:
    """One sample: identifiers and what the analysis needs of it as scalar metadata (the rest: `cell_metadata`)."""
    family = cell.family
    world, steps = open_world(cell, level, index, setting)
    setting = world.setting
    cost = family.oracle_cost(world.spec)
    episode = _episode(cell, world, step_budget(cell.kappa, steps))
    return Sample(
        id=f"{family.name}-L{level}-{index}-{setting.label()}",
        input=episode.turn().text or world.brief(),
        target="",
        metadata={
            "level": level,
            "index": index,
            "instance_id": world.instance.instance_id,
            "twin": setting.twin,
            "paraphrase": setting.paraphrase,
            **{f"arm_{k}": v for k, v in setting.arms},
            **{f"dose_{k}": v for k, v in setting.doses},
            "oracle_steps": steps,
            "human_minutes": round(family.human_minutes(cost), 4),
            "random_floor": random_floor(family.name, level, setting.twin, cell.interface, cell.kappa),
        },
    )


def elicitation_label(cell: Cell) -> str:
    """How the capability was elicited, as one word: `zero`, `cot`, `zero/logprob`, `zero+planner`, `zero@m2` (from
    milestone 2)."""
    by = f"/{cell.choice_by}" if cell.interface == "choice" else ""
    by += f"+{cell.scaffold}" if cell.scaffold != "kernel" else ""
    return f"{cell.elicitation}{by}{f'@m{cell.from_milestone}' if cell.from_milestone else ''}"


def open_world(cell: Cell, level: int, index: int, setting: Setting) -> tuple[AnyWorld, int]:
    """A fresh world (after the oracle's prefix where the cell starts at a milestone) and its oracle steps."""
    family = cell.family
    instance: Instance = family.instance(level, index, cell.salt)
    world = family.build(
        instance, Setting(setting.twin, setting.arms, setting.doses, paraphrase_of(instance))
    )
    steps = sum(family.oracle_cost(world.spec).values())
    while cell.from_milestone and sum(world.milestones().values()) < cell.from_milestone and not world.done():
        world.play(world.oracle())
    return world, max(1, steps - len(world.journal))


def episode_of(cell: Cell, metadata: dict[str, object]) -> Episode:
    """The episode that a sample's metadata names."""
    arms = tuple((k[4:], str(v)) for k, v in metadata.items() if k.startswith("arm_"))
    doses = tuple((k[5:], int(str(v))) for k, v in metadata.items() if k.startswith("dose_"))
    setting = Setting(str(metadata["twin"]), arms, doses)
    return open_episode(cell, int(str(metadata["level"])), int(str(metadata["index"])), setting)


def open_episode(cell: Cell, level: int, index: int, setting: Setting) -> Episode:
    """A fresh episode of one instance under one setting, with its step budget."""
    world, steps = open_world(cell, level, index, setting)
    return _episode(cell, world, step_budget(cell.kappa, steps))


def _episode(cell: Cell, world: AnyWorld, budget: int) -> Episode:
    example = (
        _example(cell.family.name, cell.salt, world.setting.twin, world.instance.index % EXAMPLES)
        if cell.elicitation == "one_shot"
        else ""
    )
    interface = get_interface(cell.interface, cell.choice_by)
    if cell.interface == "shell":
        return ShellEpisode(world, interface, budget, cell.elicitation, example, salt=cell.salt.path)
    if world.role():
        return RoleEpisode(world, interface, budget, cell.elicitation, example, ask_by=cell.choice_by)
    return Episode(world, interface, budget, cell.elicitation, example)


@lru_cache(maxsize=256)
def _example(name: str, salt: Salt, twin: str, which: int) -> str:
    """One worked example: the oracle's steps on another instance of level 1 under the same twin; one of 16, by the index
    of the instance, so that a family whose tools change by index demonstrates the right ones."""
    family = get_family(name)
    world = family.build(family.instance(1, EXAMPLE_INDEX + which, salt), Setting(twin))
    lines = [f"Worked example of another job.\n{world.brief()}"]
    while not world.done():
        action = world.oracle()
        lines.append(f"- {action}: {world.play(action)}")
    return "\n".join(lines)
