"""What a study will cost before it starts: samples, tokens, and one full prompt a family, interface and arm."""

from __future__ import annotations

from dataclasses import dataclass

from dangercurve.evals.study import Cell, Study, cells_of
from dangercurve.tasks.kernel.family import get_family
from dangercurve.tasks.kernel.task import episode_of, make_cell, make_sample

CHARS_A_TOKEN = 3.6
REPLY_TOKENS = {"tools": 40, "text": 25, "choice": 2}


@dataclass(frozen=True)
class CellPlan:
    """Samples and *estimated* tokens of one cell, had every episode the oracle's length."""

    cell: Cell
    samples: int
    input_tokens: int
    output_tokens: int
    prompts: tuple[tuple[str, str], ...]


def plan_cell(cell: Cell, salt: str) -> CellPlan:
    """Tokens are estimated from the real prompts of one instance a level, characters / 3.6; caching is not counted."""
    family = get_family(cell.task)
    args = cell.task_args(salt)
    kernel = make_cell(family, **{**args, "n": 1})  # type: ignore[arg-type]
    read = 0.0
    prompts: dict[str, str] = {}
    for level in kernel.levels:
        for setting in kernel.settings:
            sample = make_sample(kernel, level, kernel.start, setting)
            episode = episode_of(kernel, dict(sample.metadata or {}))
            system, turn = episode.system(), episode.turn()
            first = turn.text or episode.world.brief()
            steps = int((sample.metadata or {})["oracle_steps"])
            growth = steps * (steps - 1) / 2 * 30 if cell.interface != "choice" else 0.0
            read += steps * (len(system) + len(first)) / CHARS_A_TOKEN + growth
            prompts.setdefault(setting.label(), f"{system}\n---\n{first}")
    per_sample = read / (len(kernel.levels) * len(kernel.settings))
    samples = cell.samples()
    steps_all = sum(2**level for level in kernel.levels) / len(kernel.levels)
    return CellPlan(
        cell,
        samples,
        round(per_sample * samples),
        round(steps_all * REPLY_TOKENS[cell.interface] * samples),
        tuple(prompts.items()),
    )


def dry_run_text(study: Study) -> str:
    """The plan as text: a prompt for each family, interface and arm, then samples and estimated tokens a cell."""
    plans = [plan_cell(cell, study.salt) for cell in cells_of(study)]
    lines: list[str] = []
    shown: set[tuple[str, str, str]] = set()
    for plan in plans:
        for label, prompt in plan.prompts:
            key = (plan.cell.task, plan.cell.interface, label)
            if key not in shown:
                shown.add(key)
                lines += [f"=== {plan.cell.task}, {plan.cell.interface}, {label} ===", prompt, ""]
    lines.append("samples and tokens (estimates: oracle length, characters / 3.6, no caching)")
    for plan in plans:
        cell = plan.cell
        lines.append(
            f"  {cell.model:40} {cell.task:18} {cell.interface:7} {plan.samples:7} samples"
            f" {plan.input_tokens:10} in {plan.output_tokens:8} out"
        )
    total_in, total_out = sum(p.input_tokens for p in plans), sum(p.output_tokens for p in plans)
    lines.append(f"  total {sum(p.samples for p in plans)} samples, {total_in} tokens in, {total_out} out")
    lines.append(
        "cost: multiply by your provider's prices; local, simulated and bot participants cost nothing"
    )
    return "\n".join(lines) + "\n"
