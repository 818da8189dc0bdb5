"""The ladder in the report: its own curve, first, with the largest member beside what the smaller ones say of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support_report import make_run

from dangercurve.analysis.report.capability import capability
from dangercurve.evals.ladder.shipping import read_all
from dangercurve.evals.pipeline import write_forecasts
from dangercurve.evals.reporting.data import build_report

LINE = [f"ladder/{t.name}" for t in read_all() if t.role == "line"][:6]
OTHER = "local/smollm2-135m-instruct"
EVENT = ("ops_horizon", "success_rate", 0.8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    simulated = {f"sim/smooth@{c}": (c - 19) / 5 for c in (20, 21, 22, 23)}
    folder = make_run(
        tmp_path_factory.mktemp("ladder") / "run",
        simulated | {model: 0.05 + 0.15 * i for i, model in enumerate(LINE)} | {OTHER: 0.3},
    )
    write_forecasts(folder, [EVENT])
    return folder


def test_the_first_curve_is_the_ladders_own(run: Path) -> None:
    first, *rest = build_report(run).scalings
    assert first.reference and [p.model for p in first.points] == sorted(LINE)
    assert all(p.in_fit for p in first.points)
    assert rest and not any(s.reference for s in rest)
    shown = [p for s in rest for p in s.points if p.model == OTHER]
    assert shown and not any(p.in_fit for p in shown)
    assert "own small models" in capability("c", first, {}).answer


def test_the_largest_member_stands_beside_what_the_smaller_say_of_it(run: Path) -> None:
    scaling = build_report(run).scalings[0]
    (largest,) = scaling.held_out
    measured = {p.model: p.estimate for p in scaling.points}
    assert largest.model == LINE[-1] and largest.actual == pytest.approx(measured[LINE[-1]])
    assert "a fit without it says" in capability("c", scaling, {}).note


def test_a_member_left_out_is_no_line_of_the_ledger_and_gives_no_margin(run: Path) -> None:
    assert build_report(run).predictions == ()
    assert not (run / "forecast_ledger.jsonl").exists()


def test_numbers_that_are_none_draw_nothing(run: Path) -> None:
    path = run / "forecasts" / "forecasts.json"
    kept = path.read_text()
    rows = json.loads(kept)
    for row in rows:
        for entry in row.get("left_out", []):
            entry["q05"] = "wide"
    path.write_text(json.dumps(rows))
    assert build_report(run).scalings[0].held_out == ()
    path.write_text(kept)
