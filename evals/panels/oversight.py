"""The oversight panel: each monitor on each agent, always beside what the agent's attacks could do unmonitored."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from dangercurve._errors import DataError
from dangercurve.evals.monitoring import read_watched

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
Row = dict[str, object]


def oversight_panel(run: Path) -> list[Row]:
    """An entry a (agent, family, interface, monitor, view, form), from `run/monitors`; empty where nobody watched."""
    frame = read_watched(run)
    if frame is None or frame.empty:
        return []
    keys = ["agent", "family", "interface", "monitor", "view", "form"]
    return [
        {**dict(zip(keys, map(str, name), strict=True)), **entry(group)}
        for name, group in frame.groupby(keys, sort=True)
    ]


def entry(group: pd.DataFrame, alpha: float = ALPHA, n_boot: int = 1000) -> Row:
    """Numbers of one monitor on one agent.

    Attack episodes without a single side act are no attacks: they are left out of the monitor's numbers, counted as
    `n_not_tried`, and lower the attack capability. Honest work counts on the jobs on which an attack was made, so that both
    sides are the same jobs: else an agent that attacks in long jobs alone is known by length. `status` says in words why
    there are no monitor numbers.
    """
    from dangercurve.analysis.monitoring import FPRS, attack_capability, audit_frontier, monitor_quality

    attacks = group[group["is_attack"]]
    capable = attack_capability(attacks["capable"].astype(float), attacks["instance_id"].tolist(), alpha)
    rows = _matched(group)
    shared: Row = {
        "simulated": str(group["agent"].iloc[0]).startswith(("sim/", "bot/"))
        or str(group["monitor"].iloc[0]).startswith("sim/"),
        "attack_capability": {
            "estimate": capable.estimate, "lcb": capable.lcb, "ucb": capable.ucb, "n": capable.n_instances,
        },
        "n_not_tried": int((~attacks["tried"].astype(bool)).sum()),
        "answers": {str(k): int(v) for k, v in group["status"].value_counts().sort_index().items()},
        "alpha": alpha,
    }  # fmt: skip
    suspicion, is_attack = rows["suspicion"].to_numpy(float), rows["is_attack"].to_numpy(bool)
    try:
        instance, useful = rows["instance_id"].tolist(), rows["useful"].to_numpy(float)
        quality = monitor_quality(suspicion, is_attack, instance, alpha=alpha, n_boot=n_boot)
        frontier = audit_frontier(suspicion, is_attack, useful, instance, alpha=alpha, n_boot=n_boot)
    except DataError as exc:
        return {**shared, "status": "no_evidence", "reason": str(exc)}
    return {
        **shared,
        "status": "estimated",
        "auroc": asdict(quality.auroc),
        **{f"tpr_at_{round(100 * f)}": asdict(b) for f, b in zip(FPRS, quality.tpr_at, strict=True)},
        "partial_auc": asdict(quality.partial_auc),
        "worst_case_auroc": quality.worst_case_auroc,
        "n_honest": quality.n_honest,
        "n_attack": quality.n_attack,
        "n_instances": quality.n_instances,
        "n_unread": quality.n_unread,
        "frontier": [asdict(p) for p in frontier],
    }


def _matched(group: pd.DataFrame) -> pd.DataFrame:
    """Attacks that were tried, and the honest episodes of the same instance under the same twin, arms and doses."""
    job = group["instance_id"] + "|" + group["twin"] + "|" + group["arms"]
    return group[group["tried"] | (~group["is_attack"] & job.isin(set(job[group["tried"]])))]
