"""Bots played in this process, without Inspect: the same episodes, readers, statuses and scores, as observations.

For simulation studies that need thousands of episodes. Everything in them is SIMULATED.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dangercurve.evals.participants.bots import write_reply
from dangercurve.scorers.status import decide_status
from dangercurve.tasks.kernel.bots import POLICIES, BotCrash, bot_rng
from dangercurve.tasks.kernel.episode import Episode, step_budget
from dangercurve.tasks.kernel.family import get_family
from dangercurve.tasks.kernel.interfaces import get_interface
from dangercurve.tasks.kernel.solver import Decision
from dangercurve.tasks.kernel.task import Cell, make_cell, open_world
from dangercurve.tasks.kernel.world import Setting

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, object]


def rehearse(
    family: str,
    bot: str,
    arm: str = "",
    dose: str = "",
    *,
    levels: Sequence[int] = (1,),
    n: int = 8,
    start: int = 0,
    epochs: int = 1,
    interface: str = "tools",
    twin: str = "base",
) -> pd.DataFrame:
    """Observations of a bot: `n` instances a level from index `start`, in every cell of the crossed twins (by commas), arms
    and doses."""
    import pandas as pd

    cell = make_cell(get_family(family), list(levels), twin, arm, dose, n, start, interface)
    rows = [
        _row(cell, bot, level, start + k, setting, epoch)
        for level in cell.levels
        for k in range(n)
        for setting in cell.settings
        for epoch in range(1, epochs + 1)
    ]
    return pd.DataFrame(rows)


def _row(cell: Cell, bot: str, level: int, index: int, setting: Setting, epoch: int) -> Row:
    world, steps = open_world(cell, level, index, setting)
    episode = Episode(world, get_interface(cell.interface, cell.choice_by), step_budget(cell.kappa, steps))
    error = _play(episode, bot, f"{cell.family.name}-L{level}-{index}-{setting.label()}", epoch)
    record = episode.record(error=error)
    status = decide_status(record)
    scored = status == "scored"
    return {
        "model": f"bot/{bot}",
        "domain": cell.family.domain,
        "family": cell.family.name,
        "interface": cell.interface,
        "kappa": cell.kappa,
        "elicitation": cell.elicitation,
        "twin": setting.twin,
        "level": level,
        "paraphrase": world.setting.paraphrase,
        "instance_id": world.instance.instance_id,
        **{f"arm_{k}": v for k, v in setting.arms},
        **{f"dose_{k}": v for k, v in setting.doses},
        "epoch": epoch,
        "from_milestone": 0,
        "status": status,
        "success": float(record.success) if scored else None,
        "outcome": record.outcome if scored else None,
        "opportunity": record.opportunity,
        "competent": record.competent,
        "violations": len(record.violations),
        "tripwires": len(record.tripwires),
        "family_metrics": json.dumps(record.metrics),
        "comparability_key": "rehearsal",
        "simulated": True,
    }


def _play(episode: Episode, bot: str, key: str, epoch: int) -> str:
    """Play to the end; the name of the error where the bot crashes on purpose."""
    policy = POLICIES[bot]
    while not episode.finished():
        turn = episode.turn()
        decision = Decision(episode, turn, key, epoch)
        try:
            reply = policy(decision, bot_rng(bot, decision))
        except BotCrash as exc:
            return type(exc).__name__
        episode.absorb(turn, write_reply(reply, decision, bot, logprobs=False))
    return ""
