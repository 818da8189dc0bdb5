"""Forecast claims: P(event) from a stored forecast against its own alert line. A forecast is never REACHED."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping

from dangercurve._errors import EvidenceError
from dangercurve._text import printable
from dangercurve.evals.gating import decide
from dangercurve.evals.gating.claims import Context, blank
from dangercurve.evals.gating.observed import parse_time
from dangercurve.evals.gating.verdict import ClaimResult, Margin, Outcome, WorstCase
from dangercurve.evals.policy import Claim, Forecast
from dangercurve.evals.run_folder import Row, number, text

STATUSES = ("identified", "not_identified", "not_within_cap")


def matching(part: Forecast, rows: tuple[Row, ...], model: str) -> list[Row]:
    """Forecasts of the claim's event: same family, metric and threshold, about this model or every model."""
    name, _, threshold = part.parts()
    return [
        row
        for row in rows
        if (text(row.get("family")) or text(row.get("subject"))) == part.family
        and text(row.get("metric")) == name
        and number(row.get("threshold")) == threshold
        and _covers(row.get("model_scope"), model)
    ]


def _covers(scope: object, model: str) -> bool:
    return scope in (None, "all", "frontier", model) or (isinstance(scope, list) and model in scope)


def evaluate_forecast(claim: Claim, ctx: Context) -> ClaimResult:
    """The worst probability over the matching forecasts and their shapes, against W and T.

    UNRESOLVED where a crossing is not identified or P >= T. INVALID where no forecast is there, it was made from
    another store, is simulated for a real model, or lacks the asked probability or its shape table.
    """
    part = claim.forecast
    if part is None:
        raise EvidenceError(f"claim {claim.id} is no forecast claim")
    rows = matching(part, ctx.folder.forecasts, ctx.model)
    if not rows:
        return _as_probability(
            blank(claim, [f"no forecast of {printable(part.event)} in {printable(part.family)}"]), part
        )
    hard: list[str] = []
    unidentified: list[str] = []
    values: list[float] = []
    worst: list[float] = []
    for row in rows:
        try:
            found, imputed = _probabilities(row, part, ctx, unidentified)
        except EvidenceError as exc:
            hard.append(f"{row.get('_file', 'forecast')}: {exc}")
            continue
        values.append(found)
        worst.append(max(found, imputed))
    base = _as_probability(blank(claim, hard), part)
    p = max(values, default=math.nan)
    p_worst = max(worst, default=math.nan)
    reach, alert = claim.lines
    if hard or reach is None or alert is None:
        return base.model_copy(update={"B": None if math.isnan(p) else p})
    outcome, imputed_outcome = _verdict(p, alert, reach), _verdict(p_worst, alert, reach)
    outcome = decide.worse_of(outcome, imputed_outcome)
    reasons = list(unidentified)
    if unidentified:
        outcome = Outcome.UNRESOLVED
    if outcome is Outcome.UNRESOLVED and not unidentified:
        reasons.append(
            f"P(event) is {max(p, p_worst):.3g}, not below {reach:g}; only better data or a lower curve helps"
        )
    return base.model_copy(
        update={
            "verdict": outcome,
            "original": outcome,
            "estimate": None if math.isnan(p) else p,
            "B": None if math.isnan(p) else p,
            "worst_case": WorstCase(B=None if math.isnan(p_worst) else p_worst, verdict=imputed_outcome),
            "margin": Margin(score=None if math.isnan(p) else reach - p),
            "proximity": None if math.isnan(p) else p / reach,
            "reasons": reasons,
            "cell": {"within": part.within, "event": part.event, "forecasts": str(len(rows))},
        }
    )


def _as_probability(result: ClaimResult, part: Forecast) -> ClaimResult:
    return result.model_copy(
        update={
            "unit": f"probability within {part.within}",
            "scale": "linear",
            "direction": "up",
            "E": 0.0,
            "G": 0.0,
            "M": 0.0,
            "allowance_sources": dict.fromkeys("EGM", "the forecast carries its own uncertainty"),
        }
    )


def _verdict(p: float, alert: float, reach: float) -> Outcome:
    return decide.decide(p, -math.inf, alert, reach) if not math.isnan(p) else Outcome.UNRESOLVED


def _probabilities(row: Row, part: Forecast, ctx: Context, unidentified: list[str]) -> tuple[float, float]:
    """(P, P with missing data at its worst) of one forecast; NaN where it is not identified, which is noted."""
    if text(row.get("store_digest")) != ctx.folder.store_digest:
        raise EvidenceError("made from another store (stale): forecast again")
    simulated = row.get("simulated")
    if not isinstance(simulated, bool) or (simulated and ctx.observed.simulated(ctx.model) != {True}):
        raise EvidenceError(
            "a simulated forecast, or one that does not say, supports no claim about this model"
        )
    status = row.get("status")
    if status not in STATUSES:
        raise EvidenceError(f"status {printable(status, 40)} is none of {', '.join(STATUSES)}")
    if status == "not_identified":
        unidentified.append("the crossing is not identified")
        return math.nan, math.nan
    found = [_probability(row, part.within)]
    shapes = row.get("shapes")
    entries = [s for s in shapes if isinstance(s, dict)] if isinstance(shapes, list) else []
    names = {text(s.get("shape")) or text(s.get("form")) for s in entries}
    wanted = names if part.shapes == "all" else set(part.shapes)
    if not entries or not wanted <= names:
        raise EvidenceError("its shape table is missing or lacks a shape that the policy asks for")
    for shape in entries:
        name = text(shape.get("shape")) or text(shape.get("form"))
        if name not in wanted:
            continue
        if shape.get("status") == "not_identified":
            unidentified.append(f"the crossing is not identified under the shape {printable(name, 40)}")
            continue
        found.append(_probability(shape, part.within))
    imputed = row.get("missing_worst_case")
    if "missing_worst_case" not in row:
        raise EvidenceError("it has no worst case for missing data (missing_worst_case)")
    p = max(found)
    if imputed is None:
        return p, p
    if not isinstance(imputed, dict):
        raise EvidenceError("missing_worst_case holds no probabilities")
    if imputed.get("status") == "not_identified":
        return p, 1.0
    return p, _probability(imputed, part.within)


def _probability(row: Mapping[str, object], within: str) -> float:
    table = row.get("p_within" if within.startswith("+") else "p_by")
    if not isinstance(table, dict):
        raise EvidenceError(f"it has no probability for {within}")
    for key, value in table.items():
        if _same(str(key), within):
            p = number(value)
            if not 0 <= p <= 1:
                raise EvidenceError(f"its probability for {within} is no number between 0 and 1")
            return p
    raise EvidenceError(
        f"it has no probability for {within}; it has {printable(', '.join(map(str, table)), 80)}"
    )


def _same(key: str, within: str) -> bool:
    if not within.startswith("+"):
        return key.strip()[:10] == within
    try:
        return float(key.replace("OOM", "").strip()) == float(within.replace("OOM", "").strip())
    except ValueError:
        return False


def margins(claim: Claim, result: ClaimResult, ctx: Context) -> Margin:
    """The claim's margin with orders of magnitude and days to the 5 % quantile of the crossing, where forecast."""
    reach = claim.lines[0]
    if claim.measure is None or claim.relative is not None or reach is None:
        return result.margin
    rows = [
        row
        for row in ctx.folder.forecasts
        if (text(row.get("family")) or text(row.get("subject"))) == claim.family
        and text(row.get("metric")) == claim.metric.name
        and number(row.get("threshold")) == reach
        and _covers(row.get("model_scope"), ctx.model)
        and row.get("status") == "identified"
        and text(row.get("store_digest")) == ctx.folder.store_digest
    ]
    flops, days = [], []
    for row in rows:
        own = _own_compute(row, ctx.model)
        crossing = _quantile(row.get("log10_c"))
        if math.isfinite(own) and isinstance(crossing, float):
            flops.append(crossing - own)
        date = row.get("date")
        early = text(date.get("q05")) if isinstance(date, dict) else None
        if early is not None:
            try:
                days.append((parse_time(early) - ctx.as_of) / dt.timedelta(days=1))
            except EvidenceError:
                return result.margin.model_copy(update={"log10_flop": min(flops, default=None)})
    return result.margin.model_copy(
        update={"log10_flop": min(flops, default=None), "days": min(days, default=None)}
    )


def _own_compute(row: Row, model: str) -> float:
    """log10 FLOP of `model` among the points that a forecast was made from; NaN where it is not one of them.

    `log10_c_subject` is the largest model's in a forecast about the frontier: it stands only where no points do.
    """
    points = row.get("points")
    if not isinstance(points, list):
        return number(row.get("log10_c_subject"))
    flops = [number(p.get("flops")) for p in points if isinstance(p, dict) and p.get("model") == model]
    return math.log10(flops[0]) if len(flops) == 1 and flops[0] > 0 else math.nan


def _quantile(part: object) -> float | None:
    value = number(part.get("q05")) if isinstance(part, dict) else math.nan
    return value if math.isfinite(value) else None
