"""The transparency checklist of a run: what a reader of its numbers can know about the model that they are about."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dangercurve.analysis.reading import CHECKLIST
from dangercurve.analysis.report.data import Check, LevelRate
from dangercurve.evals.run_folder import Row, number, text

if TYPE_CHECKING:
    import pandas as pd

    from dangercurve.evals.models import ModelRecord

SATURATED = 0.98
Answer = tuple[bool | None, str]


def checklist(
    subject: str | None,
    study: Mapping[str, object],
    estimates: Sequence[Row],
    levels: Sequence[LevelRate],
    frame: pd.DataFrame | None,
) -> tuple[Check, ...]:
    """`analysis.reading.CHECKLIST` answered for `subject`, each with its ground; None is not known.

    Empty without a subject.
    """
    if subject is None:
        return ()
    rows = frame[frame["model"] == subject] if frame is not None else None
    own = [r for r in estimates if r.get("model") == subject]
    answers: dict[str, Answer] = {
        **_record(subject),
        "test_time_budget": _budget(rows),
        "uncertainty": _uncertainty(own),
        "continuous_metric": _continuous(own),
        "contamination_control": _contamination(study),
        "several_benchmarks": _several(rows),
        "not_saturated": _saturation([r for r in levels if r.model == subject and r.twin == "base"]),
    }
    return tuple(Check(CHECKLIST[name], *answers.get(name, (None, "not known"))) for name in CHECKLIST)


def _record(subject: str) -> dict[str, Answer]:
    from dangercurve.evals.models import find, load_registry

    if subject.startswith("sim/"):
        return {"compute": (True, "stated in the name of the simulated model")}
    record: ModelRecord | None = find(load_registry(), subject)
    if record is None:
        nothing: Answer = (False, f"no model record of {subject}; add one with `dangercurve models`")
        return {"parameters": nothing, "tokens": nothing, "compute": nothing}
    tail = "from a source that was read" if record.verified else "from a record that nobody verified"
    tokens, flop = record.training_tokens, record.training_flop
    return {
        "parameters": (True, f"{record.params_active:,} active of {record.params_total:,}, {tail}"),
        "tokens": (tokens is not None, f"{tokens:,}, {tail}" if tokens is not None else "not published"),
        "compute": (flop is not None, f"{flop:.3g} FLOP ({record.flop_method})" if flop is not None else "not published"),
    }  # fmt: skip


def _budget(rows: pd.DataFrame | None) -> Answer:
    if rows is None or rows.empty or "kappa" not in rows or rows["kappa"].isna().all():
        return None, "no step budget in the store"
    found = sorted({f"{v:g}" for v in rows["kappa"].dropna()})
    return True, f"step budget κ = {', '.join(found)} times the oracle's steps"


def _uncertainty(own: Sequence[Row]) -> Answer:
    if not own:
        return None, "no estimate"
    bounded = [r for r in own if math.isfinite(number(r.get("lcb"))) or math.isfinite(number(r.get("ucb")))]
    return len(bounded) == len(own), f"{len(bounded)} of {len(own)} estimates have a finite bound"


def _continuous(own: Sequence[Row]) -> Answer:
    if not own:
        return None, "no estimate"
    graded = any(r.get("metric") == "mean_outcome" and math.isfinite(number(r.get("estimate"))) for r in own)
    return graded, "mean outcome beside success" if graded else "success only"


def _contamination(study: Mapping[str, object]) -> Answer:
    salt = text(study.get("salt")) or ("dev" if study else None)
    if salt is None:
        return None, "no study.yaml"
    if salt == "dev":
        return False, "instances of the public development salt: anyone can train on them"
    return True, "instances from a private salt, made for this run"


def _several(rows: pd.DataFrame | None) -> Answer:
    if rows is None or rows.empty or "construct" not in rows:
        return None, "no construct in the store"
    families = {
        str(name): sorted({str(f) for f in part["family"]}) for name, part in rows.groupby("construct")
    }
    lone = [name for name, found in families.items() if len(found) < 2]
    return not lone, f"one task family for {', '.join(lone)}" if lone else "at least two families a construct"


def _saturation(base: Sequence[LevelRate]) -> Answer:
    scored = [r for r in base if math.isfinite(r.estimate)]
    if not scored:
        return None, "nothing scored"
    full = []
    for family in sorted({r.family for r in scored}):
        top = max((r for r in scored if r.family == family), key=lambda r: r.level)
        if top.estimate >= SATURATED:
            full.append(f"{family} at its highest rung {top.level}")
    return not full, f"saturated: {', '.join(full)}" if full else "room above the highest rung"
