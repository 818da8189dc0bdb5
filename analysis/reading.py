"""Reading a result: a transparency index, the share of a checklist that a published number answers.

Source: the questions that a leaderboard entry leaves open; Bommasani et al. (2023) for an index of transparency.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dangercurve._errors import DataError, did_you_mean

CHECKLIST: dict[str, str] = {
    "parameters": "number of parameters is known (active ones for a mixture of experts)",
    "tokens": "number of training tokens is known",
    "compute": "training compute is known",
    "test_time_budget": "test-time budget (tokens, turns, attempts) is stated",
    "uncertainty": "an interval or standard error is given",
    "continuous_metric": "a continuous metric stands beside the all-or-nothing one",
    "contamination_control": "contamination is controlled for (fresh or private items)",
    "several_benchmarks": "several benchmarks measure the construct",
    "not_saturated": "none of them is saturated",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """The index in [0, 1], and what is met, failed and not known. An unknown item counts as not met."""

    index: float
    met: tuple[str, ...]
    failed: tuple[str, ...]
    unknown: tuple[str, ...]


def transparency_index(answers: Mapping[str, bool | None]) -> Reading:
    """Share of CHECKLIST items answered yes. Items left out are unknown. Raises DataError on an item not listed."""
    for name in answers:
        if name not in CHECKLIST:
            raise DataError(f"no checklist item '{name}'{did_you_mean(name, CHECKLIST)}")
    met = tuple(k for k in CHECKLIST if answers.get(k) is True)
    failed = tuple(k for k in CHECKLIST if answers.get(k) is False)
    unknown = tuple(k for k in CHECKLIST if answers.get(k) is None)
    return Reading(len(met) / len(CHECKLIST), met, failed, unknown)
