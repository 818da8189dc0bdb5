"""A general-capability factor from several benchmarks, and any metric with that factor partialled out.

Source: Spearman (1904) for the general factor, Ren et al. (2024), "Safetywashing", for showing metrics with it taken out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from dangercurve._errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Factor:
    """First factor of logit scores: `score` (models,) with mean 0 and sd 1, `loading` (benchmarks,), share explained."""

    score: Floats
    loading: Floats
    share: float


@dataclass(frozen=True, slots=True)
class Partialled:
    """A metric raw and with general capability out: `residual` (models,) on the metric's scale.

    `correlation` (Spearman, with a two-sided interval over models or families) says how much of the metric is general
    capability: near 1 the metric measures little else.
    """

    raw: Floats
    residual: Floats
    correlation: float
    lo: float
    hi: float
    r_squared: float


def general_factor(table: ArrayLike, chance: ArrayLike | None = None, *, n_iter: int = 200) -> Factor:
    """First principal factor of a models x benchmarks table of scores in [0, 1], NaN where missing.

    Scores are taken above `chance` (benchmarks,), to logits, and standardised a benchmark; missing cells are filled by
    the rank-one fit until it settles. The sign makes better models score higher. Raises DataError on fewer than three
    models or two benchmarks, or where a model or benchmark has fewer than two scores.
    """
    y = np.asarray(table, np.float64)
    if y.ndim != 2 or y.shape[0] < 3 or y.shape[1] < 2:
        raise DataError("a general factor needs at least three models and two benchmarks")
    known = np.isfinite(y)
    if (known.sum(axis=1) < 1).any() or (known.sum(axis=0) < 3).any():
        raise DataError("every model needs a score and every benchmark three of them")
    if (y[known] < 0).any() or (y[known] > 1).any():
        raise DataError("benchmark scores must lie in [0, 1]")
    floor = np.zeros(y.shape[1]) if chance is None else np.asarray(chance, np.float64)
    z = special.logit(np.clip((y - floor) / (1 - floor), 0.02, 0.98))
    mean = np.nanmean(np.where(known, z, np.nan), axis=0)
    sd = np.nanstd(np.where(known, z, np.nan), axis=0)
    if (sd < 1e-9).any():
        raise DataError(f"benchmark {int(np.argmin(sd))} does not vary: it says nothing about capability")
    z = (z - mean) / sd
    filled = np.where(known, z, 0.0)
    for _ in range(n_iter):
        u, s, vt = np.linalg.svd(filled, full_matrices=False)
        fit = s[0] * np.outer(u[:, 0], vt[0])
        new = np.where(known, z, fit)
        if float(np.abs(new - filled).max()) < 1e-8:
            break
        filled = new
    loading = vt[0] * np.sign(vt[0].sum())
    score = filled @ loading
    share = 1 - float(np.sum((z - np.outer(score, loading))[known] ** 2) / np.sum(z[known] ** 2))
    return Factor((score - score.mean()) / score.std(), loading, share)


def partial_out(
    metric: ArrayLike,
    factor: ArrayLike,
    *,
    family: Sequence[str] | None = None,
    alpha: float = 0.1,
    n_boot: int = 2000,
    seed: int = 0,
) -> Partialled:
    """Residual of `metric` (models,) on the factor by least squares; its mean is kept, so units stay readable.

    Give rates as logits. The interval of the correlation resamples models, or families where given.
    """
    y, g = np.asarray(metric, np.float64).ravel(), np.asarray(factor, np.float64).ravel()
    if y.size != g.size or y.size < 5 or not np.isfinite(y).all() or not np.isfinite(g).all():
        raise DataError("partialling out needs at least five models with metric and factor")
    slope, level = np.polyfit(g, y, 1)
    residual = y - slope * (g - g.mean())
    labels = np.asarray(family if family is not None else np.arange(y.size).astype(str), dtype=np.str_)
    names = np.unique(labels)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    draws = []
    for _ in range(n_boot):
        picked = rng.choice(names, names.size)
        rows = np.concatenate([np.flatnonzero(labels == name) for name in picked])
        if np.ptp(y[rows]) > 0 and np.ptp(g[rows]) > 0:
            draws.append(float(stats.spearmanr(y[rows], g[rows]).statistic))
    lo, hi = (float(q) for q in np.quantile(draws, [alpha / 2, 1 - alpha / 2])) if draws else (np.nan, np.nan)
    fitted = level + slope * g
    total = float(np.sum((y - y.mean()) ** 2))
    r2 = 1 - float(np.sum((y - fitted) ** 2)) / total if total > 0 else float("nan")
    return Partialled(y, residual, float(stats.spearmanr(y, g).statistic), lo, hi, r2)
