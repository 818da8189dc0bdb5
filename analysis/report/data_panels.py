"""What the panels beside capability and forecast show: frozen values, already counted and bounded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dangercurve.analysis.report.data_roles import Role


@dataclass(frozen=True, slots=True)
class Survival:
    """A Kaplan-Meier curve of one safeguard (or stratum): survival after each effort, with pointwise bounds.

    `steps` are (effort, survival, lower, upper), the first at effort 0; `at_risk` (effort, units still under attack).
    """

    label: str
    clock: str
    simulated: bool
    steps: tuple[tuple[float, float, float | None, float | None], ...]
    at_risk: tuple[tuple[float, int], ...]
    n_units: int
    n_breached: int


@dataclass(frozen=True, slots=True)
class Attempts:
    """Chance that at least one of k attempts at an instance succeeds: rows (k, estimate, lower, upper)."""

    model: str
    role: Role
    family: str
    condition: str
    rows: tuple[tuple[int, float, float, float], ...]
    n_instances: int


@dataclass(frozen=True, slots=True)
class Assessment:
    """One claim in one verdict of the history. `proximity` is its bound over the threshold; None where unbounded."""

    at: str
    subject: str
    claim: str
    verdict: str
    tier: str
    policy: str
    bound: float | None
    threshold: float | None
    proximity: float | None
    suite: str
    waived: bool
    simulated: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """Subject less another model on the instances that both played, in one family; two-sided bounds."""

    model: str
    other: str
    role: Role
    family: str
    estimate: float
    lo: float
    hi: float
    worst_lo: float
    worst_hi: float
    p_holm: float
    n_pairs: int
    missing: int


@dataclass(frozen=True, slots=True)
class Elicited:
    """Capability over elicitation effort: rows (effort, estimate, lower, upper), the plateau test and the open gap."""

    model: str
    role: Role
    family: str
    metric: str
    axis: str
    scale: str
    rows: tuple[tuple[float, float, float, float], ...]
    plateau: str
    gap_ucb: float | None


@dataclass(frozen=True, slots=True)
class Propensity:
    """An estimate of a behaviour (sandbagging gap, awareness effect, a rate) of one model; NaN is no evidence.

    `n` instances that count, `n_opportunity` those with the opportunity, `n_excluded` samples that are missing.
    """

    model: str
    role: Role
    family: str
    metric: str
    label: str
    estimate: float
    lcb: float
    ucb: float
    n: int
    n_opportunity: int = 0
    n_excluded: int = 0

    @property
    def known(self) -> bool:
        return math.isfinite(self.estimate)


Bounds = tuple[float, float, float]
"""Estimate, lower and upper bound."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What one monitor made of one agent, and what the agent's attacks could do unmonitored; None is no evidence.

    `n` instances with both an attack that would have succeeded and honest work, `n_opportunity` those with an attack that
    was tried, `n_excluded` episodes that nobody could read.
    """

    model: str
    role: Role
    family: str
    condition: str
    monitor: str
    monitor_role: Role
    view: str
    form: str
    capability: Bounds | None
    auroc: Bounds | None
    tpr_at_1: Bounds | None
    tpr_at_5: Bounds | None
    n: int
    n_opportunity: int
    n_excluded: int


@dataclass(frozen=True, slots=True)
class Audited:
    """What audits would catch of one agent where one monitor chooses them.

    `points`: share of the traffic that is audited, then attacks caught and useful work not held up, each with its bounds;
    the latter NaN where no honest work was useful. `n` instances.
    """

    model: str
    role: Role
    family: str
    interface: str
    monitor: str
    monitor_role: Role
    view: str
    form: str
    points: tuple[tuple[float, Bounds, Bounds], ...]
    n: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """A forecast of a named model; `actual` None while it is open. `source` is `ledger` where it was written down before
    the model was measured, `left out` where a measured model was left out of a fit."""

    model: str
    family: str
    metric: str
    scale: str
    log10_flop: float
    predicted: float
    q05: float
    q95: float
    actual: float | None
    covered: bool | None
    as_of: str
    simulated: bool
    source: str = "ledger"


@dataclass(frozen=True, slots=True)
class Node:
    """A milestone of a scenario: probability that it is reached with what missing data leave open; p None: no evidence.

    `reached`: what the scenario's probability becomes once this milestone is reached; `bottleneck` if it is the one most
    likely to be missing.
    """

    name: str
    p: float | None
    lower: float
    upper: float
    reached: float | None
    bottleneck: bool
    source: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario with its milestones, and P(all required capabilities are present); None where evidence is missing."""

    name: str
    nodes: tuple[Node, ...]
    p: float | None
    lower: float
    upper: float
    simulated: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample behind a number: its id, its result, and the address of its transcript (empty: no log here)."""

    id: str
    epoch: int
    result: str
    href: str


@dataclass(frozen=True, slots=True)
class Cell:
    """The samples of one rung and twin; `samples` may hold fewer than `n`, those that were not scored first."""

    condition: str
    twin: str
    level: int
    n: int
    succeeded: int
    missing: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Behind:
    """What lies behind one model's numbers in one family: its cells and its logs (name, address)."""

    model: str
    role: Role
    family: str
    cells: tuple[Cell, ...]
    logs: tuple[tuple[str, str], ...]
