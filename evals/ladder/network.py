"""A Llama in torch, of the size that one laptop core trains: RMSNorm, rotary positions, SwiGLU, tied embeddings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from dangercurve.evals.ladder.recipe import Shape

ROPE_BASE = 10_000.0
NORM_EPS = 1e-5
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values of shape (rows, heads, length, size) to what is mixed, of the same shape."""


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, inner = shape.width, shape.inner
        self.heads = shape.heads
        self.attn_norm = nn.RMSNorm(width, NORM_EPS)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.ffn_norm = nn.RMSNorm(width, NORM_EPS)
        self.gate, self.up = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, attend: Attention) -> Tensor:
        rows, length, width = x.shape
        h = self.attn_norm(x)
        q, k, v = (m(h).view(rows, length, self.heads, -1).transpose(1, 2) for m in (self.q, self.k, self.v))
        mixed = attend(rotate(q, cos, sin), rotate(k, cos, sin), v)
        x = x + self.o(mixed.transpose(1, 2).reshape(rows, length, width))
        h = self.ffn_norm(x)
        return x + self.down(functional.silu(self.gate(h)) * self.up(h))


class Llama(nn.Module):
    """Token ids and blocks (rows, length) to logits (rows, length, vocabulary).

    `by_block`: a single row attends block by block instead of under one mask: the same function in other roundings, in
    a third of the operations. What a member was trained with is in its recipe, so that it gives the same bytes again.
    """

    def __init__(
        self, shape: Shape, vocabulary: int, context: int, seed: int, by_block: bool = False
    ) -> None:
        super().__init__()
        self.shape = shape
        self.by_block = by_block
        self.embed = nn.Embedding(vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, NORM_EPS)
        cos, sin = rotary(context, shape.width // shape.heads)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self._start(seed)

    def forward(self, ids: Tensor, blocks: Tensor) -> Tensor:
        x = self.embed(ids)
        where = positions(blocks)
        attend = by_blocks(blocks[0]) if self.by_block and len(blocks) == 1 else masked(blocks)
        cos, sin = self.cos[where][:, None], self.sin[where][:, None]
        for block in self.blocks:
            x = block(x, cos, sin, attend)
        return functional.linear(self.norm(x), self.embed.weight)

    @torch.no_grad()
    def _start(self, seed: int) -> None:
        """Start as a network that compares and copies: queries equal keys, so that a token looks at its like, and what
        attention writes is what it read (output = transposed value matrix, orthogonal).

        After the mimetic start of Trockman and Kolter (2023): copying is what most answers need, and a small network
        that starts elsewhere does not find it within 20 tokens a parameter. The rest is normal of deviation width^-.5.
        """
        generator = torch.Generator().manual_seed(seed)
        width, inner = self.shape.width, self.shape.inner
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, 0.0, width**-0.5, generator=generator)
            if name.endswith("down.weight"):
                weight *= (width / inner) ** 0.5 / (2 * self.shape.layers) ** 0.5
        for block in self.blocks:
            assert isinstance(block, Block)
            nn.init.orthogonal_(block.q.weight, generator=generator)
            block.k.weight.copy_(block.q.weight)
            nn.init.orthogonal_(block.v.weight, generator=generator)
            block.o.weight.copy_(block.v.weight.T * width**-0.5)


def positions(blocks: Tensor) -> Tensor:
    """The position of each token: blocks all start where the shared prompt (block 0) ends."""
    length = blocks.shape[1]
    index = torch.arange(length).expand_as(blocks)
    shared = (blocks == 0).sum(dim=1, keepdim=True)
    new = torch.ones_like(blocks, dtype=torch.bool)
    new[:, 1:] = blocks[:, 1:] != blocks[:, :-1]
    start = torch.where(new, index, 0).cummax(dim=1).values
    return torch.where(blocks == 0, index, shared + index - start)


def masked(blocks: Tensor) -> Attention:
    """Attention under one mask for every pair of tokens."""
    mask = block_mask(blocks)
    return lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, mask)


def by_blocks(blocks: Tensor) -> Attention:
    """Attention of one row, `blocks` of shape (length,), block by block: the shared prompt over itself, then each block
    over the prompt and itself."""
    _, runs = torch.unique_consecutive(blocks, return_counts=True)
    sizes = runs.tolist()
    shared = int(sizes[0]) if blocks[0] == 0 else 0
    masks = {n: torch.ones(n, shared + n, dtype=torch.bool).tril(shared) for n in sizes}

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        pieces = list(zip(*(x.split(sizes, dim=2) for x in (q, k, v)), strict=True))
        mixed: list[Tensor] = []
        if shared:
            prompt = pieces.pop(0)
            mixed.append(functional.scaled_dot_product_attention(*prompt, is_causal=True))
        for query, key, value in pieces:
            if shared:
                key, value = torch.cat((prompt[1], key), dim=2), torch.cat((prompt[2], value), dim=2)
            mixed.append(functional.scaled_dot_product_attention(query, key, value, masks[query.shape[2]]))
        return torch.cat(mixed, dim=2)

    return attend


def block_mask(blocks: Tensor) -> Tensor:
    """Who sees whom, (rows, 1, length, length): what came before, in the same block or in the shared prompt."""
    length = blocks.shape[1]
    same = blocks[:, :, None] == blocks[:, None, :]
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    return ((same | (blocks == 0)[:, None, :]) & causal)[:, None]


def rotary(context: int, size: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of shape (context, size): the angle of position p in plane i is p * base^(-2i/size)."""
    planes = ROPE_BASE ** (-torch.arange(0, size, 2).double() / size)
    angles = torch.outer(torch.arange(context).double(), planes)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos().float(), angles.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the planes (i, i + size/2) of the last axis by the angle of each position."""
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return x * cos + turned * sin


def parameters(network: nn.Module) -> int:
    """Parameters, tied ones once."""
    return sum(p.numel() for p in network.parameters())
