"""``leadline fuse``: frames with poses to a mesh and to COLMAP."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("skimage")
from PIL import Image as PilImage

import leadline
from leadline.cli import main
from leadline.errors import KindError
from leadline.image import Image
from leadline.io import write_poses
from leadline.prediction import Prediction
from leadline.sequence import predict_posed
from testing.dense_scene import BOX_M, WALL_M, camera, pose, view

PLACES = [-0.2, -0.1, 0.0, 0.1, 0.2]


def code_of(*words: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return int(caught.value.code or 0)


def known_depth(number: int, frame: Image, kind: str = "affine_disparity") -> Prediction:
    """What a perfect network would give, scaled and shifted."""
    _, depth = view(pose(PLACES[number]))
    values = depth if kind == "metric_depth" else (0.3 + 0.05 * number) / depth + 0.02
    return Prediction(values=values, kind=kind, image=frame, model="perfect")


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A folder of five frames and a file of their poses."""
    folder, poses = tmp_path / "frames", {}
    folder.mkdir()
    for number, place in enumerate(PLACES):
        image, _ = view(pose(place))
        PilImage.fromarray(image.pixels).save(folder / f"{number}.png")
        poses[f"{number}.png"] = pose(place)
    write_poses(tmp_path / "poses.txt", poses, metric=True)
    return folder


@pytest.fixture
def perfect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are replaced by one that knows the truth."""

    class Perfect:
        spec = type("Spec", (), {"name": "perfect"})

        def predict(self, frame: Image) -> Prediction:
            return known_depth(int(Path(frame.name).stem), frame)

    monkeypatch.setattr("leadline.load_options.LoadOptions.open", lambda self: Perfect())


LENS = "--camera", f"{camera().fx},{camera().fy},{camera().cx},{camera().cy}"


def test_frames_become_a_mesh_and_a_model_of_colmap(
    frames: Path, perfect: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = ("--poses", tmp_path / "poses.txt", "--out", out, "--voxel", 0.03, *LENS)
    assert code_of("fuse", frames, *options, "--format", "ply,glb,colmap", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["frames"] == 5
    assert all(Path(file).is_file() for file in report["files"])
    assert (out / "mesh.glb").stat().st_size > 1000

    pycolmap = pytest.importorskip("pycolmap")
    model = pycolmap.Reconstruction(str(out / "sparse" / "0"))
    assert model.num_images() == 5
    depths = np.array([point.xyz[2] for point in model.points3D.values()])
    assert len(depths) == report["vertices"]
    assert np.mean((np.abs(depths - WALL_M) < 0.1) | (np.abs(depths - BOX_M) < 0.1)) > 0.8
    for image in model.images.values():
        number = int(Path(image.name).stem)
        centre = image.projection_center()
        np.testing.assert_allclose(centre, pose(PLACES[number])[:3, 3], atol=1e-6)
        lens = model.cameras[image.camera_id]
        assert lens.principal_point_x == pytest.approx(camera().cx + 0.5)
        # a pixel's centre is half a pixel from COLMAP's corner: the same ray
        ray = lens.cam_from_img(np.array([10.5, 20.5]))
        own = (10 - camera().cx) / camera().fx, (20 - camera().cy) / camera().fy
        np.testing.assert_allclose(np.ravel(ray)[:2], own, atol=1e-6)


def test_motion_brings_maps_to_one_scale(frames: Path) -> None:
    images = [
        leadline.Image(pixels=view(pose(p))[0].pixels, camera=camera().moved(pose(p)), name=str(n))
        for n, p in enumerate(PLACES)
    ]
    for kind in ("affine_disparity", "metric_depth"):
        made = predict_posed(
            images, lambda frame, kind=kind: known_depth(int(frame.name), frame, kind)
        )
        for number, one in enumerate(made):
            _, depth = view(pose(PLACES[number]))
            assert one.kind.is_metric
            assert np.median(np.abs(one.values - depth) / depth) < 0.03
            assert np.allclose(one.camera.world_from_camera, pose(PLACES[number]))
    with pytest.raises(KindError, match="--metres-from motion"):
        predict_posed(images, lambda frame: known_depth(0, frame), from_motion=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "stl"), "unknown format 'stl'"),
        (("--voxel", "-1"), "positive number of metres"),
        (("--metres-from", "wish"), "unknown way to metres"),
    ],
)
def test_wrong_options_give_one_line(
    options: tuple[str, ...],
    message: str,
    frames: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    poses = ("--poses", tmp_path / "poses.txt", "--out", tmp_path / "o")
    assert code_of("fuse", frames, *poses, *LENS, *options) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
