"""ROS 2 bags: written ones are read by rosbags itself, and by us; no ROS is needed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from leadline.camera import Camera
from leadline.cli import main
from leadline.errors import InputError
from leadline.io import BagReader, write_bag
from testing.bags import write_picture_bag

pytest.importorskip("rosbags")

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)


def test_depth_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    depth = np.random.default_rng(0).uniform(0.1, 9, (20, 30)).astype(np.float32)
    depth[3, 4] = np.nan
    camera = Camera(width=30, height=20, fx=40, fy=41, cx=14.5, cy=9.5)
    with write_bag(tmp_path / "bag") as bag:
        for number in range(3):
            stamp = 5_000_000_123 + number
            bag.write(depth + number, camera, stamp_ns=stamp, frame_id="eye")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag"]
    reader = BagReader(tmp_path / "bag", depth=True)
    assert (reader.topic, reader.count) == ("/leadline/depth/image_rect", 3)
    for number, one in enumerate(reader.depths()):
        np.testing.assert_array_equal(one.depth, depth + number)
        assert one.camera == camera
        assert (one.stamp_ns, one.frame_id) == (5_000_000_123 + number, "eye")
    with pytest.raises(InputError, match="there already"), write_bag(tmp_path / "bag"):
        pass
    with pytest.raises(InputError, match="0 topics of pictures"):
        BagReader(tmp_path / "bag")


def test_a_bag_that_breaks_off_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), write_bag(tmp_path / "bag"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("encoding", "stored"),
    [
        ("rgb8", RGB),
        ("bgr8", RGB[..., ::-1]),
        ("rgba8", np.dstack([RGB, RGB[..., :1]])),
        ("bgra8", np.dstack([RGB[..., ::-1], RGB[..., :1]])),
        ("mono8", RGB[..., 0]),
        ("mono16", RGB[..., 0].astype(">u2") * 257),
        ("mono16", RGB[..., 0].astype("<u2") * 257),
    ],
)
def test_pictures_of_every_encoding(tmp_path: Path, encoding: str, stored: np.ndarray) -> None:
    write_picture_bag(tmp_path / "bag", [(encoding, stored)] * 2, padding=7)
    first, second = BagReader(tmp_path / "bag").frames()
    wanted = RGB if stored.ndim == 3 else np.repeat(RGB[..., :1], 3, 2)
    np.testing.assert_array_equal(first.image.pixels, wanted)
    assert first.image.camera == Camera(width=30, height=20, fx=50, fy=50, cx=15, cy=10)
    assert second.stamp_ns - first.stamp_ns == 100_000_000
    assert first.frame_id == "camera_optical"


def test_compressed_pictures_and_depth_in_millimetres(tmp_path: Path) -> None:
    file = io.BytesIO()
    PilImage.fromarray(RGB).save(file, "PNG")
    data = np.frombuffer(file.getvalue(), np.uint8)
    write_picture_bag(tmp_path / "a", [("png", data)], topic="/cam/image_raw/compressed")
    (frame,) = BagReader(tmp_path / "a").frames()
    np.testing.assert_array_equal(frame.image.pixels, RGB)
    codes = np.array([[0, 1500], [65535, 1]], np.uint16)
    write_picture_bag(tmp_path / "b", [("16UC1", codes)], topic="/cam/depth")
    (one,) = BagReader(tmp_path / "b", depth=True).depths()
    np.testing.assert_array_equal(one.depth, np.float32([[np.nan, 1.5], [65.535, 0.001]]))


def test_bad_bags_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "x.mcap").write_bytes(b"\x89MCAP0\r\n and no more")
    for name in ("missing", "empty", "x.mcap"):
        with pytest.raises(InputError, match=name) as caught:
            BagReader(tmp_path / name)
        assert "\n" not in str(caught.value)
    write_picture_bag(tmp_path / "bag", [("bayer_rggb8", RGB[..., 0])])
    reader = BagReader(tmp_path / "bag")
    with pytest.raises(InputError, match="image_proc"):
        list(reader.frames())
    bad: list[InputError] = []
    assert list(reader.frames(on_bad=bad.append)) == []
    assert len(bad) == 1
    with pytest.raises(InputError, match="--topic"):
        BagReader(tmp_path / "bag", topic="/nothing")
    strong = [0.9, 0, 0, 0, 0]
    write_picture_bag(tmp_path / "wide", [("rgb8", RGB)], focal_px=8.0, distortion=strong)
    with pytest.raises(InputError, match="distort"):
        list(BagReader(tmp_path / "wide").frames())


def test_the_command_writes_a_bag_of_metres(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnx")
    pictures = [("rgb8", RGB)] * 3
    write_picture_bag(tmp_path / "bag", pictures)

    def run(*words: object) -> int:
        given = ["rosbag", tmp_path / "bag", "--out", tmp_path / "out", *words]
        with pytest.raises(SystemExit) as caught:
            main(list(map(str, given)))
        return int(caught.value.code or 0)

    assert run("--model", tiny_model) == 2
    assert "lite-metric" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run("--every", "2", "--json") == 0
    assert '"done": 2' in capsys.readouterr().out
    reader = BagReader(tmp_path / "out", depth=True)
    made = list(reader.depths())
    assert [one.depth.shape for one in made] == [(20, 30)] * 2
    assert made[0].camera is not None
    assert made[0].camera.fx == 50
    assert run("--every", "2") == 2
    assert "there already" in capsys.readouterr().err
