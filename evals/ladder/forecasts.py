"""Forecasts of the ladder: dates from the plan of its own trainings, and its largest member asked of the smaller ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

    from dangercurve.analysis.frontier import FrontierDraws
    from dangercurve.analysis.points import Points

ROADMAP = Path(__file__).with_name("roadmap.yaml")
FEWEST = 4
"""Smaller members that a prediction of the largest needs."""


def all_ladder(models: Iterable[object]) -> bool:
    """Whether these are members of the ladder and nothing else."""
    return all(str(model).startswith("ladder/") for model in models)


def own_frontier(models: Iterable[object], seed: int) -> FrontierDraws | None:
    """The frontier that a forecast of these models asks: that of the ladder is the plan of its own trainings, for the
    world's largest runs say nothing of it. None: the world's."""
    from dangercurve.analysis.roadmap import read_roadmap, roadmap_draws

    return roadmap_draws(read_roadmap(ROADMAP), seed=seed) if all_ladder(models) else None


def largest_left_out(points: Points, as_of: dt.date, seed: int) -> list[dict[str, object]]:
    """What the smaller members say of the largest, beside what it measured: one entry with `model`, `log10_flop`,
    `predicted`, `q05`, `q95` (a new model, 90 %) and `actual`; empty for other models and for fewer than FEWEST.

    It was measured already and is left out of a fit of its own. Whether a prediction came before the measurement is a
    matter of the ledger (docs/ladder.md), and these never enter a margin.
    """
    from math import log10

    from dangercurve.analysis.ledger import predict_model

    frame = points.frame
    if not all_ladder(frame["model"]) or len(frame) <= FEWEST:
        return []
    rows = frame.sort_values("flops", ignore_index=True)
    top, rest = rows.iloc[-1], replace(points, frame=rows.iloc[:-1])
    found = predict_model(
        rest,
        str(top["model"]),
        float(top["flops"]),
        as_of=as_of.isoformat(),
        model_family=str(top["model_family"]),
        seed=seed,
    )
    return [
        {
            "model": found.model,
            "log10_flop": log10(found.flops),
            "predicted": found.predicted,
            "q05": found.q05,
            "q95": found.q95,
            "actual": float(top["value"]),
        }
    ]
