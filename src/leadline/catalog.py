"""Every model that can be loaded by name, as one table; imports no network code.

To add a model: write a :class:`~leadline.spec.ModelSpec` into ``MODELS``. When it is a torch
network, its ``architecture`` is a name of ``leadline.models``; a test asserts that both agree.
"""

from __future__ import annotations

from types import MappingProxyType

from leadline.errors import UnknownNameError
from leadline.kinds import DepthKind
from leadline.spec import ModelSpec, PreprocessSpec, WeightsFile

DEFAULT = "lite"
"""Name of the model that ``leadline.load()`` takes: it ships inside the package."""

PREPROCESS = MappingProxyType(
    {
        "lite": PreprocessSpec(
            size=(192, 192), resize="short_side", multiple_of=32, interpolation="area_linear"
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
    }
)
"""Preprocessing by name, for models that more than one implementation runs."""

_SIZES = {"vits": "small", "vitb": "base", "vitl": "large", "vitg": "giant"}
_MEGABYTES = {"vits": 99.2, "vitb": 389.9, "vitl": 1341.4}
_V1 = "Yang et al., Depth Anything, CVPR 2024 (arXiv:2401.10891)"
_V2 = "Yang et al., Depth Anything V2, NeurIPS 2024 (arXiv:2406.09414)"


def _lite() -> ModelSpec:
    return ModelSpec(
        name="lite",
        architecture="lite",
        kind=DepthKind.AFFINE_DISPARITY,
        preprocess=PREPROCESS["lite"],
        weights=(WeightsFile(file="lite.onnx", licence="Apache-2.0"),),
        summary="small and fast, ships inside the package",
        paper="docs/models/lite.md",
    )


def _depth_anything_v1(encoder: str) -> ModelSpec:
    size = _SIZES[encoder]
    return ModelSpec(
        name=f"depth-anything-v1-{encoder}",
        architecture=f"depth-anything-v1-{encoder}",
        kind=DepthKind.AFFINE_DISPARITY,
        preprocess=PREPROCESS["depth-anything-v1"],
        weights=(
            _weights(encoder, f"LiheYoung/depth-anything-{size}-hf", "model.safetensors"),
            _weights(encoder, f"LiheYoung/depth_anything_{encoder}14", "pytorch_model.bin"),
        ),
        summary=f"{size}, relative",
        paper=_V1,
        precision="bf16",
    )


def _depth_anything_v2(encoder: str) -> ModelSpec:
    size = _SIZES[encoder]
    licence = _v2_licence(encoder)
    repo = f"depth-anything/Depth-Anything-V2-{size.capitalize()}"
    weights = (
        _weights(encoder, repo, f"depth_anything_v2_{encoder}.pth", licence),
        _weights(encoder, f"{repo}-hf", "model.safetensors", licence),
    )
    return ModelSpec(
        name=f"depth-anything-v2-{encoder}",
        architecture=f"depth-anything-v2-{encoder}",
        kind=DepthKind.AFFINE_DISPARITY,
        preprocess=PREPROCESS["depth-anything-v2"],
        weights=weights if encoder in _MEGABYTES else (),
        summary=f"{size}, relative" + ("" if encoder in _MEGABYTES else "; weights unpublished"),
        paper=_V2,
        precision="bf16",
    )


def _depth_anything_v2_metric(place: str, encoder: str) -> ModelSpec:
    size = _SIZES[encoder].capitalize()
    data, max_depth = {"indoor": ("hypersim", 20.0), "outdoor": ("vkitti", 80.0)}[place]
    data_name = {"hypersim": "Hypersim", "vkitti": "VKITTI"}[data]
    family = "depth-anything/Depth-Anything-V2-Metric"
    licence = _v2_licence(encoder)
    original = f"depth_anything_v2_metric_{data}_{encoder}.pth"
    return ModelSpec(
        name=f"depth-anything-v2-metric-{place}-{encoder}",
        architecture=f"depth-anything-v2-metric-{place}-{encoder}",
        options={"max_depth": max_depth},
        kind=DepthKind.METRIC_DEPTH,
        preprocess=PREPROCESS["depth-anything-v2"],
        weights=(
            _weights(encoder, f"{family}-{data_name}-{size}", original, licence),
            _weights(
                encoder, f"{family}-{place.capitalize()}-{size}-hf", "model.safetensors", licence
            ),
        ),
        summary=f"{_SIZES[encoder]}, metres up to {max_depth:.0f}, {place}",
        paper=_V2,
        max_depth=max_depth,
        precision="bf16",
    )


def _weights(encoder: str, repo: str, file: str, licence: str = "Apache-2.0") -> WeightsFile:
    return WeightsFile(file=file, repo=repo, size_mb=_MEGABYTES.get(encoder), licence=licence)


def _v2_licence(encoder: str) -> str:
    return "Apache-2.0" if encoder == "vits" else "CC-BY-NC-4.0"


_ENTRIES = (
    _lite(),
    *(_depth_anything_v1(encoder) for encoder in ("vits", "vitb", "vitl")),
    *(_depth_anything_v2(encoder) for encoder in ("vits", "vitb", "vitl", "vitg")),
    *(
        _depth_anything_v2_metric(place, encoder)
        for place in ("indoor", "outdoor")
        for encoder in ("vits", "vitb", "vitl")
    ),
)

MODELS = MappingProxyType({spec.name: spec for spec in _ENTRIES})
"""Name -> ModelSpec."""


def names() -> tuple[str, ...]:
    """Every name that ``leadline.load`` takes, in the table's order."""
    return tuple(MODELS)


def get(name: str) -> ModelSpec:
    """The entry ``name``.

    Raises:
        UnknownNameError: no such entry; the message lists the nearest spellings first.
    """
    if name not in MODELS:
        raise UnknownNameError("model", name, names())
    return MODELS[name]


def by_repo(repo: str) -> ModelSpec | None:
    """The entry whose weights the hub's ``repo`` (``owner/name``) holds, or None."""
    for spec in MODELS.values():
        if any(weights.repo == repo for weights in spec.weights):
            return spec
    return None


def by_digest(sha256: str) -> ModelSpec | None:
    """The entry that states a weights file with this SHA-256, or None."""
    for spec in MODELS.values():
        if any(weights.sha256 == sha256 for weights in spec.weights):
            return spec
    return None
