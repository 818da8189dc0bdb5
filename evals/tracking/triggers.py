"""What makes a re-assessment due in a lineage: the triggers of the policy, and waivers that end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dangercurve._errors import EvidenceError
from dangercurve._text import printable
from dangercurve.evals.gating.observed import parse_time
from dangercurve.evals.gating.triggers import SOON_DAYS, trigger_states
from dangercurve.evals.policy import LoadedPolicy
from dangercurve.evals.run_folder import database, duck_path, part_paths, read_json

if TYPE_CHECKING:
    from pathlib import Path

    from dangercurve.evals.track import Assessment

State = Literal["ok", "due", "overdue"]


@dataclass(frozen=True)
class Due:
    """One trigger or waiver of the newest assessment of a subject. `seen` is the time that the state holds for."""

    label: str
    subject: str
    kind: str
    state: State
    why: str
    seen: str


def due_of(read: Sequence[Assessment], policy: LoadedPolicy | None, now: dt.datetime) -> list[Due]:
    """Triggers of the newest assessment a subject and policy id, overdue ones first."""
    newest: dict[tuple[str | None, str], Assessment] = {
        (a.verdict.subject, a.verdict.policy.id): a for a in read
    }
    rows: list[Due] = []
    for each in newest.values():
        rows += _triggers(each, policy, now) + _waivers(each, now)
    order = {"overdue": 0, "due": 1, "ok": 2}
    return sorted(rows, key=lambda row: (order[row.state], row.label, row.kind))


def _triggers(each: Assessment, policy: LoadedPolicy | None, now: dt.datetime) -> list[Due]:
    subject = each.verdict.subject or "none"
    if policy is None or each.root is None:
        return [
            Due(each.label, subject, t.kind, t.state, t.why, each.verdict.as_of)
            for t in each.verdict.triggers
        ]
    path = each.root / "evidence" / "changes.json"
    changes = read_json(path) if path.is_file() else None
    states = trigger_states(policy.policy.triggers, _oldest(each.root, subject), changes, now)
    return [Due(each.label, subject, t.kind, t.state, t.why, now.isoformat()) for t in states]


def _waivers(each: Assessment, now: dt.datetime) -> list[Due]:
    rows = []
    for claim in each.verdict.claims:
        if claim.waiver is None or not claim.waiver.applied:
            continue
        left = (parse_time(claim.waiver.expires) - now).total_seconds() / 86400
        state: State = "overdue" if left < 0 else "due" if left < SOON_DAYS else "ok"
        ends = "ended" if left < 0 else "ends"
        why = f"{claim.waiver.id} on {claim.id} {ends} {claim.waiver.expires[:10]}; then {claim.original.value} holds"
        rows.append(Due(each.label, each.verdict.subject or "none", "waiver", state, why, now.isoformat()))
    return rows


def _oldest(root: Path, subject: str) -> dt.datetime | None:
    """When the oldest sample of the subject in the store was completed."""
    import duckdb

    paths = [duck_path(path) for path in part_paths(root)]
    if not paths:
        return None
    query = (
        "select min(cast(completed_at as varchar)) from read_parquet(?, union_by_name=true) where model = ?"
    )
    try:
        with database() as db:
            row = db.execute(query, [paths, subject]).fetchone()
    except duckdb.Error as exc:
        raise EvidenceError(f"{root.name}: the store cannot be read: {printable(exc, 120)}") from exc
    return parse_time(str(row[0])) if row and row[0] else None
