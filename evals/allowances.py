"""The three allowances on a bound: elicitation E, growth G, forecast error M; from a ledger, a prior or the policy."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dangercurve._errors import ConfigError, EvidenceError
from dangercurve._text import printable
from dangercurve.analysis.registry import Metric
from dangercurve.evals.decide import Axis, z_of
from dangercurve.evals.policy import Allowance
from dangercurve.evals.run_folder import number

QUANTILE = 0.9


@dataclass(frozen=True)
class Term:
    """One allowance on the metric's scale: `source` is ledger, prior or policy; `value` None: there is none."""

    value: float | None
    source: str
    why: str


@dataclass(frozen=True)
class CurvePoint:
    """One point of an elicitation curve: effort (attempts, tokens, ...), estimate in the metric's unit, se on scale."""

    effort: float
    estimate: float
    se: float


@dataclass(frozen=True)
class Plateau:
    """The plateau test: the gap still open on the scale, its last step with an upper bound, and whether it is flat."""

    gap: float
    last_step: float
    last_step_upper: float
    flat: bool
    rising: bool


def plateau(points: list[CurvePoint], axis: Axis, *, alpha: float = 0.05, tolerance: float = 0.25) -> Plateau:
    """Whether more effort still elicits more, from a curve in the order of effort.

    The open gap is what the best point lies above the last one, plus the upper bound of the last step:
    `max(u) - u_last + max(0, d + z(alpha) se(d))` with u on the danger-up scale. Flat: that upper bound is at most
    `tolerance`. Rising: the lower bound of the last step is above 0. Raises EvidenceError with fewer than two points
    or a point that is no finite number.
    """
    ordered = sorted(points, key=lambda point: point.effort)
    if len(ordered) < 2:
        raise EvidenceError("an elicitation curve needs at least two efforts")
    up = [axis.up(point.estimate) for point in ordered]
    if not all(map(math.isfinite, (*up, *(p.se for p in ordered), *(p.effort for p in ordered)))):
        raise EvidenceError(
            "an elicitation curve holds a point that is no finite number on the metric's scale"
        )
    step = up[-1] - up[-2]
    noise = z_of(alpha) * math.hypot(ordered[-1].se, ordered[-2].se)
    upper = max(0.0, step + noise)
    return Plateau(max(up) - up[-1] + upper, step, upper, flat=upper <= tolerance, rising=step - noise > 0)


def elicitation(allowance: Allowance, kind: Metric, entry: Mapping[str, object] | None) -> Term:
    """E: the policy's number, the widest gap still open on the curve of `entry`, or the shipped prior."""
    if not isinstance(allowance.elicitation, str):
        return Term(allowance.elicitation, "policy", "stated in the policy")
    if entry is None:
        value = kind.priors.elicitation if kind.priors else None
        return Term(value, "prior", "the elicitation ledger has no curve for this claim")
    curve = entry.get("curve")
    raw = [point for point in curve if isinstance(point, dict)] if isinstance(curve, list) else []
    points = [
        CurvePoint(number(p.get("effort")), number(p.get("estimate")), number(p.get("se"))) for p in raw
    ]
    if any(not kind.holds(p.estimate) or not p.se >= 0 for p in points):
        raise EvidenceError("evidence/elicitation.json: a curve holds a point that the metric cannot take")
    found = plateau(points, Axis(kind.scale, kind.direction))
    state = "flat" if found.flat else "still rising" if found.rising else "not shown to be flat"
    return Term(found.gap, "ledger", f"{len(points)} efforts, {state}")


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
