"""What an episode leaves behind: the one object from which every score is computed, now or from a log."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

STORE_KEY = "dangercurve_episode"


class EpisodeRecord(BaseModel):
    """Written to the sample's store when the episode ends, however it ends."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    success: bool
    outcome: float
    milestones: dict[str, bool]
    steps: int
    budget: int
    turns: int
    parsed: int
    unparsed: int
    invalid: int
    refusals: int
    truncated: int
    declined: str
    content_filter: bool
    limit: str
    ended: bool
    opportunity: bool
    competent: bool
    tripwires: list[str]
    violations: list[str]
    metrics: dict[str, float | None]
    answering_models: list[str]
    journal_head: str
    journal: list[dict[str, Any]]
    error: str = ""


def dump_record(record: EpisodeRecord) -> str:
    """The record as JSON text: one string is much cheaper to log than a tree of a journal's length."""
    return record.model_dump_json()


def load_record(raw: object) -> EpisodeRecord:
    """A record from a sample's store. Raises ValueError (pydantic's ValidationError) where it is none."""
    return (
        EpisodeRecord.model_validate_json(raw) if isinstance(raw, str) else EpisodeRecord.model_validate(raw)
    )


def answering(names: list[str]) -> str:
    """The names that answered, joined by `|`: the first eight, and then that there were more, so that none drops out."""
    return "|".join([*names[:8], *(["(more)"] if len(names) > 8 else [])])
