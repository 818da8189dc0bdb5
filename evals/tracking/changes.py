"""What changed from one assessment to the next: verdicts, bounds, versions, keys, policy, and estimates with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dangercurve._text import printable
from dangercurve.evals.gating.verdict import ORDER, ClaimResult, Outcome, Verdict
from dangercurve.evals.tracking.estimates import Moved, moved

if TYPE_CHECKING:
    from dangercurve.evals.track import Assessment

Kind = Literal[
    "first", "subject", "compute", "policy", "code", "profile", "verdict", "claim", "bound", "estimate", "waiver", "versions"
]  # fmt: skip
Way = Literal["worse", "better", "neutral"]


@dataclass(frozen=True)
class Change:
    """One change, in words; `way` is whether it brings the model nearer to its threshold or away from it."""

    kind: Kind
    claim: str | None
    text: str
    way: Way = "neutral"
    moved: Moved | None = None


def changes_between(before: Assessment | None, after: Assessment) -> tuple[Change, ...]:
    """Everything that differs from `before`; one line that says so where there is none."""
    new = after.verdict
    if before is None:
        return (Change("first", None, f"first assessment under {printable(new.policy.id, 80)}"),)
    old = before.verdict
    found = [*_circumstances(before, after), *_overall(old, new)]
    olds, news = ({c.id: c for c in v.claims} for v in (old, new))
    found += [Change("claim", name, "claim is no longer asked", "worse") for name in olds if name not in news]
    for name, claim in news.items():
        if name not in olds:
            found.append(Change("claim", name, f"new claim: {claim.verdict.value}"))
        else:
            found += _claim(before, after, olds[name], claim)
    return tuple(found)


def _circumstances(before: Assessment, after: Assessment) -> list[Change]:
    old, new = before.verdict, after.verdict
    found: list[Change] = []
    if old.subject != new.subject:
        found.append(Change("subject", None, f"{printable(old.subject, 80)} → {printable(new.subject, 80)}"))
    if (
        before.log10_flop is not None
        and after.log10_flop is not None
        and before.log10_flop != after.log10_flop
    ):
        times = 10 ** (after.log10_flop - before.log10_flop)
        text = f"training compute times {times:.3g} (10^{before.log10_flop:.4g} → 10^{after.log10_flop:.4g} FLOP)"
        found.append(Change("compute", None, text))
    if old.policy.sha256 != new.policy.sha256:
        text = f"policy {printable(new.policy.id, 60)} changed: {old.policy.sha256[:12]} → {new.policy.sha256[:12]}"
        found.append(Change("policy", None, text))
    if old.digests.code != new.digests.code:
        text = (
            f"code changed: {printable(old.digests.code[:18], 20)} → {printable(new.digests.code[:18], 20)}"
        )
        found.append(Change("code", None, text))
    for name in ("profile", "tier", "strict", "deployment", "simulated"):
        a, b = getattr(old, name), getattr(new, name)
        if a != b:
            found.append(Change("profile", None, f"{name}: {printable(a, 60)} → {printable(b, 60)}"))
    return found


def _overall(old: Verdict, new: Verdict) -> list[Change]:
    if old.overall is new.overall:
        return []
    text = f"overall {old.overall.value} → {new.overall.value}"
    return [Change("verdict", None, text, _way(old.overall, new.overall))]


def _claim(before: Assessment, after: Assessment, old: ClaimResult, new: ClaimResult) -> list[Change]:
    found: list[Change] = []
    if old.verdict is not new.verdict or old.original is not new.original:
        text = f"{_said(old)} → {_said(new)}"
        found.append(Change("verdict", new.id, text, _way(old.original, new.original)))
    if (old.T, old.W) != (new.T, new.W):
        text = f"threshold {_n(old.T)} → {_n(new.T)}, alert line {_n(old.W)} → {_n(new.W)}"
        found.append(Change("policy", new.id, text))
    if old.B is not None and new.B is not None and old.B != new.B:
        up = (new.B > old.B) == (new.direction == "up")
        found.append(
            Change("bound", new.id, f"bound B {_n(old.B)} → {_n(new.B)}", "worse" if up else "better")
        )
    elif (old.B is None) != (new.B is None):
        text = f"bound B {_n(old.B)} → {_n(new.B)}"
        found.append(Change("bound", new.id, text, "worse" if new.B is None else "better"))
    if new.kind == "measure":
        step = moved(before, after, old, new)
        found += [Change("versions", new.id, line) for line in step.versions]
        if step.difference is not None or step.why:
            found.append(Change("estimate", new.id, step.text, step.way(new.direction), step))
    if (old.waiver is None) != (new.waiver is None):
        text = "a waiver was found" if new.waiver else "no waiver any more"
        found.append(Change("waiver", new.id, text))
    return found


def _way(old: Outcome, new: Outcome) -> Way:
    rank = {outcome: i for i, outcome in enumerate(ORDER)} | {Outcome.WAIVED: len(ORDER)}
    return "worse" if rank[new] < rank[old] else "better" if rank[new] > rank[old] else "neutral"


def _said(claim: ClaimResult) -> str:
    same = claim.verdict is claim.original
    return claim.verdict.value if same else f"{claim.verdict.value} (was {claim.original.value})"


def _n(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
