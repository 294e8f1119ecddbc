"""``/v1/pair``: what two pictures of one scene say together."""

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("cv2")

from leadline.camera import Camera
from leadline.serve import create_app
from testing.room import view
from testing.serving import Running, encode, make_estimator, make_form, make_picture, run_app

LENS = Camera.from_fov(480, 360, fov_deg=60)


def stand(x: float) -> np.ndarray:
    pose = np.eye(4)
    pose[0, 3] = x
    return pose


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    left, _ = view(LENS.moved(stand(0.0)))
    right, _ = view(LENS.moved(stand(0.5)))
    return {"left": encode(left.pixels), "right": encode(right.pixels)}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with run_app(create_app([make_estimator()])) as running:
        running.wait_ready()
        yield running


def test_matches_lie_on_their_epipolar_lines(server: Running, files: dict[str, bytes]) -> None:
    body, kind = make_form(files)
    found = server.ask("/v1/pair", body, content_type=kind).json
    assert found["inliers"] >= 50
    assert found["points"] is None
    assert "fov" in found["why_no_points"]
    for side in ("left", "right"):
        places, ends = np.array(found[side]["points"]), np.array(found[side]["lines"])
        along = ends[:, 1] - ends[:, 0]
        there = places - ends[:, 0]
        away = along[:, 0] * there[:, 1] - along[:, 1] * there[:, 0]
        away /= np.linalg.norm(along, axis=1)
        assert np.median(np.abs(away)) < 0.5
        assert np.abs(along[:, 1]).max() < 40  # the camera moved sideways: lines are level


def test_a_known_lens_gives_points(server: Running, files: dict[str, bytes]) -> None:
    body, kind = make_form(files, fov="60")
    points = server.ask("/v1/pair", body, content_type=kind).json["points"]
    xyz = np.array(points["xyz"])
    assert len(xyz) >= 30
    assert len(points["rgb"]) == len(xyz)
    assert points["unit"] == "baseline"
    motion = np.array(points["second_from_first"])[:3, 3]
    np.testing.assert_allclose(motion, [-1, 0, 0], atol=0.05)
    pixels = xyz[:, :2] / xyz[:, 2:] * LENS.fx + [LENS.cx, LENS.cy]
    _, depth = view(LENS.moved(stand(0.0)))
    u, v = pixels.round().astype(int).T.clip(0, [[479], [359]])
    assert np.median(np.abs(xyz[:, 2] * 0.5 / depth[v, u] - 1)) < 0.05


def test_pictures_that_share_nothing_are_refused(server: Running, files: dict[str, bytes]) -> None:
    flat = encode(make_picture(100, 120))
    body, kind = make_form({"left": flat, "right": flat})
    assert server.ask("/v1/pair", body, content_type=kind).status == 422
    body, kind = make_form({"left": files["left"]})
    reply = server.ask("/v1/pair", body, content_type=kind)
    assert (reply.status, reply.json["code"]) == (400, "no_picture")
    body, kind = make_form(files, zoom="2")
    assert server.ask("/v1/pair", body, content_type=kind).json["code"] == "unknown_option"
