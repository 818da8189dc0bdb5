"""Law or noise: does a curve in compute predict larger models better than carrying the last value or the mean?

Source: Tashman (2000) for the rolling origin, Murphy (1988) for the skill score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dangercurve._errors import DataError

Floats = NDArray[np.float64]
Predictor = Callable[[Floats, Floats, Floats], Floats]
MAX_ORIGINS = 60  # training sets tried, evenly spread over the models
_NO_ERROR = 1e-18  # squared errors at or below it are rounding


@dataclass(frozen=True, slots=True)
class Predictable:
    """Held-out skill 1 - MSE(curve)/MSE(best reference) with a two-sided interval over held-out models.

    `verdict`: law (interval above 0), noise (interval below 0 or containing 0 with a point below .1), else undecided.
    `reference` names the better of last value and mean, `extrapolation` the median distance in log10 FLOP. Where the
    reference makes no error (all scores alike) there is nothing to predict: skill and interval are NaN, undecided.
    """

    skill: float
    lo: float
    hi: float
    verdict: Literal["law", "noise", "undecided"]
    reference: str
    n_held_out: int
    mae_curve: float
    mae_reference: float
    extrapolation: float


def law_or_noise(
    log10_c: ArrayLike,
    score: ArrayLike,
    predict: Predictor,
    *,
    family: Sequence[str] | None = None,
    min_train: int = 5,
    alpha: float = 0.1,
    n_boot: int = 2000,
    seed: int = 0,
) -> Predictable:
    """Rolling origin by compute: train on the k smallest models, predict every larger one, k = min_train ... n - 1
    (at most MAX_ORIGINS of them).

    `predict(x_train, y_train, x_new)` returns predictions. Errors are averaged by held-out model first (the pairs of
    one model share its noise), then resampled by model family where families are given. Skill is against the better
    of "last value" (mean of the two largest training models) and "mean" of the training models.
    Raises DataError where fewer than min_train + 2 models are there.
    """
    x, y = np.asarray(log10_c, np.float64).ravel(), np.asarray(score, np.float64).ravel()
    if x.size != y.size or not np.isfinite(x).all() or not np.isfinite(y).all():
        raise DataError("compute and score must be finite, one each a model")
    if x.size < min_train + 2:
        raise DataError(f"{x.size} models: a held-out test needs at least {min_train + 2}")
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    labels = np.asarray(family if family is not None else np.arange(x.size).astype(str), dtype=np.str_)[order]
    errors: dict[int, list[tuple[float, float, float, float, float]]] = {}
    origins = np.unique(np.linspace(min_train, x.size - 1, MAX_ORIGINS).round().astype(int))
    for k in origins.tolist():
        if x[k - 1] == x[k]:
            continue
        guess = predict(x[:k], y[:k], x[k:])
        last, mean = float(y[max(k - 2, 0) : k].mean()), float(y[:k].mean())
        for offset, value in enumerate(guess):
            i = k + offset
            errors.setdefault(i, []).append(
                (value - y[i], last - y[i], mean - y[i], x[i] - x[k - 1], abs(value - y[i]))
            )
    if len(errors) < 2:
        raise DataError("fewer than two models lie beyond a training set: compute does not vary enough")
    held = sorted(errors)
    table = np.array([np.mean(np.asarray(errors[i]) ** np.array([2, 2, 2, 1, 1]), axis=0) for i in held])
    which = 1 if table[:, 1].mean() <= table[:, 2].mean() else 2
    groups, index = np.unique(labels[held], return_inverse=True)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    if groups.size >= 4:
        weight = rng.multinomial(groups.size, np.full(groups.size, 1 / groups.size), n_boot)[:, index]
    else:
        weight = rng.multinomial(len(held), np.full(len(held), 1 / len(held)), n_boot)
    below = weight @ table[:, which]
    draws = 1 - (weight @ table[:, 0]) / np.where(below > _NO_ERROR, below, np.nan)
    reference_error = float(table[:, which].mean())
    skill = 1 - float(table[:, 0].mean()) / reference_error if reference_error > _NO_ERROR else np.nan
    known = draws[np.isfinite(draws)] if np.isfinite(skill) else draws[:0]
    lo, hi = (
        (float(q) for q in np.quantile(known, [alpha / 2, 1 - alpha / 2])) if known.size else (np.nan, np.nan)
    )
    verdict: Literal["law", "noise", "undecided"] = "undecided"
    if lo > 0:
        verdict = "law"
    elif hi < 0 or skill < 0.1:
        verdict = "noise"
    mae = [np.mean([abs(e[c]) for i in held for e in errors[i]]) for c in (0, which)]
    return Predictable(
        skill,
        lo,
        hi,
        verdict,
        "last value" if which == 1 else "mean",
        len(held),
        float(mae[0]),
        float(mae[1]),
        float(np.median([e[3] for i in held for e in errors[i]])),
    )
