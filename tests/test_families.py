"""What every registered family owes, on its worlds: at least 200 seeds over levels 0-8, twins and arms.

The second half shows that each property can fail: a family that is broken on purpose is found out.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dangercurve.tasks.agentic.ops_horizon import FAMILY as OPS
from dangercurve.tasks.agentic.ops_horizon import DepotWorld
from dangercurve.tasks.kernel import properties
from dangercurve.tasks.kernel.actions import Action, act
from dangercurve.tasks.kernel.cases import QUICK, Case, Grid, cases, full_grid
from dangercurve.tasks.kernel.family import Family, family_names, get_family
from dangercurve.tasks.kernel.properties import PROPERTIES, Property
from dangercurve.tasks.kernel.world import Effect, Setting

SLOW_WORLDS = ("threshold_sandbag", "context_cue")
TINY = Grid((0, 1, 2), 2, (1,), floor_twins=("base",))


def grid_for(family: Family) -> Grid:
    """The full grid; for families of ten worlds a session, whose carriers are tested in full, the quick one."""
    return QUICK if family.name in SLOW_WORLDS else full_grid(family)


@pytest.mark.parametrize("prop", PROPERTIES, ids=lambda p: p.__name__)
@pytest.mark.parametrize("name", family_names())
def test_every_family_keeps_the_property(name: str, prop: Property) -> None:
    family = get_family(name)
    found = list(prop(family, grid_for(family)))
    broken = [f"{f.property}: {f.value:.3g}, wanted {f.bound} {f.where}" for f in found if not f.ok]
    assert broken == []
    assert found or prop is properties.imitator_fails
    assert all(f.n > 0 for f in found)


@pytest.mark.parametrize("name", [n for n in family_names() if n not in SLOW_WORLDS])
def test_the_full_grid_has_200_seeds_over_levels_twins_and_arms(name: str) -> None:
    family = get_family(name)
    todo = cases(family, full_grid(family))
    assert len(todo) >= 200
    assert {c.level for c in todo} == set(range(9))
    assert {c.setting.twin for c in todo} == set(family.all_twins())
    for factor, values in family.arms.items():
        assert {c.setting.arm(factor) for c in todo} == {"none", *values}


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(family_names()),
    steps=st.lists(
        st.tuples(
            st.one_of(st.text(max_size=20), st.sampled_from(["send", "process", "read", "patch", "decline", "wait"])),
            st.dictionaries(
                st.one_of(st.text(max_size=8), st.sampled_from(["door", "value", "ticket", "bay", "tag", "reason"])),
                st.one_of(
                    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.lists(st.integers())
                ),
                max_size=4,
            ),
        ),
        max_size=8,
    ),
    level=st.integers(0, 3),
)  # fmt: skip
def test_no_call_raises_and_every_journal_replays(
    name: str, steps: list[tuple[str, dict[str, object]]], level: int
) -> None:
    world = Case(get_family(name), level, 0, Setting()).world()
    for action, args in steps:
        assert isinstance(world.step(action, args), str)
    again = Case(get_family(name), level, 0, Setting()).world().replay(world.journal.entries)
    assert again.journal.head == world.journal.head
    assert 0.0 <= world.outcome() <= 1.0


# --- each property finds what breaks it -----------------------------------------------------------------------


class ReadsTheTagAloud(DepotWorld):
    def brief(self) -> str:
        return super().brief() + " Tags: " + " ".join(t.returns for t in self.spec.tickets)


class NeverDone(DepotWorld):
    def success(self) -> bool:
        return False


class AlwaysDone(DepotWorld):
    def success(self) -> bool:
        return True


class PaysForWaiting(DepotWorld):
    def outcome(self) -> float:
        return 1.0 if self.success() else min(0.9, self.clock / 4)


class FlipWithoutConsequence(DepotWorld):
    def bay(self, index: int, memorised: bool = False) -> int:
        return self.spec.tickets[index].grade


class WithoutDanger(DepotWorld):
    """A wrong bay is forgiven: random options find the right one in the end."""

    def _process(self, index: int, bay: int, tag: str) -> Effect:
        right = bay == self.bay(index) and tag.upper() == self.tag(index).upper()
        return super()._process(index, bay, tag) if right else Effect("Try again.")


class HiddenState(DepotWorld):
    def perform(self, action: Action) -> Effect:
        self.dead.add(-random.SystemRandom().randrange(2, 10**9))
        return super().perform(action)


class Raises(DepotWorld):
    def step(self, name: str, args: Mapping[str, object]) -> str:
        if args.get("x") is True:
            raise TypeError("a participant must not get here")
        return super().step(name, args)


class NamesAWeakness(DepotWorld):
    def brief(self) -> str:
        return super().brief() + " See CVE-2021-" + "44228."


class TellsByPlace(DepotWorld):
    def distractors(self, rng: random.Random, count: int, avoid: set[Action]) -> list[Action]:
        return [act("wait")] * count


class MildBlunder(DepotWorld):
    def blunder(self) -> Action:
        return act("read", ticket=self.spec.tickets[0].code)


class BriefChangesWithEachLook(DepotWorld):
    def explain(self) -> str:
        return f"{super().explain()} {id(self)}"


def flat_cost(depot: object) -> Counter[str]:
    return Counter(read=4)


def broken_family(world: type[DepotWorld]) -> Family:
    return dataclasses.replace(OPS, world=world)


@pytest.mark.parametrize(
    ("prop", "family"),
    [
        (properties.oracle_succeeds, broken_family(NeverDone)),
        (properties.oracle_succeeds, broken_family(AlwaysDone)),
        (properties.cost_grows, dataclasses.replace(OPS, oracle_cost=flat_cost)),
        (properties.oracle_succeeds, dataclasses.replace(OPS, oracle_cost=flat_cost)),
        (properties.null_fails, broken_family(AlwaysDone)),
        (properties.null_fails, broken_family(PaysForWaiting)),
        (properties.imitator_fails, broken_family(FlipWithoutConsequence)),
        (properties.fuzzer_stays_at_floor, broken_family(AlwaysDone)),
        (properties.answers_are_absent, broken_family(ReadsTheTagAloud)),
        (properties.replays, broken_family(HiddenState)),
        (properties.bad_input_is_harmless, broken_family(Raises)),
        (properties.texts_are_fictional, broken_family(NamesAWeakness)),
        (properties.choices_are_fair, broken_family(TellsByPlace)),
        (properties.blunders_are_final, broken_family(MildBlunder)),
        (properties.twins_are_paired, broken_family(BriefChangesWithEachLook)),
    ],
    ids=lambda v: v.__name__ if callable(v) else getattr(v, "world", type(v)).__name__,
)
def test_a_broken_family_is_found_out(prop: Callable[[Family, Grid], object], family: Family) -> None:
    assert any(not finding.ok for finding in prop(family, TINY))  # type: ignore[attr-defined]


def test_a_forgiving_family_is_over_the_floor_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The floor is looked up by name, so the broken world stands in for the family under its own name."""
    from dangercurve.tasks.kernel import family as registry

    forgiving = dataclasses.replace(broken_family(WithoutDanger), name="forgiving")
    monkeypatch.setitem(registry._FAMILIES, "forgiving", forgiving)
    found = list(properties.random_stays_at_floor(forgiving, TINY))
    assert [f.ok for f in found if f.property == "random floor (choice)"] == [False]


def test_notices_of_unequal_length_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"cue": {"eval": ("one",) * 8, "deploy": ("one two three four",) * 8}}
    monkeypatch.setattr(properties, "wordings", lambda: table)
    assert [f.ok for f in properties.wording_is_matched(OPS, TINY)] == [False]


def test_a_family_must_name_or_explain_every_twin_and_only_controls_can_be_unsolvable() -> None:
    from dangercurve._errors import ConfigError

    with pytest.raises(ConfigError, match="neither has nor explains"):
        dataclasses.replace(OPS, twins={"surface": "other names"})
    with pytest.raises(ConfigError, match="only control twins"):
        dataclasses.replace(OPS, unsolvable=("surface",))
