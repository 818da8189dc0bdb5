"""The band for a new model, that a forecast stores and a report draws."""

from __future__ import annotations

import numpy as np
import pytest

from dangercurve.analysis.band import new_model_band
from dangercurve.analysis.crossing import Fitted, fit_shapes
from dangercurve.analysis.latent import CurveData


@pytest.fixture(scope="module")
def fitted() -> Fitted:
    x = np.linspace(19, 24, 10)
    y = 1 / (1 + np.exp(-(x - 22)))
    centre = float(x.mean())
    family = np.arange(10) % 3
    data = CurveData(
        x - centre, y, family, ("a", "b", "c"), np.full(10, 200.0), np.zeros(10), np.zeros(10), 0.0, centre, "logit"
    )  # fmt: skip
    return fit_shapes(data, n_draws=400, seed=3)


def test_quantiles_are_ordered_bounded_and_span_data_and_extrapolation(fitted: Fitted) -> None:
    band = new_model_band(fitted)
    q05, q50, q95 = (np.array(band[k]) for k in ("q05", "q50", "q95"))
    assert (q05 <= q50).all() and (q50 <= q95).all()
    assert q05.min() >= 0 and q95.max() <= 1
    assert band["log10_flop"][0] < 19 and band["log10_flop"][-1] > 28


def test_a_new_model_is_less_certain_than_the_curve_of_the_fit(fitted: Fitted) -> None:
    wide = new_model_band(fitted, log10_flop=[22.0])
    narrow = new_model_band(fitted, log10_flop=[22.0], predicts="curve", family="a")
    assert wide["q95"][0] - wide["q05"][0] > narrow["q95"][0] - narrow["q05"][0]


def test_the_median_follows_the_truth_and_the_same_fit_gives_the_same_band(fitted: Fitted) -> None:
    band = new_model_band(fitted, log10_flop=[20.0, 22.0, 24.0])
    assert band["q50"] == pytest.approx([0.119, 0.5, 0.881], abs=0.08)
    assert new_model_band(fitted) == new_model_band(fitted)
