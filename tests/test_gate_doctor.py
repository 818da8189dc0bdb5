"""Doctor on evidence: halves of one run do not contradict each other, and what may be compared is said by name."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from dangercurve._errors import ConfigError
from dangercurve.analysis.estimates import estimate_all
from dangercurve.evals.gating.aa_check import aa_flips
from dangercurve.evals.gating.comparability import HIDDEN, comparability
from dangercurve.evals.gating.gate_world import (
    World,
    observations,
    policy_text,
    write_part,
    write_policy,
    write_run,
)
from dangercurve.evals.policy import load_policy
from dangercurve.evals.verbs.doctor import command

HALF = World(success=[1, 0] * 20)


def overconfident(frame: pd.DataFrame) -> pd.DataFrame:
    """An estimator whose bounds are a tenth as wide as they should be."""
    table = estimate_all(frame)
    for bound in ("lcb", "ucb"):
        table[bound] = table["estimate"] + (table[bound] - table["estimate"]) / 10
    table["worst_case_lcb"], table["worst_case_ucb"] = table["lcb"], table["ucb"]
    return table


def test_halves_of_one_run_never_contradict_each_other_beyond_alpha(tmp_path: Path) -> None:
    policy = load_policy(write_policy(tmp_path / "p.yaml", policy_text(reach=0.5, alert=0.45)))
    (found,) = aa_flips(write_run(tmp_path / "run", [HALF]), policy, splits=40)
    assert found.state == "ok", found
    assert (found.splits, found.n_instances, found.simulated) == (40, 40, True)
    assert found.contradictions is not None and found.contradictions_hi is not None
    assert found.contradictions <= found.alpha
    assert found.contradictions_hi > 0, "no contradiction in forty splits is not none at all"


def test_bounds_that_are_too_narrow_are_found(tmp_path: Path) -> None:
    policy = load_policy(write_policy(tmp_path / "p.yaml", policy_text(reach=0.5, alert=0.499)))
    (found,) = aa_flips(write_run(tmp_path / "run", [HALF]), policy, splits=40, estimator=overconfident)
    assert found.state == "fail"
    assert found.contradictions_lo is not None and found.contradictions_lo > found.alpha
    assert "verdicts contradict each other and bounds lie apart" in found.why


def test_the_same_seed_gives_the_same_halves(tmp_path: Path) -> None:
    policy = load_policy(write_policy(tmp_path / "p.yaml"))
    run = write_run(tmp_path / "run", [World(success=[1, 0, 0, 0, 0] * 8)])
    one, two = (aa_flips(run, policy, splits=20, seed=3) for _ in range(2))
    assert one == two


def test_a_run_without_a_matching_estimate_is_skipped_and_no_pass(tmp_path: Path) -> None:
    policy = write_policy(tmp_path / "p.yaml", policy_text(family="ops_horizon"))
    run = write_run(tmp_path / "run", [HALF])
    (found,) = aa_flips(run, load_policy(policy), splits=20)
    assert (found.state, found.splits, found.contradictions) == ("skip", 0, None)
    done = CliRunner().invoke(command, ["--aa", str(run), "--policy", str(policy), "--splits", "20"])
    assert done.exit_code == 4
    with pytest.raises(ConfigError, match="at least 20"):
        aa_flips(run, load_policy(policy), splits=3)


def test_doctor_aa_prints_rate_interval_and_n_and_fails_by_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = write_policy(tmp_path / "p.yaml", policy_text(reach=0.5, alert=0.499))
    run = write_run(tmp_path / "run", [HALF])
    ask = ["--aa", str(run), "--policy", str(policy), "--splits", "20"]
    good = CliRunner().invoke(command, ask)
    assert good.exit_code == 0, good.output
    assert good.output.startswith("SIMULATED: A/A over random halves")
    monkeypatch.setattr("dangercurve.evals.gating.aa_check._estimates", overconfident)
    bad = CliRunner().invoke(command, [*ask, "--format", "json"])
    assert bad.exit_code == 4
    assert json.loads(bad.output)[0]["state"] == "fail"


@pytest.mark.parametrize("ask", [["--aa", "x"], ["--aa", "x", "--compare", "y"]])
def test_a_request_that_cannot_be_meant_is_refused(ask: list[str]) -> None:
    done = CliRunner().invoke(command, ask)
    assert isinstance(done.exception, ConfigError)


def test_models_under_one_key_may_be_compared_and_share_instances(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [HALF, World(model="sim/smooth@23", success=[1] * 30)])
    (group,) = comparability([run])
    assert group.whole
    assert group.subjects == ("sim/smooth@22", "sim/smooth@23")
    assert (group.shared, group.condition) == (30, "tools, kappa 2, zero")


def test_what_differs_is_named(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a" / "run", [HALF])
    two = write_run(
        tmp_path / "b" / "run",
        [World(model="openai/x", success=[1] * 40, key="f" * 16, task_version="2-A", simulated=False)],
    )
    first, second = comparability([one, two])
    assert not first.whole and not second.whole
    assert first.subjects == ("a/run:sim/smooth@22",) and second.subjects == ("b/run:openai/x",)
    assert second.differs == ("task_version 2-A, not 1-A", "simulated False, not True")
    same = write_run(tmp_path / "c", [World(success=[1] * 40, key="e" * 16)])
    assert comparability([one, same])[1].differs == (HIDDEN,)


def test_a_fallback_or_no_shared_instance_is_not_comparable(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [HALF, World(model="sim/b@22", success=[1] * 5, answering="openai/y")])
    (group,) = comparability([run])
    assert group.notes == ("answered by another model: sim/b@22",)
    other = tmp_path / "other"
    rows = [
        {**row, "instance_id": f"z{i}"}
        for i, row in enumerate(observations(World(model="sim/c@22", success=[1] * 5)))
    ]
    write_part(other, rows)
    write_run(other, [HALF])
    (group,) = comparability([other])
    assert "nothing can be paired" in group.notes[0] and not group.whole


def test_doctor_compare_says_so_by_exit_code(tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", [HALF])
    two = write_run(tmp_path / "two", [World(success=[1] * 40, key="e" * 16)])
    good = CliRunner().invoke(command, ["--compare", str(one)])
    assert good.exit_code == 0 and "1 of 1" in good.output
    bad = CliRunner().invoke(command, ["--compare", str(one), "--compare", str(two), "--format", "json"])
    assert bad.exit_code == 4
    assert json.loads(bad.output) == json.loads(json.dumps([asdict(g) for g in comparability([one, two])]))
