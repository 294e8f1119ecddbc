"""Tiny random depth networks of transformers, saved with their processors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

transformers: Any = pytest.importorskip("transformers", minversion="5")

_VIT: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "patch_size": 14,
}
_DPT: dict[str, Any] = {"neck_hidden_sizes": [8, 12, 16, 20], "fusion_hidden_size": 16}
_DINO: dict[str, Any] = {
    "image_size": 56,
    "reshape_hidden_states": False,
    "out_indices": [1, 2, 3, 4],
}


def _make_dpt(**more: Any) -> tuple[Any, Any]:
    config = transformers.DPTConfig(
        **(_VIT | {"patch_size": 16}),
        **_DPT,
        intermediate_size=48,
        image_size=64,
        backbone_out_indices=[0, 1, 2, 3],
        use_auxiliary_head=False,
        **more,
    )
    return transformers.DPTForDepthEstimation(config), transformers.DPTImageProcessor(
        size={"height": 64, "width": 64}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )


def _make_depth_anything(**more: Any) -> tuple[Any, Any]:
    config = transformers.DepthAnythingConfig(
        backbone_config=transformers.Dinov2Config(**_VIT, **_DINO),
        reassemble_hidden_size=24,
        **_DPT,
        **more,
    )
    rule = {"keep_aspect_ratio": True, "ensure_multiple_of": 14}
    return transformers.DepthAnythingForDepthEstimation(config), transformers.DPTImageProcessor(
        size={"height": 56, "width": 56}, **rule
    )


def _make_prompt_depth_anything(**more: Any) -> tuple[Any, Any]:
    config = transformers.PromptDepthAnythingConfig(
        backbone_config=transformers.Dinov2Config(**_VIT, **_DINO),
        reassemble_hidden_size=24,
        **_DPT,
        **more,
    )
    network = transformers.PromptDepthAnythingForDepthEstimation(config)
    rule = {"keep_aspect_ratio": True, "ensure_multiple_of": 14}
    size = {"height": 56, "width": 56}
    return network, transformers.PromptDepthAnythingImageProcessor(size=size, **rule)


def _make_glpn(**more: Any) -> tuple[Any, Any]:
    config = transformers.GLPNConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 24, 32],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=8,
        **more,
    )
    return transformers.GLPNForDepthEstimation(config), transformers.GLPNImageProcessor()


def _make_zoedepth(**more: Any) -> tuple[Any, Any]:
    backbone = transformers.BeitConfig(
        **(_VIT | {"patch_size": 16}),
        intermediate_size=48,
        image_size=64,
        use_relative_position_bias=True,
        reshape_hidden_states=False,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.ZoeDepthConfig(
        **{
            "backbone_config": backbone,
            **_DPT,
            "bottleneck_features": 16,
            "num_relative_features": 8,
            "bin_embedding_dim": 16,
            **more,
        }
    )
    processor = transformers.ZoeDepthImageProcessor(
        size={"height": 64, "width": 96}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    return transformers.ZoeDepthForDepthEstimation(config), processor


def _make_depth_pro(*, use_fov_model: bool = True) -> tuple[Any, Any]:
    encoder: dict[str, Any] = {
        "model_type": "dinov2",
        **_VIT,
        "patch_size": 16,
        "num_hidden_layers": 3,
        "image_size": 128,
    }
    config = transformers.DepthProConfig(
        patch_size=128,
        fusion_hidden_size=16,
        intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[16, 16],
        scaled_images_feature_dims=[28, 20, 24],
        merge_padding_value=1,
        use_fov_model=use_fov_model,
        image_model_config=dict(encoder),
        patch_model_config=dict(encoder),
        fov_model_config=dict(encoder),
    )
    size = {"height": 512, "width": 512}
    network = transformers.DepthProForDepthEstimation(config)
    return network, transformers.DepthProImageProcessor(size=size)


def _make_tipsv2_dpt(**more: Any) -> tuple[Any, Any]:
    backbone: dict[str, Any] = {
        "model_type": "tipsv2_vision_model",
        **_VIT,
        **_DINO,
        "apply_layernorm": True,
    }
    config = transformers.Tipsv2DptConfig(
        backbone_config=backbone, **_DPT, num_depth_bins=16, **more
    )
    network = transformers.Tipsv2DptForDepthEstimation(config)
    return network, transformers.Tipsv2DptImageProcessor(size={"height": 56, "width": 56})


MAKERS: Mapping[str, Callable[..., tuple[Any, Any]]] = {
    "depth_anything": _make_depth_anything,
    "depth_pro": _make_depth_pro,
    "dpt": _make_dpt,
    "glpn": _make_glpn,
    "prompt_depth_anything": _make_prompt_depth_anything,
    "tipsv2_dpt": _make_tipsv2_dpt,
    "zoedepth": _make_zoedepth,
}
"""``model_type`` -> a network of a few thousand weights and the processor that belongs to it."""


def save_folder(folder: Path, family: str, **config: Any) -> Path:
    """A folder as ``save_pretrained`` writes it.

    Args:
        folder: where.
        family: of :data:`MAKERS`.
        **config: fields of its configuration.
    """
    torch.manual_seed(0)
    network, processor = MAKERS[family](**config)
    _fill(network)
    if family == "depth_pro":
        network.head.layers[4].bias.data.add_(1)  # so that the last ReLU cuts nothing off
        if config.get("use_fov_model", True):
            network.fov_model.head.layers[-1].bias.data.add_(55)  # degrees
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _fill(network: nn.Module) -> None:
    """Weights of which the map shows the picture; a usual initialisation gives almost nothing."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if not tensor.is_floating_point() or "running" in name:
                continue
            draw = torch.randn(tensor.shape, generator=generator)
            if tensor.ndim > 1:
                tensor.copy_(draw / tensor[0].numel() ** 0.5)
            else:
                gain = 1.0 if name.endswith("weight") or "lambda" in name else 0.0
                tensor.copy_(0.1 * draw + gain)
