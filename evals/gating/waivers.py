"""Waivers: one claim, one model digest, one deployment, for a while, by two people. They never cover INVALID."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from dangercurve._errors import ConfigError, EvidenceError
from dangercurve._text import printable
from dangercurve.evals.gating.chain import append, read_chain
from dangercurve.evals.gating.observed import parse_time
from dangercurve.evals.gating.verdict import Outcome, WaiverNote
from dangercurve.evals.policy import Name, Strict

MAX_DAYS = 90


class Waiver(Strict):
    """One waiver. `exit_code` is what the gate returns where everything else passes."""

    id: Name
    claim: Name
    model: Name
    model_digest: Name
    deployment: Name
    verdict: Literal["APPROACHING", "UNRESOLVED", "REACHED"]
    reason: Annotated[str, Field(min_length=10, max_length=2000)]
    owner: Name
    approver: Name
    created: str
    expires: str
    exit_code: Literal[0, 1, 3] = 0
    reopen_on: Annotated[list[Name], Field(min_length=1)]

    @model_validator(mode="after")
    def _meant(self) -> Self:
        if self.owner.strip().casefold() == self.approver.strip().casefold():
            raise ValueError("the approver must not be the owner")
        try:
            start, end = parse_time(self.created), parse_time(self.expires)
        except EvidenceError as exc:
            raise ValueError(str(exc)) from exc
        if not start < end <= start + dt.timedelta(days=MAX_DAYS):
            raise ValueError(f"a waiver expires after it was created and at most {MAX_DAYS} days later")
        return self


def read_waivers(path: Path | str) -> list[Waiver]:
    """Every waiver of a ledger. Raises EvidenceError naming file and line for damage or a waiver that breaks a rule."""
    waivers = []
    for record in read_chain(path):
        body = {key: value for key, value in record.items() if key not in ("seq", "prev", "hash")}
        try:
            waivers.append(Waiver.model_validate(body))
        except ValidationError as exc:
            said = exc.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            raise EvidenceError(f"{Path(path).name}:{record['seq']}: {said}") from exc
    return waivers


def write_waiver(path: Path | str, waiver: Waiver) -> None:
    """Append a waiver to the ledger. Raises ConfigError where its id is taken."""
    if any(known.id == waiver.id for known in read_waivers(path)):
        raise ConfigError(f"{Path(path).name} already holds a waiver '{printable(waiver.id)}'")
    append(path, waiver.model_dump(mode="json"))


def waiver_for(
    waivers: Sequence[Waiver],
    claim: str,
    outcome: Outcome,
    *,
    model: str,
    model_digest: str,
    deployment: str | None,
    as_of: dt.datetime,
    changed: Sequence[str] = (),
) -> WaiverNote | None:
    """The waiver that holds for a claim, or else the newest that does not and why; None where there is none.

    `changed` are the reopen conditions that have come true. Nothing covers INVALID; one given for a milder verdict
    does not cover a worse one.
    """
    rank = {"APPROACHING": 0, "UNRESOLVED": 1, "REACHED": 2}
    notes: list[WaiverNote] = []
    for waiver in waivers:
        if waiver.claim != claim:
            continue
        if waiver.model != model or waiver.model_digest != model_digest:
            why = "void: it names another model or other weights"
        elif waiver.deployment != deployment:
            why = f"void: it is for the deployment '{printable(waiver.deployment)}'"
        elif as_of < parse_time(waiver.created):
            why = f"void: it begins on {printable(waiver.created)}"
        elif as_of >= parse_time(waiver.expires):
            why = f"void: expired on {printable(waiver.expires)}"
        elif outcome is Outcome.INVALID:
            why = "void: nothing waives INVALID"
        elif outcome.value in rank and rank[outcome.value] > rank[waiver.verdict]:
            why = f"void: it covers {waiver.verdict}, not {outcome.value}"
        elif met := sorted(set(waiver.reopen_on) & set(changed)):
            why = f"void: reopened by {printable(met[0])}"
        else:
            why = printable(waiver.reason)
        notes.append(
            WaiverNote(
                id=printable(waiver.id),
                applied=not why.startswith("void: ") and outcome is not Outcome.RULED_OUT,
                why=why,
                owner=printable(waiver.owner),
                approver=printable(waiver.approver),
                expires=waiver.expires,
                exit_code=waiver.exit_code,
            )
        )
    return next((note for note in notes if note.applied), notes[-1] if notes else None)
