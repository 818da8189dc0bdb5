"""A trained member as a GGUF file for llama.cpp: architecture `llama`, half-precision matrices, our own vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dangercurve.evals.ladder.recipe import Shape
from dangercurve.evals.ladder.vocabulary import BEGIN, CHAT_TEMPLATE, END, MARKS, Vocabulary

Array = npt.NDArray[np.float32]
NORM_EPS, ROPE_BASE = 1e-5, 10_000.0
BLOCK = {
    "attn_norm": "attn_norm",
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_output",
    "ffn_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}
"""Our names of a block's weights and llama.cpp's."""


def write_gguf(
    path: Path, name: str, shape: Shape, context: int, vocabulary: Vocabulary, weights: Mapping[str, Array]
) -> None:
    """Write a member. `weights` are the network's by name; the output shares the input embedding."""
    from gguf import GGUFWriter, TokenType

    part = path.with_suffix(".part")
    writer = GGUFWriter(part, "llama")
    writer.add_name(name)
    writer.add_context_length(context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(NORM_EPS)
    writer.add_rope_dimension_count(shape.width // shape.heads)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_vocab_size(len(vocabulary.tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types([TokenType.CONTROL if t in MARKS else TokenType.NORMAL for t in vocabulary.tokens])
    writer.add_token_merges([f"{a} {b}" for a, b in vocabulary.merges])
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(False)  # the template writes it
    writer.add_chat_template(CHAT_TEMPLATE)
    for tensor, values in tensors(shape, weights):
        writer.add_tensor(tensor, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(path)


def tensors(shape: Shape, weights: Mapping[str, Array]) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
    """llama.cpp's tensors: matrices in half precision, norms in single; queries and keys in its rotary order."""
    yield "token_embd.weight", weights["embed.weight"].astype(np.float16)
    yield "output_norm.weight", weights["norm.weight"]
    for layer in range(shape.layers):
        for ours, theirs in BLOCK.items():
            values = weights[f"blocks.{layer}.{ours}.weight"]
            if ours in ("q", "k"):
                values = interleave(values, shape.heads)
            yield f"blk.{layer}.{theirs}.weight", values if values.ndim == 1 else values.astype(np.float16)


def interleave(weight: Array, heads: int) -> Array:
    """Rows of a query or key matrix from planes (i, i + size/2) of each head to llama.cpp's planes (2i, 2i + 1)."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
