"""Models as the originals' evaluators take them: what the network sees, and its own map."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.catalog import get
from leadline.datasets import Frame, FrameRef
from leadline.errors import InputError, KindError
from leadline.estimator import DepthEstimator
from leadline.evaluation import protocols
from leadline.evaluation.page import render_page
from leadline.evaluation.predictors import ModelPredictor, open_folder, refuse_disparity
from leadline.evaluation.run import evaluate
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from leadline.resample import resize

if TYPE_CHECKING:
    from collections.abc import Mapping

FOCAL, BASELINE = 721.5377, 0.5327


class Fixed:
    """A runtime that gives one map for every picture, and keeps what it was shown."""

    name, device, precision = "fixed", "cpu", "f32"

    def __init__(self, depth: np.ndarray) -> None:
        self.depth = depth.astype(np.float32)
        self.seen: list[np.ndarray] = []

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.seen.append(arrays["image"])
        return {"depth": np.repeat(self.depth[None], len(arrays["image"]), 0)}


def kitti_frame(size: tuple[int, int] = (375, 1242), **known: object) -> Frame:
    rng = np.random.default_rng(0)
    depth = rng.uniform(4, 70, size).astype(np.float32)
    depth[rng.random(size) < 0.9] = 0
    camera = Camera(width=size[1], height=size[0], fx=FOCAL, fy=FOCAL, cx=609.6, cy=172.9)
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3)).astype(np.uint8)
    frame = Frame(
        image=Image(pixels=pixels, camera=camera), depth=depth, max_depth=80, group="g", name="f"
    )
    return replace(frame, **known)  # ty: ignore[invalid-argument-type]


def scored(model: str, runtime: Fixed, protocol: str, frame: Frame) -> dict[str, float]:
    predict = ModelPredictor(DepthEstimator(runtime, get(model)))
    refs = [FrameRef(name=frame.name, read=lambda: frame)]
    return evaluate(predict, refs, protocols.get(protocol)).scores.mean()


def by_hand(depth: np.ndarray, target: np.ndarray, *, median: bool = False) -> float:
    """abs_rel in Garg's crop of the whole frame, 1 mm to 80 m, in the authors' order."""
    mask = np.zeros(target.shape, bool)
    height, width = target.shape
    mask[int(0.40810811 * height) : int(0.99189189 * height)] = True
    mask[:, : int(0.03594771 * width)] = mask[:, int(0.96405229 * width) :] = False
    mask &= (target > 1e-3) & (target < 80)
    p, t = depth[mask].astype(float), target[mask].astype(float)
    p = p * (np.median(t) / np.median(p)) if median else p
    return float(np.mean(np.abs(np.clip(p, 1e-3, 80) - t) / t))


def disparities(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(2).uniform(0.02, 0.3, (height, width)).astype(np.float32)


def test_monodepth2_is_scored_by_its_own_disparity_resized_then_inverted():
    frame, own = kitti_frame(), disparities(192, 640)
    runtime = Fixed(1 / own)  # the catalogue's network gives depth
    ours = scored("monodepth2-r18", runtime, "kitti-eigen-garg-median", frame)
    depth = 1 / resize(own, frame.depth.shape)
    assert ours["abs_rel"] == pytest.approx(by_hand(depth, frame.depth, median=True), rel=1e-5)
    other_way = by_hand(resize(1 / own, frame.depth.shape), frame.depth, median=True)
    assert ours["abs_rel"] != pytest.approx(other_way, rel=1e-2)


def test_stereo_weights_are_scaled_and_metres_are_not():
    frame, own = kitti_frame(), disparities(192, 640)
    runtime, name = Fixed(1 / own), "kitti-eigen-garg-stereo"
    depth = 1 / resize(own, frame.depth.shape)
    scaled = scored("monodepth2-r18", runtime, name, frame)
    assert scaled["abs_rel"] == pytest.approx(by_hand(depth * 5.4, frame.depth), rel=1e-5)
    predict = ModelPredictor(
        DepthEstimator(runtime, replace(get("monodepth2-r18"), kind=DepthKind.METRIC_DEPTH))
    )
    refs = [FrameRef(name="f", read=lambda: frame)]
    metres = evaluate(predict, refs, protocols.get(name)).scores.mean()
    assert metres["abs_rel"] == pytest.approx(by_hand(depth, frame.depth), rel=1e-5)


@pytest.mark.parametrize("size", [(375, 1242), (370, 1224)])
def test_monodepth_is_scored_by_width_focal_length_and_baseline(size):
    frame, shares = kitti_frame(size, baseline_m=BASELINE), disparities(256, 512)
    ours = scored("monodepth-vgg", Fixed(shares), "kitti-eigen-garg", frame)
    pixels = resize(shares, size) * size[1]
    expected = by_hand(FOCAL * BASELINE / pixels, frame.depth)
    assert ours["abs_rel"] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(KindError, match="baseline_m"):
        scored("monodepth-vgg", Fixed(shares), "kitti-eigen-garg", kitti_frame(size))


def test_monodepth_on_the_stereo_benchmark():
    shares = disparities(256, 512)
    pixels = resize(shares, (375, 1242)) * 1242
    truth = np.where(np.random.default_rng(3).random(pixels.shape) < 0.1, pixels + 2, 0)
    frame = kitti_frame(disparity=truth.astype(np.float32))
    ours = scored("monodepth-resnet50", Fixed(shares), "kitti-stereo-2015", frame)
    assert ours["d1_all"] == 0
    keep = truth > 0
    assert ours["abs_rel"] == pytest.approx(np.mean(np.abs(truth / pixels - 1)[keep]), rel=1e-3)


def test_zoedepth_sees_the_benchmark_crop_and_its_map_is_resized_corner_to_corner():
    torch = pytest.importorskip("torch")
    frame = kitti_frame()
    own = np.random.default_rng(4).uniform(2, 80, (384, 1344)).astype(np.float32)
    runtime = Fixed(own)
    ours = scored("zoedepth-k", runtime, "kitti-eigen-garg-kbcrop", frame)
    estimator = DepthEstimator(runtime, get("zoedepth-k"))
    crop = Image(pixels=frame.image.pixels[23:, 13 : 13 + 1216])
    assert np.array_equal(runtime.seen[0], estimator.prepare(crop).arrays["image"])
    depth = torch.nn.functional.interpolate(
        torch.from_numpy(own)[None, None], (352, 1216), mode="bilinear", align_corners=True
    )[0, 0].numpy()
    expected = by_hand(depth, frame.depth[23:, 13 : 13 + 1216])
    assert ours["abs_rel"] == pytest.approx(expected, rel=1e-5)


def test_bts_pastes_what_was_predicted_of_the_benchmark_crop():
    frame = kitti_frame()
    own = np.random.default_rng(4).uniform(2, 80, (384, 1344)).astype(np.float32)
    ours = scored("zoedepth-k", Fixed(own), "kitti-bts", frame)
    crop = Image(pixels=frame.image.pixels[23:, 13 : 13 + 1216])
    whole = np.zeros((375, 1242), np.float32)
    whole[23:, 13 : 13 + 1216] = DepthEstimator(Fixed(own), get("zoedepth-k")).predict(crop)
    assert ours["abs_rel"] == pytest.approx(by_hand(whole, frame.depth), rel=1e-5)


def test_pictures_smaller_than_the_benchmark_crop_are_refused():
    with pytest.raises(InputError, match="benchmark crop"):
        scored("zoedepth-k", Fixed(np.ones((4, 4))), "kitti-bts", kitti_frame((300, 1242)))


def test_a_network_that_sees_the_middle_is_scored_there_and_that_is_told(tmp_path):
    frame = replace(kitti_frame(), depth=np.full((375, 1242), 10, np.float32))
    predict = ModelPredictor(DepthEstimator(Fixed(np.full((43, 144), 11)), get("eigen14-kitti")))
    refs = [FrameRef(name="f", read=lambda: frame)]
    report = evaluate(predict, refs, protocols.get("kitti-eigen-garg"))
    assert report.scores.mean()["abs_rel"] == pytest.approx(0.1, rel=1e-5)
    rows = np.arange(375)[int(0.40810811 * 375) : int(0.99189189 * 375)]
    inside = np.mean(rows < 12 + 351)  # 172 of 184 rows: the network sees rows 12 to 363
    assert report.scores.coverage == pytest.approx(inside)
    assert f"{100 * (1 - inside):.2g} % of the pixels to count are left out" in report.table()
    report.save(tmp_path, page=render_page(report, refs, predict))
    assert "left out: the predictions" in (tmp_path / "index.html").read_text()
    assert "coverage" in (tmp_path / "frames.csv").read_text()


def test_what_a_network_fails_to_tell_is_no_hole():
    frame = replace(kitti_frame(), depth=np.full((375, 1242), 10, np.float32))
    own = np.full((384, 1344), 10, np.float32)
    own[192:, 672:] = np.nan
    predict = ModelPredictor(DepthEstimator(Fixed(own), get("zoedepth-k")))
    refs = [FrameRef(name="f", read=lambda: frame)]
    report = evaluate(predict, refs, protocols.get("kitti-eigen-garg-kbcrop"))
    assert report.scores.coverage == 1
    assert report.scores.mean()["abs_rel"] > 0.3  # each counts as 1 mm
    with pytest.raises(InputError, match="the prediction is NaN at"):
        evaluate(predict, refs, protocols.get("kitti-eigen-garg"))


@pytest.mark.parametrize("name", ["eigen14-nyu", "eigen14-kitti"])
def test_eigen_s_crop_is_what_eigen_s_network_sees(name):
    torch = pytest.importorskip("torch")
    from leadline import models

    size = (480, 640) if name == "eigen14-nyu" else (375, 1242)
    spec = get(name)
    module = models.build(name, **spec.options)
    with torch.inference_mode():
        own = module(torch.zeros(1, 3, *spec.preprocess.size))[0].numpy()
    pred = DepthEstimator(Fixed(own), spec).predict(np.zeros((*size, 3), np.uint8))
    assert protocols.get_depth(name).measure(pred, np.full(size, 5)).coverage > 0.999


def test_disparity_where_depth_was_promised_is_seen_at_the_network_s_size():
    depth = np.repeat(np.linspace(2, 60, 375, dtype=np.float32)[:, None], 1242, 1)
    frame = kitti_frame(depth=depth)
    liar = Prediction(values=1 / resize(depth, (96, 320)), kind="metric_depth")
    with pytest.raises(KindError, match="looks like a disparity"):
        refuse_disparity(liar, frame)
    refuse_disparity(replace(liar, values=1 / liar.values), frame)


# --- other programs' files -----------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pfm"])
def test_codes_per_metre_of_files_without_codes_are_refused(tmp_path, suffix):
    frame = kitti_frame()
    Prediction(values=np.ones((4, 4)), kind="metric_depth").save(tmp_path / f"f{suffix}")
    assert open_folder(tmp_path)(frame).kind == "metric_depth"
    with pytest.raises(InputError, match=rf"f\{suffix} holds numbers.*--pred-per-metre"):
        open_folder(tmp_path, per_metre=256)(frame)


@pytest.mark.parametrize("suffix", [".npz", ".png"])
def test_files_that_tell_another_kind_are_refused(tmp_path, suffix):
    made = Prediction(values=np.eye(4) + 1, kind="metric_depth")
    made.save(tmp_path / f"f{suffix}", "png16" if suffix == ".png" else None)
    frame = kitti_frame()
    assert open_folder(tmp_path, kind="metric_depth")(frame).kind == "metric_depth"
    with pytest.raises(KindError, match=r"metric_depth.*kind=affine_disparity"):
        open_folder(tmp_path, kind="affine_disparity")(frame)


def test_holes_in_files_are_failures(tmp_path):
    frame = kitti_frame()
    values = np.where(np.arange(375)[:, None] < 300, 10.0, np.nan) * np.ones(1242)
    np.save(tmp_path / "f.npy", values)
    with pytest.raises(InputError, match="NaN at"):
        protocols.get("kitti-eigen-garg").score(open_folder(tmp_path)(frame), frame.depth)
