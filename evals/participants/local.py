"""`local/...`: a GGUF file behind a llama.cpp server of our own, as an Inspect model provider.

`local/smollm2-135m-instruct` (packaged), `local//absolute/path.gguf`, `local/NAME` ($DANGERCURVE_MODELS/NAME.gguf).
Model arguments (`-M`): `threads`, `slots`, `context` (tokens a slot), `port`, `log`, `emulate_tools`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from inspect_ai._util.error import PrerequisiteError
from inspect_ai.model import ChatMessage, GenerateConfig, ModelCall, ModelOutput
from inspect_ai.model._providers.openai_compatible import OpenAICompatibleAPI
from inspect_ai.tool import ToolChoice, ToolInfo
from openai import APIStatusError
from rich.markup import escape

from dangercurve._errors import ConfigError, DangercurveError, did_you_mean
from dangercurve.evals.participants.gguf import GgufFile, resolve_gguf
from dangercurve.evals.participants.server import LlamaServer, ServerError, ServerOptions, shared_server

MODEL_ARGUMENTS = ("threads", "slots", "context", "port", "log", "emulate_tools")
DEFAULT_MAX_TOKENS = 512
DEFAULT_SEED = 1


class LocalModelError(ConfigError, PrerequisiteError):
    """A local model that cannot be used: one line on our command line and on Inspect's."""

    def __init__(self, message: str) -> None:
        ConfigError.__init__(self, message)
        self.message = escape(message)  # Inspect prints it as rich markup


class LocalAPI(OpenAICompatibleAPI):
    """Inspect provider for local weights. Greedy (temperature 0, seed 1) unless the eval says otherwise.

    `ModelOutput.model` is the name that the server gives itself; `ModelOutput.metadata` carries the SHA-256 of the
    weights. A server that dies is started again, at most `ServerOptions.max_restarts` times; after that, and for
    anything else that cannot be mended by waiting, the sample ends in an error.
    """

    provider = "local"

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),
        **model_args: Any,
    ) -> None:
        if base_url is not None:
            raise LocalModelError(
                f"{self.provider}/ starts its own server and takes no base URL; for a running one use openai-api/NAME/MODEL"
            )
        emulate_tools = model_args.pop("emulate_tools", False)
        try:
            self.weights, options = self.open_weights(model_name, model_args)
            self.server: LlamaServer = shared_server(options)
        except DangercurveError as exc:
            raise LocalModelError(str(exc)) from exc
        self._generation = self.server.generation
        with _loopback_without_proxy():
            super().__init__(
                model_name=model_name,
                base_url=self.server.base_url,
                api_key=self.server.api_key,
                config=config,
                service=self.provider,
                emulate_tools=bool(emulate_tools),
                strict_tools=False,
                max_retries=0,  # Inspect retries; two layers would hide a dead server for minutes
            )

    def open_weights(self, name: str, arguments: dict[str, Any]) -> tuple[GgufFile, ServerOptions]:
        """The file of `name`, checked, and how it is served. Raises ConfigError."""
        return _options(name, arguments)

    def service_model_name(self) -> str:
        return self.weights.name

    def max_connections(self) -> int:
        """As many as the server has slots: more would push each other's cached prefixes out."""
        return self.server.options.slots

    def max_tokens(self) -> int | None:
        return DEFAULT_MAX_TOKENS

    def completion_params(self, config: GenerateConfig, tools: bool) -> dict[str, Any]:
        params = super().completion_params(config, tools)
        params.setdefault("temperature", 0.0)
        params.setdefault("seed", DEFAULT_SEED)
        return params

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput | tuple[ModelOutput | Exception, ModelCall]:
        await self._follow_server()
        if tools and not (self.server.supports_tools or self.emulate_tools):
            raise ServerError(
                f"the chat template of {self.provider}/{self.model_name} has no place for tools: use the interface text or"
                " choice, or add the model argument emulate_tools=true"
            )
        result = await super().generate(input, tools, tool_choice, config)
        output = result[0] if isinstance(result, tuple) else result
        if isinstance(output, ModelOutput):
            output.metadata = {**(output.metadata or {}), "weights_sha256": self.weights.sha256}
        return result

    async def count_text_tokens(self, text: str) -> int:
        """Tokens by the model's own tokenizer, without a download."""
        await self._follow_server()
        response = await self.http_client.post(
            f"{self.server.address}/tokenize",
            json={"content": text},
            headers={"Authorization": f"Bearer {self.server.api_key}"},
        )
        response.raise_for_status()
        return len(response.json()["tokens"])

    def handle_bad_request(self, ex: APIStatusError) -> ModelOutput | Exception:
        if "context" in str(ex).casefold() and "exceed" in str(ex).casefold():
            return ModelOutput.from_content(self.weights.name, content=str(ex), stop_reason="model_length")
        return super().handle_bad_request(ex)

    def should_retry(self, ex: BaseException) -> Any:
        return False if isinstance(ex, ServerError) else super().should_retry(ex)

    async def _follow_server(self) -> None:
        """Start a dead server again and point the client at the new one."""
        if self.server.alive() and self._generation == self.server.generation:
            return
        generation = await asyncio.to_thread(self.server.ensure)
        if generation != self._generation:
            self._generation = generation
            self.base_url = self.server.base_url
            self.client.base_url = self.server.base_url


def local_options(model: str, **arguments: Any) -> ServerOptions:
    """The server behind an Inspect id `local/...`; `arguments` as in MODEL_ARGUMENTS."""
    return _options(model.removeprefix("local/"), arguments)[1]


def _options(name: str, arguments: Mapping[str, object]) -> tuple[GgufFile, ServerOptions]:
    numbers = read_arguments(f"local/{name}", arguments)
    weights = resolve_gguf(name, expected_sha256=_expected_sha256(name))
    return weights, options_for(weights, numbers, arguments.get("log"))


def read_arguments(model: str, arguments: Mapping[str, object]) -> dict[str, int]:
    """The numbers among the model arguments of `model`. Raises ConfigError for an unknown argument or no whole number."""
    for key in arguments:
        if key not in MODEL_ARGUMENTS:
            raise ConfigError(f"{model}: unknown model argument '{key}'{did_you_mean(key, MODEL_ARGUMENTS)}")
    numbers: dict[str, int] = {}
    for key in ("threads", "slots", "context", "port"):
        value = arguments.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigError(f"{model}: {key} must be a whole number, not {value!r}")
        numbers[key] = value
    return numbers


def options_for(weights: GgufFile, numbers: Mapping[str, int], log: object) -> ServerOptions:
    """How a file is served."""
    return ServerOptions(
        path=weights.path,
        name=weights.name,
        chat_template=weights.chat_template,
        log_path=Path(str(log)) if log else None,
        **numbers,
    )


def _expected_sha256(name: str) -> str | None:
    from dangercurve.evals.models import find, load_registry

    record = find(load_registry(), f"local/{name}")
    return None if record is None else record.weights_sha256


@contextlib.contextmanager
def _loopback_without_proxy() -> Iterator[None]:
    """The HTTP client reads proxy settings once, when it is made; a proxy cannot reach our loopback."""
    before = {key: os.environ.get(key) for key in ("NO_PROXY", "no_proxy")}
    for key, value in before.items():
        os.environ[key] = ",".join(filter(None, [value, "127.0.0.1"]))
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
