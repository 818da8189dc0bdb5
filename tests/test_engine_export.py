"""Exports run the same cells elsewhere, and hold under the other runners' own schemas where they are installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from dangercurve._errors import ConfigError
from dangercurve.evals.cli import cli
from dangercurve.evals.coverage import coverage
from dangercurve.evals.engines.location import Location
from dangercurve.evals.export_study import export_study
from dangercurve.evals.run import open_run, run_study
from dangercurve.evals.study import Study, cells_of, load_study

TEAM = """
name: team
models:
  - openai/gpt-5-mini
  - {model: openai/gpt-5.4, reasoning_effort: [low, high]}
  - {model: bot/oracle, n: 5}
tasks: [ops_horizon, toy_vuln]
levels: [0, 1]
interfaces: [tools]
arms: {cue: [none, eval]}
roles: {monitor: openai/gpt-5-mini}
sampling: {temperature: 0.7}
limits: {usd: 20}
n: 20
shard: 10
batch: {size: 50}
"""
HAWK = """
import sys, warnings, pydantic
from ruamel.yaml import YAML
from hawk.core.types.evals import EvalSetConfig
warnings.simplefilter("ignore")
def extra(value):
    if isinstance(value, pydantic.BaseModel):
        own = list(value.model_extra or ())
        return own + [n for k in type(value).model_fields for n in extra(getattr(value, k))]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [n for v in values for n in extra(v)]
for path in sys.argv[1:]:
    config = EvalSetConfig.model_validate(YAML(typ="safe").load(open(path)))
    assert extra(config) == [], extra(config)
    print(len(config.tasks[0].items), ",".join(item.name for group in config.models for item in group.items))
"""
FLOW = """
import sys, yaml
from inspect_flow import FlowSpec
for path in sys.argv[1:]:
    print(len(FlowSpec.model_validate(yaml.safe_load(open(path))).tasks))
"""


@pytest.fixture
def team(tmp_path: Path) -> Study:
    path = tmp_path / "team.yaml"
    path.write_text(TEAM)
    return load_study(path)[0]


def test_flow_gets_every_cell_with_its_own_model_and_settings(team: Study) -> None:
    made = export_study(team, "flow")
    spec = yaml.safe_load(made.texts[0])
    cells = cells_of(team)
    assert [t["args"] for t in spec["tasks"]] == [c.task_args("dev") for c in cells]
    assert [t["model"]["name"] for t in spec["tasks"]] == [c.model for c in cells]
    efforts = {t["model"]["config"].get("reasoning_effort") for t in spec["tasks"]}
    assert efforts == {None, "low", "high"}
    assert all(t["model"]["config"]["batch"] == {"size": 50} for t in spec["tasks"])
    assert any("usd" in note for note in made.notes) and "usd" in made.texts[0]


def test_hawk_crosses_tasks_with_models_and_so_gets_a_file_for_each_set_that_is_a_grid(team: Study) -> None:
    played = [
        (
            model["name"],
            model.get("args", {}).get("config", {}).get("reasoning_effort"),
            item["name"],
            item["args"]["start"],
        )
        for text in export_study(team, "hawk").texts
        for spec in [yaml.safe_load(text)]
        for model in spec["models"][0]["items"]
        for item in spec["tasks"][0]["items"]
    ]
    assert sorted(played, key=str) == sorted(
        ((c.model, c.effort, c.task, c.start) for c in cells_of(team)), key=str
    )


def test_what_the_other_runner_would_change_is_refused(team: Study) -> None:
    limited = team.model_copy(update={"limits": team.limits.model_copy(update={"output_tokens": 100})})
    with pytest.raises(ConfigError, match="output_tokens"):
        export_study(limited, "hawk")
    assert "output:100" in export_study(limited, "flow").texts[0]
    with pytest.raises(ConfigError, match="model arguments"):
        entry = team.models[0].model_copy(update={"model_args": {"a": 1}})
        export_study(team.model_copy(update={"models": [entry]}), "hawk")


def test_the_verb_writes_one_file_a_grid(tmp_path: Path) -> None:
    study = tmp_path / "team.yaml"
    study.write_text(TEAM)
    done = CliRunner().invoke(cli, ["export", str(study), "--to", "hawk", "-o", str(tmp_path / "h.yaml")])
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in tmp_path.glob("h*.yaml")) == ["h-1.yaml", "h-2.yaml", "h-3.yaml"]


@pytest.mark.parametrize(("to", "code"), [("hawk", HAWK), ("flow", FLOW)])
def test_the_other_runner_s_own_schema_takes_it_with_no_unknown_key(
    team: Study, tmp_path: Path, to: str, code: str
) -> None:
    """hawk lets typos pass, so its models must hold nothing extra."""
    python = os.environ.get(f"DANGERCURVE_{to.upper()}_PYTHON")
    if not python:
        pytest.skip(
            f"set DANGERCURVE_{to.upper()}_PYTHON to a Python that has {to} installed (docs/scale.md)"
        )
    made = export_study(team, "hawk" if to == "hawk" else "flow")
    paths = []
    for index, text in enumerate(made.texts):
        paths.append(tmp_path / f"{index}.yaml")
        paths[-1].write_text(text)
    done = subprocess.run(
        [python, "-c", code, *map(str, paths)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(paths)


def test_the_matrix_says_what_each_arm_of_each_task_and_model_has(tmp_path: Path) -> None:
    path, run = tmp_path / "study.yaml", tmp_path / "run"
    text = "name: m\nmodels: [bot/oracle]\ntasks: [ops_horizon]\nlevels: [0]\ninterfaces: [text]\narms: {cue: [none, eval]}\n"
    text += "n: 3\n"
    path.write_text(text)
    study, _ = load_study(path)
    open_run(path, run, study)
    run_study(study, run, lambda _: None)
    place = Location(str(run))
    rows = coverage(study, place)
    assert [(r["arms"], r["samples"], r["logged"], r["log"]) for r in rows] == [
        ("cue=none", 3, 3, "current"),
        ("cue=eval", 3, 3, "current"),
    ]
    other = Study.model_validate(yaml.safe_load(text) | {"epochs": 2, "interfaces": ["text", "choice"]})
    assert [r["log"] for r in coverage(other, place)] == ["stale", "stale", "missing", "missing"]
