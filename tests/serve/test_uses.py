"""``/v1/measure`` and ``/v1/stereo-view``: what the library makes of a map."""

import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as PilImage

pytest.importorskip("fastapi")

from leadline.camera import Camera
from leadline.effects import pack_pair, render_pair
from leadline.kinds import DepthKind
from leadline.serve import create_app
from testing.serving import Running, encode, make_estimator, make_picture, run_app

PICTURE = make_picture()
PREDICTION = replace(make_estimator().predict(PICTURE), camera=Camera.from_fov(64, 48, fov_deg=60))


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    near = make_estimator("near", kind=DepthKind.AFFINE_DISPARITY)
    with run_app(create_app([make_estimator(), near])) as running:
        running.wait_ready()
        yield running


def test_a_distance_is_the_librarys(server: Running) -> None:
    reply = server.ask("/v1/measure?fov=60&points=5,6%2040,30", encode(PICTURE))
    expected = PREDICTION.measure([(5, 6), (40, 30)])
    assert reply.json["value"] == pytest.approx(expected.value)
    assert (reply.json["quantity"], reply.json["unit"]) == ("distance", "m")
    np.testing.assert_allclose(reply.json["points"], expected.points)


def test_a_map_without_metres_measures_nothing(server: Running) -> None:
    reply = server.ask("/v1/measure?model=near&fov=60&points=5,6%2040,30", encode(PICTURE))
    assert (reply.status, reply.json["code"]) == (422, "kind")


def test_both_views_are_the_librarys(server: Running) -> None:
    reply = server.ask("/v1/stereo-view?packing=anaglyph&divergence=3", encode(PICTURE))
    with PilImage.open(io.BytesIO(reply.body)) as opened:
        found = np.asarray(opened)
    left, right = render_pair(PREDICTION, divergence=3)
    np.testing.assert_array_equal(found, pack_pair(left, right, "anaglyph"))
    assert reply.headers["x-depth-kind"] == "metric_depth"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/measure?fov=60", 400),
        ("/v1/measure?fov=60&points=1,2", 422),
        ("/v1/measure?fov=60&points=a,b%20c,d", 400),
        ("/v1/measure?fov=60&points=1,2%20900,2", 422),
        ("/v1/measure?fov=60&points=1,2%203,4&what=weight", 400),
        ("/v1/measure?points=1,2%203,4", 422),
        ("/v1/stereo-view?packing=cube", 400),
        ("/v1/stereo-view?divergence=50", 400),
    ],
)
def test_a_wrong_option_is_one_json_error(server: Running, path: str, status: int) -> None:
    reply = server.ask(path, encode(PICTURE))
    assert reply.status == reply.json["status"] == status, reply.body
