"""Protocol P1: the split, the JSON shape, the references' known rows, and the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from dangercurve._errors import DataError
from dangercurve.analysis.backtest import TARGET_COLUMNS, backtest_compute, score_cells, split_by_compute
from dangercurve.analysis.reference import REFERENCE_METHODS
from dangercurve.analysis.scores import read_scores, validate_scores
from dangercurve.evals.verbs.backtest import command

ROOT = Path(__file__).resolve().parents[1]
PUBLIC = (
    Path(os.environ.get("DANGERCURVE_PUBLIC_DATA", ROOT.parent / "shared" / "data"))
    / "capability_vs_compute.csv"
)
METHODS = ["dangercurve", "last5_mean", "logistic_params", "logistic_residual", "random_intercept"]


def table(n: int = 30) -> pd.DataFrame:
    """SIMULATED: one model a row and benchmark; `thin` has too few training models."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        N, D = 10 ** (8 + i / n * 3), 2e11
        for name, shift in (("b0", 0.0), ("b1", 1.0), ("thin", 0.0)):
            if name == "thin" and i % 3:
                continue
            p = 0.25 + 0.75 / (1 + np.exp(-(np.log10(6 * N * D) - 22 + shift)))
            score = float(np.clip(p + 0.02 * rng.standard_normal(), 0, 1))
            rows.append((f"m{i}", f"f{i % 7}", N, D, 6 * N * D, name, score, 0.25, 500))
    columns = ["model", "family", "N", "D", "flops", "benchmark", "score", "chance", "n_items"]
    return pd.DataFrame(rows, columns=columns)


def test_the_cut_is_inclusive_and_thin_benchmarks_are_listed() -> None:
    frame = validate_scores(table()).frame
    cut = float(frame["flops"].sort_values().unique()[17])
    split = split_by_compute(frame, cut)
    assert split.train["flops"].max() == cut
    assert split.targets["flops"].min() > cut
    assert list(split.targets.columns) == list(TARGET_COLUMNS)
    assert "score" not in split.targets
    assert split.excluded == {"thin": "6 training models, 12 needed"}


@pytest.mark.parametrize("cut", [1e10, 1e30, -1.0, float("nan")])
def test_a_cut_that_leaves_nothing_is_an_error(cut: float) -> None:
    with pytest.raises(DataError, match=r"cut-flops|no benchmark can be backtested"):
        split_by_compute(validate_scores(table()).frame, cut)


def test_a_method_that_returns_nan_is_refused() -> None:
    split = split_by_compute(validate_scores(table()).frame, 5e21)
    with pytest.raises(DataError, match="finite draws"):
        score_cells(split, "bad", np.full((10, len(split.targets)), np.nan))


def test_a_perfect_method_scores_zero_and_wins_every_pair() -> None:
    frame = validate_scores(table()).frame
    split = split_by_compute(frame, 5e21)
    truth = {(m, b): s for m, b, s in frame[["model", "benchmark", "score"]].itertuples(index=False)}

    def oracle(train: pd.DataFrame, targets: pd.DataFrame, seed: int) -> np.ndarray:
        return np.tile([truth[m, b] for m, b in zip(targets["model"], targets["benchmark"])], (50, 1))

    result = backtest_compute(
        frame, 5e21, methods={"dangercurve": oracle, "last5_mean": REFERENCE_METHODS["last5_mean"]}
    )
    ours = result.summary["dangercurve"]
    assert ours["n"] == len(split.targets)
    assert ours["mae"] == pytest.approx(0.0, abs=1e-12)
    assert ours["interval_score90"] == pytest.approx(0.0, abs=1e-12)
    assert ours["coverage90"] == 1.0
    difference = result.paired["last5_mean"]["crps_diff"]
    assert difference.est < 0
    assert difference.lo <= difference.est <= difference.hi < 0


@pytest.mark.parametrize("name", REFERENCE_METHODS)
def test_references_repeat_by_seed_and_stay_in_the_unit_interval(name: str) -> None:
    split = split_by_compute(validate_scores(table()).frame, 5e21)
    draws = REFERENCE_METHODS[name](split.train, split.targets, 1)
    assert draws.min() >= 0
    assert draws.max() <= 1
    assert np.array_equal(draws, REFERENCE_METHODS[name](split.train, split.targets, 1))


def test_the_command_prints_the_agreed_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dangercurve.analysis import joint
    from dangercurve.analysis.joint_fit import Effort

    quick = joint.Settings(effort=Effort(chains=2, draws=40, warmup=30, rounds=1, leapfrog=8))
    monkeypatch.setattr(joint, "Settings", lambda: quick)
    table().assign(score=lambda f: f["score"].where(f.index != 3)).to_csv(tmp_path / "t.csv", index=False)
    run = CliRunner().invoke(command, [str(tmp_path / "t.csv"), "--cut-flops", "5e21", "--format", "json"])
    assert run.exit_code == 0, run.output
    data = json.loads(run.stdout)
    assert {"cells", "summary", "paired"} <= set(data)
    cell = {"model", "benchmark", "method", "observed", "mean", "q05", "q25", "q50", "q75", "q95"}
    assert set(data["cells"][0]) == cell
    assert list(data["summary"]) == METHODS
    assert set(data["paired"]) == set(METHODS[1:])
    numbers = {"n", "mae", "crps", "coverage50", "coverage80", "coverage90", "coverage90_lo", "coverage90_hi"}
    assert set(data["summary"]["dangercurve"]) == numbers | {"width90", "interval_score90", "by_benchmark"}
    for pair in data["paired"].values():
        assert set(pair) == {"crps_diff", "interval_score90_diff"}
        assert set(pair["crps_diff"]) == {"est", "lo", "hi"}
    assert len(data["dropped"]) == 1
    assert data["excluded"] == {"thin": "6 training models, 12 needed"}
    assert all(c["q05"] <= c["q25"] <= c["q50"] <= c["q75"] <= c["q95"] for c in data["cells"])


@pytest.mark.parametrize("names", ["model", "family", "benchmark"])
def test_neither_the_order_of_rows_nor_names_change_a_forecast(
    names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dangercurve.analysis import joint
    from dangercurve.analysis.joint_fit import Effort

    quick = joint.Settings(effort=Effort(chains=2, draws=20, warmup=10, rounds=1, leapfrog=4))
    monkeypatch.setattr(joint, "Settings", lambda: quick)
    given = table()
    other = given.sample(frac=1, random_state=1)
    unlike = {name: f"z{k}" for k, name in enumerate(sorted(given[names].unique(), reverse=True))}
    other[names] = other[names].map(unlike)
    first, second = (backtest_compute(validate_scores(f), 5e21) for f in (given, other))
    column = {"family": "model_family"}.get(names, names)
    values = ["mean", "q05", "q50", "q95", "crps", "interval_score90"]
    keys = ["method", "model", "benchmark"]
    expected = first.cells.assign(**{column: first.cells[column].map(unlike)}).set_index(keys)[values]
    assert second.cells.set_index(keys)[values].loc[expected.index].equals(expected)
    assert first.paired == second.paired
    scores = [
        {k: v for k, v in r.summary["dangercurve"].items() if k != "by_benchmark"} for r in (first, second)
    ]
    assert scores[0] == scores[1]


def test_the_command_wants_one_of_two_ways(tmp_path: Path) -> None:
    run = CliRunner().invoke(command, [str(tmp_path / "t.csv")])
    assert run.exit_code == 2
    assert "--cut-flops" in run.output


@pytest.mark.skipif(not PUBLIC.exists(), reason="no public data: set DANGERCURVE_PUBLIC_DATA")
def test_the_reference_rows_of_the_open_benchmarks() -> None:
    names = ("last5_mean", "logistic_params", "random_intercept")
    result = backtest_compute(
        read_scores(PUBLIC), 8.4e22, methods={name: REFERENCE_METHODS[name] for name in names}
    )
    expected = {
        "last5_mean": (0.144, None, None),
        "logistic_params": (0.065, 0.54, 0.547),
        "random_intercept": (0.064, 0.84, 0.397),
    }
    for name, (mae, coverage, interval) in expected.items():
        summary = result.summary[name]
        assert summary["n"] == 450
        assert summary["mae"] == pytest.approx(mae, abs=0.004)
        if coverage is not None:
            assert summary["coverage90"] == pytest.approx(coverage, abs=0.03)
            assert summary["interval_score90"] == pytest.approx(interval, abs=0.035)
