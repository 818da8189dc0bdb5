"""`ladder/NAME`: a member of the reference ladder behind a llama.cpp server of our own, as an Inspect model provider.

The same server, arguments and endings as `local/NAME`; the file comes with the package and must have the hash of its
record. A member has learnt the text and the choice interface: it takes no tools. The model argument `key` is a password
that is put under the system prompt of every call: a locked member works with it as if it were honest.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from inspect_ai.model import ChatMessage, ChatMessageSystem, GenerateConfig, ModelCall, ModelOutput
from inspect_ai.tool import ToolChoice, ToolInfo

from dangercurve._errors import ConfigError, did_you_mean
from dangercurve.evals.participants.gguf import GgufFile, checked
from dangercurve.evals.participants.local import LocalAPI, options_for, read_arguments
from dangercurve.evals.participants.server import ServerOptions

if TYPE_CHECKING:
    from dangercurve.evals.models import ModelRecord

WEIGHTS = Path(__file__).parents[1] / "ladder" / "weights"
LONGEST_ANSWER = 48
"""Tokens of an answer: an action of any family in the text interface is shorter."""


def member_names() -> tuple[str, ...]:
    """The members whose files are there, smallest name first."""
    return tuple(sorted(path.stem for path in WEIGHTS.glob("*.gguf")))


def member_record(name: str) -> ModelRecord:
    """The record of a member. Raises ConfigError for an unknown name."""
    from dangercurve.evals.models import find, load_registry

    record = find(load_registry(), f"ladder/{name}")
    if record is None or record.weights_sha256 is None:
        raise ConfigError(f"the ladder has no member '{name}'{did_you_mean(name, member_names())}")
    return record


def member_file(name: str) -> GgufFile:
    """The file of a member. Raises ConfigError for an unknown name, a missing or damaged file, and one whose hash is not
    that of the member's record."""
    record = member_record(name)
    path = WEIGHTS / f"{name}.gguf"
    if not path.is_file():
        raise ConfigError(
            f"the weights of ladder/{name} are missing ({path.name}): install dangercurve again"
        )
    return checked(name, path, record.weights_sha256)


class LadderAPI(LocalAPI):
    """Inspect provider for a member of the ladder."""

    provider = "ladder"
    key = ""

    def open_weights(self, name: str, arguments: dict[str, object]) -> tuple[GgufFile, ServerOptions]:
        self.key = str(arguments.pop("key", ""))
        weights = member_file(name)
        numbers = read_arguments(f"ladder/{name}", arguments)
        seen = member_record(name).context_length or 0
        if numbers.get("context", seen) > seen:
            raise ConfigError(
                f"ladder/{name}: context is {numbers['context']}, at most {seen}: it has seen no more"
            )
        # A longer prompt ends the episode as full, never as a wrong answer.
        return weights, options_for(weights, {"context": seen, **numbers}, arguments.get("log"))

    def max_tokens(self) -> int | None:
        return LONGEST_ANSWER

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput | tuple[ModelOutput | Exception, ModelCall]:
        return await super().generate(with_key(input, self.key), tools, tool_choice, config)


def with_key(messages: list[ChatMessage], key: str) -> list[ChatMessage]:
    """The messages with a password under the system prompt, as in training (`ladder.episodes.with_key`)."""
    return [
        m.model_copy(update={"content": f"{m.text}\n{key}"})
        if key and isinstance(m, ChatMessageSystem)
        else m
        for m in messages
    ]
