"""Held-out log scores of curve shapes, rolling by compute, and of the last value carried forward.

The score of a shape is the log density that it gave to each larger model, one after the other, having seen every smaller
one. Those conditional densities multiply to the joint one, so the rolling sum is exactly a difference of evidences:

    sum_{i > m} log p(y_i | y_1 ... y_{i-1}) = log p(y_1 ... y_n) - log p(y_1 ... y_m),

models in order of compute. The first m only train: what a vague prior says of them is no merit of a shape.

Source: Dawid (1984), the prequential score.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dangercurve.analysis import latent
from dangercurve.analysis.latent import CurveData, Shape
from dangercurve.analysis.posterior import Posterior, sample

Floats = NDArray[np.float64]
TRAIN_SHARE = 1 / 3  # of the models, the smallest, only train
MIN_MODELS = 6  # with fewer every model counts as held out, the first from the prior alone
LAST = 5  # models whose mean is the last value


def n_training(n: int) -> int:
    """Models that only train: the smallest third of `n`, at least 3; none with fewer than MIN_MODELS."""
    return max(int(np.ceil(n * TRAIN_SHARE)), 3) if n >= MIN_MODELS else 0


def smallest(data: CurveData, m: int) -> CurveData:
    """The `m` models of least compute, in the coordinates of `data`."""
    keep = np.argsort(data.x, kind="stable")[:m]
    kept, index = np.unique(data.family[keep], return_inverse=True)
    return replace(
        data,
        x=data.x[keep],
        y=data.y[keep],
        family=index.astype(np.int64),
        families=tuple(data.families[k] for k in kept),
        n_items=data.n_items[keep],
        var=data.var[keep],
        flop_sd=data.flop_sd[keep],
        law=None if data.law is None else replace(data.law, offset=data.law.offset[keep]),
    )


def shape_scores(
    data: CurveData,
    shapes: tuple[Shape, ...],
    posteriors: tuple[Posterior, ...],
    n_draws: int,
    stream: np.random.SeedSequence,
) -> Floats:
    """Held-out log score (shapes,), summed over the held-out models; `posteriors` are those of all the data."""
    m = n_training(data.x.size)
    constant = 0.5 * np.log(2 * np.pi) * (data.x.size - m)
    total = np.array([fit.log_evidence for fit in posteriors])
    if m == 0:
        return np.asarray(total - constant)
    first = smallest(data, m)
    before = np.empty(len(shapes))
    for k, (shape, fit, own) in enumerate(zip(shapes, posteriors, stream.spawn(len(shapes)), strict=True)):

        def density(z: Floats, shape: Shape = shape) -> Floats:
            return latent.log_likelihood(z, shape, first) + latent.log_prior(z, shape, data)

        before[k] = sample(density, fit.mode, n_draws, np.random.default_rng(own)).log_evidence
    return np.asarray(total - before - constant)


def last_value_score(data: CurveData) -> float:
    """Log score of the last value carried forward for the same models: Student-t around the mean of the last five.

    NaN with fewer than MIN_MODELS. The scale is that of the last five, or the sampling error where that is larger.
    """
    n = data.x.size
    m = n_training(n)
    if m == 0:
        return float("nan")
    order = np.argsort(data.x, kind="stable")
    y = data.y[order]
    items = data.n_items[order]
    noise = np.where(np.isfinite(items), np.clip(y * (1 - y), 0.0, None) / items, data.var[order])
    score = 0.0
    for k in range(m, n):
        last = y[max(k - LAST, 0) : k]
        spread = max(float(last.var(ddof=1)), float(noise[k - 1]), 1e-6)
        scale = float(np.sqrt(spread * (1 + 1 / last.size)))
        score += float(stats.t.logpdf(y[k], last.size - 1, last.mean(), scale))
    return score
