"""Bits to solve: how surprising a whole solution is, from rollouts that start at every milestone.

B = sum over k of -log2 p_k, p_k = P(reach milestone k + 1 | oracle-restored state at k). It moves where the naive
solve rate is 0 of N. Milestone products are biased (skills carry over), so the chaining gap stands beside it.

Source: Phuong et al. (2024) for bits and milestones, Hojmark et al. (2024) for their bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dangercurve._errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bits:
    """Bits to solve with one-sided bounds from the Jeffreys posteriors of all milestones together.

    `censored` is true where some milestone was never reached: its term is capped at log2(2n + 2), the true value may
    be larger and `ucb` is infinite. `per_milestone` (K,) are the terms, `steps_censored` their indices.
    """

    bits: float
    lcb: float
    ucb: float
    censored: bool
    per_milestone: Floats
    steps_censored: tuple[int, ...]
    n_rollouts: tuple[int, ...]
    alpha: float


@dataclass(frozen=True, slots=True)
class ChainingGap:
    """Observed end-to-end success over the product of milestone probabilities, in bits: log2(e2e / product).

    Positive: the whole succeeds more often than its parts foretell. `lo`, `hi` two-sided at 1 - alpha; infinite or NaN
    ends where the whole was never solved.
    """

    gap: float
    lo: float
    hi: float
    product: float
    end_to_end: float


def bits_to_solve(
    reached: ArrayLike, rollouts: ArrayLike, *, alpha: float = 0.05, n_draws: int = 4000, seed: int = 0
) -> Bits:
    """Sum of -log2 of the Jeffreys means p_k = (r_k + 1/2)/(n_k + 1) over K milestones.

    `reached`, `rollouts` (K,): successes out of rollouts restored at milestone k. With r_k = 0 the term is log2(2n+2),
    which is the cap, and the result is flagged censored. Raises DataError on no milestone, a milestone without
    rollouts (unknown is not zero bits), or impossible counts.
    """
    r, n = np.asarray(reached, np.float64).ravel(), np.asarray(rollouts, np.float64).ravel()
    if r.size == 0 or r.size != n.size:
        raise DataError("bits to solve needs one count of successes and one of rollouts a milestone")
    if (r < 0).any() or (r > n).any() or not np.isfinite(n).all():
        raise DataError("milestone counts need 0 <= reached <= rollouts")
    if (n < 1).any():
        raise DataError(f"milestone {int(np.argmin(n))} has no rollout: its bits are unknown, not zero")
    terms = -np.log2((r + 0.5) / (n + 1))
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    draws = -np.log2(np.maximum(rng.beta(r + 0.5, n - r + 0.5, (n_draws, r.size)), 1e-300)).sum(axis=1)
    never = tuple(int(k) for k in np.flatnonzero(r == 0))
    lcb = float(np.quantile(draws, alpha))
    ucb = float("inf") if never else float(np.quantile(draws, 1 - alpha))
    return Bits(float(terms.sum()), lcb, ucb, bool(never), terms, never, tuple(int(k) for k in n), alpha)


def chaining_gap(
    reached: ArrayLike,
    rollouts: ArrayLike,
    solved: int,
    attempts: int,
    *,
    alpha: float = 0.1,
    n_draws: int = 4000,
    seed: int = 0,
) -> ChainingGap:
    """log2(end-to-end rate / product of p_k), both with Jeffreys posteriors. Raises DataError on impossible counts."""
    if attempts < 1 or not 0 <= solved <= attempts:
        raise DataError(
            f"{solved} solved of {attempts} attempts: give 0 <= solved <= attempts, attempts >= 1"
        )
    found = bits_to_solve(reached, rollouts, seed=seed)
    r, n = np.asarray(reached, np.float64).ravel(), np.asarray(rollouts, np.float64).ravel()
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    parts = np.log2(np.maximum(rng.beta(r + 0.5, n - r + 0.5, (n_draws, r.size)), 1e-300)).sum(axis=1)
    whole = np.log2(np.maximum(rng.beta(solved + 0.5, attempts - solved + 0.5, n_draws), 1e-300))
    lo, hi = (float(q) for q in np.quantile(whole - parts, [alpha / 2, 1 - alpha / 2]))
    product = float(2.0**-found.bits)
    rate = solved / attempts
    gap = float(np.log2(rate / product)) if solved else float("-inf")
    return ChainingGap(gap, lo if solved else float("-inf"), hi, product, rate)


def choice_bits(p_optimal: ArrayLike) -> float:
    """Bits of an episode of forced choices: sum of -log2 of the probability put on the optimal actions.

    `p_optimal` (decisions,) in (0, 1], averaged over permutations of the options beforehand; 0 gives infinity.
    """
    p = np.asarray(p_optimal, np.float64).ravel()
    if p.size == 0 or not ((p >= 0) & (p <= 1 + 1e-12)).all():
        raise DataError("forced-choice bits need probabilities in [0, 1], at least one decision")
    with np.errstate(divide="ignore"):
        return float(-np.log2(np.minimum(p, 1.0)).sum())
