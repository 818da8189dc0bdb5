"""The solver: plays an episode with Inspect's model and leaves the record in the sample's store, whatever happens.

In-world actions are applied by the kernel and not by Inspect's tool runner: one reader, one journal, one budget for all
three interfaces, and a malformed call is an in-world error like any other. The calls stand in the transcript's messages.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from inspect_ai.model import ChatMessage, ChatMessageUser, GenerateConfig, Model, get_model
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.util import LimitExceededError

from dangercurve.scorers.record import STORE_KEY, dump_record
from dangercurve.scorers.status import decide_status
from dangercurve.tasks.kernel.episode import Episode
from dangercurve.tasks.kernel.interfaces import ChoiceInterface, Turn
from dangercurve.tasks.kernel.meter import Meter
from dangercurve.tasks.kernel.planner import Planner
from dangercurve.tasks.kernel.reply import guard
from dangercurve.tasks.kernel.watch import Cell, Seen, current_watcher


@dataclass(frozen=True)
class Decision:
    """What our own participants (bots, simulated models) see: the episode itself. Never given to a real model."""

    episode: Episode
    turn: Turn
    sample_key: str
    epoch: int
    scaffold: str = "kernel"
    planning: bool = False  # the planning agent of a scaffold asks, not the actor


current_decision: ContextVar[Decision] = ContextVar("dangercurve_decision")


def generate_config(episode: Episode) -> GenerateConfig:
    if isinstance(episode.interface, ChoiceInterface) and episode.interface.by == "logprob":
        return GenerateConfig(max_tokens=1, logprobs=True, top_logprobs=20)
    return GenerateConfig()


@solver
def play(make_episode: Callable[[TaskState], Episode], scaffold: str = "kernel") -> Solver:
    """Play one episode, in the bare loop or with the planner beside it. A limit of Inspect ends it as `limit_censored`;
    any other error is Inspect's to retry."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        episode = make_episode(state)
        messages: list[ChatMessage] = episode.opening()
        state.messages = messages
        limit = error = ""
        model, meter, watcher = get_model(), Meter(), current_watcher()
        cell = Cell(str(model), episode.world.instance.family, episode.interface.name)
        why = watcher.stopped(cell) if watcher else ""
        if why:
            state.store.set(STORE_KEY, dump_record(episode.record(error=f"stopped by an anomaly: {why}")))
            return state
        try:
            await _play(model, episode, messages, state, meter, Planner() if scaffold == "planner" else None)
        except LimitExceededError as exc:
            limit = exc.type
            raise
        except Exception as exc:
            error = type(exc).__name__
            raise
        finally:
            state.messages = (
                messages  # Inspect keeps a copy: what was said since the opening would be in no log
            )
            record = episode.record(limit, error)
            state.store.set(STORE_KEY, dump_record(record))
            if watcher:
                status = decide_status(record)
                watcher.saw(
                    Seen(
                        cell=cell,
                        stratum=f"{episode.world.instance.level}|{episode.world.setting.label()}",
                        sample=f"{state.sample_id} epoch {state.epoch}",
                        status=status,
                        turns=episode.turns,
                        output_tokens=meter.output_tokens,
                        seconds=meter.seconds,
                        answering_models=tuple(episode.answering_models),
                        tripwires=len(record.tripwires),
                        canary=meter.canary,
                        instance=episode.world.instance.instance_id,
                        success=float(record.success) if status == "scored" else None,
                        input_tokens=meter.input_tokens,
                    )
                )
        return state

    return solve


def next_messages(
    episode: Episode, messages: list[ChatMessage], turn: Turn, lead: str = ""
) -> list[ChatMessage]:
    """What the next call reads, from `messages` so far: the turn is added where nothing else says it, and stands alone
    beside the system prompt where an interface keeps no conversation. `lead` goes before the turn's text."""
    kept = episode.interface.multi_turn
    if len(messages) > 1 and (not episode.turns or (kept and episode.interface.name != "text")):
        return messages
    user = ChatMessageUser(content=f"{lead}\n{turn.text}" if lead else turn.text)
    return [*messages, user] if kept else [messages[0], user]


async def _play(
    model: Model,
    episode: Episode,
    messages: list[ChatMessage],
    state: TaskState,
    meter: Meter,
    planner: Planner | None,
) -> None:
    guard(model)
    await episode.enter()
    config = generate_config(episode)
    system = messages[0]
    scaffold = "planner" if planner else "kernel"
    sample = str(state.sample_id)
    while not episode.finished():
        if planner and planner.due(episode):
            token = current_decision.set(
                Decision(episode, Turn(""), sample, state.epoch, scaffold, planning=True)
            )
            try:
                meter.add(await planner.review(episode, messages))
            finally:
                current_decision.reset(token)
            messages[:], episode.results = [system], []  # the actor goes on from plan and memory alone
        turn = episode.turn()
        lead = (
            planner.preamble() if planner and (len(messages) == 1 or not episode.interface.multi_turn) else ""
        )
        messages[:] = next_messages(episode, messages, turn, lead)
        token = current_decision.set(Decision(episode, turn, sample, state.epoch, scaffold))
        try:
            output = await model.generate(messages, tools=list(turn.tools), config=config)
        finally:
            current_decision.reset(token)
        meter.add(output)
        state.output = output
        if output.choices:
            messages.append(output.choices[0].message)
        messages.extend(await episode.take(turn, output))
        if episode.wiped():
            messages[:] = [system]
            if planner:
                planner.wipe()
