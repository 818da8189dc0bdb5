"""Paraphrase families as a random effect: bounds that hold for wordings that were not tried, not only for those that were.

A propensity can change its sign with the wording of one sentence. Instances of one paraphrase share that sentence, so the
spread between instances alone is too small; the spread between the means of the families is what a new wording adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Families = Mapping[str, int]
"""Instance -> paraphrase family."""


@dataclass(frozen=True, slots=True)
class Widened:
    """One-sided bounds and a two-sided p-value over paraphrase families; `families` is how many there were."""

    lcb: float
    ucb: float
    p_value: float
    families: int


def over_families(
    differences: NDArray[np.float64], instances: Sequence[str], families: Families, alpha: float
) -> Widened | None:
    """Bounds of the mean of `differences` (instances,) with families as clusters, or None with fewer than two.

    With G families of n_g instances and means m_g: V = G / (G - 1) * sum (n_g / n)^2 (m_g - mean)^2, t with G - 1
    degrees of freedom. It knows nothing of the spread within families: use the wider of these bounds and those over
    instances, and the larger p-value, which is conservative whichever of the two spreads there is.
    """
    groups = np.array([families.get(i, -1) for i in instances])
    if (groups < 0).any() or np.unique(groups).size < 2:
        return None
    _, index, count = np.unique(groups, return_inverse=True, return_counts=True)
    means = np.bincount(index, weights=differences) / count
    centre, size = float(differences.mean()), count.size
    variance = size / (size - 1) * float(np.sum((count / differences.size) ** 2 * (means - centre) ** 2))
    se = float(np.sqrt(variance))
    half = float(stats.t.ppf(1 - alpha, size - 1)) * se
    p_value = float(2 * stats.t.sf(abs(centre) / se, size - 1)) if se > 0 else float("nan")
    return Widened(centre - half, centre + half, p_value, size)
