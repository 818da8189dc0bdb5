"""Sign-off: named roles, different people, dissent on the record."""

from __future__ import annotations

from dangercurve._errors import EvidenceError
from dangercurve._text import printable
from dangercurve.evals.chain import read_chain
from dangercurve.evals.policy import LoadedPolicy
from dangercurve.evals.run_folder import RunFolder
from dangercurve.evals.verdict import SignoffState


def signoff_state(loaded: LoadedPolicy, folder: RunFolder) -> SignoffState:
    """Who signed this policy on this evidence, from `signoff.jsonl`: `{role, name, decision, comment, policy_sha256,
    store_digest, at}` with decision approve or dissent. A signature for other evidence does not count; one person in
    two roles is a problem that is shown."""
    required = [printable(role) for role in loaded.policy.signoff.roles] if loaded.policy.signoff else []
    signed: dict[str, str] = {}
    dissent: list[str] = []
    problems: list[str] = []
    try:
        records = read_chain(folder.root / "signoff.jsonl")
    except EvidenceError as exc:
        records = []
        problems.append(str(exc))
    for record in records:
        if (record.get("policy_sha256"), record.get("store_digest")) != (loaded.sha256, folder.store_digest):
            continue
        role, name = printable(record.get("role"), 80), printable(record.get("name"), 80)
        if record.get("decision") == "approve":
            signed[role] = name
        elif record.get("decision") == "dissent":
            signed.pop(role, None)
            dissent.append(f"{role} {name}: {printable(record.get('comment'), 200)}")
    people = list(signed.values())
    problems += [f"{name} signed in two roles" for name in sorted({p for p in people if people.count(p) > 1})]
    missing = [role for role in required if role not in signed]
    return SignoffState(required=required, signed=signed, missing=missing, dissent=dissent, problems=problems)
