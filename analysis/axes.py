"""Axes beside training compute: over-training, context, test-time compute and scaffold, and who contributed what.

Source: Liang and Zeger (1986) for the covariance clustered by model family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from dangercurve._errors import DataError

Floats = NDArray[np.float64]
CHINCHILLA_RATIO = 20.0  # tokens a parameter that counts as neither over- nor under-trained


@dataclass(frozen=True, slots=True)
class Effect:
    """A coefficient on the latent scale with its cluster-robust error and two-sided bounds; `unit` of its covariate."""

    name: str
    unit: str
    estimate: float
    se: float
    lo: float
    hi: float


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Effects of all axes, and what they are worth in orders of magnitude of training compute.

    `in_training_oom` maps an axis to effect / effect of log10 training compute, NaN where the latter is not shown to
    be positive. `clusters` counts model families; `confounded` names pairs of axes that correlate above .9.
    """

    effects: tuple[Effect, ...]
    in_training_oom: Mapping[str, float]
    r_squared: float
    clusters: int
    confounded: tuple[tuple[str, str], ...]


def active_compute(n_active: ArrayLike, tokens: ArrayLike) -> Floats:
    """Training FLOP 6 N_active D: for a mixture of experts the parameters that act on a token, not all of them."""
    n, d = np.asarray(n_active, np.float64), np.asarray(tokens, np.float64)
    if (n <= 0).any() or (d <= 0).any():
        raise DataError("active parameters and tokens must be positive")
    return np.asarray(6 * n * d, np.float64)


def over_training(n_active: ArrayLike, tokens: ArrayLike) -> Floats:
    """log10 of tokens a parameter over 20: 0 near the compute-optimal ratio, positive for over-trained models."""
    return np.asarray(
        np.log10(np.asarray(tokens, np.float64) / np.asarray(n_active, np.float64) / CHINCHILLA_RATIO)
    )


def effective_log10(
    flop: ArrayLike, algorithmic_efficiency: ArrayLike = 1.0, data_quality: ArrayLike = 1.0
) -> Floats:
    """log10 of compute x algorithmic efficiency x data quality: a labelled variant beside the physical figure."""
    parts = [np.asarray(v, np.float64) for v in (flop, algorithmic_efficiency, data_quality)]
    if any((p <= 0).any() for p in parts):
        raise DataError("compute and multipliers must be positive")
    return np.asarray(sum(np.log10(p) for p in parts), np.float64)


def decompose(
    score: ArrayLike,
    log10_training: ArrayLike,
    *,
    family: Sequence[str],
    floor: float = 0.0,
    covariates: Mapping[str, ArrayLike] | None = None,
    scaffold: Sequence[str] | None = None,
    reference_scaffold: str | None = None,
    ridge: float = 1e-3,
    alpha: float = 0.1,
) -> Decomposition:
    """Linear model of logit((score - floor)/(1 - floor)) in log10 training FLOP, covariates and scaffold dummies.

    `covariates`: name -> values a row, on a log scale (log2 test-time tokens, `over_training`, log2 context length).
    Modalities are never pooled: call once a modality. Errors are clustered by model `family` with t quantiles of
    families - 1 (small-sample factor G/(G-1)). Raises DataError on fewer rows than twice the effects or one family.
    """
    y, x = np.asarray(score, np.float64).ravel(), np.asarray(log10_training, np.float64).ravel()
    if y.size != x.size or y.size != len(family) or not np.isfinite(y).all() or not np.isfinite(x).all():
        raise DataError("score, compute and family must be known, one each a row")
    columns, names, units = [np.ones_like(x), x - x.mean()], ["level", "training"], ["logit", "OOM"]
    for name, values in (covariates or {}).items():
        column = np.asarray(values, np.float64).ravel()
        if column.size != x.size or not np.isfinite(column).all():
            raise DataError(f"covariate {name} must be known in every row: leave out the rows and count them")
        columns.append(column - column.mean())
        names.append(name)
        units.append("one unit")
    if scaffold is not None:
        kinds = sorted(set(scaffold))
        base = reference_scaffold if reference_scaffold is not None else kinds[0]
        if base not in kinds:
            raise DataError(f"no row has the reference scaffold '{base}'")
        for kind in kinds:
            if kind != base:
                columns.append(np.array([float(s == kind) for s in scaffold]))
                names.append(f"scaffold {kind}")
                units.append(f"against {base}")
    design = np.column_stack(columns)
    groups, index = np.unique(np.asarray(family, dtype=np.str_), return_inverse=True)
    if groups.size < 2 or y.size < 2 * design.shape[1]:
        raise DataError(
            f"{y.size} rows of {groups.size} families for {design.shape[1]} effects: too few to tell them apart"
        )
    z = special.logit(np.clip((y - floor) / (1 - floor), 0.02, 0.98))
    penalty = np.diag([0.0, *([ridge] * (design.shape[1] - 1))])
    bread = np.linalg.inv(design.T @ design + penalty)
    beta = bread @ design.T @ z
    miss = z - design @ beta
    scores = np.zeros((groups.size, design.shape[1]))
    np.add.at(scores, index, design * miss[:, None])
    cov = bread @ (scores.T @ scores) @ bread * groups.size / (groups.size - 1)
    se = np.sqrt(np.diag(cov))
    t = float(stats.t.ppf(1 - alpha / 2, groups.size - 1))
    effects = tuple(
        Effect(n, u, float(b), float(s), float(b - t * s), float(b + t * s))
        for n, u, b, s in zip(names, units, beta, se, strict=True)
    )
    training = effects[1]
    worth = {e.name: e.estimate / training.estimate if training.lo > 0 else float("nan") for e in effects[2:]}
    total = float(np.sum((z - z.mean()) ** 2))
    r2 = 1 - float(np.sum(miss**2)) / total if total > 0 else float("nan")
    return Decomposition(effects, worth, r2, int(groups.size), _confounded(design[:, 1:], names[1:]))


def _confounded(columns: Floats, names: list[str]) -> tuple[tuple[str, str], ...]:
    out = []
    for i in range(columns.shape[1]):
        for j in range(i + 1, columns.shape[1]):
            a, b = columns[:, i], columns[:, j]
            if np.ptp(a) > 0 and np.ptp(b) > 0 and abs(float(np.corrcoef(a, b)[0, 1])) > 0.9:
                out.append((names[i], names[j]))
    return tuple(out)
