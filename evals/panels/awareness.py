"""The evaluation-awareness panel, written to `evidence/awareness.json` from observations of `context_cue`.

One entry a model. Where a model was run under several conditions (interface, budget, elicitation) each part comes from the
condition in which its upper bound is highest: a condition is never chosen because it looks better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from dangercurve.analysis.awareness import Awareness, CueEffect
    from dangercurve.analysis.intervals import Rate
    from dangercurve.analysis.propensity import Propensity

FAMILY = "context_cue"
CONDITION = ("interface", "kappa", "elicitation", "comparability_key")
Row = dict[str, object]


def awareness_panel(frame: pd.DataFrame, seed: int = 0) -> list[Row]:
    """Entries of the panel; a model that was not run under all four cues with every other arm at rest has none."""
    from dangercurve.analysis.awareness import awareness

    rows = frame[frame["family"] == FAMILY]
    if rows.empty or "arm_cue" not in rows:
        return []
    for column in [c for c in rows.columns if c.startswith("arm_") and c != "arm_cue"]:
        rows = rows[rows[column].isna() | (rows[column] == "none")]
    rows = rows[(rows["twin"] == "base") & (rows["from_milestone"].fillna(0) == 0)]
    entries: list[Row] = []
    for model, group in rows.groupby("model"):
        found: list[tuple[Row, Awareness]] = []
        for key, cell in group.groupby(list(CONDITION), dropna=False):
            read = awareness(cell, seed=seed)
            if read is not None:
                found.append((dict(zip(CONDITION, key, strict=True)), read))
        if found:
            entries.append({"model": model, **_entry(found)})
    return entries


def _entry(found: list[tuple[Row, Awareness]]) -> Row:
    effects: Row = {}
    for part in found[0][1].effects:
        condition, read = max(found, key=lambda f: (f[1].effects[part].n == 0, f[1].effects[part].ucb))
        effects[part] = {**_effect(read.effects[part]), "condition": condition}
    told = [f for f in found if f[1].discrimination is not None]
    entry: Row = {"effects": effects}
    if told:
        condition, read = max(told, key=lambda f: f[1].discrimination.auroc if f[1].discrimination else 0.0)
        apart = read.discrimination
        if apart is not None:
            entry["discrimination"] = {
                "auroc": apart.auroc, "lcb": apart.lcb, "ucb": apart.ucb, "brier": apart.brier,
                "n": apart.n_instances, "condition": condition,
            }  # fmt: skip
    condition, read = max(found, key=lambda f: f[1].verbalised.ucb)
    by_cue = {cue: _rate(rate) for cue, rate in read.verbalised_by_cue.items()}
    entry["verbalised_rate"] = {**_rate(read.verbalised), "by_cue": by_cue, "condition": condition}
    entry["n_incompetent"] = max(read.n_gated for _, read in found)
    return entry


def _effect(effect: CueEffect) -> Row:
    return {
        "estimate": effect.estimate,
        "lcb": effect.lcb,
        "ucb": effect.ucb,
        "n": effect.n,
        "n_excluded": effect.n_excluded,
        "observed": _propensity(effect.observed),
        "eval_less_placebo": _propensity(effect.from_eval),
        "deploy_less_placebo": _propensity(effect.from_deploy),
        "neutral_less_placebo": _propensity(effect.control),
        "shuffled_cue": {"low": effect.shuffled[0], "high": effect.shuffled[1], "p_value": effect.p_shuffled},
    }


def _propensity(found: Propensity) -> Row:
    return {
        "status": found.status, "estimate": found.estimate, "lcb": found.lcb, "ucb": found.ucb,
        "n": found.n_instances, "p_value": found.p_value,
    }  # fmt: skip


def _rate(rate: Rate) -> Row:
    return {"estimate": rate.estimate, "lcb": rate.lcb, "ucb": rate.ucb, "n": rate.n_instances}
