"""The verbs fit and forecast on plain tables: shapes of the answer, and every bad input a clear message."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from dangercurve._errors import DangercurveError
from dangercurve.evals.cli import cli


def scores(n: int = 12) -> pd.DataFrame:
    x = np.linspace(20.5, 24, n)
    rng = np.random.default_rng(0)
    p = 1 / (1 + np.exp(-1.5 * (x - 23) - rng.normal(0, 0.1, n)))
    return pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(n)],
            "family": [f"f{i % 3}" for i in range(n)],
            "flops": 10**x,
            "benchmark": "b",
            "score": rng.binomial(400, p) / 400,
            "chance": 0.0,
            "n_items": 400,
        }
    )


def call(frame: pd.DataFrame, tmp_path: Path, verb: str, *options: str) -> Result:
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    return CliRunner().invoke(cli, [verb, str(path), *options])


def forecast(frame: pd.DataFrame, tmp_path: Path, *options: str) -> Result:
    fixed = ("--as-of", "2026-11-01", "--draws", "300", "--shape", "logistic", "--format", "json")
    return call(frame, tmp_path, "forecast", "--threshold", "0.8", *fixed, *options)


def test_forecast_prints_the_forecast_object(tmp_path: Path) -> None:
    result = forecast(scores(), tmp_path)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    wanted = "subject model_scope metric event threshold form status log10_c p_never p_within date p_by frontier cap"
    assert set(wanted.split()) | {"shapes", "missing_worst_case", "seed", "simulated"} <= set(found)
    assert found["status"] == "identified" and found["log10_c"]["q05"] < found["log10_c"]["q95"]


def test_a_roadmap_takes_the_place_of_the_frontier(tmp_path: Path) -> None:
    road = tmp_path / "road.csv"
    road.write_text("date,flop\n2027-01-01,1e24\n2028-01-01,1e26\n2030-01-01,1e27\n")
    found = json.loads(forecast(scores(), tmp_path, "--roadmap", str(road)).stdout)
    assert found["frontier"] == "roadmap"


def test_a_ledger_is_written_and_scored(tmp_path: Path) -> None:
    book = tmp_path / "l.jsonl"
    early = scores().head(11)
    assert forecast(early, tmp_path, "--ledger", str(book), "--next", "m11=1e24").exit_code == 0
    assert forecast(scores(), tmp_path, "--ledger", str(book)).exit_code == 0
    kinds = [json.loads(line)["kind"] for line in book.read_text().splitlines()]
    assert kinds == ["prediction", "forecast", "score", "forecast"]


BAD = {
    "empty table": (lambda f: f.head(0), "empty"),
    "one model": (lambda f: f.head(1), "at least 3"),
    "percentages": (lambda f: f.assign(score=f["score"] * 100), "percent"),
    "all NaN": (lambda f: f.assign(score=np.nan), "no usable row"),
    "infinite FLOP": (lambda f: f.assign(flops=np.inf), "no usable row"),
    "negative FLOP": (lambda f: f.assign(flops=-f["flops"]), "no usable row"),
    "no score column": (lambda f: f.drop(columns="score"), "score"),
    "two benchmarks": (lambda f: f.assign(benchmark=["b", "c"] * 6), "never pooled"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_refused_in_words(case: str, tmp_path: Path) -> None:
    change, message = BAD[case]
    result = forecast(change(scores()), tmp_path)
    assert isinstance(result.exception, DangercurveError), result.output
    assert message in str(result.exception).lower()


ODD = {
    "one family": lambda f: f.assign(family="one"),
    "all at the floor": lambda f: f.assign(score=0.0),
    "all at one": lambda f: f.assign(score=1.0),
    "some NaN and outside": lambda f: f.assign(score=[np.nan, 1.5, *f["score"][2:]]),
    "duplicates": lambda f: pd.concat([f, f.head(2)]),
    "no chance floor": lambda f: f.drop(columns="chance"),
    "one compute": lambda f: f.assign(flops=1e22),
    "three date formats": lambda f: f.assign(release_date=["2024-05-31", "31 May 2024", "05/31/2024"] * 4),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_tables_get_an_honest_flagged_answer(case: str, tmp_path: Path) -> None:
    result = forecast(ODD[case](scores()), tmp_path)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    if case in ("all at the floor", "all at one", "one compute"):
        assert found["status"] == "not_identified" and found["log10_c"]["q50"] is None
    if case in ("some NaN and outside", "duplicates"):
        assert len(found["dropped"]) == 2
    if case != "three date formats":
        assert found["flags"]


def test_fit_lists_curves_and_law(tmp_path: Path) -> None:
    rows = json.loads(call(scores(), tmp_path, "fit", "--format", "json").stdout)
    assert {row["form"] for row in rows} >= {"logistic", "gompertz", "power_law", "last_value"}
    assert all(row["benchmark"] == "b" and row["n_models"] == 12 for row in rows)
    rng = np.random.default_rng(0)
    n = 10 ** rng.uniform(8, 10, 10)
    d = 10 ** rng.uniform(9, 12, 10)
    table = pd.DataFrame({"N": n, "D": d, "loss": 1.8 + 480 * n**-0.35 + 2000 * d**-0.37})
    result = call(
        table, tmp_path, "fit", "--law", "--budget", "1e22", "--bootstrap", "20", "--format", "json"
    )
    found = json.loads(result.stdout)
    assert found["law"]["E"] == pytest.approx(1.8, rel=0.01) and found["optimal"][0]["tokens_per_param"] > 0


def test_fit_refuses_a_law_without_tokens(tmp_path: Path) -> None:
    result = call(scores(), tmp_path, "fit", "--law")
    assert "no column 'N'" in str(result.exception)
