"""The scale study behind a forecast: one row a model, from a benchmark table or from estimates with known compute."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dangercurve._errors import DataError, did_you_mean
from dangercurve.analysis import registry
from dangercurve.analysis.latent import CurveData, error_law
from dangercurve.analysis.registry import Scale
from dangercurve.analysis.scores import ScoreTable, chance_floor, parse_dates
from dangercurve.analysis.tables import positive

Floats = NDArray[np.float64]
COLUMNS = ("model", "model_family", "flops", "flop_log10_sd", "value", "se", "n", "missing", "release_date")
WORST = (
    "worst_low",
    "worst_high",
)  # of metrics on log2: the value with missing counted as safe, and as dangerous


@dataclass(frozen=True, slots=True)
class Points:
    """`frame` has the columns COLUMNS, one row a model: `value` in the metric's unit, `n` scored items or instances
    (NaN unknown), `missing` left out. `scale` is the metric's; `family` is the task family or benchmark;
    `falls`: the metric falls as capability rises (bits to solve), so a threshold is reached from above;
    `dropped` and `flags` are for the reader."""

    frame: pd.DataFrame
    metric: str
    scale: Scale
    floor: float
    simulated: bool = False
    dropped: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    family: str = ""
    falls: bool = False

    @property
    def sha256(self) -> str:
        """Hash of the inputs in a canonical form: sorted models, twelve significant digits."""
        rows = self.frame.sort_values("model")
        columns = [*COLUMNS, *(c for c in WORST if c in rows)]
        text = rows.to_csv(index=False, float_format="%.12g", columns=columns, lineterminator="\n")
        head = f"{self.metric}\n{self.scale}\n{self.floor:.12g}\n{self.simulated}\n"
        return hashlib.sha256((head + text).encode()).hexdigest()


def points_from_scores(table: ScoreTable, benchmark: str | None = None) -> Points:
    """Points of one benchmark of a validated table. Raises DataError where the benchmark is unknown or not named."""
    names = sorted(table.frame["benchmark"].unique())
    if benchmark is None:
        if len(names) != 1:
            raise DataError(
                f"the table has {len(names)} benchmarks, which are never pooled: name one with --benchmark"
                f" ({', '.join(names[:12])}{', ...' if len(names) > 12 else ''})"
            )
        benchmark = names[0]
    if benchmark not in names:
        raise DataError(f"no benchmark '{benchmark}'{did_you_mean(benchmark, names)}")
    rows = table.frame[table.frame["benchmark"] == benchmark].reset_index(drop=True)
    chance = rows["chance"].dropna().unique()
    if len(chance) > 1:
        raise DataError(f"benchmark {benchmark} has {len(chance)} chance floors: give it one")
    floor = chance_floor(rows["score"].tolist(), float(chance[0]) if len(chance) else float("nan"))
    frame = pd.DataFrame(
        {
            "model": rows["model"],
            "model_family": rows["model_family"],
            "flops": rows["flops"].astype(float),
            "flop_log10_sd": 0.0,
            "value": rows["score"].astype(float),
            "se": np.nan,
            "n": rows["n_items"].astype(float),
            "missing": 0.0,
            "release_date": rows["release_date"],
        }
    )
    dropped = tuple(f"row {d.row} ({d.model}, {d.benchmark}): {d.reason}" for d in table.dropped)
    return Points(frame, benchmark, "logit", floor, False, dropped, tuple(table.flags), benchmark)


def points_from_horizons(frame: pd.DataFrame) -> Points:
    """Points of a table of horizons with compute: `model, model_family, flops, release_date?, p50, p50_lo?, p50_hi?`.

    `p50` in minutes, the interval 95 %; its width in log2 gives the error of a value, one doubling where it is open or
    absent. Rows without a positive p50 or FLOP and repeats of a model are dropped and listed. Raises DataError on
    missing columns.
    """
    data = frame.rename(columns={"family": "model_family"} if "model_family" not in frame else {})
    for column in ("model", "model_family", "flops", "p50"):
        if column not in data:
            raise DataError(
                f"the table of horizons has no column '{column}'{did_you_mean(column, map(str, data.columns))}"
            )
    rows, lost = positive(data, ("flops", "p50"))
    again = rows["model"].duplicated()
    lost += [f"{m}: a second row of this model" for m in rows.loc[again, "model"].astype(str)]
    rows = rows[~again].reset_index(drop=True)
    low, high = (_column(rows, name, np.nan) for name in ("p50_lo", "p50_hi"))
    known = (low > 0) & (high > low)
    ratio = np.where(known, high, 4.0) / np.where(known, low, 1.0)
    days, unread = parse_dates(rows.get("release_date"), len(rows))
    flags = (
        [f"{unread} release dates could not be read without guessing: treated as unknown"] if unread else []
    )
    if not known.all():
        flags.append(f"{int((~known).sum())} horizons without an interval: one doubling of error assumed")
    points = pd.DataFrame(
        {
            "model": rows["model"].astype(str),
            "model_family": rows["model_family"].astype(str),
            "flops": rows["flops"].astype(float),
            "flop_log10_sd": _column(rows, "flop_log10_sd", 0.0),
            "value": rows["p50"].astype(float),
            "se": np.where(known, np.log2(ratio) / (2 * 1.96), 1.0),
            "n": np.nan,
            "missing": 0.0,
            "release_date": days,
        }
    )
    return Points(points, "p50", "log2", 0.0, False, tuple(lost), tuple(flags), "horizons")


def points_from_estimates(
    estimates: pd.DataFrame, compute: pd.DataFrame, metric: str, *, floor: float = 0.0
) -> Points:
    """Points of one metric of one condition from estimates (the columns of `estimate_all`) and model compute.

    `compute`: model, model_family, training_flop, and where known flop_log10_sd, release_date. Raises DataError where
    the estimates mix conditions (family, interface, kappa, elicitation, twin, arms, comparability key): select one.
    Models without compute or without a finite estimate are dropped and listed.
    """
    rows = estimates[estimates["metric"] == metric]
    if rows.empty:
        raise DataError(f"no estimate of '{metric}'{did_you_mean(metric, estimates['metric'].astype(str))}")
    condition = [
        c
        for c in ("domain", "family", "interface", "kappa", "elicitation", "twin", "comparability_key")
        if c in rows
    ] + [c for c in rows.columns if c.startswith("arm_")]
    for column in condition:
        values = rows[column].astype(str).unique()
        if len(values) > 1:
            raise DataError(
                f"estimates of {metric} mix {len(values)} values of {column} ({', '.join(sorted(values)[:4])}): select one"
            )
    kind = registry.metric(metric)
    falls = kind.direction == "down"
    if falls and kind.scale != "linear":
        raise DataError(
            f"{metric} falls with capability on the {kind.scale} scale: forecast its rising counterpart"
        )
    table = compute.set_index("model")
    known = rows["model"].isin(table.index)
    dropped = [f"{m}: no training compute on record" for m in rows.loc[~known, "model"]]
    rows = rows[known].reset_index(drop=True)
    rows, lost, flags = _close(rows, kind.scale)
    dropped += lost
    at = table.loc[rows["model"]]
    if "modality" in at and at["modality"].nunique() > 1:
        kinds = ", ".join(sorted(at["modality"].astype(str).unique()))
        raise DataError(f"models of several modalities ({kinds}) are never pooled: select one")
    family = str(rows["family"].iloc[0]) if "family" in rows and len(rows) else ""
    frame = pd.DataFrame(
        {
            "model": rows["model"],
            "model_family": at["model_family"].to_numpy(),
            "flops": at["training_flop"].to_numpy(np.float64),
            "flop_log10_sd": _column(at, "flop_log10_sd", 0.0),
            "value": rows["value"].astype(float),
            "se": rows["se"].astype(float),
            "n": rows["n_instances"].astype(float),
            "missing": rows["n_excluded"].astype(float),
            "release_date": pd.to_datetime(at["release_date"]).to_numpy() if "release_date" in at else pd.NaT,
        }
    )
    if kind.scale == "log2":
        frame = frame.assign(**_worst(rows))
    simulated = bool(rows["simulated"].astype(bool).any()) if "simulated" in rows else False
    return Points(frame, metric, kind.scale, floor, simulated, tuple(dropped), tuple(flags), family, falls)


def curve_data(points: Points, *, log10_shift: Floats | None = None) -> CurveData:
    """Arrays for the fit. Rates with `n` take the binomial variance of the curve, else the squared standard error.

    Values of a log2 metric are taken to log2, those of a falling one change sign.
    `log10_shift` (models,) is added to log10 FLOP (effective compute).
    """
    frame = points.frame
    x = np.log10(frame["flops"].to_numpy(np.float64))
    if log10_shift is not None:
        x = x + log10_shift
    families, index = np.unique(frame["model_family"].astype(str).to_numpy(), return_inverse=True)
    value = frame["value"].to_numpy(np.float64)
    se = frame["se"].to_numpy(np.float64)
    if points.scale == "log2":
        value = np.log2(value)
    if points.falls:
        value = -value
    centre = float(np.mean(x))
    return CurveData(
        x - centre,
        value,
        index.astype(np.int64),
        tuple(str(f) for f in families),
        frame["n"].to_numpy(np.float64) if points.scale == "logit" else np.full(x.size, np.nan),
        np.where(np.isfinite(se), se, 0.01 if points.scale == "logit" else 0.0) ** 2,
        frame["flop_log10_sd"].to_numpy(np.float64),
        points.floor,
        centre,
        points.scale,
        error_law(value, se, frame["n"].to_numpy(np.float64)) if points.scale == "log2" else None,
    )


def _close(rows: pd.DataFrame, scale: Scale) -> tuple[pd.DataFrame, list[str], list[str]]:
    """A `value` for every row: the estimate, or for an open horizon the bound that is known (flagged), else dropped."""
    estimate, se, lcb, ucb = (rows[c].to_numpy(np.float64) for c in ("estimate", "se", "lcb", "ucb"))
    value = np.where(np.isfinite(estimate), estimate, np.nan)
    flags: list[str] = []
    if scale == "log2":
        value = np.where(value > 0, value, np.nan)
        above = np.isnan(value) & (lcb > 0) & np.isfinite(lcb)
        below = np.isnan(value) & ~above & np.isfinite(ucb) & (ucb > 0)
        value = np.where(above, lcb, np.where(below, ucb, value))
        se = np.where(above | below | ~np.isfinite(se), 1.0, se)
        for mask, word in ((above, "lower"), (below, "upper")):
            if mask.any():
                names = ", ".join(rows.loc[mask, "model"].astype(str))
                flags.append(f"open horizon, its {word} bound is used with one doubling of error: {names}")
    lost = np.isnan(value)
    dropped = [f"{m}: no estimate (no scored sample, or nothing identified)" for m in rows.loc[lost, "model"]]
    return rows.assign(value=value, se=se)[~lost].reset_index(drop=True), dropped, flags


def _worst(rows: pd.DataFrame) -> dict[str, Floats]:
    """The value moved as far as missing samples move its bound on that side; infinite where they leave it open."""
    out = {}
    for name, worst, bound in (
        ("worst_low", "worst_case_lcb", "lcb"),
        ("worst_high", "worst_case_ucb", "ucb"),
    ):
        if worst not in rows:
            return {}
        a, b, value = (rows[c].to_numpy(np.float64) for c in (worst, bound, "value"))
        same = (a == b) | ((b <= 0) & (a <= 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            out[name] = np.where(same, value, value * a / b)
    return out


def _column(frame: pd.DataFrame, name: str, default: float) -> Floats:
    if name not in frame:
        return np.full(len(frame), default)
    value = pd.to_numeric(frame[name], errors="coerce").to_numpy(np.float64)
    return np.where(np.isfinite(value), value, default)
