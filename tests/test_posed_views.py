"""Poses of several views that are given, or read from rays, in scenes whose answer is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.errors import InputError, UnknownNameError
from leadline.estimator import DepthEstimator
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.spec import OUTPUTS, ModelSpec, PreprocessSpec, name_outputs

SIZE = (28, 42)
SCALE = 0.25  # of the network's world, against the given one
NAMES = ("depth", "extrinsics", "intrinsics")
SPEC = ModelSpec(
    name="two-views",
    kind=DepthKind.SCALED_DEPTH,
    preprocess=PreprocessSpec(
        size=(42, 42), resize="upper_bound_twice", multiple_of=14, max_aspect=None
    ),
    outputs={
        **name_outputs(*NAMES),
        "intrinsics": replace(OUTPUTS["intrinsics"], unit="input_px_corner"),
    },
    max_views=8,
)


def turn(degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    pose = np.eye(4)
    pose[:3, :3] = [
        [np.cos(angle), 0, np.sin(angle)],
        [0, 1, 0],
        [-np.sin(angle), 0, np.cos(angle)],
    ]
    return pose


POSES = [turn(0), turn(10), turn(-7)]
POSES[1][:3, 3] = (2, 0, 0.5)
POSES[2][:3, 3] = (-1, 0.5, 0)


def make_images(poses: list[np.ndarray | None] | None = None) -> list[Image]:
    rng = np.random.default_rng(0)
    images = []
    for number, pose in enumerate(POSES if poses is None else poses):
        pixels = rng.integers(0, 256, (*SIZE, 3), np.uint8)
        camera = Camera(width=42, height=28, fx=30, fy=31, cx=22, cy=12, world_from_camera=pose)
        images.append(Image(pixels=pixels, camera=camera, name=f"{number}.png"))
    return images


class Network:
    """Sees a plane 8 m away in every view, in a world of its own, turned and smaller."""

    name, device, precision = "fake", "cpu", "f32"

    def __init__(self, extra: Mapping[str, np.ndarray] | None = None, still: bool = False) -> None:
        self.extra, self.still, self.seen = dict(extra or {}), still, {}

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.seen = dict(arrays)
        views = arrays["image"].shape[1]
        own = turn(50)
        poses = np.stack(POSES[:views]).copy()
        poses[:, :3, 3] *= 0 if self.still else SCALE
        found = np.linalg.inv(own @ poses)[:, :3]
        k = np.array([[20, 0, 21], [0, 20, 14], [0, 0, 1]])
        depth = np.full((views, *SIZE), 8 * SCALE)
        outputs = {"depth": depth, "extrinsics": found, "intrinsics": np.stack([k] * views)}
        return {n: a[None].astype(np.float32) for n, a in {**outputs, **self.extra}.items()}


def test_given_poses_bring_metres_and_stay():
    network = Network()
    images = make_images()
    views = DepthEstimator(network, SPEC).predict_views(images, poses="given")
    for view, image in zip(views, images, strict=True):
        assert view.kind is DepthKind.METRIC_DEPTH
        np.testing.assert_allclose(view.values, 8, rtol=1e-5)
        assert view.camera == image.camera
    assert network.seen["extrinsics"].shape == (1, 3, 4, 4)
    np.testing.assert_allclose(network.seen["extrinsics"][0, 0], np.eye(4), atol=1e-7)
    k = network.seen["intrinsics"][0, 1]
    np.testing.assert_allclose(k, [[30, 0, 22.5], [0, 31, 12.5], [0, 0, 1]])
    far = np.linalg.norm(np.linalg.inv(network.seen["extrinsics"][0])[:, :3, 3], axis=1)
    assert sorted(far)[1] == pytest.approx(1)  # the median distance from the first view


def test_predicted_poses_need_no_cameras_and_give_no_metres():
    network = Network()
    views = DepthEstimator(network, SPEC).predict_views(make_images())
    assert set(network.seen) == {"image"}
    assert views[0].kind is DepthKind.SCALED_DEPTH
    np.testing.assert_allclose(views[0].values, 8 * SCALE, rtol=1e-6)


def test_the_cameras_behind_rays():
    v, u = np.mgrid[: SIZE[0], : SIZE[1]]
    rays, cameras = [], [image.camera for image in make_images()]
    for camera in cameras:
        plane = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(SIZE)])
        pose = np.asarray(camera.world_from_camera)
        directions = np.einsum("ij,jhw->ihw", pose[:3, :3], plane)
        origins = np.broadcast_to(pose[:3, 3, None, None], directions.shape)
        rays.append(np.concatenate([directions, origins]))
    extra = {"rays": np.stack(rays), "ray_conf": np.ones((3, *SIZE))}
    views = DepthEstimator(Network(extra), SPEC).predict_views(make_images(), poses="rays")
    for view, camera in zip(views, cameras, strict=True):
        np.testing.assert_allclose(
            view.camera.world_from_camera, camera.world_from_camera, atol=1e-3
        )
        np.testing.assert_allclose(view.camera.matrix, camera.matrix, atol=0.02)
        assert view.camera.source == "predicted"


@pytest.mark.parametrize(
    ("images", "network", "poses", "says"),
    [
        (make_images([*POSES[:2], None]), Network(), "given", r"view 2 \(2\.png\) has no pose"),
        (
            [replace(image, camera=None) for image in make_images()],
            Network(),
            "given",
            r"view 0 \(0\.png\) has no camera: given poses need intrinsics and pose",
        ),
        (make_images([POSES[0]] * 3), Network(), "given", "all in one place"),
        (make_images(), Network(still=True), "given", "two-views puts all 3 views in one place"),
        (make_images(), Network(), "rays", "gives depth, extrinsics, intrinsics and no rays"),
    ],
)
def test_what_leaves_poses_open_is_one_line(images, network, poses, says):
    with pytest.raises(InputError, match=says) as caught:
        DepthEstimator(network, SPEC).predict_views(images, poses=poses)
    assert "\n" not in str(caught.value)


def test_no_such_source_of_poses():
    with pytest.raises(UnknownNameError, match="given"):
        DepthEstimator(Network(), SPEC).predict_views(make_images(), poses="mine")  # ty: ignore[invalid-argument-type]
