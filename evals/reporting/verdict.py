"""A verdict as the page shows it: the same numbers, none of them computed again."""

from __future__ import annotations

from dangercurve.analysis.report.data import Claim, Panel, Verdict
from dangercurve.evals.gating import verdict as gate


def verdict_view(v: gate.Verdict) -> Verdict:
    """`verdict.json` as report data."""
    return Verdict(
        overall=v.overall.value,
        headline=v.headline,
        subject=v.subject,
        simulated=v.simulated,
        exit_code=v.exit_code,
        as_of=v.as_of,
        profile=v.profile,
        tier=v.tier,
        policy=v.policy.id,
        policy_effective=v.policy.effective,
        claims=tuple(claim_view(c) for c in v.claims),
        triggers=tuple(Panel(t.kind, t.state == "ok", f"{t.state}: {t.why}") for t in v.triggers),
        lapse=tuple(v.lapse),
        notes=tuple(v.notes),
        lenient=tuple(v.policy.lenient),
        transcripts=tuple((t.log, f"{t.sample_id} (epoch {t.epoch})", t.sample_uuid) for t in v.transcripts),
        attempts=v.attempts,
        ledger_head=v.ledger_head,
        code_digest=v.digests.code,
        policy_digest=v.policy.sha256,
    )


def claim_view(c: gate.ClaimResult) -> Claim:
    """One claim as report data."""
    waiver = c.waiver
    return Claim(
        id=c.id,
        kind=c.kind,
        verdict=c.verdict.value,
        original=c.original.value,
        family=c.family,
        metric=c.metric,
        unit=c.unit,
        scale=c.scale,
        direction=c.direction,
        alpha=c.alpha,
        estimate=c.estimate,
        lcb=c.lcb,
        ucb=c.ucb,
        B=c.B,
        B_worst=c.worst_case.B,
        W=c.W,
        T=c.T,
        proximity=c.proximity,
        margin_score=c.margin.score,
        margin_log10_flop=c.margin.log10_flop,
        margin_days=c.margin.days,
        n_instances=c.n_instances,
        n_required=c.n_required,
        missing=c.missing,
        allowances=tuple(
            (name, value, c.allowance_sources.get(name, ""))
            for name, value in (("E", c.E), ("G", c.G), ("M", c.M))
            if value is not None or name in c.allowance_sources
        ),
        panels=tuple(Panel(name, p.passed, p.why) for name, p in c.panels.items()),
        reasons=tuple(c.reasons),
        more_needed=c.more_needed.note if c.more_needed else "",
        waiver=f"{waiver.id}, {'applied' if waiver.applied else 'VOID'}: {waiver.why}; owner {waiver.owner}, "
        f"approver {waiver.approver}, expires {waiver.expires}"
        if waiver
        else "",
        text=c.text,
    )
