"""A hostile model: the corpus of attack outputs (tests/hostile/*.yaml) and the participant that plays it.

An entry says where the text goes (`place`, `via`), what it tries (`what`), the text, and the harmless text of the same
meaning (`same_as`). The participant plays one entry a sample: in epoch 1 once and then the oracle, in epoch 2 again and
again. Played twice, with attacks and with the harmless texts, a run must end in the same rows and the same verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ContentImage,
    ContentReasoning,
    ContentText,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    modelapi,
)
from inspect_ai.tool import ToolCall, ToolChoice, ToolInfo

from dangercurve.tasks.kernel.bots import as_text, letter_of
from dangercurve.tasks.kernel.solver import Decision, current_decision

CORPUS = Path(__file__).parent / "hostile"
INTERFACES = ("tools", "text", "choice")
PLAYED = ("value", "key", "name", "call", "text", "reasoning", "answered")


def says(content: object, calls: list[ToolCall] | None = None) -> ChatMessageAssistant:
    return ChatMessageAssistant(content=content, tool_calls=calls)  # type: ignore[arg-type]


def call(arguments: dict[str, object], function: str = "read", name: str = "c1") -> ChatMessageAssistant:
    return says("", [ToolCall(id=name, function=function, arguments=arguments)])


def nested(levels: int) -> object:
    value: object = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


def shared(levels: int) -> object:
    """A few references that stand for 10^levels nodes."""
    value: object = ["x"] * 10
    for _ in range(levels):
        value = [value] * 10
    return value


BOMBS: dict[str, Callable[[], ChatMessageAssistant]] = {
    "lone surrogate": lambda: says("a\ud800b"),
    "lone surrogate in an argument": lambda: call({"ticket": "\udfff"}),
    "lone surrogate in a name": lambda: call({}, function="re\udfffad", name="\ud800"),
    "integer of 5000 digits": lambda: call({"ticket": 10**5000}),
    "integer of 300 digits": lambda: call({"ticket": 10**300}),
    "not a number": lambda: call({"ticket": math.nan, "bay": math.inf}),
    "300 levels": lambda: call({"ticket": nested(300)}),
    "5000 levels": lambda: call({"ticket": nested(5_000)}),
    "10^9 nodes by reference": lambda: call({"ticket": shared(8)}),
    "10^5 keys": lambda: call({f"k{i}": i for i in range(100_000)}),
    "10^5 calls": lambda: says("", [ToolCall(id="c", function="read", arguments={}) for _ in range(100_000)]),
    "a picture at an address": lambda: says([ContentImage(image="http://pictures.invalid/x.png")]),
    "a picture that is a file": lambda: says([ContentImage(image="/etc/hostname")]),
    "four megabytes of reasoning": lambda: says([ContentReasoning(reasoning="z" * 4_000_000)]),
    "four megabytes in an argument": lambda: call({"ticket": "x" * 4_000_000}),
    "a wrong call": lambda: call({"ticket": "no such name"}),
    "two wrong calls": lambda: says(
        "", [ToolCall(id=f"c{i}", function="read", arguments={}) for i in range(2)]
    ),
}
HARMLESS = {"10^5 calls": "two wrong calls"}
"""What a bomb is as wrong as, where that is not one wrong call."""


@dataclass(frozen=True)
class Entry:
    """One attack output."""

    id: str
    place: str
    via: str
    what: str
    text: object
    same_as: object
    bomb: str
    interface: str
    file: str

    def said(self, attack: bool) -> object:
        """The attack, or the harmless text of the same meaning."""
        return self.text if attack else self.same_as


@cache
def corpus() -> tuple[Entry, ...]:
    """Every entry of every file of the corpus; a new file is picked up by being there."""
    found: list[Entry] = []
    for path in sorted(CORPUS.glob("*.yaml")):
        head = yaml.safe_load(path.read_text(encoding="utf-8"))
        for raw in head.pop("entries"):
            row = {**head, **raw}
            found.append(
                Entry(
                    id=row["id"],
                    place=row["place"],
                    via=row["via"],
                    what=row["what"],
                    text=_text(row),
                    same_as=row["same_as"],
                    bomb=row.get("bomb", ""),
                    interface=row.get("interface", ""),
                    file=row.get("file", ""),
                )
            )
    return tuple(found)


def _text(row: dict[str, object]) -> object:
    text, times = row.get("text"), int(str(row.get("repeat", 1)))
    if not isinstance(text, str):
        return text
    if "tail" in row:
        text = text + str(row["tail"]) * times
    else:
        text = str(row.get("head", "")) + text * times
    return text.replace("{surrogate}", "\ud800")


def played(interface: str, model: str, full: bool = False) -> tuple[Entry, ...]:
    """The entries that a model plays under an interface: its own, and those of no interface in turn (`full`: all)."""
    named = model.endswith("named")
    entries = [e for e in corpus() if e.via in PLAYED and (e.via == "answered") == named]
    free = [e for e in entries if not e.interface]
    turn = {e.id: INTERFACES[i % 3] for i, e in enumerate(free)}
    return tuple(e for e in entries if (e.interface or (interface if full else turn[e.id])) == interface)


@modelapi(name="hostile")
def hostile() -> type[ModelAPI]:
    return HostileAPI


class HostileAPI(ModelAPI):
    """`hostile/plain` and `hostile/named`, with the model arguments `attack` (or the harmless texts) and `full`."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),
        attack: bool = True,
        full: bool = False,
        **_: object,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        self.attack, self.full = attack, full

    async def count_text_tokens(self, text: str) -> int:
        return 1

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        decision = current_decision.get()
        entries = played(decision.episode.interface.name, self.model_name, self.full)
        index = int(decision.sample_key.split("-")[2])
        entry = entries[index % len(entries)]
        strikes = decision.episode.turns == 0 or decision.epoch == 2
        answered = self.model_name
        if entry.via == "answered":
            message = right(decision)
            answered = str(entry.said(self.attack))
        elif strikes:
            message = struck(entry, decision, self.attack)
        else:
            message = right(decision)
        return ModelOutput(
            model=answered,
            choices=[ChatCompletionChoice(message=message)],
            usage=ModelUsage(input_tokens=10, output_tokens=5, total_tokens=15),
        )


def right(decision: Decision) -> ChatMessageAssistant:
    """The oracle's action in the form of the interface."""
    action = decision.episode.world.oracle()
    name = decision.episode.interface.name
    if name == "tools":
        return says("", [ToolCall(id="call_1", function=action.name, arguments=action.kwargs)])
    if name == "choice":
        return says(letter_of(action, decision.turn.options) or "?")
    return says(as_text(action))


def struck(entry: Entry, decision: Decision, attack: bool) -> ChatMessageAssistant:
    """The reply that carries the entry where it goes."""
    if entry.bomb and (attack or entry.via == "value"):
        return BOMBS[entry.bomb if attack else HARMLESS.get(entry.bomb, "a wrong call")]()
    said = entry.said(attack)
    if entry.via == "text":
        return says(str(said))
    if entry.via == "reasoning":
        return says([ContentReasoning(reasoning=str(said)), ContentText(text="")])
    action = decision.episode.world.oracle()
    arguments: dict[str, object] = dict(action.kwargs)
    name, call = action.name, "call_1"
    if entry.via == "value":
        arguments[next(iter(arguments), "x")] = said
    elif entry.via == "key":
        arguments[str(said)] = "1"
    elif entry.via == "name":
        name = str(said)
    else:
        call = str(said)
    return says("", [ToolCall(id=call, function=name, arguments=arguments)])
