"""What a report shows: frozen values, already counted and bounded. The page draws them and computes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from dangercurve.analysis.report.data_panels import (
    Assessment,
    Attempts,
    Audited,
    Behind,
    Difference,
    Elicited,
    Prediction,
    Propensity,
    Scenario,
    Survival,
    Watched,
)
from dangercurve.analysis.report.data_roles import Role

Numbers = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """A required panel or record of a claim, or a trigger: its name, whether it is in order, and why."""

    name: str
    passed: bool
    why: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim of a verdict. Numbers are in the metric's own unit, E, G and M on its `scale`; None is unknown."""

    id: str
    kind: str
    verdict: str
    original: str
    family: str
    metric: str
    unit: str
    scale: str
    direction: Literal["up", "down"]
    alpha: float
    estimate: float | None = None
    lcb: float | None = None
    ucb: float | None = None
    B: float | None = None
    B_worst: float | None = None
    W: float | None = None
    T: float | None = None
    proximity: float | None = None
    margin_score: float | None = None
    margin_log10_flop: float | None = None
    margin_days: float | None = None
    n_instances: int | None = None
    n_required: int | None = None
    missing: float | None = None
    allowances: tuple[tuple[str, float | None, str], ...] = ()
    panels: tuple[Panel, ...] = ()
    reasons: tuple[str, ...] = ()
    more_needed: str = ""
    waiver: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate's decision on one model, as `verdict.json` holds it."""

    overall: str
    headline: str
    subject: str | None
    simulated: bool
    exit_code: int
    as_of: str
    profile: str
    tier: str
    policy: str
    policy_effective: str
    claims: tuple[Claim, ...]
    triggers: tuple[Panel, ...] = ()
    lapse: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    lenient: tuple[str, ...] = ()
    transcripts: tuple[tuple[str, str, str], ...] = ()
    attempts: int | None = None
    ledger_head: str | None = None
    code_digest: str | None = None
    policy_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A model's estimate of one metric at its training compute (log10 FLOP; None where it is not known)."""

    model: str
    model_family: str
    role: Role
    log10_flop: float | None
    estimate: float
    lcb: float
    ucb: float
    n_instances: int
    in_fit: bool = True
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Band:
    """Quantiles of a *new* model at log10 FLOP `x`; all of one length."""

    x: Numbers
    q05: Numbers
    q50: Numbers
    q95: Numbers


@dataclass(frozen=True, slots=True)
class Shape:
    """One curve shape of a forecast: pooling weight, quantiles of log10 C* (None: in "never"), share never."""

    name: str
    weight: float | None
    q05: float | None
    q50: float | None
    q95: float | None
    p_never: float | None
    status: str = ""
    p_by: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """A threshold crossing and its date. Quantiles are None where they lie in "never" or nothing is identified."""

    family: str
    metric: str
    event: str
    threshold: float | None
    form: str
    status: str
    log10_c: tuple[float | None, float | None, float | None]
    date: tuple[str | None, str | None, str | None]
    p_never: float | None
    p_within: tuple[tuple[str, float], ...]
    p_by: tuple[tuple[str, float], ...]
    frontier: str
    cap: float | None
    shapes: tuple[Shape, ...]
    worst_case: tuple[float | None, float | None, float | None] | None
    scope: str
    seed: str
    simulated: bool
    reason: str = ""
    flags: tuple[str, ...] = ()
    condition: str = ""
    as_of: str = ""
    p_breached: float | None = None


@dataclass(frozen=True, slots=True)
class Scaling:
    """Capability against compute for one task family and metric: points, the band, and the forecast if there is one.

    `others` says of each condition whose points are shown and not in the fit, why it has no fit of its own. `reference`:
    the fit is of the project's own ladder alone.
    """

    family: str
    metric: str
    label: str
    unit: str
    scale: str
    points: tuple[Point, ...]
    floor: float | None = None
    band: Band | None = None
    forecast: Forecast | None = None
    alert: float | None = None
    others: tuple[str, ...] = ()
    held_out: tuple[Prediction, ...] = ()
    reference: bool = False


@dataclass(frozen=True, slots=True)
class LevelRate:
    """Success of one model on one rung and twin: the rate over instances with one-sided bounds, NaN if none scored.

    `condition` names interface, step budget and elicitation: what may not be pooled.
    """

    model: str
    role: Role
    family: str
    condition: str
    twin: str
    level: int
    estimate: float
    lcb: float
    ucb: float
    n_instances: int
    n_missing: int
    random_floor: float | None


@dataclass(frozen=True, slots=True)
class Statuses:
    """How many samples of one model ended in each status, in the order of `ReportData.status_names`."""

    model: str
    role: Role
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one model's samples used. None where the logs do not say (never 0)."""

    model: str
    role: Role
    samples: int
    input_tokens: int | None
    output_tokens: int | None
    usd: float | None
    working_s: float | None


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the transparency checklist; `met` None is "does not apply or not known"."""

    name: str
    met: bool | None
    why: str


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything on the page. `problems` names what is missing or unreadable; `alpha` is one-sided, for level rates."""

    name: str
    version: str
    verdict: Verdict | None = None
    scalings: tuple[Scaling, ...] = ()
    forecasts: tuple[Forecast, ...] = ()
    levels: tuple[LevelRate, ...] = ()
    status_names: tuple[str, ...] = ()
    statuses: tuple[Statuses, ...] = ()
    costs: tuple[Cost, ...] = ()
    log10_flop: dict[str, float] = field(default_factory=dict)
    facts: tuple[tuple[str, str], ...] = ()
    digests: tuple[tuple[str, str], ...] = ()
    comparability: tuple[tuple[str, str, int], ...] = ()
    checklist: tuple[Check, ...] = ()
    survival: tuple[Survival, ...] = ()
    attempts: tuple[Attempts, ...] = ()
    history: tuple[Assessment, ...] = ()
    differences: tuple[Difference, ...] = ()
    elicited: tuple[Elicited, ...] = ()
    propensities: tuple[Propensity, ...] = ()
    watched: tuple[Watched, ...] = ()
    audited: tuple[Audited, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    scenarios: tuple[Scenario, ...] = ()
    behind: tuple[Behind, ...] = ()
    problems: tuple[str, ...] = ()
    alpha: float = 0.05
    as_of: str = ""

    @property
    def roles(self) -> dict[str, Role]:
        """Every model in the run and what it is."""
        rows: list[LevelRate | Statuses | Cost | Point] = [*self.levels, *self.statuses, *self.costs]
        rows += [p for s in self.scalings for p in s.points]
        return {row.model: row.role for row in rows}

    @property
    def simulated(self) -> bool:
        """Whether anything on the page rests on simulated models."""
        return (
            any(role == "SIMULATED" for role in self.roles.values())
            or any(f.simulated for f in self.forecasts)
            or (self.verdict is not None and self.verdict.simulated)
        )
