"""A verdict as a skeleton of the STREAM reporting checklist: what the evidence fills in, and what a person must."""

from __future__ import annotations

from dangercurve.evals.outputs.summary import md
from dangercurve.evals.outputs.text import bound_line, fmt
from dangercurve.evals.verdict import ClaimResult, Verdict

OPEN = "*to be written by the reporting team*"


def as_stream(verdict: Verdict) -> str:
    """One section an evaluation, in the order threat relevance, construction, elicitation, results, baselines, reading.

    The headings follow the published checklist's themes in our own words; they carry no clause numbers. What the run
    did not record is marked as open, never filled in.
    """
    lines = [
        f"# Evaluation report: {md(verdict.subject)}",
        "",
        f"**{md(verdict.headline, 600)}**",
        "",
        "Skeleton after the themes of the STREAM checklist (transparent reporting of evaluations in model reports). "
        "Item numbers are left out: they were not checked against the published text.",
    ]
    for claim in verdict.claims:
        lines += ["", f"## {md(claim.id)}", "", *_items(claim, verdict)]
    return "\n".join(lines) + "\n"


def _items(claim: ClaimResult, verdict: Verdict) -> list[str]:
    shares = ", ".join(f"{name} {fmt(share)}" for name, share in claim.status_shares.items())
    cell = ", ".join(f"{key} {value}" for key, value in claim.cell.items())
    samples = ", ".join(
        f"{t.sample_id} epoch {t.epoch}" for t in verdict.transcripts if t.family == claim.family
    )
    answers = [
        ("Threat model and why this evaluation bears on it", OPEN),
        ("What is measured", f"{claim.family}, {claim.metric} ({claim.unit})"),
        (
            "Threshold and alert line, and who set them",
            f"T {fmt(claim.T)}, W {fmt(claim.W)}; reasons: {OPEN}",
        ),
        ("Model version tested", f"{verdict.subject}; deployment {verdict.deployment or OPEN}"),
        (
            "Elicitation: scaffold, tools, budgets, fine-tuning, safeguards",
            f"{cell or '-'}; the rest: {OPEN}",
        ),
        ("Number of items and of repetitions", f"{claim.n_instances} instances (repetitions do not count)"),
        ("Results with uncertainty", f"estimate {fmt(claim.estimate)}, {bound_line(claim)}"),
        ("What happened to samples that were not scored", shares or "-"),
        ("Baselines (human, reference model, floor)", _panel(claim, "baselines")),
        (
            "Sandbagging and evaluation awareness",
            f"{_panel(claim, 'sandbagging_panel')}; {_panel(claim, 'awareness_panel')}",
        ),
        ("Samples to read, chosen by seed", samples or "-"),
        ("What would have changed the conclusion", claim.more_needed.note if claim.more_needed else OPEN),
        ("What this does not show", claim.text),
    ]
    return [
        f"- **{question}**: {answer if answer == OPEN else md(answer, 1500)}" for question, answer in answers
    ]


def _panel(claim: ClaimResult, name: str) -> str:
    panel = claim.panels.get(name)
    return (
        f"{name} {'passed' if panel.passed else 'failed'}: {panel.why}"
        if panel
        else f"{name} not required by the policy"
    )
