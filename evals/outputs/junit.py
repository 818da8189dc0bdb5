"""A verdict as JUnit XML: a claim is a test case."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from dangercurve._text import printable
from dangercurve.evals.gating.verdict import ClaimResult, Outcome, Verdict
from dangercurve.evals.outputs.text import bound_line

_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(verdict: Verdict) -> str:
    """INVALID is an error, REACHED a failure, UNRESOLVED a failure of type inconclusive (skipped under a profile that
    warns), WAIVED skipped with its message; APPROACHING fails where the gate fails on it."""
    suite = ET.Element(
        "testsuite", name=_clean(f"dangercurve gate {verdict.policy.id}"), timestamp=verdict.as_of[:19]
    )
    warns = any("warns on unresolved" in line for line in verdict.policy.lenient)
    counts = {"failure": 0, "error": 0, "skipped": 0}
    for claim in verdict.claims:
        case = ET.SubElement(
            suite, "testcase", name=_clean(claim.id), classname=_clean(f"{claim.kind}.{claim.family}")
        )
        found = _finding(claim, strict=verdict.strict, warns=warns)
        if found is not None:
            tag, kind, message = found
            counts[tag] += 1
            element = ET.SubElement(case, tag, message=_clean(message))
            if tag != "skipped":
                element.set("type", kind)
                element.text = _clean("; ".join(claim.reasons) or bound_line(claim))
        out = ET.SubElement(case, "system-out")
        out.text = _clean(f"{claim.text} {bound_line(claim)}")
    suite.set("tests", str(len(verdict.claims)))
    for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(name, str(counts[tag]))
    properties = ET.Element("properties")
    for name, value in (
        ("headline", verdict.headline),
        ("overall", verdict.overall.value),
        ("exit_code", str(verdict.exit_code)),
    ):
        ET.SubElement(properties, "property", name=name, value=_clean(value))
    suite.insert(0, properties)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _finding(claim: ClaimResult, *, strict: bool, warns: bool) -> tuple[str, str, str] | None:
    why = claim.reasons[0] if claim.reasons else bound_line(claim)
    if claim.verdict is Outcome.INVALID:
        return "error", "invalid", f"INVALID: {why}"
    if claim.verdict is Outcome.REACHED:
        return "failure", "reached", f"REACHED: {why}"
    if claim.verdict is Outcome.UNRESOLVED:
        note = claim.more_needed.note if claim.more_needed else why
        return "skipped" if warns else "failure", "inconclusive", f"UNRESOLVED: {note}"
    if claim.verdict is Outcome.WAIVED and claim.waiver:
        waiver = claim.waiver
        return (
            "skipped",
            "waived",
            f"WAIVED (was {claim.original.value}) until {waiver.expires}: {waiver.why}",
        )
    if claim.verdict is Outcome.APPROACHING and (strict or claim.response_plan is None):
        return "failure", "approaching", "APPROACHING without a response plan on record, or under --strict"
    return None


def _clean(text: str) -> str:
    return _XML.sub("?", printable(text, 4000))
