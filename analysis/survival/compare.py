"""Safeguards compared: by how many times one multiplies the effort to a breach, other things equal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from dangercurve._errors import DataError, did_you_mean
from dangercurve.analysis.breach_table import BreachTable
from dangercurve.analysis.survival.aft import Status, weibull_aft

Floats = NDArray[np.float64]
_FARTHEST = 16.0  # log of the largest acceleration factor that a bound is looked for at


@dataclass(frozen=True, slots=True)
class Acceleration:
    """Effort to a breach of `safeguard` over that of `baseline`, by a Weibull AFT with the controls named.

    A safeguard that was never broken has no estimate and a lower bound alone (profile likelihood, clusters not counted);
    `ucb` is None there. Where the baseline was never broken it is the other way round. `says` puts it into words.
    """

    safeguard: str
    baseline: str
    status: Status
    factor: float | None
    lcb: float | None
    ucb: float | None
    p_value: float
    controls: tuple[str, ...]
    n_units: int
    n_breached: int
    n_clusters: int
    says: str


def accelerations(
    table: BreachTable, *, baseline: str | None = None, alpha: float = 0.05
) -> tuple[tuple[Acceleration, ...], tuple[str, ...]]:
    """Every safeguard against the baseline (default: the one with most breaches a unit), and notes.

    Attackers, defenders and levels enter as controls where both safeguards met several of them; clusters are robust.
    """
    name = table.frame["safeguard"].astype(str).to_numpy()
    levels = sorted(set(name))
    if len(levels) < 2:
        if baseline is not None and baseline not in levels:
            raise DataError(f"--baseline {baseline}: no such safeguard{did_you_mean(baseline, levels)}")
        return (), ()
    if baseline is None:
        rates = {s: float(table.breached[name == s].mean()) for s in levels}
        baseline = max(levels, key=lambda s: (rates[s], s))
    elif baseline not in levels:
        raise DataError(f"--baseline {baseline}: no such safeguard{did_you_mean(baseline, levels)}")
    found, notes = [], []
    for other in levels:
        if other == baseline:
            continue
        part = table.only((name == other) | (name == baseline))
        try:
            found.append(_compare(part, other, baseline, alpha))
        except DataError as exc:
            notes.append(f"{other} against {baseline}: {exc}")
    return tuple(found), tuple(notes)


def _compare(part: BreachTable, other: str, baseline: str, alpha: float) -> Acceleration:
    lower, upper = part.bounds()
    mine = (part.frame["safeguard"].astype(str) == other).to_numpy(np.bool_)
    columns, names = [mine.astype(np.float64)], ["safeguard"]
    for kind in ("attacker", "defender", "level"):
        if kind not in part.frame.columns:
            continue
        values = part.frame[kind].astype(str).to_numpy()
        shared = sorted(set(values[mine]) & set(values[~mine]))
        if len(shared) > 1 and set(values) == set(shared):
            wider = columns + [(values == level).astype(np.float64) for level in shared[1:]]
            if np.linalg.matrix_rank(np.column_stack([np.ones(len(values)), *wider])) > len(wider):
                columns = wider  # else an earlier control says the same
                names += [f"{kind}={level}" for level in shared[1:]]
    event = part.breached

    def answer(
        says: str,
        status: Status = "not_identified",
        bounds: tuple[float | None, float | None, float | None] = (None, None, None),
        p: float = float("nan"),
    ) -> Acceleration:
        controls, n = tuple(names[1:]), len(part.frame)
        clusters = int(np.unique(part.cluster).size)
        return Acceleration(
            other, baseline, status, *bounds, p, controls, n, int(event.sum()), clusters, says
        )

    if not event.any():
        return answer("neither was broken: no comparison follows")
    if not event[mine].any() or not event[~mine].any():
        unbroken = other if not event[mine].any() else baseline
        least = _profile_bound(lower, upper, mine if unbroken == other else ~mine, alpha)
        if least is None:
            return answer(f"{unbroken} was never broken, after too little effort to say more")
        if unbroken == other:
            says = f"{other} was never broken: at least {least:.3g} times the effort of {baseline}"
            return answer(says, bounds=(None, least, None))
        says = f"{baseline} was never broken: {other} takes at most {1 / least:.3g} times its effort"
        return answer(says, bounds=(None, None, 1 / least))
    fit = weibull_aft(lower, upper, np.column_stack(columns), names, cluster=part.cluster)
    if fit.status != "identified":
        return answer(f"not identified: {fit.why}")
    f = fit.factor("safeguard", alpha=2 * alpha)
    if f.estimate is None or f.lcb is None or f.ucb is None:
        return answer("not identified: the factor has no finite interval")
    says = f"{other} takes {f.estimate:.3g} times the effort of {baseline} ({f.lcb:.3g} to {f.ucb:.3g})"
    return answer(says, "identified", (f.estimate, f.lcb, f.ucb), f.p_value)


def _profile_bound(lower: Floats, upper: Floats, unbroken: NDArray[np.bool_], alpha: float) -> float | None:
    """The least acceleration factor of a never-broken group that the likelihood still allows, one-sided at alpha.

    Dividing the group's efforts by the factor makes both groups one sample: its log-likelihood is the profile, which
    rises towards that of the broken group alone. None where even a factor of e^-16 is allowed.
    """

    def profile(log_factor: float) -> float:
        shift = np.where(unbroken, np.exp(-log_factor), 1.0)
        fit = weibull_aft(lower * shift, np.where(np.isinf(upper), np.inf, upper * shift))
        return fit.log_likelihood

    top = weibull_aft(lower[~unbroken], upper[~unbroken]).log_likelihood
    drop = 0.5 * float(special.ndtri(1 - alpha)) ** 2

    def gap(log_factor: float) -> float:
        return top - profile(log_factor) - drop

    if (
        not np.isfinite(top)
        or not np.isfinite(gap(-_FARTHEST))
        or gap(-_FARTHEST) <= 0
        or gap(_FARTHEST) >= 0
    ):
        return None
    return float(np.exp(optimize.brentq(gap, -_FARTHEST, _FARTHEST, xtol=1e-4)))
