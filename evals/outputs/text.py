"""A verdict as plain text for a terminal, and the explanation of one claim."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from dangercurve._text import printable
from dangercurve.analysis.registry import SCALES
from dangercurve.evals.gating.decide import Axis
from dangercurve.evals.gating.verdict import ClaimResult, Outcome, Verdict, round6

if TYPE_CHECKING:
    from dangercurve.evals.planning.costs import Cost

WIDTH = 110


def fmt(value: float | None) -> str:
    """A number as it is shown: six significant digits at most, `-` where there is none."""
    return "-" if value is None else f"{round6(value):g}"


def bound_line(claim: ClaimResult) -> str:
    """The bound itemised, from the numbers of the verdict."""
    sign = "<" if claim.direction == "up" else ">"
    top = claim.ucb if claim.direction == "up" else claim.lcb
    return (
        f"B {fmt(claim.B)} from bound {fmt(top)} and E {fmt(claim.E)}, G {fmt(claim.G)}, M {fmt(claim.M)} on {claim.scale}; "
        f"passes at B {sign} W {fmt(claim.W)}, threshold T {fmt(claim.T)}; worst case {fmt(claim.worst_case.B)}"
    )


def as_text(verdict: Verdict) -> str:
    """The verdict for a terminal: the headline first, then a block a claim."""
    lines = [
        printable(verdict.headline, 4000),
        printable(
            f"exit {verdict.exit_code}; as of {verdict.as_of}; profile {verdict.profile} ({verdict.tier} tier)"
        ),
    ]
    for claim in verdict.claims:
        lines += ["", *claim_lines(claim)]
    due = [f"{t.kind} {t.state} ({t.why})" for t in verdict.triggers if t.state != "ok"]
    if due:
        lines += ["", *_wrap("Re-assessment: " + "; ".join(due), "")]
    if verdict.signoff.required:
        said = [
            f"{role}: {verdict.signoff.signed.get(role, 'not signed')}" for role in verdict.signoff.required
        ]
        lines += [
            "",
            *_wrap(
                "Sign-off: " + "; ".join([*said, *verdict.signoff.dissent, *verdict.signoff.problems]), ""
            ),
        ]
    lines += ["", *[line for note in verdict.notes for line in _wrap(f"Note: {note}", "")]]
    lines += _wrap("Lapses when " + "; or ".join(verdict.lapse) + ".", "")
    lines += _wrap("A verdict states what was ruled out by this evidence; it does not establish safety.", "")
    return "\n".join(lines) + "\n"


def claim_lines(claim: ClaimResult) -> list[str]:
    """One claim in a few lines."""
    shown = claim.verdict.value + (
        f" (was {claim.original.value})" if claim.verdict is Outcome.WAIVED else ""
    )
    lines = [printable(f"{shown:<12} {claim.id}  [{claim.kind}: {claim.family} {claim.metric}]")]
    if claim.B is not None:
        lines += _wrap(bound_line(claim))
        n = f"{claim.n_instances} instances" if claim.n_instances is not None else "no instance count"
        shares = ", ".join(f"{name} {fmt(share)}" for name, share in claim.status_shares.items() if share)
        if claim.kind != "forecast":
            lines += _wrap(f"estimate {fmt(claim.estimate)} ({claim.unit}), {n}; {shares}")
            lines += _wrap("; ".join(f"{key} {said}" for key, said in claim.allowance_sources.items()))
    for name, panel in claim.panels.items():
        lines += _wrap(f"{name}: {'passed' if panel.passed else 'FAILED'}: {panel.why}")
    lines += [line for reason in claim.reasons for line in _wrap(reason, "    - ", "      ")]
    if claim.more_needed:
        lines += _wrap(f"would resolve it: {claim.more_needed.note}")
    if claim.waiver:
        lines += _wrap(
            f"waiver {claim.waiver.id} ({claim.waiver.owner}, approved by {claim.waiver.approver}): {claim.waiver.why}"
        )
    if claim.verdict is Outcome.APPROACHING:
        lines += _wrap(f"response plan: {claim.response_plan or 'none on record'}")
    return lines


def explain(verdict: Verdict, claim: ClaimResult, cost: Cost | None = None) -> str:
    """What a claim rests on, what would resolve it and the cheapest way there; priced where `cost` is known."""
    lines = [f"{claim.id}: {claim.verdict.value}", "", *_wrap(claim.text, ""), "", *claim_lines(claim), ""]
    lines += [
        "What would change it, the cheapest first:",
        *[line for step in ways(claim, cost) for line in _wrap(step, "  - ", "    ")],
    ]
    return "\n".join(lines) + "\n"


LEDGERS = (
    ("E", "an elicitation curve (evidence/elicitation.json, from a sweep of kappa) with a flat end"),
    ("M", "nine scored forecasts in forecast_ledger.jsonl (`forecast --ledger`)"),
    (
        "G",
        "a measured growth (evidence/growth.json, from five models of known compute), or an earlier next assessment",
    ),
)


def ways(claim: ClaimResult, cost: Cost | None = None) -> list[str]:
    """Steps toward a resolved claim, the cheapest first: a paper, a ledger, mended samples, then more instances."""
    if claim.verdict in (Outcome.RULED_OUT, Outcome.WAIVED):
        return ["nothing is needed; keep the lapse conditions in view"]
    if claim.verdict is Outcome.INVALID:
        return [f"mend the evidence: {reason}" for reason in claim.reasons] or [
            "produce the evidence, then gate again"
        ]
    steps: list[str] = []
    if claim.verdict is Outcome.APPROACHING and claim.response_plan is None:
        steps.append("put a response plan on record (response_plan in the policy, the file beside it)")
    if claim.verdict is not Outcome.REACHED:
        steps += [said for name, what in LEDGERS if (said := _allowance(claim, name, what))]
    if claim.more_needed:
        steps.append(claim.more_needed.note)
        if claim.more_needed.instances and claim.n_instances:
            factor = claim.more_needed.instances / claim.n_instances
            price = cost.of(claim.more_needed.instances) if cost else ""
            steps.append(
                f"that is {factor:.2g} times the cost of the run behind this estimate"
                + (f": about {price}" if price else " (its logs hold no prices)")
            )
    if claim.verdict is Outcome.REACHED:
        steps.append(
            "the threshold is reached: apply the response plan; more data will not rule it out at this estimate"
        )
    return steps or ["more evidence under a stronger elicitation"]


def _allowance(claim: ClaimResult, name: str, what: str) -> str:
    """What measuring one allowance that is still a prior could do: B at its best, against T and W."""
    value = getattr(claim, name)
    if not value or not claim.allowance_sources.get(name, "").startswith("prior"):
        return ""
    said = f"{name} is a prior of {fmt(value)} on {claim.scale}: {what} may shrink it, without a run of this claim"
    best = bound_without(claim, name)
    if best is None or claim.T is None or claim.W is None:
        return said
    down = claim.direction == "down"
    below_t, below_w = ((best > line) if down else (best < line) for line in (claim.T, claim.W))
    ends = (
        "which would rule it out"
        if below_w
        else "which would bring it below T"
        if below_t
        else "not enough alone"
    )
    return f"{said}; at 0 it would leave B {fmt(best)}, {ends}"


def bound_without(claim: ClaimResult, name: str) -> float | None:
    """B with the allowance `name` at 0 and the others as they are; None where the claim has no finite bound."""
    top = claim.ucb if claim.direction == "up" else claim.lcb
    if top is None or claim.scale not in SCALES:
        return None
    scale = next(s for s in SCALES if s == claim.scale)
    axis = Axis(scale, claim.direction)
    rest = sum(getattr(claim, other) or 0.0 for other in "EGM" if other != name)
    return axis.natural(axis.up(top) + rest)


def _wrap(text: str, first: str = "    ", rest: str | None = None) -> list[str]:
    safe = printable(text, 4000)
    return textwrap.wrap(
        safe,
        WIDTH,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_long_words=True,
    )
