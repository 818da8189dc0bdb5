"""Universality: over how many secrets (or targets) does one attack run break the safeguard, and how sure is that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dangercurve._errors import DataError
from dangercurve.analysis.intervals import Rate, Sides, beta_binomial, clustered_rate

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Universality:
    """`share`: mean over attacks of the share of secrets broken; `full`: share of attacks that broke every secret
    tried; both with attacks as the independent units. `rho`: correlation of breaches within an attack (NaN where all or
    none broke): 0, each secret falls by itself; near 1, an attack breaks all or none. `k` secrets an attack (median)."""

    share: Rate
    full: Rate
    rho: float
    n_attacks: int
    k: float


def universality(
    breached: ArrayLike,
    attack: Sequence[object] | NDArray[np.generic],
    secret: Sequence[object] | NDArray[np.generic],
    *,
    alpha: float = 0.05,
    sides: Sides = 2,
) -> Universality:
    """`breached` (rows,) 0/1 of each attack on each secret; several rows of a pair count as broken if one is.

    Only attacks tried on two secrets or more say anything. Raises DataError where there is none, or on other values.
    """
    y = np.asarray(breached, np.float64).ravel()
    if y.size != len(attack) or y.size != len(secret) or not np.isin(y, (0.0, 1.0)).all():
        raise DataError("universality needs 0 or 1, an attack and a secret for each row")
    pairs: dict[tuple[str, str], float] = {}
    for value, a, s in zip(y.tolist(), attack, secret, strict=True):
        key = (str(a), str(s))
        pairs[key] = max(pairs.get(key, 0.0), value)
    by_attack: dict[str, list[float]] = defaultdict(list)
    for (a, _), value in sorted(pairs.items()):
        by_attack[a].append(value)
    tried = {a: values for a, values in by_attack.items() if len(values) >= 2}
    if not tried:
        raise DataError("no attack was tried on two secrets or more: universality is not defined")
    values = [v for found in tried.values() for v in found]
    labels = [a for a, found in tried.items() for _ in found]
    share = clustered_rate(values, labels, alpha, sides)
    full = clustered_rate([min(found) for found in tried.values()], list(tried), alpha, sides)
    events = np.array([sum(found) for found in tried.values()])
    trials = np.array([len(found) for found in tried.values()], np.float64)
    rho = beta_binomial(events, trials, alpha, sides).rho
    return Universality(share, full, float(rho), len(tried), float(np.median(trials)))
