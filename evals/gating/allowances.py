"""The three allowances on a bound: elicitation E, growth G, forecast error M; from a ledger, a prior or the policy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dangercurve._errors import ConfigError, DataError, EvidenceError
from dangercurve.analysis.ledger_lines import margin_of, past_errors, read_lines
from dangercurve.analysis.registry import Metric
from dangercurve.evals.gating.decide import Axis
from dangercurve.evals.policy import Allowance
from dangercurve.evals.run_folder import number


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
    """M: the 90 % quantile of past forecast errors toward danger, on the scale (`ledger_lines.margin_of`).

    With fewer than nine errors the largest of them and the prior.
    """
    if not isinstance(allowance.forecast_error, str):
        return Term(allowance.forecast_error, "policy", "stated in the policy")
    prior = kind.priors.forecast_error if kind.priors else None
    value = margin_of(errors)
    if not math.isnan(value):
        return Term(value, "ledger", f"90 % quantile of {len(errors)} errors")
    if prior is None:
        return Term(None, "prior", "the forecast ledger has fewer than nine scored forecasts of this metric")
    return Term(max([prior, *errors]), "prior", f"{len(errors)} scored forecasts; nine are needed")


def read_forecast_errors(path: Path, kind: Metric, *, simulated: bool) -> list[float]:
    """Past errors toward danger from the run's `forecast_ledger.jsonl` (`forecast --ledger` writes it).

    Scores of simulated models count only where the subject is `simulated` itself. Raises EvidenceError naming file and
    line where the chain is broken.
    """
    return past_errors(read_lines(path), kind, simulated=None if simulated else False)
