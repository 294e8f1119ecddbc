"""DINOv2's tensor names in transformers, for every network that holds such an encoder.

transformers has two layouts: the names in saved files, and, since its version 5, other names for
the attention and gated layers in memory. Both keep query, key and value apart; the originals, which
are ours too, stack them in one ``qkv``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_QKV = ("query", "key", "value")
_SAVED_FROM_MEMORY = {
    "attention.q_proj": "attention.attention.query",
    "attention.k_proj": "attention.attention.key",
    "attention.v_proj": "attention.attention.value",
    "attention.o_proj": "attention.output.dense",
    "mlp.down_proj": "mlp.weights_out",
}
_GATED = ("mlp.gate_proj.", "mlp.up_proj.")  # in memory; saved as one, stacked, "mlp.weights_in."
_BLOCK = {  # ours -> transformers', inside one block; weight and bias of each
    "norm1": "norm1",
    "attn.proj": "attention.output.dense",
    "norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "mlp.w12": "mlp.weights_in",
    "mlp.w3": "mlp.weights_out",
}


def saved_from_memory(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names in saved files for those in memory; saved names stay as they are."""
    saved: dict[str, Tensor] = {}
    for name, tensor in state_dict.items():
        for memory_part, saved_part in _SAVED_FROM_MEMORY.items():
            name = name.replace(memory_part, saved_part)
        saved[name] = tensor
    for gate in [name for name in saved if _GATED[0] in name]:
        value = gate.replace(*_GATED)
        if value in saved:
            stacked = torch.cat([saved.pop(gate), saved.pop(value)])
            saved[gate.replace(_GATED[0], "mlp.weights_in.")] = stacked
    return saved


def memory_from_saved(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names in memory for those in saved files."""
    memory: dict[str, Tensor] = {}
    for name, tensor in state_dict.items():
        for memory_part, saved_part in _SAVED_FROM_MEMORY.items():
            name = name.replace(saved_part, memory_part)
        if "mlp.weights_in." in name:
            for part, half in zip(_GATED, tensor.chunk(2), strict=True):
                memory[name.replace("mlp.weights_in.", part)] = half
        else:
            memory[name] = tensor
    return memory


def count_blocks(names: Iterable[str], prefix: str) -> int:
    """Blocks among ``names``: different numbers after ``prefix``."""
    return len({n[len(prefix) :].split(".", 1)[0] for n in names if n.startswith(prefix)})


def with_kinds(layers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """(our tensor, theirs) for the weight and the bias of every pair of layers."""
    return [(f"{a}.{kind}", f"{b}.{kind}") for a, b in layers for kind in ("weight", "bias")]


def encoder_pairs(ours: str, theirs: str, depth: int) -> list[tuple[str, str]]:
    """(our tensor, transformers' saved name) of an encoder, all but query, key and value.

    Args:
        ours: prefix of the encoder's names in our module (``pretrained.``).
        theirs: the same in transformers (``backbone.``).
        depth: number of blocks.
    """
    embeddings = theirs + "embeddings."
    pairs = [
        (ours + "cls_token", embeddings + "cls_token"),
        (ours + "mask_token", embeddings + "mask_token"),
        (ours + "pos_embed", embeddings + "position_embeddings"),
    ]
    layers = [
        (ours + "patch_embed.proj", embeddings + "patch_embeddings.projection"),
        (ours + "norm", theirs + "layernorm"),
    ]
    for i in range(depth):
        block, layer = f"{ours}blocks.{i}.", f"{theirs}encoder.layer.{i}."
        pairs += [(f"{block}ls{n}.gamma", f"{layer}layer_scale{n}.lambda1") for n in (1, 2)]
        layers += [(block + a, layer + b) for a, b in _BLOCK.items()]
    return pairs + with_kinds(layers)


def qkv_pairs(ours: str, theirs: str, depth: int) -> list[tuple[str, list[str]]]:
    """(our stacked tensor, transformers' three saved names) for every block of an encoder."""
    return [
        (
            f"{ours}blocks.{i}.attn.qkv.{kind}",
            [f"{theirs}encoder.layer.{i}.attention.attention.{part}.{kind}" for part in _QKV],
        )
        for i in range(depth)
        for kind in ("weight", "bias")
    ]


def take_encoder(remaining: dict[str, Tensor], ours: str, theirs: str) -> dict[str, Tensor]:
    """The encoder's tensors under our names, taken out of ``remaining``.

    Args:
        remaining: a state dict with transformers' saved names; what is taken is removed from it.
        ours: see :func:`encoder_pairs`.
        theirs: the same.
    """
    depth = count_blocks(remaining, theirs + "encoder.layer.")
    taken = take(remaining, encoder_pairs(ours, theirs, depth))
    for our_name, parts in qkv_pairs(ours, theirs, depth):
        if all(part in remaining for part in parts):
            taken[our_name] = torch.cat([remaining.pop(part) for part in parts])
    return taken


def take(remaining: dict[str, Tensor], pairs: Iterable[tuple[str, str]]) -> dict[str, Tensor]:
    """The tensors of ``pairs`` (ours, theirs) under our names, taken out of ``remaining``."""
    return {ours: remaining.pop(theirs) for ours, theirs in pairs if theirs in remaining}
