"""The history of verdicts: append-only, one hash-chained line a verdict, read by the light tier and by `track`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from dangercurve._errors import EvidenceError
from dangercurve._version import __version__
from dangercurve.evals.gating.chain import Record, append, read_chain
from dangercurve.evals.gating.observed import parse_time
from dangercurve.evals.gating.verdict import Outcome, Verdict, verdict_digest


def read_history(path: Path | str, before: dt.datetime) -> list[dict[str, object]]:
    """The records made before a time, so that a replay sees what the gate saw. Raises EvidenceError on damage."""
    records = read_chain(path)
    for record in records:
        if not isinstance(record.get("at"), str) or not isinstance(record.get("claims"), dict):
            raise EvidenceError(
                f"{Path(path).name}:{record.get('seq')}: a record of history has a time and claims"
            )
    return [record for record in records if parse_time(str(record["at"])) < before]


def record_verdict(path: Path | str, verdict: Verdict) -> dict[str, object]:
    """Append a verdict: when, on what, by which version of the suite, under which policy and tier, each claim's verdict
    and bound."""
    return append(
        path,
        {
            "at": verdict.as_of,
            "subject": verdict.subject,
            "simulated": verdict.simulated,
            "suite": __version__,
            "policy": verdict.policy.id,
            "policy_sha256": verdict.policy.sha256,
            "store_digest": verdict.digests.store,
            "profile": verdict.profile,
            "tier": verdict.tier,
            "overall": verdict.overall.value,
            "exit_code": verdict.exit_code,
            "claims": {claim.id: claim.verdict.value for claim in verdict.claims},
            "bounds": {claim.id: [claim.B, claim.W, claim.T] for claim in verdict.claims if _finite(claim.B)},
            "verdict_sha256": verdict_digest(verdict),
        },
    )


def full_tier_passed(history: Sequence[Record], subject: str | None, claim: str, policy_sha256: str) -> bool:
    """Whether the newest full-tier verdict on this model, claim and policy in the history let it pass."""
    last: object = None
    for record in history:
        if (record.get("subject"), record.get("policy_sha256"), record.get("tier")) == (
            subject,
            policy_sha256,
            "full",
        ):
            verdicts = record.get("claims")
            last = verdicts.get(claim) if isinstance(verdicts, dict) else None
    return last in (Outcome.RULED_OUT.value, Outcome.APPROACHING.value)


def _finite(value: float | None) -> bool:
    return value is not None and abs(value) < float("inf")
