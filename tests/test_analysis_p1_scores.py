"""Benchmark tables: every bad input is an error in words, or a dropped row that is counted, or a flag."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dangercurve._errors import DataError
from dangercurve.analysis.scores import chance_floor, parse_dates, read_scores, validate_scores


def good(n: int = 6) -> pd.DataFrame:
    N = 1e9 * 2.0 ** np.arange(n)
    return pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(n)],
            "family": ["f"] * n,
            "N": N,
            "D": 2e11,
            "flops": 6 * N * 2e11,
            "benchmark": "b",
            "score": np.linspace(0.3, 0.6, n),
            "chance": 0.25,
            "n_items": 100,
        }
    )


def test_a_clean_table_passes_unchanged() -> None:
    table = validate_scores(good())
    assert table.dropped == ()
    assert table.flags == ()
    assert table.frame["score"].tolist() == good()["score"].tolist()


def test_an_empty_table_is_an_error() -> None:
    with pytest.raises(DataError, match="empty"):
        validate_scores(good().iloc[:0])


def test_a_missing_column_is_named_with_a_suggestion() -> None:
    with pytest.raises(DataError, match=r"no column 'benchmark'.*benchmarks"):
        validate_scores(good().rename(columns={"benchmark": "benchmarks"}))


def test_percentages_are_refused() -> None:
    with pytest.raises(DataError, match="divide it by 100"):
        validate_scores(good().assign(score=[30, 40, 50, 60, 70, 80]))


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("score", np.nan, "score missing"),
        ("score", 1.2, r"outside \[0, 1\]"),
        ("score", -0.1, r"outside \[0, 1\]"),
        ("flops", np.inf, "infinite"),
        ("flops", -1e21, "negative"),
        ("flops", 0.0, "zero"),
        ("flops", 1.2e24, "tenfold off 6ND"),
        ("model", None, "no model"),
        ("family", None, "no model_family"),
        ("chance", 1.5, "chance outside"),
    ],
)
def test_a_bad_cell_drops_its_row_with_a_reason(column: str, value: object, reason: str) -> None:
    frame = good()
    frame[column] = frame[column].astype(object)
    frame.loc[0, column] = value
    table = validate_scores(frame)
    assert len(table.frame) == 5
    assert len(table.dropped) == 1
    assert table.dropped[0].row == 0
    assert pd.Series([table.dropped[0].reason]).str.contains(reason).all()
    assert any("1 of 6 rows dropped" in flag for flag in table.flags)


def test_tokens_a_thousandfold_too_high_are_caught_within_the_family() -> None:
    frame = good()
    frame.loc[2, ["D", "flops"]] *= 1000.0
    table = validate_scores(frame)
    assert [row.model for row in table.dropped] == ["m2"]
    assert "check the unit" in table.dropped[0].reason


def test_tokens_in_trillions_are_read_where_compute_proves_it() -> None:
    frame = good()
    frame.loc[:2, "D"] /= 1e12
    table = validate_scores(frame)
    assert table.frame["D"].tolist() == pytest.approx([2e11] * 6)
    assert any("tokens in trillions" in flag for flag in table.flags)


def test_tokens_in_trillions_without_compute_are_not_guessed() -> None:
    frame = good()
    frame.loc[0, "D"] = 0.2
    frame.loc[0, "flops"] = np.nan
    assert "unknown unit" in validate_scores(frame).dropped[0].reason


def test_missing_compute_is_counted_from_parameters_and_tokens() -> None:
    table = validate_scores(good().drop(columns="flops"))
    assert table.frame["flops"].tolist() == pytest.approx(good()["flops"].tolist())
    assert any("counted as 6ND" in flag for flag in table.flags)


def test_repeats_are_counted_and_conflicts_take_the_median() -> None:
    frame = pd.concat([good(), good().iloc[[0]].assign(score=0.5)], ignore_index=True)
    table = validate_scores(frame)
    assert len(table.frame) == 6
    assert table.dropped[0].row == 6
    assert table.frame["score"][0] == pytest.approx(0.4)
    assert any("different scores" in flag for flag in table.flags)


def test_dates_in_three_formats_and_a_guess_refused() -> None:
    dates, bad = parse_dates(
        pd.Series(["2024-05-31", "31 May 2024", "31/05/2024", "05/31/2024", "03/04/2024", None]), 6
    )
    assert [str(d.date()) for d in dates[:4]] == ["2024-05-31"] * 4
    assert dates[4:].isna().all()
    assert bad == 1


def test_a_benchmark_without_a_chance_floor_is_flagged() -> None:
    table = validate_scores(good().drop(columns="chance"))
    assert any("no chance floor" in flag for flag in table.flags)
    assert chance_floor([0.24, 0.25, 0.26, 0.5], float("nan")) == 0.25
    assert chance_floor([0.0, 0.01, 0.5], float("nan")) == 0.0


def test_hostile_names_are_harmless_and_no_warning_is_raised() -> None:
    frame = good()
    frame.loc[0, "model"] = "\x1b[31mevil"
    frame.loc[0, "score"] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = validate_scores(frame)
    assert "\x1b" not in table.dropped[0].model


def test_unreadable_files_say_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_scores(tmp_path / "none.csv")
    (tmp_path / "x.xlsx").write_bytes(b"x")
    with pytest.raises(DataError, match="cannot read"):
        read_scores(tmp_path / "x.xlsx")
    (tmp_path / "x.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"x\.csv"):
        read_scores(tmp_path / "x.csv")


def test_the_same_table_reads_alike_from_every_format(tmp_path: Path) -> None:
    good().to_csv(tmp_path / "t.csv", index=False)
    good().to_parquet(tmp_path / "t.parquet")
    good().to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    first = read_scores(tmp_path / "t.csv").frame
    for name in ("t.parquet", "t.jsonl"):
        pd.testing.assert_frame_equal(read_scores(tmp_path / name).frame, first, check_exact=False)
