"""Crossing and forecast: known truths, three answers, and worst cases that only ever come earlier."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import special

from dangercurve._errors import DataError
from dangercurve.analysis.crossing import crossing, fit_shapes
from dangercurve.analysis.forecast import Allowance, Forecast, forecast
from dangercurve.analysis.latent import CurveData
from dangercurve.analysis.missing import bounds_with_missing, worst_case_scores
from dangercurve.analysis.points import Points, points_from_estimates
from dangercurve.analysis.posterior import sample

AS_OF = date(2026, 11, 1)


def study(
    n: int = 14,
    *,
    slope: float = 1.5,
    middle: float = 23.5,
    ceiling: float = 1.0,
    items: int = 500,
    seed: int = 0,
) -> Points:
    rng = np.random.default_rng(seed)
    x = np.linspace(20.5, 24.0, n)
    p = ceiling * special.expit(slope * (x - middle) + rng.normal(0, 0.15, n))
    frame = pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(n)],
            "model_family": [f"f{i % 3}" for i in range(n)],
            "flops": 10**x,
            "flop_log10_sd": 0.0,
            "value": rng.binomial(items, p) / items,
            "se": np.nan,
            "n": float(items),
            "missing": 0.0,
            "release_date": pd.NaT,
        }
    )
    return Points(frame, "success_rate", "logit", 0.0)


def ask(points: Points, threshold: float = 0.8, **more: object) -> Forecast:
    fast = {"n_draws": 500, "shapes": ("logistic", "gompertz") if points.scale == "logit" else ("linear",)}
    return forecast(points, threshold, as_of=AS_OF, **{**fast, **more})  # type: ignore[arg-type]


def test_importance_draws_match_a_known_posterior() -> None:
    cov = np.array([[1.0, 0.6], [0.6, 2.0]])
    inverse = np.linalg.inv(cov)

    def density(z: np.ndarray) -> np.ndarray:
        return -0.5 * np.einsum("ij,jk,ik->i", z - 1, inverse, z - 1)

    draws = sample(density, np.zeros(2), 4000, np.random.default_rng(0))
    assert draws.mode == pytest.approx([1, 1], abs=1e-4)
    assert draws.z.mean(axis=0) == pytest.approx([1, 1], abs=0.08)
    assert np.cov(draws.z.T) == pytest.approx(cov, abs=0.2)
    assert draws.log_evidence == pytest.approx(0.5 * np.log(np.linalg.det(2 * np.pi * cov)), abs=0.03)


def test_a_clear_curve_crosses_where_the_truth_does() -> None:
    truth = 23.5 + special.logit(0.8) / 1.5
    found = ask(study(30))
    assert found.status == "identified"
    q05, q50, q95 = (found.log10_c[q] for q in ("q05", "q50", "q95"))
    assert q05 is not None and q50 is not None and q95 is not None
    assert q05 < truth < q95 and q50 == pytest.approx(truth, abs=0.35)
    assert 0 <= found.p_within["0.5"] <= found.p_within["1"] <= found.p_within["2"] <= 1


def test_a_flat_curve_is_not_identified_and_has_no_numbers() -> None:
    found = ask(study(12, slope=0.0, items=100))
    assert found.status == "not_identified"
    assert set(found.log10_c.values()) == {None} and set(found.date.values()) == {None}
    assert found.p_within == {} and found.p_by == {} and found.p_never is None
    assert len(found.shapes) == 2


def test_a_threshold_above_a_visible_ceiling_is_not_within_the_cap() -> None:
    found = ask(study(30, slope=3.0, middle=22.0, ceiling=0.6, items=2000), 0.9, shapes=None)
    assert found.status == "not_within_cap" and found.log10_c["q95"] is None
    assert found.p_never is not None and found.p_never > 0.5


def test_the_same_seed_gives_the_same_object_and_another_gives_its_own() -> None:
    first, again = (json.dumps(ask(study()).as_dict(), default=str) for _ in range(2))
    assert first == again
    assert json.dumps(ask(study(), seed=1).as_dict(), default=str) != first


def test_missing_samples_never_delay_the_worst_case() -> None:
    points = study(12)
    lost = points.frame.assign(missing=np.where(np.arange(12) % 2, 100.0, 0.0))
    found = ask(Points(lost, "success_rate", "logit", 0.0))
    worst = found.missing_worst_case
    assert worst is not None and worst["binds"] and worst["missing"] == 600
    assert isinstance(worst["log10_c"], dict) and found.log10_c["q50"] is not None
    assert worst["log10_c"]["q50"] < found.log10_c["q50"]
    assert not (ask(points).missing_worst_case or {})["binds"]


def test_missing_counts_as_failure_below_and_success_above_the_median_compute() -> None:
    score, n = worst_case_scores([0.5, 0.5, 0.5, np.nan], [10, 10, 10, 0], [10, 0, 10, 5], [20, 21, 22, 23])
    assert score == pytest.approx([0.25, 0.5, 0.75, 1.0]) and list(n) == [20, 10, 20, 5]
    assert bounds_with_missing(3, 10, 10) == (0.15, 0.65)
    with pytest.raises(DataError, match="impossible"):
        bounds_with_missing(3, 2, 0)


def test_allowances_only_widen_the_dangerous_side() -> None:
    plain, wide = ask(study()), ask(study(), allowance=Allowance(sandbagging=0.5, contamination=0.3))
    raw = wide.without_allowance
    assert raw is not None and raw["log10_c"] == plain.log10_c and plain.without_allowance is None
    assert plain.log10_c["q05"] is not None and wide.log10_c["q05"] is not None
    assert wide.log10_c["q05"] < plain.log10_c["q05"]
    assert wide.log10_c["q50"] == plain.log10_c["q50"] and wide.log10_c["q95"] == plain.log10_c["q95"]
    assert all(wide.p_within[k] >= v for k, v in plain.p_within.items())
    with pytest.raises(DataError, match="never negative"):
        ask(study(), allowance=Allowance(sandbagging=-0.1))


def test_effective_compute_stands_beside_the_physical_figure() -> None:
    points = study()
    dated = points.frame.assign(release_date=pd.date_range("2020-01-01", periods=14, freq="120D"))
    found = ask(Points(dated, "success_rate", "logit", 0.0))
    assert found.effective is not None and found.effective["variant"] == "effective compute"
    assert found.frontier == "physical" and ask(points).effective is None


def test_a_new_model_is_less_certain_than_the_curve() -> None:
    data = study(30)
    curve, model = ask(data, predicts="curve"), ask(data, predicts="new_model")

    def width(f: Forecast) -> float:
        return float(f.log10_c["q95"] or 99) - float(f.log10_c["q05"] or 0)

    assert width(curve) < width(model)


def test_simulated_points_make_a_simulated_forecast_and_the_hash_names_the_input() -> None:
    points = study()
    fake = Points(points.frame, points.metric, "logit", 0.0, simulated=True)
    assert ask(fake).simulated and not ask(points).simulated
    assert ask(fake).input_sha256 != ask(points).input_sha256
    shuffled = Points(points.frame.sample(frac=1, random_state=1), points.metric, "logit", 0.0)
    assert shuffled.sha256 == points.sha256


@pytest.mark.parametrize(
    ("threshold", "message"), [(0.0, "chance floor"), (1.0, "below 1"), (np.nan, "threshold")]
)
def test_impossible_thresholds_are_refused(threshold: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ask(study(), threshold)


def test_two_models_are_refused_and_one_family_is_flagged() -> None:
    points = study()
    with pytest.raises(DataError, match="at least 3"):
        ask(Points(points.frame.head(2), "success_rate", "logit", 0.0))
    alone = Points(points.frame.assign(model_family="one"), "success_rate", "logit", 0.0)
    assert any("one model family" in flag for flag in ask(alone).flags)


def test_scores_all_at_the_floor_or_the_ceiling_are_said_to_be_so() -> None:
    frame = study().frame
    low = ask(Points(frame.assign(value=0.0), "success_rate", "logit", 0.0))
    high = ask(Points(frame.assign(value=1.0), "success_rate", "logit", 0.0))
    assert low.status == "not_identified" and any("chance floor" in f for f in low.flags)
    assert high.status == "not_identified" and any("saturated" in f for f in high.flags)


def test_horizons_are_forecast_on_log2_and_open_ones_are_not_lost() -> None:
    steps = [4.0, 7.0, 18.0, 30.0, 70.0, np.nan]
    estimates = pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(6)],
            "metric": "h50_steps",
            "estimate": steps,
            "se": 0.3,
            "lcb": [2.0, 4.0, 9.0, 15.0, 35.0, 90.0],
            "ucb": [8.0, 14.0, 36.0, 60.0, 140.0, np.inf],
            "n_instances": 40,
            "n_excluded": 0,
            "twin": "base",
            "simulated": False,
        }
    )
    compute = pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(5)] + ["m5"],
            "model_family": "f",
            "training_flop": 10.0 ** np.arange(20, 26),
        }
    )
    points = points_from_estimates(estimates, compute, "h50_steps")
    assert len(points.frame) == 6 and any("lower bound" in f for f in points.flags)
    found = ask(points, 512.0)
    assert found.status == "identified" and found.log10_c["q50"] == pytest.approx(27, abs=1.0)
    mixed = estimates.assign(twin=["base", "surface"] * 3)
    with pytest.raises(DataError, match="mix 2 values of twin"):
        points_from_estimates(mixed, compute, "h50_steps")


def test_weights_of_shapes_sum_to_one_and_every_shape_is_listed() -> None:
    points = study()
    frame = points.frame
    data = CurveData(
        np.log10(frame["flops"].to_numpy()) - 22.0,
        frame["value"].to_numpy(),
        np.zeros(14, dtype=np.int64),
        ("f",),
        np.full(14, 500.0),
        np.zeros(14),
        np.full(14, 0.1),
        0.0,
        22.0,
        "logit",
    )
    found = crossing(fit_shapes(data, n_draws=500), 0.7)
    assert sum(s.weight for s in found.shapes) == pytest.approx(1.0)
    assert [s.shape for s in found.shapes] == ["logistic", "gompertz", "power", "saturating", "broken"]
    with pytest.raises(DataError, match="did you mean 'logistic'"):
        fit_shapes(data, shapes=("logistc",))


def test_missing_samples_of_horizons_bring_the_worst_case_forward_or_leave_it_open() -> None:
    estimates = pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(6)],
            "metric": "h50_steps",
            "estimate": [4.0, 7.0, 18.0, 30.0, 70.0, 130.0],
            "se": 0.3,
            "lcb": 2.0,
            "ucb": 300.0,
            "worst_case_lcb": 1.0,
            "worst_case_ucb": 900.0,
            "n_instances": 40,
            "n_excluded": 5,
        }
    )
    compute = pd.DataFrame(
        {"model": estimates["model"], "model_family": "f", "training_flop": 10.0 ** np.arange(20, 26)}
    )
    found = ask(points_from_estimates(estimates, compute, "h50_steps"), 512.0)
    worst = found.missing_worst_case
    assert worst is not None and worst["binds"] and isinstance(worst["log10_c"], dict)
    assert found.log10_c["q50"] is not None and worst["log10_c"]["q50"] < found.log10_c["q50"]
    open_end = ask(
        points_from_estimates(estimates.assign(worst_case_ucb=np.inf), compute, "h50_steps"), 512.0
    )
    assert (open_end.missing_worst_case or {})["status"] == "not_identified"


def test_a_metric_that_falls_with_capability_is_reached_from_above() -> None:
    estimates = pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(6)],
            "metric": "bits_to_solve",
            "estimate": [20.0, 17.5, 16.0, 13.6, 12.1, 10.0],
            "se": 0.2,
            "lcb": 1.0,
            "ucb": 30.0,
            "n_instances": 40,
            "n_excluded": 0,
        }
    )
    compute = pd.DataFrame(
        {"model": estimates["model"], "model_family": "f", "training_flop": 10.0 ** np.arange(20, 26)}
    )
    found = ask(points_from_estimates(estimates, compute, "bits_to_solve"), 6.0, shapes=("linear",))
    assert found.event == "bits_to_solve <= 6" and found.status == "identified"
    assert found.log10_c["q50"] == pytest.approx(27, abs=0.6)
