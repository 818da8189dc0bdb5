"""A verdict as SARIF 2.1.0: a claim is a rule, its verdict a result; waivers are suppressions."""

from __future__ import annotations

import json
from urllib.parse import quote

from dangercurve._text import printable
from dangercurve._version import __version__
from dangercurve.evals.gating.verdict import ClaimResult, Outcome, Verdict
from dangercurve.evals.outputs.text import bound_line

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVEL = {
    Outcome.REACHED: ("fail", "error"),
    Outcome.INVALID: ("fail", "error"),
    Outcome.UNRESOLVED: ("fail", "warning"),
    Outcome.APPROACHING: ("review", "none"),
    Outcome.RULED_OUT: ("pass", "none"),
}


def as_sarif(verdict: Verdict, baseline: Verdict | None = None) -> str:
    """The verdict as a SARIF log. With `baseline`, the verdict before, each result carries its baseline state."""
    before = {claim.id: claim.original for claim in baseline.claims} if baseline else None
    driver = {
        "name": "dangercurve",
        "version": __version__,
        "informationUri": "https://pypi.org/project/dangercurve/",
        "rules": [_rule(claim) for claim in verdict.claims],
    }
    results = [_result(claim, index, before, verdict) for index, claim in enumerate(verdict.claims)]
    if before is not None:
        results += [_absent(old, verdict) for old in before if old not in {c.id for c in verdict.claims}]
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"dangercurve/gate/{verdict.policy.id}/"},
        "invocations": [{"executionSuccessful": True, "exitCode": verdict.exit_code}],
        "results": results,
        "properties": {
            "headline": verdict.headline,
            "overall": verdict.overall.value,
            "asOf": verdict.as_of,
            "policySha256": verdict.policy.sha256,
        },
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, sort_keys=True) + "\n"


def _rule(claim: ClaimResult) -> dict[str, object]:
    return {
        "id": claim.id,
        "name": "".join(part.title() for part in claim.id.replace("-", ".").replace("_", ".").split(".")),
        "shortDescription": {"text": printable(f"{claim.kind} claim on {claim.metric} in {claim.family}")},
        "fullDescription": {"text": printable(claim.text, 1000) or claim.id},
    }


def _location(verdict: Verdict) -> dict[str, object]:
    """The policy file, by the policy's id: GitHub refuses a whole file in which one result has no physical location."""
    uri = quote(verdict.policy.id, safe="-._~") + ".yaml"
    return {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}


def _result(
    claim: ClaimResult, index: int, before: dict[str, Outcome] | None, verdict: Verdict
) -> dict[str, object]:
    kind, level = LEVEL[claim.original]
    reasons = "; ".join([bound_line(claim), *claim.reasons])
    result: dict[str, object] = {
        "ruleId": claim.id,
        "ruleIndex": index,
        "kind": kind,
        "level": level,
        "message": {"text": printable(f"{claim.verdict.value}: {reasons}", 4000)},
        "partialFingerprints": {"claim/v1": claim.id},
        "locations": [
            {
                "physicalLocation": _location(verdict),
                "logicalLocations": [{"name": printable(claim.family), "kind": "module"}],
            }
        ],
        "properties": {"verdict": claim.verdict.value, "original": claim.original.value},
    }
    if claim.verdict is Outcome.WAIVED and claim.waiver:
        note = claim.waiver
        said = f"{note.why} (owner {note.owner}, approver {note.approver}, until {note.expires})"
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": printable(said, 2000)}
        ]
    if before is not None:
        same = before.get(claim.id)
        result["baselineState"] = (
            "new" if same is None else "unchanged" if same is claim.original else "updated"
        )
    return result


def _absent(claim_id: str, verdict: Verdict) -> dict[str, object]:
    return {
        "ruleId": claim_id,
        "kind": "notApplicable",
        "level": "none",
        "message": {"text": f"the policy of {verdict.as_of} no longer has this claim"},
        "locations": [{"physicalLocation": _location(verdict)}],
        "baselineState": "absent",
    }
