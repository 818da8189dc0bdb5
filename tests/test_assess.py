"""The whole way in one command: run, estimates, forecasts, verdict and report agree with each other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

STUDY = """
name: assess-small
models: [sim/smooth@21, sim/smooth@22, sim/smooth@23]
tasks: [ops_horizon]
levels: [0, 1, 2]
interfaces: [choice]
n: 15
policy: quickstart
subject: sim/smooth@23
"""


def dangercurve(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dangercurve.evals.cli", *arguments],
        capture_output=True, text=True, check=False, timeout=300, cwd=cwd,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assess")
    (folder / "study.yaml").write_text(STUDY)
    done = dangercurve("assess", "study.yaml", "--run", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_everything_of_a_run_lies_in_its_folder(folder: Path) -> None:
    run = folder / "run"
    for name in ("study.yaml", "verdict.json", "summary.md", "report.html", "events.jsonl", "attempts.jsonl"):
        assert (run / name).stat().st_size > 0, name
    assert {p.name for p in folder.iterdir()} == {"study.yaml", "run"}
    assert list(run.glob("estimates/*.parquet"))
    assert not list(run.rglob("*.tmp"))


def test_the_gate_says_again_what_the_assessment_said(folder: Path) -> None:
    stored = json.loads((folder / "run" / "verdict.json").read_text())
    again = dangercurve(
        "gate", "quickstart", "--store", "run", "--model", "sim/smooth@23", "--attempt-ledger", "run/attempts.jsonl",
        "--as-of", stored["as_of"], "--format", "json", cwd=folder,
    )  # fmt: skip
    verdict = json.loads(again.stdout)
    assert verdict["overall"] == stored["overall"]
    assert again.returncode == stored["exit_code"] == verdict["exit_code"]
    assert verdict["simulated"] is True
    assert "SIMULATED" in (folder / "run" / "summary.md").read_text().splitlines()[0]


def test_assess_again_with_gate_returns_the_verdicts_code_and_runs_nothing(folder: Path) -> None:
    logs = sorted(p.name for p in (folder / "run" / "logs").rglob("*.eval"))
    stored = json.loads((folder / "run" / "verdict.json").read_text())
    again = dangercurve("assess", "study.yaml", "--run", "run", "--gate", cwd=folder)
    assert again.returncode == stored["exit_code"]
    assert sorted(p.name for p in (folder / "run" / "logs").rglob("*.eval")) == logs


def test_a_forecast_of_simulated_models_is_labelled_and_of_one_condition(folder: Path) -> None:
    forecasts = json.loads((folder / "run" / "forecasts" / "forecasts.json").read_text())
    made = [f for f in forecasts if f["family"] == "ops_horizon" and "reason" not in f]
    assert made
    assert all(f["simulated"] is True and f["comparability_key"] for f in made)


def test_a_dry_run_shows_a_prompt_and_the_cost_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    done = dangercurve("assess", "study.yaml", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    assert "You work in a depot" in done.stdout
    assert "total 135 samples" in done.stdout
    assert {p.name for p in tmp_path.iterdir()} == {"study.yaml"}
