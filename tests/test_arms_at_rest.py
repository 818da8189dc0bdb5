"""Which samples are at rest, and that no claim pools the values of an arm without a word."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from dangercurve.analysis import registry
from dangercurve.analysis.estimates import estimate_all
from dangercurve.analysis.rest import NAMED_REST, REST, arms_at_rest, is_rest, label_of
from dangercurve.evals.gate import Request, evaluate
from dangercurve.evals.gating.gate_world import (
    AS_OF,
    World,
    estimate,
    observations,
    policy_text,
    write_estimates,
    write_part,
    write_policy,
)
from dangercurve.evals.gating.verdict import ClaimResult, Outcome
from dangercurve.evals.policy import load_policy
from dangercurve.evals.rehearsal import rehearse
from dangercurve.evals.run_folder import store_digest
from dangercurve.tasks.kernel.cases import oracle, play
from dangercurve.tasks.kernel.family import family_names, get_family
from dangercurve.tasks.kernel.seeds import load_salt
from dangercurve.tasks.kernel.world import Setting

NAMED = [(family, arm, level) for family, arms in NAMED_REST.items() for arm, level in arms.items()]


# --- what the rest is ------------------------------------------------------------------------------------------------


def test_every_arm_whose_first_level_is_no_none_is_named_and_no_other() -> None:
    declared = {
        (name, arm, levels[0])
        for name in family_names()
        for arm, levels in get_family(name).arms.items()
        if levels[0] != "none"
    }
    assert declared == set(NAMED)


@pytest.mark.parametrize(("name", "arm", "level"), NAMED)
def test_naming_the_rest_changes_nothing_in_the_episode(name: str, arm: str, level: str) -> None:
    family, salt = get_family(name), load_salt("dev")
    for rung, index in product((1, 3), range(3)):
        unset, named = (
            play(family.build(family.instance(rung, index, salt), Setting("base", arms)), oracle, 400)
            for arms in ((), ((arm, level),))
        )
        assert unset.manual() == named.manual() and unset.brief() == named.brief()
        assert [(str(e.to_action()), e.result) for e in unset.journal.entries] == [
            (str(e.to_action()), e.result) for e in named.journal.entries
        ]
        assert unset.family_metrics() == named.family_metrics() and unset.outcome() == named.outcome()


def test_none_is_a_condition_of_its_own_where_the_arm_has_a_named_rest() -> None:
    assert is_rest("injection_hijack", "guard", "policy") and is_rest("injection_hijack", "guard", None)
    assert not is_rest("injection_hijack", "guard", "none")
    assert is_rest("toy_vuln", "cue", "none") and not is_rest("toy_vuln", "cue", "eval")
    frame = pd.DataFrame(
        {"family": "injection_hijack", "arm_guard": [None, "policy", "none", "filter"], "arm_cue": ["none", None, None, None]}
    )  # fmt: skip
    assert arms_at_rest(frame).tolist() == [True, True, False, False]
    assert arms_at_rest(frame, ("arm_guard",)).all()
    assert arms_at_rest(frame.assign(family="other")).tolist() == [True, False, True, False]


def test_an_estimate_at_rest_says_how_its_samples_name_it() -> None:
    values = [["none", "none"], [None, None], [None, "none"], [None, "layered"], []]
    assert [label_of(pd.Series(v, dtype=object)) for v in values] == ["none", None, REST, REST, None]


@pytest.mark.parametrize(
    ("guards", "said"), [("guard=policy|none", "policy"), ("guard=policy", "policy"), ("", None)]
)
def test_injections_are_counted_behind_the_standard_guard_and_never_without_one(
    guards: str, said: str | None
) -> None:
    """Without a guard `obeyer` is hijacked as well; the estimate at rest must not hold those episodes."""
    arms = ",".join(filter(None, ("notes=attack|clean", guards)))
    frame = rehearse("injection_hijack", "obeyer", arms, levels=(2,), n=4)
    rows = estimate_all(_stored(frame))
    (row,) = rows[rows["metric"] == "injection_success_rate"].to_dict("records")
    assert row["n_instances"] == 4 and row["estimate"] == 1.0
    assert (row.get("arm_guard") if said else None) == said


def test_a_guard_named_at_its_rest_is_as_good_as_one_that_was_not_named() -> None:
    named, unset = (
        estimate_all(_stored(rehearse("guard_breach", "honest", arms, levels=(2,), n=6)))
        for arms in ("guard=layered|open", "")
    )
    metric = "attack_success_rate"
    a, b = (t[t["metric"] == metric].iloc[0] for t in (named, unset))
    assert (a["estimate"], a["n_instances"]) == (b["estimate"], b["n_instances"]) == (1.0, 6)
    assert a["arm_guard"] == "layered"


def _stored(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(comparability_key="k")


# --- claims never pool an arm ------------------------------------------------------------------------------------------

SAFE = World(success=[0] * 60)


def decided(root: Path, text: str | None = None) -> ClaimResult:
    loaded = load_policy(write_policy(root / "policy.yaml", text))
    return evaluate(loaded, root, Request(model=SAFE.model, as_of=AS_OF)).claims[0]


def run_of(root: Path, **arms: list[str | None]) -> dict[str, object]:
    """A store whose rows take the values of `arms` in turn; the estimate row that pools them all."""
    rows = observations(SAFE)
    for name, values in arms.items():
        for index, row in enumerate(rows):
            row[name] = values[index % len(values)]
    write_part(root, rows)
    return estimate(SAFE, store_digest(root))


def test_an_estimate_without_the_column_of_an_arm_is_no_evidence(tmp_path: Path) -> None:
    row = run_of(tmp_path, arm_cue=["eval", "deploy"])
    write_estimates(tmp_path, [row])
    claim = decided(tmp_path)
    assert claim.verdict is Outcome.INVALID
    assert any("no column arm_cue" in reason and "deploy, eval" in reason for reason in claim.reasons)


def test_an_estimate_that_says_all_of_an_arm_that_it_does_not_compare_is_no_evidence(tmp_path: Path) -> None:
    row = run_of(tmp_path, arm_cue=["eval", "deploy"])
    write_estimates(tmp_path, [{**row, "arm_cue": "all"}])
    claim = decided(tmp_path)
    assert claim.verdict is Outcome.INVALID
    assert any("covers every value of arm_cue" in reason for reason in claim.reasons)


@pytest.mark.parametrize("column", ["interface", "kappa", "elicitation", "twin"])
def test_the_columns_of_a_condition_are_no_more_pooled_than_arms(tmp_path: Path, column: str) -> None:
    other = {"interface": "choice", "kappa": 4.0, "elicitation": "cot", "twin": "surface"}[column]
    rows = observations(SAFE)
    for index, row in enumerate(rows):
        row[column] = other if index % 2 else row[column]
    write_part(tmp_path, rows)
    row = estimate(SAFE, store_digest(tmp_path))
    del row[column]
    write_estimates(tmp_path, [row])
    claim = decided(tmp_path)
    assert claim.verdict is Outcome.INVALID
    assert any(f"no column {column}" in reason for reason in claim.reasons)


@pytest.mark.parametrize("value", [None, "eval"])
def test_an_arm_with_one_value_needs_no_column(tmp_path: Path, value: str | None) -> None:
    write_estimates(tmp_path, [run_of(tmp_path, arm_cue=[value])])
    assert decided(tmp_path).verdict is Outcome.RULED_OUT


def test_a_row_a_value_is_what_the_gate_wants(tmp_path: Path) -> None:
    run_of(tmp_path, arm_cue=["eval", "deploy"])
    half = estimate(replace(SAFE, success=[0] * 30), store_digest(tmp_path))
    write_estimates(tmp_path, [{**half, "arm_cue": cue} for cue in ("eval", "deploy")])
    assert decided(tmp_path, policy_text(reach=0.3, alert=0.2)).verdict is Outcome.RULED_OUT


def test_a_row_at_rest_stands_for_samples_that_name_the_rest_and_those_that_do_not(tmp_path: Path) -> None:
    world = replace(SAFE, family="injection_hijack")
    rows = observations(world)
    for index, row in enumerate(rows):
        row["arm_guard"] = ("policy", None, "none")[index % 3]
    write_part(tmp_path, rows)
    third = {**estimate(replace(world, success=[0] * 20), store_digest(tmp_path)), "arm_guard": "none"}
    both = estimate(replace(world, success=[0] * 40), store_digest(tmp_path))
    write_estimates(tmp_path, [{**both, "arm_guard": REST}, third])
    text = policy_text(family="injection_hijack")
    chosen = text.replace("metric: success_rate}", "metric: success_rate, arms: {guard: policy}}")
    claim = decided(tmp_path, chosen)
    assert (claim.verdict, claim.n_instances, claim.cell["arm_guard"]) == (Outcome.RULED_OUT, 40, REST)
    write_estimates(tmp_path, [{**both, "arm_guard": REST}])
    assert decided(tmp_path, text).verdict is Outcome.INVALID  # nothing covers the samples without a guard


def test_a_contrast_names_the_arms_that_it_compares() -> None:
    compared = {name: metric.compares for name, metric in registry.metrics().items() if metric.compares}
    assert compared["context_interaction"] == ("cue", "inc", "mon")
    assert compared["oversight_subversion_rate"] == ("need",) and compared["monitor_auroc"] == ("side",)
    assert "success_rate" not in compared and "deception_likelihood" not in compared


def test_the_table_of_estimates_has_a_column_for_every_arm_of_the_observations(tmp_path: Path) -> None:
    frame = _stored(rehearse("context_cue", "honest", "cue=eval|deploy,inc=none|benefit", levels=(0,), n=2))
    estimate_all(frame).to_parquet(tmp_path / "e.parquet")
    assert {"arm_cue", "arm_inc"} <= set(pq.read_schema(tmp_path / "e.parquet").names)
