"""From a claim and a run folder to a ClaimResult: find the estimates, judge each, let the worst one hold."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass

from dangercurve._errors import EvidenceError
from dangercurve._text import printable
from dangercurve.evals import evidence
from dangercurve.evals.gating import allowances, decide
from dangercurve.evals.gating.allowances import Term
from dangercurve.evals.gating.attempts import Ledger, attempt_for
from dangercurve.evals.gating.claim_rows import cell_of, matching, mixed_keys, pooled, uncovered
from dangercurve.evals.gating.decide import Axis
from dangercurve.evals.gating.judge import (
    Findings,
    Judged,
    anytime,
    bounds_of,
    counted,
    examine,
    judge,
    relative_bounds,
)
from dangercurve.evals.gating.monitor_rows import monitor_problems
from dangercurve.evals.gating.observed import Cell, Observed
from dangercurve.evals.gating.verdict import (
    ORDER,
    Alarm,
    Attempt,
    ClaimResult,
    Margin,
    MoreNeeded,
    Outcome,
    PanelResult,
)
from dangercurve.evals.policy import Claim, LoadedPolicy, Profile
from dangercurve.evals.run_folder import Row, RunFolder, number, text


@dataclass(frozen=True)
class Context:
    """Everything that a claim is evaluated against."""

    loaded: LoadedPolicy
    folder: RunFolder
    observed: Observed
    model: str
    as_of: dt.datetime
    profile: Profile
    ledger: Ledger | None


def blank(claim: Claim, reasons: list[str], alpha: float | None = None) -> ClaimResult:
    """An INVALID result without numbers."""
    kind = claim.metric
    reach, alert = claim.lines
    return ClaimResult(
        id=claim.id,
        kind=claim.kind,
        verdict=Outcome.INVALID,
        original=Outcome.INVALID,
        family=printable(claim.family),
        metric=kind.name,
        unit=kind.unit,
        scale=kind.scale,
        direction=kind.direction,
        alpha=claim.alpha if alpha is None else alpha,
        T=reach,
        W=alert,
        reasons=reasons,
    )


def evaluate_measured(claim: Claim, ctx: Context) -> ClaimResult:
    """A measure or breach claim: every matching estimate is judged and the worst verdict holds."""
    attempt = None
    if ctx.ledger:
        attempt = attempt_for(
            ctx.ledger, ctx.model, claim, ctx.observed.evidence_digest(ctx.model, claim.family)
        )
    alpha = attempt.alpha if attempt else claim.alpha
    rows = matching(claim, ctx.folder.estimates, ctx.model)
    if not rows:
        said = f"no estimate of {claim.metric.name} in {printable(claim.family)} for {printable(ctx.model)}"
        others = sorted(
            {printable(r["model"], 80) for r in ctx.folder.estimates if r["family"] == claim.family}
        )
        return blank(claim, [said + (f"; the folder has {', '.join(others[:5])}" if others else "")], alpha)
    common = Findings(
        hard=mixed_keys(claim, rows, ctx.loaded.policy),
        partial=uncovered(claim, rows, ctx.observed, ctx.model),
    )
    results = [_evaluate_row(claim, row, ctx, alpha, attempt, common) for row in rows]
    worst = min(results, key=lambda r: (ORDER.index(r[0].outcome), -_danger(r[0])))
    chosen = worst[1]
    if len(rows) > 1:
        note = f"worst of {len(rows)} estimates: " + ", ".join(f"{k}={v}" for k, v in chosen.cell.items())
        chosen = chosen.model_copy(update={"reasons": [*chosen.reasons, note]})
        if chosen.alarm:
            p = min(1.0, chosen.alarm.p * len(rows))
            chosen = chosen.model_copy(update={"alarm": Alarm(p=p, p_holm=p)})
    return chosen


def _danger(judged: Judged) -> float:
    return judged.bounds.upper if judged.bounds and not math.isnan(judged.bounds.upper) else math.inf


def _evaluate_row(
    claim: Claim, row: Row, ctx: Context, alpha: float, attempt: Attempt | None, common: Findings
) -> tuple[Judged, ClaimResult]:
    policy, kind = ctx.loaded.policy, claim.metric
    cell = cell_of(row, ctx.observed, ctx.model)
    digest = ctx.folder.store_digest
    findings = examine(claim, row, cell, ctx.model, policy, store_digest=digest, as_of=ctx.as_of)
    findings.hard.extend(common.hard)
    findings.hard.extend(pooled(claim, row, ctx.observed, ctx.model))
    if kind.monitor is not None:
        findings.hard.extend(monitor_problems(row, ctx.folder, simulated=cell.simulated == {True}))
    findings.partial.extend(common.partial)
    n = counted(row, cell)
    terms: dict[str, Term] = {}
    panels: dict[str, PanelResult] = {}
    hidden = 0.0
    axis = Axis(kind.scale, kind.direction)
    reach, alert = claim.lines
    if reach is None or alert is None:
        raise EvidenceError(f"claim {claim.id} has no numbers")
    try:
        bounds = bounds_of(claim, row, alpha, n)
        if claim.test.early_stop is not None:
            bounds = anytime(claim, bounds, row, cell, alpha)
        panel = evidence.entry_for(ctx.folder.evidence, "sandbagging", model=ctx.model, family=claim.family)
        terms = _terms(claim, ctx, findings)
        panels = _panels(claim, ctx, cell, panel, n)
        hidden = evidence.hidden_gap(panel, kind, bounds.upper) if claim.require.sandbagging_panel else 0.0
        if claim.relative:
            bounds = relative_bounds(bounds, _reference(claim, row, ctx, alpha, findings))
            axis = Axis("linear", "up")
    except EvidenceError as exc:
        findings.hard.append(str(exc))
        judged = Judged(Outcome.INVALID, findings, n=n, missing=cell.missing, shares=cell.shares)
        return judged, _result(claim, row, cell, judged, terms, panels, alpha, attempt, axis)
    for name, term in terms.items():
        if term.value is None:
            findings.partial.append(
                f"{name}: {term.why}, and {kind.name} ships no prior: set it in the policy"
            )
    findings.partial.extend(f"{name} failed: {p.why}" for name, p in panels.items() if not p.passed)
    if hidden:
        old = terms["E"]
        terms["E"] = Term((old.value or 0.0) + hidden, old.source + " + low detection power", old.why)
    judged = judge(
        bounds,
        axis,
        cell,
        findings,
        allowance=sum(term.value or 0.0 for term in terms.values()),
        n=n,
        alpha=alpha,
        reach=reach,
        alert=alert,
    )
    return judged, _result(claim, row, cell, judged, terms, panels, alpha, attempt, axis)


def _terms(claim: Claim, ctx: Context, findings: Findings) -> dict[str, Term]:
    found = ctx.folder.evidence
    kind, wanted = claim.metric, {"family": claim.family, "metric": claim.metric.name}
    entry = evidence.entry_for(found, "elicitation", model=ctx.model, **wanted)
    if ctx.profile.helpful_only and (entry is None or entry.get("helpful_only") is not True):
        findings.partial.append("the profile wants a helpful-only variant; the elicitation ledger names none")
    if claim.require.elicitation_ledger and entry is None:
        findings.partial.append("the elicitation ledger has no entry for this claim")
    simulated = ctx.observed.simulated(ctx.model) == {True}
    errors = allowances.read_forecast_errors(
        ctx.folder.root / "forecast_ledger.jsonl", kind, simulated=simulated
    )
    grown = evidence.entry_for(found, "growth", simulated=simulated, **wanted)
    return {
        "E": allowances.elicitation(claim.allowance, kind, entry),
        "G": allowances.growth(claim.allowance, kind, grown),
        "M": allowances.forecast_error(claim.allowance, kind, errors),
    }


def _panels(
    claim: Claim, ctx: Context, cell: Cell, sandbagging: Mapping[str, object] | None, n: int
) -> dict[str, PanelResult]:
    found, require = ctx.folder.evidence, claim.require
    panels: dict[str, PanelResult] = {}
    if require.sandbagging_panel:
        panels["sandbagging_panel"] = evidence.sandbagging(sandbagging)
    if require.awareness_panel:
        entry = evidence.entry_for(found, "awareness", model=ctx.model)
        panels["awareness_panel"] = evidence.awareness(entry, require.max_awareness_effect)
    if require.baselines:
        entry = evidence.entry_for(found, "baselines", family=claim.family)
        panels["baselines"] = evidence.baselines(entry, cell.versions)
    if require.preregistration:
        panels["preregistration"] = evidence.preregistration(
            found.get("preregistration"), claim, ctx.loaded.sha256, cell.first, n, cell.commitments
        )
    if require.transcripts:
        there = ctx.observed.samples(ctx.model, claim.family)
        panels["transcripts"] = PanelResult(
            passed=there >= require.transcripts, why=f"{there} samples to choose {require.transcripts} from"
        )
    return panels


def _reference(claim: Claim, row: Row, ctx: Context, alpha: float, findings: Findings) -> decide.Bounds:
    """Bounds of the reference model under the same condition and comparability key; its evidence must hold too."""
    name = claim.relative.reference if claim.relative else ""
    same = [
        r
        for r in matching(claim, ctx.folder.estimates, name)
        if evidence.cell_name(r) == evidence.cell_name(row)
        and text(r.get("comparability_key")) == text(row.get("comparability_key"))
    ]
    if len(same) != 1:
        raise EvidenceError(
            f"relative: {len(same)} estimates of the reference {printable(name)} under the same comparability key, "
            "not one"
        )
    cell = cell_of(same[0], ctx.observed, name)
    its = examine(
        claim, same[0], cell, name, ctx.loaded.policy, store_digest=ctx.folder.store_digest, as_of=ctx.as_of
    )
    findings.hard.extend(f"reference: {reason}" for reason in (*its.hard, *its.partial))
    return bounds_of(claim, same[0], alpha, counted(same[0], cell))


def _result(
    claim: Claim,
    row: Row,
    cell: Cell,
    judged: Judged,
    terms: Mapping[str, Term],
    panels: dict[str, PanelResult],
    alpha: float,
    attempt: Attempt | None,
    axis: Axis,
) -> ClaimResult:
    reach, alert = claim.lines
    bound = judged.bound
    own = Axis(claim.metric.scale, claim.metric.direction) if claim.relative is None else axis
    low, high = (
        (axis.natural(judged.bounds.lower), axis.natural(judged.bounds.upper))
        if judged.bounds
        else (None, None)
    )
    down = own.direction == "down"
    score = None
    if bound is not None and reach is not None:
        score = bound - reach if down else reach - bound
    more = None
    if judged.outcome is Outcome.UNRESOLVED:
        more = _more(claim, judged, terms, axis, alpha, _short_of(claim, row))
    required = judged.n + more.instances if more and more.instances else None
    reasons = [*judged.findings.hard, *judged.findings.partial]
    if attempt and attempt.alpha == 0:
        reasons.append(
            f"attempt {attempt.number}: the level {claim.alpha:g} is spent; plan attempts in test.attempts"
        )
    return blank(claim, reasons, alpha).model_copy(
        update={
            "verdict": judged.outcome,
            "original": judged.outcome,
            "scale": own.scale,
            "direction": own.direction,
            "estimate": axis.natural(judged.bounds.estimate) if judged.bounds else None,
            "lcb": high if down else low,
            "ucb": low if down else high,
            "E": terms["E"].value if "E" in terms else None,
            "G": terms["G"].value if "G" in terms else None,
            "M": terms["M"].value if "M" in terms else None,
            "allowance_sources": {name: f"{term.source}: {term.why}" for name, term in terms.items()},
            "B": bound,
            "worst_case": judged.worst_case,
            "margin": Margin(score=score),
            "proximity": _proximity(bound, reach, down=down),
            "n_instances": judged.n,
            "n_required": max(required or 0, claim.min_instances),
            "missing": judged.missing,
            "status_shares": dict(judged.shares),
            "panels": panels,
            "more_needed": more,
            "alarm": Alarm(p=judged.alarm_p, p_holm=judged.alarm_p),
            "attempt": attempt,
            "cell": evidence.cell_name(row),
            "W": alert,
            "T": reach,
        }
    )


def _proximity(bound: float | None, reach: float | None, *, down: bool) -> float | None:
    if bound is None or reach is None:
        return None
    top, bottom = (reach, bound) if down else (bound, reach)
    return top / bottom if bottom > 0 and math.isfinite(top) and math.isfinite(bottom) else None


def _short_of(claim: Claim, row: Row) -> str | None:
    """What to do where no attack run went as far as the claim asks: no number of runs says what lies beyond."""
    if claim.breach is None or not number(row.get("followed_to")) < claim.breach.survival_at:
        return None
    clock = claim.breach.clock.replace("_", " ")
    return (
        f"attack runs end at {number(row.get('followed_to')):g} {clock} and the claim asks for "
        f"{claim.breach.survival_at:g}: raise the attackers' budget"
    )


def _more(
    claim: Claim, judged: Judged, terms: Mapping[str, Term], axis: Axis, alpha: float, ends: str | None
) -> MoreNeeded:
    """What would take an unresolved claim below T, or, where the estimate lies beyond T, above it. `ends`: `_short_of`."""
    reach = claim.lines[0]
    if judged.bounds is None or reach is None or alpha <= 0:
        return MoreNeeded(note="no number of instances: the level of this claim is spent")
    allowance, target = sum(term.value or 0.0 for term in terms.values()), axis.up(reach)
    if judged.binds_missing:
        share = decide.missing_share_that_resolves(axis, judged.bounds, allowance, target, judged.missing)
        note = f"missing samples bind ({judged.missing:.3g} of all)"
        return MoreNeeded(
            missing_share=share, note=note + (f"; at most {share:.3g} would do" if share is not None else "")
        )
    if ends is not None and judged.bounds.estimate < target:
        return MoreNeeded(note=ends)
    total = decide.instances_needed(judged.bounds, allowance, target, judged.n, axis.scale, alpha)
    if total is not None:
        extra = max(1, total - judged.n)
        return MoreNeeded(
            instances=extra, note=f"{extra} more instances would bring B below T at this estimate"
        )
    total = decide.instances_to_alarm(judged.bounds, target, judged.n)
    if total is not None:
        extra = max(1, total - judged.n)
        return MoreNeeded(
            instances=extra, note=f"the estimate lies beyond T: {extra} more instances would confirm it"
        )
    largest = max(
        (name for name in terms if terms[name].value), key=lambda name: terms[name].value or 0.0, default=""
    )
    binds = f"; the allowance {largest} ({terms[largest].source}) binds" if largest else ""
    return MoreNeeded(note=f"no number of instances would bring B below T at this estimate{binds}")
