"""A track as data (`track --format json`, docs/track.md) and as rows of tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from dangercurve._text import printable
from dangercurve.evals.gating.verdict import ClaimResult
from dangercurve.evals.track import Assessment, Track
from dangercurve.evals.tracking.changes import Change
from dangercurve.evals.tracking.estimates import TWO_SIDED
from dangercurve.evals.tracking.forecasts import Calibration, calibration

SCHEMA = 1
Row = dict[str, object]
NO_SAFETY = (
    "A margin says what this evidence ruled out under its policy; it does not establish that a model is safe."
)


def data(found: Track) -> Row:
    """Everything in the track as plain data; what is not known is null."""
    return {
        "schema": SCHEMA,
        "as_of": found.as_of,
        "simulated": found.simulated,
        "assessments": [_assessment(a, c) for a, c in zip(found.assessments, found.changes, strict=True)],
        "pending": list(found.pending),
        "due": [asdict(row) for row in found.due],
        "forecasts": [asdict(row) for row in found.forecasts],
        "calibration": {
            "real": asdict(calibration(found.forecasts, False)),
            "simulated": asdict(calibration(found.forecasts, True)),
        },
        "notes": list(found.notes),
    }


def _assessment(each: Assessment, changes: tuple[Change, ...]) -> Row:
    v = each.verdict
    return {
        "run": each.label,
        "as_of": v.as_of,
        "subject": v.subject,
        "simulated": v.simulated,
        "overall": v.overall.value,
        "exit_code": v.exit_code,
        "headline": v.headline,
        "policy": v.policy.id,
        "policy_sha256": v.policy.sha256,
        "profile": v.profile,
        "tier": v.tier,
        "code": v.digests.code,
        "log10_flop": each.log10_flop,
        "claims": [
            {
                "id": c.id,
                "kind": c.kind,
                "verdict": c.verdict.value,
                "original": c.original.value,
                "family": c.family,
                "metric": c.metric,
                "unit": c.unit,
                "estimate": c.estimate,
                "lcb": c.lcb,
                "ucb": c.ucb,
                "B": c.B,
                "W": c.W,
                "T": c.T,
                "margin": c.margin.model_dump(),
                "proximity": c.proximity,
                "n_instances": c.n_instances,
            }
            for c in v.claims
        ],
        "changes": [_change(c) for c in changes],
    }


def _change(change: Change) -> Row:
    step = change.moved
    moved = None
    if step is not None:
        moved = {k: v for k, v in asdict(step).items() if k != "versions"} | {"two_sided": TWO_SIDED}
    return {
        "kind": change.kind,
        "claim": change.claim,
        "way": change.way,
        "text": change.text,
        "moved": moved,
    }


def subject_of(each: Assessment) -> str:
    """The subject's name, with SIMULATED before it where it is."""
    return ("SIMULATED " if each.verdict.simulated else "") + printable(each.verdict.subject, 80)


def margin_rows(found: Track) -> list[Row]:
    """One row an assessment and claim: verdict, bound, margins in score, orders of magnitude and days."""
    return [_margin(a, c) for a in found.assessments for c in a.verdict.claims]


def _margin(each: Assessment, claim: ClaimResult) -> Row:
    v = each.verdict
    return {
        "as of": v.as_of[:10],
        "run": each.label,
        "subject": subject_of(each),
        "claim": claim.id,
        "verdict": claim.verdict.value,
        "B": claim.B,
        "T": claim.T,
        "margin": claim.margin.score,
        "margin OOM": claim.margin.log10_flop,
        "margin days": claim.margin.days,
        "n": claim.n_instances,
    }


def change_rows(found: Track) -> list[Row]:
    """One row a change, newest assessment first."""
    rows: list[Row] = []
    for each, changes in reversed(list(zip(found.assessments, found.changes, strict=True))):
        rows += [
            {
                "as of": each.verdict.as_of[:10],
                "subject": printable(each.verdict.subject, 80),
                "claim": c.claim or "(all)",
                "way": "" if c.way == "neutral" else c.way,
                "change": c.text,
            }
            for c in changes
        ]
    return rows


def due_rows(found: Track) -> list[Row]:
    return [
        {
            "state": d.state,
            "trigger": d.kind,
            "subject": d.subject,
            "run": d.label,
            "why": d.why,
            "as of": d.seen[:10],
        }
        for d in found.due
    ]


def forecast_table(found: Track) -> list[Row]:
    return [
        {
            "came": r.state.replace("_", " "),
            "about": ("SIMULATED " if r.simulated else "") + printable(r.subject, 80),
            "family": r.family,
            "metric": r.metric,
            "made": r.made[:10],
            "said": r.said,
            "actual": r.actual,
        }
        for r in found.forecasts
    ]


def calibration_text(name: str, found: Calibration) -> str:
    """One sentence; never a share without its n and interval."""
    if not found.scored:
        return f"{name}: no prediction has been scored yet, {found.open} open"
    error = (
        ""
        if found.mean_absolute_error is None
        else f"; mean absolute error {found.mean_absolute_error:.3g} on the scale"
    )
    return (
        f"{name}: {found.covered} of {found.scored} scored predictions lay in their 90 % interval "
        f"({found.share:.0%}, bounds {found.lcb:.0%} to {found.ucb:.0%}){error}; {found.open} open"
    )


def calibration_lines(found: Track) -> list[str]:
    """Calibration of real and of simulated models, each where there is anything to say."""
    kinds = (("real models", False), ("SIMULATED models", True))
    there = {r.simulated for r in found.forecasts if r.kind == "prediction"}
    return [
        calibration_text(name, calibration(found.forecasts, kind)) for name, kind in kinds if kind in there
    ]


def text(found: Track, *, markdown: bool, table: Callable[..., str]) -> str:
    """The track as plain or Markdown text."""
    head = "#" if markdown else "=="

    def part(title: str, rows: list[Row], empty: str) -> list[str]:
        return [f"{head} {title}\n", table(rows, markdown=markdown) if rows else f"{empty}\n"]

    lines: list[str] = []
    if found.simulated:
        lines.append("SIMULATED models are among these: no evidence about any other model.\n")
    lines += part("Safety margins, oldest first", margin_rows(found), "no assessment with a verdict")
    lines += part("What changed, newest first", change_rows(found), "nothing to compare")
    lines += part("Due", due_rows(found), "no trigger or waiver on record")
    lines += part("Forecasts", forecast_table(found), "no forecast ledger in these runs")
    lines += [f"{line}\n" for line in calibration_lines(found)]
    if found.pending:
        lines.append(f"without a verdict yet: {', '.join(printable(p, 120) for p in found.pending)}\n")
    lines.append(NO_SAFETY + "\n")
    return "\n".join(lines)
