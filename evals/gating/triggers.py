"""Triggers: what makes a re-assessment due, and when it is overdue."""

from __future__ import annotations

import datetime as dt
import math

from dangercurve._errors import EvidenceError
from dangercurve._text import printable
from dangercurve.evals.gating.observed import parse_time
from dangercurve.evals.gating.verdict import TriggerState
from dangercurve.evals.policy import Triggers
from dangercurve.evals.run_folder import number

DAYS_A_MONTH = 365.25 / 12
SOON_DAYS = 30


def trigger_states(
    triggers: Triggers, assessed: dt.datetime | None, changes: object, as_of: dt.datetime
) -> list[TriggerState]:
    """Each trigger of the policy with its state.

    `assessed` is when the oldest evidence in use was completed. `changes` is the content of `evidence/changes.json`:
    a list of `{at, kind, value}` with kind one of compute_multiple, checkpoint, capability_delta,
    inference_compute_multiple, new_tools, deployment_change. A change after the assessment that meets its trigger is
    due, and overdue once `grace_days` have passed; evidence older than `months` is overdue, and due in the last
    thirty days before. Raises EvidenceError for a change that cannot be read.
    """
    states: list[TriggerState] = []
    if triggers.months is not None and assessed is not None:
        left = triggers.months * DAYS_A_MONTH - (as_of - assessed).total_seconds() / 86400
        state = "overdue" if left < 0 else "due" if left < SOON_DAYS else "ok"
        why = f"evidence from {assessed.date()}; good for {triggers.months:g} months"
        states.append(_state("months", state, why))
    limits: dict[str, float | str | bool | None] = {
        "compute_multiple": triggers.compute_multiple,
        "checkpoint": triggers.checkpoint,
        "capability_delta": triggers.capability_delta,
        "inference_compute_multiple": triggers.inference_compute_multiple,
        "new_tools": triggers.new_tools or None,
        "deployment_change": triggers.deployment_change or None,
    }
    seen: dict[str, TriggerState] = {
        kind: _state(kind, "ok", "no such change since the assessment")
        for kind, limit in limits.items()
        if limit is not None
    }
    for kind, value, at in _changes(changes):
        if kind not in limits:
            raise EvidenceError(f"evidence/changes.json: unknown kind of change '{printable(kind)}'")
        limit = limits[kind]
        if limit is None or (assessed is not None and at <= assessed) or at > as_of:
            continue
        if isinstance(limit, float):
            size = number(value)
            if math.isnan(size):
                raise EvidenceError(f"evidence/changes.json: a change of kind {kind} needs a number as value")
            if size < limit:
                continue
        elif isinstance(limit, str) and value != limit:
            continue
        late = (as_of - at).total_seconds() / 86400 > triggers.grace_days
        found = _state(kind, "overdue" if late else "due", f"{printable(value, 80)} on {at.date()}")
        if late or seen[kind].state == "ok":
            seen[kind] = found
    return states + list(seen.values())


def _state(kind: str, state: str, why: str) -> TriggerState:
    return TriggerState(
        kind=kind, state="overdue" if state == "overdue" else "due" if state == "due" else "ok", why=why
    )


def _changes(data: object) -> list[tuple[str, object, dt.datetime]]:
    if data is None:
        return []
    if not isinstance(data, list) or not all(isinstance(change, dict) for change in data):
        raise EvidenceError("evidence/changes.json: expected a list of {at, kind, value}")
    return [(str(c.get("kind")), c.get("value"), parse_time(str(c.get("at")))) for c in data]
