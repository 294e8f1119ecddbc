"""Several views of one scene: their common files, and pictures of different sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import leadline
from leadline.camera import Camera
from leadline.errors import InputError
from leadline.estimator import DepthEstimator
from leadline.image import Image
from leadline.io import PointCloud, read_cameras, read_poses
from leadline.kinds import DepthKind
from leadline.multi_view import MultiView, cut_alike, draw_points
from leadline.prediction import Prediction
from leadline.preprocess import Preprocess
from leadline.spec import ModelSpec, PreprocessSpec, name_outputs

TWICE = PreprocessSpec(
    size=(28, 28), resize="upper_bound_twice", multiple_of=14, mean=(0, 0, 0), std=(1, 1, 1)
)


def make_view(number: int, name: str, *, posed: bool = True, size: tuple[int, int] = (6, 8)):
    pose = np.eye(4)
    pose[0, 3] = number
    height, width = size
    camera = Camera.from_focal(width, height, focal_px=10)
    pixels = np.full((height, width, 3), 40 * number, np.uint8)
    return Prediction(
        values=np.full(size, 2.0, np.float32),
        kind=DepthKind.SCALED_DEPTH,
        camera=camera.moved(pose) if posed else camera,
        image=Image(pixels=pixels, name=name),
        model="some-net",
    )


def make_views(*names: str, **how) -> MultiView:
    views = (make_view(number, name, **how) for number, name in enumerate(names))
    return MultiView(predictions=tuple(views))


def names_in(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


COMMON = {"poses.json", "poses.txt", "points.ply"}
SPARSE = {f"sparse/0/{name}.txt" for name in ("cameras", "images", "points3D")}


def test_save_writes_maps_poses_and_one_cloud(tmp_path: Path):
    views = make_views("a/one.jpg", "a/two.jpg")
    files = views.save(tmp_path, ["npz", "color"])
    own = {f"{stem}{suffix}" for stem in ("one", "two") for suffix in (".npz", ".color.png")}
    assert names_in(tmp_path) == own | COMMON | SPARSE
    assert {file.relative_to(tmp_path).as_posix() for file in files} == names_in(tmp_path)
    assert [file.name for file in files[:4]] == [
        "one.npz",
        "one.color.png",
        "two.npz",
        "two.color.png",
    ]
    for file in ("poses.json", "poses.txt"):
        found = read_poses(tmp_path / file, ["one.jpg", "two.jpg"])
        np.testing.assert_allclose(found[1][:3, 3], (1, 0, 0))
        with pytest.raises(InputError, match="one scale"):
            read_poses(tmp_path / file, ["one.jpg", "two.jpg"], metres=True)
    cameras = read_cameras(tmp_path)
    assert list(cameras) == ["one.jpg", "two.jpg"]
    for name, view in zip(("one.jpg", "two.jpg"), views, strict=True):
        np.testing.assert_allclose(cameras[name].matrix, view.camera.matrix, rtol=1e-8)
    assert b"element vertex 96\n" in (tmp_path / "points.ply").read_bytes()
    assert leadline.read_prediction(tmp_path / "two.npz").camera.world_from_camera[0, 3] == 1


def test_views_without_poses_or_one_scale_have_less_in_common(tmp_path: Path):
    make_views("one.jpg", "two.jpg", posed=False).save(tmp_path / "a")
    assert names_in(tmp_path / "a") == {"one.npz", "two.npz"}
    replace(make_views("one.jpg", "two.jpg"), shared_scale=False).save(tmp_path / "b")
    assert names_in(tmp_path / "b") == {"one.npz", "two.npz", "poses.json", "poses.txt"}


def test_names_never_collide(tmp_path: Path):
    same = make_views("a/one.jpg", "b/one.jpg")
    assert same.names == ("view-000", "view-001")
    same.save(tmp_path, names=["a__one", "b__one"])
    assert list(read_cameras(tmp_path)) == ["a__one", "b__one"]
    assert len(read_poses(tmp_path / "poses.txt", ["a__one", "b__one"])) == 2
    for names in (["one", "One"], ["one"]):
        with pytest.raises(InputError, match="all different"):
            same.save(tmp_path, names=names)
    with pytest.raises(InputError, match=r"points\.ply"):
        make_views("points.jpg", "two.jpg").save(tmp_path, ["ply"])


def test_large_clouds_are_drawn_from_alike_each_time(tmp_path: Path):
    points = np.arange(3000, dtype=np.float32).reshape(1000, 3)
    cloud = PointCloud(points=points, colors=(points % 256).astype(np.uint8))
    one, two = draw_points(cloud, 100), draw_points(cloud, 100)
    assert len(one.points) == 100
    np.testing.assert_array_equal(one.points, two.points)
    np.testing.assert_array_equal((one.points % 256).astype(np.uint8), one.colors)
    assert one.points[:, 0].mean() == pytest.approx(1500, rel=0.2)
    assert draw_points(cloud, 1000) is cloud
    make_views("one.jpg", "two.jpg").save(tmp_path, max_points=10)
    assert b"element vertex 10\n" in (tmp_path / "points.ply").read_bytes()


class Recall:
    """A network whose depth is the red channel that it sees, plus one."""

    name, device, precision = "recall", "cpu", "f32"

    def run(self, arrays):
        return {"depth": arrays["image"][:, :, 0] + 1}


def open_recall(**changes) -> DepthEstimator:
    spec = ModelSpec(
        name="recall",
        kind=DepthKind.SCALED_DEPTH,
        preprocess=replace(TWICE, **changes),
        outputs=name_outputs("depth"),
        max_views=4,
    )
    return DepthEstimator(Recall(), spec)


def ramp(height: int, width: int, seed: int) -> Image:
    """Brighter to the right; every seed another picture."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 240, width)
    pixels[0, 0] = seed
    return Image(pixels=pixels)


def test_views_of_other_sizes_are_cut_about_the_middle():
    wide, tall = ramp(28, 56, 1), ramp(56, 28, 2)  # 14x28 and 28x14 for the network
    made = open_recall().predict_views([wide, tall])
    assert [view.size for view in made] == [(28, 56), (56, 28)]
    known = made[0].known
    assert known[:, 14:42].all()
    assert not known[:, :14].any()
    assert not known[:, 42:].any()
    assert made[1].known[14:42].all()
    assert not made[1].known[:14].any()
    column = wide.pixels[10, :, 0] / 255 + 1  # what is left stays where it was
    np.testing.assert_allclose(made[0].values[10, 16:40], column[16:40], atol=0.03)


def test_cutting_keeps_views_of_one_size_and_asks_for_a_rule_that_cuts():
    prepare = Preprocess(TWICE)
    same = [prepare(ramp(28, 56, seed)) for seed in (1, 2)]
    assert cut_alike(same, TWICE) == same
    with pytest.raises(InputError, match=r"14x28, 28x14.*one size"):
        open_recall(resize="upper_bound").predict_views([ramp(28, 56, 1), ramp(56, 28, 2)])


def test_one_view_twice_is_refused():
    with pytest.raises(InputError, match="views 0 and 2 are the same"):
        open_recall().predict_views([ramp(28, 56, 1), ramp(28, 56, 2), ramp(28, 56, 1)])
