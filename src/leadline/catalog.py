"""Every model that can be loaded by name, as one table; imports no network code.

To add a model: write a :class:`~leadline.spec.ModelSpec` into ``MODELS``. When it is a torch
network, its ``architecture`` is a name of ``leadline.models``; a test asserts that both agree.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from leadline.errors import UnknownNameError
from leadline.kinds import DepthKind
from leadline.spec import ModelSpec, PreprocessSpec, ResizeRule, WeightsFile, name_outputs

DEFAULT = "lite"
"""Name of the model that ``leadline.load()`` takes: it ships inside the package."""


def _unit_range(height: int, width: int, **rest: Any) -> PreprocessSpec:
    """Stretched to one size, RGB in [0, 1]: what the convolutional models take."""
    return PreprocessSpec(
        size=(height, width),
        resize="exact",
        interpolation="area_linear",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        **rest,
    )


def _halves(
    height: int, width: int, *, resize: ResizeRule = "minimal", multiple_of: int = 32, **rest: Any
) -> PreprocessSpec:
    """RGB in [-1, 1]: what DPT and ZoeDepth take."""
    half = (0.5, 0.5, 0.5)
    return PreprocessSpec(
        size=(height, width),
        resize=resize,
        multiple_of=multiple_of,
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
        "eigen14-nyu": _unit_range(228, 304, crop=(228 / 240, 304 / 320), nan_is_hole=True),
        "eigen14-kitti": _unit_range(172, 576, crop=(172 / 184, 576 / 612), nan_is_hole=True),
        "monodepth": _unit_range(256, 512),
        "monodepth2": _unit_range(192, 640),
        "densedepth": _unit_range(480, 640),
        "fastdepth": _unit_range(224, 224, crop=(228 / 250, 304 / 333)),
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
        weights=(
            WeightsFile(file="lite.onnx", licence="Apache-2.0"),
            WeightsFile(file="lite.safetensors", licence="Apache-2.0"),
        ),
        summary="small and fast, ships inside the package",
        paper="docs/models/lite.md",
    )


def _superpixel(name: str, summary: str, paper: str) -> ModelSpec:
    """The statistical model: not a network, so it has no architecture but a runtime."""
    return ModelSpec(
        name=name,
        kind=DepthKind.AFFINE_DISPARITY,
        preprocess=PREPROCESS["superpixel"],
        weights=(WeightsFile(file=f"{name}.npz", licence="Apache-2.0"),),
        summary=summary,
        paper=paper,
        outputs=name_outputs("depth", "confidence"),
        runtime="superpixel",
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


def _eigen14(place: str) -> ModelSpec:
    return ModelSpec(
        name=f"eigen14-{place}",
        architecture=f"eigen14-{place}",
        options={"full_frame": True},
        kind=DepthKind.METRIC_DEPTH,
        preprocess=PREPROCESS[f"eigen14-{place}"],
        advice=_advice(f"eigen14-{place}", "released theirs for Theano only"),
        summary=f"coarse and fine stack, {'indoor' if place == 'nyu' else 'roads'}",
        paper="Eigen et al., Depth Map Prediction from a Single Image, NIPS 2014 (arXiv:1406.2283)",
    )


def _monodepth(encoder: str) -> ModelSpec:
    return ModelSpec(
        name=f"monodepth-{encoder}",
        architecture=f"monodepth-{encoder}",
        kind=DepthKind.PIXEL_DISPARITY,
        preprocess=PREPROCESS["monodepth"],
        decoder="width_disparity",
        advice=_advice(
            f"monodepth-{encoder}",
            "publish TensorFlow checkpoints (github.com/mrharicot/monodepth, non-commercial); load "
            "their model_*.index",
        ),
        summary=f"{encoder}, learned from stereo pairs, their disparity",
        paper="Godard et al., Monodepth, CVPR 2017 (arXiv:1609.03677)",
        horizontal_flip_safe=False,
    )


def _monodepth2(encoder: str) -> ModelSpec:
    files = "publish folders (github.com/nianticlabs/monodepth2, non-commercial); load their folder"
    return ModelSpec(
        name=f"monodepth2-{encoder}",
        architecture=f"monodepth2-{encoder}",
        options={"output": "depth"},
        kind=DepthKind.SCALED_DEPTH,
        preprocess=PREPROCESS["monodepth2"],
        advice=_advice(
            f"monodepth2-{encoder}", files if encoder == "r18" else "publish none of this size"
        ),
        summary=f"ResNet-{encoder[1:]}, learned from film",
        paper="Godard et al., Monodepth2, ICCV 2019 (arXiv:1806.01260)",
    )


def _densedepth(name: str) -> ModelSpec:
    files = "publish nyu.h5 (github.com/ialhashim/DenseDepth); load it"
    return ModelSpec(
        name=name,
        architecture=name,
        options={"output": "depth", "max_depth": 10.0},
        kind=DepthKind.METRIC_DEPTH,
        preprocess=PREPROCESS["densedepth"],
        advice=_advice(name, "publish none of this width" if "half" in name else files),
        summary="DenseNet-169, metres up to 10" + (", half the width" if "half" in name else ""),
        paper="Alhashim and Wonka, DenseDepth, 2018 (arXiv:1812.11941)",
        max_depth=10.0,
    )


def _fastdepth(name: str) -> ModelSpec:
    return ModelSpec(
        name=name,
        architecture=name,
        kind=DepthKind.METRIC_DEPTH,
        preprocess=PREPROCESS["fastdepth"],
        advice=_advice(
            name,
            "publish pickled modules (github.com/dwofk/fast-depth), which can run code; save the "
            "state_dict of one that you trust (docs/models/fastdepth.md) and load that",
        ),
        summary="MobileNet, made for small boards"
        + {"": ", added skips", "-concat": ", concatenated skips", "-plain": ", no skips"}.get(
            name.removeprefix("fastdepth"), ", pruned"
        ),
        paper="Wofk et al., FastDepth, ICRA 2019 (arXiv:1903.03273)",
    )


def _fastdepth_world() -> ModelSpec:
    """The one classic whose weights ship: trained by `leadline train fastdepth-world`."""
    name = "fastdepth-world"
    return replace(
        _fastdepth("fastdepth-pruned"),
        name=name,
        preprocess=_unit_range(128, 160),
        weights=(
            WeightsFile(file=f"{name}.onnx", licence="Apache-2.0"),
            WeightsFile(file=f"{name}.safetensors", licence="Apache-2.0"),
        ),
        advice="",
        summary="FastDepth that learned rendered rooms; ships inside the package, for teaching",
    )


def _midas_v21(name: str, file: str) -> ModelSpec:
    return ModelSpec(
        name=name,
        architecture=name,
        kind=DepthKind.AFFINE_DISPARITY,
        preprocess=PREPROCESS[name],
        advice=_advice(name, f"publish {file} (github.com/isl-org/MiDaS, releases); load it"),
        summary="convolutional, relative" + (", small and fast" if "small" in name else ""),
        paper="Ranftl et al., MiDaS, TPAMI 2020 (arXiv:1907.01341)",
    )


def _dpt(name: str, repo: str, file: str, megabytes: float) -> ModelSpec:
    beit = "beit" in name
    return ModelSpec(
        name=name,
        architecture=name,
        kind=DepthKind.AFFINE_DISPARITY,
        preprocess=PREPROCESS["dpt"],
        weights=(WeightsFile(file=file, repo=repo, size_mb=megabytes, licence=_dpt_licence(beit)),),
        summary=f"{name.split('-', 1)[1].removesuffix('-384').replace('beit-', 'BEiT ')}, relative",
        paper="Birkl et al., MiDaS v3.1, 2023 (arXiv:2307.14460)"
        if beit
        else "Ranftl et al., DPT, ICCV 2021 (arXiv:2103.13413)",
    )


def _dpt_licence(beit: bool) -> str:
    return "MIT" if beit else "Apache-2.0"


_ZOEDEPTH = {  # metres, scenes, the hub's name, megabytes
    "n": (10.0, "indoor", "nyu", 1375.2),
    "k": (80.0, "roads", "kitti", 1375.2),
    "nk": (None, "indoor or roads, chosen by itself", "nyu-kitti", 1380.3),
}


def _zoedepth(key: str, encoder: str = "") -> ModelSpec:
    max_depth, place, hub_name, megabytes = _ZOEDEPTH[key]
    name = f"zoedepth-{key}" + (f"-depth-anything-{encoder}" if encoder else "")
    official = WeightsFile(
        file="model.safetensors",
        repo=f"Intel/zoedepth-{hub_name}",
        size_mb=megabytes,
        licence="MIT",
    )
    authors = "publish none of this kind"
    if encoder == "vitl" and key != "nk":
        file = {"n": "indoor", "k": "outdoor"}[key]
        authors = (
            f"publish depth_anything_metric_depth_{file}.pt (github.com/LiheYoung/Depth-Anything, "
            "metric_depth); load it"
        )
    return ModelSpec(
        name=name,
        architecture=name,
        options={} if max_depth is None else {"max_depth": max_depth},
        kind=DepthKind.METRIC_DEPTH,
        preprocess=PREPROCESS[f"zoedepth-{key}" + ("-depth-anything" if encoder else "")],
        weights=() if encoder else (official,),
        advice=_advice(name, authors) if encoder else "",
        summary=f"metres, {place}" + (f"; {_SIZES[encoder]} Depth Anything" if encoder else ""),
        paper="Bhat et al., ZoeDepth, 2023 (arXiv:2302.12288)",
        max_depth=max_depth,
    )


def _metric() -> ModelSpec:
    return ModelSpec(
        name="metric",
        architecture="metric",
        kind=DepthKind.METRIC_DEPTH,
        preprocess=PREPROCESS["depth-anything-v2"],
        advice="no weights ship with Leadline; it is a head to train on a relative network. Train "
        "one and give it",
        summary="metres, indoor or outdoor; small Depth Anything V2 with a metric head",
        paper="docs/models/zoedepth.md",
    )


def _lite_metric() -> ModelSpec:
    """Metres on the embedded network, trained by `leadline train lite-metric`."""
    name = "lite-metric"
    return ModelSpec(
        name=name,
        architecture="metric",
        options={
            "encoder": "lite",
            "domains": (("indoor", 20.0), ("outdoor", 160.0)),
            "width": 32,
            "n_bins": 32,
            "n_attractors": (8, 4, 2, 1),
        },
        kind=DepthKind.SCALED_DEPTH,
        preprocess=replace(PREPROCESS["lite"], size=(256, 320)),
        decoder="canonical_depth",
        canonical_focal_px=275.0,
        weights=(
            WeightsFile(file=f"{name}.onnx", licence="Apache-2.0"),
            WeightsFile(file=f"{name}.safetensors", licence="Apache-2.0"),
        ),
        summary="metres in rooms and on roads where the lens is known; ships inside the package",
        paper="docs/models/lite.md",
    )


def _advice(name: str, authors: str) -> str:
    return (
        f"no weights ship with Leadline. `leadline train {name}` makes some; the authors {authors}"
    )


_ENTRIES = (
    _lite(),
    _superpixel(
        "superpixel",
        "superpixels, regression and planes; no network",
        "after Saxena et al., Make3D, TPAMI 2009; docs/models/superpixel.md",
    ),
    _superpixel(
        "superpixel-prior",
        "zero parameters, for teaching: lower is nearer",
        "docs/models/superpixel.md",
    ),
    *(_depth_anything_v1(encoder) for encoder in ("vits", "vitb", "vitl")),
    *(_depth_anything_v2(encoder) for encoder in ("vits", "vitb", "vitl", "vitg")),
    *(
        _depth_anything_v2_metric(place, encoder)
        for place in ("indoor", "outdoor")
        for encoder in ("vits", "vitb", "vitl")
    ),
    _midas_v21("midas-v21-small", "midas_v21_small_256.pt"),
    _midas_v21("midas-v21", "midas_v21_384.pt"),
    _dpt("dpt-large-384", "Intel/dpt-large", "pytorch_model.bin", 1372.2),
    _dpt("dpt-hybrid-384", "Intel/dpt-hybrid-midas", "pytorch_model.bin", 489.6),
    _dpt("dpt-beit-base-384", "Intel/dpt-beit-base-384", "model.safetensors", 443.1),
    _dpt("dpt-beit-large-384", "Intel/dpt-beit-large-384", "model.safetensors", 1373.3),
    *(_zoedepth(key) for key in _ZOEDEPTH),
    *(_zoedepth(key, encoder) for encoder in ("vits", "vitl") for key in _ZOEDEPTH),
    _metric(),
    _lite_metric(),
    *(_eigen14(place) for place in ("nyu", "kitti")),
    *(_monodepth(encoder) for encoder in ("vgg", "resnet50")),
    *(_monodepth2(encoder) for encoder in ("r18", "r50")),
    *(_densedepth(name) for name in ("densedepth", "densedepth-half")),
    *(
        _fastdepth(name)
        for name in ("fastdepth", "fastdepth-concat", "fastdepth-plain", "fastdepth-pruned")
    ),
    _fastdepth_world(),
)

MODELS = MappingProxyType({spec.name: spec for spec in _ENTRIES})
"""Name -> ModelSpec."""


def names() -> tuple[str, ...]:
    """Every name that ``leadline.load`` takes, in the table's order."""
    return tuple(MODELS)


_SIZES = MappingProxyType({"small": "vits", "base": "vitb", "large": "vitl", "giant": "vitg"})


def expand_alias(name: str) -> str:
    """The name in the table that a name with a word for its size means.

    >>> expand_alias("depth-anything-v2-small")
    'depth-anything-v2-vits'
    """
    start, _, last = name.rpartition("-")
    full = f"{start}-{_SIZES.get(last, last)}"
    return full if name not in MODELS and full in MODELS else name


def get(name: str) -> ModelSpec:
    """The entry ``name``, or the one that its size in words means.

    Raises:
        UnknownNameError: no such entry; the message lists the nearest spellings first.
    """
    name = expand_alias(name)
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
