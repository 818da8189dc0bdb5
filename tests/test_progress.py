"""Progress of a run: counts that add up, an honest running estimate, lines for machines, and hardly any cost."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from dangercurve.evals.progress.progress import NAME, Progress, Snapshot, at_rest, read_progress
from dangercurve.evals.progress.show import Lines, display, estimate_parts, line_of, summary_of, view
from dangercurve.evals.study import cells_of, load_study
from dangercurve.evals.verbs.run import command
from dangercurve.tasks.kernel.watch import Cell, Seen

STUDY = """
name: watched
models: [acme/unlisted, openai/gpt-5.4]
tasks: [ops_horizon]
levels: [0, 2]
interfaces: [choice]
n: 10
"""
FIRST, SECOND = (Cell(m, "ops_horizon", "choice") for m in ("acme/unlisted", "openai/gpt-5.4"))


def seen(
    i: int, cell: Cell = FIRST, level: int = 0, status: str = "scored", success: float | None = 1.0
) -> Seen:
    return Seen(
        cell, f"{level}|base", f"s{level}-{i} epoch 1", status, 2, 10, 1.0, (), 0, False, f"i{level}-{i}",
        success if status == "scored" else None, 100,
    )  # fmt: skip


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watched(study_file: Callable[[str], Path], tmp_path: Path) -> tuple[Progress, Clock, Path]:
    study, _ = load_study(study_file(STUDY))
    clock = Clock()
    return Progress(study, cells_of(study), tmp_path, clock=clock, every_s=5), clock, tmp_path


def test_what_is_done_and_left_adds_up(watched: tuple[Progress, Clock, Path]) -> None:
    progress, clock, run = watched
    progress.group_started("acme/unlisted")
    for i in range(10):
        progress.saw(seen(i, status="scored" if i else "refused"))
    clock.now = 10
    made = progress.snapshot("running", "x")
    assert (made.done, made.left, made.total, made.missing) == (10, 30, 40, 1)
    assert sum(c.done for c in made.cells) == made.done
    assert made.statuses == {"refused": 1, "scored": 9}
    assert read_progress(run) == made


def test_a_simulated_model_takes_no_pace_from_a_real_one(
    tmp_path: Path, study_file: Callable[[str], Path]
) -> None:
    text = "name: two\nmodels: [acme/slow, sim/smooth@22]\ntasks: [ops_horizon]\nlevels: [0]\ninterfaces: [text]\nn: 10\n"
    study, _ = load_study(study_file(text))
    clock = Clock()
    progress = Progress(study, cells_of(study), tmp_path, clock=clock, every_s=5)
    progress.group_started("acme/slow")
    for i in range(5):
        progress.saw(seen(i, Cell("acme/slow", "ops_horizon", "text")))
    clock.now = 500
    left = progress.snapshot("running", "x").seconds_left
    assert left is not None and 500 <= left < 510, (
        "five slow samples, and ten that take hundredths of a second"
    )


def test_time_left_follows_the_work_of_a_level_and_not_the_number_of_samples(
    watched: tuple[Progress, Clock, Path],
) -> None:
    progress, clock, _ = watched
    assert progress.snapshot("running", "x").seconds_left is None, "before anything was played nobody knows"
    progress.group_started("acme/unlisted")
    for i in range(10):
        progress.saw(seen(i))
    clock.now = 10  # ten samples of work 1 a second; left: ten of work 4, and fifty of the other model
    assert progress.snapshot("running", "x").seconds_left == pytest.approx(40 + 50)


def test_an_unknown_price_is_named_and_in_no_sum(watched: tuple[Progress, Clock, Path]) -> None:
    progress, _, _ = watched
    for i in range(10):
        progress.saw(seen(i))
    made = progress.snapshot("running", "x")
    assert made.unpriced == ("acme/unlisted",)
    assert made.usd == 0 and made.usd_left == pytest.approx(50 * (100 * 2.5 + 10 * 15) / 1e6)
    progress.saw(seen(0, SECOND))
    assert progress.snapshot("running", "x").usd == pytest.approx((100 * 2.5 + 10 * 15) / 1e6)
    assert "no price of acme/unlisted" in summary_of(made)


def test_no_price_at_all_is_unknown_and_not_free(study_file: Callable[[str], Path], tmp_path: Path) -> None:
    study, _ = load_study(study_file(STUDY.replace(", openai/gpt-5.4", "")))
    made = Progress(study, cells_of(study), tmp_path).snapshot("running", "x")
    assert made.usd is None and made.usd_left is None
    assert "usd=unknown" in line_of(made) and "usd_unknown=acme/unlisted" in line_of(made)


def test_missing_samples_widen_the_estimate_at_both_ends(watched: tuple[Progress, Clock, Path]) -> None:
    progress, _, _ = watched
    for i in range(5):
        progress.saw(seen(i))
    (before,) = progress.snapshot("running", "x").cells[0].estimates
    for i in range(5, 10):
        progress.saw(seen(i, status="refused"))
    (after,) = progress.snapshot("running", "x").cells[0].estimates
    assert before.mean == after.mean == 1.0, "what was refused is no failure"
    assert after.missing == 5 and after.n == 5
    assert after.lcb < before.lcb < 1 and after.ucb == 1


def test_the_interval_holds_however_often_one_looks() -> None:
    """At a true rate of one half, bounds at any of 60 looks exclude it in at most 5 % of runs a side."""
    import random

    from dangercurve.analysis.sequential import anytime_bounds

    rng, wrong = random.Random(3), 0
    for _ in range(60):
        total, missed = 0, False
        for n in range(1, 61):
            total += rng.random() < 0.5
            lo, hi = anytime_bounds(total, n)
            missed |= not lo <= 0.5 <= hi
        wrong += missed
    assert wrong <= 10  # two sides of 5 %: 6 expected at most, 10 is its 96 % point


def test_a_sample_that_crashed_and_was_tried_again_counts_once(watched: tuple[Progress, Clock, Path]) -> None:
    progress, _, _ = watched
    progress.saw(seen(0, status="infra_error"))
    progress.saw(seen(0))
    made = progress.snapshot("running", "x")
    assert made.done == 1 and made.statuses == {"scored": 1}
    assert made.cells[0].estimates[0].missing == 0


def test_epochs_of_an_instance_are_one_instance(study_file: Callable[[str], Path], tmp_path: Path) -> None:
    study, _ = load_study(study_file(STUDY + "epochs: 3\n"))
    progress = Progress(study, cells_of(study), tmp_path)
    for success in (1.0, 0.0, 1.0):
        progress.saw(seen(1, success=success))
    (estimate,) = progress.snapshot("running", "x").cells[0].estimates
    assert estimate.n == 1 and estimate.mean == pytest.approx(2 / 3)


def test_a_mean_over_several_conditions_is_not_shown(
    study_file: Callable[[str], Path], tmp_path: Path
) -> None:
    study, _ = load_study(study_file(STUDY + "kappa: [2, 4]\n"))
    progress = Progress(study, cells_of(study), tmp_path)
    progress.saw(seen(1))
    cell = progress.snapshot("running", "x").cells[0]
    assert cell.done == 1 and cell.total == 40 and cell.estimates == ()


@pytest.mark.parametrize(
    ("label", "rest"),
    [
        ("base", True),
        ("base+cue=none", True),
        ("base+cue=eval", False),
        ("surface", False),
        ("base+pressure=2", False),
        ("base+cue=none+pressure=0", True),
    ],
)
def test_only_samples_at_rest_enter_the_estimate(label: str, rest: bool) -> None:
    assert at_rest("ops_horizon", label) is rest


@pytest.mark.parametrize(
    ("family", "label", "rest"),
    [
        ("covert_side_task", "base+side=honest", True),
        ("covert_side_task", "base+side=attack", False),
        ("injection_hijack", "base+guard=policy+cue=none", True),
        ("injection_hijack", "base+guard=none", False),  # no safeguard at all is a condition like any other
        ("ops_horizon", "base+guard=policy", False),
    ],
)
def test_an_arm_rests_where_its_family_says(
    family: str, label: str, rest: bool, study_file: Callable[[str], Path], tmp_path: Path
) -> None:
    assert at_rest(family, label) is rest
    cell = Cell("acme/unlisted", family, "choice")
    study, _ = load_study(study_file(STUDY.replace("[ops_horizon]", f"[{family}]")))
    progress = Progress(study, cells_of(study), tmp_path)
    progress.saw(replace(seen(0, cell), stratum=f"0|{label}"))
    held = next(c for c in progress.snapshot("running", "x").cells if c.model == cell.model)
    assert held.done == 1 and [e.n for e in held.estimates] == ([1] if rest else [])


def test_a_sample_that_was_never_told_of_is_a_crash_and_no_success(
    watched: tuple[Progress, Clock, Path],
) -> None:
    progress, _, _ = watched
    progress.group_started("acme/unlisted")
    progress.saw(seen(0))
    study, _ = load_study(watched[2] / "study.yaml")
    progress.group_finished("acme/unlisted", [c for c in cells_of(study) if c.model == "acme/unlisted"])
    made = progress.snapshot("running", "x")
    assert made.cells[0].done == 20 and made.statuses == {"infra_error": 19, "scored": 1}


def test_a_disk_that_cannot_be_written_stops_the_view_and_not_the_run(
    study_file: Callable[[str], Path], tmp_path: Path
) -> None:
    study, _ = load_study(study_file(STUDY))
    (tmp_path / "a file").write_text("")
    progress = Progress(study, cells_of(study), tmp_path / "a file", every_s=0)
    progress.saw(seen(0))
    assert progress.broken and progress.snapshot("running", "x").done == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": 2}', '{"schema": 1, "cells": [{"x": 1}]}', "null"]
)
def test_a_damaged_progress_file_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert read_progress(tmp_path) is None


def test_an_episode_costs_a_few_microseconds_and_snapshots_at_most_two_percent(
    study_file: Callable[[str], Path], tmp_path: Path
) -> None:
    study, _ = load_study(study_file(STUDY.replace("n: 10", "n: 20000")))
    progress = Progress(study, cells_of(study), tmp_path, every_s=0.0)
    told = [seen(i, success=float(i % 2)) for i in range(20_000)]
    began = time.process_time()
    for one in told:
        progress.count(one)
    assert (time.process_time() - began) / 20_000 < 100e-6, "a cheap sample takes 15 ms"
    before = progress._clock()
    progress.snapshot("running", "x")
    spent = progress._clock() - before
    assert progress._next - before >= 50 * spent * 0.5, "the next snapshot waits until this one is paid for"


# ---- what is shown


def snapshot(watched: tuple[Progress, Clock, Path], state: str = "running", stage: str = "x") -> Snapshot:
    return watched[0].snapshot(state, stage)


def test_lines_are_few_and_machine_readable(watched: tuple[Progress, Clock, Path]) -> None:
    out, clock = io.StringIO(), Clock()
    lines = Lines(out, clock)
    for now in range(31):
        clock.now = now
        lines.show(snapshot(watched))
    lines.show(snapshot(watched, "finished"))
    said = out.getvalue().splitlines()
    assert len(said) == 3
    for line in said:
        word, *pairs = line.split(" ")
        assert word == "progress" and all(pair.count("=") == 1 for pair in pairs)
    assert dict(pair.split("=") for pair in said[0].split(" ")[1:])["total"] == "40"


def test_quiet_says_problems_and_nothing_else(watched: tuple[Progress, Clock, Path]) -> None:
    out = io.StringIO()
    with display(quiet=True, stream=out) as told:
        told.tell("acme: 1 task")
        told.show(snapshot(watched, "finished"))
        told.tell("problem: a log is torn")
    assert out.getvalue().count("\n") == 1 and "torn" in out.getvalue()


def test_a_terminal_shows_bar_cost_and_estimates_and_no_markup_of_a_model(
    study_file: Callable[[str], Path], tmp_path: Path
) -> None:
    evil = "acme/[red]evil[/red]\u202e"
    study, _ = load_study(study_file(STUDY.replace("acme/unlisted", "acme/x")))
    progress = Progress(study, cells_of(study), tmp_path)
    progress.saw(seen(0, Cell("acme/x", "ops_horizon", "choice")))
    made = progress.snapshot("running", evil)
    console = Console(file=io.StringIO(), width=140, force_terminal=True, markup=False, highlight=False)
    console.print(view(made))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert not [line for line in text.splitlines() if "━" in line and "samples" in line], (
        "the bar has its own line"
    )
    assert "1 of 40 samples" in text and "L0 1.00 [" in text and "acme/x" in text
    assert "\u202e" not in text
    assert [part.endswith("n=1") for part in estimate_parts(made.cells[0])] == [True]


def test_a_run_tells_its_progress_and_counts_again_after_a_stop(tmp_path: Path) -> None:
    """A real run: its progress agrees with its store, and the same command again starts from what is done."""
    study = "name: real\nmodels: [sim/smooth@22, bot/refuser]\ntasks: [ops_horizon]\nlevels: [0]\n"
    study += "interfaces: [choice]\nn: 6\n"
    (tmp_path / "study.yaml").write_text(study)
    folder = tmp_path / "run"
    done = CliRunner().invoke(
        command, [str(tmp_path / "study.yaml"), "--run", str(folder), "--format", "json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["samples"] == 12
    assert "progress study=real state=finished done=12 total=12" in done.stderr
    first = read_progress(folder)
    assert first is not None and first.simulated and first.statuses == {"refused": 6, "scored": 6}
    assert first.input_tokens > 0 and first.usd == 0
    refuser = next(c for c in first.cells if c.model == "bot/refuser")
    assert refuser.estimates[0].mean is None and refuser.estimates[0].ucb == 1
    CliRunner().invoke(command, [str(tmp_path / "study.yaml"), "--run", str(folder), "--quiet"])
    second = read_progress(folder)
    assert second is not None
    assert (second.done, second.statuses) == (12, first.statuses), "what the logs hold is done already"
    assert [c.estimates for c in second.cells] == [c.estimates for c in first.cells]
