"""Epipolar geometry, motion between two views, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from leadline import geometry
from leadline.camera import Camera
from leadline.errors import DegenerateError, InputError, UnknownNameError
from leadline.geometry import Matches
from leadline.image import Image
from testing.two_views import Scene, project, rotation, two_views


def matches_of(scene: Scene) -> Matches:
    return Matches(first=scene.pixels[0], second=scene.pixels[-1])


def motion_of(scene: Scene) -> np.ndarray:
    return geometry.second_from_first(scene.cameras[0], scene.cameras[-1])


def angles_deg(pose: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    turn = pose[:3, :3] @ truth[:3, :3].T
    cosine = pose[:3, 3] @ truth[:3, 3] / np.linalg.norm(truth[:3, 3])
    return (
        float(np.degrees(np.linalg.norm(turn - turn.T) / np.sqrt(8))),
        float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
    )


@given(seed=st.integers(0, 10_000))
def test_the_epipolar_constraint_holds(seed: int) -> None:
    scene = two_views(seed, points=30)
    F = geometry.fundamental_from_cameras(*scene.cameras)
    assert geometry.sampson_error(F, *scene.pixels).max() < 1e-6
    lines = geometry.epipolar_lines(F, scene.pixels[0])
    away = np.abs((lines[:, :2] * scene.pixels[1]).sum(1) + lines[:, 2])
    assert away.max() < 1e-6


@given(seed=st.integers(0, 10_000), factor=st.floats(0.01, 100))
def test_the_fundamental_matrix_knows_no_scale(seed: int, factor: float) -> None:
    scene = two_views(seed, points=10)
    poses = [np.array(c.world_from_camera) for c in scene.cameras]
    for pose in poses:
        pose[:3, 3] *= factor
    grown = [c.moved(p) for c, p in zip(scene.cameras, poses, strict=True)]
    one = geometry.fundamental_from_cameras(*scene.cameras)
    assert np.allclose(one, geometry.fundamental_from_cameras(*grown), atol=1e-12)


def test_line_ends_are_on_the_border_and_the_line() -> None:
    lines = np.array([[0, 1, -10.0], [1, 0, -20], [0.6, -0.8, 5], [0, 1, 999]])
    ends, seen = geometry.line_ends(lines, 100, 50)
    assert seen.tolist() == [True, True, True, False]
    for line, pair in zip(lines[:3], ends, strict=False):
        for x, y in pair:
            assert line[0] * x + line[1] * y + line[2] == pytest.approx(0, abs=1e-9)
            border = min(abs(x + 0.5), abs(x - 99.5), abs(y + 0.5), abs(y - 49.5))
            assert border < 1e-9


@given(seed=st.integers(0, 10_000))
def test_an_essential_matrix_has_the_true_motion_among_its_four(seed: int) -> None:
    rng = np.random.default_rng(seed)
    R, t = rotation(rng.normal(size=3)), rng.normal(size=3)
    t /= np.linalg.norm(t)
    E = np.cross(np.eye(3), t).T @ R
    found = geometry.decompose_essential(E)
    assert len(found) == 4
    assert min(np.abs(a - R).max() + np.abs(b - t).max() for a, b in found) < 1e-8


@pytest.mark.parametrize("motion", ["forward", "sideways", "any"])
def test_motion_is_found_with_wrong_matches(motion: str) -> None:
    scene = two_views(11, motion=motion, noise_px=0.5, wrong_share=0.3)
    found = geometry.relative_pose(matches_of(scene), scene.cameras[0])
    turn, direction = angles_deg(found.second_from_first, motion_of(scene))
    assert turn < 0.15
    assert direction < 2
    assert found.inliers[~scene.wrong].mean() > 0.9
    assert found.inliers[scene.wrong].mean() < 0.1
    assert np.linalg.norm(found.second_from_first[:3, 3]) == pytest.approx(1)
    assert 0.2 < found.noise_px < 0.8


@pytest.mark.parametrize("seed", range(6))
def test_the_spread_is_that_of_the_solution_in_front_of_both(seed: int) -> None:
    rng = np.random.default_rng(seed)
    camera = Camera(width=640, height=480, fx=500, fy=500, cx=319.5, cy=239.5)
    turn = Rotation.from_euler("xyz", [2, -5, 1], degrees=True).as_matrix()
    z = rng.uniform(2, 10, 300)
    first = np.stack([rng.uniform(0, 640, 300), rng.uniform(0, 480, 300)], 1)
    rays = np.column_stack([(first - [319.5, 239.5]) / 500, np.ones(300)])
    seen = (rays * z[:, None]) @ turn.T + [0.5, 0.05, 0.1]
    second = seen[:, :2] / seen[:, 2:] * 500 + [319.5, 239.5]
    noise = rng.normal(0, 0.3, (2, 300, 2))
    found = geometry.relative_pose(
        geometry.Matches(first=first + noise[0], second=second + noise[1]), camera
    )
    off = Rotation.from_matrix(found.second_from_first[:3, :3] @ turn.T).magnitude()
    assert found.rotation_sigma_deg < 0.04
    assert np.degrees(off) < 4 * found.rotation_sigma_deg


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_exact_matches_give_the_exact_motion(seed: int) -> None:
    scene = two_views(seed, points=100)
    found = geometry.relative_pose(matches_of(scene), scene.cameras[0])
    assert max(angles_deg(found.second_from_first, motion_of(scene))) < 1e-3


def test_two_cameras_of_different_focal_length() -> None:
    scene = two_views(12, noise_px=0.3)
    first, second = scene.cameras
    wide = Camera(width=800, height=300, fx=400, fy=420, cx=390, cy=140)
    pixels = (scene.pixels[1] - [second.cx, second.cy]) / [second.fx, second.fy]
    pixels = pixels * [wide.fx, wide.fy] + [wide.cx, wide.cy]
    matches = Matches(first=scene.pixels[0], second=pixels)
    found = geometry.relative_pose(matches, first, wide)
    assert max(angles_deg(found.second_from_first, motion_of(scene))) < 1


def test_placed_cameras_triangulate_the_scene_at_the_given_baseline() -> None:
    scene = two_views(13)
    found = geometry.relative_pose(matches_of(scene), scene.cameras[0])
    length = np.linalg.norm(motion_of(scene)[:3, 3])
    cameras = found.place(scene.cameras[0], scene.cameras[1], baseline=float(length))
    points = geometry.triangulate(scene.pixels, cameras)
    assert np.allclose(points.world, scene.world, rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match="positive"):
        found.place(*scene.cameras, baseline=0)


def test_far_points_count_in_the_choice_of_the_motion() -> None:
    scene = two_views(14, near=60, far=400, motion="forward")
    found = geometry.relative_pose(matches_of(scene), scene.cameras[0], min_parallax_deg=0)
    assert angles_deg(found.second_from_first, motion_of(scene))[1] < 5
    assert found.inliers.mean() > 0.9


def test_a_pure_turn_is_degenerate() -> None:
    scene = two_views(15, motion="none", noise_px=0.3, wrong_share=0.1)
    with pytest.raises(DegenerateError, match="turn of the camera"):
        geometry.relative_pose(matches_of(scene), scene.cameras[0])
    with pytest.raises(DegenerateError, match="homography"):
        geometry.fundamental(matches_of(scene))


@settings(max_examples=6)
@given(seed=st.integers(0, 10_000))
def test_one_plane_is_degenerate(seed: int) -> None:
    scene = two_views(seed, flat=True, noise_px=0.4)
    with pytest.raises(DegenerateError):
        geometry.relative_pose(matches_of(scene), scene.cameras[0])
    with pytest.raises(DegenerateError):
        geometry.fundamental(matches_of(scene))


@pytest.mark.parametrize("wrong_share", [0.0, 0.3])
@pytest.mark.parametrize("noise_px", [0.0, 0.4])
def test_one_line_is_degenerate(noise_px: float, wrong_share: float) -> None:
    scene = two_views(18)
    rng, along = np.random.default_rng(18), np.linspace(-2, 2, 300)
    line = np.stack([along, 0.3 * along + 0.2, 8 + along], axis=1)
    first, second = (
        project(camera, line) + noise_px * rng.normal(size=(300, 2)) for camera in scene.cameras
    )
    wrong = rng.random(300) < wrong_share
    second[wrong] = rng.uniform((0, 0), (1242, 375), (int(wrong.sum()), 2))
    matches = Matches(first=first, second=second)
    with pytest.raises(DegenerateError, match="lie on one line of the first picture"):
        geometry.relative_pose(matches, scene.cameras[0])
    with pytest.raises(DegenerateError, match="lie on one line of the first picture"):
        geometry.fundamental(matches)
    with pytest.raises(DegenerateError, match="lie on one line"):  # wrong ones in the first
        geometry.fundamental(Matches(first=second, second=first))


def test_points_in_a_plane_through_one_eye_are_on_a_line_of_its_picture() -> None:
    scene = two_views(19)
    seen = scene.world * [1, 0, 1] + [0, 0.1, 0] * scene.world[:, 2:]
    first, second = (project(camera, seen) for camera in scene.cameras)
    with pytest.raises(DegenerateError, match="of the first picture"):
        geometry.fundamental(Matches(first=first, second=second))
    with pytest.raises(DegenerateError, match="of the second picture"):
        geometry.fundamental(Matches(first=second, second=first))


def test_a_scene_with_things_beside_the_line_is_not_on_it() -> None:
    scene = two_views(20, noise_px=0.3)
    matches = matches_of(scene)
    on_line = np.arange(300) < 200
    line = scene.world[on_line] * [1, 0, 1] + [0, 0.1, 0] * scene.world[on_line, 2:]
    for points, camera in zip((matches.first, matches.second), scene.cameras, strict=True):
        points[on_line] = project(camera, line)
    assert geometry.fundamental(matches).inliers.mean() > 0.9


def test_too_little_parallax_is_degenerate() -> None:
    scene = two_views(17, near=500, far=2000)
    with pytest.raises(DegenerateError, match="parallax"):
        geometry.relative_pose(matches_of(scene), scene.cameras[0])


def test_wrong_intrinsics_are_told() -> None:
    rng = np.random.default_rng(0)
    scene = two_views(18, points=400, noise_px=0.2)
    camera = scene.cameras[0]
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation([0.02, -0.25, 0.2]), [2.5, 0.3, 0.6]
    other = camera.moved(pose)
    second = project(other, scene.world) + 0.2 * rng.normal(size=(400, 2))
    matches = Matches(first=scene.pixels[0], second=second)
    assert geometry.relative_pose(matches, camera).inliers.mean() > 0.9
    wrong = Camera(width=1242, height=375, fx=2500, fy=900, cx=100, cy=600)
    with pytest.raises(InputError, match="intrinsics"):
        geometry.relative_pose(matches, wrong)


def test_too_few_matches_and_noise_alone_are_told() -> None:
    scene = two_views(19, points=10)
    with pytest.raises(InputError, match="10 matches"):
        geometry.relative_pose(matches_of(scene), scene.cameras[0])
    with pytest.raises(InputError, match="10 matches"):
        geometry.fundamental(matches_of(scene))
    rng = np.random.default_rng(0)
    noise = Matches(first=rng.uniform(0, 900, (60, 2)), second=rng.uniform(0, 900, (60, 2)))
    with pytest.raises(InputError):
        geometry.relative_pose(noise, scene.cameras[0])


def test_the_fundamental_matrix_of_uncalibrated_pictures() -> None:
    scene = two_views(20, noise_px=0.4, wrong_share=0.3)
    found = geometry.fundamental(matches_of(scene))
    assert (
        np.median(geometry.sampson_error(found.matrix, *two_views(20).pixels)[~scene.wrong]) < 0.3
    )
    assert abs(np.linalg.det(found.matrix)) < 1e-12
    assert found.inliers[~scene.wrong].mean() > 0.9


def textured(seed: int = 0, shift: int = 0) -> Image:
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.integers(0, 255, (20, 30, 1)), np.ones((8, 8, 1)))
    pixels = np.roll(blocks, shift, axis=1).repeat(3, axis=2).astype(np.uint8)
    return Image(pixels=pixels, name="texture")


@pytest.mark.parametrize("method", ["sift", "orb"])
def test_matching_finds_the_shift(method: str) -> None:
    matches = geometry.match(textured(), textured(shift=6), method=method)
    assert len(matches) > 30
    moved = matches.second - matches.first
    assert np.median(moved, axis=0) == pytest.approx([6, 0], abs=0.3)
    assert (np.diff(matches.scores) >= 0).all()
    assert len(matches.only(matches.scores < 0.5)) < len(matches)


def test_other_matchers_plug_in() -> None:
    mine = Matches(first=np.zeros((3, 2)), second=np.ones((3, 2)))
    assert geometry.match(textured(), textured(), method=lambda a, b: mine) is mine


def test_pictures_and_matches_that_cannot_be_used_are_told() -> None:
    blank = Image(pixels=np.full((50, 60, 3), 90, np.uint8), name="wall.jpg")
    with pytest.raises(InputError, match=r"wall\.jpg"):
        geometry.match(blank, textured())
    with pytest.raises(UnknownNameError, match="sift"):
        geometry.detect(textured(), "sifd")
    with pytest.raises(InputError, match="same place"):
        Matches(first=np.zeros((3, 2)), second=np.zeros((2, 2)))
    with pytest.raises(InputError, match="finite"):
        Matches(first=np.full((3, 2), np.nan), second=np.zeros((3, 2)))
    with pytest.raises(InputError, match="same detector"):
        geometry.match_features(
            geometry.detect(textured(), "sift"), geometry.detect(textured(), "orb")
        )


def test_drawn_points_and_lines_have_their_colours() -> None:
    scene = two_views(21, points=60)
    F = geometry.fundamental_from_cameras(*scene.cameras)
    black = Image(pixels=np.zeros((375, 1242, 3), np.uint8))
    inside = np.all([(p > 20) & (p < [1220, 350]) for p in scene.pixels], axis=(0, 2))
    drawn = geometry.draw_epipolar(black, black, matches_of(scene).only(inside), F, points=5)
    assert drawn.shape == (375, 2 * 1242 + 8, 3)
    halves = drawn[:, :1242], drawn[:, 1250:]
    for half in halves:
        assert (half.max(axis=2) > 30).mean() > 0.005
    colours = [set(map(tuple, half.reshape(-1, 3))) for half in halves]
    assert len(colours[0] & colours[1]) >= 6  # five colours and the black between
