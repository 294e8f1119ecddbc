"""``/v1/measure`` and ``/v1/stereo-view``: what else becomes of a picture and its map."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict

from fastapi import APIRouter, Request
from fastapi.responses import Response
from PIL import Image as PilImage

from leadline.effects import PACKINGS, pack_pair, render_pair
from leadline.prediction import Prediction
from leadline.serve import openapi
from leadline.serve.answers import Answer, describe_map
from leadline.serve.depth import check_names, make_reader, only_picture, parse_number, send
from leadline.serve.faults import Fault
from leadline.serve.service import Service, run_while_connected

_QUANTITIES = ("distance", "area", "angle")
_NUMBER = r"-?\d+(?:\.\d+)?"

Use = Callable[[Prediction], Answer]
"""Makes the answer of a map."""


def make_router(service: Service) -> APIRouter:
    """The routes, on the engine and the models of a server."""
    router = APIRouter(tags=["uses"])

    async def answer(request: Request, plan: Callable[[Mapping[str, str]], Use]) -> Response:
        service.engine.check_room()
        upload = await service.uploads.read(request)
        use = plan(upload.fields)
        model = service.models.find(upload.fields.get("model") or None)
        request.state.model = model.name

        def finish(prediction: Prediction) -> Answer:
            made = use(prediction)
            headers = describe_map(prediction, model.licence)
            return Answer(body=made.body, media=made.media, headers=headers)

        fov = parse_number(upload.fields, "fov", 5, 150)
        prepare = make_reader(only_picture(upload), fov, service.limits.max_megapixels)
        work = service.engine.predict(model, prepare, finish)
        return send(await run_while_connected(request, work))

    @router.post("/v1/measure", response_class=Response, openapi_extra=openapi.MEASURE)
    async def measure(request: Request) -> Response:
        """A distance, area or angle between pixels, in metres, with its 90 % interval."""
        return await answer(request, plan_measure)

    @router.post("/v1/stereo-view", response_class=Response, openapi_extra=openapi.STEREO_VIEW)
    async def stereo_view(request: Request) -> Response:
        """A picture for both eyes, as PNG."""
        return await answer(request, plan_stereo_view)

    return router


def plan_measure(given: Mapping[str, str]) -> Use:
    """What a request of ``/v1/measure`` asks for.

    Raises:
        Fault: 400, an option that makes no sense.
    """
    check_names(given, ("model", "fov", "points", "what", "plane"))
    what = given.get("what", "distance")
    if what not in _QUANTITIES:
        raise Fault(400, "unknown_name", f"what={what}: one of {', '.join(_QUANTITIES)}.")
    points, plane = parse_points(given.get("points", ""), "points"), given.get("plane")
    corners = None if plane is None else parse_points(plane, "plane")

    def use(prediction: Prediction) -> Answer:
        found = prediction.measure(points, quantity=what, plane=corners)
        record = asdict(found) | {"points": found.points.tolist()}
        return Answer(body=json.dumps(record).encode(), media="application/json")

    return use


def parse_points(text: str, name: str) -> list[tuple[float, float]]:
    """``x,y x,y ...`` as numbers.

    Raises:
        Fault: 400, another text.
    """
    words = text.split()
    if not words or not all(re.fullmatch(f"{_NUMBER},{_NUMBER}", word) for word in words):
        raise Fault(400, "bad_points", f"{name}={text[:80]}: pixels are needed, 10,20 30.5,40 say.")
    pairs = (word.split(",") for word in words)
    return [(float(x), float(y)) for x, y in pairs]


def plan_stereo_view(given: Mapping[str, str]) -> Use:
    """What a request of ``/v1/stereo-view`` asks for.

    Raises:
        Fault: 400, an option that makes no sense.
    """
    check_names(given, ("model", "fov", "packing", "divergence", "convergence"))
    packing = given.get("packing", "sbs")
    if packing not in PACKINGS:
        raise Fault(400, "unknown_name", f"packing={packing}: one of {', '.join(PACKINGS)}.")
    divergence = parse_number(given, "divergence", 0.01, 10)
    convergence = parse_number(given, "convergence", 0, 1)

    def use(prediction: Prediction) -> Answer:
        left, right = render_pair(
            prediction,
            divergence=2.0 if divergence is None else divergence,
            convergence=0.5 if convergence is None else convergence,
        )
        file = io.BytesIO()
        PilImage.fromarray(pack_pair(left, right, packing)).save(file, "PNG")
        return Answer(body=file.getvalue(), media="image/png")

    return use
