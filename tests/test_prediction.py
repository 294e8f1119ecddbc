from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PilImage

from leadline.camera import Camera
from leadline.errors import InputError, KindError, UnknownNameError
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import FORMATS, Prediction, output_suffixes, read_prediction

CAMERA = Camera.from_fov(7, 5, fov_deg=60).moved(np.eye(4))


def prediction(kind: DepthKind = DepthKind.METRIC_DEPTH, **fields) -> Prediction:
    rng = np.random.default_rng(0)
    given: dict[str, Any] = {
        "values": rng.uniform(1, 9, (5, 7)).astype(np.float32),
        "kind": kind,
        "camera": CAMERA,
        "model": "noise",
        "image": Image(pixels=rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)),
    }
    return Prediction(**{**given, **fields})


def pixels_of(one: Prediction) -> np.ndarray:
    assert one.image is not None
    return one.image.pixels


def masked() -> Prediction:
    valid = np.ones((5, 7), bool)
    valid[0, :3] = False
    confidence = np.linspace(0, 1, 35, dtype=np.float32).reshape(5, 7)
    return prediction(valid=valid, confidence=confidence)


def test_is_an_array():
    one = prediction()
    assert np.asarray(one) is one.values
    assert np.asarray(one, dtype=np.float64).dtype == np.float64
    assert np.mean(one) == np.mean(one.values)


def test_takes_the_kind_s_string_and_other_number_types():
    one = Prediction(values=np.ones((2, 3), np.float64), kind="scaled_depth")  # ty: ignore[invalid-argument-type]
    assert one.kind is DepthKind.SCALED_DEPTH
    assert one.values.dtype == np.float32
    assert one.size == (2, 3)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"values": np.ones(3)}, InputError),
        ({"values": np.ones((0, 3))}, InputError),
        ({"values": np.ones((5, 7), complex)}, InputError),
        ({"valid": np.ones((5, 6), bool)}, InputError),
        ({"confidence": np.ones((7, 5))}, InputError),
        ({"camera": Camera.from_fov(8, 5, fov_deg=60)}, InputError),
        ({"image": Image(pixels=np.zeros((7, 5, 3), np.uint8))}, InputError),
        ({"kind": "depth"}, UnknownNameError),
    ],
)
def test_refuses_parts_that_do_not_fit(fields, error):
    with pytest.raises(error):
        prediction(**fields)


def test_unaligned_disparity_is_never_taken_for_depth():
    disparity = prediction(DepthKind.AFFINE_DISPARITY)
    for wrong in (disparity.to_depth, disparity.point_cloud):
        with pytest.raises(KindError, match="aligned_to"):
            wrong()
    affine = prediction(DepthKind.AFFINE_DEPTH)
    for wrong in (affine.to_disparity, affine.point_cloud):
        with pytest.raises(KindError, match="aligned_to"):
            wrong()


def test_depth_and_disparity_are_inverse():
    depth = prediction(values=np.array([[2.0, 4.0], [0.0, np.nan]]), camera=None, image=None)
    disparity = depth.to_disparity()
    assert disparity.kind is DepthKind.SCALED_DISPARITY
    np.testing.assert_array_equal(disparity.values, [[0.5, 0.25], [np.nan, np.nan]])
    np.testing.assert_array_equal(disparity.valid, [[True, True], [False, False]])
    assert depth.to_depth() is depth
    assert disparity.to_disparity() is disparity


def test_stereo_disparity_becomes_metres():
    camera = Camera(width=3, height=1, fx=100, fy=100, cx=1, cy=0)
    stereo = Prediction(
        values=np.array([[10.0, 0.0, 20.0]]), kind=DepthKind.PIXEL_DISPARITY, camera=camera
    )
    depth = stereo.to_depth(baseline_m=0.5)
    assert depth.kind is DepthKind.METRIC_DEPTH
    np.testing.assert_allclose(depth.values, [[5.0, np.nan, 2.5]])
    np.testing.assert_array_equal(depth.valid, [[True, False, True]])
    np.testing.assert_allclose(
        stereo.to_depth(baseline_m=0.5, doffs_px=5).values, [[50 / 15, 10, 2]], rtol=1e-6
    )
    for wrong in ({"baseline_m": -1.0}, {"baseline_m": 0.5, "doffs_px": np.nan}):
        with pytest.raises(InputError, match="positive distance"):
            stereo.to_depth(**wrong)
    with pytest.raises(KindError, match="baseline_m"):
        stereo.to_depth()


@pytest.mark.parametrize("kind", DepthKind)
def test_every_kind_aligns_to_metres(kind):
    depth = np.random.default_rng(1).uniform(1, 8, (5, 7))
    forward = {
        DepthKind.METRIC_DEPTH: lambda d: d * 1.3,
        DepthKind.SCALED_DEPTH: lambda d: d / 5,
        DepthKind.AFFINE_DEPTH: lambda d: 2 * d - 3,
        DepthKind.AFFINE_DISPARITY: lambda d: 4 / d - 1,
        DepthKind.SCALED_DISPARITY: lambda d: 4 / d,
        DepthKind.PIXEL_DISPARITY: lambda d: 40 / d,
    }[kind]
    aligned = prediction(kind, values=forward(depth)).aligned_to(depth)
    assert aligned.kind is DepthKind.METRIC_DEPTH
    np.testing.assert_allclose(aligned.values, depth, rtol=1e-4)


def test_alignment_leaves_masked_pixels_out():
    depth = np.random.default_rng(1).uniform(1, 8, (5, 7))
    values = 4 / depth - 1
    values[0, 0] = 1e6
    valid = np.ones((5, 7), bool)
    valid[0, 0] = False
    one = prediction(DepthKind.AFFINE_DISPARITY, values=values, valid=valid)
    np.testing.assert_allclose(one.aligned_to(depth).values[1:], depth[1:], rtol=1e-4)
    with pytest.raises(InputError, match="no pixel"):
        one.aligned_to(depth, np.zeros((5, 7), bool))


def test_point_cloud_projects_back_to_its_pixels():
    one = masked()
    cloud = one.point_cloud(edges="keep")
    assert cloud.points.shape == (32, 3)
    projected = cloud.points @ CAMERA.matrix.T
    v, u = np.nonzero(one.known)
    np.testing.assert_allclose(projected[:, :2] / projected[:, 2:], np.stack([u, v], 1), atol=1e-4)
    np.testing.assert_array_equal(cloud.points[:, 2], one.values[one.known])
    np.testing.assert_array_equal(cloud.colors, pixels_of(one)[one.known])
    assert (
        len(one.point_cloud(max_depth=5, edges="keep").points) == (one.values[one.known] <= 5).sum()
    )


def test_point_cloud_needs_a_fitting_camera(tmp_path):
    bare = prediction(camera=None)
    with pytest.raises(InputError, match="from_fov"):
        bare.point_cloud()
    with pytest.raises(InputError, match="resized"):
        bare.point_cloud(Camera.from_fov(5, 7, fov_deg=60))
    bare.point_cloud(CAMERA).save(tmp_path / "cloud.ply")
    assert (tmp_path / "cloud.ply").read_bytes().startswith(b"ply\nformat binary_little_endian")


def same(a: Prediction, b: Prediction) -> None:
    assert (a.kind, a.model, a.camera) == (b.kind, b.model, b.camera)
    np.testing.assert_array_equal(a.known, b.known)


def test_npz_keeps_everything(tmp_path):
    one = masked()
    one.save(tmp_path / "a.npz")
    back = read_prediction(tmp_path / "a.npz")
    same(one, back)
    np.testing.assert_array_equal(one.values, back.values)
    np.testing.assert_array_equal(one.valid, back.valid)
    np.testing.assert_array_equal(one.confidence, back.confidence)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        assert set(file.files) == {
            *("values", "kind", "camera", "model", "version", "valid", "confidence")
        }
        assert str(file["kind"]) == "metric_depth"


def test_npz_without_extras(tmp_path):
    one = prediction(camera=None)
    one.save(tmp_path / "a.npz")
    back = read_prediction(tmp_path / "a.npz", kind="metric_depth")
    assert (back.camera, back.valid, back.confidence) == (None, None, None)
    with pytest.raises(KindError, match="metric_depth"):
        read_prediction(tmp_path / "a.npz", kind="affine_disparity")


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    low=st.floats(-1e4, 1e4, width=32),
    span=st.sampled_from([0.0, 1e-3, 1.0, 80.0, 1e6]),
)
def test_png16_is_within_a_65535th_of_the_range(tmp_path_factory, seed, low, span):
    path = tmp_path_factory.mktemp("png") / "a.png"
    values = (low + span * np.random.default_rng(seed).random((6, 5))).astype(np.float32)
    one = Prediction(values=values, kind=DepthKind.AFFINE_DISPARITY)
    one.save(path, "png16")
    back = read_prediction(path)
    limit = np.ptp(values.astype(np.float64)) / 65535
    rounding = np.spacing(np.abs(values).max())  # float32 itself
    assert np.abs(back.values - values.astype(np.float64)).max() <= limit + rounding
    assert back.valid is None


def test_png16_keeps_the_record_twice_and_marks_missing_values(tmp_path):
    one = masked()
    values = one.values.copy()
    values[4, 4], values[4, 5] = np.nan, np.inf
    one = replace(one, values=values)
    one.save(tmp_path / "a.png", "png16")
    back = read_prediction(tmp_path / "a.png")
    same(one, back)
    assert np.isnan(back.values[~back.known]).all()
    with PilImage.open(tmp_path / "a.png") as picture:
        codes, text = np.asarray(picture), picture.info["leadline"]
    assert codes.dtype == np.uint16
    assert (codes[~one.known] == 0).all()
    assert codes[one.known].min() == 1
    assert codes.max() == 65535
    sidecar = json.loads((tmp_path / "a.png.json").read_text())
    assert sidecar == json.loads(text)
    assert sidecar["kind"] == "metric_depth"
    # an image program drops the chunk: the sidecar still tells
    PilImage.fromarray(codes).save(tmp_path / "a.png")
    same(one, read_prediction(tmp_path / "a.png"))
    (tmp_path / "a.png.json").unlink()
    with pytest.raises(InputError, match="read_depth_png"):
        read_prediction(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".npy", ".pfm"])
def test_bare_files_need_the_kind(tmp_path, suffix):
    one = masked()
    one.save(tmp_path / f"a{suffix}")
    with pytest.raises(InputError, match="kind="):
        read_prediction(tmp_path / f"a{suffix}")
    back = read_prediction(tmp_path / f"a{suffix}", kind="metric_depth")
    np.testing.assert_array_equal(back.valid, one.valid)
    np.testing.assert_array_equal(back.values[one.valid], one.values[one.valid])


def test_pictures(tmp_path):
    one = prediction()
    one.save(tmp_path / "a.png")
    one.save(tmp_path / "b.png", "side", cmap="turbo")
    with PilImage.open(tmp_path / "a.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), one.colorize())
    with PilImage.open(tmp_path / "b.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture)[:, :7], pixels_of(one))
        np.testing.assert_array_equal(np.asarray(picture)[:, -7:], one.colorize("turbo"))
    with pytest.raises(InputError, match="color"):
        replace(one, image=None).save(tmp_path / "c.png", "side")


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.npz", b"PK"),
        ("a.npy", b"\x93NUMPY"),
        ("a.pfm", b"Pf\n7 5\n"),
        ("a.ply", b"ply"),
        ("A.PNG", b"\x89PNG"),
        ("a.png16.png", b"\x89PNG"),
        ("a.depth.png", b"\x89PNG"),
    ],
)
def test_the_suffix_tells_the_format(tmp_path, name, start):
    prediction().save(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert (tmp_path / f"{name}.json").exists() is ("png16" in name or "depth" in name)


def test_names_no_format(tmp_path):
    with pytest.raises(InputError, match=r"\.npz"):
        prediction().save(tmp_path / "a.tiff")
    with pytest.raises(UnknownNameError, match="png16"):
        prediction().save(tmp_path / "a.png", "png61")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_file(tmp_path):
    (tmp_path / "a.ply").write_text("old")
    with pytest.raises(KindError):
        prediction(DepthKind.AFFINE_DISPARITY).save(tmp_path / "a.ply")
    assert (tmp_path / "a.ply").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.npz", b""),
        ("a.npz", b"not a zip"),
        ("a.npy", b"not an array"),
        ("a.pfm", b"P5\n1 1\n255\n"),
        ("a.png", b"\x89PNG\r\n\x1a\n damaged"),
        ("a.tif", b"?"),
    ],
)
def test_files_that_are_no_maps_give_one_clear_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"a\.\w{3}"):
        read_prediction(tmp_path / name, kind="metric_depth")


def test_foreign_npz_and_missing_files(tmp_path):
    np.savez(tmp_path / "a.npz", values=np.ones((2, 2)))
    with pytest.raises(InputError, match="kind"):
        read_prediction(tmp_path / "a.npz")
    objects = np.array([{}], dtype=object)
    np.savez(tmp_path / "b.npz", values=objects, kind="x", camera="", model="")
    with pytest.raises(InputError, match="npz"):
        read_prediction(tmp_path / "b.npz")
    with pytest.raises(InputError, match="no such file"):
        read_prediction(tmp_path / "c.npz")


def test_output_suffixes_do_not_collide():
    assert output_suffixes(["npz", "color"]) == {"npz": ".npz", "color": ".color.png"}
    assert output_suffixes(["color"]) == {"color": ".color.png"}
    assert output_suffixes(["color"], alone=True) == {"color": ".png"}
    assert output_suffixes(["npz", "color"], alone=True)["color"] == ".color.png"
    assert output_suffixes(["color", "png16", "npy"]) == {
        "color": ".color.png",
        "png16": ".depth.png",
        "npy": ".npy",
    }
    every = output_suffixes(list(FORMATS))
    assert len(set(every.values())) == len(FORMATS)
    with pytest.raises(UnknownNameError, match="unknown format 'tiff'"):
        output_suffixes(["tiff"])


@pytest.mark.parametrize("name", FORMATS)
def test_suffixes_of_several_formats_lead_back_to_them(tmp_path: Path, name):
    suffix = output_suffixes(list(FORMATS))[name]
    explicit, guessed = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    prediction().save(explicit, name)
    prediction().save(guessed)
    assert explicit.read_bytes() == guessed.read_bytes()


def test_normals_are_written_in_both_conventions(tmp_path: Path) -> None:
    camera = Camera.from_focal(40, 30, focal_px=40.0)
    own = np.array([0.0, -0.6, -0.8]) * np.ones((30, 40, 1))
    wall = Prediction(values=np.full((30, 40), 2.0), kind="metric_depth", camera=camera)
    codes = {}
    for name in ("normal", "normal-directx"):
        replace(wall, normals=own).save(tmp_path / f"n.{name}.png")
        codes[name] = np.asarray(PilImage.open(tmp_path / f"n.{name}.png"))[10, 10].tolist()
    assert codes == {"normal": [128, 204, 230], "normal-directx": [128, 51, 230]}
    wall.save(tmp_path / "wall.png", format="normal")  # of the depth: it faces the camera
    assert np.asarray(PilImage.open(tmp_path / "wall.png"))[10, 10].tolist() == [128, 128, 255]
    assert "confidence" in replace(wall, confidence=np.ones((30, 40))).list_left_out("normal")
    with pytest.raises(InputError, match="camera"):
        replace(wall, camera=None).save(tmp_path / "x.png", format="normal")
