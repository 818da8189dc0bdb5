"""The metric registry: what a policy, a report or the store may name, and the scale its bounds live on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import yaml

from dangercurve._errors import ConfigError, did_you_mean

Scale = Literal["logit", "log2", "linear"]
Direction = Literal["up", "down"]
SCALES: tuple[Scale, ...] = ("logit", "log2", "linear")


@dataclass(frozen=True)
class Priors:
    """Allowances on the metric's scale that stand in for empty ledgers; a verdict marks them `prior`."""

    elicitation: float
    growth_per_month: float
    forecast_error: float
    why: str


@dataclass(frozen=True)
class Behaviour:
    """Where a propensity is read: in the arm `arm`=`treated`, less the rate in `control`; without an arm, at rest.

    The family reports the behaviour itself as the key of its metrics that has the metric's name; or the behaviour is that
    the key `of`, a degree, reads `at_least` so much. `gated: false` counts those who failed the competence gate as well: for
    what asks whether they *can*.
    """

    arm: str = ""
    treated: str = ""
    control: str = ""
    gated: bool = True
    of: str = ""
    at_least: float | None = None

    def __post_init__(self) -> None:
        if bool(self.arm) != bool(self.treated) or (self.control and not self.arm):
            raise ConfigError("a behaviour names no arm, or an arm with `treated` and perhaps `control`")
        if bool(self.of) != (self.at_least is not None):
            raise ConfigError("a behaviour names both `of` and `at_least`, or neither")


@dataclass(frozen=True)
class Interaction:
    """Which behaviour (a key of the family's metrics) is read in which 2^k design: (arm, treated, control) a factor."""

    behaviour: str
    factors: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Monitored:
    """How well a monitor tells the arm `arm`=`attack` from `honest`: its TPR at `fpr`, or without one its AUROC."""

    arm: str
    attack: str
    honest: str
    fpr: float | None = None


@dataclass(frozen=True)
class Metric:
    """One metric: its unit, the scale on which bounds add up, and the end that is dangerous.

    `bounds` are the values it can take; `missing` says in words what a missing sample counts as in the worst case.
    """

    name: str
    label: str
    unit: str
    scale: Scale
    direction: Direction
    lower: float
    upper: float
    estimator: str
    missing: str
    priors: Priors | None
    behaviour: Behaviour | None = None
    interaction: Interaction | None = None
    monitor: Monitored | None = None

    @property
    def compares(self) -> tuple[str, ...]:
        """The arms (without `arm_`) whose values one estimate holds together; every other arm it has at one value."""
        if self.name in ("sandbagging_gap", "eval_awareness_effect"):
            return ("thr",) if self.name == "sandbagging_gap" else ("cue",)
        if self.interaction is not None:
            return tuple(arm for arm, _, _ in self.interaction.factors)
        if self.monitor is not None:
            return (self.monitor.arm,)
        return (self.behaviour.arm,) if self.behaviour is not None and self.behaviour.arm else ()

    @property
    def contrast(self) -> bool:
        """Whether the metric compares arms (or reads a behaviour at rest): its estimate stands beside no single arm."""
        named = self.name in ("sandbagging_gap", "eval_awareness_effect")
        return named or self.behaviour is not None or self.interaction is not None

    def holds(self, value: float) -> bool:
        """Whether `value` is a number that this metric can take."""
        return math.isfinite(value) and self.lower <= value <= self.upper


def to_scale(value: float, scale: Scale) -> float:
    """`value` on `scale`: log(p / (1 - p)), log2(x) or x; the ends of the range map to infinities.

    Raises ConfigError where the value lies outside the scale's domain.
    """
    if scale == "linear":
        return value
    if scale == "logit":
        if not 0 <= value <= 1:
            raise ConfigError(f"{value:g} is no rate: the logit scale needs 0 to 1")
        if value in (0, 1):
            return math.inf if value == 1 else -math.inf
        return math.log(value / (1 - value))
    if not value >= 0:
        raise ConfigError(f"{value:g} is not on the log2 scale: it needs 0 or more")
    return math.log2(value) if value > 0 else -math.inf


def from_scale(value: float, scale: Scale) -> float:
    """The inverse of `to_scale`; overflow ends at the end of the range."""
    if scale == "linear":
        return value
    if scale == "logit":
        if value >= 0:
            return 1 / (1 + math.exp(-value))
        small = math.exp(value)
        return small / (1 + small)
    return math.inf if value > 1000 else 2.0**value


@cache
def metrics() -> dict[str, Metric]:
    """Every metric of the registry by name, in the order of `metrics.yaml`."""
    path = Path(__file__).with_name("metrics.yaml")
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: _metric(name, fields) for name, fields in raw.items()}


def metric(name: str) -> Metric:
    """The metric called `name`. Raises ConfigError with a suggestion where there is none."""
    known = metrics()
    if name not in known:
        raise ConfigError(f"unknown metric '{name}'{did_you_mean(name, known)}")
    return known[name]


def _metric(name: str, fields: dict[str, object]) -> Metric:
    bounds = fields["bounds"]
    behaviour = fields.get("behaviour")
    monitor = fields.get("monitor")
    priors = fields["priors"]
    scale = str(fields["scale"])
    direction = str(fields["direction"])
    if scale not in SCALES or direction not in ("up", "down") or not isinstance(bounds, list):
        raise ConfigError(f"metrics.yaml: {name}: scale, direction or bounds are not of the registry's kind")
    return Metric(
        name=name,
        label=str(fields["label"]),
        unit=str(fields["unit"]),
        scale="logit" if scale == "logit" else "log2" if scale == "log2" else "linear",
        direction="up" if direction == "up" else "down",
        lower=float(bounds[0]),
        upper=float(bounds[1]),
        estimator=str(fields["estimator"]),
        missing=str(fields["missing"]),
        priors=_priors(priors) if isinstance(priors, dict) else None,
        behaviour=Behaviour(**behaviour) if isinstance(behaviour, dict) else None,
        interaction=_interaction(name, fields.get("interaction")),
        monitor=Monitored(**monitor) if isinstance(monitor, dict) else None,
    )


def _interaction(name: str, fields: object) -> Interaction | None:
    if fields is None:
        return None
    if not isinstance(fields, dict) or "behaviour" not in fields or len(fields) < 3:
        raise ConfigError(f"metrics.yaml: {name}: an interaction names its behaviour and two arms at least")
    factors = [(str(arm), *map(str, pair)) for arm, pair in fields.items() if arm != "behaviour"]
    if any(len(factor) != 3 for factor in factors):
        raise ConfigError(f"metrics.yaml: {name}: every arm of an interaction is [treated, control]")
    return Interaction(str(fields["behaviour"]), tuple((f[0], f[1], f[2]) for f in factors))


def _priors(fields: dict[str, object]) -> Priors:
    def number(key: str) -> float:
        return float(str(fields[key]))

    return Priors(
        elicitation=number("elicitation"),
        growth_per_month=number("growth_per_month"),
        forecast_error=number("forecast_error"),
        why=str(fields["why"]),
    )
