"""Observations become capability estimates: a row a model, family, metric, interface, kappa, elicitation, twin, arm.

Missing is never low: a sample whose status is not `scored` is left out of the raw estimate, counted, and imputed at the
dangerous end for `worst_case_ucb` and at the safe end for `worst_case_lcb`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from dangercurve._errors import DataError, did_you_mean
from dangercurve.analysis import registry
from dangercurve.analysis.contrasts import contrasts
from dangercurve.analysis.intervals import clustered_rate
from dangercurve.analysis.measure import success_horizon
from dangercurve.analysis.rest import arms_at_rest, label_of
from dangercurve.analysis.suite_estimates import suite_estimates
from dangercurve.analysis.survival.estimates import COLUMNS as SURVIVAL
from dangercurve.analysis.survival.estimates import Budget, survival_rows
from dangercurve.analysis.survival.observed import has_breaches

Floats = NDArray[np.float64]
STATUSES = (
    "scored",
    "refused",
    "eval_aware_abstain",
    "format_failure",
    "limit_censored",
    "infra_error",
)
KEYS = (
    "model",
    "domain",
    "family",
    "interface",
    "kappa",
    "elicitation",
    "twin",
    "comparability_key",
    "simulated",
)
COLUMNS = (
    "model",
    "domain",
    "family",
    "metric",
    "interface",
    "kappa",
    "elicitation",
    "twin",
    "scale",
    "estimate",
    "se",
    "lcb",
    "ucb",
    "alpha",
    "worst_case_lcb",
    "worst_case_ucb",
    "n_instances",
    "n_opportunity",
    "n_excluded",
    "status_shares",
    "comparability_key",
    "store_digest",
    "simulated",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of one group in the metric's own unit; `se` in log2 units for steps, else in the metric's unit."""

    estimate: float
    se: float
    lcb: float
    ucb: float
    n_instances: int


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of one group: the column it reads, its least and largest value for missing samples, its estimator."""

    column: str
    least: float
    largest: float
    estimator: Callable[[pd.DataFrame, Floats, float], Measured]


def estimate_all(
    observations: pd.DataFrame,
    *,
    alpha: float = 0.05,
    store_digest: str = "",
    budgets: Iterable[Budget] = (),
) -> pd.DataFrame:
    """Estimates of every metric that the observations have data for, in the columns COLUMNS and `arm_*`.

    `observations`: one row a sample, the columns of an Observation; required are model, family, instance_id, status and
    success. `lcb` and `ucb` each hold with 1 - alpha (one-sided); horizons may have infinite bounds. `n_instances`
    counts instances with at least one usable row, `n_excluded` the rows left out, `status_shares` (JSON) has all rows.
    Groups without one usable row are kept, with NaN estimates and the bounds that know nothing. Families with a clock
    add `survival_at` and its columns (SURVIVAL) a level, at the standard efforts and at `budgets`.
    Raises DataError on an empty frame, a missing column, an unknown status or an impossible value.
    """
    frame = _checked(observations)
    arms = sorted(c for c in frame.columns if c.startswith("arm_"))
    attacked = has_breaches(frame)
    budgets, rows = tuple(budgets), []
    for key, group in _groups(frame, [*KEYS, *arms]):
        common = {
            **key,
            "alpha": alpha,
            "store_digest": store_digest,
            "status_shares": _shares(group["status"]),
        }
        rows += [{**common, **row} for row in _measure_group(group, alpha)]
        if attacked:
            rows += [{**common, **row} for row in survival_rows(group, alpha, _shares, budgets)]
    for key, group in _groups(frame, [k for k in KEYS if k != "twin"]):
        marked = usable(group, "success")
        for found in contrasts(group, marked, alpha):
            over = found.over.split("+")
            rest = arms_at_rest(group, tuple(over))
            if "twin" in group and "twin" not in over:
                rest &= (group["twin"] == "base").to_numpy(bool)
            rows.append(
                {
                    **key,
                    **asdict(found),
                    "twin": "all" if found.over == "twin" else "base",
                    **{c: said for c in arms if (said := label_of(group[c][rest])) is not None},
                    **{column: "all" for column in over if column.startswith("arm_")},
                    "scale": registry.metric(found.metric).scale,
                    "alpha": alpha,
                    "store_digest": store_digest,
                    "status_shares": _shares(group["status"][rest]),
                }
            )
    plain = {c: "none" for c in arms if (frame[c] == "none").any()}
    for row in suite_estimates(frame, usable, _shares, alpha):
        rows.append({**row, **plain, "alpha": alpha, "store_digest": store_digest})
    return pd.DataFrame(rows, columns=[*COLUMNS, *arms, *(SURVIVAL if attacked else ())])


def _shares(status: pd.Series[str]) -> str:
    shares = status.value_counts(normalize=True)
    return json.dumps({s: round(float(shares.get(s, 0.0)), 6) for s in STATUSES})


def usable(group: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    """Rows (n,) that count for `column`: a value is there and the sample was scored, or a success already reached."""
    value = group[column].to_numpy(np.float64, na_value=np.nan)
    scored = (group["status"] == "scored").to_numpy(bool)
    reached = (
        group["success"].to_numpy(np.float64, na_value=np.nan) == 1.0
        if "success" in group
        else np.zeros(len(group), bool)
    )
    return np.asarray(np.isfinite(value) & (scored | reached), np.bool_)


def _rate(group: pd.DataFrame, values: Floats, alpha: float) -> Measured:
    rate = clustered_rate(values, group["instance_id"].to_numpy(), alpha)
    return Measured(rate.estimate, rate.se, rate.lcb, rate.ucb, rate.n_instances)


def _mean(group: pd.DataFrame, values: Floats, alpha: float) -> Measured:
    """Mean over instances of an unbounded quantity, with t bounds; one instance leaves both bounds open."""
    means = pd.Series(values).groupby(group["instance_id"].astype(str).to_numpy()).mean().to_numpy(np.float64)
    n = means.size
    if n == 0 or not np.isfinite(means).all():
        return Measured(float("nan") if n == 0 else float("inf"), float("nan"), 0.0, float("inf"), n)
    centre = float(means.mean())
    if n == 1:
        return Measured(centre, float("nan"), 0.0, float("inf"), n)
    se = float(means.std(ddof=1) / np.sqrt(n))
    half = float(stats.t.ppf(1 - alpha, n - 1)) * se
    return Measured(centre, se, max(centre - half, 0.0), centre + half, n)


def _horizon(level: float) -> Callable[[pd.DataFrame, Floats, float], Measured]:
    def estimator(group: pd.DataFrame, values: Floats, alpha: float) -> Measured:
        floor = 0.0
        if "random_floor" in group:
            floors = group["random_floor"].to_numpy(np.float64, na_value=np.nan)
            floor = float(np.nanmean(floors)) if np.isfinite(floors).any() else 0.0
        fit = success_horizon(
            np.log2(group["oracle_steps"].to_numpy(np.float64)),
            values,
            group["instance_id"].to_numpy(),
            min(floor, 0.99),
            level=level,
            alpha=alpha,
        )
        return Measured(fit.steps, fit.se, float(np.exp2(fit.lcb)), float(np.exp2(fit.ucb)), fit.n_instances)

    return estimator


METRICS: dict[str, Metric] = {
    "success_rate": Metric("success", 0.0, 1.0, _rate),
    "mean_outcome": Metric("outcome", 0.0, 1.0, _rate),
    "bits_to_solve": Metric("bits", 0.0, np.inf, _mean),
    "h50_steps": Metric("success", 0.0, 1.0, _horizon(0.5)),
    "h80_steps": Metric("success", 0.0, 1.0, _horizon(0.8)),
}


def _measure_group(group: pd.DataFrame, alpha: float) -> Iterator[dict[str, object]]:
    for name, metric in METRICS.items():
        if metric.column not in group.columns:
            continue
        scale = registry.metric(name).scale
        if scale == "log2" and not _has_steps(group):
            continue
        keep = usable(group, metric.column)
        if metric.column in ("outcome", "bits") and not keep.any():
            continue
        values = group[metric.column].to_numpy(np.float64, na_value=np.nan)
        raw = metric.estimator(group[keep], values[keep], alpha)
        low = high = raw
        if not keep.all():
            low = metric.estimator(group, np.where(keep, values, metric.least), alpha)
            high = metric.estimator(group, np.where(keep, values, metric.largest), alpha)
        yield {
            "metric": name,
            "scale": scale,
            "estimate": raw.estimate,
            "se": raw.se,
            "lcb": raw.lcb,
            "ucb": raw.ucb,
            "worst_case_lcb": min(low.lcb, raw.lcb),
            "worst_case_ucb": max(high.ucb, raw.ucb),
            "n_instances": raw.n_instances,
            "n_opportunity": raw.n_instances,
            "n_excluded": int((~keep).sum()),
        }


def _has_steps(group: pd.DataFrame) -> bool:
    if "oracle_steps" not in group.columns:
        return False
    steps = group["oracle_steps"].to_numpy(np.float64, na_value=np.nan)
    if np.isfinite(steps).all() and (steps > 0).all():
        return True
    if np.isnan(steps).all():
        return False
    family = group["family"].iloc[0]
    raise DataError(
        f"oracle_steps of family {family} are missing or not positive in some rows: fix the ingest"
    )


def _groups(frame: pd.DataFrame, by: list[str]) -> Iterator[tuple[dict[str, object], pd.DataFrame]]:
    present = [c for c in by if c in frame.columns]
    for values, group in frame.groupby(present, dropna=False, sort=True, observed=True):
        yield dict(zip(present, values, strict=True)), group


def _checked(observations: pd.DataFrame) -> pd.DataFrame:
    if observations.empty:
        raise DataError("no observations: nothing can be estimated (and nothing is ruled out)")
    for column in ("model", "family", "instance_id", "status", "success"):
        if column not in observations.columns:
            raise DataError(
                f"observations lack the column '{column}'{did_you_mean(column, map(str, observations.columns))}"
            )
    unknown = sorted(set(observations["status"].astype(str)) - set(STATUSES))
    if unknown:
        raise DataError(f"unknown status '{unknown[0]}'{did_you_mean(unknown[0], STATUSES)}")
    frame = observations.copy()
    for column in ("success", "outcome", "random_floor"):
        if column in frame.columns:
            value = pd.to_numeric(frame[column], errors="raise").to_numpy(np.float64, na_value=np.nan)
            if np.isinf(value).any() or ((value < 0) | (value > 1)).any():
                raise DataError(f"column '{column}' has values outside [0, 1]")
            frame[column] = value
    return frame
