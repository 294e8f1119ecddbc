"""The table of protocols.

```python
from leadline.evaluation import protocols

protocols.get("nyu-eigen").score(pred, target)   # {"abs_rel": ..., "delta1": ..., ...}
```

Names ending in ``-median`` scale every prediction by the ratio of medians; all others of the same
family take metres as they are.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from leadline.errors import UnknownNameError
from leadline.evaluation.depth_protocol import DepthProtocol
from leadline.evaluation.normal_protocol import NormalProtocol
from leadline.evaluation.other_protocols import PairProtocol, StereoProtocol
from leadline.evaluation.protocol import STANDARD, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

_MONODEPTH = DepthProtocol(
    name="kitti-eigen-garg",
    summary="KITTI Eigen split against LiDAR, Garg crop of the whole frame, (1 mm, 80 m)",
    source="Godard et al. 2017 and 2019: monodepth, monodepth2 (stereo: times 5.4)",
    crop="garg",
    map_source="network",
    resize="centres",
    resized_as="disparity",
    ratio_type="float32",
    quirks=(
        "the target is projected LiDAR whose values are the scanner's forward distance, about "
        ".27 m more than depth: project_velodyne(depth='lidar_x')",
        "disparities are resized, then inverted; so are depths of another size than the target's",
        "a network that gives the disparity of a stereo pair is scored by the frame's own focal "
        "length and baseline, as monodepth's",
    ),
)
_BENCHMARK = replace(
    _MONODEPTH,
    name="kitti-eigen-benchmark",
    summary="652 frames of the Eigen split with annotated depth, every known pixel, no crop",
    source="Uhrig et al. 2017; monodepth2, eigen_benchmark",
    crop="everything",
    mask="positive",
    quirks=("targets beyond 80 m count, while predictions are clamped to 80 m",),
)
_NYU = DepthProtocol(
    name="nyu-eigen",
    summary="NYU, 654 test frames, crop [45:471, 41:601], (1 mm, 10 m)",
    source="BTS (Lee et al. 2019), AdaBins, ZoeDepth, Depth Anything",
    max_depth=10.0,
    crop="nyu_bts",
    map_source="network",
    nan_is_min=True,
    ratio_type="float32",
    quirks=(
        "the crop is one row and one column short of the toolbox's",
        "a NaN prediction counts as 1 mm, an infinite one as the cap",
    ),
)
_MIDAS = DepthProtocol(
    name="midas-zero-shot",
    summary="scale and shift fitted in disparity, clamped at the cap, share of pixels off by 1.25",
    source="Ranftl et al. 2020, sec. 5, and the authors' evaluation code",
    quantity="disparity",
    max_depth=10.0,
    cap_from_data=True,
    mask="positive",
    map_source="network",
    resize="centres",
    align="disparity",
    singular="zero",
    clamp="none",
    ratio_type="float32",
    metrics=("bad_pixel_percent", *STANDARD, "ordinal"),
    quirks=(
        "every known pixel takes part in the fit, those beyond the cap too",
        "a map whose fit has no unique answer becomes the cap everywhere",
    ),
)
_MAKE3D = DepthProtocol(
    name="make3d-godard",
    summary="Make3D, 134 pictures, 21 middle rows of the laser grid, (0, 70 m), median scaling",
    source="Godard et al. 2017 and 2019 (code published in monodepth2's issue 89)",
    max_depth=70.0,
    mask="below",
    crop="make3d_central",
    map_source="network",
    resize="nearest",
    align="median",
    clamp="upper",
    decimal_rmse_log=True,
    quirks=("rmse_log is of decimal logarithms", "the prediction is sampled by nearest pixel"),
)

_ALL: tuple[Protocol, ...] = (
    DepthProtocol(
        name="eigen14-nyu",
        summary="NYU, the part that the network covers, [20:460, 24:616], with sc_inv",
        source="Eigen et al. 2014, sec. 4",
        max_depth=10.0,
        crop="nyu_eigen",
        quirks=("sc_inv is the root, lambda 1, not times 100",),
    ),
    DepthProtocol(
        name="eigen14-kitti",
        summary="KITTI Eigen split against LiDAR, the lower part of the frame, with sc_inv",
        source="Eigen et al. 2014, sec. 4; crop as found by Godard et al.",
        crop="eigen_kitti",
        resize="centres",
        quirks=("sc_inv is the root, lambda 1, not times 100",),
    ),
    _MONODEPTH,
    replace(
        _MONODEPTH,
        name="kitti-eigen-garg-median",
        summary="as kitti-eigen-garg, every prediction scaled by the ratio of medians",
        source="monodepth2, eval_mono",
        align="median",
        quirks=(*_MONODEPTH.quirks, "medians over the pixels that count, before the clamp"),
    ),
    replace(
        _MONODEPTH,
        name="kitti-eigen-garg-stereo",
        summary="as kitti-eigen-garg, scaled depth times 5.4, monodepth2's unit of stereo training",
        source="monodepth2, eval_stereo",
        factor=5.4,
    ),
    DepthProtocol(
        name="kitti-eigen-garg-kbcrop",
        summary="KITTI Eigen split, benchmark crop first and Garg's shares of it, (1 mm, 80 m)",
        source="AdaBins (Bhat et al. 2021), ZoeDepth, MDE-Toolbox",
        frame="kb_crop",
        crop="garg",
        map_source="network",
        nan_is_min=True,
        ratio_type="float32",
        quirks=(
            "rows 166:372 and columns 56:1185 of a 375 x 1242 frame count: 13 rows of far "
            "pixels fewer than in kitti-eigen-garg and kitti-bts",
            "a NaN prediction counts as 1 mm, an infinite one as the cap",
        ),
    ),
    DepthProtocol(
        name="kitti-bts",
        summary="KITTI Eigen split, prediction of the benchmark crop put back, Garg's full frame",
        source="BTS (Lee et al. 2019)",
        frame="kb_paste",
        ratio_type="float32",
        crop="garg",
    ),
    _BENCHMARK,
    replace(
        _BENCHMARK,
        name="kitti-eigen-benchmark-median",
        summary="as kitti-eigen-benchmark, every prediction scaled by the ratio of medians",
        align="median",
    ),
    StereoProtocol(
        name="kitti-stereo-2015",
        summary="200 training pairs of KITTI stereo 2015: D1-all and depth errors",
        source="Menze and Geiger 2015; Godard et al. 2017",
        map_source="network",
        baseline_m=0.54,
        focal_px=MappingProxyType({1242: 721.5377, 1241: 718.856, 1224: 707.0493, 1238: 718.3351}),
        quirks=("focal length by picture width, one baseline for all",),
    ),
    _NYU,
    replace(
        _NYU,
        name="nyu-official-mask",
        summary="NYU, 654 test frames, the toolbox's own mask [44:471, 40:601], (1 mm, 10 m)",
        source="Silberman et al. 2012, toolbox, get_projection_mask",
        crop="nyu_official",
        nan_is_min=False,
        ratio_type="float64",
        quirks=(),
    ),
    DepthProtocol(
        name="nyu-densedepth",
        summary="NYU, filled depth, crop [20:460, 24:616], all pixels pooled, arguments swapped",
        source="DenseDepth (Alhashim and Wonka 2018)",
        average="pixel",
        min_depth=0.1,
        max_depth=10.0,
        mask="all",
        crop="nyu_eigen",
        map_source="network",
        resize="centres",
        swapped=True,
        ratio_type="float32",
        quirks=("abs_rel and sq_rel divide by the prediction, not by the truth",),
    ),
    DepthProtocol(
        name="fastdepth",
        summary="NYU at 224 x 224, no crop, no cap, millimetres",
        source="FastDepth (Wofk et al. 2019)",
        min_depth=0.0,
        max_depth=10.0,
        mask="either",
        clamp="none",
        ratio_type="float32",
        metrics=("irmse", "imae", "rmse", "mae", "abs_rel", "log10", "delta1", "delta2", "delta3"),
        units_per_metre=1000.0,
        quirks=(
            "pixels where target OR prediction is positive count, so that a hole in the target "
            "makes abs_rel, log10, irmse and imae infinite",
            "errors are millimetres, inverse errors per millimetre",
        ),
    ),
    _MIDAS,
    replace(_MIDAS, name="midas-zero-shot-nyu", cap_from_data=False),
    replace(_MIDAS, name="midas-zero-shot-kitti", max_depth=80.0, cap_from_data=False),
    replace(
        _MIDAS,
        name="depth-anything-zero-shot",
        summary="scale and shift fitted in disparity below the cap; abs_rel and delta1",
        source="Yang et al. 2024, sec. 4.1",
        mask="between",
        map_source="picture",
        singular="mean",
        clamp="both",
        ratio_type="float64",
        metrics=(*STANDARD, "ordinal"),
        quirks=("only pixels below the cap take part in the fit",),
    ),
    DepthProtocol(
        name="depth-anything-v2-metric",
        summary="all known pixels from 1 mm to 20 m (outdoors 80 m), nothing clamped",
        source="Depth Anything V2 (Yang et al. 2024), metric_depth",
        max_depth=20.0,
        cap_from_data=True,
        mask="from_to",
        map_source="network",
        clamp="none",
        silog_focus=0.5,
        silog_factor=1.0,
        ratio_type="float32",
        min_pixels=10,
        quirks=("silog = sqrt(mean(e^2) - mean(e)^2 / 2), not times 100",),
    ),
    _MAKE3D,
    DepthProtocol(
        name="make3d-c1",
        summary="Make3D, all pixels whose truth is below 70 m",
        source="Liu et al. 2014, C1; Karsch et al. 2014",
        max_depth=70.0,
        mask="below",
        resize="centres",
        clamp="none",
        metrics=("abs_rel", "log10", "rmse"),
    ),
    NormalProtocol(
        name="surface-normals",
        summary="angles between normals, all known pixels; the model's own, else its depth's",
        source="Fouhey et al. 2013, sec. 5",
    ),
    PairProtocol(
        name="da-2k",
        summary="share of pairs of points whose nearer one is named rightly",
        source="Depth Anything V2 (Yang et al. 2024), sec. 6",
        average="pixel",
        quirks=("equal values are wrong",),
    ),
)

PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({p.name: p for p in _ALL})
"""Every protocol by name."""


def names() -> list[str]:
    """The names of all protocols."""
    return list(PROTOCOLS)


def get(name: str) -> Protocol:
    """A protocol by name.

    Raises:
        UnknownNameError: no such protocol; the message lists all.
    """
    if name not in PROTOCOLS:
        raise UnknownNameError("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def get_depth(name: str) -> DepthProtocol:
    """A protocol for depth maps by name; see :func:`get`."""
    found = get(name)
    if not isinstance(found, DepthProtocol):
        depth = [n for n, p in PROTOCOLS.items() if isinstance(p, DepthProtocol)]
        raise UnknownNameError("protocol for depth maps", name, depth)
    return found
