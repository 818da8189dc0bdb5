"""Paired comparison of two models: pairs only, missing never an advantage, corrected over groups."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from dangercurve._errors import ConfigError, DataError
from dangercurve.analysis.compare import compare_models
from dangercurve.evals.cli import cli
from dangercurve.evals.gating.gate_world import World, write_run


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


def test_a_group_that_one_model_alone_played_is_shown_without_a_number() -> None:
    frame = table()
    found = compare_models(frame[(frame["model"] == "a") | (frame["group"] == "g0")], "a", "b", by=["group"])
    assert [c.group for c in found] == ["g0", "g1"]
    alone = found[1]
    assert np.isnan(alone.difference) and (alone.lo, alone.hi) == (-1.0, 1.0)
    assert alone.n_shared == alone.n_pairs == 0 and alone.unpaired == 20 and alone.comparable is None


def test_a_group_without_a_name_is_a_group() -> None:
    frame = table().assign(group=None)
    (found,) = compare_models(frame, "a", "b", by=["group", "group"])
    assert (found.group, found.n_pairs) == ("none", 40)


@pytest.mark.parametrize("column", ["model", "instance"])
def test_rows_that_name_no_model_or_instance_are_refused_and_counted(column: str) -> None:
    frame = table()
    frame.loc[[1, 2, 3], column] = None
    with pytest.raises(DataError, match=f"3 of 80 rows name no {column}"):
        compare_models(frame, "a", "b")


@pytest.mark.parametrize("column", ["groop", "model"])
def test_a_comparison_cannot_be_split_by_a_column_that_is_not_there_or_is_the_model(column: str) -> None:
    with pytest.raises(DataError, match="cannot split the comparison"):
        compare_models(table(), "a", "b", by=[column])


def test_models_whose_names_are_numbers_are_found() -> None:
    frame = table().replace({"model": {"a": 1, "b": 2}})
    assert compare_models(frame, "1", "2")[0].n_pairs == 40


def plain(tmp_path: Path, frame: pd.DataFrame, name: str = "runs") -> str:
    path = tmp_path / f"{name}.csv"
    frame.rename(columns={"instance": "task_id", "value": "score"}).to_csv(path, index=False)
    return str(path)


def test_a_score_that_is_text_is_refused_and_never_read_as_missing(tmp_path: Path) -> None:
    frame = table().astype({"value": object})
    frame.loc[3, "value"] = "0,5"
    result = CliRunner().invoke(cli, ["compare", plain(tmp_path, frame), "a", "b"])
    assert isinstance(result.exception, DataError)
    assert "row 4: the score '0,5' is no number" in str(result.exception)


def test_two_tables_with_a_model_each_are_compared(tmp_path: Path) -> None:
    frame = table()
    one, two = (plain(tmp_path, frame[frame["model"] == m], m) for m in "ab")
    result = CliRunner().invoke(cli, ["compare", one, "a", "b", "--with", two, "--alpha", "0.001"])
    assert result.exit_code == 0, result.output
    assert "99.9 % two-sided" in result.stdout
    whole = CliRunner().invoke(cli, ["compare", plain(tmp_path, frame), "a", "b", "--alpha", "0.001"])
    assert result.stdout == whole.stdout


def test_options_that_a_table_or_a_run_folder_does_not_have_are_refused(tmp_path: Path) -> None:
    run = str(write_run(tmp_path / "run", [World(success=[1] * 5)]))
    asked = [
        [plain(tmp_path, table()), "a", "b", "--value", "outcome"],
        [run, "a", "b", "--map", "score=x"],
        [run, "a", "b", "--with", plain(tmp_path, table())],
        [run, "a", "b", "--value", "bits"],
    ]
    for options in asked:
        result = CliRunner().invoke(cli, ["compare", *options])
        assert isinstance(result.exception, ConfigError), options


def test_two_run_folders_are_compared_and_another_key_is_said(tmp_path: Path) -> None:
    one = str(write_run(tmp_path / "one", [World(model="sim/a@22", success=[1, 0] * 20)]))
    two = str(write_run(tmp_path / "two", [World(model="sim/b@22", success=[1, 1] * 20)]))
    other = str(write_run(tmp_path / "other", [World(model="sim/b@22", success=[1, 1] * 20, key="e" * 16)]))
    options = ["compare", one, "sim/a@22", "sim/b@22", "--format", "json", "--with"]
    same, differ = (CliRunner().invoke(cli, [*options, path]) for path in (two, other))
    (row,) = json.loads(same.stdout)
    assert (row["n_pairs"], row["difference"], row["comparable"]) == (40, -0.5, True)
    assert "comparability" not in same.stderr
    (row,) = json.loads(differ.stdout)
    assert row["difference"] == -0.5 and row["comparable"] is False
    assert "several comparability keys" in differ.stderr


def test_samples_of_another_interface_are_never_paired(tmp_path: Path) -> None:
    worlds = [
        World(model="sim/a@22", success=[1] * 9),
        World(model="sim/b@22", success=[0] * 9, interface="text"),
    ]
    run = str(write_run(tmp_path / "run", worlds))
    result = CliRunner().invoke(cli, ["compare", run, "sim/a@22", "sim/b@22"])
    assert isinstance(result.exception, DataError) and "same twin, arms, interface and budget" in str(
        result.exception
    )
    result = CliRunner().invoke(cli, ["compare", run, "sim/a@22", "sim/b@22", "--by", "nope"])
    assert isinstance(result.exception, DataError) and "cannot split" in str(result.exception)
