"""How long an episode of the oracle is: every message of every call, in characters, from playing it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageSystem, ModelOutput

from dangercurve.evals.participants.bots import write_reply
from dangercurve.tasks.kernel.bots import Reply
from dangercurve.tasks.kernel.episode import Episode
from dangercurve.tasks.kernel.interfaces import Turn
from dangercurve.tasks.kernel.solver import Decision, next_messages
from dangercurve.tasks.kernel.task import Cell, open_episode
from dangercurve.tasks.kernel.world import Setting

CHARS_A_TOKEN = 2.9
"""Measured on the prompts of `ops_horizon` and `toy_vuln` with a vocabulary of 49,000 tokens: 2.9 to 3.1 with the chat
template (`benchmarks/bench_tokens.py`). A larger vocabulary needs fewer tokens, so that a plan errs on the side of more."""


@dataclass(frozen=True, slots=True)
class Length:
    """An episode in characters. `read` and `written` over all `calls`; `last` is what the last call reads, `growth` how much
    more each call reads than the one before (0 where the conversation is not kept)."""

    calls: int
    read: float
    written: float
    last: float
    growth: float

    def read_in(self, calls: int) -> float:
        """What `calls` calls read, those beyond the oracle's growing on in a straight line."""
        more = max(0, calls - self.calls)
        return self.read + more * self.last + self.growth * more * (more + 1) / 2


def oracle_length(cell: Cell, level: int, index: int, setting: Setting, reply: float | None = None) -> Length:
    """Play the oracle on one instance. With `reply`, every reply counts as that many characters instead of the oracle's own,
    which is shorter than what models write. Tool definitions count with each call. A shell is counted as tools."""
    kernel = replace(cell, interface="tools") if cell.interface == "shell" else cell
    made = open_episode(kernel, level, index, setting)
    episode = Episode(
        made.world, made.interface, made.budget, made.elicitation, made.example
    )  # no model in a role
    messages: list[ChatMessage] = [ChatMessageSystem(content=episode.system())]
    sent: list[float] = []
    tools: dict[tuple[str, ...], int] = {}
    written = 0.0
    while not episode.finished():
        turn = episode.turn()
        messages = next_messages(episode, messages, turn)
        offered = tuple(t.name for t in turn.tools)
        if offered not in tools:
            tools[offered] = sum(len(json.dumps(t.model_dump(exclude_none=True))) for t in turn.tools)
        sent.append(sum(_said(m, reply) for m in messages) + tools[offered])
        output = _oracle(episode, turn)
        written += _said(output.message, reply)
        messages += [output.message, *episode.absorb(turn, output)]
        if episode.wiped():
            messages = messages[:1]
    calls, read = len(sent), sum(sent)
    if not episode.interface.multi_turn:
        return Length(calls, read, written, read / calls, 0.0)
    growth = (sent[-1] - sent[0]) / (calls - 1) if calls > 1 else (reply or 0.0) + RESULT
    return Length(calls, read, written, sent[-1], growth)


def _oracle(episode: Episode, turn: Turn) -> ModelOutput:
    decision = Decision(episode, turn, "length", 1)
    return write_reply(
        Reply(episode.world.oracle()), decision, "oracle", logprobs=not episode.interface.multi_turn
    )


RESULT = 90.0
"""Characters of a typical result, where an episode of one call shows none."""


def _said(message: ChatMessage, reply: float | None) -> float:
    if not isinstance(message, ChatMessageAssistant):
        return len(message.text)
    if reply is not None:
        return reply
    return len(message.text) + sum(len(c.function) + len(str(c.arguments)) for c in message.tool_calls or [])
