"""From a run folder to the page: the verb, what is missing, and what is damaged."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from support_report import EVIL, REAL, make_run

from dangercurve._errors import ConfigError
from dangercurve.analysis.report.page import render
from dangercurve.evals.reporting.data import build_report
from dangercurve.evals.store import label, read_observations
from dangercurve.evals.verbs.forecast import command as forecast_command
from dangercurve.evals.verbs.report import command, write_report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = {f"sim/smooth@{c}": (c - 19) / 5 for c in (20, 21, 22, 23)} | {
        REAL: 0.9,
        EVIL: 0.3,
        "bot/random": 0.2,
    }
    return make_run(tmp_path_factory.mktemp("report") / "tiny", models)


def text_of(page: str) -> str:
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<(style|script).*?</\1>", "", page, flags=re.S))
    )


def test_the_verb_writes_the_page_into_the_run_folder_and_again_the_same(run: Path) -> None:
    result = CliRunner().invoke(command, [str(run)])
    assert result.exit_code == 0, result.output
    first = (run / "report.html").read_bytes()
    write_report(run)
    assert (run / "report.html").read_bytes() == first
    assert not [p for p in run.iterdir() if p.suffix == ".tmp"]


def test_the_page_holds_what_the_folder_holds(run: Path) -> None:
    data = build_report(run)
    assert data.problems == ()
    assert set(data.roles.values()) == {"real", "SIMULATED", "bot"}
    assert sum(s.total for s in data.statuses) == len(read_observations(run))
    assert [c.input_tokens for c in data.costs] == [300 * s.total for s in data.statuses]
    assert all(c.usd is None for c in data.costs)
    (scaling,) = [s for s in data.scalings if s.forecast is not None]
    assert scaling.band is not None and len(scaling.points) == 6
    assert {p.model for p in scaling.points if p.log10_flop is None} == {label(EVIL)}
    assert {p.model for p in scaling.points if p.in_fit} == {
        p.model for p in scaling.points if p.role == "SIMULATED"
    }
    page = text_of(render(data))
    assert "SIMULATED models only in the fit" in page
    for words in (
        "UNRESOLVED: tiny",
        "beats the random floor",
        "10^24.1",
        "too few instances",
        "c0ffee",
    ):
        assert words in page


def test_rates_are_those_of_the_estimates(run: Path) -> None:
    data = build_report(run)
    frame = pd.read_parquet(run / "estimates" / "estimates.parquet")
    row = frame[
        (frame.model == REAL)
        & (frame.metric == "success_rate")
        & (frame.family == "ops_horizon")
        & (frame.twin == "base")
    ]
    levels = [r for r in data.levels if (r.model, r.family, r.twin) == (REAL, "ops_horizon", "base")]
    total = sum(r.estimate * r.n_instances for r in levels) / sum(r.n_instances for r in levels)
    assert total == pytest.approx(float(row["estimate"].iloc[0]))


def test_a_sample_that_was_not_scored_is_missing_and_never_a_failure(tmp_path: Path) -> None:
    data = build_report(make_run(tmp_path / "r", {REAL: 0.9}, status="refused"))
    assert all(r.n_instances == 0 and r.n_missing == 12 and r.estimate != r.estimate for r in data.levels)
    assert "none of" in text_of(render(data))


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        ("verdict.json", "NO VERDICT"),
        ("study.yaml", "study.yaml is missing"),
        ("events.jsonl", "events.jsonl is missing"),
        ("estimates", "estimates/ holds no estimate"),
        ("forecasts", "forecasts/ holds no forecast"),
        ("store", "the store holds no observations"),
    ],
)
def test_what_is_missing_is_named_on_the_page(run: Path, tmp_path: Path, piece: str, words: str) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    path = copy / piece
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert words in text_of(write_report(copy).read_text())


@pytest.mark.parametrize(
    "piece",
    ["verdict.json", "study.yaml", "events.jsonl", "estimates/estimates.parquet", "forecasts/forecasts.json"],
)
def test_damage_is_named_and_the_rest_is_still_shown(run: Path, tmp_path: Path, piece: str) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    (copy / piece).write_bytes(b"\xff{\x00: [<script>")
    page = write_report(copy).read_text()
    name = piece.rsplit("/", maxsplit=1)[-1].split(".", maxsplit=1)[0]
    assert any(name in line for line in build_report(copy).problems)
    assert "How far up the ladder of ops_horizon" in page and ": [<script>" not in page


def test_the_scenarios_that_forecast_writes_are_those_of_the_page(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    file = copy / "evidence" / "scenarios.json"
    file.parent.mkdir(exist_ok=True)
    asked = [str(copy), "--scenarios", "shipped", "--format", "json", "-o", str(file)]
    result = CliRunner().invoke(forecast_command, asked)
    assert result.exit_code == 0, result.output
    written = json.loads(file.read_text())
    data = build_report(copy)
    assert data.problems == ()
    for shown, said in zip(data.scenarios, written["scenarios"].values(), strict=True):
        now = said["at"]["now"]
        assert (shown.name, shown.p, shown.lower, shown.upper) == (
            said["label"],
            now["p"],
            now["low"],
            now["high"],
        )
        assert len(shown.nodes) == len(now["rise"])
        assert sum(n.bottleneck for n in shown.nodes) == (now["bottleneck"] is not None)
    page = text_of(render(data))
    assert "Which milestone holds each misuse scenario back?" in page and "no evidence" in page


@pytest.mark.parametrize(
    "change",
    [lambda w: w["milestones"].clear(), lambda w: w["scenarios"].update(x=1), lambda w: w.clear()],
)
def test_scenarios_of_another_shape_are_a_problem_and_no_figure(
    run: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    file = copy / "evidence" / "scenarios.json"
    file.parent.mkdir(exist_ok=True)
    CliRunner().invoke(
        forecast_command, [str(copy), "--scenarios", "shipped", "--format", "json", "-o", str(file)]
    )
    written = json.loads(file.read_text())
    change(written)
    file.write_text(json.dumps(written))
    data = build_report(copy)
    assert data.scenarios == () and any("scenarios.json" in line for line in data.problems)


def test_an_empty_folder_gives_a_page_that_rules_nothing_out(tmp_path: Path) -> None:
    page = text_of(write_report(tmp_path).read_text())
    assert "NO VERDICT" in page and "nothing is ruled out" in page


def test_a_folder_that_is_not_there_is_one_line_and_exit_2(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such run folder") as caught:
        write_report(tmp_path / "nowhere")
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_one_line_and_keeps_the_old_page(
    run: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    copy.chmod(0o500)
    try:
        with pytest.raises(ConfigError, match="cannot write"):
            write_report(copy)
    finally:
        copy.chmod(0o700)
