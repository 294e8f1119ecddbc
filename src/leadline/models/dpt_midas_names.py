"""DPT's and ZoeDepth's tensor names: the original authors' and transformers'.

transformers keeps query, key and value apart where the originals stack them, drops the encoder's
classifier, and since its version 5 has other names in memory than in files. Both are read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import torch

from leadline.models.beit import relative_positions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_MARK = re.compile(r"neck\.fusion_stage\.layers\.")
_INDEX = ".relative_position_index"
_UNUSED = re.compile(r"pretrained\.model\.(head|fc_norm)\.(weight|bias)$")
_STACKED = re.compile(r"(.*)\.(query|key|value)\.(weight|bias)$")
_ORDER = {"query": 0, "key": 1, "value": 2}

_RELATIVE = (  # (pattern, ours), tried in order on every name; all that match apply
    (r"^(?:dpt|backbone)\.(?:beit\.)?", "pretrained.model."),
    (r"^(pretrained\.model\.)layernorm\.", r"\1norm."),
    (r"embeddings\.backbone\.(?:bit\.)?embedder\.convolution", "patch_embed.backbone.stem.conv"),
    (r"embeddings\.backbone\.(?:bit\.)?embedder\.norm", "patch_embed.backbone.stem.norm"),
    (
        r"embeddings\.backbone\.(?:bit\.)?encoder\.stages\.(\d+)\.layers\.",
        r"patch_embed.backbone.stages.\1.blocks.",
    ),
    (r"embeddings\.(?:patch_embeddings\.)?projection", "patch_embed.proj"),
    (r"embeddings\.cls_token", "cls_token"),
    (r"embeddings\.position_embeddings", "pos_embed"),
    (r"^(pretrained\.model\.)(?:encoder\.layer|layers)\.(\d+)\.", r"\1blocks.\2."),
    (r"layernorm_before", "norm1"),
    (r"layernorm_after", "norm2"),
    (r"\.lambda_([12])$", r".gamma_\1"),
    (r"(?:attention\.attention\.)?relative_position_bias\.relative", "attn.relative"),
    (r"attention\.(?:output\.dense|o_proj)", "attn.proj"),
    (r"intermediate\.dense", "mlp.fc1"),
    (r"output\.dense", "mlp.fc2"),
    (r"attention\.(?:attention\.query|q_proj)", "attn.query"),
    (r"attention\.(?:attention\.key|k_proj)", "attn.key"),
    (r"attention\.(?:attention\.value|v_proj)", "attn.value"),
    (r"^neck\.reassemble_stage\.readout_projects\.(\d)\.0", "readout\\1"),
    (r"^neck\.reassemble_stage\.layers\.(\d)\.", "reassemble\\1."),
    (r"^neck\.convs\.(\d)", "convs\\1"),
    (r"^neck\.fusion_stage\.layers\.(\d)\.projection", "fusion\\1.out_conv"),
    (
        r"^neck\.fusion_stage\.layers\.(\d)\.residual_layer(\d)\.convolution(\d)",
        r"fusion\1.resConfUnit\2.conv\3",
    ),
    (r"^(?:head\.head\.0|relative_head\.conv1)\.", "scratch.output_conv.0."),
    (r"^(?:head\.head\.2|relative_head\.conv2)\.", "scratch.output_conv.2."),
    (r"^(?:head\.head\.4|relative_head\.conv3)\.", "scratch.output_conv.4."),
)
_COUNTED = (  # transformers counts levels from 0, fusion from the coarsest
    (r"^readout(\d)", "pretrained.act_postprocess{}.0.project.0", 1, 1),
    (r"^reassemble(\d)\.projection", "pretrained.act_postprocess{}.3", 1, 1),
    (r"^reassemble(\d)\.resize", "pretrained.act_postprocess{}.4", 1, 1),
    (r"^convs(\d)", "scratch.layer{}_rn", 1, 1),
    (r"^fusion(\d)", "scratch.refinenet{}", 4, -1),
)
_METRIC = (
    (r"^metric_head\.", ""),
    (r"^mlp_classifier\.linear1\.", "mlp_classifier.0."),
    (r"^mlp_classifier\.linear2\.", "mlp_classifier.2."),
    (r"transformer_encoder\.(\d+)\.", r"transformer_encoder.layers.\1."),
    (r"^(seed_\w+|projectors|attractors)(\..*)?\.conv1\.", r"\1\2._net.0."),
    (r"^(seed_\w+|projectors|attractors)(\..*)?\.conv2\.", r"\1\2._net.2."),
)


def complete(state_dict: Mapping[str, Tensor], needed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Add the constant indices of relative positions, which newer timm versions do not save."""
    missing = {
        name: relative_positions(*_grid(needed[name]))
        for name in needed
        if name.endswith(_INDEX) and (name not in state_dict or state_dict[name].is_meta)
    }
    return {**state_dict, **missing}


def from_transformers(
    state_dict: Mapping[str, Tensor], needed: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """Our names for a transformers state dict; another layout is returned as it is.

    Tensors that have no place in the map keep their names, so that a strict load reports them.

    Args:
        state_dict: of ``DPTForDepthEstimation`` or ``ZoeDepthForDepthEstimation``.
        needed: our module's; the encoder's classifier, which transformers drops, is taken from it.
    """
    if not any(_MARK.match(name) for name in state_dict):
        return state_dict
    core = "core.core." if any(name.startswith("metric_head.") for name in state_dict) else ""
    renamed: dict[str, Tensor] = {}
    for name, tensor in state_dict.items():
        metric = name.startswith("metric_head.")
        ours = _replaced(name, _METRIC) if metric else core + _relative_name(name)
        renamed[ours] = tensor
    stacked = _stack(renamed)
    unused = {
        name: torch.zeros_like(tensor, device="cpu")
        for name, tensor in needed.items()
        if _UNUSED.search(name) and name not in stacked
    }
    return {**stacked, **unused}


def _relative_name(name: str) -> str:
    name = _replaced(name, _RELATIVE)
    for pattern, ours, first, step in _COUNTED:
        found = re.match(pattern, name)
        if found:
            name = ours.format(first + step * int(found[1])) + name[found.end() :]
    return name


def _replaced(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, ours in rules:
        name = re.sub(pattern, ours, name)
    return name


def _stack(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Join query, key and value; BEiT's, which has no key bias, keeps its two biases apart."""
    result: dict[str, Tensor] = {}
    groups: dict[tuple[str, str], dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        found = _STACKED.match(name)
        if found:
            groups.setdefault((found[1], found[3]), {})[found[2]] = tensor
        else:
            result[name] = tensor
    for (owner, kind), parts in groups.items():
        whole = [parts[part] for part in sorted(parts, key=_ORDER.__getitem__)]
        if owner.endswith("self_attn"):
            result[f"{owner}.in_proj_{kind}"] = torch.cat(whole)
        elif len(whole) == len(_ORDER):
            result[f"{owner}.qkv.{kind}"] = torch.cat(whole)
        else:
            result |= {f"{owner}.{part[0]}_{kind}": parts[part] for part in parts}
    return result


def _grid(index: Tensor) -> tuple[int, int]:
    side = round((index.shape[0] - 1) ** 0.5)
    return side, side
