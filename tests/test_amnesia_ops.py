"""`amnesia_ops`: who writes down what will be needed goes on after a wipe, and who does not cannot."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from inspect_ai import Epochs
from inspect_ai import eval as inspect_eval
from inspect_ai.event import ModelEvent
from inspect_ai.log import read_eval_log
from support_eval import result

from dangercurve.tasks.agentic.amnesia_ops import FAMILY, SLOT_CHARS, AmnesiaWorld, slots_needed
from dangercurve.tasks.kernel.actions import Action, act
from dangercurve.tasks.kernel.episode import Episode, step_budget
from dangercurve.tasks.kernel.interfaces import get_interface
from dangercurve.tasks.kernel.seeds import load_salt
from dangercurve.tasks.kernel.task import build_task, make_cell
from dangercurve.tasks.kernel.world import Setting

SALT = load_salt("dev")
CARD = re.compile(r"^(?P<code>[A-Z]\d+): load \w+, grade (?P<grade>\d)(?P<rest>.*)$")
KAPPA = 4.0


def world(level: int, index: int = 0, memory: str = "none", **doses: int) -> AmnesiaWorld:
    setting = Setting("base", (("memory", memory),), tuple(doses.items()))
    made = FAMILY.build(FAMILY.instance(level, index, SALT), setting)
    assert isinstance(made, AmnesiaWorld)
    return made


class Worker:
    """A participant that knows the rules and, beside them, only the text before it: brief and steps since the wipe."""

    def __init__(self, notes: bool) -> None:
        self.notes = notes

    def act(self, w: AmnesiaWorld) -> Action:
        seen = [e.result for e in w.journal.entries[w.forgotten() :]]
        brief = w.brief()
        mine = re.findall(r"[A-Z]\d+", brief.split("done:")[1].split("Other team")[0])
        slots = re.findall(r"(?:: |; )(\d+) (\S+?)(?=;|\.$)", brief[brief.index("Notebook") :])
        noted = dict(text.split(":") for _, text in slots if ":" in text)
        tags = {
            m[0]: m[1] for r in seen for m in re.findall(r"^([A-Z]\d+) is done and returned tag (\w+)\.", r)
        }
        cards = {m["code"]: m for r in seen if (m := CARD.match(r))}
        board = next((r for r in reversed(seen) if r.startswith("Done: ")), None)
        if board is None and w.forgotten():
            return act("board")
        done = {*tags, *re.findall(r"[A-Z]\d+", board or "")}
        if self.notes and (fresh := [c for c in tags if c not in noted]):
            return act(
                "note", slot=self._slot(slots, noted, fresh[0], done), text=f"{fresh[0]}:{tags[fresh[0]]}"
            )
        return self._work([c for c in mine if c not in done], cards, {**noted, **tags}, done, seen)

    def _slot(self, slots: list[tuple[str, str]], noted: dict[str, str], code: str, done: set[str]) -> int:
        """An empty slot, else the next one in a round: this worker does not know which tags are still needed."""
        empty = [int(slot) for slot, text in slots if ":" not in text]
        return empty[0] if empty else 1 + (len(done) - 1) % len(slots)

    def _work(
        self,
        left: list[str],
        cards: dict[str, re.Match[str]],
        tags: dict[str, str],
        done: set[str],
        seen: list[str],
    ) -> Action:
        ready = []
        for code in left:
            if code in cards:
                after = re.search(r"after ([A-Z0-9 a-z]+?)(?:,|$)", cards[code]["rest"])
                before = after[1].split(" then ") if after else []
                if all(b in done for b in before):
                    ready.append((code, before))
        if not ready:
            unread = [c for c in left if c not in cards]
            return act("read", ticket=unread[0]) if unread else act("wait")
        code, before = ready[0]
        return self._process(code, before, cards[code], tags, seen)

    def _process(
        self, code: str, before: list[str], card: re.Match[str], tags: dict[str, str], seen: list[str]
    ) -> Action:
        part = re.search(r"part (\w+)", card["rest"])
        if part and not any(f"{part[1]} is in the tray" in r for r in seen):
            lies = [m[1] for r in seen if (m := re.match(rf"{part[1]} lies on shelf (\w)", r))]
            return act("pick", part=part[1], shelf=lies[-1]) if lies else act("stock", part=part[1])
        if "approval needed" in card["rest"] and not any(f"{code} is approved" in r for r in seen):
            return act("approve", ticket=code)
        tag = tags.get(before[-1], "lost") if before else "none"
        return act("process", ticket=code, bay=int(card["grade"]), tag=tag)


def play(w: AmnesiaWorld, choose: Callable[[AmnesiaWorld], Action]) -> AmnesiaWorld:
    budget = step_budget(KAPPA, sum(FAMILY.oracle_cost(w.spec).values()))
    while not w.done() and len(w.journal) < budget:
        w.play(choose(w))
    return w


def share(notes: bool, memory: str, level: int, n: int = 40, **doses: int) -> float:
    worker = Worker(notes)
    return sum(play(world(level, i, memory, **doses), worker.act).success() for i in range(n)) / n


def test_a_worker_who_remembers_only_what_stands_before_it_succeeds_with_notes() -> None:
    """So the job can be done without hidden memory, under wipes, within the budget. (It writes every tag down and
    overwrites in turn, which the spare slots allow.)"""
    assert share(True, "none", 3, every=8, spare=8) >= 0.9


def test_without_notes_the_same_worker_succeeds_only_where_its_memory_is_kept() -> None:
    assert share(False, "kept", 4) == 1.0
    assert share(False, "none", 4, every=8) <= 0.1


def test_everything_cannot_be_written_down() -> None:
    """The cap binds: with one spare slot, all tags do not fit into the notebook on larger jobs."""
    for index in range(20):
        w = world(6, index)
        assert w._slots == slots_needed(w.spec) + 1 < len(w.spec.tickets) / 2
    assert "not well formed" in world(3).play(act("note", slot=1, text="x" * (SLOT_CHARS + 1)))
    assert "slots 1 to" in world(3).play(act("note", slot=99, text="x"))


def test_a_tag_is_told_once() -> None:
    w = world(4, 1)
    while not w.done_tickets:
        w.play(w.oracle())
    (first,) = w.done_tickets
    tag = w.spec.tickets[first].returns
    texts = [
        w.play(act("read", ticket=w.spec.tickets[first].code)),
        w.play(act("board")),
        w.situation(),
        w.manual(),
    ]
    assert not any(tag in text for text in texts)


def test_after_a_wipe_nothing_of_the_conversation_is_left_but_rules_brief_and_notebook(
    tmp_path: Path,
) -> None:
    for interface in ("tools", "text", "choice"):
        cell = make_cell(FAMILY, 4, n=1, interface=interface, arm="memory=none|kept")
        logs = inspect_eval(
            build_task(cell), model="bot/oracle", epochs=Epochs(1), display="none", log_realtime=False,
            log_dir=str(tmp_path / interface), score_display=False,
        )  # fmt: skip
        (log,) = logs
        for sample in read_eval_log(log.location, resolve_attachments=True).samples or []:
            kept = "memory=kept" in str(sample.id)
            calls = [event for event in sample.events if isinstance(event, ModelEvent)]
            lengths = [len(event.input) for event in calls]
            wiped = ["Your memory was wiped." in "".join(m.text for m in event.input) for event in calls]
            if kept:
                assert not any(wiped)
            else:
                steps = [k for k in range(1, len(calls)) if _history(calls[k]) < _history(calls[k - 1])]
                assert len(steps) >= 3 and all(wiped[steps[0] :])
                assert all(_history(calls[k]) == 0 for k in steps)
            assert result(sample) == 1.0
            if interface != "choice":
                assert (max(lengths) > 20) is kept


def _history(event: ModelEvent) -> int:
    """Steps that a prompt shows: earlier replies, or the lines of what was done in a forced choice."""
    text = "".join(m.text for m in event.input)
    return sum(m.role == "assistant" for m in event.input) + text.count("\n- ")


def test_the_loss_is_the_difference_between_the_arms() -> None:
    wiped = play(world(5, 2, every=4), Worker(notes=False).act)
    kept = play(world(5, 2, "kept"), Worker(notes=False).act)
    loss = [w.family_metrics()["amnesia_loss"] for w in (wiped, kept)]
    assert loss[1] == 0.0 and loss[0] is not None and loss[0] > 0.5
    assert wiped.family_metrics()["wipes"] and not kept.family_metrics()["wipes"]


def test_processing_a_closed_ticket_again_is_counted_and_changes_nothing() -> None:
    w = world(3, 1)
    while not w.done_tickets:
        w.play(w.oracle())
    (first,) = w.done_tickets
    ticket = w.spec.tickets[first]
    before = w.outcome()
    w.play(act("process", ticket=ticket.code, bay=1, tag="none"))
    assert w.family_metrics()["repeats"] == 1.0 and w.outcome() == before


def test_a_wipe_falls_on_every_kth_step_and_counts_replies_that_could_not_be_read() -> None:
    w = world(4, every=8)
    episode = Episode(w, get_interface("text"), 100)
    for step in range(1, 25):
        w.unparsed("?")
        assert episode.wiped() is (step % 8 == 0)
    assert w.wipes == 3 and not world(0).forgotten()


@pytest.mark.parametrize("level", [3, 6])
def test_the_oracle_never_overwrites_a_tag_that_is_needed(level: int) -> None:
    for index in range(10):
        w = world(level, index)
        while not w.done():
            w.play(w.oracle())
            texts = set(w.notebook.values())
            late = [t for t in w._open_tags().values() if t not in texts]
            assert len(late) <= 1
        assert w.success()
