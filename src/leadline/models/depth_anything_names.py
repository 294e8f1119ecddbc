"""Depth Anything's tensor names: the original authors' and transformers', both ways.

Prompt Depth Anything has the same names, and those of its prompt branches. The encoder's, with
transformers' two layouts, are in ``dinov2_names.py``.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from leadline.models.dinov2_names import (
    count_blocks,
    encoder_pairs,
    memory_from_saved,
    qkv_pairs,
    saved_from_memory,
    take,
    take_encoder,
    with_kinds,
)

_MARK = "backbone.embeddings.cls_token"
_ENCODER = ("pretrained.", "backbone.")  # ours, transformers'


def from_transformers(state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Our names for a transformers state dict; another layout is returned as it is.

    Tensors that have no place in the map keep their names, so that a strict load reports them.
    """
    if _MARK not in state_dict:
        return state_dict
    remaining = saved_from_memory(state_dict)
    ours = {**take(remaining, _head_pairs()), **take_encoder(remaining, *_ENCODER)}
    return {**ours, **remaining}


def to_transformers(
    state_dict: Mapping[str, Tensor], *, in_memory: bool = False
) -> dict[str, Tensor]:
    """Our state dict under transformers' names.

    Args:
        state_dict: of a Depth Anything module.
        in_memory: the names that transformers 5 uses in memory, in place of those it saves.
    """
    remaining = dict(state_dict)
    depth = count_blocks(remaining, _ENCODER[0] + "blocks.")
    theirs: dict[str, Tensor] = {}
    for our_name, saved in (*encoder_pairs(*_ENCODER, depth), *_head_pairs()):
        if our_name in remaining:
            theirs[saved] = remaining.pop(our_name)
    for our_name, parts in qkv_pairs(*_ENCODER, depth):
        theirs.update(zip(parts, remaining.pop(our_name).chunk(3), strict=True))
    theirs.update(remaining)
    return memory_from_saved(theirs) if in_memory else theirs


def _head_pairs() -> list[tuple[str, str]]:
    """(our tensor, transformers' saved name) of the head."""
    layers = [
        ("depth_head.scratch.output_conv1", "head.conv1"),
        ("depth_head.scratch.output_conv2.0", "head.conv2"),
        ("depth_head.scratch.output_conv2.2", "head.conv3"),
    ]
    for i in range(4):
        stage = f"neck.reassemble_stage.layers.{i}."
        layers.append((f"depth_head.projects.{i}", stage + "projection"))
        layers.append((f"depth_head.resize_layers.{i}", stage + "resize"))
        layers.append((f"depth_head.scratch.layer{i + 1}_rn", f"neck.convs.{i}"))
        layers += _fusion_pairs(i)
    return with_kinds(layers)


def _fusion_pairs(i: int) -> list[tuple[str, str]]:
    """The i-th refinenet, counted from 1 in the originals and from the coarsest in transformers."""
    ours = f"depth_head.scratch.refinenet{i + 1}."
    theirs = f"neck.fusion_stage.layers.{3 - i}."
    units = [
        (f"{ours}resConfUnit{n}.conv{m}", f"{theirs}residual_layer{n}.convolution{m}")
        for n in (1, 2)
        for m in (1, 2)
    ]
    prompt = [
        (f"{ours}resConfUnit_depth.{2 * n}", f"{theirs}prompt_depth_layer.convolution{n + 1}")
        for n in range(3)
    ]
    return [(ours + "out_conv", theirs + "projection"), *units, *prompt]
