"""Missing samples of a scale study: what the crossing would be if they had gone the dangerous way.

Source: Manski (1990) for bounds that assume the worst of what is missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dangercurve._errors import DataError

Floats = NDArray[np.float64]


def worst_case_scores(
    score: ArrayLike, n: ArrayLike, missing: ArrayLike, log10_c: ArrayLike
) -> tuple[Floats, Floats]:
    """Scores and sizes with missing = failure in the lower half of compute and = success in the upper half.

    All (models,): `score` over `n` scored items, `missing` items left out, log10 FLOP. The halves divide at the median
    of log10 FLOP (a model at the median belongs to the upper one). This is the steepest curve that the missing samples
    allow: leaving small models' failures out flattens the slope and delays the crossing. A model without any scored
    item takes its imputed score alone. Returns (score, n). Raises DataError on negative counts.
    """
    y, count, lost, x = (np.asarray(v, np.float64).ravel() for v in (score, n, missing, log10_c))
    if not y.size == count.size == lost.size == x.size:
        raise DataError("score, n, missing and log10_c must have one entry a model")
    if (lost < 0).any() or (count < 0).any() or not np.isfinite(lost).all():
        raise DataError("counts of scored and missing items must be finite and not negative")
    if y.size == 0:
        return y, count
    total = count + lost
    upper = x >= np.median(x)
    won = np.where(count > 0, y * count, 0.0) + np.where(upper, lost, 0.0)
    return np.divide(won, total, out=np.full(y.size, np.nan), where=total > 0), total


def bounds_with_missing(successes: float, n: int, missing: int) -> tuple[float, float]:
    """Lowest and highest rate that `missing` items beside `successes` of `n` allow; NaN where there is no item."""
    if missing < 0 or not 0 <= successes <= n:
        raise DataError(f"{successes} successes of {n} with {missing} missing: impossible counts")
    total = n + missing
    if total == 0:
        return float("nan"), float("nan")
    return successes / total, (successes + missing) / total
