"""The attempt ledger: every look at a claim is counted, and all looks together spend no more than the claim's alpha."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dangercurve._errors import EvidenceError
from dangercurve.evals.gating.chain import Record, append, head, read_chain
from dangercurve.evals.gating.verdict import Attempt
from dangercurve.evals.policy import Claim, Policy
from dangercurve.evals.run_folder import number


@dataclass(frozen=True)
class Ledger:
    """An attempt ledger as read: its records and its head hash."""

    records: tuple[Record, ...]

    @property
    def head(self) -> str:
        """Hash of the last record; it stands in the verdict."""
        return head(self.records)

    def until(self, head_hash: str) -> Ledger:
        """The ledger as it was when its head was `head_hash`. Raises EvidenceError where it never was."""
        for index in range(len(self.records) + 1):
            if head(self.records[:index]) == head_hash:
                return Ledger(self.records[:index])
        raise EvidenceError(
            "the attempt ledger never had the head that the verdict names: records were replaced"
        )


def read_ledger(path: Path | str) -> Ledger:
    """The ledger in a file; an absent file is empty. Raises EvidenceError where the chain is damaged."""
    records = tuple(read_chain(path))
    for record in records:
        if not isinstance(record.get("claim"), str) or not isinstance(record.get("model"), str):
            raise EvidenceError(
                f"{Path(path).name}:{record.get('seq')}: an attempt names its model and its claim"
            )
        if not 0 <= number(record.get("alpha")) < 1:
            raise EvidenceError(
                f"{Path(path).name}:{record.get('seq')}: an attempt states the alpha that it spends"
            )
    return Ledger(records)


def attempt_for(ledger: Ledger, model: str, claim: Claim, evidence: str) -> Attempt:
    """Number and level of the look at `claim` with this evidence (`Observed.evidence_digest`).

    Looks at the same evidence are one attempt. Attempt k of the planned K (`test.attempts`) may spend alpha / K, under
    an open plan alpha / (k (k + 1)), and no more than what the attempts before it have left. The sum never exceeds
    alpha, so a model at the limit passes with probability at most alpha over all attempts. After the plan is used up
    the level is 0.
    """
    earlier: list[Record] = []
    for record in ledger.records:
        if record["model"] == model and record["claim"] == claim.id:
            if record.get("evidence") == evidence:
                spent = sum(number(r["alpha"]) for r in earlier)
                return Attempt(number=len(earlier) + 1, alpha=number(record["alpha"]), spent=spent)
            earlier.append(record)
    spent = sum(number(record["alpha"]) for record in earlier)
    share = _share(claim, len(earlier) + 1)
    left = claim.alpha - spent
    return Attempt(number=len(earlier) + 1, alpha=share if left >= share * (1 - 1e-9) else 0.0, spent=spent)


def _share(claim: Claim, attempt: int) -> float:
    if claim.test.attempts == "open":
        from dangercurve.analysis.sequential import spent_alpha  # SciPy: only under an open plan

        return spent_alpha(claim.alpha, attempt)
    return claim.alpha / claim.test.attempts


def record_attempts(
    path: Path | str, model: str, claims: Mapping[str, str], policy: Policy, policy_sha256: str, at: str
) -> Ledger:
    """Append an attempt for every claim (id to digest of its evidence) that has none yet with this evidence.

    Returns the ledger after it.
    """
    ledger = read_ledger(path)
    for claim_id, evidence in claims.items():
        wanted = (model, claim_id, evidence)
        if any((r["model"], r["claim"], r.get("evidence")) == wanted for r in ledger.records):
            continue
        attempt = attempt_for(ledger, model, policy.claim(claim_id), evidence)
        append(
            path,
            {
                "at": at,
                "model": model,
                "claim": claim_id,
                "evidence": evidence,
                "policy_sha256": policy_sha256,
                "alpha": attempt.alpha,
            },
        )
        ledger = read_ledger(path)
    return ledger
