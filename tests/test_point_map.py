"""The camera and the shift of a point map: equal to the original, to scipy, and to the truth."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from leadline.errors import InputError
from leadline.point_map import (
    ResolvedPoints,
    convert_fov,
    make_view_plane_uv,
    recover_focal_shift,
    resolve_points,
)
from testing.goldens import FULL

FOV = {"fov60": 60.0, "noproj_fov": 45.0, "fov_tensor": 70.0}


def golden() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    path = FULL / "moge_solver.npz"
    if not path.is_file():
        pytest.skip("the full golden file moge_solver is not on this machine")
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    return json.loads(str(arrays.pop("meta"))), arrays


def seen(focal: float, shift: float, height: int, width: int, *, noise: float = 0.0) -> np.ndarray:
    """Points that project onto their pixels once ``shift`` is added to z."""
    rng = np.random.default_rng(3)
    z = rng.uniform(1, 4, (height, width, 1))
    xy = make_view_plane_uv(height, width) / focal * z * (1 + noise * rng.normal(size=(1, 1, 2)))
    xy = xy + noise * rng.normal(size=xy.shape)
    return np.concatenate([xy, z - shift], axis=-1).astype(np.float32)


# --- places --------------------------------------------------------------------------------------


def test_places_equal_the_originals() -> None:
    meta, arrays = golden()
    for case, about in meta["cases"].items():
        if case.startswith("uv/"):
            uv = make_view_plane_uv(about["height"], about["width"], about["aspect_ratio"])
            np.testing.assert_allclose(uv, arrays[case], atol=1e-7)


def test_a_corner_lies_half_a_diagonal_from_the_middle() -> None:
    uv = make_view_plane_uv(300, 400)
    assert uv.shape == (300, 400, 2)
    corner = uv[-1, -1] * np.array([400 / 399, 300 / 299])  # from the pixel's centre to its edge
    assert np.hypot(*corner) == pytest.approx(1)
    np.testing.assert_allclose(uv, -uv[::-1, ::-1], atol=1e-7)
    np.testing.assert_allclose(
        make_view_plane_uv(3, 3, 4 / 3)[1, :, 0], [-0.8 * 2 / 3, 0, 0.8 * 2 / 3]
    )


# --- focal length and shift ----------------------------------------------------------------------


def test_the_solver_equals_the_original() -> None:
    meta, arrays = golden()
    cases = {case: about for case, about in meta["cases"].items() if "true_focal" in about}
    assert len(cases) == 11
    for case, about in cases.items():
        found = recover_focal_shift(
            arrays[f"{case}/points"], arrays.get(f"{case}/mask"), focal=about["known_focal"]
        )
        np.testing.assert_allclose(found, about["result"], rtol=1e-5, err_msg=case)


@pytest.mark.parametrize(("focal", "shift"), [(0.8, 0.5), (0.3, -0.7), (2.5, 0.9), (1.0, 0.0)])
@pytest.mark.parametrize("size", [(48, 64), (90, 33), (64, 64), (7, 5)])
def test_the_true_camera_is_found(focal: float, shift: float, size: tuple[int, int]) -> None:
    found = recover_focal_shift(seen(focal, shift, *size))
    assert found == pytest.approx((focal, shift), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.4])
@pytest.mark.parametrize("known", [None, 1.4])
def test_the_solver_takes_scipys_steps(noise: float, known: float | None) -> None:
    optimise = pytest.importorskip("scipy.optimize")
    points = seen(0.9, 0.4, 64, 64, noise=noise)
    uv, p = make_view_plane_uv(64, 64).reshape(-1, 2), points.reshape(-1, 3).astype(np.float64)

    def residuals(shift: np.ndarray) -> np.ndarray:
        projected = p[:, :2] / (p[:, 2:] + shift)
        focal = known or (projected * uv).sum() / (projected**2).sum()
        return (focal * projected - uv).ravel()

    theirs = optimise.least_squares(residuals, x0=0.0, ftol=1e-3, method="lm", x_scale="jac")
    assert recover_focal_shift(points, focal=known)[1] == pytest.approx(theirs.x[0], rel=1e-6)


def test_masked_pixels_are_not_looked_at() -> None:
    points = seen(0.8, 0.5, 80, 100)
    valid = np.ones((80, 100), bool)
    valid[:, 60:] = False
    points[~valid] = (7, -3, 50)
    assert recover_focal_shift(points, valid) == pytest.approx((0.8, 0.5), rel=1e-4)
    assert recover_focal_shift(points)[0] != pytest.approx(0.8, rel=0.05)


def test_too_few_points_give_the_default() -> None:
    points, valid = seen(0.8, 0.5, 64, 64), np.zeros((64, 64), bool)
    valid[5, 5] = True
    assert recover_focal_shift(points, valid) == (1.0, 0.0)
    assert recover_focal_shift(points, valid, focal=2.0) == (2.0, 0.0)


def test_points_that_project_nowhere_give_the_default() -> None:
    for value in (0.0, np.nan, np.inf):
        found = recover_focal_shift(np.full((64, 64, 3), value, np.float32))
        assert found == (1.0, 0.0)


# --- depth, points and camera --------------------------------------------------------------------


def check(case: str, what: str, ours: np.ndarray, meta: dict, arrays: dict) -> None:
    reference = arrays[f"post/{case}/{what}"][0]
    kept = meta["subsampled"].get(f"post/{case}/{what}", {}).get("kept", "x[:,::1,::1]")
    step = int(kept.split("::")[1].rstrip(",]"))
    np.testing.assert_allclose(ours[::step, ::step], reference, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    "case", ["default", "fov60", "noproj", "nomask", "noproj_fov", "fov_tensor"]
)
def test_depth_points_and_camera_equal_the_originals(case: str) -> None:
    meta, arrays = golden()
    found = resolve_points(
        arrays["post/in_points"],
        arrays["post/in_mask_prob"],
        normal=arrays["post/in_normal"],
        metric_scale=float(arrays["post/in_metric_scale"][0]),
        fov_x_deg=FOV.get(case),
        force_projection="noproj" not in case,
        apply_mask=case != "nomask",
    )
    assert found.normal is not None
    for what, ours in (
        ("points", found.points),
        ("depth", found.depth),
        ("mask", found.valid),
        ("normal", found.normal),
    ):
        check(case, what, ours, meta, arrays)
    fx, fy = arrays[f"post/{case}/intrinsics"][0].diagonal()[:2]  # of the width, of the height
    height, width = arrays["post/in_mask_prob"].shape
    assert (found.camera.fx, found.camera.fy) == pytest.approx((fx * width, fy * height), rel=1e-6)
    assert found.camera.source == ("given" if case in FOV else "predicted")


def resolved(**options: Any) -> ResolvedPoints:
    return resolve_points(seen(0.8, 0.5, 60, 80), **options)


def test_the_shift_and_the_scale_make_metres() -> None:
    points = seen(0.8, 0.5, 60, 80)
    found = resolve_points(points, metric_scale=2.5)
    np.testing.assert_allclose(found.depth, 2.5 * (points[..., 2] + 0.5), rtol=1e-4)
    assert found.camera.fx == pytest.approx(0.8 * 50, rel=1e-4)
    assert (found.camera.cx, found.camera.cy) == (39.5, 29.5)
    np.testing.assert_array_equal(found.points[..., 2], found.depth)
    expected = (np.arange(80) - found.camera.cx) / found.camera.fx * found.depth
    np.testing.assert_allclose(found.points[..., 0], expected, rtol=1e-5, atol=1e-5)


def test_what_lies_behind_the_camera_is_not_valid() -> None:
    points = seen(0.8, 0.5, 60, 80)
    points[:, :5, 2] = -9.0
    found = resolve_points(points, normal=np.ones_like(points))
    assert found.normal is not None
    assert not found.valid[:, :5].any()
    assert found.valid[:, 5:].mean() > 0.9
    assert np.isposinf(found.depth[~found.valid]).all()
    assert np.isposinf(found.points[~found.valid]).all()
    assert (found.normal[~found.valid] == 0).all()
    kept = resolve_points(points, normal=np.ones_like(points), apply_mask=False)
    assert np.isfinite(kept.depth).all()
    np.testing.assert_array_equal(kept.valid, found.valid)


def test_a_given_field_of_view_is_kept() -> None:
    found = resolved(fov_x_deg=70.0)
    assert found.camera.fov_deg == pytest.approx(70)
    assert found.camera.source == "given"
    true_fov = math.degrees(2 * math.atan(0.8 / 0.8))  # half the width, 0.8, over the focal length
    assert resolved().camera.fov_deg == pytest.approx(true_fov, rel=1e-4)
    assert convert_fov(true_fov, 80 / 60) == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("points", "options", "message"),
    [
        ((3, 60, 80), {}, r"point map of shape \(3, 60, 80\): \(h, w, 3\) is needed"),
        ((60, 80, 3), {"mask": np.ones((30, 40))}, r"mask of shape \(30, 40\)"),
        ((60, 80, 3), {"fov_x_deg": 180.0}, "between 0 and 180 degrees"),
        ((0, 80, 3), {}, "is needed"),
    ],
)
def test_impossible_input_is_refused(
    points: tuple[int, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        resolve_points(np.ones(points, np.float32), **options)
