"""Films of two eyes: the calibration is read, rows meet, and bad frames are left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from leadline.errors import InputError
from leadline.training.data.stereo_video import depthai_rig, rectified_refs, row_error
from leadline.training.options import Rig
from testing.planes import seen_from, wall

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "stereo" / "overhead_video"
BASELINE_CM, TURN = 7.5, 0.02


def calibration(width: int = 160, height: int = 96) -> dict[str, Any]:
    """Of two cameras without distortion; the right one is turned about its axis."""
    lens = [[120.0, 0.0, (width - 1) / 2], [0.0, 120.0, (height - 1) / 2], [0.0, 0.0, 1.0]]
    c, s = np.cos(TURN), np.sin(TURN)
    left = {
        "width": width,
        "height": height,
        "intrinsicMatrix": lens,
        "distortionCoeff": [0.0] * 14,
        "extrinsics": {
            "toCameraSocket": 2,
            "rotationMatrix": [[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]],
            "translation": {"x": -BASELINE_CM * c, "y": BASELINE_CM * s, "z": 0.0},
        },
    }
    return {
        "cameraData": [[1, left], [2, {**left, "extrinsics": {}}]],
        "stereoRectificationData": {"leftCameraSocket": 1, "rightCameraSocket": 2},
    }


def raw_pair() -> tuple[np.ndarray, np.ndarray]:
    """What those cameras see of a wall 1 m away."""
    texture = wall(np.random.default_rng(0), (96, 160), 60)
    left, right = (seen_from(texture, offset, 160, 60) for offset in (0.0, 120 * 0.075))
    turned = cv2.getRotationMatrix2D((79.5, 47.5), np.degrees(TURN), 1.0)
    return left, cv2.warpAffine(right, turned, (160, 96), borderMode=cv2.BORDER_REFLECT)


def test_the_rig_is_read_in_metres_and_rows_meet() -> None:
    rig = depthai_rig(calibration(), width=160)
    assert rig.baseline_m == pytest.approx(BASELINE_CM / 100)
    raw, made = row_error([raw_pair()]), row_error([rig.pair(*raw_pair())])
    assert made["points"] > 20
    assert made["median_abs"] < 0.5 * raw["median_abs"]


def test_what_is_no_calibration_is_refused() -> None:
    broken = calibration()
    del broken["stereoRectificationData"]
    with pytest.raises(InputError, match="DepthAI"):
        depthai_rig(broken)


def test_a_missing_film_is_refused(tmp_path: Path) -> None:
    (tmp_path / "calib.json").write_text(json.dumps(calibration()))
    with pytest.raises(InputError, match=r"left\.mp4"):
        rectified_refs(tmp_path, tmp_path / "cache")


def test_overexposed_frames_are_left_out_and_pairs_are_kept(tmp_path: Path) -> None:
    (tmp_path / "calib.json").write_text(json.dumps(calibration()))
    for side, picture in zip(("left", "right"), raw_pair(), strict=True):
        film = cv2.VideoWriter(
            str(tmp_path / f"{side}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (160, 96)
        )
        film.write(np.full_like(picture, 255))
        film.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        film.release()
    refs = rectified_refs(tmp_path, tmp_path / "cache")
    assert [ref.name for ref in refs] == ["film/000001"]
    stamp = (tmp_path / "cache" / "left" / "000001.png").stat().st_mtime_ns
    frame = rectified_refs(tmp_path, tmp_path / "cache")[0].read()
    assert (tmp_path / "cache" / "left" / "000001.png").stat().st_mtime_ns == stamp
    assert frame.right is not None
    assert frame.baseline_m == pytest.approx(0.075)


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared")
def test_the_real_rig_has_its_published_baseline() -> None:
    rig = depthai_rig(json.loads((SHARED / "calib.json").read_text()))
    assert rig.baseline_m == pytest.approx(0.075, rel=0.03)
    assert rig.camera.fov_deg < Rig().fov_deg
