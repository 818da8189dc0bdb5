"""How likely it is that every capability of a scenario is present, with the dependence between them made explicit.

Source: Emrich and Piedmonte (1991) for dependent events through latent normal scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from dangercurve._errors import DataError
from dangercurve.analysis.scenarios import Scenario, holds, milestones_of

Floats = NDArray[np.float64]
_NODES = 41  # of the Gauss-Hermite rule over the common factor


@dataclass(frozen=True, slots=True)
class Evidence:
    """Probability that a milestone is reached: `p` with what missing data leave open, `low` to `high`.

    No evidence is `Evidence()`: p None between 0 and 1. `source` says where it comes from.
    """

    p: float | None = None
    low: float = 0.0
    high: float = 1.0
    source: str = "no evidence"

    def __post_init__(self) -> None:
        middle = self.low if self.p is None else self.p
        if not 0 <= self.low <= middle <= self.high <= 1:
            raise DataError(
                f"a milestone needs 0 <= low <= p <= high <= 1, not {self.low}, {self.p}, {self.high}"
            )


@dataclass(frozen=True, slots=True)
class ScenarioRisk:
    """P(all required capabilities are present). None where a milestone that could matter has no evidence.

    `low`, `high`: the same copula with every milestone at the low, and at the high, end of its evidence. `independent`:
    with correlation 0. `frechet_low`, `frechet_high`: whatever the dependence (sharp, by linear programming).
    `rise`: what P becomes if a milestone is reached, the others as they are. `changes_most` is the milestone with the
    largest rise; `bottleneck` the one most likely to be missing where the scenario is not possible. `no_evidence` are
    those without any; `would_tell` the one of them whose measurement can narrow `low` to `high` most.
    """

    p: float | None
    low: float
    high: float
    independent: float | None
    frechet_low: float
    frechet_high: float
    correlation: float
    rise: Mapping[str, float]
    changes_most: str | None
    bottleneck: str | None
    no_evidence: tuple[str, ...]
    would_tell: str | None


def scenario_risk(
    scenario: Scenario, evidence: Mapping[str, Evidence], *, correlation: float = 0.5
) -> ScenarioRisk:
    """Weigh every combination of the scenario's milestones under a one-factor Gaussian copula.

    Milestone i is present where sqrt(r) Z + sqrt(1 - r) e_i > Phi^-1(1 - p_i), Z common, e_i its own, r `correlation`:
    r is the correlation of the latent scores of any two milestones. A milestone without an entry has no evidence.
    Raises DataError on a correlation outside [0, 1).
    """
    if not 0 <= correlation < 1:
        raise DataError(f"correlation {correlation:g}: give 0 or more and less than 1")
    names = milestones_of(scenario)
    states = _states(len(names))
    works = holds(scenario, states)
    found = [evidence.get(name, Evidence()) for name in names]
    low, high = np.array([e.low for e in found]), np.array([e.high for e in found])
    blind = tuple(n for n, e in zip(names, found, strict=True) if e.p is None)

    def p_at(p: Floats, r: float = correlation) -> float:
        return float(_weights(p, states, r) @ works)

    p_low, p_high = p_at(low), p_at(high)
    known = np.array([e.low if e.p is None else e.p for e in found])
    hidden = np.array([e.high if e.p is None else e.p for e in found])
    exact = abs(p_at(known) - p_at(hidden)) < 1e-9  # what is not known does not matter here
    p = p_at(known) if exact else None
    # where evidence is missing, importance is read at the middle of what is possible
    middle = np.array([(e.low + e.high) / 2 if e.p is None else e.p for e in found])
    weights = _weights(middle, states, correlation)
    rise = {
        name: round(float(weights @ holds(scenario, _with(states, i))), 9) for i, name in enumerate(names)
    }
    absent = weights * ~works
    missing = {
        name: round(float(absent @ ~states[:, i]), 9)
        for i, name in enumerate(names)
        if rise[name] > float(weights @ works) + 1e-9
    }
    spans = {
        name: round(p_at(_one(low, i, 1.0)) - p_low + p_high - p_at(_one(high, i, 0.0)), 9)
        for i, name in enumerate(names)
        if name in blind
    }
    return ScenarioRisk(
        p, p_low, p_high, p_at(known, 0.0) if exact else None, _frechet(low, states, works, 1),
        _frechet(high, states, works, -1), correlation, rise, max(missing, key=lambda n: rise[n], default=None),
        max(missing, key=lambda n: missing[n], default=None), blind,
        max(spans, key=lambda n: spans[n], default=None),
    )  # fmt: skip


def _states(n: int) -> NDArray[np.bool_]:
    """Every combination (2^n, n) of n milestones."""
    return ((np.arange(2**n)[:, None] >> np.arange(n)[None, :]) & 1).astype(np.bool_)


def _with(states: NDArray[np.bool_], i: int) -> NDArray[np.bool_]:
    out = states.copy()
    out[:, i] = True
    return out


def _one(p: Floats, i: int, value: float) -> Floats:
    out = p.copy()
    out[i] = value
    return out


def _weights(p: Floats, states: NDArray[np.bool_], correlation: float) -> Floats:
    """Probability (states,) of each combination."""
    z, w = np.polynomial.hermite_e.hermegauss(_NODES)
    w = w / w.sum()
    with np.errstate(divide="ignore"):
        line = special.ndtri(p)
    given = special.ndtr((line[None, :] + np.sqrt(correlation) * z[:, None]) / np.sqrt(1 - correlation))
    given = np.clip(given, 0.0, 1.0)
    out = np.ones((z.size, len(states)))
    for i in range(p.size):
        out *= np.where(states[None, :, i], given[:, i : i + 1], 1 - given[:, i : i + 1])
    return np.asarray(w @ out, np.float64)


def _frechet(p: Floats, states: NDArray[np.bool_], works: NDArray[np.bool_], sign: int) -> float:
    """The least (sign 1) or largest (sign -1) P(works) over all joint laws with these marginals."""
    rows = np.vstack([states.T.astype(np.float64), np.ones(len(states))])
    found = optimize.linprog(
        sign * works.astype(np.float64), A_eq=rows, b_eq=np.append(p, 1.0), bounds=(0, None), method="highs"
    )
    if found.status != 0 or found.fun is None:
        raise DataError(
            "the Frechet bounds have no solution: milestones' probabilities are not probabilities"
        )
    return float(np.clip(sign * found.fun, 0.0, 1.0))
