"""Inspect's entry point. It is read on every `get_model()`: only light modules, and providers imported when called."""

from inspect_ai.model import ModelAPI, modelapi

from dangercurve.tasks.agentic.ops_horizon import ops_horizon

__all__ = ["bot", "ops_horizon"]


@modelapi(name="bot")
def bot() -> type[ModelAPI]:
    """Bots: `bot/oracle`, `bot/null`, `bot/random`, ..."""
    from dangercurve.evals.participants.bots import BotAPI

    return BotAPI
