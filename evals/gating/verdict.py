"""The verdict object: the single source of text, exit code, JUnit, SARIF, Markdown and HTML."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dangercurve._errors import EvidenceError
from dangercurve._text import printable

SCHEMA = 1


class Outcome(StrEnum):
    """The verdicts, worst first: the overall verdict is the first that is present."""

    REACHED = "REACHED"
    INVALID = "INVALID"
    UNRESOLVED = "UNRESOLVED"
    APPROACHING = "APPROACHING"
    RULED_OUT = "RULED_OUT"
    WAIVED = "WAIVED"


ORDER = (Outcome.REACHED, Outcome.INVALID, Outcome.UNRESOLVED, Outcome.APPROACHING, Outcome.RULED_OUT)
EXIT = {
    Outcome.REACHED: 1,
    Outcome.INVALID: 4,
    Outcome.UNRESOLVED: 3,
    Outcome.APPROACHING: 0,
    Outcome.RULED_OUT: 0,
}


class Part(BaseModel):
    """Base of every part of a verdict."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WorstCase(Part):
    """The bounds with missing samples at the dangerous end (`ucb`, `B`) and at the safe end (`lcb`)."""

    lcb: float | None = None
    ucb: float | None = None
    B: float | None = None
    verdict: Outcome | None = None


class Margin(Part):
    """Distance from the bound to the threshold: on the metric, in log10 FLOP and in days; null where unknown."""

    score: float | None = None
    log10_flop: float | None = None
    days: float | None = None


class MoreNeeded(Part):
    """What would resolve an UNRESOLVED claim: instances in addition, or the missing share that would do."""

    instances: int | None = None
    missing_share: float | None = None
    note: str


class PanelResult(Part):
    """One required panel or record: whether it passed, and why."""

    passed: bool
    why: str


class Alarm(Part):
    """p-value of "the metric is below T", raw and adjusted by Holm over the policy's claims."""

    p: float
    p_holm: float


class Attempt(Part):
    """Which attempt at this claim this is, and the level that it may use."""

    number: int
    alpha: float
    spent: float


class WaiverNote(Part):
    """A waiver that was found for a claim: applied, or void and why."""

    id: str
    applied: bool
    why: str
    owner: str
    approver: str
    expires: str
    exit_code: int


class ClaimResult(Part):
    """The answer to one claim, with the bound itemised. E, G and M are on the metric's scale."""

    id: str
    kind: Literal["measure", "breach", "forecast"]
    verdict: Outcome
    original: Outcome
    family: str
    metric: str
    unit: str
    scale: str
    direction: Literal["up", "down"]
    alpha: float
    estimate: float | None = None
    lcb: float | None = None
    ucb: float | None = None
    E: float | None = None
    G: float | None = None
    M: float | None = None
    allowance_sources: dict[str, str] = {}
    B: float | None = None
    worst_case: WorstCase = WorstCase()
    W: float | None = None
    T: float | None = None
    margin: Margin = Margin()
    proximity: float | None = None
    n_instances: int | None = None
    n_required: int | None = None
    missing: float | None = None
    status_shares: dict[str, float] = {}
    panels: dict[str, PanelResult] = {}
    more_needed: MoreNeeded | None = None
    alarm: Alarm | None = None
    attempt: Attempt | None = None
    waiver: WaiverNote | None = None
    response_plan: str | None = None
    cell: dict[str, str] = {}
    text: str = ""
    reasons: list[str] = []


class PolicyRef(Part):
    """Which policy was applied."""

    id: str
    version: int
    effective: str
    sha256: str
    lenient: list[str] = []


class TriggerState(Part):
    """One trigger for re-assessment and whether it is due."""

    kind: str
    state: Literal["ok", "due", "overdue"]
    why: str


class Transcript(Part):
    """One transcript, chosen by seed, for a person to read."""

    log: str
    sample_uuid: str
    sample_id: str
    epoch: int
    family: str


class SignoffState(Part):
    """Named roles, who signed, who dissented."""

    required: list[str] = []
    signed: dict[str, str] = {}
    missing: list[str] = []
    dissent: list[str] = []
    problems: list[str] = []


class Digests(Part):
    """SHA-256 of everything that the verdict rests on; `files` by path inside the run folder."""

    policy: str
    store: str | None = None
    code: str
    files: dict[str, str] = {}


class Verdict(Part):
    """A gate's decision on one model under one policy. Canonical form: `canonical(verdict)`."""

    schema_version: int = Field(default=SCHEMA, alias="schema")
    as_of: str
    subject: str | None
    simulated: bool
    deployment: str | None = None
    profile: str
    tier: Literal["light", "full"]
    strict: bool
    overall: Outcome
    exit_code: int
    headline: str
    policy: PolicyRef
    claims: list[ClaimResult]
    triggers: list[TriggerState] = []
    lapse: list[str] = []
    transcripts: list[Transcript] = []
    signoff: SignoffState = SignoffState()
    attempts: int | None = None
    ledger_head: str | None = None
    digests: Digests
    comparability: dict[str, list[str]] = {}
    notes: list[str] = []

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def round6(value: float) -> float:
    """`value` to six significant digits: the digits that are printed are those that decide."""
    return float(f"{value:.6g}") if math.isfinite(value) else value


def rounded(value: object) -> object:
    """`value` as plain JSON: floats to six significant digits, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): rounded(item) for key, item in value.items()}
    if isinstance(value, (str, bool)) or value is None:
        return value
    if isinstance(value, float):
        return round6(value) if math.isfinite(value) else None
    if isinstance(value, int):
        return value
    if isinstance(value, Iterable):
        return [rounded(item) for item in value]
    return str(value)


def as_plain(part: BaseModel) -> dict[str, object]:
    """A verdict or a part of one as plain JSON data, rounded."""
    data = rounded(part.model_dump(mode="json", by_alias=True))
    if not isinstance(data, dict):
        raise EvidenceError("a verdict is a mapping")
    return data


def as_dict(verdict: Verdict) -> dict[str, object]:
    """The verdict as plain JSON data, rounded."""
    return as_plain(verdict)


def canonical(verdict: Verdict) -> bytes:
    """The verdict as bytes: sorted keys, six significant digits, ASCII only, one newline at the end."""
    return (json.dumps(as_dict(verdict), sort_keys=True, indent=1, allow_nan=False) + "\n").encode("ascii")


def verdict_digest(verdict: Verdict) -> str:
    """SHA-256 of the canonical form."""
    return hashlib.sha256(canonical(verdict)).hexdigest()


def read_verdict(path: Path | str) -> Verdict:
    """A verdict from its JSON file. Raises EvidenceError for anything else, and for a newer schema."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise EvidenceError(f"{path}: no verdict can be read: {printable(exc, 160)}") from exc
    found = data.get("schema") if isinstance(data, dict) else None
    if found != SCHEMA:
        raise EvidenceError(f"{path}: verdict schema {printable(found, 40)}; this version reads {SCHEMA}")
    try:
        return Verdict.model_validate(data)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise EvidenceError(
            f"{path}: no verdict: {printable(where, 120)}: {printable(first['msg'])}"
        ) from exc


def overall_of(claims: Iterable[ClaimResult]) -> Outcome:
    """The first present of REACHED, INVALID, UNRESOLVED, APPROACHING, RULED_OUT; WAIVED counts as RULED_OUT.

    No claim at all is INVALID.
    """
    present = {Outcome.RULED_OUT if c.verdict is Outcome.WAIVED else c.verdict for c in claims}
    return next((outcome for outcome in ORDER if outcome in present), Outcome.INVALID)


def exit_code_of(overall: Outcome, claims: Iterable[ClaimResult], *, strict: bool) -> int:
    """0 pass, 1 failed, 3 unresolved, 4 invalid.

    APPROACHING passes only with a response plan on record and without `--strict`; where everything else passes,
    the worst exit code that a waiver states holds.
    """
    results = list(claims)
    code = EXIT[overall]
    if code:
        return code
    approaching = [c for c in results if c.verdict is Outcome.APPROACHING]
    if any(strict or c.response_plan is None for c in approaching):
        return 1
    stated = [c.waiver.exit_code for c in results if c.verdict is Outcome.WAIVED and c.waiver is not None]
    return max(stated, default=0)
