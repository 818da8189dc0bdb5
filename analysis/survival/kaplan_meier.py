"""Kaplan-Meier: survival of a safeguard against effort, its at-risk table, median, restricted mean and exact bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from dangercurve._errors import DataError
from dangercurve.analysis.intervals import Sides, tail

Floats = NDArray[np.float64]
Labels = Sequence[object] | NDArray[np.generic]
_CHUNK = 256  # event times whose influences are held at once


@dataclass(frozen=True, slots=True)
class Quantile:
    """Effort by which a share of units is broken. `value` and bounds are None where that share was not reached."""

    q: float
    value: float | None
    lcb: float | None
    ucb: float | None

    @property
    def words(self) -> str:
        """The quantile as text: a number, or "not reached"."""
        return "not reached" if self.value is None else f"{self.value:.4g}"


@dataclass(frozen=True, slots=True)
class Rmst:
    """Restricted mean effort to a breach up to `tau`, with bounds; `se` is NaN where one cluster is all there is."""

    tau: float
    estimate: float
    se: float
    lcb: float
    ucb: float


@dataclass(frozen=True, slots=True)
class AtRisk:
    """One row of the at-risk table: at `effort`, units still at risk (before it), and what happened up to it."""

    effort: float
    at_risk: int
    breached: int
    censored: int
    survival: float
    lcb: float
    ucb: float


@dataclass(frozen=True, slots=True)
class KaplanMeier:
    """The product-limit estimate at its event times `time` (K,), ascending; `survival` falls at each of them.

    `at_risk` counts units just before, `events` those broken there. `se` belongs to `survival`: Greenwood's, or the
    clustered infinitesimal jackknife where clusters hold several units (`clustered`). `lcb`, `ucb` are log(-log) bounds
    that each hold with 1 - alpha (one-sided) or together (two-sided, the default). `last` is the largest effort of all.
    """

    time: Floats
    at_risk: Floats
    events: Floats
    survival: Floats
    se: Floats
    lcb: Floats
    ucb: Floats
    effort: Floats
    breached: NDArray[np.bool_]
    n_units: int
    n_clusters: int
    clustered: bool
    last: float
    alpha: float
    sides: Sides

    def at(self, effort: float) -> float:
        """S(effort); NaN beyond the last follow-up unless everything has failed: nothing was seen there."""
        if effort > self.last and not (self.survival.size and self.survival[-1] == 0):
            return float("nan")
        place = int(np.searchsorted(self.time, effort, side="right"))
        return float(self.survival[place - 1]) if place else 1.0

    def quantile(self, q: float = 0.5) -> Quantile:
        """Effort by which a share `q` is broken: the first at which S <= 1 - q, bounds by inverting those of S."""

        def first(curve: Floats) -> float | None:
            under = np.flatnonzero(curve <= 1 - q + 1e-12)
            return float(self.time[under[0]]) if under.size else None

        return Quantile(q, first(self.survival), first(self.lcb), first(self.ucb))

    def rmst(self, tau: float | None = None) -> Rmst:
        """Mean of min(effort to breach, tau): the area under S up to `tau` (default: the last follow-up).

        Raises DataError where `tau` is not positive or beyond the last follow-up.
        """
        end = self.last if tau is None else tau
        if not 0 < end <= self.last:
            raise DataError(
                f"a restricted mean up to {end:g} needs 0 < tau <= {self.last:g}, the last follow-up"
            )
        inside = self.time < end
        grid = np.concatenate([[0.0], self.time[inside], [end]])
        level = np.concatenate([[1.0], self.survival[inside]])
        pieces = np.diff(grid) * level
        area = float(pieces.sum())
        after = np.cumsum(pieces[::-1])[::-1][1:]  # area from each event time to tau
        n, d = self.at_risk[inside], self.events[inside]
        if self.clustered:
            variance = _clustered_rmst(self, inside, after)
        else:
            open_ = n > d
            variance = float(np.sum(after[open_] ** 2 * d[open_] / (n[open_] * (n[open_] - d[open_]))))
        se = float(np.sqrt(variance))
        half = float(special.ndtri(1 - tail(self.alpha, self.sides))) * se
        low, high = (max(area - half, 0.0), min(area + half, end)) if np.isfinite(half) else (0.0, end)
        if not inside.any():  # no breach: S is at least its exact bound all the way
            low = end * zero_event_bound(self, end)
        return Rmst(end, area, se, low, high)

    def table(self, efforts: Sequence[float]) -> tuple[AtRisk, ...]:
        """The at-risk table at `efforts`, which lie within the follow-up."""
        rows = []
        for t in efforts:
            place = int(np.searchsorted(self.time, t, side="right"))
            s, low, high = (
                (float(v[place - 1]) for v in (self.survival, self.lcb, self.ucb))
                if place
                else (
                    1.0,
                    max([zero_event_bound(self, t), *self.lcb[:1]]),
                    1.0,
                )  # S(t) >= S later >= its bound
            )
            past = self.effort <= t
            rows.append(
                AtRisk(
                    float(t),
                    int(np.sum(self.effort >= t)),
                    int(np.sum(past & self.breached)),
                    int(np.sum(past & ~self.breached)),
                    s,
                    low,
                    high,
                )
            )
        return tuple(rows)


def kaplan_meier(
    effort: ArrayLike,
    breached: ArrayLike,
    cluster: Labels | None = None,
    *,
    alpha: float = 0.05,
    sides: Sides = 2,
) -> KaplanMeier:
    """S(t) = product over event times t_i <= t of (1 - d_i / n_i) (Kaplan and Meier 1958).

    `effort` (units,) > 0 where each unit was broken (`breached` true) or left unbroken; at a tie breaches come before
    censorings. Var log S = sum d / (n (n - d)) (Greenwood 1926); with several units in a cluster, the sum over clusters
    of squared influences on log S, times G / (G - 1). Bounds are S^exp(+-z se / (S log S)); before the first breach and
    where nothing is left they come from the exact ones (`exact_bounds`).
    Raises DataError on no unit, an effort that is not positive and finite, or arrays of several lengths.
    """
    q = tail(alpha, sides)
    t, event = _checked(effort, breached)
    groups = _groups(t.size, cluster)
    n_clusters = int(groups.max()) + 1
    clustered = n_clusters < t.size
    time, events, at_risk = event_table(t, event)
    survival = np.asarray(np.cumprod(1 - events / at_risk), np.float64)
    open_ = at_risk > events
    step = np.divide(events, at_risk * (at_risk - events), out=np.zeros_like(events), where=open_)
    variance = np.cumsum(step)
    if clustered:
        variance = _clustered_variance(t, event, groups, n_clusters, time, at_risk, events)
    se = survival * np.sqrt(variance)
    inner = (survival > 0) & (survival < 1)
    log_s = np.log(np.where(inner, survival, 0.5))
    with np.errstate(over="ignore"):
        power = np.exp(float(special.ndtri(1 - q)) * np.sqrt(variance) / np.abs(log_s))
        low = np.where(inner, np.exp(log_s * power), 0.0)
        high = np.where(inner, np.exp(log_s / power), 0.0)
    low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 1.0)
    if time.size and not inner[-1]:  # nothing is left: the last upper bound is the exact one
        high[-1] = exact_bounds(t, event, [time[-1]], cluster, alpha=q, sides=1)[1][0]
    return KaplanMeier(
        time, at_risk, events, np.asarray(survival, np.float64), se, low, high, t, event,
        t.size, n_clusters, clustered, float(t.max()), alpha, sides,
    )  # fmt: skip


def exact_bounds(
    effort: ArrayLike,
    breached: ArrayLike,
    at: Sequence[float] | Floats,
    cluster: Labels | None = None,
    *,
    alpha: float = 0.05,
    sides: Sides = 1,
) -> tuple[Floats, Floats]:
    """Lower and upper bounds of S at the efforts `at`: the beta product procedure (Fay, Brittain and Proschan 2013).

    S(t) is bounded by a product of Beta(n_i - d_i + 1, d_i) over event times up to t, for the lower end times
    Beta(n(t+), 1), with a beta of the same two moments; n(t+) counts units followed beyond t. Without censoring it is
    Clopper and Pearson's interval; with no breach the lower bound is alpha^(1/n). Beyond the follow-up the lower bound
    is 0: what nobody tried is not known to hold. Every cluster weighs one, so that repeats within it never narrow a
    bound. Raises DataError as `kaplan_meier`.
    """
    q = tail(alpha, sides)
    t, event = _checked(effort, breached)
    groups = _groups(t.size, cluster)
    weight = 1.0 / np.bincount(groups)[groups]
    time, events, at_risk = event_table(t, event, weight)
    a, b = at_risk - events + 1.0, events
    log_m1 = np.cumsum(np.log(a / (a + b)))
    log_m2 = np.cumsum(np.log(a / (a + b)) + np.log((a + 1) / (a + b + 1)))
    low, high = np.zeros(len(at)), np.ones(len(at))
    for k, x in enumerate(at):
        place = int(np.searchsorted(time, x, side="right"))
        m1, m2 = (float(log_m1[place - 1]), float(log_m2[place - 1])) if place else (0.0, 0.0)
        high[k] = _beta_quantile(m1, m2, 1 - q)
        beyond = float(weight[(t > x) | ((t == x) & ~event)].sum())
        if beyond > 1e-9:
            extra = np.log(beyond / (beyond + 1)), np.log(beyond / (beyond + 2))
            low[k] = _beta_quantile(m1 + float(extra[0]), m2 + float(extra[1]), q)
    return low, high


def weighted_survival(
    effort: ArrayLike, breached: ArrayLike, at: Sequence[float] | Floats, cluster: Labels | None = None
) -> Floats:
    """S at the efforts `at` with every cluster weighing one: the point estimate beside `exact_bounds`.

    Beyond the last follow-up it is the last value: an upper limit of S there, for S never rises.
    """
    t, event = _checked(effort, breached)
    groups = _groups(t.size, cluster)
    time, events, at_risk = event_table(t, event, 1.0 / np.bincount(groups)[groups])
    survival = np.concatenate([[1.0], np.cumprod(np.clip(1 - events / at_risk, 0.0, 1.0))])
    return np.asarray(survival[np.searchsorted(time, np.asarray(at, np.float64), side="right")], np.float64)


def event_table(
    effort: Floats, breached: NDArray[np.bool_], weight: Floats | None = None
) -> tuple[Floats, Floats, Floats]:
    """Distinct event times (K,), the weight broken at each, and the weight at risk just before each."""
    w = np.ones(effort.size) if weight is None else weight
    order = np.argsort(effort, kind="stable")
    t, e, w = effort[order], breached[order], w[order]
    time, index = np.unique(t[e], return_inverse=True)
    events = np.bincount(index, weights=w[e], minlength=time.size).astype(np.float64)
    total = np.concatenate([np.cumsum(w[::-1])[::-1], [0.0]])
    return time.astype(np.float64), events, total[np.searchsorted(t, time, side="left")]


def zero_event_bound(found: KaplanMeier, effort: float) -> float:
    """Lower bound of S at an effort before any breach, from the clusters followed at least so far."""
    beyond = int(np.sum(found.effort >= effort))
    share = found.n_clusters / found.n_units
    n = beyond * share
    return float(tail(found.alpha, found.sides) ** (1 / n)) if n > 0 else 0.0


def _beta_quantile(log_m1: float, log_m2: float, q: float) -> float:
    """Quantile of the beta distribution with first moment exp(log_m1) and second exp(log_m2)."""
    if log_m1 == 0.0:
        return 1.0
    m1, m2 = float(np.exp(log_m1)), float(np.exp(log_m2))
    spread = m2 - m1 * m1
    if m1 <= 0 or spread <= 0:
        return m1
    size = (m1 - m2) / spread
    return float(special.betaincinv(m1 * size, (1 - m1) * size, q))


def _clustered_variance(
    t: Floats,
    event: NDArray[np.bool_],
    groups: NDArray[np.int64],
    n_clusters: int,
    time: Floats,
    at_risk: Floats,
    events: Floats,
) -> Floats:
    """Variance (K,) of log S at the event times, clusters as the independent units; infinite with one cluster."""
    if n_clusters < 2:
        return np.full(time.size, np.inf)
    out = np.empty(time.size)
    for begin in range(0, time.size, _CHUNK):
        grid = time[begin : begin + _CHUNK]
        influence = _influence(t, event, time, at_risk, events, grid)
        summed = np.zeros((n_clusters, grid.size))
        np.add.at(summed, groups, influence)
        out[begin : begin + _CHUNK] = (summed**2).sum(axis=0) * n_clusters / (n_clusters - 1)
    return out


def _influence(
    t: Floats, event: NDArray[np.bool_], time: Floats, at_risk: Floats, events: Floats, grid: Floats
) -> Floats:
    """Influence (units, G) of each unit on log S at `grid`: H(min(t, T)) - 1[broken by t] / (n - d)(T)."""
    left = np.maximum(at_risk - events, 1e-12)
    hazard = np.concatenate([[0.0], np.cumsum(np.where(at_risk > events, events / (at_risk * left), 0.0))])
    upto = hazard[np.searchsorted(time, np.minimum(t[:, None], grid[None, :]), side="right")]
    own = np.zeros(t.size)
    place = np.searchsorted(time, t[event])
    own[event] = np.where(at_risk[place] > events[place], 1 / left[place], 0.0)
    return np.asarray(upto - own[:, None] * (t[:, None] <= grid[None, :]), np.float64)


def _clustered_rmst(found: KaplanMeier, inside: NDArray[np.bool_], after: Floats) -> float:
    """RMST variance from the widths that the clustered variance of log S has against Greenwood's, area by area."""
    n, d = found.at_risk[inside], found.events[inside]
    open_ = n > d
    plain = np.cumsum(np.where(open_, d / (n * np.maximum(n - d, 1e-12)), 0.0))
    s = found.survival[inside]
    robust = np.divide(found.se[inside], s, out=np.zeros_like(s), where=s > 0) ** 2
    if not plain.size or not open_.any():
        return 0.0
    design = float(np.max(np.divide(robust, plain, out=np.ones_like(plain), where=plain > 0)[open_]))
    base = float(np.sum(after[open_] ** 2 * d[open_] / (n[open_] * (n[open_] - d[open_]))))
    return base * max(design, 1.0)


def _checked(effort: ArrayLike, breached: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    t = np.asarray(effort, np.float64).ravel()
    event = np.asarray(breached).astype(np.bool_).ravel()
    if t.size == 0:
        raise DataError("no units: survival cannot be estimated (and nothing is known to hold)")
    if t.size != event.size:
        raise DataError(f"{t.size} efforts but {event.size} breach marks: give one each a unit")
    if not np.isfinite(t).all() or (t <= 0).any():
        raise DataError("efforts must be positive and finite: a unit that was not attacked says nothing")
    return t, event


def _groups(n: int, cluster: Labels | None) -> NDArray[np.int64]:
    if cluster is None:
        return np.arange(n, dtype=np.int64)
    labels = np.asarray([str(c) for c in cluster], dtype=np.str_)
    if labels.size != n:
        raise DataError(f"{n} efforts but {labels.size} cluster labels: give one label a unit")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
