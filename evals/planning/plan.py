"""What a study will take before it starts: samples, tokens, money, time, and one full prompt a family and arm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dangercurve.evals.planning.lengths import CHARS_A_TOKEN, Length, oracle_length
from dangercurve.evals.planning.prices import Prices, load_prices, usd_text
from dangercurve.evals.study import Cell, Study, cells_of
from dangercurve.tasks.kernel.family import get_family
from dangercurve.tasks.kernel.task import make_cell, open_episode

REPLY_TOKENS = {"tools": 40, "text": 25, "choice": 2, "shell": 60}


@dataclass(frozen=True)
class PerSample:
    """Means a sample of one level: tokens in and out, model calls, and seconds of work where they were measured."""

    input_tokens: float
    output_tokens: float
    calls: float
    seconds: float | None = None


Measured = Mapping[tuple[str, str, str, int], PerSample]
"""(model, family, interface, level) to what an earlier run took (`plan_measured.measured_in`)."""


@dataclass(frozen=True)
class CellPlan:
    """One cell: its samples and instances, and what they take. `usd` and `seconds` are None where nobody knows.

    `most_*` is what it takes where every episode spends its whole step budget, kappa times the oracle's steps.

    `basis`: `measured` (all levels from an earlier run), `estimated` (episodes of the oracle), or
    `mixed`. Samples of all epochs count; instances count once.
    """

    cell: Cell
    samples: int
    instances: int
    input_tokens: int
    output_tokens: int
    calls: int
    usd: float | None
    seconds: float | None
    basis: str
    most_input_tokens: int
    most_output_tokens: int
    most_usd: float | None
    prompts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class StudyPlan:
    """All cells of a study, and their sums. Sums of money and time are over what is known; the rest is named."""

    study: Study
    cells: tuple[CellPlan, ...]
    prices: Prices

    @property
    def samples(self) -> int:
        return sum(c.samples for c in self.cells)

    @property
    def tokens(self) -> tuple[int, int]:
        return sum(c.input_tokens for c in self.cells), sum(c.output_tokens for c in self.cells)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Models without a price, sorted: what they cost is unknown, not 0."""
        return tuple(sorted({c.cell.model for c in self.cells if c.usd is None}))

    @property
    def usd(self) -> float | None:
        """What the priced cells cost; None where no cell has a price."""
        known = [c.usd for c in self.cells if c.usd is not None]
        return sum(known) if known else None

    @property
    def most_tokens(self) -> tuple[int, int]:
        return sum(c.most_input_tokens for c in self.cells), sum(c.most_output_tokens for c in self.cells)

    @property
    def most_usd(self) -> float | None:
        """`usd` where every episode spends its whole step budget."""
        known = [c.most_usd for c in self.cells if c.most_usd is not None]
        return sum(known) if known else None

    @property
    def untimed(self) -> tuple[str, ...]:
        return tuple(sorted({c.cell.model for c in self.cells if c.seconds is None}))

    @property
    def seconds(self) -> float | None:
        """Wall time of the timed cells, one after the other; None where no cell has one."""
        known = [c.seconds for c in self.cells if c.seconds is not None]
        return sum(known) if known else None


def plan_study(study: Study, prices: Prices | None = None, measured: Measured | None = None) -> StudyPlan:
    """The plan of every cell of `study`. Raises ConfigError for what no family declares."""
    table = prices or load_prices(study=study.prices)
    shapes: dict[tuple[object, ...], Estimated] = {}
    plans = []
    for cell in cells_of(study):
        key = (cell.task, tuple(sorted((k, str(v)) for k, v in cell.task_args(study.salt).items())))
        if key not in shapes:  # models that play the same cell read the same prompts
            shapes[key] = estimated(cell, study.salt)
        plans.append(_plan(cell, shapes[key], table, measured or {}))
    return StudyPlan(study, tuple(plans), table)


@dataclass(frozen=True)
class Estimated:
    """Means a sample by level: `oracle` at the oracle's length, `most` at the whole step budget; prompts by setting."""

    oracle: Mapping[int, PerSample]
    most: Mapping[int, PerSample]
    prompts: tuple[tuple[str, str], ...]


def estimated(cell: Cell, salt: str) -> Estimated:
    """What a sample takes, from playing the oracle on one instance a level and setting (`lengths.oracle_length`).

    Tokens are characters / CHARS_A_TOKEN, replies of REPLY_TOKENS each. Caching, reasoning, the calls of a planner and
    models in roles are not counted.
    """
    family = get_family(cell.task)
    kernel = make_cell(family, **{**cell.task_args(salt), "n": 1})  # type: ignore[arg-type]
    reply = REPLY_TOKENS[cell.interface]
    oracle: dict[int, PerSample] = {}
    most: dict[int, PerSample] = {}
    prompts: dict[str, str] = {}
    for level in kernel.levels:
        lengths: list[tuple[Length, int]] = []
        for setting in kernel.settings:
            episode = open_episode(kernel, level, kernel.start, setting)
            found = oracle_length(kernel, level, kernel.start, setting, reply * CHARS_A_TOKEN)
            lengths.append((found, episode.budget))
            first = episode.turn().text or episode.world.brief()
            prompts.setdefault(setting.label(), f"{episode.system()}\n---\n{first}")
        oracle[level] = _mean([(length, length.calls) for length, _ in lengths], reply)
        most[level] = _mean(lengths, reply)
    return Estimated(oracle, most, tuple(prompts.items()))


def _mean(lengths: Sequence[tuple[Length, int]], reply: float) -> PerSample:
    """The mean over settings of episodes of so many calls each."""
    calls = sum(made for _, made in lengths) / len(lengths)
    read = sum(length.read_in(made) for length, made in lengths) / len(lengths)
    return PerSample(read / CHARS_A_TOKEN, calls * reply, calls)


def _plan(cell: Cell, shape: Estimated, prices: Prices, measured: Measured) -> CellPlan:
    each = cell.samples() / len(shape.oracle)
    found = {level: measured.get((cell.model, cell.task, cell.interface, level)) for level in shape.oracle}
    chosen = [found[level] or mean for level, mean in shape.oracle.items()]
    known = sum(f is not None for f in found.values())

    def total(means: Iterable[PerSample], name: str) -> int:
        return math.ceil(each * sum(float(getattr(mean, name)) for mean in means))

    tokens_in, tokens_out, calls = (total(chosen, n) for n in ("input_tokens", "output_tokens", "calls"))
    most_in = max(tokens_in, total(shape.most.values(), "input_tokens"))
    most_out = max(tokens_out, total(shape.most.values(), "output_tokens"))
    price, speed = prices.of(cell.model), prices.speed(cell.model)
    seconds = None
    if all(m.seconds is not None for m in chosen):
        parallel = cell.max_connections or (speed.parallel if speed else 1)
        seconds = each * sum(m.seconds or 0.0 for m in chosen) / parallel
    elif speed is not None:
        seconds = calls * speed.seconds_per_call / min(speed.parallel, cell.max_connections or speed.parallel)
    return CellPlan(
        cell,
        cell.samples(),
        cell.n * len(cell.levels),
        tokens_in,
        tokens_out,
        calls,
        None if price is None else price.usd(tokens_in, tokens_out),
        seconds,
        "measured" if known == len(found) else "mixed" if known else "estimated",
        most_in,
        most_out,
        None if price is None else price.usd(most_in, most_out),
        shape.prompts,
    )


def dry_run_text(study: Study) -> str:
    """The plan as text: a prompt for each family, interface and arm, then samples, estimated tokens and cost."""
    plan = plan_study(study)
    lines: list[str] = []
    shown: set[tuple[str, str, str]] = set()
    for each in plan.cells:
        for label, prompt in each.prompts:
            key = (each.cell.task, each.cell.interface, label)
            if key not in shown:
                shown.add(key)
                lines += [f"=== {each.cell.task}, {each.cell.interface}, {label} ===", prompt, ""]
    lines.append(f"samples and tokens (estimates: oracle length, characters / {CHARS_A_TOKEN:g}, no caching)")
    for each in plan.cells:
        cell = each.cell
        lines.append(
            f"  {cell.model:40} {cell.task:18} {cell.interface:7} {each.samples:7} samples"
            f" {each.input_tokens:10} in {each.output_tokens:8} out"
        )
    tokens_in, tokens_out = plan.tokens
    lines.append(f"  total {plan.samples} samples, {tokens_in} tokens in, {tokens_out} out")
    if plan.most_usd:
        lines.append(
            f"  at most {sum(plan.most_tokens)} tokens, {usd_text(plan.most_usd)}, with whole step budgets"
        )
    lines.append(f"cost: {usd_text(plan.usd, plan.unpriced)}; prices, time and power: dangercurve plan STUDY")
    return "\n".join(lines) + "\n"
