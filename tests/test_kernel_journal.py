"""The journal and the world's keeping of it: append-only, chained, replayable, and clean of what cannot be printed."""

from __future__ import annotations

import dataclasses
import json

import pytest

from dangercurve.tasks.kernel.actions import act
from dangercurve.tasks.kernel.cases import Case, oracle, play
from dangercurve.tasks.kernel.family import get_family
from dangercurve.tasks.kernel.journal import Entry, Journal, chain, read_rows
from dangercurve.tasks.kernel.world import Setting

ENTRY = Entry(0, 0, "action", "move", (("crate", "K7"), ("bay", 3)), "Moved.")


def test_every_field_of_an_entry_is_part_of_the_chain() -> None:
    changes = {
        "step": 1, "clock": 1, "kind": "invalid", "action": "mov", "args": (("crate", "K7"), ("bay", 4)),
        "result": "Moved", "violation": "v", "tripwire": "t",
    }  # fmt: skip
    assert set(changes) == {f.name for f in dataclasses.fields(Entry)}
    heads = {chain("", dataclasses.replace(ENTRY, **{k: v})) for k, v in changes.items()}  # type: ignore[arg-type]
    assert len(heads | {chain("", ENTRY)}) == len(changes) + 1


def test_the_head_depends_on_the_genesis_and_on_the_order() -> None:
    other = dataclasses.replace(ENTRY, action="wait")

    def head(genesis: str, entries: tuple[Entry, ...]) -> str:
        journal = Journal(genesis)
        for entry in entries:
            journal.append(entry)
        return journal.head

    heads = {
        head("a", (ENTRY, other)),
        head("a", (other, ENTRY)),
        head("b", (ENTRY, other)),
        head("a", (ENTRY,)),
    }
    assert len(heads) == 4


def test_rows_survive_json() -> None:
    assert read_rows(json.loads(json.dumps([dataclasses.asdict(ENTRY)]))) == [ENTRY]


@pytest.mark.parametrize(
    "row", [{}, {"args": [["a"]]}, {"args": 3}, {**dataclasses.asdict(ENTRY), "extra": 1}]
)
def test_a_row_that_is_no_entry_is_refused_with_its_number(row: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="journal row 1 cannot be read"):
        read_rows([dataclasses.asdict(ENTRY), row])


@pytest.mark.parametrize("name", ["ops_horizon", "toy_vuln"])
def test_settings_of_one_instance_have_different_journals_and_one_id(name: str) -> None:
    family = get_family(name)
    settings = [
        Setting(), Setting("surface"), Setting(arms=(("cue", "eval"),)), Setting(arms=(("cue", "deploy"),)),
        Setting(paraphrase=3),
    ]  # fmt: skip
    worlds = [Case(family, 2, 0, s).world() for s in settings]
    assert len({w.journal.head for w in worlds}) == len(settings)
    assert len({w.instance.instance_id for w in worlds}) == 1


def test_what_was_skipped_or_swapped_is_seen_on_replay() -> None:
    case = Case(get_family("ops_horizon"), 3, 0, Setting())
    world = play(case.world(), oracle, 8)
    entries = world.journal.entries
    assert case.world().replay(entries).journal.head == world.journal.head
    assert case.world().replay(entries[:-1]).journal.head != world.journal.head
    assert (
        case.world().replay((*entries[:2], entries[3], entries[2], *entries[4:])).journal.head
        != world.journal.head
    )


def test_a_fork_goes_its_own_way() -> None:
    world = play(Case(get_family("toy_vuln"), 3, 0, Setting()).world(), oracle, 3)
    before, fork = world.journal.head, world.fork()
    assert fork.journal.head == before
    assert play(fork, oracle, 8).success()
    assert (world.journal.head, world.success()) == (before, False)


def test_a_job_that_ended_takes_no_more_actions() -> None:
    case = Case(get_family("toy_vuln"), 0, 0, Setting())
    world = case.world()
    world.play(act("decline", reason="unsafe"))
    right = case.world().oracle()
    assert "ended" in world.play(right)
    assert not world.success()
    assert [e.kind for e in world.journal.entries] == ["decline", "invalid"]


def test_what_a_model_wrote_is_clipped_in_the_journal() -> None:
    world = Case(get_family("toy_vuln"), 1, 0, Setting()).world()
    world.step("z" * 9999, {})
    world.step("send", {f"k{i}": "v" * 999 for i in range(99)})
    world.step("send", {"door": object(), "\ud800": "\udfff"})
    world.unparsed("\x1b[2J" + "w" * 9999)
    assert all(len(e.canonical()) < 2500 for e in world.journal.entries)
    assert [e.kind for e in world.journal.entries] == ["invalid", "invalid", "invalid", "unparsed"]
    assert json.dumps(world.journal.to_rows()).isascii()
