"""Ability theta of many models over families and levels: 2PL and 4PL by maximum a posteriori.

Source: Birnbaum (1968) for the 2PL, Barton and Lord (1981) for the 4PL, Mislevy (1986) for the maximum a posteriori.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from dangercurve._errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ability:
    """Abilities of M models and the items (cells of family and level) they were read from.

    `theta`, `theta_se` (M,) in units of the prior N(0, 1); `difficulty` (J,); `discrimination`, `ceiling` by family.
    """

    models: tuple[str, ...]
    theta: Floats
    theta_se: Floats
    items: tuple[tuple[str, float], ...]
    difficulty: Floats
    families: tuple[str, ...]
    discrimination: Floats
    ceiling: Floats
    log_posterior: float
    converged: bool


def fit_ability(
    model: Sequence[str],
    family: Sequence[str],
    level: ArrayLike,
    success: ArrayLike,
    instance: Sequence[object],
    *,
    chance: Mapping[str, float] | None = None,
    free_ceiling: bool = False,
) -> Ability:
    """MAP of P = c + (d - c) expit(a_f (theta_m - b_fl)): 2PL with a fixed chance floor c_f, 4PL with `free_ceiling`.

    Rows are samples; the rows of (model, instance) are averaged and weigh one. Priors: theta ~ N(0, 1),
    log a ~ N(0, .5), b_fl ~ N(s_f + r_f level, .5) with s ~ N(0, 3), r ~ N(0, 1), logit d ~ N(4, 1).
    Standard errors come from the expected information of all parameters together. Raises DataError on no rows.
    """
    counts = _cells(model, family, level, success, instance)
    m, j, f_of_j, lev = counts.model, counts.item, counts.item_family, counts.item_level
    n_m, n_j, n_f = len(counts.models), len(counts.items), len(counts.families)
    floor = np.array([float((chance or {}).get(name, 0.0)) for name in counts.families])[f_of_j]
    c = floor
    sizes = (n_m, n_j, n_f, n_f, n_f, n_f if free_ceiling else 0)
    cuts = np.cumsum(sizes)[:-1]

    def unpack(z: Floats) -> list[Floats]:
        return list(np.split(z, cuts))

    def pieces(z: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
        theta, b, log_a, _, _, w = unpack(z)
        a = np.exp(log_a)[f_of_j][j]
        d = special.expit(w)[f_of_j][j] if free_ceiling else np.ones(m.size)
        g = special.expit(a * (theta[m] - b[j]))
        return a, d, g, c[j] + (d - c[j]) * g, theta, b

    def negative(z: Floats) -> tuple[float, Floats]:
        theta, b, log_a, s, r, w = unpack(z)
        a, d, g, p, _, _ = pieces(z)
        p = np.clip(p, 1e-12, 1 - 1e-12)
        value = -float(np.sum(counts.wins * np.log(p) + (counts.tries - counts.wins) * np.log1p(-p)))
        dp = -(counts.wins / p - (counts.tries - counts.wins) / (1 - p))
        de = dp * (d - c[j]) * g * (1 - g)
        miss = b - s[f_of_j] - r[f_of_j] * lev
        value += float(
            np.sum(theta**2) / 2 + np.sum(log_a**2) / 0.5 + np.sum(miss**2) / 0.5 + np.sum(s**2) / 18
        )
        value += float(np.sum(r**2) / 2 + np.sum((w - 4) ** 2) / 2)
        grad = [
            np.bincount(m, de * a, n_m) + theta,
            -np.bincount(j, de * a, n_j) + miss / 0.25,
            np.bincount(f_of_j[j], de * a * (theta[m] - b[j]), n_f) + log_a / 0.25,
            -np.bincount(f_of_j, miss, n_f) / 0.25 + s / 9,
            -np.bincount(f_of_j, miss * lev, n_f) / 0.25 + r,
        ]
        if free_ceiling:
            top = special.expit(w)
            grad.append(np.bincount(f_of_j[j], dp * g, n_f) * top * (1 - top) + w - 4)
        return value, np.concatenate(grad)

    start = np.zeros(sum(sizes))
    start[n_m : n_m + n_j] = (lev - lev.mean()) * 0.5
    if free_ceiling:
        start[-n_f:] = 4.0
    fit = optimize.minimize(
        negative, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "ftol": 1e-12}
    )
    z: Floats = np.asarray(fit.x, np.float64)
    theta, b, log_a, _, _, w = unpack(z)
    se = _theta_se(z, counts, floor, unpack, free_ceiling)
    top = special.expit(w) if free_ceiling else np.ones(n_f)
    return Ability(
        counts.models,
        theta,
        se,
        counts.items,
        b,
        counts.families,
        np.exp(log_a),
        top,
        -float(fit.fun),
        bool(fit.success),
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    models: tuple[str, ...]
    families: tuple[str, ...]
    items: tuple[tuple[str, float], ...]
    model: Ints
    item: Ints
    wins: Floats
    tries: Floats
    item_family: Ints
    item_level: Floats


def _cells(
    model: Sequence[str],
    family: Sequence[str],
    level: ArrayLike,
    success: ArrayLike,
    instance: Sequence[object],
) -> _Counts:
    levels, y = np.asarray(level, np.float64).ravel(), np.asarray(success, np.float64).ravel()
    if not len(model) == len(family) == levels.size == y.size == len(instance):
        raise DataError("model, family, level, success and instance must have one entry a row")
    if y.size == 0 or not np.isfinite(y).all() or not np.isfinite(levels).all():
        raise DataError("ability needs at least one row and no missing success or level")
    sums: dict[tuple[str, str, float, str], list[float]] = {}
    for key in zip(model, family, levels.tolist(), (str(i) for i in instance), y.tolist(), strict=True):
        sums.setdefault(key[:4], []).append(key[4])
    models, families = sorted({k[0] for k in sums}), sorted({k[1] for k in sums})
    items = sorted({(k[1], k[2]) for k in sums})
    at_m, at_j = {v: i for i, v in enumerate(models)}, {v: i for i, v in enumerate(items)}
    wins = np.zeros((len(models), len(items)))
    tries = np.zeros_like(wins)
    for (mod, fam, lev, _), values in sums.items():
        wins[at_m[mod], at_j[fam, lev]] += float(np.mean(values))
        tries[at_m[mod], at_j[fam, lev]] += 1
    seen_m, seen_j = np.nonzero(tries)
    return _Counts(
        tuple(models),
        tuple(families),
        tuple(items),
        seen_m,
        seen_j,
        wins[seen_m, seen_j],
        tries[seen_m, seen_j],
        np.array([families.index(f) for f, _ in items]),
        np.array([lev for _, lev in items]),
    )


def _theta_se(
    z: Floats, counts: _Counts, floor: Floats, split: Callable[[Floats], list[Floats]], free_ceiling: bool
) -> Floats:
    """Standard errors of theta from the expected information plus the prior, marginal over all other parameters."""
    theta, b, log_a, _, _, w = split(z)
    m, j, f_j = counts.model, counts.item, counts.item_family
    f = f_j[j]
    a, d = np.exp(log_a)[f], special.expit(w)[f] if free_ceiling else np.ones(m.size)
    g = special.expit(a * (theta[m] - b[j]))
    c = floor[j]
    p = np.clip(c + (d - c) * g, 1e-9, 1 - 1e-9)
    slope = (d - c) * g * (1 - g)
    n_m, n_j, n_f = theta.size, b.size, log_a.size
    rows = np.arange(m.size)
    jac = np.zeros((m.size, z.size))
    jac[rows, m] = slope * a
    jac[rows, n_m + j] = -slope * a
    jac[rows, n_m + n_j + f] = slope * a * (theta[m] - b[j])
    if free_ceiling:
        jac[rows, z.size - n_f + f] = g * d * (1 - d)
    info = jac.T @ (jac * (counts.tries / (p * (1 - p)))[:, None])
    prior = np.zeros((n_j, z.size))
    prior[np.arange(n_j), n_m + np.arange(n_j)] = 1
    prior[np.arange(n_j), n_m + n_j + n_f + f_j] = -1
    prior[np.arange(n_j), n_m + n_j + 2 * n_f + f_j] = -counts.item_level
    info += prior.T @ prior / 0.25
    own = [np.ones(n_m), np.zeros(n_j), np.full(n_f, 4.0), np.full(n_f, 1 / 9), np.ones(n_f)]
    info[np.diag_indices(z.size)] += np.concatenate([*own, np.ones(w.size)])
    return np.asarray(np.sqrt(np.diag(np.linalg.inv(info))[:n_m]), np.float64)
