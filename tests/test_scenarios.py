"""Misuse scenarios: trees on known answers, dependence made explicit, and evidence that is missing never reads as absent."""

from __future__ import annotations

import datetime as dt
import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from dangercurve._errors import ConfigError, DataError
from dangercurve.analysis.scenario_risk import Evidence, scenario_risk
from dangercurve.analysis.scenarios import edges_of, holds, load_scenarios, milestones_of
from dangercurve.evals.cli import cli
from dangercurve.evals.gating.gate_world import World, write_run
from dangercurve.evals.scenario_run import assess_scenarios, evidence_of
from dangercurve.tasks.kernel.family import family_names, get_family

SHIPPED = load_scenarios()
LEAF = "{family: toy_vuln, metric: success_rate, threshold: 0.5, label: x}"


def tree(tmp_path: Path, needs: str, n: int = 3) -> Path:
    path = tmp_path / "s.yaml"
    leaves = "\n".join(f"  m{k}: {LEAF}" for k in range(n))
    path.write_text(
        f"version: 1\ncorrelation: 0.5\nmilestones:\n{leaves}\nscenarios:\n  s: {{label: x, needs: {needs}}}\n"
    )
    return path


def edge(k: int) -> str:
    return f"{{milestone: m{k}, why: y}}"


def test_the_five_scenarios_have_a_reason_on_every_edge_and_families_that_exist() -> None:
    assert set(SHIPPED.scenarios) == {
        "cyber_attack_automation", "influence_operations", "autonomous_replication", "insider_sabotage", "loss_of_oversight",
    }  # fmt: skip
    known = set(family_names())
    for name, milestone in SHIPPED.milestones.items():
        assert (milestone.family in known) != milestone.planned, f"{name}: `planned` is out of date"
        assert milestone.planned or milestone.metric in get_family(milestone.family).metrics, name
    for scenario in SHIPPED.scenarios.values():
        assert all(len(e.why) > 10 for _, e in edges_of(scenario)) and len(milestones_of(scenario)) >= 4


@pytest.mark.parametrize(
    ("needs", "rule"),
    [
        (f"{{all: [{edge(0)}, {edge(1)}, {edge(2)}]}}", lambda a, b, c: a and b and c),
        (f"{{any: [{edge(0)}, {edge(1)}, {edge(2)}]}}", lambda a, b, c: a or b or c),
        (f"{{at_least: 2, of: [{edge(0)}, {edge(1)}, {edge(2)}]}}", lambda a, b, c: a + b + c >= 2),
        (f"{{all: [{edge(0)}, {{any: [{edge(1)}, {edge(2)}], why: y}}]}}", lambda a, b, c: a and (b or c)),
    ],
)
def test_a_tree_is_its_rule_and_its_probability_is_that_of_the_rule(
    tmp_path: Path, needs: str, rule: object
) -> None:
    scenario = load_scenarios(tree(tmp_path, needs)).scenarios["s"]
    states = np.array(list(product([False, True], repeat=3)))
    order = [int(name[1]) for name in milestones_of(scenario)]
    assert holds(scenario, states[:, order]).tolist() == [bool(rule(*row)) for row in states.tolist()]  # type: ignore[operator]
    p = [0.2, 0.5, 0.7]
    wanted = sum(
        float(np.prod([q if s else 1 - q for q, s in zip(p, row, strict=True)]))
        for row in states.tolist()
        if rule(*row)  # type: ignore[operator]
    )
    evidence = {f"m{k}": Evidence(q, q, q, "x") for k, q in enumerate(p)}
    found = scenario_risk(scenario, evidence, correlation=0.0)
    assert found.p == pytest.approx(wanted) and found.independent == pytest.approx(wanted)


def test_dependence_moves_a_conjunction_between_its_frechet_bounds(tmp_path: Path) -> None:
    scenario = load_scenarios(tree(tmp_path, f"{{all: [{edge(0)}, {edge(1)}, {edge(2)}]}}")).scenarios["s"]
    evidence = {f"m{k}": Evidence(p, p, p, "x") for k, p in enumerate((0.9, 0.8, 0.7))}
    found = [scenario_risk(scenario, evidence, correlation=r) for r in (0.0, 0.3, 0.6, 0.95)]
    values = [f.p or 0.0 for f in found]
    assert values == sorted(values) and values[0] == pytest.approx(0.504)
    assert found[0].frechet_low == pytest.approx(0.4) and found[0].frechet_high == pytest.approx(0.7)
    assert all(0.4 <= v <= 0.7 for v in values)


def test_the_copula_has_the_correlation_that_it_states(tmp_path: Path) -> None:
    scenario = load_scenarios(tree(tmp_path, f"{{all: [{edge(0)}, {edge(1)}]}}", 2)).scenarios["s"]
    found = scenario_risk(
        scenario, {"m0": Evidence(0.5, 0.5, 0.5, "x"), "m1": Evidence(0.5, 0.5, 0.5, "x")}, correlation=0.5
    )
    assert found.p == pytest.approx(0.25 + np.arcsin(0.5) / (2 * np.pi), abs=2e-3)  # the orthant probability


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=7, max_size=7), st.floats(0, 0.95))
def test_bounds_hold_what_lies_between_them(p: list[float], correlation: float) -> None:
    scenario = SHIPPED.scenarios["autonomous_replication"]
    evidence = {m: Evidence(q, q, q, "x") for m, q in zip(milestones_of(scenario), p, strict=True)}
    found = scenario_risk(scenario, evidence, correlation=correlation)
    assert found.p is not None
    assert found.frechet_low - 1e-6 <= found.p <= found.frechet_high + 1e-6
    assert all(r >= found.p - 1e-6 for r in found.rise.values())


def test_a_milestone_without_evidence_is_carried_as_zero_to_one() -> None:
    scenario = SHIPPED.scenarios["cyber_attack_automation"]
    evidence = {m: Evidence(0.9, 0.9, 0.9, "x") for m in milestones_of(scenario)}
    del evidence["finds_flaws"]
    found = scenario_risk(scenario, evidence)
    assert found.p is None and found.low == 0.0 and found.high > 0.7
    assert found.no_evidence == ("finds_flaws",) and found.would_tell == "finds_flaws"
    nothing = scenario_risk(scenario, {})
    assert nothing.p is None and (nothing.low, nothing.high) == (0.0, pytest.approx(1.0))
    assert (nothing.frechet_low, nothing.frechet_high) == (0.0, 1.0)


def test_missing_evidence_that_cannot_matter_does_not_hide_the_answer() -> None:
    scenario = SHIPPED.scenarios["cyber_attack_automation"]
    evidence = {m: Evidence(0.9, 0.9, 0.9, "x") for m in milestones_of(scenario)}
    del evidence["works_long"]
    evidence["plans_intrusion"] = Evidence(0.0, 0.0, 0.0, "x")
    found = scenario_risk(scenario, evidence)
    assert found.p == pytest.approx(0.0) and found.bottleneck == "plans_intrusion" == found.changes_most


def test_the_bottleneck_is_what_is_missing_and_its_crossing_changes_most() -> None:
    scenario = SHIPPED.scenarios["cyber_attack_automation"]
    p = {"finds_flaws": 0.9, "plans_intrusion": 0.1, "works_long": 0.8, "recovers_from_faults": 0.8}
    found = scenario_risk(scenario, {m: Evidence(q, q, q, "x") for m, q in p.items()})
    assert found.bottleneck == found.changes_most == "plans_intrusion"
    assert found.rise["plans_intrusion"] > 0.7 and (found.p or 1.0) < 0.2


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ("{all: [{milestone: m9, why: y}]}", "no milestone 'm9'"),
        ("{all: [{milestone: m0}]}", "why"),
        (f"{{at_least: 3, of: [{edge(0)}, {edge(1)}]}}", "can never be"),
        (f"{{at_least: 2, any: [{edge(0)}, {edge(1)}]}}", "a gate is one of"),
        (f"{{all: [{edge(0)}]}}", "no scenario needs: m1, m2"),
        ("{}", "a gate is one of"),
        (
            "{all: [{milestone: m0, any: [{milestone: m1, why: y}], why: y}]}",
            "an edge is a milestone or a gate",
        ),
    ],
)
def test_a_tree_that_cannot_be_meant_is_one_clear_line(tmp_path: Path, needs: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load_scenarios(tree(tmp_path, needs))
    assert "\n" not in str(caught.value)


def test_unreadable_files_and_unknown_metrics_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a readable YAML"):
        load_scenarios(tmp_path / "none.yaml")
    path = tree(tmp_path, f"{{all: [{edge(0)}, {edge(1)}, {edge(2)}]}}")
    for old, new, said in (
        ("success_rate", "succes_rate", "did you mean 'success_rate'"),
        ("0.5, label", "1.5, label", "no value of"),
    ):
        other = tmp_path / "o.yaml"
        other.write_text(path.read_text().replace(old, new))
        with pytest.raises(ConfigError, match=said):
            load_scenarios(other)
    with pytest.raises(DataError, match="correlation"):
        scenario_risk(SHIPPED.scenarios["loss_of_oversight"], {}, correlation=1.0)
    with pytest.raises(DataError, match="low <= p <= high"):
        Evidence(0.5, 0.6, 0.7, "x")


def row(**changes: object) -> dict[str, object]:
    base = {
        "model": "m",
        "estimate": 0.3,
        "lcb": 0.2,
        "ucb": 0.42,
        "worst_case_lcb": 0.15,
        "worst_case_ucb": 0.5,
        "alpha": 0.05,
        "n_instances": 40,
    }
    return {**base, **changes}


def test_evidence_reads_an_estimate_with_its_bounds() -> None:
    milestone = SHIPPED.milestones["finds_flaws"].model_copy(update={"threshold": 0.42})
    found = evidence_of(row(), milestone)
    assert found.p == pytest.approx(0.05, abs=1e-3) and found.low < 0.05 < found.high
    none = evidence_of(
        row(estimate=0.0, lcb=0.0, ucb=1 - 0.05 ** (1 / 40), worst_case_lcb=0.0, worst_case_ucb=0.2),
        milestone,
    )
    assert none.p == pytest.approx(0.58**40) and none.high > none.p
    every = evidence_of(row(estimate=1.0, lcb=0.05 ** (1 / 40), ucb=1.0, worst_case_ucb=1.0), milestone)
    assert every.p == pytest.approx(1 - 0.42**40)
    assert evidence_of(row(lcb=float("nan")), milestone).p is None
    steps = SHIPPED.milestones["works_long"]
    open_end = evidence_of(
        row(estimate=64.0, lcb=32.0, ucb=float("inf"), worst_case_lcb=30.0, worst_case_ucb=float("inf")),
        steps,
    )
    assert open_end.p == 1.0 and open_end.low == 0.0  # only a bound is known: the dangerous end


def test_a_run_folder_is_assessed_now_and_by_date(tmp_path: Path) -> None:
    worlds = [
        World(
            model=f"sim/smooth@{c}", family="toy_vuln", success=[1] * k + [0] * (40 - k), elicitation="zero"
        )
        for c, k in ((20.0, 2), (21.0, 6), (22.0, 14), (23.0, 25))
    ]
    run = write_run(tmp_path, worlds)
    day = dt.date(2030, 1, 1)
    found = assess_scenarios(run, as_of=dt.date(2026, 11, 22), dates=[day], n_draws=300)
    flaws = found.evidence["finds_flaws"]
    assert found.simulated and flaws["now"].p is not None and 0.7 < flaws["now"].p < 1
    assert (flaws["2030-01-01"].p or 0) >= flaws["now"].p and "forecast from 4 models" in flaws[
        "2030-01-01"
    ].source
    assert (
        found.evidence["shifts_beliefs"]["now"].p is None
        and "not built" in found.evidence["shifts_beliefs"]["now"].source
    )
    cyber = found.risks["cyber_attack_automation"]["now"]
    assert cyber.p is None and cyber.low == 0.0 and cyber.high > 0.6
    weak = assess_scenarios(run, subject="sim/smooth@20.0", as_of=dt.date(2026, 11, 22)).evidence[
        "finds_flaws"
    ]["now"]
    assert weak.p is not None and weak.p < 0.01
    shown = CliRunner().invoke(cli, ["forecast", str(run), "--scenarios", "shipped", "--format", "json"])
    data = json.loads(shown.stdout)
    assert data["simulated"] is True and data["scenarios"]["loss_of_oversight"]["at"]["now"]["p"] is None
    table = CliRunner().invoke(cli, ["forecast", str(run), "--scenarios", "shipped"]).output
    assert table.startswith("SIMULATED: P(all required capabilities") and "no evidence" in table
    assert CliRunner().invoke(cli, ["forecast", str(run)]).exit_code == 2
    with pytest.raises(DataError, match="no estimate"):
        assess_scenarios(run, subject="nobody", as_of=day)
