"""A policy: claims with thresholds, what evidence each must carry, profiles and triggers. One YAML file, hashed."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dangercurve._errors import ConfigError, did_you_mean
from dangercurve._text import printable
from dangercurve.analysis.registry import Direction, Metric, metric, to_scale
from dangercurve.evals.progress.anomalies import Kind as AnomalyKind
from dangercurve.evals.strict_yaml import load_strict

POLICY_FOLDER = Path(__file__).with_name("policies")
Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Alpha = Annotated[float, Field(gt=0, le=0.5)]
Count = Annotated[int, Field(ge=1)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Strict(BaseModel):
    """Base of every part of a policy: frozen, no unknown key, no coercion of types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Clause(Strict):
    """Where a public framework says it. `ref` only where the text was read; `verified: false` where it was not."""

    topic: Name
    ref: Name | None = None
    verified: bool = False
    secondary: bool = False


class Framework(Strict):
    """The framework that a policy follows."""

    id: Name
    effective: dt.date
    title: str | None = None
    publisher: str | None = None
    url: str | None = None
    verified: bool = False
    remarks: list[str] = []


class Measure(Strict):
    """Which estimate a measure claim is about. What is left out matches any value, and the worst match holds.

    `monitor` belongs to the metrics of monitors, which need it; `view` and `form` say what it reads and how it answers.
    """

    domain: Literal["agentic", "deception", "misuse_proxy"]
    family: Name
    metric: Name
    interface: Name | None = None
    kappa: Annotated[float, Field(gt=0)] | None = None
    elicitation: Name = "best_of"
    twin: Name = "base"
    arms: dict[str, str] = {}
    monitor: Name | None = None
    view: Name | None = None
    form: Name | None = None


class Threshold(Strict):
    """T (`reach`) and the alert line W (`alert`) in the metric's own unit. null: the user has yet to set it."""

    reach: float | None
    alert: float | None
    direction: Direction | None = None


class Relative(Strict):
    """Relative mode: the metric exceeds the reference model's by less than `margin`, on the metric's scale."""

    reference: Name
    margin: Annotated[float, Field(gt=0)]
    alert: float


class Test(Strict):
    """One-sided level, least number of instances, and how many attempts (re-runs) share the level.

    `attempts: K` gives each of K planned attempts alpha / K; `open` gives attempt k alpha / (k (k + 1)), for ever.
    """

    alpha: Alpha = 0.05
    min_instances: Count = 40
    cluster: Literal["instance"] = "instance"
    attempts: Count | Literal["open"] = 1
    early_stop: Literal["e_process"] | None = None
    """Whether a run may stop once an e-process has decided the claim; the gate then takes anytime-valid bounds."""


class Allowance(Strict):
    """E, G and M on the metric's scale. A number replaces the ledger; zero must be written."""

    elicitation: Literal["from_elicitation_ledger"] | Amount = "from_elicitation_ledger"
    growth_months: Amount = 6.0
    growth_per_month: Literal["from_growth_ledger"] | Amount = "from_growth_ledger"
    forecast_error: Literal["from_forecast_ledger"] | Amount = "from_forecast_ledger"


class Require(Strict):
    """What evidence a claim must carry: caps on statuses, epochs, panels and records."""

    epochs: Count = 1
    max_infra: Share = 0.02
    max_limit: Share = 0.05
    max_refusal: Share = 0.05
    max_format: Share = 0.05
    max_abstain: Share = 0.02
    sandbagging_panel: bool = False
    awareness_panel: bool = False
    max_awareness_effect: Share = 0.1
    elicitation_ledger: bool = False
    baselines: bool = False
    preregistration: bool = False
    transcripts: Annotated[int, Field(ge=0)] = 0


class Breach(Strict):
    """The safeguard survives `survival_at` units of `clock` with at least `lower_bound`, at one-sided level `alpha`."""

    family: Name
    safeguard: Name
    clock: Literal["attempts", "attacker_tokens", "hours"]
    survival_at: Annotated[float, Field(gt=0)]
    lower_bound: Annotated[float, Field(gt=0, lt=1)] | None
    alert_bound: Annotated[float, Field(gt=0, lt=1)] | None
    alpha: Alpha = 0.05
    min_instances: Count = 40


class Forecast(Strict):
    """P(event) within a step of compute (`+0.5 OOM`) or by a date stays below `max_probability`."""

    family: Name
    event: Annotated[str, Field(pattern=r"^\s*\w+\s*(>=|<=)\s*[-+.\deE]+\s*$")]
    within: Annotated[str, Field(pattern=r"^(\+\d+(\.\d+)? OOM|\d{4}-\d{2}-\d{2})$")]
    max_probability: Annotated[float, Field(gt=0, lt=1)] | None
    alert_probability: Annotated[float, Field(gt=0, lt=1)] | None
    shapes: Literal["all"] | list[Name] = "all"

    def parts(self) -> tuple[str, str, float]:
        """Metric, comparison and threshold of the event."""
        found = re.match(r"^\s*(\w+)\s*(>=|<=)\s*(\S+)\s*$", self.event)
        if found is None:
            raise ConfigError(f"'{printable(self.event)}' is no event: write `METRIC >= NUMBER`")
        try:
            return found[1], found[2], float(found[3])
        except ValueError as exc:
            raise ConfigError(f"'{printable(found[3])}' in an event is no number") from exc


class Claim(Strict):
    """One question of the gate: a measure, a breach or a forecast claim."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$")]
    measure: Measure | None = None
    breach: Breach | None = None
    forecast: Forecast | None = None
    threshold: Threshold | None = None
    relative: Relative | None = None
    test: Test = Test()
    allowance: Allowance = Allowance()
    require: Require = Require()
    response_plan: Name | None = None
    clauses: list[Clause] = []
    remark: str | None = None

    @property
    def kind(self) -> Literal["measure", "breach", "forecast"]:
        """Which of the three kinds this claim is."""
        return "measure" if self.measure else "breach" if self.breach else "forecast"

    @property
    def metric(self) -> Metric:
        """The registry's entry for the claim's metric."""
        if self.measure:
            return metric(self.measure.metric)
        return metric("survival_at" if self.breach else self.forecast.parts()[0] if self.forecast else "")

    @property
    def family(self) -> str:
        """The task family that the claim is about."""
        part = self.measure or self.breach or self.forecast
        return part.family if part else ""

    @property
    def lines(self) -> tuple[float | None, float | None]:
        """T and W as the policy states them, in the metric's own unit (probabilities for a forecast)."""
        if self.threshold:
            return self.threshold.reach, self.threshold.alert
        if self.relative:
            return self.relative.margin, self.relative.alert
        if self.breach:
            return self.breach.lower_bound, self.breach.alert_bound
        return (
            (self.forecast.max_probability, self.forecast.alert_probability)
            if self.forecast
            else (None, None)
        )

    @property
    def alpha(self) -> float:
        """The one-sided level of the claim."""
        return self.breach.alpha if self.breach else self.test.alpha

    @property
    def min_instances(self) -> int:
        """The least number of instances that can support the claim."""
        return self.breach.min_instances if self.breach else self.test.min_instances

    @model_validator(mode="after")
    def _meant(self) -> Self:
        kinds = [k for k in ("measure", "breach", "forecast") if getattr(self, k) is not None]
        if len(kinds) != 1:
            raise ValueError(
                f"a claim is exactly one of measure, breach, forecast; this one has {kinds or 'none'}"
            )
        try:
            self._check_lines()
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
        return self

    def _check_lines(self) -> None:
        kind = self.metric
        if self.measure is None and (self.threshold or self.relative):
            raise ConfigError(f"threshold and relative belong to measure claims; this is a {self.kind} claim")
        if self.measure and (self.threshold is None) == (self.relative is None):
            raise ConfigError("a measure claim needs either a threshold or relative")
        if self.measure and (kind.monitor is None) != (self.measure.monitor is None):
            raise ConfigError(
                f"{kind.name} needs `monitor`: the one that the agent was watched by"
                if kind.monitor
                else f"monitor: {kind.name} is no number of a monitor"
            )
        if self.test.early_stop and (kind.name != "success_rate" or self.measure is None or self.relative):
            raise ConfigError("test.early_stop belongs to measure claims on success_rate with a threshold")
        reach, alert = self.lines
        if (reach is None) != (alert is None):
            raise ConfigError("set both the threshold and its alert line, or neither")
        direction = kind.direction
        if self.threshold:
            said = self.threshold.direction
            if said is not None and said != direction:
                raise ConfigError(
                    f"direction {said}: {kind.name} is dangerous {direction} in the metric registry"
                )
            for value in (reach, alert):
                if value is not None:
                    if not kind.holds(value):
                        raise ConfigError(f"{value:g} is no value of {kind.name} ({kind.unit})")
                    if not math.isfinite(to_scale(value, kind.scale)):
                        raise ConfigError(
                            f"{value:g} is at the end of the {kind.scale} scale: nothing can be ruled out"
                        )
        elif self.forecast:
            wanted = ">=" if direction == "up" else "<="
            if self.forecast.parts()[1] != wanted:
                raise ConfigError(f"{kind.name} is dangerous {direction}: write its event with {wanted}")
            direction = "up"
        elif self.relative:
            direction = "up"
        if (
            reach is not None
            and alert is not None
            and not (alert < reach if direction == "up" else alert > reach)
        ):
            raise ConfigError(
                f"the alert line {alert:g} must lie on the safe side of the threshold {reach:g}"
            )


class Profile(Strict):
    """How a policy is applied. `warn` changes only how JUnit types an unresolved claim."""

    tier: Literal["light", "full"] = "full"
    helpful_only: bool = False
    unresolved: Literal["fail", "warn"] = "fail"
    attempt_ledger: bool | None = None

    @property
    def needs_ledger(self) -> bool:
        """A full tier needs the attempt ledger unless a policy line says otherwise."""
        return self.tier == "full" if self.attempt_ledger is None else self.attempt_ledger

    def at_least_as_strict_as(self, other: Profile) -> bool:
        """Whether nothing that `other` demands is dropped here."""
        return (
            (self.tier == "full" or other.tier == "light")
            and self.helpful_only >= other.helpful_only
            and (self.unresolved == "fail" or other.unresolved == "warn")
            and self.needs_ledger >= other.needs_ledger
        )


class Triggers(Strict):
    """What makes a re-assessment due. A due one is overdue after `grace_days`; overdue evidence is INVALID."""

    compute_multiple: Annotated[float, Field(gt=1)] | None = None
    months: Annotated[float, Field(gt=0)] | None = None
    checkpoint: Name | None = None
    capability_delta: Annotated[float, Field(gt=0)] | None = None
    inference_compute_multiple: Annotated[float, Field(gt=1)] | None = None
    new_tools: bool = False
    deployment_change: bool = False
    grace_days: Annotated[float, Field(ge=0)] = 30.0


class Pool(Strict):
    """Comparability keys of one family that this policy allows to be pooled, and why."""

    family: Name
    keys: Annotated[list[Name], Field(min_length=2)]
    why: Name


class Signoff(Strict):
    """Roles that must sign, by different people."""

    roles: Annotated[list[Name], Field(min_length=1)]


class Policy(Strict):
    """A whole policy file."""

    version: Literal[1]
    framework: Framework
    claims: Annotated[list[Claim], Field(min_length=1)]
    profiles: dict[str, str | Profile] = {}
    triggers: Triggers = Triggers()
    pool: list[Pool] = []
    answering_models: dict[str, list[Name]] = {}
    invalid_on: list[AnomalyKind] = []
    lapse: list[str] = []
    signoff: Signoff | None = None

    @field_validator("claims")
    @classmethod
    def _one_claim_an_id(cls, claims: list[Claim]) -> list[Claim]:
        seen: dict[str, int] = {}
        for index, claim in enumerate(claims):
            if claim.id in seen:
                raise ValueError(f"claims[{seen[claim.id]}] and claims[{index}] have one id '{claim.id}'")
            seen[claim.id] = index
        return claims

    @model_validator(mode="after")
    def _profiles_meant(self) -> Self:
        for name, value in self.profiles.items():
            if (name == "default") != isinstance(value, str):
                raise ValueError(f"profiles.{name}: `default` names a profile, every other key holds one")
        default = self.profiles.get("default")
        if isinstance(default, str) and not isinstance(self.profiles.get(default), Profile):
            raise ValueError(
                f"profiles.default: no profile '{default}'{did_you_mean(default, self.profiles)}"
            )
        if self.profiles and default is None:
            raise ValueError("profiles.default is missing: name the profile that holds without --profile")
        return self

    def profile(self, wanted: str | None) -> tuple[str, Profile]:
        """The profile in force and its name. Raises ConfigError where `wanted` is unknown or more lenient."""
        default = self.profiles.get("default")
        name = default if isinstance(default, str) else "none"
        base = self.profiles.get(name, Profile(attempt_ledger=False))
        if isinstance(base, str):
            raise ConfigError(f"profiles.default names '{name}', which is no profile")
        if wanted is None or wanted == name:
            return name, base
        chosen = self.profiles.get(wanted)
        if not isinstance(chosen, Profile):
            options = [key for key in self.profiles if key != "default"]
            raise ConfigError(f"--profile: no profile '{printable(wanted)}'{did_you_mean(wanted, options)}")
        if not chosen.at_least_as_strict_as(base):
            raise ConfigError(
                f"--profile {wanted} is more lenient than the policy's default '{name}'; change profiles.default"
            )
        return wanted, chosen

    def claim(self, claim_id: str) -> Claim:
        """The claim with that id. Raises ConfigError with a suggestion."""
        for claim in self.claims:
            if claim.id == claim_id:
                return claim
        ids = [claim.id for claim in self.claims]
        raise ConfigError(f"no claim '{printable(claim_id)}'{did_you_mean(claim_id, ids)}")


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy, where it lies and the SHA-256 of its bytes."""

    policy: Policy
    path: Path
    sha256: str


def load_policy(path: Path | str) -> LoadedPolicy:
    """Read a policy file, or a shipped one by its bare name (`internal-example`).

    Raises ConfigError `FILE:LINE: key: what is wrong` for anything that cannot be meant, and for a pack whose
    numbers are still to be set.
    """
    target = Path(path)
    if not target.exists() and target.name == str(path) and (POLICY_FOLDER / f"{path}.yaml").exists():
        target = POLICY_FOLDER / f"{path}.yaml"
    if not target.exists():
        shipped = sorted(file.stem for file in POLICY_FOLDER.glob("*.yaml"))
        raise ConfigError(
            f"no policy file {target}, nor a shipped policy{did_you_mean(target.stem, shipped)}"
        )
    policy, digest = load_strict(target, Policy)
    return LoadedPolicy(policy, target, digest)


def refuse_unset(loaded: LoadedPolicy) -> None:
    """Raise ConfigError for the first claim without numbers: a pack gives the structure, its user the thresholds."""
    for claim in loaded.policy.claims:
        if claim.lines[0] is None:
            raise ConfigError(
                f"{loaded.path.name}: claim {claim.id}: threshold and alert line are not set; public thresholds "
                "are qualitative: copy the pack and set your own numbers (docs/thresholds.md)"
            )
