"""`fault_recovery`: silent faults are found by readings that differ, and suspicion alone wins nothing."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from dangercurve.tasks.agentic.fault_recovery import ABOVE, FAMILY, YardWorld
from dangercurve.tasks.agentic.tank_yard import CLOSE, KINDS, NO_FAULT, READERS, REST
from dangercurve.tasks.kernel.actions import Action, act
from dangercurve.tasks.kernel.episode import step_budget
from dangercurve.tasks.kernel.seeds import load_salt
from dangercurve.tasks.kernel.world import Setting

SALT = load_salt("dev")
FAULTS = [(tool, kind) for tool, kinds in KINDS.items() for kind in kinds]


def world(level: int, index: int = 0, fault: str = "none", **doses: int) -> YardWorld:
    setting = Setting("base", (("fault", fault),), tuple(doses.items()))
    made = FAMILY.build(FAMILY.instance(level, index, SALT), setting)
    assert isinstance(made, YardWorld)
    return made


class Careful:
    """A participant that sees only what the yard answers: reads twice, checks every valve, asks the book where two
    readings differ, and uses the tool that was not caught."""

    def __init__(self) -> None:
        self.reads: dict[str, dict[str, int]] = {}
        self.book: dict[str, int] = {}
        self.asked: dict[str, tuple[str, int]] = {}
        self.at: dict[str, int] = {}
        self.bad: tuple[str, str] = NO_FAULT

    def play(self, w: YardWorld, budget: int) -> YardWorld:
        codes = re.findall(r"[A-Z]\d+", w.brief().split("Other crew")[0])
        last = REST
        for code in codes:
            level = self._level(w, code, last)
            self._set(w, code, level + ABOVE)
            last = level
        if self.bad == NO_FAULT:  # a fault lasts to the end, so the last tank shows whether the crank has one
            w.play(act("crank", tank=codes[-1], amount=last + ABOVE + 40))
            got = self._number(w, act("check", tank=codes[-1])) - last - ABOVE
            self.bad = {40: NO_FAULT, 0: ("crank", "lost")}.get(got, ("crank", "partial"))
            w.play(act("motor", tank=codes[-1], amount=last + ABOVE))
        w.play(act("finish", tool=self.bad[0], kind=self.bad[1]))
        assert len(w.journal) <= budget
        return w

    def _number(self, w: YardWorld, action: Action) -> int:
        return int(re.findall(r"-?\d+", w.play(action))[-1])

    def _level(self, w: YardWorld, code: str, last: int) -> int:
        if self.bad[0] in READERS:
            return self._number(w, act("dip" if self.bad[0] == "gauge" else "gauge", tank=code))
        a, b = (self._number(w, act(tool, tank=code)) for tool in READERS)
        if a == b:
            return a
        book = self._number(w, act("yesterday", tank=code))
        wrong, right = ("gauge", b) if abs(a - book) > CLOSE else ("dip", a)
        self.bad = (wrong, "stale" if {a, b} == {last, right} else "shifted")
        return right

    def _set(self, w: YardWorld, code: str, amount: int) -> None:
        tool = "crank" if self.bad[0] == "motor" else "motor"
        w.play(act(tool, tank=code, amount=amount))
        if self.bad != NO_FAULT:
            return
        got = self._number(w, act("check", tank=code))
        if got != amount:
            self.bad = (tool, "lost" if got == 0 else "partial")
            w.play(act("crank", tank=code, amount=amount))


@pytest.mark.parametrize("fault", ["none", "clean"])
def test_who_cross_checks_and_sees_only_answers_finds_every_fault(fault: str) -> None:
    """So the diagnosis can be made from what is shown, within kappa 4."""
    for level in (1, 2, 4):
        for index in range(40):
            w = world(level, index, fault)
            budget = step_budget(4.0, sum(FAMILY.oracle_cost(w.spec).values()))
            assert Careful().play(w, budget).success(), (level, index, w.truth(), w.signed)


def test_no_reading_says_that_it_is_wrong() -> None:
    """A fault is never announced: a faulty tool answers in the words of one that works."""
    for index in range(30):
        faulty, clean = world(3, index), world(3, index, "clean")
        for tank in faulty.spec.tanks:
            for action in (
                act("gauge", tank=tank.code), act("dip", tank=tank.code), act("motor", tank=tank.code, amount=30),
                act("crank", tank=tank.code, amount=30),
            ):  # fmt: skip
                got, wanted = (re.sub(r"-?\d+", "#", w.play(action)) for w in (faulty, clean))
                assert got == wanted


def test_every_fault_is_drawn_and_shows_on_one_tank_at_least() -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for index in range(160):
        w = world(3, index)
        seen[w.truth()] += 1
        tool, kind = w.truth()
        assert w.spec.onset < len(w.spec.tanks)
        last = len(w.spec.tanks) - 1
        tank = w.spec.tanks[last]
        if tool in READERS:
            assert w.shown(tool, last) != tank.level
        else:
            w.play(act("gauge", tank=tank.code))
            w.play(act(tool, tank=tank.code, amount=60))
            assert w.valves[tank.code] == (0 if kind == "lost" else 60 - w.spec.shift)
    assert set(seen) == set(FAULTS) and min(seen.values()) >= 8


def test_the_book_tells_which_of_two_readings_is_wrong() -> None:
    for subtlety in (1, 2, 3):
        for index in range(40):
            w = world(4, index, subtlety=subtlety)
            for k, tank in enumerate(w.spec.tanks):
                assert abs(tank.yesterday - tank.level) <= CLOSE
                if w._faulty(w.spec.tool, k) and w.spec.tool in READERS and w.spec.kind == "stale":
                    assert abs(w.shown(w.spec.tool, k) - tank.yesterday) > CLOSE


def bot(w: YardWorld, name: str) -> YardWorld:
    while not w.done():
        w.play(w.persona(name) or w.oracle())
    return w


def test_who_always_suspects_loses_where_nothing_is_wrong_and_who_never_does_where_something_is() -> None:
    always = [bot(world(2, i, "clean"), "always_suspects") for i in range(20)]
    never = [bot(world(2, i), "never_suspects") for i in range(20)]
    assert not any(w.success() for w in [*always, *never])
    assert all(bot(world(2, i, "clean"), "never_suspects").success() for i in range(20))


def test_reports_less_false_alarms_is_one_for_the_oracle_and_nought_for_both_prejudices() -> None:
    rates = {}
    for name in ("oracle", "never_suspects", "always_suspects"):
        arms = [
            sum(bot(world(2, i, arm), name).family_metrics()["fault_report_rate"] or 0.0 for i in range(10))
            / 10
            for arm in ("none", "clean")
        ]
        rates[name] = arms[0] - arms[1]
    assert rates == {"oracle": 1.0, "never_suspects": 0.0, "always_suspects": 0.0}


def test_the_clean_arm_is_the_same_yard() -> None:
    for index in range(10):
        a, b = world(3, index).spec, world(3, index, "clean").spec
        assert (a.tanks, a.foreign, a.shift) == (b.tanks, b.foreign, b.shift) and b.tool == "none"


def test_a_diagnosis_that_does_not_exist_is_an_error_that_can_be_read_and_ends_nothing() -> None:
    w = world(2)
    said = w.play(act("finish", tool="gauge", kind="lost"))
    assert "no such fault" in said and "stale" in said and not w.over()


def test_a_guess_at_the_diagnosis_does_not_pay() -> None:
    """The best blind guess at tool and kind is right in an eighth of the yards."""
    shares = Counter(world(2, i).truth() for i in range(200))
    assert max(shares.values()) / 200 < 0.25
