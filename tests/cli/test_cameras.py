"""Cameras from --camera FILE: whatever the file holds, one clear line, and no picture is read."""

import json
from pathlib import Path

import numpy as np
import pytest

from leadline.cli.cameras import camera_for, check_camera
from leadline.errors import InputError
from leadline.image import Image

LENS = {"fx": 500, "fy": 500, "cx": 320, "cy": 240}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no JSON", "cannot be read"),
        ("", "cannot be read"),
        ("5", "holds a bare int; a camera is needed"),
        ("null", "a camera is needed"),
        ('"fx"', "a camera is needed"),
        ("[1, 2]", "holds 2 numbers; a camera is needed"),
        ('[["a", 1, 1], [1, 2], [3]]', "cannot be read"),
        ('{"K": {"fx": 5}}', "a camera is needed"),
        ('{"K": [[1, 0, 3], [0, 1, 3], [0, 0, "x"]]}', "cannot be read"),
        ('{"fx": 500}', "holds fx; a camera is needed"),
        (json.dumps(LENS | {"fx": "wide"}), "'wide'"),
        (json.dumps(LENS | {"cx": None}), "a camera is needed"),
        (json.dumps(LENS | {"fy": [5]}), "cannot be read"),
        (json.dumps(LENS | {"width": {}, "height": 480}), "camera width = {}: a number"),
        (json.dumps(LENS | {"fx": -1}), "positive"),
    ],
)
def test_odd_files_are_told(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "camera.json"
    file.write_text(text)
    with pytest.raises(InputError, match=message) as told:
        check_camera(str(file), None)
    assert "camera.json" in str(told.value)
    assert "\n" not in str(told.value)


def test_a_folder_and_bytes_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder without cameras"):
        check_camera(str(tmp_path), None)
    file = tmp_path / "camera.json"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        check_camera(str(file), None)


@pytest.mark.parametrize(
    ("name", "text", "center"),
    [
        ("cameras.txt", "# Camera list\n1 PINHOLE 320 213 300 300 160.5 107", (160, 106.5)),
        (
            "o3d.json",
            '{"width": 320, "height": 213, '
            '"intrinsic_matrix": [300, 0, 0, 0, 300, 0, 160, 106, 1]}',
            (160, 106),
        ),
        (
            "ros.yaml",
            "image_width: 320\nimage_height: 213\ncamera_matrix:\n  rows: 3\n  cols: 3\n"
            "  data: [300.0, 0.0, 160.0, 0.0, 300.0, 106.0, 0.0, 0.0, 1.0]\n",
            (160, 106),
        ),
        (
            "transforms.json",
            '{"fl_x": 300, "fl_y": 300, "cx": 160.5, "cy": 107, "w": 320, "h": 213, "frames": []}',
            (160, 106.5),
        ),
        ("K.txt", "300 0 160\n0 300 106\n0 0 1\n", (160, 106)),
        ("lens.txt", "300 300 160 106", (160, 106)),
        ("lens.json", '{"fx": 300, "fy": 300, "cx": 160, "cy": 106}', (160, 106)),
    ],
)
def test_calibrations_of_others_are_cameras(
    name: str, text: str, center: tuple[float, float], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    image = Image(pixels=np.zeros((213, 320, 3), np.uint8), name="base.jpg")
    check_camera(str(tmp_path / name), None)
    found = camera_for(image, camera=str(tmp_path / name), fov_deg=None)
    assert (found.fx, found.fy, found.cx, found.cy) == (300, 300, *center)
    half = Image(pixels=np.zeros((107, 160, 3), np.uint8))  # of 106.5 rows
    if "width" in text or "PINHOLE" in text or '"w"' in text:
        half_camera = camera_for(half, camera=str(tmp_path / name), fov_deg=None)
        assert half_camera.fx == pytest.approx(150)
