"""Cameras from --camera FILE: whatever the file holds, one clear line, and no picture is read."""

import json
from pathlib import Path

import pytest

from leadline.cli.cameras import check_camera
from leadline.errors import InputError

LENS = {"fx": 500, "fy": 500, "cx": 320, "cy": 240}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no JSON", "cannot be read as JSON"),
        ("", "cannot be read as JSON"),
        ("5", "neither a table"),
        ("null", "neither a table"),
        ('"fx"', "neither a table"),
        ("[1, 2]", "neither a table"),
        ('[["a", 1, 1], [1, 2], [3]]', "neither a table"),
        ('{"K": {"fx": 5}}', "neither a table"),
        ('{"K": [[1, 0, 3], [0, 1, 3], [0, 0, "x"]]}', "neither a table"),
        ('{"fx": 500}', r"missing keys \['cx', 'cy', 'fy'\]"),
        (json.dumps(LENS | {"zoom": 2}), r"unknown keys \['zoom'\]"),
        (json.dumps(LENS | {"fx": "wide"}), "camera fx = 'wide': a number"),
        (json.dumps(LENS | {"cx": None}), "camera cx = None: a number"),
        (json.dumps(LENS | {"fy": [5]}), r"camera fy = \[5\]: a number"),
        (json.dumps(LENS | {"width": {}, "height": 480}), "camera width = {}: a number"),
        (json.dumps(LENS | {"fx": -1}), "positive"),
        (json.dumps(LENS | {"world_from_camera": [[1, 2], [3]]}), "4x4"),
        (json.dumps(LENS | {"world_from_camera": "here"}), "4x4"),
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
    with pytest.raises(InputError, match="cannot be read"):
        check_camera(str(tmp_path), None)
    file = tmp_path / "camera.json"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        check_camera(str(file), None)
