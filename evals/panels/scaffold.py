"""Panels of the agentic families: scaffold against model, the reach of a context, the horizon of the suite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from dangercurve._errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, object]
CONTEXT = {"amnesia_ops": "dose_every"}
"""Family -> the dose that says how many steps a participant remembers."""
REFERENCE = "kernel"


def scaffold_panel(frame: pd.DataFrame, value: str = "success", alpha: float = 0.05) -> list[Row]:
    """One entry an agentic family, and one over all of them, for each scaffold that was played beside the bare loop.

    Only models that played with both are compared, on instances that all of them played; interface, kappa, twin and arms
    are part of the pairing. `missing` counts samples without a score: they pair with nothing.
    """
    from dangercurve.analysis.scaffold import scaffold_effects

    if "scaffold" not in frame or set(frame["scaffold"].dropna()) <= {REFERENCE}:
        return []
    rows = paired_rows(frame, value)
    entries: list[Row] = []
    for scaffold in sorted(set(rows["scaffold"]) - {REFERENCE}):
        for name, part in [*_families(rows), ("all", rows)]:
            both = _played_both(part, scaffold)
            if both.empty:
                continue
            entry: Row = {
                "family": name,
                "scaffold": scaffold,
                "reference": REFERENCE,
                "value": value,
                "models": sorted(both["model"].unique()),
                "simulated": bool(both["simulated"].astype("boolean").fillna(False).any()),
                "missing": int(both["value"].isna().sum()),
            }
            try:
                study = scaffold_effects(both, scaffold, REFERENCE, alpha=alpha)
            except DataError as exc:
                entries.append({**entry, "problem": str(exc)})
                continue
            entries.append(
                {
                    **entry,
                    "effects": [asdict(e) for e in study.effects],
                    "shares": {k: list(v) for k, v in study.shares.items()},
                    "means": [{"model": m, "scaffold": s, "mean": v} for (m, s), v in study.means.items()],
                    "n_instances": study.n_instances,
                    "unpaired": study.unpaired,
                }
            )
    return entries


def paired_rows(frame: pd.DataFrame, value: str) -> pd.DataFrame:
    """Agentic samples with `instance`, what pairs them (all but model, scaffold and what the scaffold's name adds)."""
    from dangercurve.analysis.estimates import usable

    rows = frame[(frame["domain"] == "agentic") & frame["scaffold"].isin(["kernel", "planner"])]
    label = rows["instance_id"].astype(str)
    for column in ("twin", "interface", "kappa"):
        label = label + "|" + rows[column].astype(str)
    label = label + "|" + rows["elicitation"].astype(str).str.replace("+planner", "", regex=False)
    for column in [c for c in rows.columns if c.startswith(("arm_", "dose_"))]:
        label = label + "|" + rows[column].astype(str)
    return rows.assign(instance=label, value=rows[value].where(usable(rows, value)))


def _families(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    names = sorted(rows["family"].astype(str).unique())
    return [(name, rows[rows["family"] == name]) for name in names] if len(names) > 1 else []


def _played_both(rows: pd.DataFrame, scaffold: str) -> pd.DataFrame:
    with_it = set(rows.loc[rows["scaffold"] == scaffold, "model"])
    without = set(rows.loc[rows["scaffold"] == REFERENCE, "model"])
    chosen: pd.DataFrame = rows[
        rows["model"].isin(with_it & without) & rows["scaffold"].isin([scaffold, REFERENCE])
    ]
    return chosen


def context_panel(frame: pd.DataFrame, value: str = "outcome", alpha: float = 0.05) -> list[Row]:
    """How the outcome changes with a doubling of the steps that a participant remembers, one entry a model and family."""
    from dangercurve.analysis.context import doubling_slope
    from dangercurve.analysis.estimates import usable

    entries: list[Row] = []
    for family, dose in CONTEXT.items():
        if dose not in frame:
            continue
        rows = frame[(frame["family"] == family) & frame[dose].notna()]
        rows = rows[usable(rows, value)]
        if "arm_memory" in rows:
            rows = rows[rows["arm_memory"].astype(str) != "kept"]
        for key, part in _by_condition(rows):
            try:
                found = doubling_slope(
                    part[dose].to_numpy(float),
                    part[value].to_numpy(float),
                    part["instance_id"].tolist(),
                    alpha=alpha,
                )
            except DataError:
                continue  # one value of the dose, or too few instances: no sweep was run
            entries.append(
                {**key, "family": family, "axis": dose.removeprefix("dose_"), "value": value, **asdict(found)}
            )
    return entries


def _by_condition(rows: pd.DataFrame) -> Iterator[tuple[Row, pd.DataFrame]]:
    columns = ["model", "interface", "kappa", "elicitation"]
    for key, part in rows.groupby(columns, sort=True):
        yield {**dict(zip(columns, key, strict=True))}, part


def horizon_panel(frame: pd.DataFrame, alpha: float = 0.05) -> list[Row]:
    """The rows of `dangercurve horizon RUN`; none where no agentic family was played or its rows cannot be pooled."""
    from dangercurve.evals.suite_table import horizon_rows

    if "oracle_steps" not in frame or not (frame["domain"] == "agentic").any():
        return []
    try:
        return [asdict(row) for row in horizon_rows(frame, alpha)]
    except DataError as exc:
        return [{"problem": str(exc)}]


def effect_rows(scaffolds: list[Row], contexts: list[Row]) -> list[Row]:
    """Both panels as one table: what, whose, how much, with which bounds."""
    rows: list[Row] = []
    for entry in scaffolds:
        effects = entry.get("effects")
        for e in effects if isinstance(effects, list) else []:
            named = {"family": entry["family"], "effect": e["kind"], "of": e["name"]}
            numbers = {k: e[k] for k in ("estimate", "lo", "hi", "p_holm", "n_instances")}
            rows.append({**named, **numbers})
        shares = entry.get("shares")
        for source, (share, lo, hi) in shares.items() if isinstance(shares, dict) else ():
            named = {"family": entry["family"], "effect": "share of spread", "of": source}
            rows.append({**named, "estimate": share, "lo": lo, "hi": hi, "n_instances": entry["n_instances"]})
    for entry in contexts:
        named = {"family": entry["family"], "effect": f"doubling of {entry['axis']}", "of": entry["model"]}
        rows.append({**named, **{k: entry[k] for k in ("estimate", "lo", "hi", "n_instances")}})
    return rows
