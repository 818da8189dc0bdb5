"""Success over attempts, and the subject against other models on the same instances, from a run's observations."""

from __future__ import annotations

from collections.abc import Mapping
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from dangercurve._errors import DataError
from dangercurve._text import printable
from dangercurve.analysis.compare import compare_models
from dangercurve.analysis.intervals import clustered_rate
from dangercurve.analysis.report.data_panels import Attempts, Difference
from dangercurve.analysis.report.data_roles import Role
from dangercurve.evals.reporting.counts import at_rest

if TYPE_CHECKING:
    import pandas as pd

MAX_K = 10
MAX_OTHERS = 12


def attempts(frame: pd.DataFrame, roles: Mapping[str, Role], alpha: float) -> tuple[Attempts, ...]:
    """Chance that one of k attempts succeeds, where instances of the base twin have at least two scored epochs.

    An instance with n scored epochs of which c succeeded counts as 1 - C(n - c, k) / C(n, k), the mean over all draws of
    k of its epochs without replacement (unbiased); it counts for k up to n.
    """
    if "epoch" not in frame or frame["epoch"].nunique() < 2:
        return ()
    rows = at_rest(frame)
    rows = rows[(rows["twin"] == "base") & (rows["status"] == "scored") & rows["success"].notna()]
    found = []
    for key, group in rows.groupby(["model", "family", "condition"], sort=True, observed=True):
        model, family, condition = (str(part) for part in key)
        each = group.groupby("instance_id", observed=True)["success"].agg(["size", "sum"])
        tried, won = each["size"].to_numpy(int), each["sum"].to_numpy(float).round().astype(int)
        if not len(tried) or tried.max() < 2:
            continue
        points = []
        for k in range(1, min(int(tried.max()), MAX_K) + 1):
            kept = tried >= k
            values = [
                1 - comb(int(n - c), k) / comb(int(n), k) for n, c in zip(tried[kept], won[kept], strict=True)
            ]
            rate = clustered_rate(np.array(values), np.arange(len(values)), alpha)
            points.append((k, rate.estimate, rate.lcb, rate.ucb))
        found.append(Attempts(model, roles[model], family, condition, tuple(points), len(tried)))
    return tuple(found)


def differences(
    frame: pd.DataFrame, subject: str | None, roles: Mapping[str, Role], problems: list[str]
) -> tuple[Difference, ...]:
    """Success of the subject less that of each model that played the same instances, by family; two-sided 95 %."""
    if subject is None or subject not in roles:
        return ()
    rows = at_rest(frame)
    rows = rows[rows["twin"] == "base"]
    scored = rows["status"] == "scored"
    label = rows["instance_id"].astype(str) + "|" + rows["condition"].astype(str)
    rows = rows.assign(instance=label, value=rows["success"].astype(float).where(scored))
    order = {"real": 0, "bot": 1, "SIMULATED": 2}
    others = sorted(set(roles) - {subject}, key=lambda m: (order[roles[m]], m))
    found: list[Difference] = []
    for other in others:
        shared = set(rows.loc[rows["model"] == other, "instance"]) & set(
            rows.loc[rows["model"] == subject, "instance"]
        )
        if not shared:
            continue
        if len({d.other for d in found}) >= MAX_OTHERS:
            break
        try:
            made = compare_models(rows, subject, other, by=("family",))
        except DataError as exc:
            problems.append(f"comparison with {printable(other, 80)}: {exc}")
            continue
        found += [
            Difference(subject, other, roles[other], c.group, c.difference, c.lo, c.hi, c.worst_lo, c.worst_hi, c.p_holm,
                       c.n_pairs, c.missing_a + c.missing_b)
            for c in made
            if np.isfinite(c.difference)
        ]  # fmt: skip
    return tuple(found)
