"""The three allowances on a bound: elicitation E, growth G, forecast error M; from a ledger, a prior or the policy."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dangercurve._errors import ConfigError, DataError, EvidenceError
from dangercurve._text import printable
from dangercurve.analysis.registry import Metric
from dangercurve.evals.decide import Axis
from dangercurve.evals.policy import Allowance
from dangercurve.evals.run_folder import number

QUANTILE = 0.9


@dataclass(frozen=True)
class Term:
    """One allowance on the metric's scale: `source` is ledger, prior or policy; `value` None: there is none."""

    value: float | None
    source: str
    why: str


def elicitation(allowance: Allowance, kind: Metric, entry: Mapping[str, object] | None) -> Term:
    """E: the policy's number, the widest gap still open on the curve of `entry`, or the shipped prior.

    The open gap is the upper bound of what more effort may add (`analysis.elicitation`), plus what the best point lies
    above the one of the largest effort. A curve that still rises leaves a wider gap. Raises EvidenceError where the
    curve cannot be read.
    """
    if not isinstance(allowance.elicitation, str):
        return Term(allowance.elicitation, "policy", "stated in the policy")
    if entry is None:
        value = kind.priors.elicitation if kind.priors else None
        return Term(value, "prior", "the elicitation ledger has no curve for this claim")
    from dangercurve.analysis.elicitation import elicitation_curve  # SciPy: only where there is a curve

    curve = entry.get("curve")
    points = [point for point in curve if isinstance(point, dict)] if isinstance(curve, list) else []
    axis = Axis(kind.scale, kind.direction)
    try:
        effort, se = ([number(point.get(key)) for point in points] for key in ("effort", "se"))
        levels = [axis.up(number(point.get("estimate"))) for point in points]
        found = elicitation_curve(effort, levels, se)
    except (DataError, ConfigError) as exc:
        raise EvidenceError(f"evidence/elicitation.json: {exc}") from exc
    last = levels[max(range(len(levels)), key=effort.__getitem__)]
    gap = found.gap_ucb + max(levels) - last
    return Term(
        gap, "ledger", f"{found.n_points} efforts, {found.plateau}, slope {found.slope:.3g} a doubling"
    )


def growth(allowance: Allowance, kind: Metric, entry: Mapping[str, object] | None) -> Term:
    """G: growth a month on the scale times the months until the next assessment."""
    months = allowance.growth_months
    if months == 0:
        return Term(0.0, "policy", "growth_months: 0 in the policy")
    if not isinstance(allowance.growth_per_month, str):
        return Term(allowance.growth_per_month * months, "policy", "growth_per_month stated in the policy")
    if entry is not None:
        slope = number(entry.get("per_month"))
        if not (math.isfinite(slope) and slope >= 0):
            raise EvidenceError("evidence/growth.json: per_month must be a number of 0 or more")
        return Term(slope * months, "ledger", f"{slope:.4g} a month over {months:g} months")
    if kind.priors is None:
        return Term(None, "prior", "no growth on record")
    return Term(kind.priors.growth_per_month * months, "prior", f"prior growth over {months:g} months")


def forecast_error(allowance: Allowance, kind: Metric, errors: list[float]) -> Term:
    """M: the 90 % quantile of past absolute forecast errors on the scale.

    The order statistic ceil(.9 (n + 1)); with fewer than nine errors the largest of them and the prior.
    """
    if not isinstance(allowance.forecast_error, str):
        return Term(allowance.forecast_error, "policy", "stated in the policy")
    prior = kind.priors.forecast_error if kind.priors else None
    rank = math.ceil(QUANTILE * (len(errors) + 1))
    if errors and rank <= len(errors):
        return Term(sorted(errors)[rank - 1], "ledger", f"90 % quantile of {len(errors)} errors")
    if prior is None:
        return Term(None, "prior", "the forecast ledger has fewer than nine scored forecasts of this metric")
    return Term(max([prior, *errors]), "prior", f"{len(errors)} scored forecasts; nine are needed")


def read_forecast_errors(path: Path, kind: Metric) -> list[float]:
    """Absolute errors on the metric's scale from `forecast_ledger.jsonl`: lines with metric, predicted, actual.

    Lines of other metrics and forecasts whose `actual` is still null are passed over. Raises EvidenceError
    naming file and line for one that cannot be read.
    """
    if not path.is_file():
        return []
    axis = Axis(kind.scale, kind.direction)
    errors: list[float] = []
    for line_number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("not an object")
            if row.get("metric") != kind.name or row.get("actual") is None:
                continue
            error = abs(axis.up(number(row.get("actual"))) - axis.up(number(row.get("predicted"))))
            if not math.isfinite(error):
                raise ValueError("predicted and actual must be finite on the metric's scale")
        except (ValueError, ConfigError, RecursionError) as exc:
            raise EvidenceError(f"{path.name}:{line_number}: {printable(exc, 120)}") from exc
        errors.append(error)
    return errors
