"""A verdict as a skeleton of the model report that the EU Code of Practice (Safety and Security) asks for."""

from __future__ import annotations

from dangercurve.evals.gating.verdict import Outcome, Verdict
from dangercurve.evals.outputs.summary import md
from dangercurve.evals.outputs.text import bound_line, fmt

OPEN = "*to be written by the provider*"


def as_code_of_practice(verdict: Verdict) -> str:
    """Sections in our own words after the Code's themes: model, tiers and margins, evaluations, timelines, triggers.

    No measure or appendix number is given: none was checked against the text. Open points are marked.
    """
    tiers = [
        f"| {md(c.id)} | {fmt(c.T)} | {fmt(c.W)} | {fmt(c.B)} | {fmt(c.E)} | {fmt(c.G)} | {fmt(c.M)} | {c.verdict.value} |"
        for c in verdict.claims
    ]
    times = [
        f"- {md(c.id)}: {fmt(c.margin.days)} days, {fmt(c.margin.log10_flop)} orders of magnitude of compute to the "
        "early end (5 %) of the forecast crossing"
        for c in verdict.claims
        if c.margin.days is not None or c.margin.log10_flop is not None
    ]
    due = [f"- {md(t.kind)}: {t.state}, {md(t.why)}" for t in verdict.triggers]
    samples = [
        f"- {md(t.family)}: sample {md(t.sample_id)}, epoch {t.epoch}, log {t.log[:12]}"
        for t in verdict.transcripts
    ]
    signed = [
        f"- {md(r)}: {md(verdict.signoff.signed.get(r, 'not signed'))}" for r in verdict.signoff.required
    ]
    passed = verdict.overall in (Outcome.RULED_OUT, Outcome.APPROACHING)
    lines = [
        f"# Safety and security model report (skeleton): {md(verdict.subject)}",
        "",
        f"**{md(verdict.headline, 600)}**",
        "",
        "After the themes of the EU General-Purpose AI Code of Practice, Safety and Security chapter. Numbers of measures "
        "and appendices are left out: they were not checked against the text.",
        "",
        "## 1. Model and intended use",
        "",
        f"Model {md(verdict.subject)}, deployment {md(verdict.deployment) if verdict.deployment else OPEN}. {OPEN}",
        "",
        "## 2. Systemic-risk tiers and where the model stands",
        "",
        "| tier (claim) | threshold | alert line | bound | elicitation | growth | historical error | verdict |",
        "|---|---|---|---|---|---|---|---|",
        *tiers,
        "",
        "The bound holds margins for under-elicitation, post-assessment gains and historical forecast error.",
        "",
        "## 3. Evaluations",
        "",
        *[f"- {md(c.text, 600)} {md(bound_line(c), 600)}" for c in verdict.claims],
        "",
        "## 4. Best-effort timelines of tier crossing",
        "",
        *(times or [f"No forecast on record. {OPEN}"]),
        "",
        "## 5. Random samples for a reader",
        "",
        *(samples or ["none on record"]),
        "",
        "## 6. Safeguards and security mitigations",
        "",
        OPEN,
        "",
        "## 7. Acceptance",
        "",
        f"{'Accepted' if passed and verdict.exit_code == 0 else 'Not accepted'} by policy {md(verdict.policy.id)} "
        f"as of {md(verdict.as_of)}. Lapses when: {md('; '.join(verdict.lapse), 1000)}.",
        "",
        *(signed or []),
        "",
        "## 8. What makes a re-assessment due",
        "",
        *(due or ["no trigger in the policy"]),
    ]
    return "\n".join(lines) + "\n"
