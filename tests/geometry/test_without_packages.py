"""What is said where an optional package is absent."""

import sys
from pathlib import Path

import numpy as np
import pytest

from leadline import geometry
from leadline.errors import MissingDependencyError
from leadline.image import Image
from leadline.io import read_video
from testing.two_views import two_views


def test_opencv_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    picture = Image(pixels=np.zeros((20, 20, 3), np.uint8))
    with pytest.raises(MissingDependencyError, match=r"leadline\[geometry\]"):
        geometry.match(picture, picture)
    scene = two_views(0)
    matches = geometry.Matches(first=scene.pixels[0], second=scene.pixels[1])
    with pytest.raises(MissingDependencyError, match="cv2"):
        geometry.relative_pose(matches, scene.cameras[0])


def test_triangulating_needs_numpy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setitem(sys.modules, "scipy", None)
    scene = two_views(0)
    assert geometry.triangulate(scene.pixels, scene.cameras).keep.any()


def test_scipy_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from leadline.sequence.bundle_adjustment import Observations, adjust_bundle

    monkeypatch.setitem(sys.modules, "scipy", None)
    seen = Observations(
        pose=np.array([0, 1]),
        point=np.array([0, 0]),
        slopes=np.zeros((2, 2)),
        focals=np.ones((2, 2)),
    )
    poses, points = np.stack([np.eye(4)] * 2), np.array([[0.1, 0.1, 4.0]])
    with pytest.raises(MissingDependencyError, match=r"leadline\[geometry\]"):
        adjust_bundle(poses, points, seen, np.array([True, False]))


def test_pyav_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    film = tmp_path / "film.mp4"
    film.write_bytes(b"x")
    with pytest.raises(MissingDependencyError, match=r"leadline\[video\]"):
        next(read_video(film))
