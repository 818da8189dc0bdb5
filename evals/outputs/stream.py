"""A verdict as a skeleton of the STREAM reporting checklist: what the evidence fills in, and what a person must."""

from __future__ import annotations

from dangercurve.evals.gating.verdict import ClaimResult, Verdict
from dangercurve.evals.outputs.summary import md
from dangercurve.evals.outputs.text import bound_line, fmt

OPEN = "*to be written by the reporting team*"


def as_stream(verdict: Verdict) -> str:
    """One section an evaluation under the six categories of STREAM, each with what the verdict knows.

    The categories, and the items under the first two, are those of the summary checklist on the standard's page
    (streamevals.com, version 1, 28 criteria); the items under the other four are ours. What the run did not record is
    marked as open, never filled in.
    """
    lines = [
        f"# Evaluation report: {md(verdict.subject)}",
        "",
        f"**{md(verdict.headline, 600)}**",
        "",
        "Skeleton after STREAM, a standard for transparently reporting evaluations in AI model reports (version 1, "
        "28 criteria in six categories, streamevals.com). The items under 1 and 2 follow its summary checklist, those "
        "under 3 to 6 are this project's: check them against the full list before you claim compliance.",
    ]
    for claim in verdict.claims:
        lines += ["", f"## {md(claim.id)}"]
        for heading, items in _sections(claim, verdict):
            lines += ["", f"### {heading}", ""]
            lines += [
                f"- **{question}**: {answer if answer == OPEN else md(answer, 1500)}"
                for question, answer in items
            ]
    return "\n".join(lines) + "\n"


def _sections(claim: ClaimResult, verdict: Verdict) -> list[tuple[str, list[tuple[str, str]]]]:
    shares = ", ".join(f"{name} {fmt(share)}" for name, share in claim.status_shares.items())
    cell = ", ".join(f"{key} {value}" for key, value in claim.cell.items())
    samples = ", ".join(
        f"{t.sample_id} epoch {t.epoch}" for t in verdict.transcripts if t.family == claim.family
    )
    return [
        (
            "1. Threat relevance",
            [
                (
                    "Capability measured, and the threat models it bears on",
                    f"{claim.family}; threat models: {OPEN}",
                ),
                (
                    "Results that would rule capabilities of concern in or out",
                    f"ruled out below W {fmt(claim.W)}, reached at T {fmt(claim.T)}; who set them and why: {OPEN}",
                ),
                ("An example item and response", f"samples to read, chosen by seed: {samples or '-'}"),
            ],
        ),
        (
            "2. Test construction, grading and scoring",
            [
                ("Number of items", f"{claim.n_instances} instances (repetitions do not count)"),
                ("Item type and scoring method", f"{claim.metric} ({claim.unit}); scorers: {OPEN}"),
                ("Grading criteria and quality control", _panel(claim, "baselines")),
            ],
        ),
        (
            "3. Model elicitation",
            [
                ("Model version tested", f"{verdict.subject}; deployment {verdict.deployment or OPEN}"),
                ("Scaffold, tools, budgets, fine-tuning, safeguards", f"{cell or '-'}; the rest: {OPEN}"),
                ("Room left by elicitation", claim.allowance_sources.get("E", "-")),
                (
                    "Sandbagging and evaluation awareness",
                    f"{_panel(claim, 'sandbagging_panel')}; {_panel(claim, 'awareness_panel')}",
                ),
            ],
        ),
        (
            "4. Model performance",
            [
                ("Results with uncertainty", f"estimate {fmt(claim.estimate)}, {bound_line(claim)}"),
                ("What happened to samples that were not scored", shares or "-"),
            ],
        ),
        ("5. Baseline performance", [("Human, reference model and floor", _panel(claim, "baselines"))]),
        (
            "6. Results interpretation",
            [
                (
                    "What would have changed the conclusion",
                    claim.more_needed.note if claim.more_needed else OPEN,
                ),
                ("What this does not show", claim.text),
            ],
        ),
    ]


def _panel(claim: ClaimResult, name: str) -> str:
    panel = claim.panels.get(name)
    return (
        f"{name} {'passed' if panel.passed else 'failed'}: {panel.why}"
        if panel
        else f"{name} not required by the policy"
    )
