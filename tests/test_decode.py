"""One network with many outputs, through flips, tiles and files, on every runtime."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import leadline
from leadline.camera import Camera
from leadline.decode import DECODERS
from leadline.errors import InputError
from leadline.estimator import DepthEstimator
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.preprocess import Preprocess
from leadline.spec import OUTPUTS, ModelSpec, PreprocessSpec, name_outputs
from testing.decoding import MANY, build_many, decode_restored

MAPS = ("values", "confidence", "normals", "points", "sky")


def make_picture(height: int = 45, width: int = 70) -> Image:
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image(pixels=pixels, camera=Camera.from_fov(width, height, fov_deg=70))


@pytest.fixture(scope="module")
def estimators(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DepthEstimator]:
    """The network as a module, as ONNX on two runtimes, and as OpenVINO's own file."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from leadline.export import export_module
    from leadline.runtime.torch import TorchRuntime

    folder, network = tmp_path_factory.mktemp("many"), build_many()
    made = {"torch": DepthEstimator(TorchRuntime(network), MANY)}
    for suffix, runtimes in {"onnx": ("openvino", "onnxruntime"), "xml": ("openvino",)}.items():
        written = export_module(network, MANY, folder / f"many.{suffix}")
        assert len(written.checks) == 2 * len(runtimes)
        for runtime in runtimes:
            made[f"{suffix} {runtime}"] = leadline.load(written.path, runtime=runtime)
    return made


@pytest.mark.parametrize("policy", ["single", "flip", "pad-flip"])
@pytest.mark.parametrize("tiles", [1, 2])
def test_every_runtime_gives_the_same_prediction(estimators, policy, tiles):
    picture = make_picture()
    made = {
        name: DepthEstimator(one.runtime, one.spec, policy=policy, tiles=tiles).predict(picture)
        for name, one in estimators.items()
    }
    wanted = made.pop("torch")
    assert wanted.camera == picture.camera
    np.testing.assert_allclose(np.linalg.norm(wanted.normals, axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(wanted.points[..., 2], wanted.values, rtol=1e-4)
    for name, found in made.items():
        for field in MAPS:
            want, have = getattr(wanted, field), getattr(found, field)
            if field == "sky":
                assert (want == have).mean() > 0.999, name
            else:
                np.testing.assert_allclose(have, want, rtol=2e-3, atol=2e-4, err_msg=name)


def test_a_mirrored_picture_gives_the_mirrored_prediction_under_flip(estimators):
    flip = DepthEstimator(estimators["torch"].runtime, MANY, policy="flip")
    picture = make_picture()
    mirrored = Image(pixels=picture.pixels[:, ::-1].copy(), camera=picture.camera.flipped())
    one, other = flip.predict(picture), flip.predict(mirrored)
    turned = np.array([-1, 1, 1], np.float32)
    np.testing.assert_allclose(other.values[:, ::-1], one.values, rtol=1e-4)
    np.testing.assert_allclose(other.normals[:, ::-1] * turned, one.normals, atol=1e-4)
    np.testing.assert_allclose(other.points[:, ::-1] * turned, one.points, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(other.sky[:, ::-1], one.sky)


def test_what_the_network_asks_for_is_fed_and_missed(estimators):
    estimator = estimators["onnx onnxruntime"]
    near = make_picture()
    far = replace(near, camera=Camera.from_focal(70, 45, focal_px=2 * near.camera.fx))
    ratio = estimator.predict(far).values / estimator.predict(near).values
    np.testing.assert_allclose(ratio, 2, rtol=1e-5)
    with pytest.raises(InputError, match="--fov"):
        estimator.predict(Image(pixels=near.pixels))


def test_batches_give_what_single_pictures_give(estimators):
    estimator, pictures = estimators["torch"], [make_picture(), make_picture(30, 80)]
    for one, other in zip(
        estimator.predict_batch(pictures), map(estimator.predict, pictures), strict=True
    ):
        for field in MAPS:
            np.testing.assert_allclose(
                getattr(one, field), getattr(other, field), rtol=1e-5, atol=1e-6
            )


def test_a_prediction_with_everything_survives_its_file(estimators, tmp_path: Path):
    made = estimators["torch"].predict(make_picture())
    made.save(tmp_path / "all.npz")
    back = leadline.read_prediction(tmp_path / "all.npz")
    for field in MAPS:
        np.testing.assert_array_equal(getattr(back, field), getattr(made, field))
    assert back.camera == made.camera
    assert made.list_left_out("npz") == ()
    assert made.list_left_out("png16") == ("confidence", "normals", "points", "sky")
    assert "camera" in made.list_left_out("pfm")


# --- decoders ------------------------------------------------------------------------------------

PLAIN = PreprocessSpec(size=(24, 32), resize="exact", mean=(0, 0, 0), std=(1, 1, 1))


def decode_one(outputs: dict[str, np.ndarray], image: Image, margin=(0, 0), **fields):
    preprocess = Preprocess(PLAIN, outputs=name_outputs(*outputs))
    prepared = preprocess(image, margin=margin)
    return decode_restored(preprocess, outputs, prepared, **fields)


@pytest.mark.parametrize("margin", [(0, 0), (4, 6)])
def test_a_predicted_lens_becomes_the_picture_s_camera(margin):
    picture = replace(make_picture(48, 64), camera=None)
    seen = (48 + 2 * margin[0], 64 + 2 * margin[1])
    outputs = {"depth": np.ones((1, 24, 32)), "focal_px": np.array([40.0])}
    made = decode_one(outputs, picture, margin, kind=DepthKind.METRIC_DEPTH)
    assert made.camera.source == "predicted"
    assert made.camera.fx == pytest.approx(40 * seen[1] / 32)
    assert made.camera.fy == pytest.approx(40 * seen[0] / 24)
    assert (made.camera.cx, made.camera.cy) == pytest.approx((31.5, 23.5))
    outputs = {"depth": np.ones((1, 24, 32)), "fov_deg": np.array([90.0])}
    made = decode_one(outputs, picture, margin, kind=DepthKind.METRIC_DEPTH)
    assert made.camera.fx == pytest.approx(seen[1] / 2)
    known = make_picture(48, 64)
    made = decode_one(outputs, known, margin, kind=DepthKind.METRIC_DEPTH)
    assert made.camera == known.camera


@pytest.mark.parametrize("fov", [-3.0, np.nan, 200.0])
def test_a_lens_that_cannot_be_is_none(fov):
    picture = Image(pixels=make_picture(48, 64).pixels)
    outputs = {"depth": np.ones((1, 24, 32)), "fov_deg": np.array([fov])}
    assert decode_one(outputs, picture, kind=DepthKind.METRIC_DEPTH).camera is None


def test_inverse_depth_of_one_width_becomes_metres_by_the_focal_length():
    picture = make_picture(48, 64)
    inverse = np.full((1, 24, 32), 0.25)
    inverse[0, :2] = 0
    made = decode_one(
        {"canonical_inverse_depth": inverse},
        picture,
        kind=DepthKind.METRIC_DEPTH,
        decoder="inverse_depth_with_focal",
    )
    np.testing.assert_allclose(made.values[8:], picture.camera.fx / (64 * 0.25), rtol=1e-5)
    assert made.values[0].max() == pytest.approx(1e4)
    with pytest.raises(InputError, match="focal length"):
        decode_one(
            {"canonical_inverse_depth": inverse},
            Image(pixels=picture.pixels),
            kind=DepthKind.METRIC_DEPTH,
            decoder="inverse_depth_with_focal",
        )


def test_points_alone_give_a_map_and_a_scale_multiplies_both():
    points = np.stack([np.full((24, 32), value) for value in (1.0, 2.0, 4.0)])[None]
    mask = np.ones((1, 24, 32))
    mask[0, :12] = 0
    outputs = {"points": points, "mask": mask, "metric_scale": np.array([0.5])}
    made = decode_one(outputs, make_picture(24, 32), kind=DepthKind.METRIC_DEPTH)
    np.testing.assert_allclose(made.values, 2)
    np.testing.assert_allclose(made.points, np.broadcast_to([0.5, 1, 2], (24, 32, 3)))
    np.testing.assert_array_equal(made.valid, mask[0] > 0.5)


def test_every_decoder_has_a_model_that_the_spec_can_name():
    for name in DECODERS:
        spec = ModelSpec(name="x", kind=DepthKind.METRIC_DEPTH, preprocess=PLAIN, decoder=name)
        assert spec.decoder in DECODERS
    assert {spec.role for spec in OUTPUTS.values()} >= {"depth", "normal", "points", "pose"}


# --- several views -------------------------------------------------------------------------------


class Walk:
    """A runtime for views from one place after another, one metre to the right each."""

    name, device, precision = "walk", "cpu", "f32"

    def run(self, arrays):
        batch, views, _, height, width = arrays["image"].shape
        poses = np.zeros((batch, views, 3, 4), np.float32)
        poses[..., :3, :3] = np.eye(3)
        poses[..., 0, 3] = -np.arange(views)  # camera_from_world
        matrix = np.array([[30, 0, (width - 1) / 2], [0, 30, (height - 1) / 2], [0, 0, 1]])
        return {
            "depth": np.full((batch, views, height, width), 2, np.float32),
            "extrinsics": poses,
            "intrinsics": np.broadcast_to(matrix, (batch, views, 3, 3)),
        }


def test_views_of_one_scene_have_poses_and_one_cloud():
    spec = ModelSpec(
        name="walk",
        kind=DepthKind.SCALED_DEPTH,
        preprocess=PLAIN,
        outputs=name_outputs("depth", "extrinsics", "intrinsics"),
        max_views=3,
    )
    estimator = DepthEstimator(Walk(), spec)
    pictures = [Image(pixels=np.roll(make_picture(48, 64).pixels, 5 * n, 1)) for n in range(3)]
    made = estimator.predict_views(pictures)
    assert len(made) == 3
    places = [camera.world_from_camera[:3, 3] for camera in made.cameras]
    np.testing.assert_allclose(places, [[0, 0, 0], [1, 0, 0], [2, 0, 0]], atol=1e-6)
    assert [camera.fx for camera in made.cameras] == [60, 60, 60]
    cloud = made.point_cloud()
    assert len(cloud.points) == 3 * 48 * 64
    first, last = cloud.points[: 48 * 64], cloud.points[-48 * 64 :]
    np.testing.assert_allclose(last - first, np.tile([2.0, 0, 0], (48 * 64, 1)), atol=1e-5)
    with pytest.raises(InputError, match="1 to 3 views"):
        estimator.predict_views(pictures * 2)
    with pytest.raises(InputError, match="views 0 and 1 are the same picture"):
        estimator.predict_views(pictures[:1] * 2)
    with pytest.raises(InputError, match="1 to 3 views"):
        estimator.predict_views([])


# --- scaled disparity ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [DepthKind.METRIC_DEPTH, DepthKind.SCALED_DEPTH])
def test_to_disparity_and_back_is_the_identity(kind):
    values = np.random.default_rng(0).uniform(0.5, 80, (20, 30)).astype(np.float32)
    made = leadline.Prediction(values=values, kind=kind)
    disparity = made.to_disparity()
    assert disparity.kind is DepthKind.SCALED_DISPARITY
    assert disparity.to_disparity() is disparity
    back = disparity.to_depth()
    assert back.kind is DepthKind.SCALED_DEPTH
    np.testing.assert_allclose(back.values, values, rtol=3e-7)
    metres = disparity.to_metric([(3, 4, float(values[4, 3]))])
    np.testing.assert_allclose(metres.values, values, rtol=1e-5)
    np.testing.assert_allclose(disparity.to_metric(scale=1.0).values, values, rtol=1e-5)
