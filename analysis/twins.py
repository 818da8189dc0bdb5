"""Twins: does skill survive a change of surface, and is it skill or a memorised template?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dangercurve._errors import DataError

Floats = NDArray[np.float64]
Scores = Mapping[str, float]
MIN_SKILL = 0.1  # below this distance from the floor a ratio of skills says nothing


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of paired scores with one-sided bounds; `status` NA (numbers NaN) where its base is too small."""

    status: Literal["estimated", "NA"]
    estimate: float
    lcb: float
    ucb: float
    n_instances: int
    alpha: float
    worst: str = ""


def imitation_index(
    surface: Scores,
    rule_flip: Scores,
    floor: float = 0.0,
    *,
    alpha: float = 0.05,
    n_boot: int = 2000,
    seed: int = 0,
) -> Ratio:
    """I = (s_surface - s_ruleflip) / (s_surface - floor): 0 for one who understands, 1 for a template matcher.

    Scores map instance to mean score in the twin; instances in both are paired and resampled together (percentile
    bounds). NA unless s_surface - floor > .1, and where fewer than five pairs exist.
    """
    pairs = sorted(surface.keys() & rule_flip.keys())
    a, b = (np.array([s[i] for i in pairs]) for s in (surface, rule_flip))
    nan = float("nan")
    if len(pairs) < 5 or float(a.mean()) - floor <= MIN_SKILL:
        return Ratio("NA", nan, -np.inf, np.inf, len(pairs), alpha)
    weight = _weights(len(pairs), n_boot, seed)
    top, base = weight @ (a - b), weight @ (a - floor)
    draws = np.where(base > 0, top / np.where(base > 0, base, 1.0), np.inf)
    estimate = float((a - b).mean() / (a - floor).mean())
    lcb, ucb = np.quantile(draws, [alpha, 1 - alpha], method="inverted_cdf")
    return Ratio("estimated", estimate, float(lcb), float(ucb), len(pairs), alpha)


def robustness(
    base: Scores,
    twins: Mapping[str, Scores],
    *,
    alpha: float = 0.05,
    n_boot: int = 2000,
    seed: int = 0,
) -> Ratio:
    """R = min over twins of s_twin / s_base, with a simultaneous lower bound.

    The plain minimum of noisy ratios is biased down, so the estimate is 2 min - mean of the resampled minima, held
    between 0 and the smallest ratio's own upper bound. Bounds: ratio_k -+ c se_k with c the 1 - alpha quantile of the
    largest studentised deviation over twins (max-t), least over twins. Pairs resample together. NA unless s_base > .1.
    Raises DataError without a twin.
    """
    if not twins:
        raise DataError("robustness needs at least one twin beside the base")
    names = sorted(twins)
    shared = sorted(set(base).intersection(*(set(twins[k]) for k in names)))
    s = np.array([base[i] for i in shared])
    nan = float("nan")
    if len(shared) < 5 or float(s.mean()) <= MIN_SKILL:
        return Ratio("NA", nan, 0.0, np.inf, len(shared), alpha)
    t = np.array([[twins[k][i] for i in shared] for k in names])
    ratio = t.mean(axis=1) / s.mean()
    weight = _weights(len(shared), n_boot, seed)
    below = weight @ s
    good = below > 0
    draws = (weight[good] @ t.T) / below[good, None]
    se = np.maximum(draws.std(axis=0, ddof=1), 0.5 / (len(shared) + 2))
    deviation = (draws - ratio) / se
    low_c = float(np.quantile(deviation.max(axis=1), 1 - alpha))
    high_c = float(np.quantile(-deviation.min(axis=1), 1 - alpha))
    smallest = int(np.argmin(ratio))
    corrected = 2 * float(ratio.min()) - float(draws.min(axis=1).mean())
    lcb = max(0.0, float(np.min(ratio - low_c * se)))
    ucb = float(np.min(ratio + high_c * se))
    estimate = float(np.clip(corrected, lcb, max(ucb, lcb)))
    return Ratio("estimated", estimate, lcb, ucb, len(shared), alpha, names[smallest])


@lru_cache(maxsize=8)
def _weights(n: int, n_boot: int, seed: int) -> Floats:
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    return rng.multinomial(n, np.full(n, 1 / n), n_boot).astype(np.float64)
