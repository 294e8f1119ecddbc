"""The Open Inference Protocol (KServe V2) under ``/v2``, with JSON and binary tensors.

Input ``image``: UINT8 [h, w, 3] or [n, h, w, 3], RGB; or BYTES [n], encoded pictures (base64 in
JSON). Outputs: ``depth`` FP32 [n, h, w], NaN where there is no value, and what else the model gives
of every pixel: ``confidence``, ``normals``, ``points``. ``parameters`` may hold ``fov``, degrees;
those of the answer say kind, unit and licence.

Source: KServe, Open Inference Protocol, V2 HTTP/REST; its binary tensor data extension.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from leadline.prediction import Prediction
from leadline.serve import openapi
from leadline.serve.depth import make_reader, parse_number
from leadline.serve.faults import Fault
from leadline.serve.models import ServedModel
from leadline.serve.service import Service, run_while_connected
from leadline.version import __version__

_LENGTH = "inference-header-content-length"
_OUTPUTS = {"depth": (), "confidence": (), "normals": (3,), "points": (3,)}
"""Output -> axes behind (n, h, w)."""
_MOST_PICTURES = 16


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """An output that a request asks for."""

    name: str
    binary: bool


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A request, understood.

    Attributes:
        id: to be repeated.
        pictures: encoded ones or (h, w, 3) uint8 arrays.
        outputs: what to send back.
        fov: horizontal field of view in degrees, or None.
    """

    id: str
    pictures: Sequence[bytes | np.ndarray]
    outputs: Sequence[_Wanted]
    fov: float | None


def make_router(service: Service) -> APIRouter:
    """The routes of the protocol."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

    @router.get("")
    async def server() -> JSONResponse:
        """The server's name, version and extensions."""
        content = {"name": "leadline", "version": __version__, "extensions": ["binary_tensor_data"]}
        return JSONResponse(content)

    @router.get("/health/live")
    async def live() -> JSONResponse:
        """Whether the process answers."""
        return JSONResponse({"live": True})

    @router.get("/health/ready")
    async def ready() -> JSONResponse:
        """Whether every model can predict."""
        found = service.engine.ready
        return JSONResponse({"ready": found}, status_code=200 if found else 503)

    @router.get("/models/{model}")
    @router.get("/models/{model}/versions/{version}", include_in_schema=False)
    async def metadata(model: str) -> JSONResponse:
        """Tensors of a model."""
        return JSONResponse(_describe(service.models.find(model)))

    @router.get("/models/{model}/ready")
    @router.get("/models/{model}/versions/{version}/ready", include_in_schema=False)
    async def model_ready(model: str) -> JSONResponse:
        """Whether a model can predict."""
        found = service.models.find(model)
        is_ready = found.state == "ready"
        content = {"name": found.name, "ready": is_ready}
        return JSONResponse(content, status_code=200 if is_ready else 503)

    @router.post("/models/{model}/infer", response_class=Response, openapi_extra=openapi.INFER)
    @router.post("/models/{model}/versions/{version}/infer", include_in_schema=False)
    async def infer(model: str, request: Request) -> Response:
        """Depth of one or several pictures of one size."""
        found = service.models.find(model)
        request.state.model = found.name
        service.engine.check_room()
        upload = await service.uploads.read(request)
        body, head = upload.files.get("image", b""), request.headers.get(_LENGTH)
        asked = await service.engine.in_thread(lambda pair: _understand(*pair), (body, head))
        made = await run_while_connected(request, _predict_all(service, found, asked))
        return await service.engine.in_thread(lambda _: _answer(found, asked, made), None)

    return router


async def _predict_all(service: Service, model: ServedModel, asked: _Asked) -> list[Prediction]:
    most = service.limits.max_megapixels

    def predict(picture: bytes | np.ndarray) -> Any:
        prepare = make_reader(picture, asked.fov, most)
        return service.engine.predict(model, prepare, lambda prediction: prediction)

    return await asyncio.gather(*map(predict, asked.pictures))


def _describe(model: ServedModel) -> dict[str, Any]:
    outputs = [
        {"name": name, "datatype": "FP32", "shape": [-1, -1, -1, *axes]}
        for name, axes in _OUTPUTS.items()
    ]
    about = model.describe()
    return {
        "name": model.name,
        "versions": ["1"],
        "platform": "leadline",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
        "outputs": outputs,
        "parameters": {key: about.get(key) for key in ("kind", "unit", "licence", "state")},
    }


def _refuse(message: str) -> Fault:
    return Fault(400, "bad_request", message)


def _understand(body: bytes, head: str | None) -> _Asked:
    """The request that a body holds.

    Raises:
        Fault: 400.
    """
    if head is not None and not (head.isdigit() and int(head) <= len(body)):
        raise _refuse(f"Inference-Header-Content-Length: {head} of a body of {len(body)} bytes.")
    cut = len(body) if head is None else int(head)
    try:
        record = json.loads(body[:cut])
        given = record["inputs"]
        parameters = record.get("parameters") or {}
        wanted = record.get("outputs") or []
        if len(given) != 1 or given[0]["name"] != "image":
            raise _refuse("one input named image is needed.")
        return _Asked(
            id=str(record.get("id", "")),
            pictures=_read_pictures(given[0], memoryview(body)[cut:]),
            outputs=[_read_output(one, parameters) for one in wanted or [{"name": "depth"}]],
            fov=parse_number({k: str(v) for k, v in parameters.items()}, "fov", 5, 150),
        )
    except (
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:
        why = " ".join(str(error).split())[:200]
        raise _refuse(f"no request of the Open Inference Protocol ({why}).") from None


def _read_output(one: Mapping[str, Any], parameters: Mapping[str, Any]) -> _Wanted:
    name = one["name"]
    if name not in _OUTPUTS:
        raise _refuse(f"output {name}: {', '.join(_OUTPUTS)} are known.")
    chosen = (one.get("parameters") or {}).get("binary_data")
    binary = parameters.get("binary_data_output", False) if chosen is None else chosen
    return _Wanted(name=name, binary=bool(binary))


def _read_pictures(given: Mapping[str, Any], raw: memoryview) -> list[bytes | np.ndarray]:
    """The pictures of the input tensor, from its JSON or from the bytes behind it."""
    shape = [int(side) for side in given["shape"]]
    size = (given.get("parameters") or {}).get("binary_data_size")
    if size is not None and int(size) != len(raw):
        raise _refuse(f"binary_data_size {size}, and {len(raw)} bytes follow the header.")
    if given["datatype"] == "BYTES":
        data = _texts_in(raw) if size is not None else _texts_of(given["data"])
        if math.prod(shape) != len(data) or not 1 <= len(data) <= _MOST_PICTURES:
            raise _refuse(f"shape {shape} and {len(data)} pictures: 1 to {_MOST_PICTURES}.")
        return list(data)
    if given["datatype"] != "UINT8":
        raise _refuse(f"datatype {given['datatype']}: UINT8 or BYTES is needed.")
    shape = shape if len(shape) == 4 else [1, *shape]
    if len(shape) != 4 or shape[3] != 3 or min(shape) < 1 or shape[0] > _MOST_PICTURES:
        raise _refuse(f"shape {shape}: [h, w, 3] or [n, h, w, 3] is needed, n up to 16.")
    if size is None:
        array = np.asarray(given["data"])
        if array.dtype.kind not in "iu" or array.size != math.prod(shape):
            raise _refuse(f"{array.size} numbers for the shape {shape}.")
        if array.min() < 0 or array.max() > 255:
            raise _refuse("UINT8 numbers are 0 to 255.")
    else:
        array = np.frombuffer(raw, np.uint8)
    return list(array.astype(np.uint8, copy=False).reshape(shape))


def _texts_in(raw: memoryview) -> list[bytes]:
    """Elements of a binary BYTES tensor: each has its length in 4 bytes before it."""
    found = []
    while raw:
        size = int.from_bytes(raw[:4], "little")
        if len(raw) < 4 + size:
            raise _refuse("the BYTES tensor ends before its last element does.")
        found.append(bytes(raw[4 : 4 + size]))
        raw = raw[4 + size :]
    return found


def _texts_of(data: Any) -> list[bytes]:
    try:
        return [base64.b64decode(text, validate=True) for text in np.ravel(data).tolist()]
    except binascii.Error as error:
        raise _refuse(f"BYTES in JSON are base64 of encoded pictures ({error}).") from None


def _answer(model: ServedModel, asked: _Asked, made: Sequence[Prediction]) -> Response:
    sizes = {prediction.size for prediction in made}
    if len(sizes) > 1:
        raise _refuse(f"pictures of sizes {sorted(sizes)}: one size is needed in a request.")
    records, blobs = [], []
    for wanted in asked.outputs:
        array = np.stack([_output_of(prediction, wanted.name) for prediction in made])
        record: dict[str, Any] = {
            "name": wanted.name,
            "datatype": "FP32",
            "shape": list(array.shape),
        }
        if wanted.binary:
            blobs.append(array.tobytes())
            record["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            record["data"] = [value if value == value else None for value in array.ravel().tolist()]
        records.append(record)
    kind = made[0].kind
    head = {
        "model_name": model.name,
        "model_version": "1",
        "id": asked.id,
        "parameters": {"kind": str(kind), "unit": kind.unit, "licence": model.licence},
        "outputs": records,
    }
    text = json.dumps(head).encode()
    if not blobs:
        return Response(text, media_type="application/json")
    headers = {"Inference-Header-Content-Length": str(len(text))}
    body = b"".join([text, *blobs])
    return Response(body, media_type="application/octet-stream", headers=headers)


def _output_of(prediction: Prediction, name: str) -> np.ndarray:
    if name == "depth":
        valid = prediction.valid
        values = prediction.values if valid is None else np.where(valid, prediction.values, np.nan)
        return values.astype("<f4", copy=False)
    found = getattr(prediction, name)
    if found is None:
        raise _refuse(f"output {name}: {prediction.model} does not give it.")
    return found.astype("<f4", copy=False)
