"""Agreement of two readings of the same samples: Cohen's kappa with an interval over instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dangercurve._errors import DataError


@dataclass(frozen=True, slots=True)
class Agreement:
    """Kappa with bounds that each hold with probability 1 - alpha, the share of equal readings, and the 2 x 2 counts.

    `kappa` is NaN where both readings say the same of all samples: there is nothing to agree about.
    """

    kappa: float
    lcb: float
    ucb: float
    observed: float
    both: int
    first_only: int
    second_only: int
    neither: int
    n_instances: int
    alpha: float


def cohen_kappa(first: ArrayLike, second: ArrayLike) -> float:
    """(p_o - p_e) / (1 - p_e) of two 0/1 readings (n,); NaN where p_e is 1 (Cohen 1960)."""
    a, b = _readings(first, second)
    p_o, p_e = np.mean(a == b), np.mean(a) * np.mean(b) + (1 - np.mean(a)) * (1 - np.mean(b))
    return float((p_o - p_e) / (1 - p_e)) if p_e < 1 else float("nan")


def agreement(
    first: ArrayLike,
    second: ArrayLike,
    instance: Sequence[object] | NDArray[np.generic],
    *,
    alpha: float = 0.05,
    n_boot: int = 1000,
    seed: int = 0,
) -> Agreement:
    """Kappa of two 0/1 readings (n,), bounds from resampled instances.

    The bounds are never closer to kappa than 1 - alpha^(1/n), the largest share of instances of a kind that n instances can
    fail to show. Raises DataError on readings that are not 0/1 or not paired.
    """
    a, b = _readings(first, second)
    labels = np.array([str(x) for x in instance])
    if labels.size != a.size:
        raise DataError("one instance a reading")
    groups, index = np.unique(labels, return_inverse=True)
    cells = np.stack([a & b, a & ~b, ~a & b, ~a & ~b]).astype(np.float64)  # (4, n)
    counts = np.stack([np.bincount(index, c, groups.size) for c in cells])
    kappa = _kappa_of(counts.sum(axis=1))
    nan = float("nan")
    lcb = ucb = nan
    if np.isfinite(kappa):
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        weight = rng.multinomial(groups.size, np.full(groups.size, 1 / groups.size), n_boot)
        draws = np.array([_kappa_of(counts @ w) for w in weight])
        draws = draws[np.isfinite(draws)]
        lcb, ucb = (float(q) for q in np.quantile(draws, [alpha, 1 - alpha]))
        unseen = 1 - alpha ** (1 / groups.size)
        lcb, ucb = max(-1.0, min(lcb, kappa - unseen)), min(1.0, max(ucb, kappa + unseen))
    both, one, two, none = (int(c) for c in cells.sum(axis=1))
    return Agreement(kappa, lcb, ucb, float(np.mean(a == b)), both, one, two, none, int(groups.size), alpha)


def _kappa_of(table: NDArray[np.float64]) -> float:
    both, one, two, none = (float(x) for x in table)
    n = both + one + two + none
    p_a, p_b = (both + one) / n, (both + two) / n
    p_e = p_a * p_b + (1 - p_a) * (1 - p_b)
    return ((both + none) / n - p_e) / (1 - p_e) if p_e < 1 else float("nan")


def _readings(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    a, b = np.asarray(first, np.float64).ravel(), np.asarray(second, np.float64).ravel()
    if a.size != b.size or not a.size:
        raise DataError("two readings of the same samples, at least one")
    if not (np.isin(a, (0.0, 1.0)).all() and np.isin(b, (0.0, 1.0)).all()):
        raise DataError("a reading is 0 or 1")
    return a.astype(np.bool_), b.astype(np.bool_)
