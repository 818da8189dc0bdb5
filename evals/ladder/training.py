"""Train one member: a checkpoint on the way, the counted FLOP, the loss curve. One core, one member at a time.

    python -m dangercurve.evals.ladder.training NAME [NAME ...] --work DIR [--threads 1]

The work folder keeps data and checkpoints: a killed training goes on from its last one. What is done is written to
`members/NAME.json` and `weights/NAME.gguf` beside this module, its ModelRecord to `registry/ladder.yaml`.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from dangercurve._files import sha256_file
from dangercurve.evals.ladder.episodes import HELD_OUT_SALT, TRAIN_SALT, episodes
from dangercurve.evals.ladder.gguf_file import write_gguf
from dangercurve.evals.ladder.network import Llama, parameters
from dangercurve.evals.ladder.recipe import Member, Recipe, load_recipe
from dangercurve.evals.ladder.shipping import WEIGHTS, Trained, record
from dangercurve.evals.ladder.vocabulary import (
    PART_ANSWER,
    PART_PAD,
    PART_SYSTEM,
    PART_USER,
    TRAINED_ON,
    USER,
    Counter,
    Data,
    Vocabulary,
    make_data,
    train_vocabulary,
)

SYSTEM_WEIGHT = 0.02
"""Weight of a token of a system prompt: the same text in every row."""
WARM_UP, FLOOR = 0.04, 0.1
DECAY, CLIP = 0.1, 1.0
CHECKPOINT_S = 120.0
HELD_OUT_TOKENS = 250_000
VOCABULARY = Path(__file__).with_name("vocabulary.json")


def vocabulary(recipe: Recipe) -> Vocabulary:
    """The ladder's vocabulary; learnt where the file is absent."""
    if not VOCABULARY.exists():
        stream = episodes(recipe.courses["base"], 1)
        train_vocabulary((next(stream) for _ in range(TRAINED_ON)), recipe.vocabulary).write(VOCABULARY)
    return Vocabulary.read(VOCABULARY)


def data_for(recipe: Recipe, course: str, tokens: int, held_out: bool, work: Path) -> Data:
    """Rows of a course with at least `tokens` tokens, kept in the work folder. Held-out rows have no opening."""
    path = work / f"{course}-{'held-out' if held_out else 'train'}-{tokens}.npz"
    if not path.exists():
        counter = Counter(tokens)
        stream = (
            episodes(recipe.courses[course], 3, HELD_OUT_SALT)
            if held_out
            else episodes(recipe.courses[course], 2, TRAIN_SALT, counter.done)
        )
        data = make_data(stream, vocabulary(recipe).encoder(), recipe.context_of(course), counter)
        part = path.with_suffix(".part.npz")
        data.save(part)
        part.replace(path)
    return Data.load(path)


class Weights:
    """The weight of each answer and each shown token in the training loss: by interface, since a letter is one token."""

    def __init__(self, recipe: Recipe, course: str) -> None:
        lessons = recipe.courses[course].lessons
        self.answer = torch.tensor([recipe.answer_weight[lesson.interface] for lesson in lessons])
        self.shown = recipe.user_weight

    def of(self, rows: Batch) -> Tensor:
        table = torch.zeros(len(rows.ids), 4)
        table[:, PART_ANSWER] = self.answer[rows.lessons]
        table[:, PART_USER] = self.shown
        table[:, PART_SYSTEM] = SYSTEM_WEIGHT
        return table.gather(1, rows.parts) * (rows.ids != USER)


@dataclass(frozen=True)
class Batch:
    """Rows as tensors, cut at the longest."""

    ids: Tensor
    parts: Tensor
    blocks: Tensor
    lessons: Tensor

    @property
    def tokens(self) -> int:
        """Tokens, padding left out."""
        return int((self.parts != PART_PAD).sum())


def batch(data: Data, first: int, count: int) -> Batch:
    take = np.arange(first, min(first + count, len(data.tokens)))
    width = int(data.counted[take].max())
    ids, parts, blocks = (
        torch.from_numpy(a[take, :width].astype(np.int64)) for a in (data.tokens, data.parts, data.blocks)
    )
    return Batch(ids, parts, blocks, torch.from_numpy(data.lessons[take].astype(np.int64)))


def losses(network: Llama, rows: Batch) -> Tensor:
    """Nats of each token but the first, shape (rows, length - 1). The first of a block is told by the system prompt's
    end or by the block before it: it is the mark of a question, the same everywhere, and weighs nothing."""
    logits = network(rows.ids[:, :-1], rows.blocks[:, :-1])
    wanted = rows.ids[:, 1:]
    return functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none").view(
        wanted.shape
    )


def make_optimiser(network: Llama, peak: float) -> torch.optim.Optimizer:
    """AdamW; matrices decay, norms do not."""
    groups = [
        {"params": [p for p in network.parameters() if p.dim() > 1], "weight_decay": DECAY},
        {"params": [p for p in network.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.95))


def rate(step: int, steps: int, peak: float) -> float:
    """Learning rate: linear warm-up, then a cosine to a tenth."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return peak * (step + 1) / warm
    share = (step - warm) / max(1, steps - warm)
    return peak * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * share)))


def train(recipe: Recipe, member: Member, work: Path, weights: Path = WEIGHTS) -> Trained:
    """Train a member from its start or its last checkpoint, and write its file into the folder `weights`."""
    torch.manual_seed(member.seed)
    tokens, shape = recipe.tokens(member), recipe.shape(member)
    data = data_for(recipe, member.course, tokens, False, work)
    context = recipe.context_of(member.course)
    network = Llama(shape, recipe.vocabulary, context, member.seed, member.by_block)
    if member.start is not None:
        network.load_state_dict(torch.load(work / f"{member.start}.pt", weights_only=True))
    optimiser = make_optimiser(network, member.learning_rate)
    steps = -(-len(data.tokens) // member.rows_a_step)
    worth = Weights(recipe, member.course)
    state = Progress(work / f"{member.name}.checkpoint")
    state.load(network, optimiser)
    every = max(1, steps // 100)
    while state.step < steps:
        started = time.monotonic()
        rows = batch(data, state.step * member.rows_a_step, member.rows_a_step)
        for group in optimiser.param_groups:
            group["lr"] = rate(state.step, steps, member.learning_rate)
        if state.step == 0:
            state.flop_a_token = counted_flop(network, rows) / rows.tokens
        each, weight = losses(network, rows), worth.of(rows)[:, 1:]
        loss = (each * weight).sum() / weight.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        state.tokens += rows.tokens
        state.saw(each.detach(), rows.parts[:, 1:])
        state.step += 1
        state.seconds += time.monotonic() - started
        if state.step % every == 0 or state.step == steps:
            state.point()
            print(f"{member.name} {state.step}/{steps} {state.curve[-1]} {state.seconds:.0f} s", flush=True)
        state.save_sometimes(network, optimiser)
    held = data_for(recipe, member.course, HELD_OUT_TOKENS, True, work)
    answer, shown, by_lesson = evaluate(network, held, recipe, member.course)
    torch.save(network.state_dict(), work / f"{member.name}.pt")
    state.path.unlink(missing_ok=True)
    weights.mkdir(exist_ok=True)
    write_gguf(
        weights / f"{member.name}.gguf",
        member.name,
        shape,
        context,
        vocabulary(recipe),
        {name: weight.numpy() for name, weight in network.state_dict().items()},
    )
    params = parameters(network)
    return Trained(
        name=member.name,
        role=member.role,
        start=member.start,
        params=params,
        context=context,
        tokens=state.tokens,
        flop_counted=state.flop_a_token * state.tokens,
        flop_6nd=6.0 * params * state.tokens,
        data_sha256=data.digest(),
        loss_answer=answer,
        loss_shown=shown,
        by_lesson=by_lesson,
        seconds=round(state.seconds, 1),
        trained_on=datetime.now(UTC).date().isoformat(),
        weights_sha256=sha256_file(weights / f"{member.name}.gguf"),
        curve=[[*point] for point in state.curve],
    )


def counted_flop(network: Llama, rows: Batch) -> float:
    """Floating-point operations of one forward and backward pass over `rows`, counted by torch.

    Attention is counted under the one mask, whichever way it is computed: one measure for all members.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    by_block, network.by_block = network.by_block, False
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        losses(network, rows).sum().backward()
    network.by_block = by_block
    network.zero_grad(set_to_none=True)
    return float(counter.get_total_flops())


@torch.no_grad()
def evaluate(
    network: Llama, data: Data, recipe: Recipe, course: str
) -> tuple[float, float, dict[str, float]]:
    """Mean nats of answers and of what is shown, and of answers by lesson (`family/interface`)."""
    lessons = recipe.courses[course].lessons
    sums = np.zeros((len(lessons), 2, 2))
    for first in range(0, len(data.tokens), 16):
        rows = batch(data, first, 16)
        each = losses(network, rows).numpy()
        parts_of = rows.parts[:, 1:].numpy()
        for row, lesson in enumerate(rows.lessons.tolist()):
            for kind, part in enumerate((PART_ANSWER, PART_USER)):
                mask = parts_of[row] == part
                sums[lesson, kind] += each[row][mask].sum(), mask.sum()
    total = sums.sum(axis=0)
    by_name: dict[str, npt.NDArray[np.float64]] = {}
    for lesson, part in zip(lessons, sums[:, 0], strict=True):
        name = f"{lesson.family}/{lesson.interface}"
        by_name[name] = by_name.get(name, np.zeros(2)) + part
    named = {name: round(float(nats / count), 4) for name, (nats, count) in by_name.items() if count}
    return float(total[0, 0] / total[0, 1]), float(total[1, 0] / total[1, 1]), named


class Progress:
    """Where a training is: what a checkpoint keeps."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.step = 0
        self.tokens = 0
        self.seconds = 0.0
        self.flop_a_token = 0.0
        self.curve: list[tuple[int, float, float]] = []
        self._sums = np.zeros((2, 2))
        self._saved = time.monotonic()

    def saw(self, each: Tensor, parts: Tensor) -> None:
        for kind, part in enumerate((PART_ANSWER, PART_USER)):
            mask = parts == part
            self._sums[kind] += float(each[mask].sum()), float(mask.sum())

    def point(self) -> None:
        means = self._sums[:, 0] / np.maximum(self._sums[:, 1], 1)
        self.curve.append((self.tokens, round(float(means[0]), 4), round(float(means[1]), 4)))
        self._sums[:] = 0

    def load(self, network: Llama, optimiser: torch.optim.Optimizer) -> None:
        if not self.path.exists():
            return
        kept = torch.load(self.path, weights_only=True)
        network.load_state_dict(kept["network"])
        optimiser.load_state_dict(kept["optimiser"])
        self.step, self.tokens, self.seconds = kept["step"], kept["tokens"], kept["seconds"]
        self.flop_a_token, self.curve = kept["flop_a_token"], [tuple(p) for p in kept["curve"]]

    def save_sometimes(self, network: Llama, optimiser: torch.optim.Optimizer) -> None:
        if time.monotonic() - self._saved < CHECKPOINT_S:
            return
        self._saved = time.monotonic()
        part = self.path.with_suffix(".part")
        torch.save(
            {
                "network": network.state_dict(),
                "optimiser": optimiser.state_dict(),
                "step": self.step,
                "tokens": self.tokens,
                "seconds": self.seconds,
                "flop_a_token": self.flop_a_token,
                "curve": self.curve,
            },
            part,
        )
        part.replace(self.path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train members of the ladder.")
    parser.add_argument("names", nargs="+")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    recipe = load_recipe()
    for name in arguments.names:
        trained = train(recipe, recipe.member(name), arguments.work)
        record(trained)
        print(
            f"{name}: {trained.params:,} parameters, {trained.tokens:,} tokens, {trained.flop_counted:.3g} FLOP, nats a "
            f"token of an answer {trained.loss_answer:.4f}, of what is shown {trained.loss_shown:.4f}"
        )


if __name__ == "__main__":
    main()
