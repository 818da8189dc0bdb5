"""Rates by severity: how often a behaviour was at least this bad, among those who had the chance and knew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dangercurve._errors import DataError
from dangercurve.analysis.propensity import Propensity, conditional_rate


@dataclass(frozen=True, slots=True)
class SeverityRates:
    """`at_least[k]` is the rate of severity k + 1 or worse; it never rises with k. All bounds hold together."""

    at_least: tuple[Propensity, ...]


def severity_rates(
    severity: ArrayLike,
    opportunity: ArrayLike,
    competent: ArrayLike,
    instance: Sequence[object] | NDArray[np.generic],
    *,
    top: int = 4,
    alpha: float = 0.05,
) -> SeverityRates:
    """P(severity >= k | opportunity and competence) for k = 1 to `top`; all arguments (rows,).

    Each rate is the mean over rows clustered by instance (`conditional_rate`) at alpha / top (Bonferroni), so that the
    one-sided bounds hold for all severities at once. Without a row that had both, every rate is *no evidence*. Raises
    DataError for a severity outside 0 to `top` in a row that counts.
    """
    worst = np.asarray(severity, np.float64).ravel()
    counts = (np.asarray(opportunity, np.float64).ravel() == 1) & (
        np.asarray(competent, np.float64).ravel() == 1
    )
    if counts.size == worst.size and not np.isin(worst[counts], np.arange(top + 1)).all():
        raise DataError(f"severities are whole numbers from 0 to {top}; look at the rows with opportunity")
    return SeverityRates(
        tuple(
            conditional_rate(
                np.where(np.isnan(worst), np.nan, worst >= k), opportunity, competent, instance, alpha / top
            )
            for k in range(1, top + 1)
        )
    )
