"""The growth ledger: how fast a metric rises a month, from its slope on compute and the growth of training compute.

Written to `evidence/growth.json`, from which the gate takes the allowance G until the next assessment.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dangercurve._errors import DataError
from dangercurve._files import write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from dangercurve.analysis.points import Points

MIN_MODELS = 5
LEVEL = 0.05
MONTHS = 12.0
Row = dict[str, object]


def write_growth(run: Path, estimates: pd.DataFrame, compute: pd.DataFrame) -> list[Row]:
    """Write the growth entries of a run's estimates; `compute` is `pipeline.compute_table` of its models."""
    entries = growth_entries(estimates, compute)
    path = run / "evidence" / "growth.json"
    if entries:
        write_atomic(path, json.dumps(entries, indent=1, allow_nan=False) + "\n")
    else:
        path.unlink(missing_ok=True)
    return entries


def growth_entries(estimates: pd.DataFrame, compute: pd.DataFrame) -> list[Row]:
    """One entry a (family, metric, simulated) with at least five models of known compute under one condition.

    `per_month` = UCB95(slope an order of magnitude of compute) x OOM a month of the largest training run
    (`frontier_priors.yaml`, before its break), on the metric's scale and not below 0. The slope is least squares of the
    scaled estimates on log10 FLOP with Student's t and n - 2 degrees of freedom; where several conditions have one, the
    fastest counts. Simulated and real models are never mixed.
    """
    from dangercurve.analysis.frontier import load_priors
    from dangercurve.analysis.points import points_from_estimates
    from dangercurve.evals.pipeline import conditions

    oom_a_month = load_priors().growth.mean / MONTHS
    best: dict[tuple[str, str, bool], Row] = {}
    for family, metric in sorted({(str(f), str(m)) for f, m in estimates[["family", "metric"]].to_numpy()}):
        for condition, group in conditions(estimates, family, metric):
            try:
                slope = _slope(points_from_estimates(group, compute, metric))
            except DataError:
                continue  # no points of this condition: the prior stands for it
            if slope is None:
                continue
            estimate, upper, n = slope
            key = (family, metric, bool(condition["simulated"]))
            entry: Row = {
                "family": family,
                "metric": metric,
                "simulated": key[2],
                "per_month": max(upper, 0.0) * oom_a_month,
                "slope": estimate,
                "slope_ucb": upper,
                "n_models": n,
                "oom_a_month": oom_a_month,
                "interface": condition["interface"],
                "elicitation": condition["elicitation"],
            }
            if key not in best or float(str(best[key]["per_month"])) < float(str(entry["per_month"])):
                best[key] = entry
    return [best[key] for key in sorted(best)]


def _slope(points: Points) -> tuple[float, float, int] | None:
    """(slope, its upper 95 % bound, n) of the scaled values on log10 FLOP; None with too few models or compute."""
    from scipy import stats

    from dangercurve.analysis.ledger_lines import error_on_scale

    frame = points.frame
    zero = {"logit": 0.5, "log2": 1.0, "linear": 0.0}[points.scale]
    x = np.log10(frame["flops"].to_numpy(np.float64))
    y = np.array([error_on_scale(zero, float(v), points.scale) for v in frame["value"]])
    if len(x) < MIN_MODELS or len(set(x.tolist())) < 3 or not np.isfinite(y).all():
        return None
    fit = stats.linregress(x, y)
    upper = fit.slope + stats.t.ppf(1 - LEVEL, len(x) - 2) * fit.stderr
    return (float(fit.slope), float(upper), len(x)) if math.isfinite(upper) else None
