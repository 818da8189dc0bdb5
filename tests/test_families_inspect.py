"""Every family through Inspect: levels 0-3, at least ten instances a bot and twin, in all three interfaces."""

from __future__ import annotations

import importlib
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from inspect_ai import Task
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog
from support_eval import evaluate, result, without_floors

from dangercurve.scorers.record import STORE_KEY, EpisodeRecord
from dangercurve.scorers.results import status_in
from dangercurve.tasks.kernel.cases import Case
from dangercurve.tasks.kernel.family import INTERFACES, Family, family_names, get_family
from dangercurve.tasks.kernel.journal import read_rows
from dangercurve.tasks.kernel.properties import FLOOR_LIMIT, IMITATOR_MARGIN, NULL_LIMIT
from dangercurve.tasks.kernel.task import build_task, make_cell
from dangercurve.tasks.kernel.world import Setting

SESSIONS = ("threshold_sandbag", "context_cue")  # many worlds a sample, whose families are played here
PLAIN = tuple(name for name in family_names() if name not in SESSIONS)
LONG = (
    "goal_persistence",
)  # minutes a bot: its job is that of ops_horizon; test_goal_persistence.py plays it
KNOWN, CHANCE = ("oracle", "null", "imitator"), "random"
LEVELS = "0-3"
ATLEAST = 10  # instances a bot and twin


@dataclass(frozen=True)
class Sample:
    twin: str
    interface: str
    level: int
    index: int
    success: float


Played = tuple[Family, Mapping[str, list[Sample]]]


def known_tasks(family: Family) -> list[Task]:
    """For bots whose success is known for every instance: one a level, twin and interface, another in each interface."""
    twins = ",".join(family.all_twins())
    return [
        build_task(make_cell(family, LEVELS, twins, n=1, start=at, interface=interface))
        for at, interface in enumerate(INTERFACES)
    ]


def chance_tasks(family: Family) -> list[Task]:
    """For a rate: ten instances a twin in each interface, most of them where floors are highest."""
    twins = ",".join(family.all_twins())
    return [
        build_task(make_cell(family, levels, twins, n=2, start=start, interface=interface))
        for interface in INTERFACES
        for levels, start in ((LEVELS, 0), (1, 2))
    ]


def samples_of(log: EvalLog) -> list[Sample]:
    """Every sample of a log, all of which must have been played and scored."""
    assert log.status == "success"
    interface = str((log.eval.metadata or {})["interface"])
    found = []
    for sample in log.samples or []:
        meta = sample.metadata
        assert sample.scores is not None
        assert status_in(sample.scores) == "scored", (log.eval.model, sample.id)
        success = result(sample)
        found.append(Sample(str(meta["twin"]), interface, int(meta["level"]), int(meta["index"]), success))
    return found


@pytest.fixture(scope="module", params=[name for name in PLAIN if name not in LONG])
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """All bots in all cells. The simulated floor of each sample (seconds a cell) is left out: it has its own test."""
    family = get_family(str(request.param))
    folder = tmp_path_factory.mktemp(family.name)
    with without_floors():
        logs = evaluate(known_tasks(family), [f"bot/{bot}" for bot in KNOWN], folder / "known")
        logs += evaluate(chance_tasks(family), [f"bot/{CHANCE}"], folder / "chance")
    results: dict[str, list[Sample]] = defaultdict(list)
    for log in logs:
        results[log.eval.model.removeprefix("bot/")] += samples_of(log)
    return family, results


def pooled(found: list[Sample], twin: str, interface: str, lowest: int = 0) -> list[float]:
    return [s.success for s in found if (s.twin, s.interface) == (twin, interface) and s.level >= lowest]


def test_there_are_ten_instances_a_bot_and_twin_and_every_level_in_every_interface(played: Played) -> None:
    family, results = played
    assert set(results) == {*KNOWN, CHANCE}
    for found in results.values():
        for twin in family.all_twins():
            here = [s for s in found if s.twin == twin]
            assert len({(s.level, s.index) for s in here}) >= ATLEAST
            assert {(s.interface, s.level) for s in here} == {
                (i, level) for i in INTERFACES for level in range(4)
            }


def test_the_random_player_has_ten_instances_in_each_interface(played: Played) -> None:
    family, results = played
    for twin in family.all_twins():
        for interface in INTERFACES:
            assert len(pooled(results[CHANCE], twin, interface)) == ATLEAST


def test_the_oracle_always_succeeds_where_success_is_possible(played: Played) -> None:
    family, results = played
    for twin in family.all_twins():
        for interface in INTERFACES:
            wanted = 0.0 if twin in family.unsolvable else 1.0
            assert set(pooled(results["oracle"], twin, interface)) == {wanted}, (twin, interface)


def test_waiting_wins_nothing(played: Played) -> None:
    family, results = played
    values = [v for t in family.all_twins() for i in INTERFACES for v in pooled(results["null"], t, i)]
    assert sum(values) <= NULL_LIMIT * len(values)


def test_random_play_stays_under_the_floor_limit_from_level_1_on(played: Played) -> None:
    family, results = played
    for interface in INTERFACES:
        values = [v for t in family.all_twins() for v in pooled(results[CHANCE], t, interface, lowest=1)]
        assert sum(values) <= FLOOR_LIMIT * len(values), interface


def test_the_imitator_fails_under_the_flip_and_succeeds_on_what_it_memorised(played: Played) -> None:
    _, results = played
    for interface in INTERFACES:
        flipped = pooled(results["imitator"], "rule_flip", interface, lowest=1)
        assert sum(flipped) <= IMITATOR_MARGIN * len(flipped), interface
        for twin in ("base", "surface"):
            assert set(pooled(results["imitator"], twin, interface)) == {1.0}, (twin, interface)


@pytest.mark.parametrize("name", PLAIN)
def test_stock_inspect_runs_the_task_by_its_registered_name(name: str, tmp_path: Path) -> None:
    importlib.import_module("dangercurve._registry")
    (log,) = inspect_eval(
        f"dangercurve/{name}",
        task_args={"level": "0-1", "twin": "base,surface", "n": 2, "interface": "choice", "kappa": 8.0, "arm": ""},
        model="bot/oracle", display="none", log_dir=str(tmp_path), log_realtime=False,
    )  # fmt: skip
    assert (log.status, log.eval.task_registry_name, log.eval.task_version) == (
        "success", f"dangercurve/{name}", get_family(name).version,
    )  # fmt: skip
    assert log.results is not None
    assert len(log.samples or []) == 8
    for sample in log.samples or []:
        floor = float(sample.metadata["random_floor"])
        assert sample.metadata["level"] == 0 or floor <= FLOOR_LIMIT
        assert not math.isnan(floor)


@pytest.mark.parametrize("name", PLAIN)
def test_the_head_in_the_log_is_the_head_of_its_replayed_journal(name: str, tmp_path: Path) -> None:
    family = get_family(name)
    task = build_task(make_cell(family, level=2, twin="base,drift", arm="cue=eval", n=3, interface="text"))
    (log,) = inspect_eval(task, model="bot/random", display="none", log_dir=str(tmp_path), log_realtime=False)
    for sample in log.samples or []:
        raw = sample.store[STORE_KEY]
        record = (
            EpisodeRecord.model_validate_json(raw)
            if isinstance(raw, str)
            else EpisodeRecord.model_validate(raw)
        )
        meta = sample.metadata
        setting = Setting(str(meta["twin"]), (("cue", "eval"),), (), int(meta["paraphrase"]))
        world = Case(family, 2, int(meta["index"]), setting).world().replay(read_rows(record.journal))
        assert world.journal.head == record.journal_head
        assert (world.success(), world.outcome()) == (record.success, record.outcome)
