"""The embedded models, the statistical one, and networks of 2014 to 2024."""

from __future__ import annotations

from dataclasses import replace

from leadline.catalog.parts import give_advice
from leadline.catalog.preprocessing import PREPROCESS, use_unit_range
from leadline.kinds import DepthKind
from leadline.spec import ModelSpec, WeightsFile, name_outputs

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
        advice=give_advice(f"eigen14-{place}", "released theirs for Theano only"),
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
        advice=give_advice(
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
        advice=give_advice(
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
        advice=give_advice(name, "publish none of this width" if "half" in name else files),
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
        advice=give_advice(
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
        preprocess=use_unit_range(128, 160),
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
        advice=give_advice(name, f"publish {file} (github.com/isl-org/MiDaS, releases); load it"),
        summary="convolutional, relative" + (", small and fast" if "small" in name else ""),
        paper="Ranftl et al., MiDaS, TPAMI 2020 (arXiv:1907.01341)",
    )


def _dpt(name: str, repo: str, file: str, megabytes: float) -> ModelSpec:
    beit = "beit" in name
    licence = "MIT" if beit else "Apache-2.0"
    return ModelSpec(
        name=name,
        architecture=name,
        kind=DepthKind.AFFINE_DISPARITY,
        preprocess=PREPROCESS["dpt"],
        weights=(WeightsFile(file=file, repo=repo, size_mb=megabytes, licence=licence),),
        summary=f"{name.split('-', 1)[1].removesuffix('-384').replace('beit-', 'BEiT ')}, relative",
        paper="Birkl et al., MiDaS v3.1, 2023 (arXiv:2307.14460)"
        if beit
        else "Ranftl et al., DPT, ICCV 2021 (arXiv:2103.13413)",
    )


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
        advice=give_advice(name, authors) if encoder else "",
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


CLASSIC: tuple[ModelSpec, ...] = (
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
"""In the order of the list."""
