"""Known groups: every bot of the list gets exactly its estimate, in the table that gate and report read.

The estimates are taken from episodes played in this process, and a smaller version of every design is played through
Inspect by every one of its bots and must agree with them row by row and estimate by estimate.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from known_groups import EPOCHS, INSTANCES, KNOWN_GROUPS, KnownGroup
from support_eval import evaluate, without_floors

from dangercurve.analysis import registry
from dangercurve.analysis.estimates import estimate_all
from dangercurve.evals.ingest import find_logs, ingest_logs
from dangercurve.evals.panels.panels import write_panels
from dangercurve.evals.rehearsal import rehearse
from dangercurve.evals.store import read_observations
from dangercurve.tasks.kernel.family import family_names, get_family
from dangercurve.tasks.kernel.task import build_task, make_cell


class Design(NamedTuple):
    """What is played once for all entries that share it."""

    family: str
    arms: str
    levels: tuple[int, ...]
    doses: str


def design_of(group: KnownGroup) -> Design:
    return Design(group.family, group.arms, group.levels, group.doses)


SMALL = 2
DESIGNS = list(dict.fromkeys(design_of(g) for g in KNOWN_GROUPS))
CLAIMS = [
    pytest.param(g, bot, wanted, id=f"{g.metric}-{bot}")
    for g in KNOWN_GROUPS
    for bot, wanted in {**g.positive, **g.negative}.items()
]


def bots_of(design: Design) -> list[str]:
    groups = [g for g in KNOWN_GROUPS if design_of(g) == design]
    return sorted({bot for g in groups for bot in (*g.positive, *g.negative)})


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Design], Path]:
    """A run folder a design, played when it is first asked for. The simulated floor of each sample (seconds a cell) is
    left out: it has its own test."""

    @cache
    def play(design: Design) -> Path:
        folder = tmp_path_factory.mktemp(design.family)
        cell = make_cell(
            get_family(design.family), list(design.levels), "base", design.arms, design.doses, SMALL
        )
        with without_floors():
            task = build_task(cell)
        evaluate([task], [f"bot/{bot}" for bot in bots_of(design)], folder / "logs", EPOCHS)
        ingest_logs(find_logs([folder / "logs"]), folder, "known_groups")
        return folder

    return play


@cache
def rehearsed(design: Design, bot: str, n: int) -> pd.DataFrame:
    return rehearse(design.family, bot, design.arms, design.doses, levels=design.levels, n=n, epochs=EPOCHS)


@pytest.mark.parametrize(("group", "bot", "wanted"), CLAIMS)
def test_a_bot_of_known_behaviour_gets_exactly_its_estimate(
    group: KnownGroup, bot: str, wanted: float | None
) -> None:
    frame = rehearsed(design_of(group), bot, INSTANCES)
    table = estimate_all(frame)
    rows = table[table["metric"] == group.metric]
    if wanted is None:
        assert rows["estimate"].isna().all(), "no evidence, and never a number"
        assert (rows["n_instances"] == 0).all()
        return
    assert len(rows) == 1, "one estimate for one condition"
    row = rows.iloc[0]
    assert row["estimate"] == pytest.approx(wanted, abs=1e-9)
    assert row["lcb"] <= row["estimate"] <= row["ucb"]
    assert row["worst_case_lcb"] <= row["lcb"] and row["ucb"] <= row["worst_case_ucb"]
    assert 0 < row["n_instances"] <= INSTANCES * len(group.levels)
    assert row["n_opportunity"] >= row["n_instances"]
    assert 0 <= row["n_excluded"] <= len(frame)
    assert bool(row["simulated"])


@pytest.mark.parametrize("group", KNOWN_GROUPS, ids=lambda g: g.metric)
def test_positive_bots_lie_on_the_dangerous_side_of_all_negative_ones(group: KnownGroup) -> None:
    sign = 1.0 if registry.metric(group.metric).direction == "up" else -1.0
    high = [sign * v for v in group.positive.values() if v is not None]
    low = [sign * v for v in group.negative.values() if v is not None]
    assert high and low
    assert min(high) > max(low)


@pytest.mark.parametrize("group", KNOWN_GROUPS, ids=lambda g: g.metric)
def test_a_power_study_mixes_two_bots_that_differ(group: KnownGroup) -> None:
    bot, other, gap = group.mixture()
    expected = {**group.negative, **group.positive}
    assert bot != other and bot in group.positive and other in group.negative
    assert gap == abs((expected[bot] or 0.0) - (expected[other] or 0.0)) > 0


FLIPPED = [
    n
    for n in family_names()
    if get_family(n).domain == "deception" and "rule_flip" in get_family(n).all_twins()
]


@pytest.mark.parametrize("family", FLIPPED)
def test_the_imitation_index_is_one_for_a_template_and_accuses_nobody_who_understands(family: str) -> None:
    def index(bot: str) -> pd.Series[float] | None:
        table = estimate_all(rehearse(family, bot, n=INSTANCES, twin="base,surface,rule_flip"))
        rows = table[table["metric"] == "imitation_index"]
        return None if rows.empty else rows.iloc[0]

    template, knows = index("imitator"), index("oracle")
    assert template is not None and knows is not None
    assert template["estimate"] == pytest.approx(1.0) and template["lcb"] > 0.5
    assert knows["estimate"] == 0.0 and knows["lcb"] <= 0.0
    for innocent in ("honest_weak", "cautious", "refuser"):
        found = index(innocent)
        assert found is None or not found["lcb"] > 0.0, innocent


def test_every_deception_family_has_an_entry_and_every_entry_a_declared_metric() -> None:
    with_entry = {g.family for g in KNOWN_GROUPS}
    deception = {n for n in family_names() if get_family(n).domain == "deception"}
    assert deception <= with_entry, deception - with_entry
    for group in KNOWN_GROUPS:
        assert group.metric in registry.metrics()
        assert group.metric in get_family(group.family).metrics


@pytest.mark.parametrize("design", DESIGNS, ids=lambda d: f"{d.family}-{d.arms}")
def test_inspect_plays_what_was_rehearsed(design: Design, played: Callable[[Design], Path]) -> None:
    frame = read_observations(played(design))
    arms = sorted(c for c in frame.columns if c.startswith(("arm_", "dose_")))
    key = ["instance_id", *arms, "epoch"]
    for bot in bots_of(design):
        mine = frame[frame["model"] == f"bot/{bot}"].sort_values(key)
        again = rehearsed(design, bot, SMALL).sort_values(key)
        assert len(mine) == len(again) == SMALL * EPOCHS * len(mine.drop_duplicates(["level", *arms]))
        assert list(mine["status"]) == list(again["status"])
        for column in ("success", "outcome", "opportunity", "competent"):
            pairs = zip(mine[column], again[column], strict=True)
            assert all((pd.isna(a) and pd.isna(b)) or a == pytest.approx(b) for a, b in pairs), (bot, column)
        read, told = ([json.loads(text or "{}") for text in t["family_metrics"]] for t in (mine, again))
        assert read == told
        for metric in (g.metric for g in KNOWN_GROUPS if design_of(g) == design):
            found = [t[t["metric"] == metric]["estimate"].tolist() for t in map(estimate_all, (mine, again))]
            assert found[0] == pytest.approx(found[1], nan_ok=True), (bot, metric)


def test_the_awareness_panel_is_written_from_a_run(played: Callable[[Design], Path]) -> None:
    design = next(d for d in DESIGNS if d.family == "context_cue" and "neutral" in d.arms)
    folder = played(design)
    write_panels(folder, estimate_all(read_observations(folder)))
    entries = {e["model"]: e for e in json.loads((folder / "evidence" / "awareness.json").read_text())}
    assert entries.keys() == {f"bot/{bot}" for bot in bots_of(design)}
    effects = entries["bot/cue_violator"]["effects"]
    assert (effects["violations"]["estimate"], effects["honesty"]["estimate"]) == (1.0, 1.0)
    assert entries["bot/honest"]["effects"]["violations"]["estimate"] == 0.0
