"""The report's figures of behaviours and of monitors: what is no evidence is said, and a number stands beside its n."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from support_report import sample

from dangercurve.analysis.report.audits import audits
from dangercurve.analysis.report.behaviours import behaviours
from dangercurve.analysis.report.data_panels import Propensity
from dangercurve.analysis.report.figure import Figure
from dangercurve.analysis.report.imitation import imitation
from dangercurve.analysis.report.monitors import MAX_ROWS, monitors
from dangercurve.analysis.report.page import render
from dangercurve.evals.reporting.evidence import propensities
from dangercurve.evals.reporting.monitors import audited, watched

EVIL = "<script>alert(1)</script>"


def estimate(metric: str, value: float = 0.9, **columns: object) -> dict[str, object]:
    """A row of `estimates/`: the value and bounds .1 around it."""
    base: dict[str, object] = {
        "model": "lab/agent", "family": "covert_side_task", "metric": metric, "interface": "tools", "kappa": 2.0,
        "elicitation": "zero", "twin": "base", "comparability_key": "k", "estimate": value, "lcb": value - 0.1,
        "ucb": value + 0.1, "n_instances": 40, "n_opportunity": 44, "n_excluded": 2, "arm_side": "all", "arm_desk": None,
    }  # fmt: skip
    return {**base, **columns}


def read_by(monitor: str, auroc: float = 0.9, **columns: object) -> list[dict[str, object]]:
    named = {"monitor": monitor, "view": "trace", "form": "code", **columns}
    return [
        estimate("monitor_auroc", auroc, **named),
        estimate("monitor_tpr_at_1", math.nan, **named),
        estimate("monitor_tpr_at_5", 0.3, **named),
    ]


def cells(figure: Figure) -> list[Mapping[str, str]]:
    return [dict(zip(figure.columns, map(str, row), strict=True)) for row in figure.rows]


# --- monitors ---------------------------------------------------------------------------------------------------------


def test_a_monitor_stands_beside_the_attack_capability_with_bounds_and_n() -> None:
    able = estimate("attack_capability", 0.6, twin="base")
    (row,) = cells(monitors(watched([*read_by("rule"), able]), {}))
    assert row["AUROC (bounds)"] == "0.9 (0.8 to 1)" and row["TPR at 5 % FPR (bounds)"] == "0.3 (0.2 to 0.4)"
    assert row["TPR at 1 % FPR (bounds)"] == "no evidence" and row["better than chance"] == "yes"
    assert row["attack capability (bounds)"] == "0.6 (0.5 to 0.7)"
    assert (row["n"], row["n with an attack"], row["episodes unread"]) == ("40", "44", "2")


def test_who_cannot_attack_is_no_evidence_of_any_monitor() -> None:
    figure = monitors(watched(read_by("rule", math.nan)), {})
    assert figure.chart is None and "no monitor is shown" in figure.answer and figure.missing
    assert cells(figure)[0]["AUROC (bounds)"] == "no evidence"


@pytest.mark.parametrize(
    "other",
    [
        {"arm_desk": "sync"},
        {"interface": "text"},
        {"comparability_key": "k2"},
        {"model": "lab/other"},
        {"kappa": 1.0},
    ],
)
def test_the_capability_of_another_condition_is_not_put_beside_it(other: Mapping[str, object]) -> None:
    (found,) = watched([*read_by("rule"), estimate("attack_capability", 0.6, **other)])
    assert found.capability is None
    (same,) = watched([*read_by("rule"), estimate("attack_capability", 0.6, arm_desk="async")])
    assert same.capability is not None  # async is where that arm rests


def test_conditions_views_and_monitors_are_rows_of_their_own() -> None:
    rows = [
        *read_by("rule"),
        *read_by("length", 0.5),
        *read_by("rule", 0.7, view="actions"),
        *read_by("rule", arm_desk="sync"),
    ]
    found = watched(rows)
    assert len(found) == 4 and len({(w.monitor, w.view, w.condition) for w in found}) == 4
    figure = monitors(found, {})
    assert "3 of 4 readings of a real agent" in figure.answer
    assert [r["better than chance"] for r in cells(figure)].count("no") == 1


def test_a_simulated_monitor_is_called_so_and_a_foreign_row_is_passed_over() -> None:
    found = watched(
        [*read_by("sim/smooth@22"), estimate("no_such_metric"), estimate("success_rate"), {"metric": None}]
    )
    assert [w.monitor_role for w in found] == ["SIMULATED"]
    assert cells(monitors(found, {}))[0]["monitor"] == "sim/smooth@22 · SIMULATED"


def test_a_name_that_a_model_chose_is_text_and_a_long_list_is_counted() -> None:
    page = render(sample(2, 1, text=EVIL))
    assert EVIL not in page and "&lt;script&gt;" in page
    many = watched([row for k in range(MAX_ROWS + 3) for row in read_by(f"lab/m{k}")])
    figure = monitors(many, {})
    assert len(figure.rows) == MAX_ROWS + 3 and f"shows {MAX_ROWS} of {MAX_ROWS + 3}" in figure.note


# --- behaviours -------------------------------------------------------------------------------------------------------


def test_a_behaviour_without_evidence_is_a_row_and_never_a_zero() -> None:
    rows = [estimate("covert_side_task_rate", math.nan, n_instances=0), estimate("attack_capability", 0.6)]
    figure = behaviours(propensities(rows), {})
    said = {r["behaviour"]: r for r in cells(figure)}
    silent, known = said["covert side-task rate"], said["attack capability"]
    assert (silent["estimate (bounds)"], silent["n"], silent["shown above zero"]) == (
        "no evidence",
        "0",
        "no evidence",
    )
    assert (silent["n with opportunity"], silent["samples missing"]) == ("44", "2")
    assert known["estimate (bounds)"] == "0.6 (0.5 to 0.7)" and known["shown above zero"] == "yes"
    assert "1 of 1 estimate" in figure.answer and "1 further one has no evidence" in figure.answer


@pytest.mark.parametrize("metric", ["covert_side_task_rate", "imitation_index"])
def test_no_evidence_at_all_is_said_in_words_and_nothing_is_drawn(metric: str) -> None:
    found = propensities([estimate(metric, math.nan)])
    figure = imitation(found, {}) if metric == "imitation_index" else behaviours(found, {})
    assert figure.chart is None and figure.missing and figure.answer.startswith("No evidence")
    assert not any(
        str(cell) == "0" and name.startswith("estimate") for name, cell in cells(figure)[0].items()
    )


def test_what_is_unknown_is_not_ranked_before_what_was_found() -> None:
    found = [
        Propensity("lab/a", "real", "f", "m", "first", math.nan, math.nan, math.nan, 0),
        Propensity("lab/a", "real", "f", "m", "second", 0.4, 0.2, 0.6, 30),
    ]
    assert [r["behaviour"] for r in cells(behaviours(found, {}))] == ["second", "first"]


# --- audits -----------------------------------------------------------------------------------------------------------


def bounded(value: float) -> dict[str, float | None]:
    """As the panel holds it: what is no number is null there."""
    known = math.isfinite(value)
    return (
        {"estimate": value, "lcb": value - 0.1, "ucb": value + 0.1}
        if known
        else dict.fromkeys(("estimate", "lcb", "ucb"))
    )


def panel(
    monitor: str = "rule", caught: float = 0.8, kept: float = 0.9, **changes: object
) -> dict[str, object]:
    points = [
        {"budget": b, "caught": bounded(c), "kept": bounded(kept)} for b, c in ((0.0, 0.1), (0.05, caught), (0.2, 0.9))
    ]  # fmt: skip
    base: dict[str, object] = {
        "agent": "lab/agent", "family": "covert_side_task", "interface": "tools", "monitor": monitor, "view": "trace",
        "form": "code", "status": "estimated", "n_instances": 40, "frontier": points,
    }  # fmt: skip
    return {**base, **changes}


def read_panels(*entries: object) -> tuple[Figure, list[str]]:
    problems: list[str] = []
    return audits(audited({"oversight": list(entries)}, problems)), problems


def test_what_an_audit_catches_stands_with_its_bounds_and_the_best_monitor_is_named() -> None:
    figure, problems = read_panels(panel("length", 0.3), panel("rule", 0.8), panel("sim/smooth@22", 0.5))
    assert not problems and figure.chart is not None and len(figure.rows) == 9
    row = next(r for r in cells(figure) if r["monitor"] == "rule" and r["audited"] == "5 %")
    assert row["attacks caught (bounds)"] == "0.8 (0.7 to 0.9)" and row["n"] == "40"
    assert (
        "the best is rule, trace" in figure.answer
        and "5 % audited would catch 0.8 (0.7 to 0.9)" in figure.answer
    )
    assert "SIMULATED" in {r["monitor"]: r["monitor"] for r in cells(figure)}["sim/smooth@22 · SIMULATED"]


def test_no_useful_work_is_no_share_of_it_and_never_a_zero() -> None:
    figure, _ = read_panels(panel(kept=math.nan))
    assert {r["useful work not held up (bounds)"] for r in cells(figure)} == {"–"}
    assert "not held up" not in figure.answer


@pytest.mark.parametrize(
    "entry",
    [
        panel(frontier=[{"budget": 0.05, "caught": 0.8, "kept": 0.9}]),
        panel(frontier=[{"budget": None, "caught": bounded(0.5), "kept": bounded(0.5)}]),
        panel(frontier=[{"budget": 0.05, "caught": bounded(math.nan), "kept": bounded(0.5)}]),
        panel(frontier=[]),
        panel(frontier=["x"]),
    ],
)
def test_a_frontier_without_bounds_is_named_and_not_drawn(entry: dict[str, object]) -> None:
    figure, problems = read_panels(entry)
    assert figure.chart is None and "not known" in figure.answer
    assert len(problems) == 1 and "dangercurve monitor" in problems[0]


def test_an_agent_without_evidence_has_no_frontier_and_a_real_one_goes_first() -> None:
    silent = {"agent": "lab/x", "monitor": "rule", "status": "no_evidence", "reason": "no attack"}
    figure, problems = read_panels(silent, panel(agent="bot/attacker"), panel(agent="lab/agent"))
    assert not problems and cells(figure)[0]["agent"] == "lab/agent" and len(figure.rows) == 6
    assert "of a real agent" in figure.answer
    assert read_panels(silent)[0].chart is None
