"""An unsigned in-toto Statement v1 over a verdict and its evidence, ready for cosign or sigstore to sign."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from dangercurve._errors import EvidenceError
from dangercurve._text import printable
from dangercurve.evals.gating.verdict import Outcome, Verdict, verdict_digest
from dangercurve.evals.run_folder import locate, read_json

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"


def statement(verdict: Verdict, store: Path) -> dict[str, object]:
    """The statement: subjects are the model (by the digest of its weights, or of its name) and the verdict; the
    predicate is a test result whose configuration lists policy, logs, store, estimates and the ledger's head.

    PASSED where every claim is ruled out, WARNED where the gate passes with claims approaching or waived, else FAILED.
    """
    root = locate(store)
    subjects = [
        {"name": "verdict.json", "digest": {"sha256": verdict_digest(verdict)}},
        {"name": verdict.subject or "no model", "digest": {"sha256": _model_sha256(verdict, root)}},
    ]
    files = [
        {"name": name, "digest": {"sha256": digest}} for name, digest in sorted(verdict.digests.files.items())
    ]
    anchors: list[dict[str, object]] = [
        {"name": f"policy:{verdict.policy.id}", "digest": {"sha256": verdict.digests.policy}},
        {
            "name": "gate",
            "digest": {"sha256": verdict.digests.code.partition(":")[2]},
            "annotations": {
                "version": verdict.digests.code.partition(":")[0],
                "headline": verdict.headline,
                "asOf": verdict.as_of,
                "exitCode": verdict.exit_code,
                "simulated": verdict.simulated,
            },
        },
    ]
    if verdict.digests.store:
        anchors.append({"name": "store", "digest": {"sha256": verdict.digests.store}})
    if verdict.ledger_head:
        anchors.append({"name": "attempt-ledger", "digest": {"sha256": verdict.ledger_head}})
    heads = journal_heads(root)
    if heads:
        anchors.append({"name": "journal-heads", "digest": {"sha256": heads}})
    by = {outcome: [c.id for c in verdict.claims if c.verdict is outcome] for outcome in Outcome}
    warned = by[Outcome.APPROACHING] + by[Outcome.WAIVED]
    result = "FAILED" if verdict.exit_code else "WARNED" if warned or verdict.simulated else "PASSED"
    return {
        "_type": TYPE,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "result": result,
            "configuration": [*anchors, *files],
            "passedTests": by[Outcome.RULED_OUT],
            "warnedTests": warned,
            "failedTests": by[Outcome.REACHED] + by[Outcome.INVALID] + by[Outcome.UNRESOLVED],
        },
    }


def as_json(data: dict[str, object]) -> str:
    """The statement as canonical JSON text: sorted keys, ASCII."""
    return json.dumps(data, sort_keys=True, indent=1, allow_nan=False) + "\n"


def journal_heads(root: Path) -> str | None:
    """SHA-256 over the sorted heads of the episodes' journals in the store; None where it holds none."""
    import duckdb

    from dangercurve.evals.run_folder import database, duck_path, part_paths

    parts = [duck_path(path) for path in part_paths(root)]
    if not parts:
        return None
    try:
        with database() as db:
            names = db.execute(
                "describe select * from read_parquet(?, union_by_name=true)", [parts]
            ).fetchall()
            if "journal_head" not in {row[0] for row in names}:
                return None
            rows = db.execute(
                "select distinct journal_head from read_parquet(?, union_by_name=true) "
                "where journal_head is not null and journal_head <> '' order by 1",
                [parts],
            ).fetchall()
    except duckdb.Error as exc:
        raise EvidenceError(f"the store cannot be read: {printable(exc, 160)}") from exc
    return hashlib.sha256("\n".join(str(row[0]) for row in rows).encode()).hexdigest() if rows else None


def _model_sha256(verdict: Verdict, root: Path) -> str:
    path = root / "evidence" / "subject.json"
    if path.is_file():
        about = read_json(path)
        weights = about.get("weights_sha256") if isinstance(about, dict) else None
        if isinstance(about, dict) and about.get("model") == verdict.subject and isinstance(weights, str):
            return weights
    return hashlib.sha256((verdict.subject or "").encode()).hexdigest()
