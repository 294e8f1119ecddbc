"""What transformers' config.json and preprocessor_config.json say about a folder's network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from leadline import catalog
from leadline.errors import WeightsError
from leadline.spec import NORMALIZE, ModelSpec, PreprocessSpec


def read_config(path: Path) -> dict[str, Any] | None:
    """The ``config.json`` beside ``path``, in transformers' layout, if it is Depth Anything's.

    Returns:
        The table, with that of ``preprocessor_config.json`` (or None) under ``preprocessor``.

    Raises:
        WeightsError: a file that cannot be read.
    """
    folders = [path.parent, path.parent.parent] if path.parent.name == "onnx" else [path.parent]
    for folder in folders:
        config = read_json(folder / "config.json")
        if config is not None and config.get("model_type") == "depth_anything":
            return config | {"preprocessor": read_json(folder / "preprocessor_config.json")}
    return None


def describe_config(config: Mapping[str, Any], path: Path) -> tuple[ModelSpec, float | None]:
    """The catalogue's entry that a config is of, and metres at full output where it is metric.

    Args:
        config: from :func:`read_config`.
        path: of the weights, for the message.

    Raises:
        WeightsError: none of the published backbones.
    """
    size, taps = _find_backbone(config)
    if size is None or len(taps) != 4:
        raise WeightsError(
            f"the config.json beside {path} says depth_anything, but its backbone (hidden_size "
            f"{(config.get('backbone_config') or {}).get('hidden_size')}, out_indices {taps}) is "
            "none of the published ones."
        )
    version = "v1" if taps[3] - taps[0] == 3 else "v2"
    metric = config.get("depth_estimation_type", "relative") == "metric"
    max_depth = float(config.get("max_depth") or 1) if metric else None
    place = "" if max_depth is None else "metric-outdoor-" if max_depth > 40 else "metric-indoor-"
    return catalog.get(f"depth-anything-{version}-{place}{size}"), max_depth


def is_published(config: Mapping[str, Any]) -> bool:
    """Whether a config is of a Depth Anything with one of the published backbones."""
    size, taps = _find_backbone(config)
    layers = {"vits": 12, "vitb": 12, "vitl": 24, "vitg": 40}.get(size or "")
    return config.get("model_type") == "depth_anything" and taps[3:] == [layers]


def _find_backbone(config: Mapping[str, Any]) -> tuple[str | None, list[int]]:
    """The published backbone that has a config's width, and the layers that the config taps."""
    backbone = config.get("backbone_config") or {}
    sizes = {384: "vits", 768: "vitb", 1024: "vitl", 1536: "vitg"}
    taps = backbone.get("out_indices") or [
        int(stage.removeprefix("stage")) for stage in backbone.get("out_features", [])
    ]
    return sizes.get(backbone.get("hidden_size")), taps


def describe_preprocessor(config: Mapping[str, Any] | None) -> PreprocessSpec:
    """The settings of transformers' DPTImageProcessor; its usual ones without a config."""
    usual = catalog.PREPROCESS["depth-anything-transformers"]
    if config is None:
        return usual
    size = config.get("size") or {}
    mean, std = config.get("image_mean", usual.mean), config.get("image_std", usual.std)
    if not config.get("do_normalize", True):
        mean, std = NORMALIZE["unit"]
    return replace(
        usual,
        size=(int(size.get("height", usual.size[0])), int(size.get("width", usual.size[1]))),
        resize="minimal" if config.get("keep_aspect_ratio", True) else "exact",
        multiple_of=int(config.get("ensure_multiple_of", usual.multiple_of)),
        mean=tuple(mean),
        std=tuple(std),
    )


def read_json(path: Path) -> dict[str, Any] | None:
    """The table in a JSON file; None where there is no such file, or no table in it.

    Raises:
        WeightsError: a file that cannot be read.
    """
    if not path.is_file():
        return None
    try:
        data = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} cannot be read as JSON ({error}); copy it again.") from error
    return data if isinstance(data, dict) else None


def read_text(path: Path) -> str:
    """The text of a small file beside a network.

    Raises:
        WeightsError: not there, or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path} cannot be read as text ({error}); copy it again.") from error
