"""Paired comparison of two models: pairs only, missing never an advantage, corrected over groups."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from dangercurve._errors import DataError
from dangercurve.analysis.compare import compare_models
from dangercurve.evals.cli import cli


def table(n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        hard = rng.random()
        for model, skill in (("a", 0.8), ("b", 0.4)):
            rows.append(
                {"model": model, "instance": f"i{i}", "group": f"g{i % 2}", "value": float(hard < skill)}
            )
    return pd.DataFrame(rows)


def test_the_better_model_is_found_on_paired_instances() -> None:
    (found,) = compare_models(table(), "a", "b")
    assert found.difference > 0.2 and found.lo > 0 and found.p_value < 0.01 and found.n_pairs == 40
    (swapped,) = compare_models(table(), "b", "a")
    assert swapped.difference == pytest.approx(-found.difference) and swapped.hi == pytest.approx(-found.lo)


def test_missing_samples_widen_the_worst_case_and_are_counted() -> None:
    frame = table()
    frame.loc[(frame["model"] == "b") & (frame.index < 20), "value"] = np.nan
    (found,) = compare_models(frame, "a", "b")
    assert found.missing_b == 10 and found.n_pairs == 30
    assert found.worst_lo < found.lo and found.worst_hi >= found.hi


def test_groups_are_corrected_and_unpaired_instances_counted() -> None:
    frame = table()
    frame = frame[~((frame["model"] == "b") & (frame["instance"] == "i0"))]
    found = compare_models(frame, "a", "b", by=["group"])
    assert [c.group for c in found] == ["g0", "g1"] and found[0].unpaired == 1
    assert all(c.p_holm >= c.p_value for c in found)


def test_models_without_a_shared_instance_are_refused() -> None:
    frame = pd.DataFrame({"model": ["a", "b"], "instance": ["x", "y"], "value": [1.0, 0.0]})
    with pytest.raises(DataError, match="share no instance"):
        compare_models(frame, "a", "b")
    with pytest.raises(DataError, match="no rows of model 'c'"):
        compare_models(frame, "a", "c")


def test_the_verb_reads_a_plain_table(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    table().rename(columns={"instance": "task_id", "value": "points"}).to_csv(path, index=False)
    options = ["compare", str(path), "a", "b", "--map", "score=points", "--by", "group", "--format", "json"]
    result = CliRunner().invoke(cli, options)
    assert result.exit_code == 0, result.output
    assert [row["group"] for row in json.loads(result.stdout)] == ["g0", "g1"]
