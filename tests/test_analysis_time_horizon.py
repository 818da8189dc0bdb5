"""Time horizons: known answers, the bootstrap, and tables that must be refused or flagged."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dangercurve._errors import ConfigError, DataError
from dangercurve.analysis.cells import to_cells
from dangercurve.analysis.horizon import estimate_horizons
from dangercurve.analysis.horizon_bootstrap import task_multiplicities
from dangercurve.analysis.horizon_fit import fit_logistic, log2_horizon
from dangercurve.analysis.runs import dropped_lines, exclude_models, read_runs, runs_from_frame
from dangercurve.evals.cli import cli

PUBLIC = Path(os.environ.get("DANGERCURVE_PUBLIC_DATA", Path(__file__).parents[1] / "../shared/data"))
RUNS = PUBLIC / "agent_runs_2025_01.parquet"
JANUARY_2025 = {
    "GPT-4 0314": 3.66, "GPT-4 Turbo": 3.45, "Claude 3 Opus": 4.05, "GPT-4o": 6.98, "Claude 3.5 Sonnet (Old)": 22.1,
    "Claude 3.5 Sonnet (New)": 60.5, "o1-preview": 37.9, "o1": 42.4,
}  # fmt: skip


def table(rng: np.random.Generator, models: int = 2, tasks: int = 40, runs: int = 4) -> pd.DataFrame:
    log2_minutes = rng.uniform(-2, 9, tasks)
    model, task, _ = np.indices((models, tasks, runs)).reshape(3, -1)
    rate = 1 / (1 + np.exp(0.8 * (log2_minutes[task] - 3.0 - 2 * model)))
    return pd.DataFrame(
        {
            "model": [f"m{i}" for i in model],
            "task_id": [f"t{i}" for i in task],
            "task_family": [f"f{i // 4}" for i in task],
            "human_minutes": 2.0 ** log2_minutes[task],
            "score": (rng.random(len(model)) < rate).astype(float),
        }
    )


def test_the_horizons_of_january_2025_come_out_within_half_a_percent() -> None:
    if not RUNS.is_file():
        pytest.skip(f"public data not found: {RUNS}")
    runs = exclude_models(read_runs(RUNS, {"model": "alias", "score": "score_binarized"}), ["human"])
    found = {row.model: row.p50 for row in estimate_horizons(runs, penalty=0.1, bootstrap=0).models}
    for model, minutes in JANUARY_2025.items():
        assert found[model] == pytest.approx(minutes, rel=0.005), model


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 1e-5, 0.1]), st.sampled_from([1.0, 0.9]))
def test_the_batched_newton_finds_the_maximum_that_a_general_optimiser_finds(
    seed: int, penalty: float, asymptote: float
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 8, 30)
    weight = rng.uniform(0.2, 1.0, 30)
    weight /= weight.sum()
    success = weight * rng.beta(2, 2, 30) * 0.85

    def loss(beta: np.ndarray) -> float:
        p = asymptote / (1 + np.exp(-np.clip(beta[0] + beta[1] * x, -40, 40)))
        return -float(success @ np.log(p) + (weight - success) @ np.log1p(-p)) + penalty / 2 * beta[1] ** 2

    beta = fit_logistic(x, success[None], weight[None], penalty, asymptote=asymptote)[0]
    best = minimize(
        loss, np.zeros(2), bounds=[(None, None), (None, 0.0)], options={"ftol": 1e-15, "gtol": 1e-10}
    )
    assert loss(beta) <= best.fun + 1e-9
    assert beta[1] <= 0.0


def test_rows_fitted_together_equal_rows_fitted_alone_and_extremes_are_infinite() -> None:
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 8, (5, 20))
    weight = np.full((5, 20), 0.05)
    success = weight * (rng.random((5, 20)) < 0.5)
    success[3], success[4] = 0.0, weight[4]
    together = fit_logistic(x, success, weight, 1e-5)
    for row in range(3):
        alone = fit_logistic(x[row], success[row : row + 1], weight[row : row + 1], 1e-5)
        np.testing.assert_allclose(together[row], alone[0], rtol=1e-6, atol=1e-9)
    horizons = log2_horizon(together, 0.5)
    assert horizons[3] == -np.inf and horizons[4] == np.inf


def test_weights_sum_to_one_and_follow_the_inverse_square_root_rule() -> None:
    frame = pd.DataFrame(
        {
            "model": "m",
            "task_id": ["a", "a", "b", "c"],
            "task_family": ["f", "f", "f", "g"],
            "human_minutes": [1.0, 1.0, 2.0, 4.0],
            "score": [1, 0, 1, 0],
        }
    )
    cells = to_cells(runs_from_frame(frame))
    raw = np.array([1 / (2 * np.sqrt(2)), 1 / np.sqrt(2), 1.0])
    np.testing.assert_allclose(cells.weight, raw / (raw * [2, 1, 1]).sum())
    assert (cells.weight * cells.n).sum() == pytest.approx(1.0)


def test_multiplicities_keep_the_hierarchy() -> None:
    family = np.array([0, 0, 0, 1, 2, 2])
    times = task_multiplicities(family, 500, np.random.default_rng(0))
    sizes = np.array([3, 1, 2])
    by_family = np.column_stack([times[:, family == f].sum(axis=1) for f in range(3)])
    assert (by_family % sizes == 0).all()
    assert ((by_family // sizes).sum(axis=1) == 3).all()


def test_the_same_seed_gives_the_same_numbers_whatever_the_order_of_rows() -> None:
    frame = table(np.random.default_rng(1))
    one = estimate_horizons(runs_from_frame(frame), bootstrap=40, seed=5)
    two = estimate_horizons(runs_from_frame(frame.sample(frac=1, random_state=2)), bootstrap=40, seed=5)
    assert [asdict(a) for a in one.models] == [asdict(b) for b in two.models]
    other = estimate_horizons(runs_from_frame(frame), bootstrap=40, seed=6)
    assert other.models[0].p50_lo != one.models[0].p50_lo


def test_counts_give_the_same_bootstrap_as_resampling_rows_one_by_one() -> None:
    frame = table(np.random.default_rng(7), models=1, tasks=40, runs=3)
    runs = runs_from_frame(frame)
    cells = to_cells(runs)
    per_task = frame.groupby("task_id")["score"].transform("size").to_numpy()
    in_family = frame.groupby("task_family")["task_id"].transform("nunique").to_numpy()
    weight = 1 / (per_task * np.sqrt(in_family))
    x, score = np.log2(frame["human_minutes"].to_numpy()), frame["score"].to_numpy()
    tasks = {f: list(g.groupby("task_id").indices) for f, g in frame.groupby("task_family")}
    rows = frame.groupby("task_id").indices
    rng = np.random.default_rng(1)
    naive = []
    for _ in range(400):
        picked = [
            run
            for family in rng.choice(list(tasks), len(tasks))
            for task in rng.choice(tasks[family], len(tasks[family]))
            for run in rng.choice(rows[task], len(rows[task]))
        ]
        w = weight[picked] / weight[picked].sum()
        naive.append(log2_horizon(fit_logistic(x[picked], (w * score[picked])[None], w[None], 1e-5), 0.5)[0])
    ours = estimate_horizons(runs, bootstrap=4000, seed=2).log2_draws[:, 0, 0]
    assert len(cells.n) == 40
    assert np.median(ours) == pytest.approx(np.median(naive), abs=0.12)
    assert np.subtract(*np.quantile(ours, [0.9, 0.1])) == pytest.approx(
        np.subtract(*np.quantile(naive, [0.9, 0.1])), rel=0.15
    )


def test_bootstrap_intervals_cover_the_true_horizon() -> None:
    """Nominal 95 %, 60 studies, 60 tasks of their own family each: fewer than 50 hits has probability 0.0003."""
    hits = 0
    for seed in range(60):
        frame = table(np.random.default_rng(seed), models=1, tasks=60, runs=2)
        frame["task_family"] = frame["task_id"]
        row = estimate_horizons(runs_from_frame(frame), bootstrap=100, seed=seed).models[0]
        hits += (row.p50_lo or 0.0) <= 8.0 <= (row.p50_hi or np.inf)
    assert hits >= 50


def test_a_model_that_always_succeeds_has_a_lower_bound_and_no_invented_horizon() -> None:
    frame = table(np.random.default_rng(0), models=1)
    row = estimate_horizons(runs_from_frame(frame.assign(score=1.0)), bootstrap=20).models[0]
    assert row.ceiling and row.p50 is None and row.p50_hi is None
    assert row.lower_bound is not None and row.lower_bound <= frame["human_minutes"].max() * (1 + 1e-12)


def test_a_model_that_always_fails_is_flagged_at_the_floor_and_is_not_zero_minutes() -> None:
    row = estimate_horizons(
        runs_from_frame(table(np.random.default_rng(0), models=1).assign(score=0.0)), bootstrap=20
    ).models[0]
    assert row.floor and not row.ceiling and row.p50 is None and row.p50_lo is None


def test_success_that_rises_with_length_gives_a_flat_curve_not_a_negative_horizon() -> None:
    frame = table(np.random.default_rng(0), models=1)
    frame["score"] = (frame["human_minutes"] > frame["human_minutes"].median()).astype(float)
    row = estimate_horizons(runs_from_frame(frame), bootstrap=0).models[0]
    assert row.slope == 0.0 and row.p50 is None


def test_fractional_scores_are_allowed_and_widths_are_never_negative() -> None:
    frame = table(np.random.default_rng(4))
    frame["score"] = frame["score"] * 0.7 + 0.1
    for row in estimate_horizons(runs_from_frame(frame), bootstrap=60).models:
        assert row.p50_lo is not None and row.p50 is not None and row.p50_hi is not None
        assert row.p50_lo <= row.p50 <= row.p50_hi


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("score", 1.5, r"score outside \[0, 1\]: 1\.5 in 1 row \(row 3\)"),
        ("score", "good", "score is not a number: 'good' in row 3"),
        ("human_minutes", -1.0, "not positive and finite"),
        ("human_minutes", np.inf, "not positive and finite"),
        ("human_minutes", 6e6, "more than ten years"),
    ],
)
def test_a_wrong_cell_is_named_with_its_row(column: str, value: object, says: str, tmp_path: Path) -> None:
    frame = table(np.random.default_rng(0)).astype({column: object})
    frame.loc[2, column] = value
    frame.to_csv(tmp_path / "runs.csv", index=False)
    with pytest.raises(DataError, match=says):
        read_runs(tmp_path / "runs.csv")


def test_missing_scores_are_dropped_counted_and_listed_and_never_become_failures() -> None:
    frame = table(np.random.default_rng(0))
    whole = estimate_horizons(runs_from_frame(frame.drop(index=[1, 5])), bootstrap=0)
    frame.loc[[1, 5], "score"] = np.nan
    runs = runs_from_frame(frame)
    assert runs.dropped == {"no score": (2, 6)}
    assert dropped_lines(runs)[0] == "dropped 2 rows: no score (rows 2, 6)"
    assert estimate_horizons(runs, bootstrap=0).models[0].p50 == whole.models[0].p50


def test_missing_scores_as_successes_bound_the_horizon_from_above_and_no_model_disappears(
    tmp_path: Path,
) -> None:
    frame = table(np.random.default_rng(0))
    long = frame["human_minutes"] > 16
    frame.loc[long & (frame["model"] == "m0") & (frame.index % 3 == 0), "score"] = np.nan
    frame.loc[frame["model"] == "m1", "score"] = np.nan
    frame.to_csv(tmp_path / "runs.csv", index=False)
    result = CliRunner().invoke(
        cli, ["horizon", str(tmp_path / "runs.csv"), "--bootstrap", "0", "--format", "json"]
    )
    assert result.exit_code == 0, result.output
    rows = {row["model"]: row for row in json.loads(result.stdout)}
    assert rows["m0"]["p50_worst_case"] > rows["m0"]["p50"]
    assert rows["m1"]["p50"] is None and rows["m1"]["n_runs"] == 0
    assert "no score" in result.stderr


def test_a_run_copied_with_its_run_id_counts_once_and_a_clash_is_refused() -> None:
    frame = table(np.random.default_rng(0)).assign(run_id=lambda t: t.index.astype(str))
    copied = pd.concat([frame, frame.iloc[[0]]])
    runs = runs_from_frame(copied)
    assert runs.dropped == {"repeats an earlier row with the same run_id": (len(copied),)}
    copied.iloc[-1, copied.columns.get_loc("score")] = 1.0 - frame.loc[0, "score"]
    with pytest.raises(DataError, match="one run_id names two different runs"):
        runs_from_frame(copied)


def test_empty_tables_missing_columns_and_unknown_names_say_what_to_do(tmp_path: Path) -> None:
    frame = table(np.random.default_rng(0))
    with pytest.raises(DataError, match="has no rows"):
        runs_from_frame(frame.iloc[:0])
    with pytest.raises(DataError, match=r"lacks score .*--map score=COLUMN"):
        runs_from_frame(frame.drop(columns="score"))
    with pytest.raises(ConfigError, match=r"no column 'scor' \(did you mean 'score'"):
        runs_from_frame(frame, {"score": "scor"})
    with pytest.raises(ConfigError, match="unknown kind"):
        (tmp_path / "runs.xlsx").write_text("x")
        read_runs(tmp_path / "runs.xlsx")
    with pytest.raises(ConfigError, match="no such model"):
        exclude_models(runs_from_frame(frame), ["m9"])
    with pytest.raises(ConfigError, match="at least 20"):
        estimate_horizons(runs_from_frame(frame), bootstrap=3)


def test_csv_parquet_and_json_lines_give_the_same_horizons(tmp_path: Path) -> None:
    frame = table(np.random.default_rng(0))
    frame.to_csv(tmp_path / "r.csv", index=False)
    frame.to_parquet(tmp_path / "r.parquet", index=False)
    frame.to_json(tmp_path / "r.jsonl", orient="records", lines=True, double_precision=15)
    found = [
        estimate_horizons(read_runs(tmp_path / f"r.{kind}"), bootstrap=0).models
        for kind in ("csv", "parquet", "jsonl")
    ]
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert a.p50 == pytest.approx(b.p50) and a.n_runs == b.n_runs


def test_the_verb_prints_the_agreed_shape(tmp_path: Path) -> None:
    frame = table(np.random.default_rng(0)).rename(columns={"model": "alias"})
    frame.to_csv(tmp_path / "runs.csv", index=False)
    arguments = [
        "horizon",
        str(tmp_path / "runs.csv"),
        "--map",
        "model=alias",
        "--bootstrap",
        "20",
        "--format",
        "json",
    ]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    keys = {"model", "p50", "p50_lo", "p50_hi", "p80", "p80_lo", "p80_hi", "ceiling", "n_runs", "n_tasks"}
    assert keys <= rows[0].keys() and [row["model"] for row in rows] == ["m0", "m1"]
    assert rows[0]["p80"] < rows[0]["p50"] < rows[1]["p50"]


def test_names_do_not_change_the_bootstrap() -> None:
    frame = table(np.random.default_rng(5), models=3, tasks=20)
    other = frame.sample(frac=1, random_state=0)
    unlike = {}
    for column in ("model", "task_id", "task_family"):
        unlike[column] = {
            name: f"z{k}" for k, name in enumerate(sorted(frame[column].unique(), reverse=True))
        }
        other[column] = other[column].map(unlike[column])
    first, second = (estimate_horizons(runs_from_frame(f), bootstrap=60, seed=2) for f in (frame, other))
    renamed = {row.model: asdict(row) for row in second.models}
    for row in first.models:
        expected = asdict(row) | {"model": unlike["model"][row.model]}
        found = renamed[unlike["model"][row.model]]
        assert found["model"] == expected.pop("model") and found == found | expected | {
            name: pytest.approx(value, rel=1e-9)
            for name, value in expected.items()
            if isinstance(value, float)
        }
