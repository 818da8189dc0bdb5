"""Input that must not pass in silence: a thousandfold FLOP error, tables of runs, tables too long, one bad benchmark."""

from __future__ import annotations

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
