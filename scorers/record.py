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
