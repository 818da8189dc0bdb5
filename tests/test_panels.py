"""Panels come from observations of simulated models whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dangercurve.analysis.simulated import parse_simulated
from dangercurve.evals import pipeline
from dangercurve.evals.panels.panels import write_panels
from dangercurve.evals.run import open_run, run_study
from dangercurve.evals.store import read_observations
from dangercurve.evals.study import load_study

MODEL = "smooth@22.5"
STUDY = f"""
name: panels
models:
  - {{model: sim/{MODEL}, interfaces: [text, choice], kappa: [1, 2], levels: [1, 2]}}
  - {{model: sim/{MODEL}, interfaces: [tools], from_milestone: [0, 1, 2], levels: [3]}}
tasks: [ops_horizon]
n: 24
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("panels")
    path = folder / "study.yaml"
    path.write_text(STUDY)
    study, _ = load_study(path)
    open_run(path, folder / "run", study)
    assert run_study(study, folder / "run", lambda _: None).complete
    write_panels(folder / "run", pipeline.write_estimates(folder / "run"))
    return folder / "run"


def entries(run: Path, name: str) -> list[dict[str, object]]:
    found = json.loads((run / "evidence" / f"{name}.json").read_text())
    assert isinstance(found, list)
    return found


def test_a_participant_that_never_wastes_a_step_has_a_flat_kappa_curve(run: Path) -> None:
    curves = {e["metric"]: e for e in entries(run, "elicitation")}
    assert curves.keys() == {"success_rate", "h50_steps"}
    assert [p["effort"] for p in curves["success_rate"]["curve"]] == [1.0, 2.0]  # type: ignore[attr-defined]
    assert curves["success_rate"]["plateau"] != "rising"


def test_bits_to_solve_agree_with_the_slip_rate_and_leave_no_chaining_gap(run: Path) -> None:
    (entry,) = entries(run, "bits")
    truth = 8 * 2 ** -parse_simulated(MODEL).log2_h50()
    assert float(str(entry["lcb"])) < truth < float(str(entry["ucb"]))
    assert float(str(entry["chaining_gap_lo"])) < 0 < float(str(entry["chaining_gap_hi"]))


def test_rollouts_from_a_milestone_never_enter_the_estimate_of_the_whole(run: Path) -> None:
    estimates = pipeline.read_estimates(run)
    whole = estimates[(estimates["interface"] == "tools") & (estimates["metric"] == "success_rate")]
    counts = whole.set_index("elicitation")["n_instances"].to_dict()
    assert counts["zero"] == 24
    assert {"zero@m1", "zero@m2"} < counts.keys()
    starts = read_observations(run).groupby("from_milestone")["success"].mean()
    assert starts[2] > starts[0]


def test_interfaces_are_compared_on_the_same_instances(run: Path) -> None:
    rows = [e for e in entries(run, "interfaces") if e["kappa"] == 2.0]
    assert rows
    for row in rows:
        assert row["n_pairs"] == 24
        assert float(str(row["lcb"])) <= 0 <= float(str(row["ucb"]))


SANDBAGGERS = """
name: sandbag
models: [bot/sandbagger, bot/honest, bot/refuser]
tasks: [threshold_sandbag]
levels: [0]
interfaces: [text]
arms: {thr: [none, neutral_label, penalty]}
n: 20
"""


def test_the_sandbagging_panel_finds_the_planted_bot_and_spares_the_honest_one(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(SANDBAGGERS)
    study, _ = load_study(path)
    open_run(path, tmp_path / "run", study)
    run_study(study, tmp_path / "run", lambda _: None)
    write_panels(tmp_path / "run", pipeline.write_estimates(tmp_path / "run"))
    found = {str(e["model"]): e for e in entries(tmp_path / "run", "sandbagging")}
    assert "bot/refuser" not in found, "a refuser is no evidence, not an honest model"
    gaps = {model: e["gap"] for model, e in found.items()}
    assert gaps["bot/sandbagger"]["lcb"] > 0  # type: ignore[index]
    assert gaps["bot/honest"]["lcb"] <= 0  # type: ignore[index]
    assert found["bot/honest"]["power"]["value"] >= 0.8  # type: ignore[index]
