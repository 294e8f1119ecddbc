"""Networks of several outputs: points, cameras, films, prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from leadline.kinds import DepthKind
from leadline.spec import OUTPUTS, ModelSpec, OutputSpec, PreprocessSpec, WeightsFile, name_outputs


def _hub(repo: str, file: str, size_mb: float | None, licence: str) -> tuple[WeightsFile, ...]:
    return (WeightsFile(file=file, repo=repo, size_mb=size_mb, licence=licence),)


# --- Depth Anything 3 ----------------------------------------------------------------------------

_DA3 = "Lin et al., Depth Anything 3, 2025 (arXiv:2511.10647)"
_DA3_INPUT = PreprocessSpec(
    size=(504, 504), resize="upper_bound_twice", multiple_of=14, max_aspect=None
)
_CORNER: Mapping[str, OutputSpec] = MappingProxyType(
    {"intrinsics": replace(OUTPUTS["intrinsics"], unit="input_px_corner")}
)
"""K of a picture whose top left corner, not the centre of whose first pixel, is (0, 0)."""
_VIEWS = {**name_outputs("depth", "depth_conf", "intrinsics", "extrinsics"), **_CORNER}
_MOST_VIEWS = 128


def _da3(size: str, repo: str, megabytes: float, licence: str) -> ModelSpec:
    """Any number of views of one scene; one alone, too."""
    return ModelSpec(
        name=f"da3-{size}",
        architecture=f"da3-{size}",
        kind=DepthKind.SCALED_DEPTH,
        preprocess=_DA3_INPUT,
        outputs=_VIEWS,
        max_views=_MOST_VIEWS,
        weights=_hub(f"depth-anything/{repo}", "model.safetensors", megabytes, licence),
        summary=f"{size}; depth, lens and poses of one or several views",
        paper=_DA3,
    )


def _da3_sky(name: str) -> ModelSpec:
    """One view, with sky; metres of a lens of 300 pixels for ``metric``."""
    metric = "metric" in name
    return ModelSpec(
        name=name,
        architecture=name,
        kind=DepthKind.SCALED_DEPTH,
        preprocess=_DA3_INPUT,
        outputs=name_outputs("depth", "sky"),
        decoder="canonical_depth_of_mean_focal" if metric else "depth",
        canonical_focal_px=300.0 if metric else None,
        weights=_hub(f"depth-anything/{name.upper()}", "model.safetensors", 1337.0, "Apache-2.0"),
        summary="large, metres where the lens is known" if metric else "large, depth up to a scale",
        paper=_DA3,
    )


def _da3_nested() -> ModelSpec:
    name = "da3nested-giant-large"
    repo = "depth-anything/DA3NESTED-GIANT-LARGE-1.1"
    return ModelSpec(
        name=name,
        architecture=name,
        kind=DepthKind.METRIC_DEPTH,
        preprocess=_DA3_INPUT,
        outputs={**_VIEWS, **name_outputs("sky")},
        max_views=_MOST_VIEWS,
        weights=_hub(repo, "model.safetensors", 6617.0, "CC-BY-NC-4.0"),
        summary="giant and large; metres, lens and poses of one or several views",
        paper=_DA3,
    )


# --- Video Depth Anything ------------------------------------------------------------------------

_SIZES = {"vits": "Small", "vitb": "Base", "vitl": "Large"}
_VIDEO_MEGABYTES = {"vits": 116.1, "vitb": 457.8, "vitl": 1537.6}


def _video(encoder: str, *, metric: bool) -> ModelSpec:
    infix = "metric-" if metric else ""
    name = f"video-depth-anything-{infix}{encoder}"
    repo = f"depth-anything/{'Metric-' if metric else ''}Video-Depth-Anything-{_SIZES[encoder]}"
    file = f"{infix.replace('-', '_')}video_depth_anything_{encoder}.pth"
    licence = "Apache-2.0" if encoder == "vits" else "CC-BY-NC-4.0"
    return ModelSpec(
        name=name,
        architecture=name,
        kind=DepthKind.METRIC_DEPTH if metric else DepthKind.AFFINE_DISPARITY,
        preprocess=PreprocessSpec(
            size=(518, 518), multiple_of=14, output_align_corners=True, max_aspect=None
        ),
        clip_frames=32,
        weights=_hub(repo, file, _VIDEO_MEGABYTES[encoder], licence),
        summary=f"{_SIZES[encoder].lower()}, for film, {'metres' if metric else 'relative'}",
        paper="Chen et al., Video Depth Anything, CVPR 2025 (arXiv:2501.12375)",
    )


# --- Depth Pro, Prompt Depth Anything ------------------------------------------------------------


def _depth_pro() -> ModelSpec:
    return ModelSpec(
        name="depth-pro",
        architecture="depth-pro",
        kind=DepthKind.METRIC_DEPTH,
        preprocess=PreprocessSpec(
            size=(1536, 1536),
            resize="exact",
            interpolation="linear",
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        ),
        outputs=name_outputs("canonical_inverse_depth", "fov_deg"),
        decoder="inverse_depth_with_focal",
        weights=(
            *_hub("apple/DepthPro-hf", "model.safetensors", 1904.0, "apple-amlr"),
            *_hub("apple/DepthPro", "depth_pro.pt", 1904.0, "apple-amlr"),
        ),
        summary="metres and focal length of one picture; research only",
        paper="Bochkovskii et al., Depth Pro, ICLR 2025 (arXiv:2410.02073)",
    )


def _prompted(encoder: str, megabytes: float) -> ModelSpec:
    name = f"prompt-depth-anything-{encoder}"
    return ModelSpec(
        name=name,
        architecture=name,
        kind=DepthKind.METRIC_DEPTH,
        preprocess=PreprocessSpec(
            size=(756, 756),
            resize="minimal",
            multiple_of=14,
            interpolation="pil_bicubic",
            output_interpolation="cubic",
        ),
        inputs=("image", "prompt_depth"),
        weights=(
            *_hub(f"depth-anything/{name}-hf", "model.safetensors", megabytes, "Apache-2.0"),
            *_hub(f"depth-anything/{name}", "model.ckpt", megabytes, "Apache-2.0"),
        ),
        summary=f"{_SIZES[encoder].lower()}; sharpens the depth that a phone or LiDAR measured",
        paper="Lin et al., Prompt Depth Anything, CVPR 2025 (arXiv:2412.14015)",
    )


# --- MoGe ----------------------------------------------------------------------------------------

_MOGE_INPUT = PreprocessSpec(
    size=(480, 640),
    resize="keep",
    interpolation="linear",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    max_aspect=None,
)
_MOGE_MEGABYTES = {
    "moge-1-vitl": 1257.0,
    "moge-2-vits-normal": 140.0,
    "moge-2-vitb-normal": 419.0,
    "moge-2-vitl": 1305.0,
    "moge-2-vitl-normal": 1324.0,
}
"""Of the files that their authors publish."""


def _moge(name: str) -> ModelSpec:
    second = name.startswith("moge-2")
    outputs = ["points", "mask"]
    outputs += ["metric_scale"] if second else []
    outputs += ["normal"] if name.endswith("-normal") else []
    repo = f"Ruicheng/{'moge-vitl' if not second else name}"
    here = name in _MOGE_MEGABYTES
    size = name.split("-")[2]
    return ModelSpec(
        name=name,
        architecture=name,
        kind=DepthKind.METRIC_DEPTH if second else DepthKind.SCALED_DEPTH,
        preprocess=_MOGE_INPUT,
        outputs=name_outputs(*outputs),
        decoder="point_map",
        weights=_hub(repo, "model.pt", _MOGE_MEGABYTES[name], "MIT") if here else (),
        advice=""
        if here
        else f"no weights ship with Leadline, and its authors publish "
        f"this size with normals only ({name}-normal). Give your own",
        summary=f"{size}; points, lens"
        + (" and metres" if second else " up to a scale")
        + (", normals" if name.endswith("-normal") else ""),
        paper="Wang et al., MoGe-2, 2025 (arXiv:2507.02546)"
        if second
        else "Wang et al., MoGe, CVPR 2025 (arXiv:2410.19115)",
    )


# --- Metric3D v2 ---------------------------------------------------------------------------------

_METRIC3D = {"vits": ("small", 150.0), "vitl": ("large", 1648.0), "giant2": ("giant2", 5511.0)}


def _metric3d(encoder: str) -> ModelSpec:
    size, megabytes = _METRIC3D[encoder]
    usual = PreprocessSpec(size=(616, 1064))
    border = tuple(255 * level for level in usual.mean)  # zero to the network
    return ModelSpec(
        name=f"metric3d-v2-{encoder}",
        architecture=f"metric3d-v2-{encoder}",
        kind=DepthKind.SCALED_DEPTH,
        preprocess=replace(
            usual, resize="letterbox", interpolation="linear", letterbox_level=border
        ),
        outputs=name_outputs("depth", "depth_conf", "normal"),
        decoder="canonical_depth",
        canonical_focal_px=1000.0,
        weights=_hub(
            "JUGGHM/Metric3D", f"metric_depth_vit_{size}_800k.pth", megabytes, "BSD-2-Clause"
        ),
        summary=f"{size}; metres and normals where the lens is known",
        paper="Hu et al., Metric3D v2, TPAMI 2024 (arXiv:2404.15506)",
    )


# --- UniDepth v2 ---------------------------------------------------------------------------------

_UNIDEPTH_MEGABYTES = {"vits": 137.0, "vitb": 458.0, "vitl": 1415.0}


def _unidepth(encoder: str) -> ModelSpec:
    return ModelSpec(
        name=f"unidepth-v2-{encoder}",
        architecture=f"unidepth-v2-{encoder}",
        kind=DepthKind.METRIC_DEPTH,
        preprocess=PreprocessSpec(
            size=(480, 640),
            resize="pixel_range",
            multiple_of=14,
            interpolation="linear",
            max_aspect=2.5,
        ),
        outputs={**name_outputs("depth", "points"), **_CORNER},
        weights=_hub(
            f"lpiccinelli/unidepth-v2-{encoder}14",
            "model.safetensors",
            _UNIDEPTH_MEGABYTES[encoder],
            "CC-BY-NC-4.0",
        ),
        summary=f"{encoder}; metres, points and lens",
        paper="Piccinelli et al., UniDepthV2, 2025 (arXiv:2502.20110)",
    )


RECENT: tuple[ModelSpec, ...] = (
    _da3("small", "DA3-SMALL", 137.0, "Apache-2.0"),
    _da3("base", "DA3-BASE", 541.0, "Apache-2.0"),
    _da3("large", "DA3-LARGE-1.1", 1644.0, "CC-BY-NC-4.0"),
    _da3("giant", "DA3-GIANT-1.1", 5280.0, "CC-BY-NC-4.0"),
    *(_da3_sky(name) for name in ("da3mono-large", "da3metric-large")),
    _da3_nested(),
    *(_video(encoder, metric=metric) for metric in (False, True) for encoder in _SIZES),
    _depth_pro(),
    _prompted("vits", 100.0),
    _prompted("vitl", 1360.0),
    _moge("moge-1-vitl"),
    *(
        _moge(f"moge-2-{encoder}{normal}")
        for encoder in ("vits", "vitb", "vitl")
        for normal in ("", "-normal")
    ),
    *(_metric3d(encoder) for encoder in _METRIC3D),
    *(_unidepth(encoder) for encoder in _UNIDEPTH_MEGABYTES),
)
"""In the order of the list."""
