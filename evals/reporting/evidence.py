"""What the evidence and ledgers of a run say: elicitation, behaviours, predictions, history, scenarios."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from dangercurve._errors import ConfigError, DangercurveError
from dangercurve.analysis import registry
from dangercurve.analysis.ledger_lines import read_lines
from dangercurve.analysis.report.data import Verdict
from dangercurve.analysis.report.data_panels import (
    Assessment,
    Elicited,
    Node,
    Prediction,
    Propensity,
    Scenario,
)
from dangercurve.evals.reporting.counts import role_of
from dangercurve.evals.run_folder import Row, number, text

Z90 = 1.6448536269514722
SHOWN = ("imitation_index", "robustness")
SLACK = 1e-9
"""What rounding may do to the order of probabilities."""


def elicited(evidence: Mapping[str, object]) -> tuple[Elicited, ...]:
    """The curves of `evidence/elicitation.json`; bounds at 90 % from their standard errors on the metric's scale."""
    found = []
    for entry in _entries(evidence.get("elicitation")):
        points = [p for p in _entries(entry.get("curve")) if number(p.get("effort")) > 0]
        name = str(entry.get("metric") or "")
        try:
            scale = registry.metric(name).scale
        except ConfigError:
            continue
        rows = [
            (
                number(p.get("effort")),
                number(p.get("estimate")),
                *_bounds(number(p.get("estimate")), number(p.get("se")), scale),
            )
            for p in points
        ]
        if rows and all(math.isfinite(v) for row in rows for v in row):
            model = str(entry.get("model"))
            gap = number(entry.get("gap_ucb"))
            found.append(
                Elicited(model, role_of(model), str(entry.get("family")), name, str(entry.get("axis") or "effort"), scale,
                         tuple(sorted(rows)), str(entry.get("plateau") or "unresolved"), gap if math.isfinite(gap) else None)
            )  # fmt: skip
    return tuple(found)


def _bounds(value: float, se: float, scale: registry.Scale) -> tuple[float, float]:
    try:
        middle = registry.to_scale(value, scale)
    except ConfigError:
        return math.nan, math.nan
    low, high = (registry.from_scale(middle + z * se, scale) for z in (-Z90, Z90))
    return low, high


def propensities(estimates: Sequence[Row]) -> tuple[Propensity, ...]:
    """Estimates of every metric that reads a behaviour or compares arms, and of the indices over twins; NaN where there is
    no evidence."""
    found = []
    for row in estimates:
        try:
            kind = registry.metric(str(row.get("metric")))
        except ConfigError:
            continue
        if not (kind.contrast or kind.name in SHOWN):
            continue
        values = [number(row.get(k)) for k in ("estimate", "lcb", "ucb")]
        if not all(math.isfinite(v) for v in values):
            values = [math.nan] * 3
        counts = (number(row.get(k)) for k in ("n_instances", "n_opportunity", "n_excluded"))
        n, opportunity, excluded = (int(c) if math.isfinite(c) else 0 for c in counts)
        model = str(row.get("model"))
        found.append(
            Propensity(model, role_of(model), str(row.get("family")), kind.name, kind.label, values[0], values[1], values[2],
                       n, opportunity, excluded)
        )  # fmt: skip
    return tuple(found)


def predictions(root: Path, problems: list[str]) -> tuple[Prediction, ...]:
    """Predictions of named models in `forecast_ledger.jsonl`, with their scores where the model was measured."""
    try:
        lines = read_lines(root / "forecast_ledger.jsonl")
    except DangercurveError as exc:
        problems.append(str(exc))
        return ()
    scores = {text(line.get("prediction")): line for line in lines if line.get("kind") == "score"}
    found = []
    for line in lines:
        if line.get("kind") != "prediction":
            continue
        score = scores.get(text(line.get("hash")), {})
        flops, values = number(line.get("flops")), [number(line.get(k)) for k in ("predicted", "q05", "q95")]
        if not (flops > 0 and all(math.isfinite(v) for v in values)):
            problems.append(f"forecast_ledger.jsonl: a prediction of {line.get('model')} holds no numbers")
            continue
        actual, covered = number(score.get("actual")), score.get("covered90")
        found.append(
            Prediction(str(line.get("model")), str(line.get("family")), str(line.get("metric")), str(line.get("scale")),
                       math.log10(flops), values[0], values[1], values[2], actual if math.isfinite(actual) else None,
                       covered if isinstance(covered, bool) else None, str(line.get("as_of") or ""),
                       line.get("simulated") is True)
        )  # fmt: skip
    return tuple(found)


def history(root: Path, verdict: Verdict | None, problems: list[str]) -> tuple[Assessment, ...]:
    """The chain of verdicts in `history.jsonl`, and the run's own verdict where the chain does not hold it."""
    from dangercurve.evals.gating.history import read_history

    records: list[dict[str, object]] = []
    if (root / "history.jsonl").is_file():
        try:
            records = read_history(root / "history.jsonl", dt.datetime.max.replace(tzinfo=dt.UTC))
        except DangercurveError as exc:
            problems.append(str(exc))
    found = [a for record in records for a in _assessments(record, verdict)]
    if verdict is not None and found and not any(a.at == verdict.as_of for a in found):
        found += [
            Assessment(verdict.as_of, verdict.subject or "", c.id, c.verdict, verdict.tier, verdict.policy, c.B, c.T,
                       c.proximity, verdict.code_digest or "", bool(c.waiver), verdict.simulated)
            for c in verdict.claims
        ]  # fmt: skip
    return tuple(found)


def _assessments(record: Mapping[str, object], verdict: Verdict | None) -> list[Assessment]:
    claims, bounds = record.get("claims"), record.get("bounds")
    if not isinstance(claims, dict):
        return []
    directions = {c.id: c.direction for c in verdict.claims} if verdict else {}
    found = []
    for claim, outcome in claims.items():
        line = bounds.get(claim) if isinstance(bounds, dict) else None
        bound, threshold = (
            (number(line[0]), number(line[2]))
            if isinstance(line, list) and len(line) == 3
            else (math.nan,) * 2
        )
        near = math.nan
        if bound > 0 and threshold > 0:
            near = threshold / bound if directions.get(str(claim)) == "down" else bound / threshold
        elif bound == 0 and threshold > 0 and directions.get(str(claim)) != "down":
            near = 0.0
        policy = f"{record.get('policy')} {str(record.get('policy_sha256') or '')[:6]}"
        found.append(
            Assessment(str(record.get("at")), str(record.get("subject") or ""), str(claim), str(outcome),
                       str(record.get("tier") or ""), policy, _known(bound), _known(threshold), _known(near),
                       str(record.get("suite") or record.get("code") or ""), outcome == "WAIVED",
                       record.get("simulated") is True)
        )  # fmt: skip
    return found


def scenarios(evidence: Mapping[str, object], problems: list[str]) -> tuple[Scenario, ...]:
    """The scenarios of `evidence/scenarios.json` as they stand now: what `forecast --scenarios --format json` writes."""
    held = evidence.get("scenarios")
    if held is None:
        return ()
    try:
        if not isinstance(held, dict):
            raise TypeError
        milestones = {name: m["at"]["now"] for name, m in held["milestones"].items()}
        labels = {name: str(m["label"]) for name, m in held["milestones"].items()}
        return tuple(
            _scenario(str(s["label"]), s["at"]["now"], milestones, labels, held["simulated"] is True)
            for s in held["scenarios"].values()
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        problems.append("evidence/scenarios.json: not what `forecast --scenarios --format json` writes")
        return ()


def _scenario(
    label: str, risk: Row, milestones: Mapping[str, Row], labels: Mapping[str, str], simulated: bool
) -> Scenario:
    nodes = []
    rise = risk["rise"]
    if not isinstance(rise, dict):
        raise TypeError
    for name, reached in rise.items():
        at = milestones[name]
        p, low, high = _chances(at["p"], at["low"], at["high"])
        risen = None if reached is None else _chances(reached, 0.0, 1.0)[0]
        nodes.append(Node(labels[name], p, low, high, risen, name == risk["bottleneck"], str(at["source"])))
    p, low, high = _chances(risk["p"], risk["low"], risk["high"])
    return Scenario(label, tuple(nodes), p, low, high, simulated)


def _chances(p: object, low: object, high: object) -> tuple[float | None, float, float]:
    """Probabilities in order. Raises ValueError where they are not; p may be unknown."""
    lower, upper = number(low), number(high)
    middle = lower if p is None else number(p)
    if not -SLACK <= lower <= middle + SLACK <= upper + 2 * SLACK <= 1 + 3 * SLACK:
        raise ValueError("0 <= low <= p <= high <= 1")
    return None if p is None else min(max(middle, 0.0), 1.0), max(lower, 0.0), min(upper, 1.0)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _entries(value: object) -> list[Row]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
