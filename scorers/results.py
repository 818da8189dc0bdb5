"""Reading success, outcome and status back from the scores of a logged sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dangercurve.scorers.status import STATUSES

if TYPE_CHECKING:
    from inspect_ai.scorer import Score


def results_in(scores: Mapping[str, Score]) -> tuple[object, object]:
    """Success and outcome among the scores of a sample, as they stand there; None where one is absent.

    Logs from before version 0.1 hold each as a score of its own.
    """
    value = scores["outcome"].value if "outcome" in scores else None
    if isinstance(value, Mapping):
        return value.get("success"), value.get("outcome")
    return scores["success"].value if "success" in scores else None, value


def status_in(scores: Mapping[str, Score]) -> str | None:
    """The status that was decided: the one component that is 1 of the status score. None where there is no such score,
    or where it contradicts itself."""
    value = scores["status"].value if "status" in scores else None
    if not isinstance(value, Mapping):
        return None
    decided = [name for name in STATUSES if value.get(name) == 1]
    return decided[0] if len(decided) == 1 else None
