"""What `dangercurve fit --axes` does: training compute, test-time compute, scaffold and other axes told apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dangercurve._errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

LOG2_AXES = {"test_time_tokens": "test-time tokens", "context_length": "context length"}
MULTIPLIERS = ("algorithmic_efficiency", "data_quality")
UNITS = {
    "training": "a tenfold of training FLOP",
    "test-time tokens": "a doubling",
    "context length": "a doubling",
    "over-training": "a tenfold of tokens a parameter",
}
COLUMNS = (
    "benchmark",
    "modality",
    "compute",
    "axis",
    "unit",
    "estimate",
    "lo",
    "hi",
    "in_training_oom",
    "n_rows",
    "n_families",
)


@dataclass(frozen=True)
class AxesFit:
    """One row a benchmark, modality, reading of compute, and axis; effects in logits with 90 % intervals."""

    rows: list[dict[str, object]]
    notes: tuple[str, ...]


def fit_axes(
    frame: pd.DataFrame, benchmarks: Sequence[str], reference_scaffold: str | None = None
) -> AxesFit:
    """Decompose the scores of each benchmark; benchmarks and modalities are never pooled.

    Columns beside those of a score table, each optional: test_time_tokens, scaffold, context_length, N and D
    (over-training), modality, algorithmic_efficiency and data_quality (they add the variant `effective`). A model may
    have many rows here, one a setting. Rows that lack an axis that others have are left out and counted. Raises
    DataError where nothing can be told apart.
    """
    table, notes = _checked(frame)
    known = sorted(table["benchmark"].unique())
    for name in benchmarks:
        if name not in known:
            raise ConfigError(f"no benchmark '{name}'{did_you_mean(name, known)}")
    rows: list[dict[str, object]] = []
    for name in benchmarks or known:
        for modality, part in table[table["benchmark"] == name].groupby("modality", sort=True):
            label = f"{name}, {modality!s}" if modality else str(name)
            try:
                found, said = _decompose(part, reference_scaffold)
            except DataError as exc:
                notes.append(f"{label}: {exc}")
                continue
            notes += [f"{label}: {line}" for line in said]
            rows += [{"benchmark": name, "modality": modality or None, **row} for row in found]
    if not rows:
        raise DataError(f"no benchmark can be decomposed: {notes[-1] if notes else 'no rows'}")
    return AxesFit(rows, tuple(notes))


def _checked(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The score table's own checks row by row (a model has many rows here), with the axes' columns beside it."""
    import pandas as pd

    from dangercurve.analysis.scores import ALIASES, refuse_runs, validate_scores
    from dangercurve.analysis.scores import COLUMNS as SCORE_COLUMNS

    used = {*SCORE_COLUMNS, *ALIASES, *LOG2_AXES, *MULTIPLIERS, "scaffold", "modality"}
    frame = frame[[c for c in frame.columns if c in used]]
    settings = [c for c in frame.columns if c != "score"]
    if "score" in frame:
        refuse_runs(frame.assign(score=pd.to_numeric(frame["score"], errors="coerce")), settings)
    data = frame.drop_duplicates().reset_index(drop=True)
    notes = [f"{len(frame) - len(data)} copies of rows dropped"] if len(data) < len(frame) else []
    if settings and (unlike := int(data.duplicated(settings).sum())):
        notes.append(
            f"{unlike} rows repeat a model and setting with another score: each counts as a row of its own"
        )
    if "model" not in data:
        raise DataError(f"the table has no column 'model'{did_you_mean('model', map(str, data.columns))}")
    names: list[str] = data["model"].astype("string").fillna("").tolist()
    marked = data.assign(model=[f"{m}#{i}" if m else "" for i, m in enumerate(names)])
    checked = validate_scores(marked)
    notes += [flag for flag in checked.flags if "rows dropped" not in flag]
    notes += [f"row {d.row} ({d.benchmark}): {d.reason}" for d in checked.dropped]
    out = checked.frame.copy()
    at = out["model"].str.rsplit("#", n=1).str[1].astype(int).to_numpy()
    out["model"] = [names[i] for i in at]
    for column in (*LOG2_AXES, *MULTIPLIERS):
        if column in data:
            value = pd.to_numeric(data[column], errors="coerce").to_numpy(float)[at]
            out[column] = pd.Series(value, index=out.index).where(lambda v: (v > 0) & (v < float("inf")))
    if "scaffold" in data:
        out["scaffold"] = data["scaffold"].astype("string").fillna("").to_numpy()[at]
    modality = data["modality"].astype("string").fillna("unknown") if "modality" in data else None
    out["modality"] = "" if modality is None else modality.to_numpy()[at]
    return out, notes


def _decompose(part: pd.DataFrame, reference: str | None) -> tuple[list[dict[str, object]], list[str]]:
    import numpy as np

    from dangercurve.analysis.axes import decompose, effective_log10, over_training
    from dangercurve.analysis.scores import chance_floor

    notes: list[str] = []
    axes = [c for c in LOG2_AXES if c in part and part[c].notna().any()]
    sizes = part["N"].notna() & part["D"].notna()
    needed = part[axes].notna().all(axis=1)
    with_size = bool((needed & sizes).sum() > 0.8 * needed.sum()) and bool(needed.any())
    if with_size:
        needed &= sizes
    elif sizes.any():
        notes.append("N or D unknown for more than a fifth of the rows: over-training is left out")
    if "scaffold" in part and (part["scaffold"] != "").any():
        needed &= part["scaffold"] != ""
    rows = part[needed]
    if len(rows) < len(part):
        notes.append(f"{len(part) - len(rows)} of {len(part)} rows lack one of the axes: left out")
    covariates = {LOG2_AXES[c]: np.log2(rows[c].to_numpy(float)) for c in axes}
    if with_size:
        covariates["over-training"] = over_training(rows["N"].to_numpy(float), rows["D"].to_numpy(float))
    for axis in [k for k, v in covariates.items() if v.size and np.ptp(v) == 0]:
        notes.append(f"{axis} does not vary: left out")
        del covariates[axis]
    kinds = rows["scaffold"].astype(str).tolist() if "scaffold" in rows else []
    scaffold = kinds if len(set(kinds)) > 1 else None
    known = rows["chance"].dropna()
    if len(rows) and rows["score"].nunique() == 1:
        notes.append(f"every score is {rows['score'].iloc[0]:g}: no effect can be seen")
    floor = chance_floor(list(rows["score"]), float(known.median()) if len(known) else float("nan"))
    physical = np.log10(rows["flops"].to_numpy(float))
    readings = {"physical": physical}
    factors = [c for c in MULTIPLIERS if c in rows and rows[c].notna().any()]
    if factors and rows[factors].notna().all().all():
        one = np.ones(len(rows))
        pair = [rows[c].to_numpy(float) if c in rows else one for c in MULTIPLIERS]
        readings["effective"] = effective_log10(rows["flops"].to_numpy(float), *pair)
    elif factors:
        notes.append("algorithmic efficiency or data quality unknown in some rows: no effective variant")
    out: list[dict[str, object]] = []
    for reading, log10_c in readings.items():
        found = decompose(
            rows["score"].to_numpy(float),
            log10_c,
            family=rows["model_family"].astype(str).tolist(),
            floor=floor,
            covariates=covariates,
            scaffold=scaffold,
            reference_scaffold=reference,
        )
        notes += [
            f"{a} and {b} move together: their effects cannot be told apart" for a, b in found.confounded
        ]
        for effect in found.effects:
            worth = 1.0 if effect.name == "training" else found.in_training_oom.get(effect.name)
            out.append(
                {
                    "compute": reading,
                    "axis": effect.name,
                    "unit": UNITS.get(effect.name, effect.unit),
                    "estimate": effect.estimate,
                    "se": effect.se,
                    "lo": effect.lo,
                    "hi": effect.hi,
                    "in_training_oom": worth,
                    "r_squared": found.r_squared,
                    "n_rows": len(rows),
                    "n_families": found.clusters,
                }
            )
    return out, notes
