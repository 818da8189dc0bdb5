"""A study: which models play which tasks, how often, under which limits. One YAML file, validated and hashed."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dangercurve._errors import ConfigError, did_you_mean
from dangercurve.evals.planning.prices import Price
from dangercurve.evals.progress.anomalies import AnomalyRules
from dangercurve.evals.strict_yaml import load_strict

Level = Annotated[int, Field(ge=0, le=40)]
Kappa = Annotated[float, Field(ge=1.0, le=64.0)]
Interface = Literal["tools", "text", "choice", "shell"]
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
SEED_STRIDE = 100_000
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(Strict):
    """Hard caps. `output_tokens` bounds a sample and `call_s` one model call. `tokens` and `usd` bound the study over all
    its commands, `wall_s` one command; they are checked before each model call of every worker (docs/scale.md)."""

    tokens: int | None = Field(default=None, gt=0)
    usd: float | None = Field(default=None, gt=0)
    wall_s: float | None = Field(default=None, gt=0)
    output_tokens: int | None = Field(default=None, gt=0)
    call_s: int = Field(default=1800, gt=0)


class Batch(Strict):
    """Settings of a provider's batch API, under Inspect's names; what is left out is Inspect's default."""

    size: int | None = Field(default=None, ge=1)
    max_size: int | None = Field(default=None, ge=1)
    send_delay: float | None = Field(default=None, ge=0)
    tick: float | None = Field(default=None, gt=0)
    max_batches: int | None = Field(default=None, ge=1)
    max_consecutive_check_failures: int | None = Field(default=None, ge=1)

    def config(self) -> dict[str, int | float]:
        """As Inspect's `batch` setting."""
        return self.model_dump(exclude_none=True)


class Sampling(Strict):
    """Generation settings that are part of the comparability key."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, gt=0)
    seed: int | None = None


class Design(Strict):
    """What is crossed. A model may override any of it."""

    tasks: list[str] | None = None
    levels: list[Level] | None = None
    twins: list[str] | None = None
    arms: dict[str, list[str]] | None = None
    doses: dict[str, list[int]] | None = None
    interfaces: list[Interface] | None = None
    kappa: list[Kappa] | None = None
    elicitation: list[Literal["zero", "cot", "one_shot"]] | None = None
    choice_by: Literal["letter", "logprob"] | None = None
    scaffold: list[Literal["kernel", "planner"]] | None = None
    from_milestone: list[Annotated[int, Field(ge=0, le=64)]] | None = None
    reasoning_effort: list[Effort] | None = None
    epochs: int | None = Field(default=None, ge=1, le=1000)
    n: int | None = Field(default=None, ge=1, le=1_000_000)
    sampling: Sampling | None = None
    max_connections: int | None = Field(default=None, ge=1, le=1000)


class ModelEntry(Design):
    """One participant: an Inspect model id, with overrides of the design."""

    model: str = Field(pattern=r"^[A-Za-z0-9_.-]+/[^\s\x00-\x1f]{1,200}$")
    model_args: dict[str, str | int | float | bool] = Field(default_factory=dict)


class Study(Design):
    """The contract of DESIGN section 5, with a design for all models and overrides for each."""

    name: str = Field(pattern=f"^{NAME}$")
    seed: int = Field(default=0, ge=0)
    salt: str = "dev"
    tier: Literal["light", "full"] | None = None
    models: list[ModelEntry] = Field(min_length=1)
    roles: dict[str, str] = Field(default_factory=dict)
    limits: Limits = Limits()
    batch: bool | Batch = False
    prices: list[Price] = []
    """Prices that this study pays, before the shipped table; a cap in US dollars needs one for every model."""
    shard: int | None = Field(default=None, ge=1)
    """At most that many instances a level in one log: a larger cell is cut into several, which any worker may play."""
    policy: str | None = None
    subject: str | None = None
    preregistration: str | None = None
    answering_models: dict[str, list[str]] = Field(default_factory=dict)
    """Names beside its own under which a model may answer, such as a dated snapshot: those are the model itself."""
    anomalies: AnomalyRules = AnomalyRules()

    @field_validator("models", mode="before")
    @classmethod
    def _plain_names(cls, value: object) -> object:
        """`- provider/model` is short for `- model: provider/model`."""
        return (
            [{"model": m} if isinstance(m, str) else m for m in value] if isinstance(value, list) else value
        )


class Crossing(Strict):
    """A design with nothing left open but what a tier may fill (levels, n)."""

    tasks: list[str] = Field(min_length=1)
    levels: list[Level] | None = None
    twins: list[str] = ["base"]
    arms: dict[str, list[str]] = {}
    doses: dict[str, list[int]] = {}
    interfaces: list[Interface] = ["tools"]
    kappa: list[Kappa] = [2.0]
    elicitation: list[str] = ["zero"]
    choice_by: str = "letter"
    scaffold: list[str] = ["kernel"]
    from_milestone: list[int] = [0]
    reasoning_effort: list[str | None] = [None]
    epochs: int = 1
    n: int | None = None
    sampling: Sampling = Sampling()
    max_connections: int | None = None


@dataclass(frozen=True)
class Cell:
    """One Inspect task of one model: everything else is crossed inside it."""

    model: str
    task: str
    interface: str
    kappa: float
    elicitation: str
    choice_by: str
    levels: tuple[int, ...]
    twins: tuple[str, ...]
    arms: tuple[tuple[str, tuple[str, ...]], ...]
    doses: tuple[tuple[str, tuple[int, ...]], ...]
    n: int
    start: int
    epochs: int
    effort: str | None
    from_milestone: int
    sampling: Sampling
    max_connections: int | None
    model_args: tuple[tuple[str, str | int | float | bool], ...] = field(default=())
    scaffold: str = "kernel"

    def task_args(self, salt: str) -> dict[str, object]:
        """Arguments of the Inspect task."""
        return {
            "level": ",".join(map(str, self.levels)),
            "twin": ",".join(self.twins),
            "arm": ",".join(f"{k}={'|'.join(v)}" for k, v in self.arms),
            "dose": ",".join(f"{k}={'|'.join(map(str, v))}" for k, v in self.doses),
            "n": self.n,
            "start": self.start,
            "interface": self.interface,
            "kappa": self.kappa,
            "salt": salt,
            "elicitation": self.elicitation,
            "choice_by": self.choice_by,
            "from_milestone": self.from_milestone,
            **({"scaffold": self.scaffold} if self.scaffold != "kernel" else {}),
        }

    def group(self) -> tuple[object, ...]:
        """Cells that can share one Inspect eval set: the same model under the same generation settings."""
        return (self.model, self.model_args, self.epochs, self.effort, self.sampling, self.max_connections)

    def samples(self) -> int:
        crossed = 1
        for _, values in (*self.arms, *self.doses):
            crossed *= len(values)
        return self.n * len(self.levels) * len(self.twins) * crossed * self.epochs


def load_study(path: Path | str) -> tuple[Study, str]:
    """The study and the SHA-256 of its file. Raises ConfigError naming file, line and key."""
    return load_strict(path, Study)


def cells_of(study: Study) -> list[Cell]:
    """All cells in a fixed order. Raises ConfigError for what no family declares, and for two equal cells."""
    cells = [cell for entry in study.models for cell in _cells(study, entry)]
    twice = next((c for i, c in enumerate(cells) if c in cells[:i]), None)
    if twice is not None:
        raise ConfigError(
            f"study {study.name}: {twice.model} x {twice.task} ({twice.interface}) stands twice"
        )
    return cells


def _cells(study: Study, entry: ModelEntry) -> list[Cell]:
    crossing = _crossing(study, entry)
    cells = []
    for task in crossing.tasks:
        levels, n = _sizes(study, crossing, task)
        shard = study.shard or n
        _check_declared(task, crossing)
        for interface, kappa, elicitation, effort, milestone, scaffold in product(
            crossing.interfaces,
            crossing.kappa,
            crossing.elicitation,
            crossing.reasoning_effort,
            crossing.from_milestone,
            crossing.scaffold,
        ):
            cells += [
                Cell(
                    model=entry.model,
                    task=task,
                    interface=interface,
                    kappa=float(kappa),
                    elicitation=elicitation,
                    choice_by=crossing.choice_by,
                    levels=levels,
                    twins=tuple(crossing.twins),
                    arms=tuple((k, tuple(v)) for k, v in crossing.arms.items()),
                    doses=tuple((k, tuple(v)) for k, v in crossing.doses.items()),
                    n=min(shard, n - first),
                    start=study.seed * SEED_STRIDE + first,
                    epochs=crossing.epochs,
                    effort=effort,
                    from_milestone=milestone,
                    sampling=crossing.sampling,
                    max_connections=crossing.max_connections,
                    model_args=tuple(sorted(entry.model_args.items())),
                    scaffold=scaffold,
                )
                for first in range(0, n, shard)
            ]
    return cells


def _crossing(study: Study, entry: ModelEntry) -> Crossing:
    merged = {}
    for name in Design.model_fields:
        own, common = getattr(entry, name), getattr(study, name)
        if own is not None or common is not None:
            merged[name] = own if own is not None else common
    if not merged.get("tasks"):
        raise ConfigError(f"study {study.name}: no tasks; list families such as ops_horizon")
    return Crossing.model_validate(merged)


def _sizes(study: Study, crossing: Crossing, task: str) -> tuple[tuple[int, ...], int]:
    from dangercurve.tasks.kernel.family import get_family

    tiers = get_family(task).tiers
    if study.tier is not None and study.tier not in tiers:
        raise ConfigError(f"{task} has no tier '{study.tier}'{did_you_mean(study.tier, tiers)}")
    tier = tiers[study.tier] if study.tier else None
    levels = tuple(sorted(set(crossing.levels))) if crossing.levels else tier.levels if tier else ()
    n = crossing.n or (tier.n if tier else 0)
    if not levels or not n:
        raise ConfigError(f"study {study.name}: give levels and n, or a tier (light, full)")
    return levels, n


def _check_declared(task: str, crossing: Crossing) -> None:
    from dangercurve.tasks.kernel.family import get_family
    from dangercurve.tasks.kernel.world import Setting

    family = get_family(task)
    for twin in crossing.twins:
        family.check(Setting(twin))
    for interface in crossing.interfaces:
        if interface not in family.interfaces():
            raise ConfigError(
                f"{task} has no interface '{interface}'{did_you_mean(interface, family.interfaces())}"
            )
    for scaffold in crossing.scaffold:
        _check_scaffold(task, scaffold, crossing.interfaces)
    for factor, values in crossing.arms.items():
        for value in values:
            family.check(Setting("base", ((factor, value),)))
    for dose, sizes in crossing.doses.items():
        for size in sizes:
            family.check(Setting("base", (), ((dose, size),)))


def _check_scaffold(task: str, scaffold: str, interfaces: list[Interface]) -> None:
    if scaffold == "kernel":
        return
    from inspect import signature

    from dangercurve import _registry
    from dangercurve.tasks.kernel.planner import check_scaffold

    for interface in interfaces:
        check_scaffold(scaffold, interface)
    make = getattr(_registry, task, None)
    if make is None or "scaffold" not in signature(make).parameters:
        raise ConfigError(
            f"{task} has no scaffold but the bare loop (kernel); the agentic families have a planner"
        )


def slug(text: str) -> str:
    """A file name for a model id: readable, unique, with no path of its own."""
    plain = re.sub(r"[^A-Za-z0-9@.-]+", "-", text).strip("-.")[:48] or "model"
    return f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def group_slug(cell: Cell) -> str:
    """Folder name of the eval set that a cell belongs to."""
    rest = json.dumps([str(x) for x in cell.group()[1:]])
    return slug(cell.model)[:57] + "-" + hashlib.sha256(rest.encode()).hexdigest()[:6]
