"""`dangercurve fit --factor` and `--axes`: known effects come back, and what cannot be told apart is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from dangercurve._errors import ConfigError, DataError
from dangercurve.evals.cli import cli
from dangercurve.evals.fitting.axes import fit_axes
from dangercurve.evals.fitting.factor import factor_of_estimates, factor_of_scores


def settings(n: int = 120, *, noise: float = 0.02) -> pd.DataFrame:
    """Logit score = 1.2 (log10 C - 23) + .3 log2(test-time tokens / 1000) + .8 where the scaffold is an agent."""
    rng = np.random.default_rng(1)
    model = np.arange(n) // 6
    x = 21.0 + 3 * rng.random(n // 6)[model]
    tokens = 1000 * 2.0 ** rng.integers(0, 5, n)
    agent = rng.random(n) < 0.5
    eta = 1.2 * (x - 23) + 0.3 * np.log2(tokens / 1000) + 0.8 * agent + rng.normal(0, noise, n)
    return pd.DataFrame(
        {
            "model": [f"m{m}" for m in model],
            "model_family": [f"f{m % 8}" for m in model],
            "flops": 10**x,
            "benchmark": "tasks",
            "score": 1 / (1 + np.exp(-eta)),
            "chance": 0.0,
            "test_time_tokens": tokens,
            "scaffold": np.where(agent, "agent", "plain"),
        }
    )


def panel(n: int = 24) -> pd.DataFrame:
    """Three benchmarks that follow one ability and one that follows nothing of it."""
    rng = np.random.default_rng(2)
    ability = rng.normal(0, 1, n)
    rows = []
    for name, loading in (("maths", 1.0), ("code", 0.8), ("facts", 1.2), ("deceit", 0.0)):
        eta = loading * ability + rng.normal(0, 0.2 if loading else 1.0, n)
        rows.append(
            pd.DataFrame(
                {
                    "model": [f"m{i}" for i in range(n)],
                    "model_family": [f"f{i % 6}" for i in range(n)],
                    "flops": 10 ** (22 + ability / 2),
                    "benchmark": name,
                    "score": 1 / (1 + np.exp(-eta)),
                    "chance": 0.0,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def call(frame: pd.DataFrame, tmp_path: Path, *options: str) -> Result:
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    return CliRunner().invoke(cli, ["fit", str(path), *options])


def test_known_effects_of_every_axis_come_back(tmp_path: Path) -> None:
    rows = json.loads(
        call(settings(), tmp_path, "--axes", "--reference-scaffold", "plain", "--format", "json").stdout
    )
    effect = {row["axis"]: row for row in rows}
    for axis, truth in (("training", 1.2), ("test-time tokens", 0.3), ("scaffold agent", 0.8)):
        assert effect[axis]["estimate"] == pytest.approx(truth, abs=0.03)
        assert effect[axis]["lo"] - 0.01 <= truth <= effect[axis]["hi"] + 0.01
    assert effect["scaffold agent"]["in_training_oom"] == pytest.approx(0.8 / 1.2, abs=0.05)
    assert effect["test-time tokens"]["unit"] == "a doubling"


def test_axes_print_a_table_and_markdown(tmp_path: Path) -> None:
    assert "test-time tokens" in call(settings(), tmp_path, "--axes").stdout
    assert "| benchmark | modality |" in call(settings(), tmp_path, "--axes", "--format", "md").stdout


def test_modalities_are_never_pooled() -> None:
    frame = settings().assign(modality=["text", "image"] * 60)
    found = fit_axes(frame, ())
    assert {row["modality"] for row in found.rows} == {"text", "image"}
    assert all(row["n_rows"] == 60 for row in found.rows)


def test_effective_compute_is_a_labelled_variant_beside_the_physical() -> None:
    found = fit_axes(settings().assign(algorithmic_efficiency=2.0), ())
    assert {row["compute"] for row in found.rows} == {"physical", "effective"}


def test_axes_that_move_together_or_not_at_all_are_named() -> None:
    frame = settings()
    same = frame.assign(context_length=frame["test_time_tokens"] * 8)
    assert any("move together" in note for note in fit_axes(same, ()).notes)
    assert any("does not vary" in note for note in fit_axes(frame.assign(context_length=4096), ()).notes)


def test_rows_without_an_axis_are_left_out_and_counted() -> None:
    frame = settings()
    frame.loc[:9, "test_time_tokens"] = np.nan
    found = fit_axes(frame, ())
    assert any("10 of 120 rows lack one of the axes" in note for note in found.notes)
    with pytest.raises(DataError, match=r"can be decomposed: .*too few"):
        fit_axes(frame.head(4), ())


def test_a_danger_metric_is_shown_raw_and_with_general_capability_out() -> None:
    rows = {str(r["metric"]): r for r in factor_of_scores(panel(), (), 0).rows}
    assert float(str(rows["maths"]["correlation"])) > 0.9 and float(str(rows["maths"]["lo"])) > 0.5
    assert abs(float(str(rows["deceit"]["correlation"]))) < 0.6
    models = rows["maths"]["models"]
    assert isinstance(models, list)
    general = np.array([m["general"] for m in models])
    left = np.array([m["partialled_out"] for m in models])
    assert abs(float(np.corrcoef(general, left)[0, 1])) < 1e-9
    assert np.mean(left) == pytest.approx(np.mean([m["raw"] for m in models]))


def test_the_metric_itself_is_never_part_of_its_factor() -> None:
    (row,) = factor_of_scores(panel(), ("deceit",), 0).rows
    loadings = row["loadings"]
    assert isinstance(loadings, dict) and set(loadings) == {"maths", "code", "facts"}


def test_factor_on_estimates_takes_any_metric_of_the_registry() -> None:
    scores = panel(8).rename(columns={"benchmark": "family", "score": "estimate"})
    scores = scores[scores["family"] != "deceit"].assign(metric="success_rate", twin="base")
    steps = scores[scores["family"] == "code"].assign(
        metric="h50_steps", estimate=lambda f: 16 * f["estimate"]
    )
    estimates = pd.concat([scores, steps], ignore_index=True)
    compute = scores[["model", "model_family"]].drop_duplicates()
    (row,) = factor_of_estimates(estimates, compute, ("h50_steps",), 0).rows
    assert row["metric"] == "h50_steps:code" and row["benchmarks"] == 2
    with pytest.raises(DataError, match="several values a model"):
        factor_of_estimates(pd.concat([estimates, steps]), compute, (), 0)


def test_too_few_models_or_benchmarks_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be told"):
        factor_of_scores(panel(4), (), 0)
    with pytest.raises(ConfigError, match="did you mean 'maths'"):
        factor_of_scores(panel(), ("math",), 0)
    result = call(panel(), tmp_path, "--factor", "--axes")
    assert isinstance(result.exception, ConfigError)
    assert "general" in call(panel(), tmp_path, "--factor").stdout
