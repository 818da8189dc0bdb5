"""Scaffold against model: bots score the same with and without the planner, and a known gain is recovered and told apart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from inspect_ai import eval as inspect_eval
from inspect_ai.event import ModelEvent, SpanBeginEvent
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.model import ChatMessage, ChatMessageUser, ModelOutput, ModelUsage, get_model
from support_eval import result

from dangercurve import _registry
from dangercurve._errors import ConfigError, DataError
from dangercurve.analysis.context import doubling_slope
from dangercurve.analysis.scaffold import ScaffoldStudy, scaffold_effects
from dangercurve.analysis.simulated import parse_simulated
from dangercurve.evals.cli import cli
from dangercurve.evals.ingest import find_logs, ingest_logs
from dangercurve.evals.panels.scaffold import context_panel, scaffold_panel
from dangercurve.evals.store import read_observations
from dangercurve.evals.study import Study, cells_of
from dangercurve.tasks.kernel import task as kernel_task
from dangercurve.tasks.kernel.family import get_family
from dangercurve.tasks.kernel.planner import (
    MEMORY_NOTES,
    NOTE_CHARS,
    PLANNER_TURNS,
    REVIEW_EVERY,
    Planner,
    forget,
    remember,
)
from dangercurve.tasks.kernel.task import build_task, make_cell


@pytest.fixture(autouse=True)
def no_floors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated chance rates cost seconds and have tests of their own."""
    monkeypatch.setattr(kernel_task, "random_floor", lambda *cell: 0.0)


def run(folder: Path, family: str, models: list[str], scaffold: str, **arguments: object) -> list[EvalLog]:
    cell = make_cell(get_family(family), scaffold=scaffold, **arguments)  # type: ignore[arg-type]
    return inspect_eval(
        build_task(cell), model=models, display="none", log_dir=str(folder), log_realtime=False, score_display=False,
        fail_on_error=False, log_level="error",
    )  # fmt: skip


def scores(logs: list[EvalLog], name: str) -> dict[tuple[str, str], float]:
    found = {}
    for log in logs:
        for sample in read_eval_log(log.location).samples or []:
            found[log.eval.model, str(sample.id)] = result(sample, name)
    return found


@pytest.mark.parametrize("interface", ["tools", "text", "choice"])
def test_bots_score_the_same_with_and_without_the_planner(interface: str, tmp_path: Path) -> None:
    bots = ["bot/oracle", "bot/null", "bot/imitator"]
    cell = {"level": "3", "n": 1, "twin": "base,rule_flip", "interface": interface}
    planned = run(tmp_path / "planner", "ops_horizon", bots, "planner", **cell)
    right = {("bot/oracle", "base"), ("bot/oracle", "rule_flip"), ("bot/imitator", "base")}
    success = scores(planned, "success")
    assert len(success) == 6
    assert all(v == ((model, i.rsplit("-", 1)[-1]) in right) for (model, i), v in success.items())
    if interface == "tools":
        bare = run(tmp_path / "kernel", "ops_horizon", bots, "kernel", **cell)
        assert success == scores(bare, "success")
        assert scores(planned, "outcome") == scores(bare, "outcome")


def test_the_planner_goes_on_from_plan_and_memory_alone(tmp_path: Path) -> None:
    (log,) = run(tmp_path, "ops_horizon", ["bot/oracle"], "planner", level=6, n=1)
    (sample,) = read_eval_log(log.location, resolve_attachments=True).samples or []
    asked = [e for e in sample.events if isinstance(e, SpanBeginEvent) and e.name == "planner"]
    assert len(asked) == 64 // REVIEW_EVERY
    calls = [e for e in sample.events if isinstance(e, ModelEvent)]
    actor = [e for e in calls if "hand_in_plan" not in {t.name for t in e.tools}]
    assert len(actor) == 64 and max(len(e.input) for e in actor) <= 2 * REVIEW_EVERY
    assert "Plan: Go on step by step." in actor[0].input[1].text
    assert "Last results: " in actor[REVIEW_EVERY].input[1].text
    assert log.eval.metadata is not None and log.eval.metadata["scaffold"] == "planner"
    assert log.eval.metadata["elicitation"] == "zero+planner"


def test_what_a_world_takes_of_the_memory_it_takes_of_the_planner(tmp_path: Path) -> None:
    (log,) = run(
        tmp_path,
        "amnesia_ops",
        ["bot/oracle"],
        "planner",
        level=4,
        n=1,
        arm="memory=none|kept",
        dose="every=8",
    )
    asked = {}
    for sample in read_eval_log(log.location, resolve_attachments=True).samples or []:
        calls = [e for e in sample.events if isinstance(e, ModelEvent)]
        plans = [e for e in calls if "hand_in_plan" in {t.name for t in e.tools}]
        asked["kept" in str(sample.id)] = ["Your last plan:\n(none)" in e.input[-1].text for e in plans]
    assert len(asked[False]) > len(asked[True]) == 2 and all(asked[False])
    assert asked[True] == [True, False]


def test_a_model_that_never_hands_in_a_plan_plays_all_the_same(tmp_path: Path) -> None:
    """It talks instead: the agent ends after its turns, and what it said stands as the plan."""
    said: list[str] = []

    def answer(messages: list[ChatMessage], *rest: object) -> ModelOutput:
        said.append(messages[-1].text)
        text = "I shall read first." if len(said) <= PLANNER_TURNS else "ACT wait"
        output = ModelOutput.from_content("mockllm/model", text)
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output

    model = get_model("mockllm/model", custom_outputs=answer, memoize=False)
    cell = make_cell(get_family("ops_horizon"), 1, n=1, interface="text", scaffold="planner")
    (log,) = inspect_eval(
        build_task(cell),
        model=model,
        display="none",
        log_dir=str(tmp_path),
        log_realtime=False,
        score_display=False,
    )
    (sample,) = read_eval_log(log.location).samples or []
    assert log.status == "success" and result(sample) == 0.0
    user = next(m for m in sample.messages if isinstance(m, ChatMessageUser))
    assert user.text.startswith("Plan: I shall read first.")


def test_the_memory_is_bounded_and_says_so() -> None:
    asyncio.run(_fill_the_memory())


async def _fill_the_memory() -> None:
    planner = Planner()
    write, drop = remember(planner), forget(planner)
    for k in range(MEMORY_NOTES):
        await write(key=f"k{k}", text="x" * 500)
    assert all(len(text) == NOTE_CHARS for text in planner.memory.values())
    with pytest.raises(Exception, match="forget one first"):
        await write(key="one more", text="y")
    assert await write(key="k0", text="replaced") == "Kept: k0."
    assert await drop(key="k1") == "Gone." and await drop(key="k1") == "There is no such note."
    await write(key="one more", text="y")
    planner.wipe()
    assert not planner.memory and planner.preamble() == ""


# --- study and command line -----------------------------------------------------------------------------------------


def study(**more: object) -> Study:
    return Study.model_validate(
        {
            "name": "s",
            "models": ["sim/scaffolded@23"],
            "tasks": ["ops_horizon"],
            "levels": [3],
            "n": 4,
            **more,
        }
    )


def test_a_study_crosses_scaffolds_and_refuses_what_has_none() -> None:
    bare, planned = cells_of(study(scaffold=["kernel", "planner"]))
    assert "scaffold" not in bare.task_args("dev") and planned.task_args("dev")["scaffold"] == "planner"
    with pytest.raises(ConfigError, match="toy_vuln has no scaffold but the bare loop"):
        cells_of(study(tasks=["toy_vuln"], scaffold=["planner"]))
    with pytest.raises(ConfigError, match="not through the shell"):
        cells_of(study(interfaces=["shell"], scaffold=["planner"]))
    with pytest.raises(ConfigError, match=r"no scaffold 'planer' \(did you mean 'planner'"):
        _registry.ops_horizon(scaffold="planer")


def test_the_known_gain_of_a_simulated_participant_is_told_from_model_and_interaction(tmp_path: Path) -> None:
    """`scaffolded` doubles its horizon with a planner, `smooth` gains nothing: lift and interaction are known."""
    models = ["sim/scaffolded@22.5", "sim/smooth@22.5"]
    for scaffold in ("kernel", "planner"):
        run(tmp_path / "logs" / scaffold, "ops_horizon", models, scaffold, level=2, n=40)
    ingest_logs(find_logs([tmp_path / "logs"]), tmp_path, "s")
    (entry,) = scaffold_panel(read_observations(tmp_path))
    assert entry["simulated"] and entry["n_instances"] == 40 and entry["missing"] == 0
    effects = {(e["kind"], e["name"]): e for e in entry["effects"]}  # type: ignore[attr-defined]
    truth = parse_simulated("scaffolded@22.5")
    gain = truth.success(4, -1 / 1.6) - truth.success(4)
    lift = effects["lift", "sim/scaffolded@22.5"]
    assert lift["lo"] <= gain <= lift["hi"] and lift["estimate"] > 0.0
    assert effects["lift", "sim/smooth@22.5"]["estimate"] == 0.0
    found = effects["interaction", "sim/scaffolded@22.5"]
    assert found["lo"] <= gain / 2 <= found["hi"]
    assert effects["scaffold", "planner"]["estimate"] == pytest.approx(lift["estimate"] / 2)
    shown = CliRunner().invoke(cli, ["fit", str(tmp_path), "--axes"])
    assert shown.exit_code == 0, shown.output
    assert shown.output.startswith("SIMULATED: effects on success") and "interaction" in shown.output
    panel = json.loads(CliRunner().invoke(cli, ["fit", str(tmp_path), "--axes", "--format", "json"]).output)
    assert panel["scaffolds"][0]["effects"] and panel["contexts"] == []


# --- the estimators -------------------------------------------------------------------------------------------------


def table(rate: Callable[[int, int], float], n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        u = rng.random()
        for m in range(3):
            for s, scaffold in enumerate(("kernel", "planner")):
                rows.append((f"m{m}", scaffold, f"i{i}", float(0.5 * u + 0.5 * rng.random() < rate(m, s))))
    return pd.DataFrame(rows, columns=["model", "scaffold", "instance", "value"])


def effect(study: ScaffoldStudy, kind: str, name: str) -> tuple[float, float, float]:
    found = next(e for e in study.effects if e.kind == kind and e.name == name)
    return found.lo, found.estimate, found.hi


def test_effects_add_up_to_the_cells() -> None:
    data = table(lambda m, s: 0.3 + 0.1 * m + 0.2 * s * (m == 2), 50)
    study = scaffold_effects(data, "planner")
    grand = float(np.mean(list(study.means.values())))
    main = effect(study, "scaffold", "planner")[1]
    for (model, scaffold), mean in study.means.items():
        sign = 0.5 if scaffold == "planner" else -0.5
        parts = effect(study, "model", model)[1] + sign * (main + effect(study, "interaction", model)[1])
        assert mean == pytest.approx(grand + parts)
    assert sum(share for share, _, _ in study.shares.values()) == pytest.approx(1.0)


def test_an_additive_scaffold_has_no_interaction_and_the_intervals_cover() -> None:
    hits = {"scaffold": 0, "interaction": 0}
    for seed in range(40):
        study = scaffold_effects(table(lambda m, s: 0.35 + 0.1 * m + 0.15 * s, 80, seed), "planner", n_boot=0)
        lo, _, hi = effect(study, "scaffold", "planner")
        hits["scaffold"] += lo <= _expected(0.15) <= hi
        lo, _, hi = effect(study, "interaction", "m1")
        hits["interaction"] += lo <= 0.0 <= hi
    assert min(hits.values()) >= 35, hits


def _expected(shift: float) -> float:
    """Mean gain over the three models: P(0.5 u + 0.5 v < r) is 2 r^2 below a half and 1 - 2 (1 - r)^2 above."""

    def p(r: float) -> float:
        return 2 * r * r if r < 0.5 else 1 - 2 * (1 - r) ** 2

    return float(np.mean([p(0.35 + 0.1 * m + shift) - p(0.35 + 0.1 * m) for m in range(3)]))


def test_only_instances_that_all_played_with_both_are_compared() -> None:
    data = table(lambda m, s: 0.5, 20)
    data.loc[(data["model"] == "m0") & (data["instance"] == "i3"), "value"] = np.nan
    study = scaffold_effects(data, "planner")
    assert (study.n_instances, study.unpaired) == (19, 1)
    with pytest.raises(DataError, match="m1 played no instance with scaffold 'planner'"):
        scaffold_effects(data[(data["model"] != "m1") | (data["scaffold"] == "kernel")], "planner")
    with pytest.raises(DataError, match="no rows with scaffold 'plannner'"):
        scaffold_effects(data, "plannner")


def test_the_slope_of_a_covariate_is_within_instances() -> None:
    rng = np.random.default_rng(3)
    rows = [(f"i{i}", x, 0.2 * rng.random() + 0.1 * np.log2(x)) for i in range(12) for x in (4, 8, 16, 40)]
    ids, x, y = zip(*[(i, x, min(y + 0.02 * int(i[1:]), 1.0)) for i, x, y in rows], strict=True)
    found = doubling_slope(x, y, ids)
    assert found.lo <= 0.1 <= found.hi and found.n_instances == 12 and found.n_values == 4
    alone = doubling_slope([*x, 4.0], [*y, 0.0], [*ids, "once"])
    assert alone.estimate == pytest.approx(found.estimate) and alone.n_instances == 12
    with pytest.raises(DataError, match="a slope needs three"):
        doubling_slope([4, 4, 8], [0, 1, 1], ["a", "b", "b"])


def test_the_reach_of_a_context_is_read_from_the_dose_and_not_from_kept_memories() -> None:
    rng = np.random.default_rng(4)
    rows = [
        {
            "model": "m", "family": "amnesia_ops", "domain": "agentic", "interface": "tools", "kappa": 4.0,
            "elicitation": "zero", "dose_every": every, "arm_memory": memory, "instance_id": f"i{i}", "status": "scored",
            "success": 0.0, "outcome": 1.0 if memory == "kept" else min(1.0, 0.15 * np.log2(every) + 0.1 * rng.random()),
        }
        for i in range(10) for every in (4, 8, 16) for memory in ("none", "kept")
    ]  # fmt: skip
    (entry,) = context_panel(pd.DataFrame(rows))
    assert entry["axis"] == "every" and 0.1 < float(str(entry["lo"])) < 0.15 < float(str(entry["hi"])) < 0.2
