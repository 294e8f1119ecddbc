"""Sampling, grids, projection, SSIM and smoothness: the originals' numbers, and what they mean."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402
from torch.autograd import gradcheck  # noqa: E402

from leadline import ops  # noqa: E402
from leadline.errors import InputError  # noqa: E402
from testing.goldens import Golden, load_golden  # noqa: E402

BOTH = pytest.mark.parametrize("extract", [True, False], ids=["extract", "full"])


def first(golden: Golden, key: str) -> Tensor:
    return torch.from_numpy(golden.arrays[key])


def planes(golden: Golden, key: str) -> Tensor:
    """A picture that is stored channels last."""
    return first(golden, key).permute(0, 3, 1, 2)


# --- Monodepth2's geometry -------------------------------------------------------------------


@BOTH
def test_motion_equals_the_original(extract: bool) -> None:
    g = load_golden("md2_layers", extract=extract)
    axis_angle, translation = first(g, "pose/axisangle")[:, 0], first(g, "pose/translation")[:, 0]
    found = {
        "rot": ops.rotation_from_axis_angle(axis_angle),
        "M": ops.rigid_transform(axis_angle, translation),
        "M_invert": ops.rigid_transform(axis_angle, translation, inverse=True),
    }
    for what, matrix in found.items():
        assert g.relative_error(f"pose/{what}", matrix.numpy()) < 1e-5


@BOTH
def test_projection_and_warp_equal_the_original(extract: bool) -> None:
    g = load_golden("md2_layers", extract=extract)
    points = ops.backproject(first(g, "geom/depth")[:, 0], first(g, "geom/inv_K"))
    assert g.relative_error("geom/cam_points", points.numpy()) < 1e-5
    places = ops.project(points, first(g, "geom/K"), first(g, "geom/T"), (24, 40))
    assert g.relative_error("geom/pix_coords", places.numpy()) < 1e-4
    image = first(g, "geom/img")
    for name, corners in (("true", True), ("false", False)):
        warped = ops.sample(image, places, outside="edge", align_corners=corners)
        assert g.relative_error(f"geom/warped_align_{name}", warped.numpy()) < 1e-4


@BOTH
def test_ssim_and_smoothness_equal_monodepth2(extract: bool) -> None:
    g = load_golden("md2_layers", extract=extract)
    image = first(g, "geom/img")
    far = ops.ssim_dissimilarity(image, first(g, "geom/img2"))
    near = ops.ssim_dissimilarity(image, first(g, "ssim/near"))
    assert g.relative_error("ssim/out", far.numpy()) < 1e-4
    assert g.relative_error("ssim/out_near", near.numpy()) < 1e-4
    x, y = ops.edge_aware_gradients(first(g, "disp/disp")[:, 0], image)
    assert g.relative_error("smooth/out", (x.mean() + y.mean()).numpy()) < 1e-5


@BOTH
def test_flip_averaging_equals_both_originals(extract: bool) -> None:
    g = load_golden("md2_layers", extract=extract)
    out = ops.average_mirrored(first(g, "pp/l_disp"), first(g, "pp/r_disp"))
    assert g.relative_error("pp/out", out.numpy()) < 1e-5
    g = load_golden("monodepth_ops", extract=extract)
    straight, mirrored = first(g, "pp/disp")
    out = ops.average_mirrored(straight, mirrored.flip(-1))
    assert g.relative_error("pp/out", out.numpy()) < 1e-5


# --- Monodepth's one-dimensional sampler -----------------------------------------------------


@BOTH
@pytest.mark.parametrize(("outside", "name"), [("zeros", "border"), ("edge", "edge")])
def test_row_sampler_equals_the_original(extract: bool, outside: str, name: str) -> None:
    g = load_golden("monodepth_ops", extract=extract)
    out = ops.sample_along_rows(
        planes(g, "sampler/img"), first(g, "sampler/off")[..., 0], outside=outside
    )
    assert g.relative_error(f"sampler/{name}", out.permute(0, 2, 3, 1).numpy()) < 1e-4


@BOTH
@pytest.mark.parametrize("scale", [2, 3])
def test_views_from_the_other_eye_equal_the_original(extract: bool, scale: int) -> None:
    g = load_golden("monodepth_ops", extract=extract)
    left, right = (planes(g, f"{eye}_pyramid{scale}") for eye in ("left", "right"))
    d_left, d_right = first(g, f"disp{scale}").unbind(-1)
    views = {
        f"left_est{scale}": ops.sample_along_rows(right, -d_left),
        f"right_est{scale}": ops.sample_along_rows(left, d_right),
    }
    for key, view in views.items():
        assert g.relative_error(key, view.permute(0, 2, 3, 1).numpy()) < 1e-4
    crossed = {
        f"right_to_left_disp{scale}": ops.sample_along_rows(d_right, -d_left),
        f"left_to_right_disp{scale}": ops.sample_along_rows(d_left, d_right),
    }
    for key, disparity in crossed.items():
        assert g.relative_error(key, disparity[..., None].numpy()) < 1e-4
    ssim = ops.ssim_dissimilarity(views[f"left_est{scale}"], left, border="valid")
    assert g.relative_error(f"ssim_left{scale}", ssim.permute(0, 2, 3, 1).numpy()) < 1e-4


def test_full_size_views_equal_the_original() -> None:
    g = load_golden("monodepth_ops")
    left, right = planes(g, "left"), planes(g, "right")
    view = ops.sample_along_rows(right, -first(g, "disp0")[..., 0])
    assert g.relative_error("left_est0", view.permute(0, 2, 3, 1).numpy()) < 1e-4
    ssim = ops.ssim_dissimilarity(left, right, border="valid")
    assert g.relative_error("ssim0", ssim.permute(0, 2, 3, 1).numpy()) < 1e-4


def test_a_whole_pixel_of_disparity_moves_a_whole_pixel() -> None:
    """A left disparity d means that the left picture's point x is the right one's x - d."""
    right = torch.arange(10.0).reshape(1, 1, 1, 10).expand(1, 1, 3, 10)
    left = ops.sample_along_rows(right, torch.full((1, 3, 10), -0.2))  # 2 of 10 pixels
    torch.testing.assert_close(left[..., 2:], right[..., :-2])
    assert (left[..., :2].abs() < 1e-5).all()  # the right eye does not see it: black


def test_outside_fades_over_one_pixel() -> None:
    image = torch.ones(1, 1, 2, 8)
    half = torch.full((1, 2, 8), 0.5 / 8)
    faded = ops.sample_along_rows(image, half)
    kept = ops.sample_along_rows(image, half, outside="edge")
    torch.testing.assert_close(faded[..., -1], torch.full((1, 1, 2), 0.5))
    torch.testing.assert_close(kept, image)


def test_the_row_sampler_is_a_spatial_transformer() -> None:
    """A constant disparity is the affine transformer's translation along x."""
    torch.manual_seed(0)
    image, d, w = torch.rand(2, 3, 6, 9), 0.13, 9
    theta = torch.tensor([[1.0, 0, 2 * d * w / (w - 1)], [0, 1, 0]]).expand(2, 2, 3)
    general = ops.sample(image, ops.affine_coordinates(theta, 6, 9))
    special = ops.sample_along_rows(image, torch.full((2, 6, 9), d))
    torch.testing.assert_close(special, general, rtol=1e-5, atol=1e-5)


def test_one_row_and_one_column_are_sampled() -> None:
    image = torch.rand(1, 2, 1, 5)
    torch.testing.assert_close(ops.sample_along_rows(image, torch.zeros(1, 1, 5)), image)


# --- grids -----------------------------------------------------------------------------------


def test_every_grid_can_stand_still() -> None:
    still = ops.identity_coordinates(5, 7, torch.empty(0)).expand(2, 5, 7, 2)
    eye = torch.eye(3).expand(2, 3, 3)
    torch.testing.assert_close(ops.affine_coordinates(eye[:, :2], 5, 7), still)
    torch.testing.assert_close(ops.homography_coordinates(eye, 5, 7), still)
    control = ops.identity_coordinates(3, 3, torch.empty(0)).reshape(-1, 2)
    moved = control.expand(2, 9, 2)
    torch.testing.assert_close(
        ops.thin_plate_coordinates(control, moved, 5, 7), still, atol=1e-4, rtol=0
    )


def test_identity_sampling_gives_the_picture_back() -> None:
    image = torch.rand(2, 3, 5, 7)
    places = ops.identity_coordinates(5, 7, image).expand(2, 5, 7, 2)
    torch.testing.assert_close(ops.sample(image, places), image)


def test_a_quarter_turn_turns() -> None:
    image = torch.rand(1, 1, 6, 6)
    turn = torch.tensor([[[0.0, -1, 0], [1, 0, 0]]])  # output (x, y) looks at (-y, x)
    turned = ops.sample(image, ops.affine_coordinates(turn, 6, 6))
    torch.testing.assert_close(turned, torch.rot90(image, 1, (2, 3)), atol=1e-5, rtol=0)


def test_an_affine_homography_is_affine() -> None:
    theta = torch.randn(2, 2, 3)
    last = torch.tensor([0.0, 0, 1]).expand(2, 1, 3)
    torch.testing.assert_close(
        ops.homography_coordinates(torch.cat([theta, last], 1), 4, 6),
        ops.affine_coordinates(theta, 4, 6),
    )


def test_places_behind_the_picture_come_out_empty() -> None:
    theta = torch.tensor([[[1.0, 0, 0], [0, 1, 0], [2, 0, 1]]])  # third = 2x + 1 < 0 at the left
    places = ops.homography_coordinates(theta, 4, 9)
    assert places.isfinite().all()
    image = torch.ones(1, 1, 4, 9)
    assert (ops.sample(image, places)[..., :2] == 0).all()


def test_thin_plate_goes_through_its_control_points_and_keeps_affine_maps() -> None:
    torch.manual_seed(0)
    control = ops.identity_coordinates(3, 3, torch.empty(0, dtype=torch.float64)).reshape(-1, 2)
    moved = control + 0.2 * torch.randn(2, 9, 2, dtype=torch.float64)
    places = ops.thin_plate_coordinates(control, moved, 5, 5)  # every other place is a control
    torch.testing.assert_close(places[:, ::2, ::2].reshape(2, 9, 2), moved)
    theta = torch.randn(1, 2, 3, dtype=torch.float64)
    straight = control @ theta[0, :, :2].T + theta[0, :, 2]
    torch.testing.assert_close(
        ops.thin_plate_coordinates(control, straight[None], 6, 4),
        ops.affine_coordinates(theta, 6, 4),
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: ops.affine_coordinates(torch.eye(3)[None], 4, 4),
        lambda: ops.homography_coordinates(torch.eye(2)[None], 4, 4),
        lambda: ops.thin_plate_coordinates(torch.zeros(2, 2), torch.zeros(1, 2, 2), 4, 4),
        lambda: ops.sample(torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 4, 3)),
        lambda: ops.sample(torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 4, 2), outside="black"),
        lambda: ops.ssim_dissimilarity(*torch.zeros(2, 1, 1, 8, 8), border="same"),
        lambda: ops.sample_along_rows(torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 5)),
        lambda: ops.gaussian_ssim(torch.zeros(1, 1, 8, 20), torch.zeros(1, 1, 8, 20), peak=1.0),
        lambda: ops.rotation_from_axis_angle(torch.zeros(2, 1, 3)),
    ],
)
def test_wrong_shapes_say_what_is_needed(call) -> None:
    with pytest.raises(InputError, match="need"):
        call()


# --- rigid motion ----------------------------------------------------------------------------


def test_a_rotation_of_nothing_is_the_identity_with_a_gradient() -> None:
    vector = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    rotation = ops.rotation_from_axis_angle(vector)
    torch.testing.assert_close(rotation, torch.eye(4, dtype=torch.float64)[None])
    rotation.square().sum().backward()
    assert vector.grad is not None
    assert vector.grad.isfinite().all()


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    rotation = ops.rotation_from_axis_angle(torch.tensor([[0.0, 0, math.pi / 2]]))[0, :3, :3]
    torch.testing.assert_close(
        rotation @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]), atol=1e-6, rtol=0
    )


def test_the_inverse_undoes() -> None:
    torch.manual_seed(0)
    axis_angle, translation = torch.randn(3, 3), torch.randn(3, 3)
    there = ops.rigid_transform(axis_angle, translation)
    back = ops.rigid_transform(axis_angle, translation, inverse=True)
    torch.testing.assert_close(there @ back, torch.eye(4).expand(3, 4, 4), atol=1e-5, rtol=0)


def test_standing_still_projects_every_pixel_onto_itself() -> None:
    depth = 1 + 9 * torch.rand(2, 5, 8, dtype=torch.float64)
    k = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    k[:, 0, 0], k[:, 1, 1], k[:, 0, 2], k[:, 1, 2] = 6.0, 7.0, 3.4, 2.2
    points = ops.backproject(depth, torch.linalg.inv(k))
    torch.testing.assert_close(points[:, 2].reshape(2, 5, 8), depth)
    places = ops.project(points, k, torch.eye(4, dtype=torch.float64).expand(2, 4, 4), (5, 8))
    still = ops.identity_coordinates(5, 8, depth).expand(2, 5, 8, 2)
    torch.testing.assert_close(places, still, atol=1e-6, rtol=0)


def test_near_things_move_more_than_far_ones() -> None:
    """Between two eyes b apart, a point at depth Z moves by f b / Z pixels."""
    focal, baseline, width = 100.0, 0.5, 41
    depth = torch.tensor([2.0, 4.0, 8.0, 40.0], dtype=torch.float64)
    k = torch.eye(4, dtype=torch.float64)[None].clone()
    k[0, 0, 0] = k[0, 1, 1] = focal
    k[0, 0, 2], k[0, 1, 2] = 20.0, 1.5
    maps = depth[None, :, None].expand(1, 4, width)
    right_from_left = torch.eye(4, dtype=torch.float64)[None].clone()
    right_from_left[0, 0, 3] = -baseline
    points = ops.backproject(maps, torch.linalg.inv(k))
    places = ops.project(points, k, right_from_left, (4, width))
    x = (places[0, :, 20, 0] + 1) / 2 * (width - 1)
    moved = 20 - x  # to the left, in pixels
    torch.testing.assert_close(moved, focal * baseline / depth, atol=1e-4, rtol=0)
    assert (moved.diff() < 0).all()


# --- SSIM and smoothness ---------------------------------------------------------------------


@BOTH
def test_gaussian_ssim_equals_tensorflow_and_the_port(extract: bool) -> None:
    g = load_golden("densedepth_loss", extract=extract)
    for case in "01":
        ssim = ops.gaussian_ssim(
            planes(g, f"{case}/y_true"), planes(g, f"{case}/y_pred"), peak=100.0
        )
        assert g.relative_error(f"{case}/ssim", ssim.numpy()) < 1e-5


def test_gaussian_ssim_equals_the_pytorch_port() -> None:
    g = load_golden("densedepth_pytorch")
    for case in "ab":
        x, y = first(g, f"{case}/ssim_a"), first(g, f"{case}/ssim_b")
        for peak in (10, 100):
            ssim = ops.gaussian_ssim(x, y, peak=peak).mean()
            assert g.relative_error(f"{case}/ssim_val{peak}", ssim.numpy()) < 1e-4


def test_equal_pictures_do_not_differ() -> None:
    image = torch.rand(2, 3, 16, 16)
    assert ops.ssim_dissimilarity(image, image).max() < 1e-4
    assert ops.gaussian_ssim(image, image, peak=1.0).min() > 0.9999


def test_smoothness_forgives_where_the_picture_has_an_edge() -> None:
    disparity = torch.zeros(1, 4, 6)
    disparity[..., 3:] = 1
    edge = disparity[:, None].expand(1, 3, 4, 6)
    forgiven, _ = ops.edge_aware_gradients(disparity, edge)
    charged, _ = ops.edge_aware_gradients(disparity, torch.zeros(1, 3, 4, 6))
    assert charged.sum() == 4
    assert forgiven.sum() == pytest.approx(4 * math.exp(-1))


# --- gradients -------------------------------------------------------------------------------


def double(*shape: int, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.uniform(0.2, 0.8, shape)).requires_grad_()


def test_gradients() -> None:
    assert gradcheck(ops.sample, (double(1, 2, 4, 5), double(1, 3, 3, 2, seed=1)))
    assert gradcheck(ops.sample_along_rows, (double(1, 2, 3, 6), double(1, 3, 6, seed=1)))
    assert gradcheck(lambda t: ops.affine_coordinates(t, 3, 4), double(1, 2, 3))
    assert gradcheck(lambda t: ops.homography_coordinates(t, 3, 4), double(1, 3, 3) * 0.1 + 1)
    assert gradcheck(ops.rotation_from_axis_angle, double(2, 3))
    assert gradcheck(ops.ssim_dissimilarity, (double(1, 1, 4, 4), double(1, 1, 4, 4, seed=1)))
    assert gradcheck(
        lambda x, y: ops.gaussian_ssim(x, y, peak=1.0),
        (double(1, 1, 11, 12), double(1, 1, 11, 12, seed=1)),
    )
    assert gradcheck(ops.average_mirrored, (double(2, 8), double(2, 8, seed=1)))
