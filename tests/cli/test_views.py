"""``leadline views`` with a tiny network, beside ``leadline triangulate`` on the same frames."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline import catalog
from leadline.cli import main
from leadline.estimator import DepthEstimator
from leadline.io import read_cameras, read_poses, write_poses
from leadline.load_options import LoadOptions
from leadline.posed_views import condition_on_cameras
from leadline.prediction import read_prediction
from leadline.prepared import stack
from testing.goldens import filled
from testing.room import walk

pytest.importorskip("torch")

from leadline import models
from leadline.models.dinov2 import ENCODERS, EncoderConfig
from leadline.runtime.torch import TorchRuntime


@pytest.fixture(scope="module")
def estimator() -> DepthEstimator:
    """The entry da3-small with a tiny network of deterministic weights."""
    spec = catalog.get("da3-small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENCODERS, "tiny", EncoderConfig(width=64, depth=6, heads=2))
        module = models.build(
            "da3-small",
            encoder="tiny",
            features=16,
            out_channels=(8, 12, 16, 20),
            alternate_from=2,
            taps=(2, 3, 4, 5),
        )
    module.load_state_dict(filled(module))
    preprocess = replace(spec.preprocess, size=(56, 56))
    return DepthEstimator(TorchRuntime(module), replace(spec, preprocess=preprocess))


@pytest.fixture(autouse=True)
def _opened(estimator: DepthEstimator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LoadOptions, "open", lambda self: estimator)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frames and their camera."""
    root = tmp_path_factory.mktemp("walk")
    for number, image in enumerate(walk(2)):
        PilImage.fromarray(image.pixels).save(root / f"{number}.png")
        (root / "camera.json").write_text(json.dumps(image.camera.moved(None).to_dict()))
    return root


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return int(stopped.value.code or 0)


def ply_header(path: Path) -> list[str]:
    lines = path.read_bytes().partition(b"end_header")[0].decode().splitlines()
    return [line for line in lines if not line.startswith("element")]


def test_views_write_what_triangulate_writes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames, old, new = [folder / f"{n}.png" for n in range(2)], tmp_path / "old", tmp_path / "new"
    words = ["--camera", folder / "camera.json", "--maps", 0]
    assert run("triangulate", *frames, "--out", old, *words) == 0
    assert json.loads((old / "report.json").read_text())["kind"] == "scaled_depth"
    assert run("views", *frames, "--out", new, "--format", "npz", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["model"], report["kind"]) == ("da3-small", "scaled_depth")
    assert [view["input"] for view in report["views"]] == [str(frame) for frame in frames]
    assert all(Path(file).is_file() for file in report["files"])
    assert report["views"][1]["camera"]["source"] == "predicted"
    assert report["cut"] == []
    shared = {"poses.txt", "points.ply"}
    assert shared <= {file.name for file in old.iterdir()} & {file.name for file in new.iterdir()}
    assert ply_header(old / "points.ply") == ply_header(new / "points.ply")
    heads = {(out / "poses.txt").read_text().splitlines()[0] for out in (old, new)}
    assert heads == {"# kind: scaled_depth"}
    for out in (old, new):
        assert len(read_poses(out / "poses.txt", [frame.name for frame in frames])) == 2
    for number in range(2):
        found = read_prediction(new / f"{number}.npz")
        assert str(found.kind) == "scaled_depth"
        assert found.camera.world_from_camera is not None
    assert list(read_cameras(new)) == [frame.name for frame in frames]


def test_pictures_of_other_sizes_are_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with PilImage.open(folder / "1.png") as picture:
        picture.crop((0, 0, picture.width // 2, picture.height)).save(tmp_path / "half.png")
    out = tmp_path / "out"
    assert run("views", folder / "0.png", tmp_path / "half.png", "--out", out) == 0
    said = capsys.readouterr().err
    assert "up to one scale" in said
    assert "0.png" in said.partition("middle alone")[2]
    assert (out / "half.color.png").is_file()
    for stem in ("0", "half"):  # the lens is that of the whole picture, its middle in the middle
        camera = read_prediction(out / f"{stem}.npz").camera
        middle = (camera.width - 1) / 2, (camera.height - 1) / 2
        assert (camera.cx, camera.cy) == pytest.approx(middle, abs=0.51)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["0.png", "1.png", "0.png"], "given twice"),
        (["0.png"], "leadline predict"),
        (["0.png", "copy.png"], "same picture"),
        (["0.png", "1.png", "--model", "lite"], "da3-small, da3-base"),
        (["0.png", "1.png", "--model", "da3metric-large"], "one picture at a time"),
        (["0.png", "1.png", "--format", "jpg"], "jpg"),
        (["0.png", "none.png"], "none.png"),
    ],
)
def test_what_makes_no_scene_is_one_line(
    words: list[str], says: str, folder: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "copy.png").write_bytes((folder / "0.png").read_bytes())
    assert run("views", *words, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


# --- given poses, and poses from rays ------------------------------------------------------------


def write_walk_poses(folder: Path, names: tuple[str, ...] = ("0.png", "1.png")) -> Path:
    cameras = [image.camera for image in walk(2)]
    poses = {n: c.world_from_camera for n, c in zip(names, cameras, strict=True)}
    write_poses(folder / "walk.json", poses, metric=True)
    return folder / "walk.json"


def test_given_poses_are_kept_and_depth_is_metric(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], estimator: DepthEstimator
) -> None:
    frames, out = [folder / f"{n}.png" for n in range(2)], tmp_path / "out"
    poses = write_walk_poses(tmp_path)
    words = ["--poses", poses, "--camera", folder / "camera.json", "--json"]
    assert run("views", *frames, "--out", out, *words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["kind"] == "metric_depth"
    kept = read_poses(out / "poses.json", [frame.name for frame in frames], metres=True)
    found = [read_prediction(out / f"{n}.npz") for n in range(2)]
    for pose, view, image in zip(kept, found, walk(2), strict=True):
        np.testing.assert_allclose(pose, image.camera.world_from_camera, atol=1e-9)
        np.testing.assert_allclose(view.camera.matrix, image.camera.matrix, atol=1e-9)
    assert estimator.predict_views(frames)[0].values.max() != pytest.approx(found[0].values.max())


def test_given_cameras_reach_the_network(estimator: DepthEstimator) -> None:
    images = walk(2)
    given = estimator.predict_views(images, poses="given")
    arrays = {
        name: array[None] for name, array in stack([estimator.prepare(i) for i in images]).items()
    }
    arrays |= condition_on_cameras([estimator.prepare(image) for image in images])
    told = estimator.runtime.run(arrays)["depth"][0]
    plain = estimator.runtime.run({"image": arrays["image"]})["depth"][0]
    assert np.abs(told - plain).max() > 1e-3 * np.abs(plain).max()
    ratio = told.mean() / given[0].values.mean()
    assert given[1].values.mean() * ratio == pytest.approx(told[1].mean(), rel=0.3)


def test_poses_of_rays_are_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames, plain, rays = [folder / f"{n}.png" for n in range(2)], tmp_path / "a", tmp_path / "b"
    assert run("views", *frames, "--out", plain) == 0
    code = run("views", *frames, "--out", rays, "--ray-poses")
    said = capsys.readouterr().err
    if code == 2:  # deterministic weights owe nobody rays that a camera has
        assert "rays" in said.splitlines()[-1]
        return
    assert (plain / "poses.json").read_text() != (rays / "poses.json").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--poses", "walk.json"], "no camera is known and its EXIF tells none"),
        (["--poses", "walk.json", "--ray-poses"], "--poses and --ray-poses"),
        (["--camera", "camera.json"], "--camera and --fov go with --poses FILE"),
        (["--poses", "walk.json", "--fov", "60", "--camera", "camera.json"], "both given"),
        (["--poses", "other.json", "--fov", "60"], "1.png"),
        (["--poses", "scaled.json", "--fov", "60"], "one scale"),
        (["--poses", "none.json", "--fov", "60"], "none.json"),
    ],
)
def test_what_given_poses_lack_is_one_line(
    words: list[str], says: str, folder: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(folder)
    write_walk_poses(folder)
    pose = np.eye(4)
    write_poses(folder / "other.json", {"0.png": pose, "2.png": pose}, metric=True)
    write_poses(folder / "scaled.json", {"0.png": pose, "1.png": pose}, metric=False)
    assert run("views", "0.png", "1.png", *words, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
