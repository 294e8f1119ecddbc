"""Depth Anything's tensor names: the original authors' and transformers', both ways.

transformers has two layouts: the names in saved files, and, since its version 5, other names for
the attention and gated layers in memory. Both keep query, key and value apart; the originals, which
are ours too, stack them in one ``qkv``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_MARK = "backbone.embeddings.cls_token"
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


def from_transformers(state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Our names for a transformers state dict; another layout is returned as it is.

    Tensors that have no place in the map keep their names, so that a strict load reports them.
    """
    if _MARK not in state_dict:
        return state_dict
    renamed = _saved_from_memory(state_dict)
    ours: dict[str, Tensor] = {}
    for our_name, saved in _name_pairs(_depth(renamed, "backbone.encoder.layer.")):
        if saved in renamed:
            ours[our_name] = renamed.pop(saved)
    for our_name, parts in _qkv_pairs(_depth(renamed, "backbone.encoder.layer.")):
        if all(part in renamed for part in parts):
            ours[our_name] = torch.cat([renamed.pop(part) for part in parts])
    return {**ours, **renamed}


def to_transformers(
    state_dict: Mapping[str, Tensor], *, in_memory: bool = False
) -> dict[str, Tensor]:
    """Our state dict under transformers' names.

    Args:
        state_dict: of a Depth Anything module.
        in_memory: the names that transformers 5 uses in memory, in place of those it saves.
    """
    remaining = dict(state_dict)
    depth = _depth(remaining, "pretrained.blocks.")
    theirs: dict[str, Tensor] = {}
    for our_name, saved in _name_pairs(depth):
        if our_name in remaining:
            theirs[saved] = remaining.pop(our_name)
    for our_name, parts in _qkv_pairs(depth):
        theirs.update(zip(parts, remaining.pop(our_name).chunk(3), strict=True))
    theirs.update(remaining)
    return _memory_from_saved(theirs) if in_memory else theirs


def _saved_from_memory(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
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


def _memory_from_saved(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
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


def _depth(names: Mapping[str, Tensor], prefix: str) -> int:
    numbers = {n[len(prefix) :].split(".", 1)[0] for n in names if n.startswith(prefix)}
    return len(numbers)


def _qkv_pairs(depth: int) -> list[tuple[str, list[str]]]:
    """(our stacked tensor, transformers' three) for every block."""
    return [
        (
            f"pretrained.blocks.{i}.attn.qkv.{kind}",
            [f"backbone.encoder.layer.{i}.attention.attention.{part}.{kind}" for part in _QKV],
        )
        for i in range(depth)
        for kind in ("weight", "bias")
    ]


def _name_pairs(depth: int) -> list[tuple[str, str]]:
    """(our tensor, transformers' saved name), all but the attention's query, key and value."""
    embeddings = "backbone.embeddings."
    pairs = [
        ("pretrained.cls_token", embeddings + "cls_token"),
        ("pretrained.mask_token", embeddings + "mask_token"),
        ("pretrained.pos_embed", embeddings + "position_embeddings"),
    ]
    layers = [
        ("pretrained.patch_embed.proj", embeddings + "patch_embeddings.projection"),
        ("pretrained.norm", "backbone.layernorm"),
        ("depth_head.scratch.output_conv1", "head.conv1"),
        ("depth_head.scratch.output_conv2.0", "head.conv2"),
        ("depth_head.scratch.output_conv2.2", "head.conv3"),
    ]
    for i in range(depth):
        ours, theirs = f"pretrained.blocks.{i}.", f"backbone.encoder.layer.{i}."
        pairs += [(f"{ours}ls{n}.gamma", f"{theirs}layer_scale{n}.lambda1") for n in (1, 2)]
        layers += [(ours + a, theirs + b) for a, b in _BLOCK.items()]
    for i in range(4):
        stage = f"neck.reassemble_stage.layers.{i}."
        layers.append((f"depth_head.projects.{i}", stage + "projection"))
        layers.append((f"depth_head.resize_layers.{i}", stage + "resize"))
        layers.append((f"depth_head.scratch.layer{i + 1}_rn", f"neck.convs.{i}"))
        layers += _fusion_pairs(i)
    return pairs + [
        (f"{a}.{kind}", f"{b}.{kind}") for a, b in layers for kind in ("weight", "bias")
    ]


def _fusion_pairs(i: int) -> list[tuple[str, str]]:
    """The i-th refinenet, counted from 1 in the originals and from the coarsest in transformers."""
    ours = f"depth_head.scratch.refinenet{i + 1}."
    theirs = f"neck.fusion_stage.layers.{3 - i}."
    return [(ours + "out_conv", theirs + "projection")] + [
        (f"{ours}resConfUnit{n}.conv{m}", f"{theirs}residual_layer{n}.convolution{m}")
        for n in (1, 2)
        for m in (1, 2)
    ]
