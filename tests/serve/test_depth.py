"""``/v1/depth`` and ``/v1/models``: the map of the library, with its meaning, in every format."""

import base64
import io
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("fastapi")

from leadline.io import FORMATS, decode_png16
from leadline.kinds import DepthKind
from leadline.serve import Limits, create_app
from testing.serving import Running, encode, make_estimator, make_form, make_picture, run_app

PICTURE = make_picture()
EXPECTED = make_estimator().predict(PICTURE)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    near = make_estimator("near", kind=DepthKind.AFFINE_DISPARITY)
    limits = Limits(max_megapixels=0.05, max_body_mb=0.1)
    with run_app(create_app([make_estimator(), near], limits=limits)) as running:
        running.wait_ready()
        yield running


def test_raw_values_are_those_of_the_library(server: Running) -> None:
    reply = server.ask("/v1/depth", encode(PICTURE), accept="application/octet-stream")
    assert reply.status == 200
    values = np.frombuffer(reply.body, "<f4").reshape(48, 64)
    np.testing.assert_array_equal(values, EXPECTED.values)
    headers = reply.headers
    assert headers["x-depth-shape"] == "48,64"
    assert headers["x-depth-kind"] == "metric_depth"
    assert headers["x-depth-unit"] == "m"
    assert headers["x-depth-scale"] == "metric"
    assert headers["x-depth-model"] == "red"
    assert headers["x-depth-licence"] == "Apache-2.0"
    assert float(headers["x-depth-min"]) == pytest.approx(values.min())
    assert float(headers["x-depth-max"]) == pytest.approx(values.max())
    assert "x-depth-camera" not in headers


def test_accept_chooses_npz(server: Running) -> None:
    reply = server.ask("/v1/depth", encode(PICTURE), accept="application/x-npz")
    found = np.load(io.BytesIO(reply.body))
    np.testing.assert_array_equal(found["values"], EXPECTED.values)
    assert str(found["kind"]) == "metric_depth"


def test_accept_chooses_a_16_bit_png(server: Running) -> None:
    reply = server.ask("/v1/depth", encode(PICTURE), accept="image/png, */*;q=0.1")
    assert reply.headers["content-type"] == "image/png"
    found = decode_png16(reply.body)
    span = EXPECTED.values.max() - EXPECTED.values.min()
    assert np.abs(found.values - EXPECTED.values).max() < span / 60000


def test_json_is_what_comes_unasked(server: Running) -> None:
    record = server.ask("/v1/depth?model=near&fov=60", encode(PICTURE)).json
    values = np.frombuffer(base64.b64decode(record["values"]), "<f4")
    np.testing.assert_array_equal(values.reshape(48, 64), EXPECTED.values)
    assert record["kind"] == "affine_disparity"
    assert record["unit"] == "1"
    assert record["camera"]["fx"] == pytest.approx(32 / np.tan(np.pi / 6))


def test_a_form_holds_picture_and_options(server: Running) -> None:
    body, kind = make_form({"image": encode(PICTURE)}, model="near", format="npy")
    reply = server.ask("/v1/depth", body, content_type=kind)
    np.testing.assert_array_equal(np.load(io.BytesIO(reply.body)), EXPECTED.values)
    assert reply.headers["x-depth-model"] == "near"


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_of_predict_can_be_had(server: Running, name: str) -> None:
    reply = server.ask(f"/v1/depth?format={name}&fov=60", encode(PICTURE))
    if reply.status == 501:
        pytest.skip(reply.json["error"])
    assert reply.status == 200, reply.body
    assert reply.body


def test_faults_of_files_show_no_folder_of_the_server(server: Running) -> None:
    reply = server.ask("/v1/depth?format=ply", encode(PICTURE))
    assert "/tmp" not in reply.json["error"]


def test_models_say_kind_unit_and_licence(server: Running) -> None:
    first, second = server.ask("/v1/models").json["models"]
    assert (first["name"], first["kind"], first["unit"]) == ("red", "metric_depth", "m")
    assert (second["name"], second["metric"]) == ("near", False)
    assert first["licence"] == "Apache-2.0"
    assert first["commercial_use"] == "yes"
    assert first["state"] == "ready"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("?model=blue", 404, "unknown_model"),
        ("?format=gltf", 400, "unknown_format"),
        ("?cmap=ink", 400, "unknown_name"),
        ("?colour=red", 400, "unknown_option"),
        ("?fov=inf", 400, "bad_number"),
        ("?fov=200", 400, "bad_number"),
        ("?model=near&format=ply&fov=60", 422, "kind"),
        ("?format=ply", 422, "unusable_input"),
    ],
)
def test_a_wrong_option_is_one_json_error(
    server: Running, query: str, status: int, code: str
) -> None:
    reply = server.ask(f"/v1/depth{query}", encode(PICTURE))
    assert (reply.status, reply.json["code"], reply.json["status"]) == (status, code, status)
    assert isinstance(reply.json["error"], str)
    assert set(reply.json) == {"error", "code", "status"}


@pytest.mark.parametrize(
    "body",
    [
        b"not a picture",
        encode(PICTURE)[:100],
        b"/etc/passwd",
        b"http://127.0.0.1/picture.png",
        b"file:///etc/passwd",
    ],
)
def test_what_is_no_picture_is_refused_and_never_opened(server: Running, body: bytes) -> None:
    reply = server.ask("/v1/depth", body)
    assert (reply.status, reply.json["code"]) == (422, "unusable_input")


def test_no_picture_and_two_pictures_are_refused(server: Running) -> None:
    assert server.ask("/v1/depth", b"").json["code"] == "no_picture"
    body, kind = make_form({"a": encode(PICTURE), "b": encode(PICTURE)})
    assert server.ask("/v1/depth", body, content_type=kind).json["code"] == "no_picture"


def test_a_broken_form_is_refused(server: Running) -> None:
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data"):
        reply = server.ask("/v1/depth", b"no form", content_type=kind)
        assert (reply.status, reply.json["code"]) == (400, "bad_form")


def test_pixels_are_bounded_before_they_are_decoded(server: Running) -> None:
    flat = encode(np.zeros((300, 300, 3), np.uint8))
    reply = server.ask("/v1/depth", flat)
    assert (reply.status, reply.json["code"]) == (413, "too_large")


def test_nothing_that_is_made_here_is_accepted(server: Running) -> None:
    reply = server.ask("/v1/depth", encode(PICTURE), accept="text/html")
    assert (reply.status, reply.json["code"]) == (406, "not_acceptable")


def test_another_method_or_path_is_one_json_error(server: Running) -> None:
    assert server.ask("/v1/depth").json["code"] == "method_not_allowed"
    assert server.ask("/v1/nothing").json["code"] == "not_found"


def test_openapi_describes_every_route_with_examples(server: Running) -> None:
    found = server.ask("/openapi.json").json
    assert {"/v1/depth", "/v1/models", "/v1/pair", "/healthz", "/metrics"} <= set(found["paths"])
    depth = found["paths"]["/v1/depth"]["post"]
    assert "multipart/form-data" in depth["requestBody"]["content"]
    assert depth["responses"]["429"]["content"]["application/json"]["example"]["code"] == "busy"
    assert "Fault" in found["components"]["schemas"]
