"""Survival where a breach is known only to lie within a batch: the non-parametric maximum likelihood of Turnbull."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dangercurve._errors import DataError

Floats = NDArray[np.float64]
_MAX_CELLS, _MAX_STEPS, _TOLERANCE = 3000, 5000, 1e-7


@dataclass(frozen=True, slots=True)
class Turnbull:
    """Mass (M,) on the intervals (left, right]; right is inf for what was never broken. S falls within an interval in a
    way that the data do not say: `at` puts the fall at its right end, where the breach was seen."""

    left: Floats
    right: Floats
    mass: Floats
    steps: int
    converged: bool

    def at(self, effort: ArrayLike) -> Floats:
        """S at `effort` (T,)."""
        t = np.asarray(effort, np.float64)
        return np.asarray(
            1 - ((self.right[None, :] <= t[:, None]) * self.mass[None, :]).sum(axis=1), np.float64
        )


def turnbull(lower: ArrayLike, upper: ArrayLike, weight: ArrayLike | None = None) -> Turnbull:
    """Self-consistent masses by EM on the innermost intervals (Turnbull 1976).

    `lower`, `upper` (units,): a breach in (lower, upper], at `upper` where they are equal, unbroken at lower where upper
    is inf. Raises DataError on no units, unordered intervals, NaN, or more innermost intervals than 3,000.
    """
    lo, hi = np.asarray(lower, np.float64).ravel(), np.asarray(upper, np.float64).ravel()
    if lo.size == 0 or lo.size != hi.size or np.isnan(lo).any() or np.isnan(hi).any() or (hi < lo).any():
        raise DataError("intervals need lower <= upper without NaN, and one unit at least")
    w = np.ones(lo.size) if weight is None else np.asarray(weight, np.float64).ravel()
    lo = np.where(lo == hi, np.nextafter(lo, -np.inf), lo)
    rows, index = np.unique(np.column_stack([lo, hi]), axis=0, return_inverse=True)
    counts = np.bincount(index.ravel(), weights=w)
    left, right = _innermost(rows[:, 0], rows[:, 1])
    if left.size > _MAX_CELLS:
        raise DataError(f"{left.size} distinct intervals: round the efforts to at most {_MAX_CELLS}")
    inside = (rows[:, None, 0] <= left[None, :]) & (right[None, :] <= rows[:, None, 1])
    cover = inside.astype(np.float64)
    mass = np.full(left.size, 1 / left.size)
    total = counts.sum()
    for step in range(1, _MAX_STEPS + 1):
        new = mass * (cover.T @ (counts / (cover @ mass))) / total
        moved = float(np.abs(new - mass).max())
        mass = new
        if moved < _TOLERANCE:
            return Turnbull(left, right, mass, step, True)
    return Turnbull(left, right, mass, _MAX_STEPS, False)


def _innermost(lo: Floats, hi: Floats) -> tuple[Floats, Floats]:
    """Intervals (l, r] with l a lower end, r an upper end, and no other end strictly between."""
    ends = np.concatenate([lo, hi])
    kind = np.concatenate([np.ones(lo.size), np.zeros(hi.size)])  # at one effort, upper ends come first
    order = np.lexsort((kind, ends))
    ends, kind = ends[order], kind[order]
    at = np.flatnonzero((kind[:-1] == 1) & (kind[1:] == 0))
    return ends[at], ends[at + 1]
