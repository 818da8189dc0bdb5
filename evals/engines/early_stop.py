"""Stopping a cell early by an e-process, where the policy allows it (`test: {early_stop: e_process}`).

The stopper counts instances in the order in which Inspect schedules them, missing samples at their dangerous end, and
stops the schedule of further instances once the claim is decided at its level, whenever that is. Its rows carry `stopping:
e_process`, and the gate then takes anytime-valid bounds: a policy that did not allow it takes no such evidence.

Only a cell that a single claim design can decide is watched: one level, one epoch, and every claim about it on the success
rate with early stopping allowed. Samples under way are finished and count.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dangercurve.analysis.registry import from_scale, to_scale
from dangercurve.analysis.sequential import log_e_above, log_e_below
from dangercurve.evals.ingest import MANAGER
from dangercurve.scorers.results import results_in, status_in

if TYPE_CHECKING:
    from inspect_ai.dataset import Sample
    from inspect_ai.log import EvalSpec
    from inspect_ai.scorer import SampleScore
    from inspect_ai.util import EarlyStop
    from pydantic import JsonValue

    from dangercurve.evals.policy import Claim, LoadedPolicy
    from dangercurve.evals.study import Cell


@dataclass(frozen=True)
class StopRule:
    """One claim as the stopper needs it. `safe_below`: the rate under which it is ruled out, None where an allowance is
    known to the gate alone; `arms` and `twin`: which samples the claim is about."""

    claim: str
    alpha: float
    reach: float
    safe_below: float | None
    min_instances: int
    twin: str
    arms: tuple[tuple[str, str], ...]

    def about(self, metadata: dict[str, object]) -> bool:
        arms = {k: str(v) for k, v in metadata.items() if k.startswith("arm_")}
        wanted = dict.fromkeys(arms, "none") | dict(self.arms)
        return metadata.get("twin") == self.twin and all(arms.get(k) == v for k, v in wanted.items())


def rules_for(cell: Cell, loaded: LoadedPolicy | None) -> tuple[StopRule, ...]:
    """The rules under which a cell may stop; none where it has to be played to its end."""
    if loaded is None or len(cell.levels) != 1 or cell.epochs != 1:
        return ()
    found = []
    for claim in loaded.policy.claims:
        measure = claim.measure
        if measure is None or measure.family != cell.task:
            continue
        if measure.interface not in (None, cell.interface) or measure.kappa not in (None, cell.kappa):
            continue
        rule = _rule(claim)
        if rule is None:
            return ()
        found.append(rule)
    return tuple(found)


def _rule(claim: Claim) -> StopRule | None:
    reach, alert = claim.lines
    if (
        claim.test.early_stop is None
        or claim.metric.name != "success_rate"
        or reach is None
        or claim.relative
    ):
        return None
    measure = claim.measure
    assert measure is not None
    allowed = claim.allowance
    growth = 0.0 if allowed.growth_months == 0 else allowed.growth_per_month
    terms = [allowed.elicitation, allowed.forecast_error, growth]
    safe = None
    if alert is not None and all(isinstance(term, (int, float)) for term in terms):
        months = allowed.growth_months if allowed.growth_months else 1.0
        total = float(terms[0]) + float(terms[1]) + months * float(terms[2])
        safe = from_scale(to_scale(alert, claim.metric.scale) - total, claim.metric.scale)
    arms = tuple((k if k.startswith("arm_") else f"arm_{k}", v) for k, v in sorted(measure.arms.items()))
    attempts = claim.test.attempts
    alpha = claim.alpha / (2 if attempts == "open" else attempts)
    return StopRule(claim.id, alpha, reach, safe, claim.min_instances, measure.twin, arms)


def rules_json(rules: Sequence[StopRule]) -> str:
    """Rules as text, for an order to a worker."""
    return json.dumps([vars(rule) for rule in rules])


def rules_from(text: str) -> tuple[StopRule, ...]:
    """The inverse of `rules_json`; no rules for empty text."""
    data = json.loads(text) if text else []
    return tuple(StopRule(**{**d, "arms": tuple((k, v) for k, v in d["arms"])}) for d in data)


@dataclass
class _State:
    """One rule's evidence: instances at their dangerous end (against reaching) and at their safe end."""

    rule: StopRule
    n: int = 0
    dangerous: float = 0.0
    safe: float = 0.0
    decided: str = ""

    def add(self, dangerous: float, safe: float) -> None:
        self.n, self.dangerous, self.safe = self.n + 1, self.dangerous + dangerous, self.safe + safe
        if self.decided or self.n < self.rule.min_instances:
            return
        need = math.log(1 / self.rule.alpha)
        below = self.rule.safe_below
        if below is not None and 0 < below < 1 and log_e_below(self.dangerous, self.n, below) >= need:
            self.decided = f"{self.rule.claim} ruled out after {self.n} instances"
        elif 0 < self.rule.reach < 1 and log_e_above(self.safe, self.n, self.rule.reach) >= need:
            self.decided = f"{self.rule.claim} reached after {self.n} instances"


@dataclass
class EProcessStopper:
    """Inspect's early-stopping protocol over the rules of one cell."""

    rules: tuple[StopRule, ...]
    _states: list[_State] = field(default_factory=list)
    _about: dict[str, dict[str, object]] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)

    async def start_task(self, task: EvalSpec, samples: list[Sample], epochs: int) -> str:
        self._states = [_State(rule) for rule in self.rules]
        self._about = {str(sample.id): dict(sample.metadata or {}) for sample in samples}
        self._begun = set()
        return MANAGER

    async def schedule_sample(self, id: str | int, epoch: int) -> EarlyStop | None:
        from inspect_ai.util import EarlyStop

        instance = str(self._about.get(str(id), {}).get("instance_id"))
        if self._states and instance not in self._begun and all(s.decided for s in self._states):
            return EarlyStop(id=id, epoch=epoch, reason="; ".join(s.decided for s in self._states))
        self._begun.add(instance)
        return None

    async def complete_sample(self, id: str | int, epoch: int, scores: dict[str, SampleScore]) -> None:
        about = self._about.get(str(id), {})
        plain = {name: each.score for name, each in scores.items()}
        scored = status_in(plain) == "scored"
        value = results_in(plain)[0] if scored else None
        known = isinstance(value, (int, float)) and not math.isnan(value)
        for state in self._states:
            if state.rule.about(about):
                number = (
                    min(max(float(value), 0.0), 1.0) if known and isinstance(value, (int, float)) else None
                )
                state.add(1.0 if number is None else number, 0.0 if number is None else number)

    async def complete_task(self) -> dict[str, JsonValue]:
        return {s.rule.claim: s.decided or f"not decided by {s.n} instances" for s in self._states}
