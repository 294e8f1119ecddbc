"""A camera from rays: the original's numbers, and cameras that are known."""

from __future__ import annotations

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.errors import DegenerateError, InputError
from leadline.geometry.ray_pose import camera_from_rays
from testing.goldens import Golden, load_golden

CORNER = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])  # from pixel centres to the corner


@pytest.fixture(scope="module", params=[True, False], ids=["extract", "full"])
def golden(request: pytest.FixtureRequest) -> Golden:
    return load_golden("da3_geom", extract=request.param)


def rays_of(camera: Camera, height: int, width: int) -> np.ndarray:
    """The rays (6, height, width) of a camera at the centres of a coarser grid."""
    v, u = np.mgrid[:height, :width]
    x = (u + 0.5) * camera.width / width - 0.5
    y = (v + 0.5) * camera.height / height - 0.5
    directions = np.linalg.inv(camera.matrix) @ np.stack([x, y, np.ones_like(x)]).reshape(3, -1)
    pose = np.eye(4) if camera.world_from_camera is None else camera.world_from_camera
    origins = np.broadcast_to(pose[:3, 3:], directions.shape)
    return np.concatenate([pose[:3, :3] @ directions, origins]).reshape(6, height, width)


def turned(degrees: float) -> np.ndarray:
    pose, angle = np.eye(4), np.radians(degrees)
    pose[:3, :3] = [
        [np.cos(angle), 0, np.sin(angle)],
        [0, 1, 0],
        [-np.sin(angle), 0, np.cos(angle)],
    ]
    pose[:3, 3] = (0.3, -0.2, 1.5)
    return pose


def error(camera: Camera, expected: Camera) -> float:
    matrices = np.abs(camera.matrix - expected.matrix).max() / expected.fx
    poses = np.abs(np.subtract(camera.world_from_camera, expected.world_from_camera)).max()
    return float(max(matrices, poses))


@pytest.mark.parametrize(
    ("case", "tolerance"),
    [  # of noisy rays the original's own answers differ with the seed by .02 half sides
        ("ray_pose_centred", 1e-5),
        ("ray_pose_exact", 1e-5),
        ("ray_pose_noisy", 0.025),
        ("ray_pose_outliers", 0.02),
    ],
)
def test_the_lower_triangle_gives_the_originals_camera(
    golden: Golden, case: str, tolerance: float
) -> None:
    if f"{case}/in_ray" not in golden.arrays:
        pytest.skip("not in the extract")
    for view in range(2):
        rays = np.moveaxis(golden.arrays[f"{case}/in_ray"][0, view], -1, 0)
        confidence = golden.arrays[f"{case}/in_conf"][0, view]
        found = camera_from_rays(rays, confidence, (28, 42), triangle="lower")
        half_sides = np.array([[21], [14], [1]])
        theirs = golden.arrays[f"{case}/out_intrinsics"][0, view] / half_sides
        assert np.abs((found.matrix + CORNER) / half_sides - theirs).max() < tolerance
        extrinsics = np.linalg.inv(np.asarray(found.world_from_camera))[:3]
        theirs = golden.arrays[f"{case}/out_extrinsics"][0, view]
        assert np.abs(extrinsics - theirs).max() < tolerance


@pytest.mark.parametrize("triangle", ["upper", "lower"])
def test_only_the_upper_triangle_is_exact_off_the_centre(golden: Golden, triangle: str) -> None:
    rays = np.moveaxis(golden.arrays["ray_pose_exact/in_ray"][0, 0], -1, 0)
    confidence = golden.arrays["ray_pose_exact/in_conf"][0, 0]
    found = camera_from_rays(rays, confidence, (28, 42), triangle=triangle)  # ty: ignore[invalid-argument-type]
    true = golden.arrays["ray_pose_exact/true_c2w64"][0]
    difference = np.abs(found.world_from_camera - true).max()
    assert bool(difference < 1e-6) is (triangle == "upper")


@pytest.mark.parametrize("degrees", [0, 35, 90, 170])
def test_a_known_camera_is_found_wherever_it_looks(degrees: float) -> None:
    known = Camera(
        width=126, height=84, fx=110, fy=95, cx=70, cy=38, world_from_camera=turned(degrees)
    )
    rays = rays_of(known, 16, 24)
    assert error(camera_from_rays(rays, np.ones((16, 24)), (84, 126)), known) < 1e-7


def test_wrong_rays_are_found_out_and_zero_weights_do_not_count() -> None:
    known = Camera(width=126, height=84, fx=110, fy=110, cx=62, cy=41, world_from_camera=turned(20))
    rays, rng = rays_of(known, 16, 24), np.random.default_rng(0)
    wrong = rng.random((16, 24)) < 0.3
    rays[:3, wrong] = rng.standard_normal((3, int(wrong.sum())))
    confidence = np.where(wrong, 0.5, 1.0)
    # a wrong direction is near a right one now and then, and pulls a little
    assert error(camera_from_rays(rays, confidence, (84, 126)), known) < 0.02
    exact = camera_from_rays(rays, np.where(wrong, 0, 1), (84, 126))
    assert error(exact, known) < 1e-7
    assert exact.source == "predicted"


def test_rays_of_no_camera_are_refused() -> None:
    rays = np.zeros((6, 4, 6))
    with pytest.raises(DegenerateError, match=r"0 rays.*8 are needed"):
        camera_from_rays(rays, np.ones((4, 6)), (28, 42))
    rays[2] = 1  # all parallel
    with pytest.raises(DegenerateError, match="no pinhole camera"):
        camera_from_rays(rays, np.ones((4, 6)), (28, 42))
    with pytest.raises(InputError, match=r"\(6, h, w\) and \(h, w\)"):
        camera_from_rays(rays, np.ones((4, 5)), (28, 42))
