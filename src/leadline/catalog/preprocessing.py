"""What the models' networks want of a picture, by name."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from leadline.spec import PreprocessSpec


def use_unit_range(height: int, width: int, **rest: Any) -> PreprocessSpec:
    """Stretched to one size, RGB in [0, 1]: what the convolutional models take."""
    return PreprocessSpec(
        size=(height, width),
        resize="exact",
        interpolation="area_linear",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        **rest,
    )


def _halves(height: int, width: int, **rest: Any) -> PreprocessSpec:
    """RGB in [-1, 1]: what DPT and ZoeDepth take."""
    half = (0.5, 0.5, 0.5)
    return PreprocessSpec(
        size=(height, width),
        resize="minimal",
        multiple_of=32,
        mean=half,
        std=half,
        output_interpolation="cubic",
        **rest,
    )


def _midas_v21_input(side: int) -> PreprocessSpec:
    return PreprocessSpec(
        size=(side, side), resize="upper_bound", multiple_of=32, output_interpolation="cubic"
    )


def _zoedepth_input(height: int, width: int) -> PreprocessSpec:
    return _halves(height, width, interpolation="linear", input_align_corners=True)


def _zoedepth_depth_anything_input(height: int, width: int) -> PreprocessSpec:
    usual = PreprocessSpec(size=(height, width))
    return replace(_zoedepth_input(height, width), multiple_of=14, mean=usual.mean, std=usual.std)


PREPROCESS = MappingProxyType(
    {
        # Sides are 9/8 of those it learned at, where windows enlarge what they show by as much.
        "lite": PreprocessSpec(
            size=(288, 360),
            resize="area",
            multiple_of=32,
            interpolation="area_linear",
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        ),
        "superpixel": PreprocessSpec(
            size=(240, 240),
            resize="short_side",
            interpolation="area_linear",
            mean=(0.0, 0.0, 0.0),
            std=(1.0, 1.0, 1.0),
        ),
        "depth-anything-v1": PreprocessSpec(size=(518, 518), multiple_of=14),
        "depth-anything-v2": PreprocessSpec(
            size=(518, 518), multiple_of=14, output_align_corners=True
        ),
        "depth-anything-transformers": PreprocessSpec(
            size=(518, 518),
            resize="minimal",
            multiple_of=14,
            interpolation="pil_bicubic",
            output_interpolation="cubic",
        ),
        "midas-v21-small": _midas_v21_input(256),
        "midas-v21": _midas_v21_input(384),
        "dpt": _halves(384, 384),
        "zoedepth-n": _zoedepth_input(384, 512),
        "zoedepth-k": _zoedepth_input(384, 768),
        "zoedepth-nk": _zoedepth_input(384, 512),
        "zoedepth-n-depth-anything": _zoedepth_depth_anything_input(392, 518),
        "zoedepth-k-depth-anything": _zoedepth_depth_anything_input(384, 768),
        "zoedepth-nk-depth-anything": _zoedepth_depth_anything_input(392, 518),
        # The middle of a frame of 240 x 320, of a halved KITTI frame, and of one of 250 x 333.
        "eigen14-nyu": use_unit_range(228, 304, crop=(228 / 240, 304 / 320), nan_is_hole=True),
        "eigen14-kitti": use_unit_range(172, 576, crop=(172 / 184, 576 / 612), nan_is_hole=True),
        "monodepth": use_unit_range(256, 512),
        "monodepth2": use_unit_range(192, 640),
        "densedepth": use_unit_range(480, 640),
        "fastdepth": use_unit_range(224, 224, crop=(228 / 250, 304 / 333)),
    }
)
"""Preprocessing by name, for models that more than one implementation runs."""
