"""Reading success and outcome back from the scores of a logged sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

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
