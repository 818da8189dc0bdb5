"""The suite's horizon: one h50 or h80 over several task families together, with the families as a random effect.

Families differ by more than their length in oracle steps, so pooling their rows would take a difference between families
for a slope. Here family f has its own horizon h_f = mu + u_f, u_f ~ Normal(0, tau), and its own slope; mu is the horizon
of the suite, on log2 oracle steps. Every family counts once, whatever its number of instances.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, special, stats

from dangercurve._errors import DataError
from dangercurve.analysis.intervals import Sides, tail
from dangercurve.analysis.measure import (
    REACH,
    STEP,
    HorizonStatus,
    Link,
    curvature_se,
    horizon_profile,
    instance_means,
    likelihood_bound,
    profile_peak,
)
from dangercurve.analysis.rest import NO_ARM

Floats = NDArray[np.float64]

BETWEEN_SD = 1.0  # prior of tau: half-normal with this scale, in log2 steps
LINKS: tuple[Link, ...] = ("logistic", "survival")
_TAUS = np.array([0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 2.8])
AUTHORISED = ("authorised", *NO_ARM)
"""Values of the arm `auth` under which a score says what a model can do: capability is never read from the others."""


@dataclass(frozen=True, slots=True)
class SuiteHorizon:
    """log2 of the oracle steps at which success is `level` in a typical family, with bounds by likelihood.

    `between_sd` is the most likely spread of the families around it, in log2 steps. `families` are those counted;
    `unread` those whose chance rate is at or above `level`, so that they say nothing about it. `status` and
    `extrapolated` as in `analysis.measure.Horizon`; with `ceiling`, `lcb` is what is known.
    """

    level: float
    estimate: float
    se: float
    lcb: float
    ucb: float
    between_sd: float
    status: HorizonStatus
    extrapolated: bool
    families: tuple[str, ...]
    unread: tuple[str, ...]
    n_instances: int
    n_rows: int
    alpha: float

    @property
    def steps(self) -> float:
        """The horizon in oracle steps, 2^estimate."""
        return float(np.exp2(self.estimate))


def suite_horizon(
    log2_steps: ArrayLike,
    success: ArrayLike,
    instance: Sequence[object] | NDArray[np.generic],
    family: Sequence[str] | NDArray[np.generic],
    floors: Mapping[str, float] | None = None,
    *,
    level: float = 0.5,
    alpha: float = 0.05,
    sides: Sides = 1,
) -> SuiteHorizon:
    """The horizon mu of a set of families, each with P(success | x) as in `success_horizon` at h_f = mu + u_f.

    The slope of each family is profiled out, u_f integrated over Normal(0, tau^2), tau over a half-normal prior
    (BETWEEN_SD), and the curve's shape over LINKS with equal weight: a logistic fitted to a constant hazard a step puts
    the horizon a sixth too low. All arguments are (rows,); the rows of an instance are averaged and weigh one. `floors`
    maps a family to its chance rate, fixed. Bounds: mu where twice the fall of the log-likelihood reaches the squared t
    quantile with two degrees of freedom a family (chosen for coverage in simulation: `docs/agentic.md`).
    Raises DataError on fewer than two families, NaN, or values outside [0, 1].
    """
    q = tail(alpha, sides)
    x, y = np.asarray(log2_steps, np.float64).ravel(), np.asarray(success, np.float64).ravel()
    labels, ids = np.asarray(family, dtype=np.str_), np.asarray([str(i) for i in instance], dtype=np.str_)
    if not x.size == y.size == labels.size == ids.size or not np.isfinite(x).all():
        raise DataError(
            "a suite's horizon needs finite log2 steps, success, instance and family, one each a row"
        )
    if y.size and not ((y >= 0) & (y <= 1)).all():
        raise DataError("success must lie in [0, 1]; leave missing rows out and count them")
    names = [str(n) for n in np.unique(labels)]
    if len(names) < 2:
        raise DataError(f"a suite's horizon needs two families or more, not {len(names)}")
    chance = {name: float((floors or {}).get(name, 0.0)) for name in names}
    read = [name for name in names if chance[name] < level]
    unread = tuple(name for name in names if name not in read)
    if not read:
        nan, inf = float("nan"), float("inf")
        return SuiteHorizon(
            level, nan, nan, -inf, inf, nan, "not_identified", True, (), unread, 0, int(x.size), alpha
        )
    use = np.isin(labels, read)
    low, high = float(x[use].min()), float(x[use].max())
    grid = np.arange(low - REACH, high + REACH + STEP / 2, STEP)
    means = [instance_means(x[labels == name], y[labels == name], ids[labels == name]) for name in read]
    n = sum(at.size for at, _ in means)
    joint = np.vstack(
        [
            _over_families(
                np.vstack(
                    [
                        _family_profile(grid, *mean, level, chance[name], link)
                        for name, mean in zip(read, means, strict=True)
                    ]
                )
            )
            for link in LINKS
        ]
    )
    total = special.logsumexp(joint, axis=0)
    best = int(np.argmax(total))
    deviance = 2 * (total[best] - total)
    drop = float(stats.t.ppf(1 - q, 2 * len(read))) ** 2
    lcb = likelihood_bound(grid[: best + 1][::-1], deviance[: best + 1][::-1], drop, -float("inf"))
    ucb = likelihood_bound(grid[best:], deviance[best:], drop, float("inf"))
    edge = best in (0, grid.size - 1)
    estimate = float("nan") if edge else profile_peak(grid, total, best)
    status: HorizonStatus = "identified"
    if np.isinf(lcb) or np.isinf(ucb):
        both = np.isinf(lcb) and np.isinf(ucb)
        status = "not_identified" if both else "ceiling" if np.isinf(ucb) else "floor"
    return SuiteHorizon(
        level,
        estimate,
        float("nan") if edge else curvature_se(grid, total, best),
        lcb,
        ucb,
        float(_TAUS[int(np.argmax(joint[:, best])) % _TAUS.size]),
        status,
        bool(edge or not low <= estimate <= high),
        tuple(read),
        unread,
        n,
        int(x.size),
        alpha,
    )


def _family_profile(grid: Floats, x: Floats, y: Floats, level: float, floor: float, link: Link) -> Floats:
    """Log-likelihood (G,) of one family's own horizon, its slope profiled out."""
    where, index = np.unique(x, return_inverse=True)
    wins = np.bincount(index, weights=y).astype(np.float64)
    tries = np.bincount(index).astype(np.float64)
    counts = (where, wins, tries)
    return horizon_profile(grid, counts, level=(level - floor) / (1 - floor), floor=floor, link=link)[0]


def _over_families(profiles: Floats) -> Floats:
    """log of likelihood times prior (taus, G) of mu and tau, from the profiles (families, G) of the families."""
    peak = profiles.max(axis=1, keepdims=True)
    level = float(peak.sum())
    plain = np.exp(profiles - peak)
    prior = stats.norm.logpdf(_TAUS / BETWEEN_SD) + np.log(np.gradient(_TAUS))
    rows = []
    for tau, weight in zip(_TAUS, prior, strict=True):
        if tau == 0.0:
            rows.append(weight + level + (profiles - peak).sum(axis=0))
            continue
        spread = ndimage.gaussian_filter1d(plain, tau / STEP, axis=1, mode="nearest", truncate=5.0)
        rows.append(weight + level + np.log(np.maximum(spread, 1e-300)).sum(axis=0))
    return np.vstack(rows)


# --- from observations ------------------------------------------------------------------------------------------


def capability_rows(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows (n,) that say what a model can do: base twin, every arm at rest but `auth`, and that one never withheld."""
    keep = np.ones(len(frame), dtype=np.bool_)
    if "twin" in frame:
        keep &= (frame["twin"] == "base").to_numpy(bool)
    for column in (c for c in frame.columns if c.startswith("arm_")):
        allowed = AUTHORISED if column == "arm_auth" else NO_ARM
        keep &= (frame[column].isna() | frame[column].astype(str).isin(allowed)).to_numpy(bool)
    return keep


def chance_by_family(frame: pd.DataFrame) -> dict[str, float]:
    """Mean chance rate of each family's rows, at most .99; 0 where none is known."""
    if "random_floor" not in frame:
        return {}
    floors = pd.to_numeric(frame["random_floor"], errors="coerce").groupby(frame["family"].astype(str)).mean()
    return {str(k): min(float(v), 0.99) for k, v in floors.items() if np.isfinite(v)}


def horizon_of(
    frame: pd.DataFrame, values: Floats, *, level: float, alpha: float, sides: Sides = 1
) -> SuiteHorizon:
    """`suite_horizon` of observations with columns family, instance_id, oracle_steps and random_floor."""
    return suite_horizon(
        np.log2(frame["oracle_steps"].to_numpy(np.float64)),
        values,
        frame["instance_id"].astype(str).to_numpy(),
        frame["family"].astype(str).to_numpy(),
        chance_by_family(frame),
        level=level,
        alpha=alpha,
        sides=sides,
    )


def joint_key(keys: Sequence[str]) -> str:
    """16 hex digits for several comparability keys together, whatever their order."""
    return hashlib.sha256("+".join(sorted(set(keys))).encode()).hexdigest()[:16]
