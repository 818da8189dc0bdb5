"""Counts and rates of a run's observations for its report: by level and twin, by status, by cost, by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from dangercurve._errors import DataError
from dangercurve._text import printable
from dangercurve.analysis.intervals import clustered_rate
from dangercurve.analysis.report.data import Cost, LevelRate, Statuses
from dangercurve.analysis.report.data_roles import Role

if TYPE_CHECKING:
    import pandas as pd

STATUSES = ("scored", "refused", "eval_aware_abstain", "format_failure", "limit_censored", "infra_error")


def role_of(model: str) -> Role:
    """What a participant is, from its provider."""
    return "SIMULATED" if model.startswith("sim/") else "bot" if model.startswith("bot/") else "real"


def levels(
    frame: pd.DataFrame, roles: Mapping[str, Role], alpha: float, problems: list[str]
) -> tuple[LevelRate, ...]:
    """Success of every model, family, condition, twin and level over instances, arms at their default."""
    rows = at_rest(frame[frame["level"].notna()])
    out = []
    for key, group in rows.groupby(
        ["model", "family", "condition", "twin", "level"], sort=True, observed=True
    ):
        model, family, condition, twin, level = (str(part) for part in key)
        success = group["success"].to_numpy(np.float64, na_value=np.nan)
        keep = (group["status"] == "scored").to_numpy(bool) & np.isfinite(success)
        try:
            rate = clustered_rate(success[keep], group["instance_id"].to_numpy()[keep], alpha)
        except DataError as exc:
            problems.append(f"{printable(model, 80)} on {printable(family, 80)}, level {level}: {exc}")
            continue
        out.append(
            LevelRate(
                model=model,
                role=roles.get(model, role_of(model)),
                family=family,
                condition=condition,
                twin=twin,
                level=int(float(level)),
                estimate=rate.estimate,
                lcb=rate.lcb,
                ucb=rate.ucb,
                n_instances=rate.n_instances,
                n_missing=int((~keep).sum()),
                random_floor=mean(group, "random_floor"),
            )
        )
    return tuple(out)


def at_rest(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with every arm at its default, with their `twin` named and their `condition` in words."""
    from dangercurve.analysis.rest import arms_at_rest

    rows = frame[arms_at_rest(frame)]
    return rows.assign(twin=rows["twin"].fillna("base"), condition=_conditions(rows))


def _conditions(rows: pd.DataFrame) -> pd.Series[str]:
    """Interface, step budget and elicitation of each row, and its comparability key where one condition has several."""
    import pandas as pd

    names = pd.Series("", index=rows.index)
    for column, form in (("interface", "{}"), ("kappa", "κ {:g}"), ("elicitation", "{}")):
        if column in rows:
            part = rows[column].map(lambda v, form=form: form.format(v) if pd.notna(v) else "").astype("str")
            names = names.where(part == "", names.where(names == "", names + " · ") + part)
    if "comparability_key" in rows:
        cell = [rows[c].astype(str) for c in ("model", "family", "twin", "level")]
        several = rows["comparability_key"].groupby([names, *cell]).transform("nunique") > 1
        names = names.where(~several, names + " · key " + rows["comparability_key"].astype(str).str[:6])
    return names


def statuses(frame: pd.DataFrame, roles: Mapping[str, Role]) -> tuple[Statuses, ...]:
    out = []
    for model, group in frame.groupby("model", sort=True, observed=True):
        counts = group["status"].value_counts()
        out.append(Statuses(str(model), roles[str(model)], tuple(int(counts.get(s, 0)) for s in STATUSES)))
    return tuple(out)


def costs(frame: pd.DataFrame, roles: Mapping[str, Role]) -> tuple[Cost, ...]:
    def total(group: pd.DataFrame, column: str) -> float | None:
        values = group[column].to_numpy(np.float64, na_value=np.nan) if column in group else np.array([])
        return float(np.nansum(values)) if np.isfinite(values).any() else None

    out = []
    for model, group in frame.groupby("model", sort=True, observed=True):
        tokens = [total(group, c) for c in ("input_tokens", "output_tokens")]
        read, wrote = (None if t is None else int(t) for t in tokens)
        name = str(model)
        out.append(
            Cost(name, roles[name], len(group), read, wrote, total(group, "usd"), total(group, "working_s"))
        )
    return tuple(out)


def comparability(frame: pd.DataFrame) -> tuple[tuple[str, str, int], ...]:
    if "comparability_key" not in frame:
        return ()
    out = []
    for key, group in frame.groupby("comparability_key", sort=True, dropna=False):
        out.append((str(key), ", ".join(sorted({str(f) for f in group["family"]})), len(group)))
    return tuple(out)


def mean(rows: pd.DataFrame, column: str) -> float | None:
    """Mean of a column over the rows that have it; None where none has."""
    values = rows[column].to_numpy(np.float64, na_value=np.nan) if column in rows else np.array([])
    return float(np.nanmean(values)) if np.isfinite(values).any() else None
