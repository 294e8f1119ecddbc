"""Depth Pro's tensor names in transformers, renamed to the original authors', which are ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadline.models.dinov2_names import saved_from_memory, take, take_encoder, with_kinds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_MARK = "depth_pro.neck.fuse_image_with_low_res.weight"
_ENCODERS = {  # ours -> transformers'
    "encoder.patch_encoder.": "depth_pro.encoder.patch_encoder.model.",
    "encoder.image_encoder.": "depth_pro.encoder.image_encoder.model.",
    "fov.encoder.0.": "fov_model.fov_encoder.model.",
}


def from_transformers(state_dict: Mapping[str, Tensor], *, fov: bool) -> Mapping[str, Tensor]:
    """Our names for a transformers state dict; another layout is returned as it is.

    Tensors that have no place in the map keep their names, so that a strict load reports them. The
    mask tokens, which only transformers adds, are dropped.

    Args:
        state_dict: names -> tensors.
        fov: whether our network estimates the field of view. The file's tensors for it are dropped
            otherwise, as transformers does.
    """
    if _MARK not in state_dict:
        return state_dict
    remaining = saved_from_memory(state_dict)
    ours = take(remaining, _layer_pairs())
    for our_prefix, their_prefix in _ENCODERS.items():
        ours |= take_encoder(remaining, our_prefix, their_prefix)
    kept = {**ours, **remaining}
    return {
        name: tensor
        for name, tensor in kept.items()
        if not name.endswith(".mask_token") and (fov or not name.startswith("fov."))
    }


def _layer_pairs() -> list[tuple[str, str]]:
    """(our tensor, transformers' name) outside of the transformers."""
    neck = "depth_pro.neck."
    up = neck + "feature_upsample."
    layers = [
        ("encoder.upsample_lowres", up + "image_block.layers.0"),
        ("encoder.fuse_lowres", neck + "fuse_image_with_low_res"),
        ("fov.encoder.1", "fov_model.fov_encoder.neck"),
        ("fov.downsample.0", "fov_model.conv"),
    ]
    for i in range(3):
        block = f"{up}scaled_images.{2 - i}.layers."
        layers += [(f"encoder.upsample{i}.{n}", f"{block}{n}") for n in range(2)]
    for i in range(2):
        block = f"{up}intermediate.{1 - i}.layers."
        layers += [(f"encoder.upsample_latent{i}.{n}", f"{block}{n}") for n in range(4 - i)]
    for i in range(5):
        projection = f"{neck}feature_projection.projections.{4 - i}"
        layers += [(f"decoder.convs.{i}", projection), *_fusion_pairs(i)]
    layers += [(f"head.{i}", f"head.layers.{i}") for i in range(5)]
    layers += [(f"fov.head.{i}", f"fov_model.head.layers.{i}") for i in range(5)]
    return with_kinds(layers)


def _fusion_pairs(i: int) -> list[tuple[str, str]]:
    """Layers of the i-th fusion block, 0 the finest."""
    ours = f"decoder.fusions.{i}."
    theirs = f"fusion_stage.intermediate.{4 - i}." if i else "fusion_stage.final."
    units = [
        (f"{ours}resnet{n}.residual.{2 * m - 1}", f"{theirs}residual_layer{n}.convolution{m}")
        for n in (1, 2)
        for m in (1, 2)
    ]
    return [
        (ours + "out_conv", theirs + "projection"),
        (ours + "deconv", theirs + "deconv"),
        *units,
    ]
