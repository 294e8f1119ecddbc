"""Data sets that models are tested on without having learnt from them, on miniature trees."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.cli import main
from leadline.datasets import Options, open_dataset
from leadline.datasets.sunrgbd import decode_depth
from leadline.errors import InputError
from leadline.evaluation import protocols
from leadline.evaluation.audit import audit_frame
from leadline.evaluation.page import render_page
from leadline.evaluation.predictors import BASELINES
from leadline.evaluation.run import evaluate, score_frame
from leadline.kinds import DepthKind
from leadline.prediction import Prediction


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PilImage.fromarray(array).save(path)


def write(path: Path, *parts: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(parts))


RED = np.zeros((4, 6, 3), np.uint8) + np.array([200, 0, 0], np.uint8)


@pytest.fixture
def sintel(tmp_path: Path) -> Path:
    training = tmp_path / "training"
    depth = np.arange(24, dtype="<f4").reshape(4, 6) + 1
    depth[0, 0] = np.inf
    tag = np.array(202021.25, "<f4").tobytes()
    size = np.array([6, 4], "<i4").tobytes()  # width first
    pose = np.hstack([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], [[1], [2], [3]]])
    k = np.array([[500.0, 0, 3], [0, 501, 2], [0, 0, 1]])
    for number in (1, 2):
        frame = f"alley_1/frame_{number:04d}"
        for part in ("final", "clean"):
            save(training / part / f"{frame}.png", RED // (1 if part == "final" else 2))
        write(training / "depth" / f"{frame}.dpt", tag, size, depth.tobytes())
        write(training / "camdata_left" / f"{frame}.cam", tag, k.tobytes(), pose.tobytes())
    return tmp_path


def test_sintel(sintel: Path):
    refs = open_dataset("sintel", sintel)
    assert [ref.name for ref in refs] == ["alley_1/frame_0001", "alley_1/frame_0002"]
    frame = refs[0].read()
    assert frame.depth[1].tolist() == [7, 8, 9, 10, 11, 12]
    assert frame.depth[0, 0] == 0
    camera = frame.image.camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500, 501, 3, 2)
    world_point = np.array([5.0, -1.0, 4.0, 1.0])  # what the file takes to the camera
    in_camera = np.array([1 + 1, 5 + 2, 4 + 3, 1.0])
    np.testing.assert_allclose(camera.world_from_camera @ in_camera, world_point, atol=1e-12)
    (clean,) = open_dataset("sintel", sintel, Options(split="clean", every=2))
    assert clean.read().image.pixels[0, 0, 0] == 100


def test_sintel_files_that_are_not_whole(sintel: Path):
    path = sintel / "training" / "depth" / "alley_1" / "frame_0001.dpt"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"frame_0001\.dpt is not a whole"):
        open_dataset("sintel", sintel)[0].read()
    camera = sintel / "training" / "camdata_left" / "alley_1" / "frame_0002.cam"
    camera.write_bytes(b"\0" * 172)
    with pytest.raises(InputError, match=r"frame_0002\.cam is not a Sintel camera"):
        open_dataset("sintel", sintel)[1].read()
    camera.unlink()
    with pytest.raises(InputError, match=r"frame_0002\.cam: no such file"):
        open_dataset("sintel", sintel)[1].read()


def test_eth3d(tmp_path: Path):
    scene = tmp_path / "courtyard"
    picture = scene / "images" / "dslr_images" / "DSC_0286.JPG"
    save(picture, RED)
    depth = np.full((4, 6), 5, "<f4")
    depth[:, 0] = np.inf
    target = scene / "ground_truth_depth" / "dslr_images" / "DSC_0286.JPG"
    write(target, depth.tobytes())
    (ref,) = open_dataset("eth3d", tmp_path)
    assert ref.name == "courtyard/DSC_0286"
    frame = ref.read()
    assert frame.depth[0].tolist() == [0, 5, 5, 5, 5, 5]
    assert frame.image.camera is None
    target.write_bytes(depth[:3].tobytes())
    with pytest.raises(InputError, match="holds 72 bytes, and a picture of 4x6 needs 96"):
        ref.read()


def ibims_values() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    depth = np.full((4, 6), 2.5)
    invalid, transparent = np.ones((4, 6), bool), np.ones((4, 6), bool)
    invalid[0], transparent[1] = False, False
    return depth, invalid, transparent


def test_ibims_folders(tmp_path: Path):
    depth, invalid, transparent = ibims_values()
    save(tmp_path / "rgb" / "factory_01.png", RED)
    save(tmp_path / "depth" / "factory_01.png", np.round(depth * 65535 / 50).astype(np.uint16))
    save(tmp_path / "mask_invalid" / "factory_01.png", invalid)
    save(tmp_path / "mask_transp" / "factory_01.png", transparent)
    write(tmp_path / "calib" / "factory_01.txt", b"550.5,551.5,320.0,240.0\n")
    (ref,) = open_dataset("ibims", tmp_path)
    frame = ref.read()
    assert ref.name == frame.name == "factory_01"
    np.testing.assert_allclose(frame.depth[:, 0], [0, 0, 2.5, 2.5], atol=4e-4)
    camera = frame.image.camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (550.5, 551.5, 320, 240)
    write(tmp_path / "calib" / "factory_01.txt", b"550.5 551.5\n")
    with pytest.raises(InputError, match="fx,fy,cx,cy is needed"):
        ref.read()


def test_ibims_mat(tmp_path: Path):
    io = pytest.importorskip("scipy.io")
    depth, invalid, transparent = ibims_values()
    k = np.array([[550.5, 0, 320.0], [0, 551.5, 240.0], [0, 0, 1]])
    fields = {"rgb": RED, "depth": depth, "calib": k.T}
    masks = {"mask_invalid": invalid, "mask_transp": transparent}
    io.savemat(tmp_path / "office_02.mat", {"data": fields | masks})
    (ref,) = open_dataset("ibims", tmp_path)
    frame = ref.read()
    assert frame.name == "office_02"
    assert frame.depth[:, 0].tolist() == [0, 0, 2.5, 2.5]
    assert (frame.image.camera.cx, frame.image.camera.fy) == (320, 551.5)
    assert frame.image.pixels[0, 0].tolist() == [200, 0, 0]
    io.savemat(tmp_path / "office_02.mat", {"data": fields})
    with pytest.raises(InputError, match="mask_invalid"):
        ref.read()
    io.savemat(tmp_path / "office_02.mat", {"values": 1})
    with pytest.raises(InputError, match="variable data"):
        ref.read()


def test_sunrgbd(tmp_path: Path):
    folder = tmp_path / "kv2" / "kinect2data" / "000002_2014"
    millimetres = np.full((4, 6), 1234, np.uint16)
    millimetres[0], millimetres[1, 0] = 8001, 0
    codes = (millimetres << 3) | (millimetres >> 13)  # as the files hold them
    assert decode_depth(codes)[2, 2] == np.float32(1.234)
    save(folder / "image" / "0000103.jpg", RED)
    save(folder / "depth_bfx" / "0000103.png", codes)
    save(folder / "depth" / "0000103.png", np.where(codes == codes[2, 2], codes, 0))
    write(folder / "intrinsics.txt", b"529.5 0 365 0 529.6 265 0 0 1 \n")
    (ref,) = open_dataset("sunrgbd", tmp_path)
    assert ref.name == "kv2/kinect2data/000002_2014"
    frame = ref.read()
    np.testing.assert_allclose(frame.depth[:, 0], [0, 0, 1.234, 1.234], rtol=1e-6)
    assert (frame.image.camera.fx, frame.image.camera.cy) == (529.5, 265)
    (raw,) = open_dataset("sunrgbd", tmp_path, Options(split="raw"))
    assert raw.read().depth[0, 0] == 0
    (folder / "depth_bfx" / "0000103.png").unlink()
    with pytest.raises(InputError, match="holds 0 pictures"):
        ref.read()


@pytest.fixture
def make3d(tmp_path: Path) -> Path:
    """Two test pictures and one to train on; depth falls with the row."""
    io = pytest.importorskip("scipy.io")
    grid = np.zeros((55, 305, 4))
    grid[..., 3] = np.linspace(80, 2, 55)[:, None]
    grid[..., 2] = 0.9 * grid[..., 3]
    picture = np.repeat(np.arange(228, dtype=np.uint8)[:, None, None], 170, 1).repeat(3, 2)
    for folder, name in (("Test134", "a"), ("Test134", "b"), ("Train400Img", "c")):
        save(tmp_path / folder / f"img-op-{name}.jpg", picture)
        (tmp_path / "Gridlaserdata").mkdir(exist_ok=True)
        io.savemat(
            tmp_path / "Gridlaserdata" / f"depth_sph_corr-op-{name}.mat", {"Position3DGrid": grid}
        )
    return tmp_path


def test_make3d(make3d: Path):
    frames = [ref.read() for ref in open_dataset("make3d", make3d)]
    assert [frame.name for frame in frames] == ["op-a", "op-b"]
    assert frames[0].depth.shape == (55, 305)
    assert frames[0].depth[0, 0] == 80
    assert open_dataset("make3d-z", make3d)[0].read().depth[0, 0] == pytest.approx(72)
    (train,) = open_dataset("make3d", make3d, Options(split="train"))
    assert train.name == "op-c"
    central = open_dataset("make3d", make3d, Options(split="test-central"))[0].read()
    assert central.image.size == (85, 170)
    assert central.depth.shape == (21, 305)
    middle = central.image.pixels[42, 0, 0] / 228  # the same place in picture and grid
    assert abs(middle - (17 + 10.5) / 55) < 0.02
    (make3d / "Gridlaserdata" / "depth_sph_corr-op-a.mat").unlink()
    with pytest.raises(InputError, match=r"no depth_sph_corr-op-a\.mat"):
        open_dataset("make3d", make3d)[0].read()


@pytest.mark.parametrize(
    ("split", "name"), [("test", "make3d-c1"), ("test-central", "make3d-godard")]
)
def test_make3d_is_evaluated_on_the_lasers_grid(make3d: Path, split: str, name: str):
    refs = open_dataset("make3d", make3d, Options(split=split))

    def right(frame):
        """The truth, at the picture's size."""
        rows = np.linspace(0, len(frame.depth) - 1, frame.image.size[0])
        column = np.interp(rows, np.arange(len(frame.depth)), frame.depth[:, 0])
        values = np.repeat(column[:, None], frame.image.size[1], 1)
        return Prediction(values=values, kind=DepthKind.METRIC_DEPTH)

    report = evaluate(right, refs, protocols.get(name))
    assert report.scores.mean()["abs_rel"] < 0.05
    assert "op-a" in render_page(report, refs, right)
    with pytest.raises(InputError, match="audited pixel by pixel"):
        audit_frame(refs[0].read())


@pytest.fixture
def da2k(tmp_path: Path) -> Path:
    record = {}
    for scene in ("indoor", "outdoor"):
        file = f"images/{scene}/a.jpg"
        save(tmp_path / file, RED)
        record[file] = [
            {"point1": [0, 1], "point2": [3, 1], "closer_point": "point2"},
            {"point1": [3, 5], "point2": [0, 0], "closer_point": "point1"},
        ]
    record["images/outdoor/a.jpg"].append(
        {"point1": [0, 1], "point2": [3, 1], "closer_point": "point1"}
    )
    (tmp_path / "annotations.json").write_text(json.dumps(record))
    return tmp_path


def test_a_folder_of_pairs_is_in_order(da2k: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(["datasets", "check", "da-2k", "--root", str(da2k)])
    assert not caught.value.code
    assert "outdoor/a: 6x4, 3 pairs of points" in capsys.readouterr().out


def test_da2k_is_evaluated_by_pairs(da2k: Path):
    refs = open_dataset("da-2k", da2k)
    assert [ref.name for ref in refs] == ["indoor/a", "outdoor/a"]
    protocol, ramp = protocols.get("da-2k"), BASELINES["vertical-ramp"]
    report = evaluate(ramp, refs, protocol)  # lower is nearer: right but for the last pair
    assert report.scores.mean()["ordinal"] == pytest.approx(4 / 5)
    assert "indoor/a" in render_page(report, refs, ramp)
    with pytest.raises(InputError, match="take --protocol da-2k"):
        evaluate(ramp, refs, protocols.get("midas-zero-shot"))
    with pytest.raises(InputError, match="audit another set"):
        audit_frame(refs[0].read())
    (da2k / "annotations.json").write_text('{"images/indoor/a.jpg": [{"point1": [0, 0]}]}')
    with pytest.raises(InputError, match="closer_point"):
        open_dataset("da-2k", da2k)


def test_pairs_are_needed_for_da2k(sintel: Path):
    frame = open_dataset("sintel", sintel)[0].read()
    with pytest.raises(InputError, match="take the data set da-2k"):
        score_frame(BASELINES["constant"](frame), frame, protocols.get("da-2k"))
