"""Names in red-teaming: what the safeguard is called where its arm is at rest, and who attacks whom in which family."""

from __future__ import annotations

from collections.abc import Mapping

from dangercurve.analysis.rest import NAMED_REST, UNSET

STANDARD: Mapping[str, str] = {
    family: arms["guard"] for family, arms in NAMED_REST.items() if "guard" in arms
}
"""The safeguard of each family whose arm `guard` was not set: the level at which that arm rests."""
DEFENDING: Mapping[str, str] = {"injection_hijack": "scripted"}
"""Families whose evaluated model is the attacked party, with the attacker where the arm `attacker` was not set."""
ATTACKED: Mapping[str, tuple[str, str]] = {"injection_hijack": ("arm_notes", "attack")}
"""Families that are played without an attacker too: the arm that tells, and its value under attack (and at rest)."""


def safeguard_of(family: str, arm: object) -> str:
    """The name of a safeguard from the family and the value of its arm `guard` (None or NaN where it was not set).

    The level `none` is a safeguard too: none at all.
    """
    return STANDARD.get(family, "none") if str(arm) in UNSET else str(arm)


def under_attack(family: str, condition: Mapping[str, object]) -> bool:
    """Whether a condition (columns `arm_*`) has an attacker at all: others are controls and no evidence of a safeguard."""
    if family not in ATTACKED:
        return True
    arm, value = ATTACKED[family]
    return str(condition.get(arm)) in (*UNSET, "none", value)


def unguarded(family: str, level: str | None) -> bool:
    """Whether a level has no safeguard to attack: level 0 of the suite's own families, a call that the prompt spells out."""
    return family in STANDARD and level == "0"
