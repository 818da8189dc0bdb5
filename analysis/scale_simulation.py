"""Scale studies whose truth is known: models of several families, a curve in compute, and the true crossing. SIMULATED.

Four truths. `smooth`: a logistic in log10 FLOP. `broken`: its slope changes once inside the range of compute.
`saturating`: a ceiling below 1, with the bend inside the range; in some studies the threshold lies above it.
`family_shifted`: model families lie .6 to 1.2 logits apart (sd), ten times the usual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dangercurve._errors import DataError, did_you_mean
from dangercurve.analysis.latent import CurveData

Floats = NDArray[np.float64]
Truth = Literal["smooth", "broken", "saturating", "family_shifted"]
TRUTHS: tuple[Truth, ...] = ("smooth", "broken", "saturating", "family_shifted")
LOW, HIGH = 20.5, 24.0  # log10 FLOP of the models


@dataclass(frozen=True, slots=True)
class ScaleStudy:
    """One simulated study: what a forecaster sees, the threshold it is asked about, and the truth.

    `crossing` is log10 C* of a new model of `family`, its own residual included; infinite where there is none.
    """

    data: CurveData
    threshold: float
    family: str
    crossing: float
    n_sizes: int


def simulate_study(truth: Truth, rng: np.random.Generator, *, cap: float = 30.0) -> ScaleStudy:
    """Draw a study of 8 to 24 models in 2 to 4 families over 3.5 orders of magnitude of compute.

    Scores are binomial over 100, 300 or 1,000 items, chance 0 or .25; models scatter by .05 to .3 logits. The
    threshold is the score of a median model at a compute between half an order below and 1.3 above the largest.
    """
    if truth not in TRUTHS:
        raise DataError(f"unknown truth '{truth}'{did_you_mean(truth, TRUTHS)}")
    n_f, n = int(rng.integers(2, 5)), int(rng.integers(8, 25))
    family = np.concatenate([np.arange(n_f), rng.integers(0, n_f, n - n_f)])
    x = np.concatenate([[LOW, HIGH], rng.uniform(LOW, HIGH, n - 2)])
    floor, items = float(rng.choice([0.0, 0.25])), float(rng.choice([100, 300, 1000]))
    slope, middle, ceiling = rng.uniform(0.8, 2.2), rng.uniform(22.5, 24.5), 1.0
    at, early, level = rng.uniform(21.8, 23.2), rng.uniform(0.2, 0.8), rng.uniform(-2.5, -1.0)
    late, top, bend = rng.uniform(1.5, 3.0), rng.uniform(0.5, 0.95), rng.uniform(21.5, 23.0)
    if truth == "saturating":
        slope, middle, ceiling = 1.5 * slope, bend, top

    def eta(at_x: Floats) -> Floats:
        if truth == "broken":
            turn = 0.15 * np.logaddexp(0.0, (at_x - at) / 0.15)
            return np.asarray(level + early * (at_x - at) + (late - early) * turn, np.float64)
        return np.asarray(slope * (at_x - middle), np.float64)

    def score(at_x: Floats, shift: Floats | float) -> Floats:
        return np.asarray(floor + (ceiling - floor) * special.expit(eta(at_x) + shift), np.float64)

    within = rng.uniform(0.05, 0.3)
    between = rng.uniform(0.6, 1.2) if truth == "family_shifted" else rng.uniform(0.05, 0.3)
    effect = rng.normal(0, between, n_f)
    observed = rng.binomial(int(items), score(x, effect[family] + rng.normal(0, within, n))) / items
    asked = rng.uniform(HIGH - 0.5, HIGH + 1.3)
    threshold = float(np.clip(score(np.array([asked]), 0.0)[0], floor + 0.05, 0.97))
    if truth == "saturating" and rng.random() < 0.3:
        threshold = min(0.97, ceiling + 0.03)
    grid = np.arange(17.0, cap, 0.005)
    new = score(grid, effect[0] + rng.normal(0, within))
    hit = np.flatnonzero(new >= threshold)
    centre = float(x.mean())
    data = CurveData(
        x - centre,
        observed,
        family.astype(np.int64),
        tuple(f"f{i}" for i in range(n_f)),
        np.full(n, items),
        np.zeros(n),
        np.zeros(n),
        floor,
        centre,
        "logit",
    )
    return ScaleStudy(data, threshold, "f0", float(grid[hit[0]]) if hit.size else np.inf, n)
