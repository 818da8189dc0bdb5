"""`ladder/NAME`: a member of the reference ladder behind a llama.cpp server of our own, as an Inspect model provider.

The same server, arguments and endings as `local/NAME`; the file comes with the package and must have the hash of its
record. A member has learnt the text and the choice interface: it takes no tools.
"""

from __future__ import annotations

from pathlib import Path

from dangercurve._errors import ConfigError, did_you_mean
from dangercurve.evals.participants.gguf import GgufFile, checked
from dangercurve.evals.participants.local import LocalAPI, options_for, read_arguments
from dangercurve.evals.participants.server import ServerOptions

WEIGHTS = Path(__file__).parents[1] / "ladder" / "weights"
CONTEXT = 1024
"""Tokens that a member was trained on at once: a longer prompt ends the episode as full, never as a wrong answer."""
LONGEST_ANSWER = 48
"""Tokens of an answer: an action of any family in the text interface is shorter."""


def member_names() -> tuple[str, ...]:
    """The members whose files are there, smallest name first."""
    return tuple(sorted(path.stem for path in WEIGHTS.glob("*.gguf")))


def member_file(name: str) -> GgufFile:
    """The file of a member. Raises ConfigError for an unknown name, a missing or damaged file, and one whose hash is not
    that of the member's record."""
    from dangercurve.evals.models import find, load_registry

    record = find(load_registry(), f"ladder/{name}")
    if record is None or record.weights_sha256 is None:
        raise ConfigError(f"the ladder has no member '{name}'{did_you_mean(name, member_names())}")
    path = WEIGHTS / f"{name}.gguf"
    if not path.is_file():
        raise ConfigError(
            f"the weights of ladder/{name} are missing ({path.name}): install dangercurve again"
        )
    return checked(name, path, record.weights_sha256)


class LadderAPI(LocalAPI):
    """Inspect provider for a member of the ladder."""

    provider = "ladder"

    def open_weights(self, name: str, arguments: dict[str, object]) -> tuple[GgufFile, ServerOptions]:
        weights = member_file(name)
        numbers = read_arguments(f"ladder/{name}", arguments)
        if numbers.get("context", CONTEXT) > CONTEXT:
            raise ConfigError(
                f"ladder/{name}: context is {numbers['context']}, at most {CONTEXT}: it has seen no more"
            )
        return weights, options_for(weights, {"context": CONTEXT, **numbers}, arguments.get("log"))

    def max_tokens(self) -> int | None:
        return LONGEST_ANSWER
