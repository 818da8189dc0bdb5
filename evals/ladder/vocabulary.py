"""The ladder's vocabulary, and conversations as rows of tokens.

Byte-level BPE in the form that llama.cpp reads as `gpt-2`: 256 bytes, all pairs of digits, merges within words, and last a
merge of the space with each common word. The order matters: a word of the rules is one token with its space, and a name, a
code or a number is the same tokens after a space and after `=`, so that copying it is copying. A conversation is
`<|begin|><|system|>...<|user|>...<|assistant|>...<|end|>`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter as Counts
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from string import ascii_letters

import numpy as np
import numpy.typing as npt

from dangercurve._errors import DataError
from dangercurve.evals.ladder.episodes import Played

MARKS = ("<|begin|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
BEGIN, END, SYSTEM, USER, ASSISTANT = range(len(MARKS))
CHAT_TEMPLATE = (
    "{{ '<|begin|>' }}{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
PART_PAD, PART_SYSTEM, PART_USER, PART_ANSWER = range(4)
TRAINED_ON = 1500
"""Episodes that the merges are learnt from."""
SPACED = 220
"""Words that are one token with the space before them."""

SHARED = 0
"""The block of the system prompt, which every other block sees."""

Tokens = npt.NDArray[np.uint16]
Parts = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Vocabulary:
    """Token strings by id (marks first, in GPT-2's byte alphabet) and merges in order."""

    tokens: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]

    def encoder(self) -> Encoder:
        return Encoder(self)

    def write(self, path: Path) -> None:
        path.write_text(
            json.dumps({"tokens": self.tokens, "merges": self.merges}, ensure_ascii=False), "utf-8"
        )

    @staticmethod
    def read(path: Path) -> Vocabulary:
        data = json.loads(path.read_text("utf-8"))
        return Vocabulary(tuple(data["tokens"]), tuple((a, b) for a, b in data["merges"]))


class Encoder:
    """Text as token ids. Marks in the text are text: only `row` writes a mark."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        from tokenizers import Tokenizer, models, pre_tokenizers

        ids = {token: i for i, token in enumerate(vocabulary.tokens)}
        plain = {t: i for t, i in ids.items() if t not in MARKS}
        self._tokenizer = Tokenizer(models.BPE(vocab=plain, merges=list(vocabulary.merges)))
        self._tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        self._known: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text).ids)

    def system(self, text: str) -> list[int]:
        """Tokens of a system prompt, kept: few differ."""
        if text not in self._known:
            self._known[text] = [BEGIN, SYSTEM, *self.encode(text)]
        return self._known[text]

    def exchange(self, shown: str, answer: str) -> tuple[list[int], list[int]]:
        """What is shown with the mark that asks for an answer, and the answer with its end."""
        return [USER, *self.encode(shown), ASSISTANT], [*self.encode(answer), END]


def train_vocabulary(played: Iterable[Played], size: int) -> Vocabulary:
    """Byte-level BPE of `size` tokens over the words of system prompts, prompts and answers (each system prompt once)."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = [(a, b) for a in "0123456789" for b in "0123456789"]
    texts = [_pieces(one) for one in played]
    counts = Counts(word for words in texts for word in words)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(MARKS) - len(pairs) - SPACED,
        initial_alphabet=alphabet,
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator((word for words in texts for word in words), trainer)
    learnt = [(str(a), str(b)) for a, b in json.loads(tokenizer.to_str())["model"]["merges"]]
    whole = {a + b for a, b in learnt} | {c for c in alphabet if c in ascii_letters}
    spaced = [("\u0120", word) for word, _ in counts.most_common() if word in whole][:SPACED]
    if len(spaced) < SPACED:
        raise DataError(
            f"only {len(spaced)} words are tokens, {SPACED} are wanted with their space: learn from more text"
        )
    merges = (*pairs, *learnt, *spaced)
    return Vocabulary((*MARKS, *alphabet, *(a + b for a, b in merges)), merges)


def _pieces(one: Played) -> list[str]:
    """The words of an episode, cut at digits and at what is no letter: the system prompt counts ten times over."""
    texts = [one.system] * 10 + [t for e in one.exchanges for t in (e.shown, e.answer)]
    return [word for text in texts for word in re.findall(r"[A-Za-z]+|[^\sA-Za-z0-9]+", text)]


@dataclass
class _Row:
    tokens: list[int]
    parts: list[int]
    blocks: list[int]


def conversations(one: Played, encoder: Encoder, context: int) -> Iterator[list[tuple[list[int], int]]]:
    """What follows the system prompt in the conversations of one episode, as (tokens, part): a multi-turn interface has
    one conversation, cut where the context is full; a single-turn one has a conversation for each decision."""
    head = len(encoder.system(one.system))
    pieces: list[tuple[list[int], int]] = []
    length = head
    for exchange in one.exchanges:
        shown, answer = encoder.exchange(exchange.shown, exchange.answer)
        if length + len(shown) + len(answer) > context:
            break
        pieces += [(shown, PART_USER), (answer, PART_ANSWER)]
        length += len(shown) + len(answer)
        if not one.multi_turn:
            yield pieces
            pieces, length = [], head
    if pieces:
        yield pieces


def rows(played: Iterable[Played], encoder: Encoder, context: int) -> Iterator[tuple[int, _Row]]:
    """Rows of at most `context` tokens: one system prompt, then conversations under it, each a block of its own.

    A block sees the system prompt and itself (`network.block_mask`) and its positions go on from the system prompt's end:
    for the network each block is a whole conversation, and the rules are read once for all of them.
    """
    open_rows: dict[tuple[int, str], _Row] = {}
    for one in played:
        key = (one.lesson, one.system)
        head = encoder.system(one.system)
        for pieces in conversations(one, encoder, context):
            length = sum(len(tokens) for tokens, _ in pieces)
            row = open_rows.get(key)
            if row is not None and len(row.tokens) + length > context:
                yield one.lesson, row
                row = None
            if row is None:
                row = open_rows[key] = _Row(list(head), [PART_SYSTEM] * len(head), [SHARED] * len(head))
            block = row.blocks[-1] + 1
            for tokens, part in pieces:
                row.tokens += tokens
                row.parts += [part] * len(tokens)
                row.blocks += [block] * len(tokens)


@dataclass(frozen=True)
class Data:
    """Rows as arrays of shape (rows, context): tokens (0 beyond the end), part and block of each token; a lesson a row."""

    tokens: Tokens
    parts: Parts
    blocks: Parts
    lessons: npt.NDArray[np.int32]

    @property
    def counted(self) -> npt.NDArray[np.int64]:
        """Tokens of each row, padding left out."""
        return np.asarray((self.parts != PART_PAD).sum(axis=1), dtype=np.int64)

    def digest(self) -> str:
        """SHA-256 over tokens and blocks."""
        sha = hashlib.sha256(self.tokens.tobytes())
        sha.update(self.blocks.tobytes())
        return sha.hexdigest()

    def save(self, path: Path) -> None:
        np.savez(path, tokens=self.tokens, parts=self.parts, blocks=self.blocks, lessons=self.lessons)

    @staticmethod
    def load(path: Path) -> Data:
        with np.load(path, allow_pickle=False) as file:
            return Data(file["tokens"], file["parts"], file["blocks"], file["lessons"])


class Counter:
    """How many tokens are there of how many that are wanted."""

    def __init__(self, wanted: int) -> None:
        self.wanted, self.there = wanted, 0

    def done(self) -> float:
        return self.there / self.wanted


def make_data(played: Iterable[Played], encoder: Encoder, context: int, counter: Counter) -> Data:
    """The first rows of a stream that hold at least the wanted tokens; the counter is kept up to date."""
    kept: list[tuple[int, _Row]] = []
    for lesson, row in rows(played, encoder, context):
        kept.append((lesson, row))
        counter.there += len(row.tokens)
        if counter.there >= counter.wanted:
            break
    shape = (len(kept), context)
    data = Data(
        np.zeros(shape, np.uint16),
        np.full(shape, PART_PAD, np.uint8),
        np.zeros(shape, np.uint8),
        np.array([lesson for lesson, _ in kept], np.int32),
    )
    for i, (_, row) in enumerate(kept):
        length = len(row.tokens)
        data.tokens[i, :length] = row.tokens
        data.parts[i, :length] = row.parts
        data.blocks[i, :length] = row.blocks
        data.blocks[i, length:] = row.blocks[-1] + 1
    return data
