"""A verdict as Markdown for a job summary or a pull-request comment: at most sixty lines, the verdict first."""

from __future__ import annotations

import re

from dangercurve._text import printable
from dangercurve.evals.gating.verdict import ORDER, ClaimResult, Outcome, Verdict
from dangercurve.evals.outputs.text import fmt

MAX_LINES = 60
_ROWS = 24
_REASONS = 14


def md(text: object, limit: int = 160) -> str:
    """Untrusted text as one harmless piece of Markdown: nothing in it is read as HTML, link, table or emphasis."""
    shown = printable(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = re.sub(r"([\\`*_\[\]()#|!~])", r"\\\1", shown)
    return re.sub(r"(?i)(https?|ftp|www|javascript|data|mailto)([:.])", r"\1\\\2", shown).replace(
        "@", "&#64;"
    )


def as_summary(verdict: Verdict) -> str:
    """The verdict in at most sixty lines of Markdown."""
    lines = [
        f"**{md(verdict.headline, 600)}**",
        "",
        f"Exit {verdict.exit_code}, as of {md(verdict.as_of)}, profile {md(verdict.profile)} ({verdict.tier} tier), "
        f"policy {md(verdict.policy.id)} `{verdict.policy.sha256[:12]}`.",
        "",
        "| claim | verdict | B | W | T | n | missing | worst case |",
        "|---|---|---|---|---|---|---|---|",
    ]
    worst_first = sorted(verdict.claims, key=_severity)
    lines += [_row(claim) for claim in worst_first[:_ROWS]]
    if len(worst_first) > _ROWS:
        lines.append(f"| {len(worst_first) - _ROWS} more claims in verdict.json | | | | | | | |")
    reasons = [f"- {md(c.id)}: {md(why, 220)}" for c in worst_first for why in _why(c)]
    if reasons:
        lines += ["", *reasons[:_REASONS]]
        if len(reasons) > _REASONS:
            lines.append(f"- {len(reasons) - _REASONS} more reasons in verdict.json")
    due = [f"{t.kind} {t.state}" for t in verdict.triggers if t.state != "ok"]
    if due:
        lines += ["", f"Re-assessment: {md(', '.join(due))}."]
    lines += ["", "Bounds are upper bounds with allowances for elicitation, growth and forecast error; "]
    lines[-1] += "this does not establish that the model is safe."
    return "\n".join(lines[:MAX_LINES]) + "\n"


def _severity(claim: ClaimResult) -> int:
    return ORDER.index(claim.verdict) if claim.verdict in ORDER else len(ORDER)


def _why(claim: ClaimResult) -> list[str]:
    found = list(claim.reasons)
    if claim.more_needed:
        found.append(claim.more_needed.note)
    if claim.waiver:
        found.append(f"waiver {claim.waiver.id}: {claim.waiver.why} (until {claim.waiver.expires[:10]})")
    return found


def _row(claim: ClaimResult) -> str:
    name = claim.verdict.value + (f" (was {claim.original.value})" if claim.verdict is Outcome.WAIVED else "")
    cells = [
        md(claim.id),
        md(name),
        fmt(claim.B),
        fmt(claim.W),
        fmt(claim.T),
        "-" if claim.n_instances is None else str(claim.n_instances),
        fmt(claim.missing),
        fmt(claim.worst_case.B),
    ]
    return "| " + " | ".join(cells) + " |"
