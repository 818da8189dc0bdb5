"""Sign-off: named roles, different people, dissent on the record."""

from __future__ import annotations

from pathlib import Path

from dangercurve._errors import ConfigError, EvidenceError, did_you_mean
from dangercurve._text import printable
from dangercurve.evals.gating.chain import append, read_chain
from dangercurve.evals.gating.verdict import SignoffState, Verdict
from dangercurve.evals.policy import LoadedPolicy
from dangercurve.evals.run_folder import RunFolder


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


def sign(
    path: Path | str, verdict: Verdict, *, role: str, name: str, decision: str, comment: str, at: str
) -> None:
    """Append a signature under a verdict's policy and evidence.

    Raises ConfigError for another decision than approve or dissent, a dissent without a comment, or a person who has
    already approved this evidence in another role.
    """
    if decision not in ("approve", "dissent"):
        raise ConfigError(
            f"decision '{printable(decision, 40)}'{did_you_mean(decision, ('approve', 'dissent'))}"
        )
    if decision == "dissent" and not comment.strip():
        raise ConfigError("a dissent says why: give --comment")
    if not role.strip() or not name.strip():
        raise ConfigError("a signature has a role and a name")
    about = {"policy_sha256": verdict.policy.sha256, "store_digest": verdict.digests.store}
    for record in read_chain(path):
        same = all(record.get(key) == value for key, value in about.items())
        person = str(record.get("name", "")).strip().casefold() == name.strip().casefold()
        if same and person and record.get("decision") == decision == "approve" and record.get("role") != role:
            raise ConfigError(
                f"{printable(name)} has signed as {printable(record.get('role'))}: roles are separate"
            )
    append(path, {**about, "role": role, "name": name, "decision": decision, "comment": comment, "at": at})
