"""Logs of anyone's Inspect evals become observations: a mapping (YAML) says what a task's score values mean.

Both sides of every test are written out, `dangerous` and `safe`, `able` and `unable`. A value on neither side, on both,
or not there is a broken instrument (`infra_error`), never a safe answer. What a log holds is untrusted text.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from inspect_ai.log import EvalLog, EvalSampleSummary
from inspect_ai.scorer import Score
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from dangercurve._errors import ConfigError
from dangercurve.evals import store
from dangercurve.evals.strict_yaml import load_strict

Row = dict[str, object]
label = store.label
Name = Annotated[str, Field(min_length=1, max_length=200)]
Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,79}$")]
Value = StrictBool | StrictInt | StrictFloat | StrictStr
Missing = Literal["refused", "eval_aware_abstain", "format_failure", "limit_censored", "infra_error"]
Limit = Literal["message", "turn", "token", "time", "working", "cost", "operator", "custom", "context"]
BUDGET = ("message_limit", "turn_limit", "token_limit", "time_limit", "working_limit", "cost_limit")


class Strict(BaseModel):
    """A part of a mapping: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Span(Strict):
    """Numbers between bounds; each bound that is given must hold. NaN and text lie in no span."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if all(bound is None for bound in (self.at_least, self.above, self.at_most, self.below)):
            raise ValueError("a span needs one of at_least, above, at_most, below")
        return self

    def holds(self, value: object) -> bool:
        """Whether `value` is a finite number inside."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return False
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )


Side = Span | Annotated[list[Value], Field(min_length=1)]


class Place(Strict):
    """Where in a sample's scores a value stands: a scorer, and a key where its value is a dict."""

    scorer: Name
    key: Name | None = None

    def score(self, scores: Mapping[str, Score]) -> Score | None:
        """The scorer's score, if the sample has one."""
        return scores.get(self.scorer)

    def value(self, scores: Mapping[str, Score]) -> object:
        """The value, or None where the sample does not have it."""
        score = self.score(scores)
        if score is None:
            return None
        if self.key is None:
            return score.value
        return score.value.get(self.key) if isinstance(score.value, Mapping) else None


class Success(Place):
    """The yes-or-no result. `dangerous` is the end that a claim counts; a security score has its C under `safe`."""

    dangerous: Side
    safe: Side

    def read(self, scores: Mapping[str, Score]) -> float | None:
        """1.0 for dangerous, 0.0 for safe, None where the value says neither or both."""
        return _decide(self.value(scores), self.dangerous, self.safe)


class Competence(Place):
    """The competence gate: a sample that is not able says nothing on a safe answer."""

    able: Side
    unable: Side

    def read(self, scores: Mapping[str, Score]) -> float | None:
        """1.0 for able, 0.0 for unable, None where the value says neither or both."""
        return _decide(self.value(scores), self.able, self.unable)


class Outcome(Place):
    """The graded result: a number whose value `safe` becomes 0 and whose value `dangerous` becomes 1."""

    safe: float
    dangerous: float

    @model_validator(mode="after")
    def _two_ends(self) -> Self:
        if not (math.isfinite(self.safe) and math.isfinite(self.dangerous)) or self.safe == self.dangerous:
            raise ValueError("safe and dangerous are two different numbers: the ends of the score")
        return self

    def read(self, scores: Mapping[str, Score]) -> float | None:
        """The score in [0, 1], or None where it is no number or outside its ends."""
        value = self.value(scores)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        graded = (value - self.safe) / (self.dangerous - self.safe)
        return graded if 0 <= graded <= 1 else None


class StatusRule(Place):
    """A sample has `status` where the value, the extracted answer or the machine-readable reason is one of `when`."""

    status: Missing
    of: Literal["value", "answer", "reason"] = "value"
    when: Side

    def holds(self, scores: Mapping[str, Score]) -> bool:
        """Whether this rule decides the sample."""
        score = self.score(scores)
        if score is None:
            return False
        found = (
            self.value(scores)
            if self.of == "value"
            else score.answer
            if self.of == "answer"
            else score.reason
        )
        return found is not None and _in(found, self.when)


class FromMetadata(Strict):
    """A value that the sample's metadata holds under this key."""

    metadata: Name


class Control(FromMetadata):
    """Samples in which the danger could not arise: where this metadata value is one of `when` they are of a control twin,
    so that their sure safety supports no claim on the base twin."""

    when: Side
    twin: Literal["clean", "benign", "patched", "solvable"]


class TaskMapping(Strict):
    """What the logs of one task mean. `task` is a glob on the registry name; the first entry that matches holds."""

    task: Name
    versions: Annotated[list[Name], Field(min_length=1)]
    domain: Literal["agentic", "deception", "misuse_proxy"]
    family: Slug
    construct_: Name = Field(alias="construct")
    interface: Literal["tools", "text", "choice"]
    success: Success | None = None
    outcome: Outcome | None = None
    competence: Competence | None = None
    statuses: list[StatusRule] = []
    limits_scored: list[Limit] = []
    control: Control | None = None
    instance: FromMetadata | None = None
    level: StrictInt | FromMetadata = 0
    human_minutes: Annotated[float, Field(gt=0)] | FromMetadata | None = None
    random_floor: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @model_validator(mode="after")
    def _some_result(self) -> Self:
        if self.success is None and self.outcome is None:
            raise ValueError("name the score that is the result: success, outcome or both")
        return self


class MappingFile(Strict):
    """A mapping file, version 1."""

    version: Literal[1]
    tasks: Annotated[list[TaskMapping], Field(min_length=1)]

    @model_validator(mode="after")
    def _families_apart(self) -> Self:
        names = [entry.family for entry in self.tasks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the family '{twice[0]}' stands twice: give each task a family of its own")
        return self

    def entry_for(self, log: EvalLog) -> TaskMapping | None:
        """The first entry whose glob matches the log's task."""
        name = task_name(log)
        return next((entry for entry in self.tasks if fnmatchcase(name, entry.task)), None)


@dataclass(frozen=True)
class Reading:
    """What a sample's scores say under a mapping."""

    status: str
    success: float | None = None
    outcome: float | None = None
    competent: bool | None = None


def load_mapping(path: Path) -> MappingFile:
    """The mapping in a file. Raises ConfigError naming file and line, also for a family that this suite has itself."""
    from dangercurve.tasks.kernel.family import family_names

    mapping, _ = load_strict(path, MappingFile)
    for entry in mapping.tasks:
        if entry.family in family_names():
            raise ConfigError(
                f"{path.name}: the family '{entry.family}' is one of this suite: call the foreign one otherwise"
            )
    return mapping


def task_name(log: EvalLog) -> str:
    """The registry name of the log's task, or its name where it has none."""
    return log.eval.task_registry_name or log.eval.task


def read_scores(sample: EvalSampleSummary, entry: TaskMapping) -> Reading:
    """Status, success, outcome and competence of a sample.

    An error, an unfinished sample or one without scores is `infra_error`. Else a danger that showed counts, whatever
    limit came with it, and is its own proof of competence. Without it, in this order: the first status rule that
    holds; a limit is `limit_censored` unless the mapping scores that limit; what cannot be read is `infra_error`; a
    scored sample that is unable has neither success nor outcome: it counts as missing, never as safe.
    """
    scores = sample.scores or {}
    if sample.error is not None or not scores or not sample.completed:
        return Reading("infra_error")
    success = entry.success.read(scores) if entry.success else None
    outcome = entry.outcome.read(scores) if entry.outcome else None
    rule = next((r for r in entry.statuses if r.holds(scores)), None)
    shown = success == 1.0 if entry.success else (outcome or 0.0) > 0.0
    if rule is not None and (rule.status == "infra_error" or not shown):
        return Reading(rule.status)
    if sample.limit and sample.limit not in entry.limits_scored and not shown:
        return Reading("limit_censored")
    if (entry.success and success is None) or (entry.outcome and outcome is None and not shown):
        return Reading("infra_error")
    if entry.competence is None:
        return Reading("scored", success, outcome)
    able = 1.0 if shown else entry.competence.read(scores)
    if able is None:
        return Reading("infra_error")
    return Reading("scored", success, outcome, True) if able else Reading("scored", None, None, False)


def shared_columns(log: EvalLog, entry: TaskMapping) -> Row:
    """The columns that every row of the log has and that a log of this suite would name itself."""
    return {
        "task": label(task_name(log)),
        "domain": entry.domain,
        "family": entry.family,
        "construct": entry.construct_,
        "seed_commitment": "",
        "scaffold": scaffold(log),
        "judge": judge(log),
    }


def sample_columns(sample: EvalSampleSummary, log: EvalLog, entry: TaskMapping) -> Row:
    """The columns of one sample that follow from the mapping."""
    found = read_scores(sample, entry)
    meta = sample.metadata
    usage = {name: use for name, use in sample.model_usage.items() if name == log.eval.model}
    costs = [use.total_cost for use in usage.values()]
    return {
        **condition(entry),
        "twin": twin(meta, entry),
        "sample_id": label(sample.id),
        "epoch": sample.epoch,
        "sample_uuid": label(sample.uuid or ""),
        "completed_at": str(sample.completed_at or log.stats.completed_at or log.eval.created),
        "answering_model": answered_by(sample, log.eval.model),
        "instance_id": instance_id(log, meta.get(entry.instance.metadata) if entry.instance else sample.id),
        "level": _whole(entry.level, meta),
        "human_minutes": _positive(entry.human_minutes, meta),
        "random_floor": entry.random_floor,
        "status": found.status,
        "success": found.success,
        "outcome": found.outcome,
        "competent": found.competent,
        "opportunity": True if found.status == "scored" else None,
        "turns": sample.turn_count,
        "input_tokens": sum(u.input_tokens + (u.input_tokens_cache_read or 0) for u in usage.values()),
        "output_tokens": sum(u.output_tokens for u in usage.values()),
        "reasoning_tokens": sum(u.reasoning_tokens or 0 for u in usage.values()),
        "usd": sum(c for c in costs if c is not None) if any(c is not None for c in costs) else None,
        "working_s": sample.working_time,
    }


def twin(meta: Mapping[str, object], entry: TaskMapping) -> str:
    """The control twin where the mapping says so, else `base`."""
    rule = entry.control
    return rule.twin if rule and rule.metadata in meta and _in(meta[rule.metadata], rule.when) else "base"


def condition(entry: TaskMapping) -> Row:
    """Twin, interface and elicitation of every row; the step budget is unknown."""
    return {
        "twin": "base",
        "interface": entry.interface,
        "kappa": None,
        "elicitation": "as_run",
    }


def instance_id(log: EvalLog, name: object) -> str:
    """The unit that counts: task and sample id (or the metadata value that the mapping names); epochs share it."""
    return "ext-" + _hash([task_name(log), str(name)])[:24]


def answered_by(sample: EvalSampleSummary, model: str) -> str | None:
    """Who answered: the model under test where tokens are booked on it, with every fallback that served it instead;
    None where nothing says so."""
    others = {f.fallback_model for f in sample.model_fallbacks or [] if f.model == model}
    names = ({model} if model in sample.model_usage else set()) | others
    return "|".join(sorted(label(n) for n in names)) if names else None


def key_parts(log: EvalLog, entry: TaskMapping) -> dict[str, object]:
    """What the comparability key of a foreign log is made of. The mapping's entry is a part: a value that is read
    otherwise is another measurement."""
    spec = log.eval
    config = spec.config.model_dump(exclude_none=True)
    return {
        "mapping": entry.model_dump(mode="json"),
        "task": task_name(log),
        "task_version": str(spec.task_version),
        "task_args": spec.task_args,
        "dataset": [spec.dataset.name, spec.dataset.samples],
        "scorers": [[s.name, s.options] for s in spec.scorers or []],
        "judge": judge(log),
        "scaffold": scaffold(log),
        "solver_args": spec.solver_args,
        "budget": {name: config[name] for name in BUDGET if name in config},
        "inspect": spec.packages.get("inspect_ai"),
        "suite": {name: version for name, version in sorted(spec.packages.items()) if name != "inspect_ai"},
    }


def scaffold(log: EvalLog) -> str:
    """The solver's name, or the names of the plan's steps."""
    return label(log.eval.solver or "+".join(step.solver for step in log.plan.steps) or "unknown")


def judge(log: EvalLog) -> str:
    """Models that the log books tokens on and that are not under test, and the named roles."""
    used = {name for name in log.stats.model_usage if name != log.eval.model}
    roles = {
        f"{role}={config.model}"
        for role, bound in (log.eval.model_roles or {}).items()
        for config in (bound if isinstance(bound, list) else [bound])
    }
    return label(",".join(sorted(used | roles)))


def _decide(value: object, one: Side, zero: Side) -> float | None:
    yes, no = _in(value, one), _in(value, zero)
    return None if yes == no else float(yes)


def _in(value: object, side: Side) -> bool:
    if isinstance(side, Span):
        return side.holds(value)
    return any(_same(value, other) for other in side)


def _same(a: object, b: Value) -> bool:
    """Equality in which true is not 1 and text is not a number."""
    if isinstance(a, bool) or isinstance(b, bool) or isinstance(a, str) or isinstance(b, str):
        return type(a) is type(b) and a == b
    return isinstance(a, (int, float)) and a == b


def _from(source: float | FromMetadata | None, meta: Mapping[str, object]) -> float | None:
    value = meta.get(source.metadata) if isinstance(source, FromMetadata) else source
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _whole(source: int | FromMetadata | None, meta: Mapping[str, object]) -> int | None:
    value = _from(source, meta)
    return int(value) if value is not None and value.is_integer() and abs(value) < 1e9 else None


def _positive(source: float | FromMetadata | None, meta: Mapping[str, object]) -> float | None:
    value = _from(source, meta)
    return value if value is not None and value > 0 else None


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
