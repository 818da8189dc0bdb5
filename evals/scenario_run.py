"""Scenarios of a run folder: which milestones its models have reached, which a frontier model reaches by when."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dangercurve._errors import DataError
from dangercurve.analysis import registry
from dangercurve.analysis.rest import is_rest
from dangercurve.analysis.scenario_risk import Evidence, ScenarioRisk, scenario_risk
from dangercurve.analysis.scenarios import Milestone, Scenarios, edges_of, load_scenarios, milestones_of
from dangercurve.evals.gating.decide import Axis, z_of
from dangercurve.evals.run_folder import Row, number, text

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
NOW = "now"
MIN_MODELS = 3


@dataclass(frozen=True)
class Assessed:
    """Every milestone's evidence and every scenario's risk, `now` and by each date."""

    scenarios: Scenarios
    subject: str | None
    simulated: bool
    as_of: str
    correlation: float
    evidence: Mapping[str, Mapping[str, Evidence]]
    risks: Mapping[str, Mapping[str, ScenarioRisk]]

    def as_dict(self) -> dict[str, object]:
        """The JSON object that docs/scenarios.md describes."""
        file = self.scenarios
        return {
            "schema": SCHEMA,
            "subject": self.subject,
            "simulated": self.simulated,
            "as_of": self.as_of,
            "correlation": self.correlation,
            "milestones": {
                name: {"event": m.event, "label": m.label, "at": {k: asdict(e) for k, e in self.evidence[name].items()}}
                for name, m in file.milestones.items()
            },
            "scenarios": {
                name: {
                    "label": s.label,
                    "needs": s.needs.words,
                    "edges": [
                        {"depth": d, "needs": e.milestone or e.words, "why": e.why} for d, e in edges_of(s)
                    ],
                    "at": {k: asdict(r) for k, r in self.risks[name].items()},
                }
                for name, s in file.scenarios.items()
            },
        }  # fmt: skip

    def rows(self) -> list[dict[str, object]]:
        """A row a scenario and date."""
        return [
            {
                "scenario": name,
                "at": when,
                "P": "no evidence" if r.p is None else f"{r.p:.3f}",
                "range": f"{r.low:.3f} to {r.high:.3f}",
                "any dependence": f"{r.frechet_low:.3f} to {r.frechet_high:.3f}",
                "independent": "-" if r.independent is None else f"{r.independent:.3f}",
                "bottleneck": r.bottleneck,
                "changes most": "-"
                if r.changes_most is None
                else f"{r.changes_most} ({r.rise[r.changes_most]:.3f})",
                "without evidence": ", ".join(r.no_evidence) or None,
            }
            for name, found in self.risks.items()
            for when, r in found.items()
        ]


def assess_scenarios(
    run: Path,
    *,
    file: Path | None = None,
    subject: str | None = None,
    as_of: dt.date,
    dates: Sequence[dt.date] = (),
    correlation: float | None = None,
    n_draws: int = 2000,
    seed: int = 0,
) -> Assessed:
    """Evidence of every milestone from the run's estimates, and by date from forecasts made of them; then the trees.

    Now: the estimate of `subject` (default: the strongest model of the run) against the threshold, best elicited
    condition, base twin, arms at rest. By a date: the probability that a frontier model has crossed by then, never less
    than now; without an identified forecast that end is open. Raises DataError where the subject has no estimate.
    """
    from dangercurve.evals.pipeline import compute_table, read_estimates
    from dangercurve.evals.run_folder import locate

    scenarios = load_scenarios(file)
    estimates = read_estimates(locate(run))
    if subject is not None and subject not in set(estimates["model"]):
        raise DataError(f"subject '{subject}' has no estimate in {run}")
    compute = compute_table(sorted(estimates["model"].astype(str).unique()))
    days = sorted(set(dates))
    evidence: dict[str, dict[str, Evidence]] = {}
    used = estimates[estimates["model"] == subject] if subject else estimates
    for name, milestone in scenarios.milestones.items():
        now = _now(milestone, used)
        evidence[name] = {NOW: now}
        later = _by_date(milestone, estimates, compute, as_of, days, n_draws, seed) if days else {}
        for day in days:
            evidence[name][day.isoformat()] = _no_less(now, later[day.isoformat()])
    r = scenarios.correlation if correlation is None else correlation
    times = [NOW, *(d.isoformat() for d in days)]
    risks = {
        name: {
            when: scenario_risk(
                scenario, {m: evidence[m][when] for m in milestones_of(scenario)}, correlation=r
            )
            for when in times
        }
        for name, scenario in scenarios.scenarios.items()
    }
    simulated = bool(used["simulated"].astype(bool).any()) if "simulated" in used else False
    return Assessed(scenarios, subject, simulated, as_of.isoformat(), r, evidence, risks)


def evidence_of(row: Row, milestone: Milestone) -> Evidence:
    """P(the metric lies at or beyond the threshold) from an estimate and its one-sided bounds.

    A normal on the metric's scale through the estimate, as wide on each side as its bound says; at an end of the rate
    scale the binomial tail that gave the bound. `low`, `high`: with missing samples at their safe and dangerous end. Where
    only a bound is known the dangerous end is taken.
    """
    kind = registry.metric(milestone.metric)
    axis = Axis(kind.scale, kind.direction)
    alpha = number(row.get("alpha"))
    values = {k: number(row.get(k)) for k in ("estimate", "lcb", "ucb", "worst_case_lcb", "worst_case_ucb")}
    if math.isnan(values["lcb"]) or math.isnan(values["ucb"]) or not 0 < alpha < 0.5:
        return Evidence(source="an estimate without bounds")
    t = axis.up(milestone.threshold)
    down = kind.direction == "down"
    low, high = (values["ucb"], values["lcb"]) if down else (values["lcb"], values["ucb"])
    safe, worst = ("worst_case_ucb", "worst_case_lcb") if down else ("worst_case_lcb", "worst_case_ucb")
    lower, upper = axis.up(low), axis.up(high)
    at = axis.up(values["estimate"]) if not math.isnan(values["estimate"]) else math.nan
    p = _beyond(at, lower, upper, t, alpha, kind.scale)
    worst_upper, safe_lower = axis.up(_or(values[worst], high)), axis.up(_or(values[safe], low))
    up, fall = _moved(upper, worst_upper), _moved(lower, safe_lower)
    top = max(p[1], _beyond(at + up, lower + up, worst_upper, t, alpha, kind.scale)[1])
    bottom = min(p[0], _beyond(at + fall, safe_lower, upper + fall, t, alpha, kind.scale)[0])
    return Evidence(
        p[1], bottom, top, f"{text(row.get('model'))}, {number(row.get('n_instances')):g} instances"
    )


def _beyond(at: float, lower: float, upper: float, t: float, alpha: float, scale: str) -> tuple[float, float]:
    """(low, high) of P(value >= t) on the danger-up scale; equal where the bounds determine it."""
    if math.isfinite(at):
        side = upper - at if t >= at else at - lower
        if not math.isfinite(side):
            return (0.0, 1.0) if t >= at else (0.5, 1.0)
        if side <= 0:
            return (float(at >= t), float(at >= t))
        p = 0.5 * math.erfc((t - at) * z_of(alpha) / side / math.sqrt(2))
        return p, p
    if scale == "logit" and math.isinf(at) and math.isfinite(t):
        share, bound = _expit(t), _expit(upper if at < 0 else lower)
        if at < 0 and 0 < bound < 1:
            p = math.exp(math.log(alpha) * math.log1p(-share) / math.log1p(-bound))
            return p, p
        if at > 0 and 0 < bound < 1:
            p = 1 - math.exp(math.log(alpha) * math.log(share) / math.log(bound))
            return p, p
    if upper < t:
        return 0.0, alpha
    return (1 - alpha, 1.0) if lower >= t else (0.0, 1.0)


def _moved(bound: float, other: float) -> float:
    """How far missing samples at one end move a bound; the estimate and the other bound move with it."""
    return other - bound if math.isfinite(bound) and math.isfinite(other) else 0.0


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _or(value: float, otherwise: float) -> float:
    return otherwise if math.isnan(value) else value


def _now(milestone: Milestone, estimates: pd.DataFrame) -> Evidence:
    if milestone.planned:
        return Evidence(source="no evidence: the family is not built yet")
    found = [evidence_of(row, milestone) for row in _at_rest(milestone, estimates)]
    known = [e for e in found if e.p is not None]
    if not known:
        return Evidence(source="no evidence: no estimate of this metric in the run")
    best = max(known, key=lambda e: e.p or 0.0)
    return Evidence(
        best.p, max(e.low for e in known if e.low <= (best.p or 0.0)), max(e.high for e in known), best.source
    )


def _at_rest(milestone: Milestone, estimates: pd.DataFrame) -> Iterable[Row]:
    rows = estimates[(estimates["family"] == milestone.family) & (estimates["metric"] == milestone.metric)]
    for row in rows.to_dict(orient="records"):
        arms = {str(k)[4:]: text(v) for k, v in row.items() if str(k).startswith("arm_")}
        rest = all(v == "all" or is_rest(milestone.family, arm, v) for arm, v in arms.items())
        if rest and text(row.get("twin")) in (None, "base", "all"):
            yield {str(k): v for k, v in row.items()}


def _by_date(
    milestone: Milestone, estimates: pd.DataFrame, compute: pd.DataFrame, as_of: dt.date,
    dates: Sequence[dt.date], n_draws: int, seed: int,
) -> dict[str, Evidence]:  # fmt: skip
    """Forecasts of the milestone by a frontier model, the likeliest of the conditions; without one, why not, a date."""
    from dangercurve.analysis.forecast import forecast
    from dangercurve.analysis.points import points_from_estimates
    from dangercurve.evals.pipeline import conditions

    found: dict[str, Evidence] = {}
    why = "no condition at rest"
    for _, group in conditions(estimates, milestone.family, milestone.metric):
        try:
            points = points_from_estimates(group, compute, milestone.metric)
            if len(points.frame) < MIN_MODELS:
                raise DataError(f"{len(points.frame)} models with known compute, {MIN_MODELS} are needed")
            made = forecast(points, milestone.threshold, as_of=as_of, dates=dates, n_draws=n_draws, seed=seed)
            if made.status == "not_identified":
                raise DataError("the crossing is not identified")
        except DataError as exc:  # what cannot be forecast stays without evidence, and its upper end is 1
            why = str(exc)
            continue
        worst = made.missing_worst_case or {}
        imputed = worst.get("p_by")
        for day, p in made.p_by.items():
            high = float(imputed.get(day, 1.0)) if isinstance(imputed, Mapping) else 1.0
            before = found.get(day)
            if before is None or p > (before.p or 0.0):
                found[day] = Evidence(
                    p, min(p, high), max(p, high), f"forecast from {len(points.frame)} models"
                )
    return found or {day.isoformat(): Evidence(source=f"no forecast: {why}") for day in dates}


def _no_less(now: Evidence, later: Evidence) -> Evidence:
    """By a date: what is there now is there then; without a forecast the upper end is open."""
    if later.p is None:
        return Evidence(None, now.low, 1.0, f"{later.source}; now: {now.source}")
    p = max(later.p, now.p or 0.0)
    return Evidence(
        p,
        max(now.low, min(later.low, p)),
        max(later.high, now.high if now.p is not None else 0.0, p),
        later.source,
    )
