"""Which estimates a claim is about, which observations lie behind each, and what of the store none of them covers."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dangercurve._text import printable
from dangercurve.analysis.rest import REST, is_rest
from dangercurve.analysis.safeguards import safeguard_of, under_attack, unguarded
from dangercurve.evals import evidence
from dangercurve.evals.gating.observed import CONDITION, Cell, Observed
from dangercurve.evals.policy import Claim, Policy
from dangercurve.evals.run_folder import Row, number, text

POOLED = "all"
"""What an estimate says of a column whose values it compares: its observations hold every value."""
OVER_TWINS = ("paired_ratio", "simultaneous_minimum")
"""Estimators that compare twins."""
SHOWN = 5


def matching(claim: Claim, rows: tuple[Row, ...], model: str) -> list[Row]:
    """The estimates of `model` that the claim is about; what the claim leaves open matches any value."""
    chosen = [
        r
        for r in rows
        if r["model"] == model and r["family"] == claim.family and r["metric"] == claim.metric.name
    ]
    if claim.breach:
        part = claim.breach
        return [
            r
            for r in chosen
            if text(r.get("safeguard")) == part.safeguard
            and text(r.get("clock")) == part.clock
            and number(r.get("at")) == part.survival_at
            and (text(r.get("twin")) or "base") == "base"
        ]
    measure = claim.measure
    if measure is None:
        return []
    wanted: dict[str, str | None] = {"domain": measure.domain, "interface": measure.interface}
    wanted["elicitation"] = None if measure.elicitation == "best_of" else measure.elicitation
    wanted |= {"monitor": measure.monitor, "view": measure.view, "form": measure.form}
    arms = {name if name.startswith("arm_") else f"arm_{name}": value for name, value in measure.arms.items()}
    return [
        r
        for r in chosen
        if all(value is None or text(r.get(name)) == value for name, value in wanted.items())
        and all(_at(r.get(name), claim.family, name, value) for name, value in arms.items())
        and (text(r.get("twin")) or "base") == measure.twin
        and (measure.kappa is None or number(r.get("kappa")) == measure.kappa)
    ]


def _at(said: object, family: str, arm: str, value: str) -> bool:
    """Whether an estimate that says `said` of the column `arm` speaks of `value`: by name, or as that arm's rest."""
    return text(said) == value or (text(said) == REST and is_rest(family, arm.removeprefix("arm_"), value))


def cell_of(row: Row, observed: Observed, model: str) -> Cell:
    """The observations behind an estimate: those that agree with it in every column that it has and does not pool.

    An estimate on a clock (`survival_at`) speaks of one level, and its observations are that level's alone.
    """
    names = [*CONDITION, *(name for name in observed.arms if name in row)]
    where = {name: row.get(name) for name in names if name in row and text(row.get(name)) != POOLED}
    if text(row.get("clock")) is not None:
        where["level"] = text(row.get("level"))
    return observed.cell(model, str(row["family"]), where)


def pooled(claim: Claim, row: Row, observed: Observed, model: str) -> list[str]:
    """Reasons where an estimate covers several conditions that its metric does not compare, so that a claim would pool them.

    Either it says so (`all`), or it lacks the column of which the observations hold several values.
    """
    compared = {f"arm_{arm}" for arm in claim.metric.compares}
    if claim.metric.estimator in OVER_TWINS:
        compared.add("twin")
    names = [n for n in (*CONDITION, *observed.arms) if n not in compared and n != "comparability_key"]
    said = [n for n in names if text(row.get(n)) == POOLED]
    reasons = (
        [f"the estimate covers every value of {', '.join(said)}, which {claim.metric.name} does not compare"]
        if said
        else []
    )
    absent = [n for n in names if n not in row]
    there = observed.conditions(model, claim.family) if absent else []
    for name in absent:
        values = sorted({printable(text(c.get(name)) or "unset", 40) for c in there})
        if len(values) > 1:
            reasons.append(
                f"the estimates have no column {name}, of which the observations hold {', '.join(values[:SHOWN])}: one row "
                "would speak of all of them; fit again"
            )
    return reasons


def mixed_keys(claim: Claim, rows: list[Row], policy: Policy) -> list[str]:
    """Reasons where one condition has estimates under several comparability keys that no policy line pools."""
    keys: dict[tuple[tuple[str, str], ...], set[str]] = {}
    for row in rows:
        cell = tuple(sorted(evidence.cell_name(row).items()))
        keys.setdefault(cell, set()).add(text(row.get("comparability_key")) or "none")
    pooled = [set(line.keys) for line in policy.pool if line.family == claim.family]
    return [
        f"estimates under {len(found)} comparability keys ({', '.join(printable(k, 40) for k in sorted(found)[:3])}) "
        "and no pool line in the policy allows it"
        for found in keys.values()
        if len(found) > 1 and not any(found <= line for line in pooled)
    ]


def uncovered(claim: Claim, rows: list[Row], observed: Observed, model: str) -> list[str]:
    """Reasons where the store holds observations that the claim is about and no estimate covers: dropped evidence.

    For a breach claim every level of a condition with an attacker wants an estimate of its own (`_levels_without`).
    """
    about: dict[str, object] = {"model": model, "family": claim.family, "metric": claim.metric.name}
    if claim.measure and claim.measure.monitor:
        part = claim.measure
        asked = {"monitor": part.monitor, "view": part.view, "form": part.form}
        about |= {name: value for name, value in asked.items() if value is not None}
    there: tuple[Row, ...] = tuple({**c, **about} for c in observed.conditions(model, claim.family))
    if claim.breach:
        about |= {"clock": claim.breach.clock, "at": claim.breach.survival_at}
        there = tuple(
            {**c, **about, "safeguard": safeguard_of(claim.family, c.get("arm_guard"))} for c in there
        )

    def elsewhere(condition: Row) -> bool:
        """A contrast speaks of the arms that it compares, the others at rest: conditions beyond that are not its own."""
        return any(
            name.startswith("arm_")
            and not is_rest(claim.family, name.removeprefix("arm_"), value)
            and text(row.get(name)) != POOLED
            for row in rows[:1]
            for name, value in condition.items()
        )

    about_it = matching(claim, there, model)
    if claim.breach:
        about_it = [c for c in about_it if under_attack(claim.family, c)]
    if claim.metric.contrast:
        about_it = [c for c in about_it if not elsewhere(c)]
    left = [c for c in about_it if not any(_covers(row, c) for row in rows)]
    reasons = []
    if left:
        reasons.append(
            f"{len(left)} conditions in the store have no estimate of {claim.metric.name}: "
            f"{_named(left[0], about)}; fit again"
        )
    if claim.breach:
        for condition in about_it:
            reasons += _levels_without(claim, condition, about, rows, observed)
    return reasons


def _levels_without(
    claim: Claim, condition: Row, about: Mapping[str, object], rows: list[Row], observed: Observed
) -> list[str]:
    """Reasons that name the levels of a condition that no estimate speaks of, though others of its levels have one.

    A level without a safeguard (`unguarded`) wants none where nobody attacked. Elsewhere samples without one attempt are no
    evidence of the safeguard, and a level that is skipped would read as one that held.
    """
    own = [row for row in rows if _covers(row, condition)]
    if not own:
        return []
    named = {text(row.get("level")) for row in own}
    where = {name: value for name, value in condition.items() if name in (*CONDITION, *observed.arms)}
    levels = observed.levels(str(about["model"]), claim.family, where)
    lacking = {level: counts for level, counts in levels.items() if level not in named}
    said = _named(condition, about)
    bare = {level for level in lacking if unguarded(claim.family, level)}
    dropped = [k for k, (attacks, lost) in lacking.items() if attacks or (lost and k not in bare)]
    idle = [k for k in lacking if k not in dropped and k not in bare]
    reasons = []
    if dropped:
        reasons.append(
            f"{_listed(dropped)} in the store, with attacks, and has no estimate of {claim.metric.name}: {said}; fit again"
        )
    if idle:
        reasons.append(
            f"{_listed(idle)} in the store without one attempt at the safeguard, which is no evidence that it held: {said}"
        )
    return reasons


def _listed(levels: list[str | None]) -> str:
    names = ["without a name" if level is None else printable(level, 40) for level in levels]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"level {', '.join(names[:SHOWN])}{more} is"


def _named(condition: Row, about: Mapping[str, object]) -> str:
    return ", ".join(
        f"{k} {printable(v, 40)}" for k, v in condition.items() if k not in about and v is not None
    )


def _covers(row: Row, condition: Row) -> bool:
    return all(
        text(row[name]) == POOLED
        or _same(row[name], condition[name])
        or (name.startswith("arm_") and _at(row[name], str(row["family"]), name, text(condition[name]) or ""))
        for name in condition
        if name in row
    )


def _same(a: object, b: object) -> bool:
    x, y = number(a), number(b)
    return x == y if not (math.isnan(x) and math.isnan(y)) else text(a) == text(b)
