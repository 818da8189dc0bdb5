"""A small real Ray cluster on loopback plays a study, holds a cap through its purse, and leaves nothing running."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dangercurve._errors import ConfigError
from dangercurve.evals.engines.scheduler import OWN_CONNECTIONS
from dangercurve.evals.run import Engine, open_run, run_study
from dangercurve.evals.store import read_observations
from dangercurve.evals.study import Study, load_study

CAP = 6000
STUDY = """
name: cluster
models: [bot/oracle]
tasks: [ops_horizon]
levels: [1]
interfaces: [text]
n: 24
shard: 6
limits: {tokens: 6000}
"""


def opened(folder: Path) -> tuple[Study, Path]:
    path = folder / "study.yaml"
    path.write_text(STUDY)
    study, _ = load_study(path)
    open_run(path, folder / "run", study)
    return study, folder / "run"


def test_a_cluster_of_this_machine_plays_until_the_cap_and_ends_with_the_run(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    study, run = opened(tmp_path)
    done = run_study(study, run, lambda _: None, engine=Engine("ray", workers=1))
    assert "tokens" in done.stopped_by and not done.complete
    frame = read_observations(run)
    scored = frame[frame["status"] == "scored"]
    assert 6 <= len(scored) < 24 and not frame.duplicated(["sample_id"]).any()
    spent = float(frame["input_tokens"].sum() + frame["output_tokens"].sum())
    given = json.loads((run / "spending.json").read_text())["tokens"]
    assert spent <= given + 1 <= CAP + OWN_CONNECTIONS * 700
    assert not ray.is_initialized()
    again = run_study(study, run, lambda _: None, engine=Engine())
    assert again.stopped_by, "another engine holds the same purse"


def test_a_cluster_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    study, run = opened(tmp_path)
    with pytest.raises(ConfigError, match=r"Ray cluster 127\.0\.0\.1:1 cannot be used"):
        run_study(study, run, lambda _: None, engine=Engine("ray", address="127.0.0.1:1"))
