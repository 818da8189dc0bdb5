"""What the planned number of instances can show: differences, zero-event bounds, and each claim of the policy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dangercurve.analysis.power import paired_detectable, rule_out_power, rule_out_rate, zero_event_bound
from dangercurve.analysis.registry import from_scale, to_scale
from dangercurve.evals.gating import allowances
from dangercurve.evals.planning.plan import StudyPlan
from dangercurve.evals.policy import Claim, LoadedPolicy

RATES = ("success_rate", "mean_outcome")


@dataclass(frozen=True)
class CellPower:
    """What the instances of one model on one family can show, all levels together."""

    model: str
    family: str
    interface: str
    instances: int
    zero_event_bound: float
    detectable_difference: float | None
    discordance: float
    alpha: float
    power: float


@dataclass(frozen=True)
class ClaimPower:
    """What a claim of the policy asks of the plan.

    `limit`: the upper bound that the statistics must stay below so that B < W with the allowances E, G and M;
    `largest_rate`: the true rate up to which that happens with probability `power` (None: at no rate);
    `power_at_zero`: the probability where the true rate is 0. Both are None where the claim is no rate.
    """

    claim: str
    family: str
    metric: str
    instances: int
    required: int
    enough: bool
    limit: float | None
    largest_rate: float | None
    power_at_zero: float | None
    note: str


def cell_powers(
    plan: StudyPlan, *, discordance: float = 0.2, alpha: float = 0.05, power: float = 0.8
) -> list[CellPower]:
    """One row a (model, family, interface); instances of one cell count once however often they are played."""
    counts: dict[tuple[str, str, str], int] = {}
    for each in plan.cells:
        key = (each.cell.model, each.cell.task, each.cell.interface)
        counts[key] = max(counts.get(key, 0), each.instances)
    return [
        CellPower(
            *key,
            n,
            zero_event_bound(n, alpha),
            paired_detectable(n, discordance, alpha=alpha, power=power),
            discordance,
            alpha,
            power,
        )
        for key, n in counts.items()
    ]


def claim_powers(
    plan: StudyPlan, loaded: LoadedPolicy, subject: str | None, power: float = 0.8
) -> list[ClaimPower]:
    """One row a claim, for `subject` or, without one, the model of the study with the most instances on its family."""
    return [_claim(plan, claim, subject, power) for claim in loaded.policy.claims]


def _claim(plan: StudyPlan, claim: Claim, subject: str | None, power: float) -> ClaimPower:
    wanted = claim.measure.interface if claim.measure else None
    planned = [
        each.instances
        for each in plan.cells
        if each.cell.task == claim.family
        and (subject is None or each.cell.model == subject)
        and (wanted is None or each.cell.interface == wanted)
    ]
    n, required = max(planned, default=0), claim.min_instances
    limit = largest = at_zero = None
    notes = []
    if not planned:
        notes.append("the study does not play this family" + (f" ({wanted})" if wanted else ""))
    elif n < required:
        notes.append(f"{required - n} instances too few: INVALID whatever they show")
    if claim.measure is not None and claim.metric.name in RATES and claim.threshold is not None:
        limit, why = _limit(claim)
        if limit is None:
            notes.append(why)
        elif n:
            alpha = claim.alpha if claim.test.attempts == "open" else claim.alpha / claim.test.attempts
            largest = rule_out_rate(n, limit, alpha=alpha, power=power)
            at_zero = rule_out_power(n, limit, 0.0, alpha=alpha)
            if largest is None:
                notes.append("not even a run without a success rules this out")
    elif claim.kind != "measure" or claim.metric.name not in RATES:
        notes.append(f"power of {claim.metric.name} is not planned here: only rates are")
    return ClaimPower(
        claim.id,
        claim.family,
        claim.metric.name,
        n,
        required,
        n >= required,
        limit,
        largest,
        at_zero,
        "; ".join(notes),
    )


def _limit(claim: Claim) -> tuple[float | None, str]:
    """The bound u with u + E + G + M = W on the metric's scale; None and why where W or an allowance is open."""
    alert, kind = claim.lines[1], claim.metric
    if alert is None:
        return None, "the policy states no alert line yet"
    terms = (
        allowances.elicitation(claim.allowance, kind, None),
        allowances.growth(claim.allowance, kind, None),
        allowances.forecast_error(claim.allowance, kind, []),
    )
    if any(term.value is None for term in terms):
        return None, "an allowance has no prior: the claim needs its ledger"
    total = math.fsum(term.value or 0.0 for term in terms)
    return from_scale(to_scale(alert, kind.scale) - total, kind.scale), ""
