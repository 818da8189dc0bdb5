"""Looking while it runs: an e-process on a rate, its anytime-valid bounds, and alpha spent over re-runs.

Source: Howard et al. (2021) and Ramdas et al. (2023) for anytime-valid inference, Lan and DeMets (1983) for spending alpha.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from dangercurve._errors import DataError
from dangercurve.analysis.intervals import tail

Floats = NDArray[np.float64]
_PRIOR = 0.5  # Jeffreys weights of the mixture over alternatives


@dataclass(frozen=True, slots=True)
class EProcess:
    """State after n instances: evidence against "rate >= limit" (`ruled_out`) and against "rate <= limit" (`reached`).

    Each is an e-value: at or above 1/alpha at *any* time, however often it was looked at, its null is rejected at
    level alpha (Ville's inequality). `lcb`, `ucb` are the anytime-valid bounds, one-sided each.
    """

    limit: float
    alpha: float
    n: int
    total: float
    against_reaching: float
    against_safe: float
    lcb: float
    ucb: float

    @property
    def ruled_out(self) -> bool:
        """The rate is below the limit, whenever one looks."""
        return self.against_reaching >= 1 / self.alpha

    @property
    def reached(self) -> bool:
        """The rate is above the limit, whenever one looks."""
        return self.against_safe >= 1 / self.alpha


def log_e_below(total: float, n: int, limit: float) -> float:
    """log of the mixture likelihood ratio of rates below `limit` against `limit`; a null "rate >= limit".

    E = B(s+1/2, n-s+1/2) I_T(s+1/2, n-s+1/2) / (B(1/2,1/2) I_T(1/2,1/2)) / (T^s (1-T)^(n-s)), s the sum of the values.
    For every true rate p >= T one step has expectation p q/T + (1-p)(1-q)/(1-T) <= 1 for q < T, so it is an e-process;
    values in [0, 1] are covered too, by the inequality of weighted means.
    """
    a, b = total + _PRIOR, n - total + _PRIOR
    top = float(special.betaln(a, b)) + _log_cdf(limit, a, b)
    base = float(special.betaln(_PRIOR, _PRIOR)) + _log_cdf(limit, _PRIOR, _PRIOR)
    return top - base - float(special.xlogy(total, limit) + special.xlog1py(n - total, -limit))


def log_e_above(total: float, n: int, limit: float) -> float:
    """The mirror image: evidence against "rate <= limit"."""
    return log_e_below(n - total, n, 1 - limit)


def e_process(values: ArrayLike, limit: float, *, alpha: float = 0.05) -> EProcess:
    """State after `values` (instances,) in [0, 1], one mean an instance, in the order they arrived.

    Bounds are running: the tightest over all times so far. Raises DataError on missing values: a missing sample must
    be counted at its dangerous end by the caller, not skipped.
    """
    tail(alpha, 1)
    if not 0 < limit < 1:
        raise DataError(f"limit is {limit}: give a rate strictly between 0 and 1")
    x = np.asarray(values, np.float64).ravel()
    if x.size and (not np.isfinite(x).all() or x.min() < 0 or x.max() > 1):
        raise DataError("an e-process needs values in [0, 1]; impute a missing one at its dangerous end")
    sums = np.concatenate([[0.0], np.cumsum(x)])
    low = [log_e_below(float(s), n, limit) for n, s in enumerate(sums)]
    high = [log_e_above(float(s), n, limit) for n, s in enumerate(sums)]
    looks = sorted({int(v) for v in np.unique(np.geomspace(1, max(x.size, 1), 40).round())} | {x.size})
    pairs = [anytime_bounds(float(sums[n]), n, alpha=alpha) for n in looks if n <= x.size]
    return EProcess(
        limit,
        alpha,
        int(x.size),
        float(sums[-1]),
        float(np.exp(min(max(low), 700.0))),
        float(np.exp(min(max(high), 700.0))),
        max(p[0] for p in pairs),
        min(p[1] for p in pairs),
    )


def anytime_bounds(total: float, n: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Confidence-sequence bounds of the rate at one time: every limit whose null is not rejected; (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    need = float(np.log(1 / tail(alpha, 1)))
    edge = 1e-9

    def upper(t: float) -> float:
        return log_e_below(total, n, t) - need

    def lower(t: float) -> float:
        return log_e_above(total, n, t) - need

    rate = min(max(total / n, edge), 1 - edge)
    ucb = float(optimize.brentq(upper, rate, 1 - edge)) if upper(rate) < 0 < upper(1 - edge) else 1.0
    lcb = float(optimize.brentq(lower, edge, rate)) if lower(rate) < 0 < lower(edge) else 0.0
    return lcb, ucb


def spent_alpha(alpha: float, attempt: int) -> float:
    """Level of the k-th run of one claim: alpha / (k (k + 1)). Over any number of re-runs the sum stays below alpha."""
    tail(alpha, 1)
    if attempt < 1:
        raise DataError(f"attempt {attempt}: attempts count from 1")
    return alpha / (attempt * (attempt + 1))


def _log_cdf(x: float, a: float, b: float) -> float:
    value = float(special.betainc(a, b, x))
    if value > 1e-290:
        return float(np.log(value))
    return float(a * np.log(x) + b * np.log1p(-x) - np.log(a) - special.betaln(a, b))
