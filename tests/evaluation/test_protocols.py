from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest

from leadline.alignment import scale_and_shift
from leadline.camera import Camera
from leadline.errors import InputError, KindError, UnknownNameError
from leadline.evaluation import protocols
from leadline.evaluation.crops import CROPS
from leadline.evaluation.depth_protocol import DepthProtocol
from leadline.prediction import Prediction

EXTRACT = Path(__file__).parent / "data" / "metrics.npz"
FULL = Path(__file__).resolve().parents[3] / "shared" / "goldens"

ISSUE = (
    *("eigen14-nyu", "eigen14-kitti", "kitti-eigen-garg", "kitti-eigen-garg-kbcrop", "kitti-bts"),
    *("kitti-eigen-benchmark", "kitti-stereo-2015", "nyu-eigen", "nyu-official-mask"),
    *("nyu-densedepth", "fastdepth", "midas-zero-shot", "depth-anything-zero-shot"),
    *("depth-anything-v2-metric", "make3d-godard", "make3d-c1", "da-2k"),
)


def golden(name: str) -> dict[str, np.ndarray]:
    """The committed extract: inputs and what the originals computed from them."""
    with np.load(EXTRACT) as file:
        found = {k[len(name) + 1 :]: file[k] for k in file.files if k.startswith(f"{name}/")}
    return {k: v.cumsum() if k.endswith("index") else v for k, v in found.items()}


def full(name: str) -> dict[str, np.ndarray]:
    path = FULL / f"{name}.npz"
    if not path.is_file():
        pytest.skip("the golden files are not on this machine")
    with np.load(path) as file:
        return {key: file[key] for key in file.files if key != "meta"}


def dense(shape: tuple[int, int], index: np.ndarray, values: np.ndarray) -> np.ndarray:
    depth = np.zeros(shape, np.float32)
    depth.flat[index] = values
    return depth


def close(ours: dict[str, float], order: tuple[str, ...], theirs: np.ndarray, rtol=1e-5) -> None:
    np.testing.assert_allclose([ours[name] for name in order], theirs, rtol=rtol)


def test_every_name_of_the_literature_is_there():
    assert set(ISSUE) <= set(protocols.names())
    for name, protocol in protocols.PROTOCOLS.items():
        assert protocol.name == name
        assert protocol.summary
        assert protocol.source
    with pytest.raises(UnknownNameError, match="nyu-eigen"):
        protocols.get("nyu-eigne")


MONODEPTH2 = ("abs_rel", "sq_rel", "rmse", "rmse_log", "delta1", "delta2", "delta3")


@pytest.mark.parametrize("frame", [0, 1])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("eigen_mono", "kitti-eigen-garg-median"),
        ("eigen_stereo", "kitti-eigen-garg-stereo"),
        ("eigen_noscale", "kitti-eigen-garg"),
        ("benchmark_mono", "kitti-eigen-benchmark-median"),
    ],
)
def test_equals_monodepth2(frame, call, name):
    data = golden("metrics_md2")
    shape = ((375, 1242), (370, 1224))[frame]
    target = dense(shape, data[f"gt{frame}/index"], data[f"gt{frame}/value"])
    ours = protocols.get(name).score(data["pred_disps"][frame], target, quantity="disparity")
    close(ours, MONODEPTH2, data[f"out/{call}"][frame])
    assert ours["pixels"] == data[f"out/{call}_n_pixels"][frame]


def test_the_median_is_taken_before_the_clamp():
    protocol = replace(protocols.get_depth("kitti-eigen-garg-median"), crop="everything")
    target = np.array([[10.0, 10, 60]])
    scored = protocol.measure(np.array([[1.0, 1, 100]]), target)
    assert scored.scale == 10
    assert scored.metrics["rmse"] == pytest.approx(20 / np.sqrt(3))  # 1000 m, clamped to 80


ZOE = (
    *("delta1", "delta2", "delta3", "abs_rel", "rmse"),
    *("log10", "rmse_log", "silog", "sq_rel"),
)


@pytest.mark.parametrize(
    ("call", "changes"),
    [
        ("kitti_garg", {}),
        ("kitti_eigen", {"crop": "eigen_kitti"}),
        ("kitti_garg_max50", {"max_depth": 50.0}),
    ],
)
def test_equals_zoedepth_on_kitti(call, changes):
    data = golden("metrics_zoe")
    metres = data["kitti/gt_value_u16"].astype(np.float32) / 256
    target = dense((375, 1242), data["kitti/gt_index"], metres)
    whole = replace(protocols.get_depth("kitti-eigen-garg-kbcrop"), frame="full", **changes)
    ours = whole.score(data["kitti/pred_u16"].astype(np.float32) / 256, target)
    close(ours, ZOE, data[f"out/{call}"])


@pytest.mark.parametrize(
    ("call", "changes"),
    [
        ("nyu_eigen", {}),
        ("nyu_eigen_half", {}),
        ("nyu_eigen_min0.1_max8", {"min_depth": 0.1, "max_depth": 8.0}),
        ("nyu_eigen_bad_pred", {}),
    ],
)
def test_equals_zoedepth_on_nyu(call, changes):
    data = full("metrics_zoe")
    target, pred, half = (
        data[f"nyu/{what}_u16"].astype(np.float32) / 1000 for what in ("gt", "pred", "pred_half")
    )
    if call.endswith("half"):
        pred = half
    if call.endswith("bad_pred"):
        pred[100:110, 100:140], pred[200:205], pred[300], pred[301] = np.nan, np.inf, -1, 50
    ours = replace(protocols.get_depth("nyu-eigen"), **changes).score(pred, target)
    close(ours, ZOE, data[f"out/{call}"])


def test_equals_depth_anything_v2():
    data = golden("metrics_da2")
    order = (*MONODEPTH2[4:], *MONODEPTH2[:4], "log10", "silog")
    ours = protocols.get("depth-anything-v2-metric").score(data["pred"], data["gt"])
    close(ours, order, data["out"])
    close(ours, order[3:], data["out_f64"][3:], rtol=1e-12)


def test_equals_densedepth_whose_evaluation_swaps_the_arguments():
    data = golden("metrics_densedepth")
    flat = replace(protocols.get_depth("nyu-densedepth"), crop="everything", clamp="none")
    order = ("delta1", "delta2", "delta3", "abs_rel", "rmse", "log10")
    # the original's function, called the way its parameters are named
    straight = replace(flat, swapped=False).score(data["ce/pred"], data["ce/gt"])
    close(straight, order, data["ce/out"])
    # called the way the original calls it
    swapped = flat.score(data["ce/gt"], data["ce/pred"])
    close(swapped, order, data["ce/out"])
    assert flat.swapped


def test_equals_fastdepth():
    data = golden("fastdepth_metrics")
    order = ("irmse", "imae", "rmse", "mae", "abs_rel", "log10", "delta1", "delta2", "delta3")
    for case in ("full", "holes"):
        ours = protocols.get("fastdepth").score(data[f"{case}/pred"], data[f"{case}/gt"])
        close(ours, order, np.delete(data[f"{case}/out"], 2))  # the mean square is left out


@pytest.mark.parametrize(("cap", "name"), [(10, "midas-zero-shot"), (80, "midas-zero-shot-kitti")])
def test_equals_the_midas_evaluation(cap, name):
    data = golden("metrics_align")
    scored = [
        protocols.get_depth(name).measure(data["rel"][i], data["gt"][i], data["mask"][i])
        for i in range(3)
    ]
    np.testing.assert_allclose([s.scale for s in scored], data["gist/scale"], rtol=1e-5)
    np.testing.assert_allclose([s.shift for s in scored], data["gist/shift"], rtol=1e-5)
    bad = np.mean([s.metrics["bad_pixel_percent"] for s in scored[:2]])
    np.testing.assert_allclose(bad, data[f"gist/bad_pixel_percent_cap{cap}_images01"], rtol=1e-5)


@pytest.mark.parametrize("image", [0, 1])
def test_equals_least_squares_in_double_precision(image):
    data = golden("metrics_align")
    fitted = scale_and_shift(
        data["rel"][image], data["target_disparity"][image], data["mask"][image]
    )
    np.testing.assert_allclose(fitted, data[f"lstsq{image}/scale_shift"], rtol=1e-9)


# --- what tells the protocols of one data set apart --------------------------------------------


@pytest.fixture
def kitti() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    target = rng.uniform(2, 90, (375, 1242)).astype(np.float32)
    target[rng.random(target.shape) < 0.9] = 0
    pred = rng.uniform(2, 90, target.shape).astype(np.float32)
    return pred, target


def by_hand(pred: np.ndarray, target: np.ndarray, rows: slice, columns: slice) -> float:
    mask = np.zeros(target.shape, bool)
    mask[rows, columns] = True
    mask &= (target > 1e-3) & (target < 80)
    p, t = np.clip(pred, 1e-3, 80)[mask].astype(float), target[mask].astype(float)
    return float(np.mean(np.abs(p - t) / t))


def test_two_garg_crops_that_are_not_the_same(kitti):
    pred, target = kitti
    a = protocols.get("kitti-eigen-garg").score(pred, target)["abs_rel"]
    b = protocols.get("kitti-eigen-garg-kbcrop").score(pred, target)["abs_rel"]
    assert a == pytest.approx(by_hand(pred, target, slice(153, 371), slice(44, 1197)), rel=1e-9)
    assert b == pytest.approx(by_hand(pred, target, slice(166, 372), slice(56, 1185)), rel=1e-9)
    assert a != b


def test_bts_puts_the_crop_back(kitti):
    pred, target = kitti
    bts = protocols.get("kitti-bts")
    whole = bts.score(pred, target)
    assert bts.score(pred[23:, 13 : 13 + 1216], target) == whole
    assert whole["abs_rel"] == protocols.get("kitti-eigen-garg").score(pred, target)["abs_rel"]
    with pytest.raises(InputError, match="resize it first"):
        bts.score(pred[::2, ::2], target)


def test_sizes_of_the_nyu_crops():
    target = np.full((480, 640), 2.0)
    pixels = {
        n: protocols.get(n).score(target, target)["pixels"]
        for n in protocols.names()[:-1]
        if n.startswith(("nyu", "eigen14-nyu"))
    }
    assert pixels == {
        "eigen14-nyu": 440 * 592,
        "nyu-eigen": 426 * 560,
        "nyu-official-mask": 427 * 561,
        "nyu-densedepth": 440 * 592,
    }
    with pytest.raises(InputError, match="640x480"):
        protocols.get("nyu-eigen").score(target[:240], target[:240])


def test_make3d_uses_decimal_logarithms_and_the_middle():
    target = np.full((55, 305), 40.0)
    target[:17] = target[38:] = 1
    pred = np.where(np.arange(305) < 152, 10.0, 20.0) * np.ones((55, 1))
    ours = protocols.get("make3d-godard").score(pred[17:38], target)
    assert ours["pixels"] == 21 * 305
    assert ours["rmse_log"] == pytest.approx(np.log10(2) * np.sqrt(152 / 305))
    assert protocols.get("make3d-c1").score(target, target)["pixels"] == 55 * 305


def test_stereo_counts_disparities_and_depths():
    target = np.zeros((375, 1242))
    target[100, :4] = [100, 50, 20, 10]
    pred = np.ones((375, 1242))
    pred[100, :4] = [104, 50, 24, 10]  # the first is off by 4 px but 4 %
    ours = protocols.get("kitti-stereo-2015").score(pred, target)
    assert ours["d1_all"] == 25
    assert ours["pixels"] == 4
    assert ours["abs_rel"] == pytest.approx(np.mean([4 / 104, 0, 4 / 24, 0]))
    with pytest.raises(InputError, match="focal lengths"):
        protocols.get("kitti-stereo-2015").score(pred[:, :600], target[:, :600])


def test_da_2k_counts_pairs():
    disparity = np.arange(12.0).reshape(3, 4)
    pairs = [
        {"point1": [2, 3], "point2": [0, 0], "closer_point": "point1"},
        {"point1": [2, 3], "point2": [0, 0], "closer_point": "point2"},
        {"point1": [0, 1], "point2": [1, 1], "closer_point": "point2"},
        {"point1": [1, 1], "point2": [1, 1], "closer_point": "point1"},
    ]
    da2k = protocols.get("da-2k")
    assert da2k.score(disparity, pairs) == {"ordinal": 0.5, "pixels": 4}
    assert da2k.score(-disparity, pairs, quantity="depth") == {"ordinal": 0.5, "pixels": 4}
    assert da2k.score(disparity, [[2, 3, 0, 0]])["ordinal"] == 1
    with pytest.raises(InputError, match="outside"):
        da2k.score(disparity, [[2, 4, 0, 0]])


IN_DOUBLE = (
    *("eigen14-nyu", "eigen14-kitti", "nyu-official-mask", "depth-anything-zero-shot"),
    *("make3d-godard", "make3d-c1"),
)
"""No original program is published, or it computes in double precision (Make3D's targets are)."""


def test_the_ratio_is_as_precise_as_in_the_original():
    """2.455 / 1.964 as float32 rounds up to 1.25, so an original in float32 does not count it."""
    types = {
        n: p.ratio_type for n, p in protocols.PROTOCOLS.items() if isinstance(p, DepthProtocol)
    }
    assert types == {n: "float64" if n in IN_DOUBLE else "float32" for n in types}
    for name in ("kitti-eigen-garg-kbcrop", "kitti-bts", "kitti-eigen-garg", "nyu-eigen"):
        shape = (480, 640) if name == "nyu-eigen" else (375, 1242)
        target, pred = np.full(shape, 2.455, np.float32), np.full(shape, 1.964, np.float32)
        protocol = protocols.get_depth(name)
        assert protocol.score(pred, target)["delta1"] == 0
        assert replace(protocol, ratio_type="float64").score(pred, target)["delta1"] == 1
    midas = replace(protocols.get_depth("midas-zero-shot"), align="none", quantity="depth")
    assert midas.score(pred, target)["bad_pixel_percent"] == 0  # neither above 1.25 nor below
    assert midas.score(pred, target)["delta1"] == 0
    assert protocols.get("eigen14-nyu").score(pred, target)["delta1"] == 1


def test_stereo_ratios_are_single_precision_too():
    target, pred = np.zeros((375, 1242)), np.ones((375, 1242))
    target[100, 100], pred[100, 100] = 70, np.nextafter(np.float32(56), np.float32(57))
    assert target[100, 100] / pred[100, 100] < 1.25  # of the depths too, in double precision
    assert protocols.get("kitti-stereo-2015").score(pred, target)["delta1"] == 0


# --- inputs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nyu-eigen", "midas-zero-shot", "kitti-eigen-benchmark-median"])
def test_tensors_give_the_same(name):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    target = rng.uniform(1, 9, (480, 640)).astype(np.float32)
    pred, valid = rng.uniform(1, 9, (240, 320)).astype(np.float32), rng.random((480, 640)) < 0.5
    protocol = protocols.get(name)
    ours = protocol.score(pred, target, valid)
    tensors = torch.from_numpy(pred)[None, None].requires_grad_(), torch.from_numpy(target)
    assert protocol.score(*tensors, torch.from_numpy(valid)) == ours


def test_a_prediction_knows_what_may_be_done_with_it():
    depth = np.full((480, 640), 2.0, np.float32)
    depth[:240] = 3
    nyu, midas = protocols.get("nyu-eigen"), protocols.get("midas-zero-shot")
    assert nyu.score(Prediction(values=depth, kind="metric_depth"), depth)["abs_rel"] == 0
    with pytest.raises(KindError, match="midas-zero-shot"):
        nyu.score(Prediction(values=1 / depth, kind="affine_disparity"), depth)
    with pytest.raises(KindError, match="-median"):
        nyu.score(Prediction(values=depth, kind="scaled_depth"), depth)
    stereo = protocols.get("kitti-eigen-garg-stereo")  # its factor makes metres of the unit
    far, own = np.full((375, 1242), 10.8, np.float32), np.full((375, 1242), 2.0, np.float32)
    assert stereo.score(Prediction(values=own, kind="scaled_depth"), far)["abs_rel"] < 1e-6
    with pytest.raises(KindError, match="midas-zero-shot"):
        stereo.score(Prediction(values=own, kind="affine_disparity"), far)
    with pytest.raises(KindError, match="aligned_to"):
        midas.score(Prediction(values=depth, kind="affine_depth"), depth)
    for pred in (
        Prediction(values=5 / depth - 3, kind="affine_disparity"),
        Prediction(values=depth * 7, kind="scaled_depth"),
    ):
        assert midas.score(pred, depth)["abs_rel"] == pytest.approx(0, abs=1e-6)


def test_only_scaled_depth_is_multiplied_by_the_unit():
    far = np.full((375, 1242), 10.8, np.float32)
    stereo = protocols.get("kitti-eigen-garg-stereo")
    assert stereo.score(Prediction(values=far, kind="metric_depth"), far)["abs_rel"] == 0
    assert stereo.score(far / 5.4, far)["abs_rel"] < 1e-6  # an array is in the protocol's unit


def test_pixel_disparity_becomes_depth_by_its_camera_and_the_baseline():
    target = np.full((375, 1242), 20.0)
    camera = Camera(width=1242, height=375, fx=700, fy=700, cx=600, cy=170)
    disparity = np.full((188, 621), 350 * 0.5 / 20)  # at half the size, and half the focal length
    pred = Prediction(values=disparity, kind="pixel_disparity", camera=camera.resized(621, 188))
    garg = protocols.get_depth("kitti-eigen-garg")
    assert garg.measure(pred, target, baseline_m=0.5).metrics["abs_rel"] < 1e-6
    assert garg.align_maps(pred, target, baseline_m=0.5)[0][200, 600] == pytest.approx(20)
    for lacking, baseline_m in ((pred, None), (replace(pred, camera=None), 0.5)):
        with pytest.raises(KindError, match="kitti-stereo-2015"):
            garg.measure(lacking, target, baseline_m=baseline_m)


def test_an_alignment_in_place_of_the_protocol_s_decides_on_kinds_too():
    depth = np.full((480, 640), 2.0)
    depth[:240] = 4
    nyu, pred = protocols.get_depth("nyu-eigen"), Prediction(values=depth * 3, kind="scaled_depth")
    assert nyu.measure(pred, depth, align="median").metrics["abs_rel"] < 1e-6
    with pytest.raises(KindError, match="aligns nothing"):
        protocols.get_depth("kitti-eigen-garg-median").measure(pred, depth, align="none")


def test_where_a_prediction_says_that_it_knows_nothing_is_left_out_and_told():
    depth = np.full((480, 640), 2.0)
    values, valid = depth.copy(), np.ones(depth.shape, bool)
    values[:100], valid[:100] = np.nan, False
    for name in ("nyu-official-mask", "nyu-eigen"):  # which counts a NaN as 1 mm elsewhere
        protocol = protocols.get_depth(name)
        pred = Prediction(values=values, kind="metric_depth", valid=valid)
        scored, whole = protocol.measure(pred, depth), protocol.measure(depth, depth)
        assert scored.metrics["abs_rel"] == 0
        assert scored.metrics["pixels"] == scored.coverage * whole.metrics["pixels"]
        assert scored.coverage < 0.9
        assert whole.coverage == 1
        assert not protocol.align_maps(pred, depth)[2][:100].any()
        nothing = Prediction(values=values, kind="metric_depth", valid=np.zeros_like(valid))
        with pytest.raises(InputError, match="has no value"):
            protocol.measure(nothing, depth)
    assert protocols.get_depth("nyu-eigen").score(values, depth)["abs_rel"] > 0.1


@pytest.mark.parametrize("name", ["depth", "disparity"])
def test_depth_of_another_size_is_resized_as_disparity_where_the_original_does(name):
    rng = np.random.default_rng(5)
    target = rng.uniform(5, 70, (375, 1242))
    disparity = rng.uniform(0.02, 0.2, (192, 640))
    garg = protocols.get("kitti-eigen-garg")
    given = garg.score(disparity if name == "disparity" else 1 / disparity, target, quantity=name)
    by_depth = replace(protocols.get_depth("kitti-eigen-garg"), resized_as="given")
    assert given["abs_rel"] == pytest.approx(
        by_depth.score(disparity, target, quantity="disparity")["abs_rel"], rel=1e-9
    )
    assert by_depth.score(1 / disparity, target)["abs_rel"] != pytest.approx(given["abs_rel"])


def test_zero_depth_of_another_size_is_the_nearest_there_is():
    target, pred = np.full((375, 1242), 10.0), np.full((188, 621), 10.0)
    pred[100:120] = 0
    found = protocols.get("kitti-eigen-garg").score(pred, target)
    assert 0.05 < found["abs_rel"] < 0.2


def test_a_constant_map_becomes_the_cap_or_the_best_constant():
    target = np.array([[1.0, 2, 4]])
    flat = np.ones((1, 3))
    midas = protocols.get_depth("midas-zero-shot").measure(flat, target)
    assert (midas.scale, midas.shift) == (0, 0)
    assert midas.metrics["rmse"] == pytest.approx(np.sqrt(np.mean((10 - target) ** 2)))
    best = protocols.get_depth("depth-anything-zero-shot").measure(flat, target)
    assert best.shift == pytest.approx((1 + 1 / 2 + 1 / 4) / 3)


def test_what_cannot_be_scored_is_refused():
    depth = np.full((480, 640), 2.0)
    official = protocols.get("nyu-official-mask")
    with pytest.raises(InputError, match="NaN at"):
        official.score(np.full_like(depth, np.nan), depth)
    with pytest.raises(InputError, match="0 pixels"):
        official.score(depth, depth * 0)
    with pytest.raises(InputError, match="shape"):
        official.score(depth, depth, depth[:5] > 0)
    with pytest.raises(InputError, match="one by one"):
        official.score(np.stack([depth, depth]), depth)
    with pytest.raises(InputError, match="clamps nothing"):
        protocols.get("depth-anything-v2-metric").score(-depth, depth)
    with pytest.raises(InputError, match="filled depth"):
        protocols.get("nyu-densedepth").score(depth, depth * 0)
    with pytest.raises(InputError, match="no scale and shift"):
        protocols.get("midas-zero-shot").score(np.full_like(depth, np.inf), depth)


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({"align": "medain"}, "none, median, disparity"),
        ({"quantity": "inverse_depth"}, "depth, disparity"),
    ],
)
def test_words_that_nobody_knows_are_refused(options, known):
    depth = np.full((480, 640), 2.0)
    with pytest.raises(UnknownNameError, match=f"Known: {known}"):
        protocols.get("nyu-eigen").score(depth, depth, **options)
    with pytest.raises(UnknownNameError, match="Known: depth, disparity"):
        protocols.get("da-2k").score(depth, [[1, 1, 2, 2]], quantity="depht")


@pytest.mark.parametrize("name", DepthProtocol.WORDS)
def test_a_protocol_of_unknown_words_cannot_be_made(name):
    with pytest.raises(UnknownNameError, match=f"unknown {name} 'unheard'"):
        replace(protocols.get_depth("nyu-eigen"), **{name: "unheard"})


def test_every_word_of_a_protocol_is_checked():
    """Each attribute whose type lists words is in the table."""
    hints = get_type_hints(DepthProtocol, localns={"Sequence": Sequence, "Mapping": Mapping})
    words = {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}
    assert {**words, "crop": tuple(CROPS)} == dict(DepthProtocol.WORDS)


def test_extra_metrics_on_request():
    target = np.full((480, 640), 2.0)
    target[100:300, 200:400] = 4
    nyu = protocols.get_depth("nyu-eigen")
    ours = nyu.score(target, target, metrics=("abs_rel", "boundary_f1", "edge_accuracy"))
    assert ours == {"abs_rel": 0, "boundary_f1": 1, "edge_accuracy": 0, "pixels": 426 * 560}
    with pytest.raises(UnknownNameError, match="abs_rel"):
        nyu.score(target, target, metrics=("abs_real",))


def test_bins_cover_every_pixel_once():
    target = np.random.default_rng(0).uniform(0.1, 9.9, (480, 640))
    scored = protocols.get_depth("nyu-eigen").measure(target * 1.1, target)
    np.testing.assert_allclose(sum(scored.bins.values()), scored.sums, rtol=1e-9)
    assert all(sums[0] > 0 for sums in scored.bins.values())


def test_protocols_are_data():
    nyu = protocols.get_depth("nyu-eigen")
    assert isinstance(nyu, DepthProtocol)
    assert nyu.with_cap(5).max_depth == 5
    with pytest.raises(AttributeError):
        nyu.max_depth = 5
