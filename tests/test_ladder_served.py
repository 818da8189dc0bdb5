"""Claims about the ladder behind a real llama.cpp server: it answers as it was trained, and ends cleanly."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.model import ChatMessageSystem, ChatMessageUser, GenerateConfig, get_model
from support_eval import result

from dangercurve._errors import ConfigError
from dangercurve.evals.ladder.episodes import episodes
from dangercurve.evals.ladder.gguf_file import BLOCK
from dangercurve.evals.ladder.recipe import load_recipe
from dangercurve.evals.ladder.shipping import WEIGHTS, read_all
from dangercurve.evals.ladder.vocabulary import END, Vocabulary
from dangercurve.evals.participants.server import stop_all
from dangercurve.scorers.results import status_in
from dangercurve.tasks.kernel.family import get_family
from dangercurve.tasks.kernel.floors import random_floor
from dangercurve.tasks.kernel.task import build_task, make_cell

BEST = max((t for t in read_all() if t.role == "line"), key=lambda t: t.flop_counted).name
MODEL = f"ladder/{BEST}"

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(find_spec("xllamacpp") is None, reason="pip install 'dangercurve[local]'"),
]


@pytest.fixture(scope="module", autouse=True)
def no_server_is_left() -> Iterator[None]:
    yield
    stop_all()


def shares(folder: Path, n: int, killer: threading.Timer | None = None) -> tuple[float, int, set[str]]:
    """Success share, episodes and statuses of the best member at the lowest rung, through Inspect."""
    cell = make_cell(get_family("ops_horizon"), 0, n=n, interface="text")
    config = GenerateConfig(temperature=0, max_retries=5)
    if killer:
        killer.start()
    (log,) = inspect_eval(
        build_task(cell),
        model=get_model(MODEL, config=config),
        log_dir=str(folder),
        display="none",
        retry_on_error=2,
    )
    assert log.status == "success" and log.samples is not None
    return (
        sum(result(s) for s in log.samples) / len(log.samples),
        len({s.id for s in log.samples}),
        {status_in(s.scores) for s in log.samples if s.scores},
    )


def test_the_best_member_copies_where_a_random_player_does_not(tmp_path: Path) -> None:
    share, episodes, _ = shares(tmp_path, 24)
    assert episodes == 24
    assert share > random_floor("ops_horizon", 0, "base", "text", 2.0) + 0.4


def test_a_server_killed_under_a_run_changes_nothing(tmp_path: Path) -> None:
    undisturbed = shares(tmp_path / "whole", 24)
    server = get_model(MODEL, config=GenerateConfig(temperature=0, max_retries=5)).api.server
    pid, generation = server.pid, server.generation
    killer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
    assert shares(tmp_path / "killed", 24, killer) == undisturbed
    killer.join()
    server.ensure()
    assert server.pid != pid and server.generation == generation + 1


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} cannot be used"):
            get_model(MODEL, port=port, memoize=False)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"context": 4096}, "context is 4096, at most 1024"),
        ({"thread": 1}, "unknown model argument 'thread' .did you mean 'threads'"),
        ({"slots": "two"}, "slots must be a whole number"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        get_model(MODEL, memoize=False, **arguments)


def test_the_served_text_is_what_the_weights_say() -> None:
    """Greedy text of llama.cpp against the network in torch with the weights of the same file."""
    torch = pytest.importorskip("torch", reason="the extra `ladder` (torch) is not installed")
    from dangercurve.evals.ladder.network import Llama

    recipe = load_recipe()
    words = Vocabulary.read(WEIGHTS.parent / "vocabulary.json")
    shape, encoder = recipe.shape(recipe.member(BEST)), words.encoder()
    network = Llama(shape, recipe.vocabulary, recipe.context, seed=0)
    network.load_state_dict({k: torch.from_numpy(v) for k, v in weights_of(BEST, shape.heads).items()})
    for one in islice(episodes(recipe.courses["base"], 9), 6):
        if not one.multi_turn:
            continue
        shown = one.exchanges[0].shown
        ids = [*encoder.system(one.system), *encoder.exchange(shown, "")[0]]
        start = len(ids)
        while len(ids) < start + 48 and ids[-1] != END:
            with torch.no_grad():
                logits = network(torch.tensor([ids]), torch.zeros(1, len(ids), dtype=torch.long))
            ids.append(int(logits[0, -1].argmax()))
        said = "".join(words.tokens[i] for i in ids[start:-1]).replace("\u0120", " ")
        messages = [ChatMessageSystem(content=one.system), ChatMessageUser(content=shown)]
        served = asyncio.run(get_model(MODEL).generate(messages, config=GenerateConfig(temperature=0)))
        assert served.completion == said


@pytest.mark.parametrize(
    "runs", [(5, 3, 4), (5,), (5, 1, 1, 6)], ids=["two questions", "the prompt alone", "blocks of one token"]
)
def test_attention_by_block_is_attention_under_the_mask(runs: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch", reason="the extra `ladder` (torch) is not installed")
    from dangercurve.evals.ladder.network import Llama

    blocks = torch.repeat_interleave(torch.arange(len(runs)), torch.tensor(runs))[None]
    ids = torch.arange(blocks.numel())[None] % 7
    found = []
    for by_block in (False, True):
        network = Llama(load_recipe().members[0].shape, 16, 32, 0, by_block)  # type: ignore[arg-type]
        logits = network(ids, blocks)
        logits.square().sum().backward()
        found.append((logits.detach(), network.embed.weight.grad))
    (a, grad_a), (b, grad_b) = found
    assert torch.allclose(a, b, atol=1e-5) and torch.allclose(grad_a, grad_b, rtol=1e-4, atol=1e-3)


def weights_of(name: str, heads: int) -> dict[str, npt.NDArray[np.float32]]:
    """The network's weights, read back from a member's file."""
    from gguf import GGUFReader

    ours = {theirs: mine for mine, theirs in BLOCK.items()}
    found = {}
    for tensor in GGUFReader(WEIGHTS / f"{name}.gguf").tensors:
        values = np.array(tensor.data, dtype=np.float32)
        parts = tensor.name.removesuffix(".weight").split(".")
        if parts[0] != "blk":
            found[{"token_embd": "embed.weight", "output_norm": "norm.weight"}[parts[0]]] = values
            continue
        if ours[parts[2]] in ("q", "k"):
            rows, columns = values.shape
            planes = values.reshape(heads, rows // heads // 2, 2, columns)
            values = planes.swapaxes(1, 2).reshape(rows, columns)
        found[f"blocks.{parts[1]}.{ours[parts[2]]}.weight"] = values
    return found
