"""The Open Inference Protocol, asked by tritonclient and by hand."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

from leadline.serve import create_app
from testing.serving import Running, encode, make_estimator, make_picture, run_app

PICTURES = np.stack([make_picture(), make_picture(seed=3)])
EXPECTED = np.stack([make_estimator().predict(one).values for one in PICTURES])


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with run_app(create_app([make_estimator()])) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def triton() -> Any:
    return pytest.importorskip("tritonclient.http")


def ask(server: Running, record: Any) -> Any:
    return server.ask("/v2/models/red/infer", json.dumps(record).encode())


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_tritonclient_works_unchanged(
    server: Running, triton: Any, binary_in: bool, binary_out: bool
) -> None:
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("red")
    assert client.get_server_metadata()["name"] == "leadline"
    metadata = client.get_model_metadata("red")
    assert metadata["inputs"][0]["name"] == "image"
    assert metadata["parameters"]["kind"] == "metric_depth"
    image = triton.InferInput("image", list(PICTURES.shape), "UINT8")
    image.set_data_from_numpy(PICTURES, binary_data=binary_in)
    wanted = [triton.InferRequestedOutput("depth", binary_data=binary_out)]
    result = client.infer("red", [image], outputs=wanted, request_id="7")
    np.testing.assert_allclose(result.as_numpy("depth"), EXPECTED, rtol=1e-6)
    assert result.get_response()["id"] == "7"
    assert result.get_response()["parameters"]["unit"] == "m"
    client.close()


def test_encoded_pictures_go_as_bytes(server: Running, triton: Any) -> None:
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    image = triton.InferInput("image", [1], "BYTES")
    image.set_data_from_numpy(np.array([encode(PICTURES[0])], dtype=object))
    result = client.infer("red", [image])
    np.testing.assert_array_equal(result.as_numpy("depth"), EXPECTED[:1])
    client.close()


def test_tritonclient_shows_our_errors(server: Running, triton: Any) -> None:
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    image = triton.InferInput("image", [4, 4, 2], "UINT8")
    image.set_data_from_numpy(np.zeros((4, 4, 2), np.uint8))
    with pytest.raises(triton.InferenceServerException, match=r"\[h, w, 3\]"):
        client.infer("red", [image])
    with pytest.raises(triton.InferenceServerException, match="not served here"):
        client.get_model_metadata("blue")
    client.close()


def test_base64_and_lists_in_json(server: Running) -> None:
    text = base64.b64encode(encode(PICTURES[0])).decode()
    given = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [text]}
    found = ask(server, {"inputs": [given]}).json["outputs"][0]
    assert (found["datatype"], found["shape"]) == ("FP32", [1, 48, 64])
    np.testing.assert_allclose(np.reshape(found["data"], (1, 48, 64)), EXPECTED[:1], rtol=1e-6)
    nested = {"name": "image", "datatype": "UINT8", "shape": [48, 64, 3]}
    found = ask(server, {"inputs": [nested | {"data": PICTURES[0].tolist()}]}).json["outputs"][0]
    np.testing.assert_allclose(np.reshape(found["data"], (1, 48, 64)), EXPECTED[:1], rtol=1e-6)


@pytest.mark.filterwarnings("ignore::leadline.LeadlineWarning")
def test_no_value_is_null_in_json() -> None:
    def run(images: np.ndarray) -> np.ndarray:
        maps = 1 + images[:, 0]
        maps[:, 0, 0] = np.nan
        return maps

    with run_app(create_app([make_estimator(run=run)])) as server:
        server.wait_ready()
        given = {"name": "image", "datatype": "UINT8", "shape": [64, 64, 3]}
        reply = ask(server, {"inputs": [given | {"data": [7] * (64 * 64 * 3)}]})
    assert b"NaN" not in reply.body
    assert None in reply.json["outputs"][0]["data"]


GIVEN = {"name": "image", "datatype": "UINT8", "shape": [1, 1, 3], "data": [1, 2, 3]}


@pytest.mark.parametrize(
    "record",
    [
        [],
        {},
        {"inputs": []},
        {"inputs": [GIVEN, GIVEN]},
        {"inputs": [GIVEN | {"name": "picture"}]},
        {"inputs": [GIVEN | {"datatype": "FP32"}]},
        {"inputs": [GIVEN | {"data": [1, 2]}]},
        {"inputs": [GIVEN | {"data": [1, 2, 300]}]},
        {"inputs": [GIVEN | {"data": [1, 2, 1e99]}]},
        {"inputs": [GIVEN | {"data": [[1], [2, 3]]}]},
        {"inputs": [GIVEN | {"shape": [-1, -1, 3]}]},
        {"inputs": [GIVEN | {"shape": ["x"]}]},
        {"inputs": [GIVEN | {"shape": [17, 1, 1, 3], "data": [1] * 51}]},
        {"inputs": [GIVEN | {"datatype": "BYTES", "shape": [1], "data": ["/etc/passwd"]}]},
        {"inputs": [GIVEN | {"parameters": {"binary_data_size": 3}}]},
        {"inputs": [GIVEN], "outputs": [{"name": "colour"}]},
        {"inputs": [GIVEN], "outputs": [{"name": "confidence"}]},
        {"inputs": [GIVEN], "parameters": {"fov": "wide"}},
        {"inputs": [GIVEN], "parameters": 3},
    ],
    ids=str,
)
def test_a_wrong_request_is_400_in_the_protocols_form(server: Running, record: Any) -> None:
    reply = ask(server, record)
    assert reply.status in (400, 422), reply.body
    assert isinstance(reply.json["error"], str)


@pytest.mark.parametrize(
    ("body", "length"),
    [(b"{", "1"), (b"[" * 100_000, "100000"), (b"{}", "99"), (b"{}", "-1"), (b"\xff\xfe", "2")],
)
def test_a_broken_header_is_400(server: Running, body: bytes, length: str) -> None:
    reply = server.ask("/v2/models/red/infer", body, inference_header_content_length=length)
    assert reply.status == 400


def test_a_bytes_tensor_that_ends_early_is_400(server: Running) -> None:
    given = {"name": "image", "datatype": "BYTES", "shape": [1]}
    given["parameters"] = {"binary_data_size": 6}
    head = json.dumps({"inputs": [given]}).encode()
    body = head + (99).to_bytes(4, "little") + b"ab"
    length = str(len(head))
    reply = server.ask("/v2/models/red/infer", body, inference_header_content_length=length)
    assert reply.status == 400
    assert "ends before" in reply.json["error"]
