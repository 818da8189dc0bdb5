"""Input that must not pass in silence: a thousandfold FLOP error, tables of runs, tables too long, one bad benchmark."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from dangercurve._errors import DataError
from dangercurve.analysis import tables
from dangercurve.analysis.flags import compute_suspects
from dangercurve.analysis.points import curve_data, points_from_scores
from dangercurve.analysis.predictable import law_or_noise
from dangercurve.analysis.scores import validate_scores
from dangercurve.evals.cli import cli


def scores(n: int = 20, benchmark: str = "b") -> pd.DataFrame:
    x = np.linspace(20.5, 24, n)
    rng = np.random.default_rng(0)
    p = 1 / (1 + np.exp(-1.5 * (x - 22.5) - rng.normal(0, 0.2, n)))
    return pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(n)],
            "family": [f"f{i % 4}" for i in range(n)],
            "flops": 10**x,
            "benchmark": benchmark,
            "score": rng.binomial(400, p) / 400,
            "chance": 0.0,
            "n_items": 400,
        }
    )


def call(frame: pd.DataFrame, tmp_path: Path, verb: str, *options: str) -> Result:
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    return CliRunner().invoke(cli, [verb, str(path), *options])


def suspects(frame: pd.DataFrame) -> list[str]:
    points = points_from_scores(validate_scores(frame))
    return compute_suspects(curve_data(points), [str(m) for m in points.frame["model"]])


@pytest.mark.parametrize(("factor", "word"), [(1e3, "more"), (1e-3, "less")])
def test_a_thousandfold_flop_error_is_named_where_no_size_contradicts_it(factor: float, word: str) -> None:
    frame = scores()
    frame.loc[9, "flops"] *= factor
    (line,) = suspects(frame)
    assert line.startswith(("m9 has 3.", "m9 has 2."))
    assert word in line


def test_honest_scatter_flat_and_saturated_scores_are_not_suspected() -> None:
    assert suspects(scores()) == []
    assert suspects(scores().assign(score=0.3)) == []
    assert suspects(scores().assign(score=1.0)) == []
    assert suspects(scores(6)) == []


def test_a_table_of_runs_is_refused_as_scores() -> None:
    runs = pd.concat([scores().assign(score=float(k % 3 == 0), n_items=1) for k in range(8)])
    with pytest.raises(DataError, match="this is a table of runs"):
        validate_scores(runs)
    assert len(validate_scores(scores().assign(score=1.0)).frame) == 20


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_too_long_is_refused_before_it_is_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"t.{kind}"
    frame = scores(40)
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    monkeypatch.setattr(tables, "MAX_ROWS", 30)
    monkeypatch.setattr(tables.pd, f"read_{kind}", lambda *_: pytest.fail("the table was read"))
    with pytest.raises(DataError, match="more than 30: average the runs"):
        tables.read_frame(path)


def test_one_bad_benchmark_does_not_hide_the_others(tmp_path: Path) -> None:
    frame = pd.concat([scores(), scores(benchmark="flat").assign(flops=1e22), scores(3, "short")])
    result = call(frame, tmp_path, "fit")
    assert result.exit_code == 0
    assert "note: flat: " in result.stderr and "note: short: 3 models" in result.stderr


def test_a_benchmark_without_variation_gives_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = law_or_noise(
            np.linspace(20, 24, 12), np.zeros(12), lambda _x, _y, new: np.zeros(new.size), min_train=6
        )
    assert np.isnan(found.lo) and found.verdict != "law"


def test_rows_left_out_of_horizons_are_said(tmp_path: Path) -> None:
    years = np.arange(9) / 2
    table = pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(9)],
            "release_date": [f"{2021 + int(y)}-{1 + 6 * int(y % 1 > 0):02d}-01" for y in years],
            "p50": [np.nan, *(2.0 ** (2 * y) for y in years[1:])],
        }
    )
    result = call(table, tmp_path, "backtest", "--time")
    assert result.exit_code == 0 and "dropped 1 rows: no p50" in result.stderr


@pytest.mark.parametrize("verb", [("fit",), ("backtest", "--cut-flops", "1e23")])
def test_a_saturated_benchmark_and_a_lone_family_are_said_by_every_verb(
    verb: tuple[str, ...], tmp_path: Path
) -> None:
    result = call(scores(30).assign(score=1.0, family="one"), tmp_path, *verb)
    assert result.exit_code == 0
    assert "every score is at the ceiling" in result.stderr and "one model family" in result.stderr


def test_a_benchmark_with_two_chance_floors_is_still_backtested_and_said(tmp_path: Path) -> None:
    frame = scores(30)
    frame.loc[0, "chance"] = 0.1
    result = call(frame, tmp_path, "backtest", "--cut-flops", "1e23")
    assert result.exit_code == 0 and "2 chance floors" in result.stderr


@pytest.mark.parametrize("verb", [("fit",), ("fit", "--law"), ("backtest", "--cut-flops", "1e22")])
def test_an_empty_file_is_empty_and_not_unreadable(verb: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("")
    result = CliRunner().invoke(cli, [verb[0], str(path), *verb[1:]])
    assert "t.csv is empty: nothing can be estimated" in str(result.exception)


def test_a_model_with_two_values_of_compute_or_two_families_is_named() -> None:
    frame = pd.concat([scores(), scores(benchmark="c")], ignore_index=True)
    frame.loc[3, "flops"] *= 1000
    frame.loc[4, "family"] = "other"
    flags = validate_scores(frame).flags
    assert any("several values of compute (up to 1e+03-fold: m3)" in line for line in flags)
    assert any("1 models have several model families (first: m4)" in line for line in flags)
    assert not any("several" in line for line in validate_scores(scores()).flags)


def test_compute_is_counted_as_6nd_only_where_none_is_given() -> None:
    frame = scores().assign(N=lambda f: (f["flops"] / 120) ** 0.5, D=lambda f: 20 * f["N"])
    frame.loc[0, "flops"], frame.loc[1, "flops"], frame.loc[2, "flops"] = np.inf, -1e22, np.nan
    table = validate_scores(frame)
    assert "compute of 1 rows counted as 6ND" in table.flags and len(table.dropped) == 2


def test_few_models_are_said_beside_a_forecast() -> None:
    from dangercurve.analysis.flags import table_flags

    said = table_flags(points_from_scores(validate_scores(scores(5))))
    assert any(line.startswith("5 models of 4 model families") for line in said)
    assert table_flags(points_from_scores(validate_scores(scores()))) == []


def losses() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    n, d = 10 ** rng.uniform(7, 9.5, 30), 10 ** rng.uniform(9, 11.5, 30)
    noise = np.exp(rng.normal(0, 0.01, 30))
    return pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(30)],
            "N": n,
            "D": d,
            "loss": (1.7 + 400 / n**0.34 + 410 / d**0.28) * noise,
        }
    )


def law(frame: pd.DataFrame, tmp_path: Path, *options: str) -> Result:
    return call(frame, tmp_path, "fit", "--law", "--bootstrap", "0", *options)


def test_a_law_lists_every_row_it_leaves_out(tmp_path: Path) -> None:
    frame = losses()
    frame.loc[0, "N"], frame.loc[1, "D"], frame.loc[2, "loss"] = np.nan, -1.0, np.inf
    frame.loc[3, "D"] /= 1e12
    result = law(pd.concat([frame, frame.tail(1)]), tmp_path)
    assert result.exit_code == 0
    for line in (
        "5 of 31 rows dropped",
        "row 0 (m0): N is missing",
        "row 1 (m1): D is missing",
        "row 2 (m2): loss is missing",
        "row 3 (m3): tokens in an unknown unit",
        "row 30 (m29): copy of an earlier row",
    ):
        assert line in result.stderr


def test_tokens_in_trillions_are_read_by_their_compute_in_a_law(tmp_path: Path) -> None:
    frame = losses().assign(flops=lambda f: 6 * f["N"] * f["D"])
    other = frame.assign(D=frame["D"] / 1e12)
    first, second = (law(f, tmp_path, "--format", "json") for f in (frame, other))
    assert "30 rows read as tokens in trillions" in second.stderr
    assert json.loads(second.stdout)["law"]["b"] == pytest.approx(
        json.loads(first.stdout)["law"]["b"], rel=1e-4
    )


def test_a_point_far_off_the_law_is_named(tmp_path: Path) -> None:
    frame = losses()
    frame.loc[5, "loss"] *= 1.5
    result = law(frame, tmp_path)
    assert "note: m5 lies +" in result.stderr and result.stderr.count("off the law") == 1


def test_a_law_of_scores_is_of_one_benchmark_and_of_rates(tmp_path: Path) -> None:
    frame = losses().assign(benchmark="b", score=lambda f: 1 - f["loss"] / 5).drop(columns="loss")
    two = pd.concat([frame, frame.assign(benchmark="c")])
    assert "keep one with --benchmark" in str(law(two, tmp_path).exception)
    assert law(two, tmp_path, "--benchmark", "c").exit_code == 0
    assert "no benchmark 'cc'" in str(law(two, tmp_path, "--benchmark", "cc").exception)
    assert "percentages" in str(law(frame.assign(score=100 * frame["score"]), tmp_path).exception)
    assert "no error left" in str(law(frame.assign(score=1.0), tmp_path).exception)
    assert "not a number" in str(law(frame.assign(score="good"), tmp_path).exception)


def test_equal_losses_show_no_law(tmp_path: Path) -> None:
    result = law(losses().assign(loss=2.0), tmp_path)
    assert result.exit_code == 0
    assert "every loss is 2: no law can be seen" in result.stderr and "nothing to predict" in result.stdout


def test_losses_that_rise_with_size_are_fitted_and_have_no_optimum(tmp_path: Path) -> None:
    result = law(losses().assign(loss=lambda f: 2 + 0.1 * np.log10(f["N"] * f["D"])), tmp_path)
    assert (
        result.exit_code == 0 and "over-training is not read: the fitted law does not fall" in result.stderr
    )


def test_saturated_scores_have_no_skill_rather_than_an_absurd_one(tmp_path: Path) -> None:
    for score in (0.0, 1.0):
        rows = json.loads(call(scores().assign(score=score), tmp_path, "fit", "--format", "json").stdout)
        assert {(row["skill"], row["verdict"]) for row in rows} == {(None, "undecided")}


def test_a_comparison_says_what_rows_lack_or_repeat(tmp_path: Path) -> None:
    table = pd.concat([scores(2, benchmark=f"b{k}") for k in range(8)], ignore_index=True)
    table.loc[0, "score"] = np.nan
    result = call(pd.concat([table, table.tail(2)]), tmp_path, "compare", "m0", "m1")
    assert result.exit_code == 0
    assert "1 rows without a score (rows 1): missing" in result.stderr
    assert "2 rows repeat a model and instance" in result.stderr and "2 of them equal" in result.stderr
    table.loc[3, "score"] = 1.5
    assert "row 4: scores must lie in [0, 1], 1 do not" in str(
        call(table, tmp_path, "compare", "m0", "m1").exception
    )


def test_axes_refuse_single_runs_and_name_repeated_settings(tmp_path: Path) -> None:
    runs = pd.concat([scores().assign(score=float(k % 2)) for k in range(8)])
    assert "this is a table of runs" in str(call(runs, tmp_path, "fit", "--axes").exception)
    twice = pd.concat([scores(), scores().head(3).assign(score=0.5)])
    assert "3 rows repeat a model and setting" in call(twice, tmp_path, "fit", "--axes").stderr
    assert "every score is 1" in call(scores().assign(score=1.0), tmp_path, "fit", "--axes").stderr


def test_a_backtest_reads_other_names_of_columns(tmp_path: Path) -> None:
    frame = scores(30).rename(columns={"flops": "compute", "benchmark": "exam"})
    options = ["--cut-flops", "1e23", "--map", "flops=compute", "--map", "benchmark=exam"]
    result = call(frame, tmp_path, "backtest", *options)
    assert result.exit_code == 0 and "random_intercept" in result.stdout


def test_models_that_nothing_tells_apart_are_said(tmp_path: Path) -> None:
    table = pd.concat([scores(2, benchmark=f"b{k}") for k in range(8)]).assign(score=1.0)
    assert "every score is 1: nothing tells" in call(table, tmp_path, "compare", "m0", "m1").stderr


@pytest.mark.parametrize(("score", "says"), [(0.0, "no run succeeded"), (1.0, "at least")])
def test_a_horizon_off_the_tasks_is_said_in_words(score: float, says: str, tmp_path: Path) -> None:
    minutes = 2.0 ** np.linspace(0, 8, 40)
    runs = pd.DataFrame(
        {"model": "m", "task_id": [f"t{i}" for i in range(40)], "task_family": "f", "human_minutes": minutes}
    )
    result = call(runs.assign(score=score), tmp_path, "horizon", "--bootstrap", "20")
    assert (
        result.exit_code == 0
        and f"m: {'' if score == 0 else 'beyond'}" in result.stderr
        and says in result.stderr
    )
