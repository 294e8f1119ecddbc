"""``/v1/cloud``: a picture in, its points or its mesh out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from leadline.cloud import CloudOptions
from leadline.prediction import Prediction
from leadline.serve import openapi
from leadline.serve.answers import Answer, choose_by_type, describe_map, encode_file
from leadline.serve.depth import check_names, make_reader, only_picture, parse_number, send
from leadline.serve.faults import Fault
from leadline.serve.service import Service, run_while_connected

MEDIA = {
    "glb": "model/gltf-binary",
    "ply": "application/ply",
    "html": "text/html",
}
"""Format -> media type; the first is what ``*/*`` means."""

_SHAPES = ("points", "mesh")
_MOST_POINTS = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a request may say beside its picture.

    Attributes:
        model: name; None: the first that is served.
        format: a key of :data:`MEDIA`; None: as ``Accept`` says.
        shape: ``points`` or ``mesh``.
        fov: horizontal field of view in degrees, in place of the picture's EXIF.
        max_depth: metres; what is farther is left out.
        relief: softness of a depth that is made up for looks; None: only real depth.
        points: at most; None: one for every pixel.
        edges, sky: see :class:`leadline.cloud.CloudOptions`.
    """

    model: str | None = None
    format: str | None = None
    shape: str = "points"
    fov: float | None = None
    max_depth: float | None = None
    relief: float | None = None
    points: int | None = None
    edges: str = "cut"
    sky: str = "cut"

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Options:
        """The options of a request.

        Raises:
            Fault: 400, of another name, or a value that makes no sense.
            UnknownNameError: another way with edges or sky.
        """
        check_names(given, [field.name for field in fields(cls)])
        shape, wanted = given.get("shape", "points"), given.get("format")
        if shape not in _SHAPES or wanted not in (None, *MEDIA):
            known = f"shape is one of {', '.join(_SHAPES)}, format of {', '.join(MEDIA)}"
            raise Fault(400, "unknown_format", f"shape={shape}, format={wanted}: {known}.")
        points = parse_number(given, "points", 4, _MOST_POINTS)
        options = cls(
            model=given.get("model") or None,
            format=wanted,
            shape=shape,
            fov=parse_number(given, "fov", 5, 150),
            max_depth=parse_number(given, "max_depth", 1e-6, 1e9),
            relief=parse_number(given, "relief", 1e-3, 1e3),
            points=None if points is None else int(points),
            edges=given.get("edges", "cut"),
            sky=given.get("sky", "cut"),
        )
        CloudOptions(edges=options.edges, sky=options.sky)
        return options


def make_router(service: Service) -> APIRouter:
    """The route, on the engine and the models of a server."""
    router = APIRouter(tags=["clouds"])

    @router.post("/v1/cloud", response_class=Response, openapi_extra=openapi.CLOUD)
    async def cloud(request: Request) -> Response:
        """Points or a textured mesh of one picture, in the camera's frame."""
        service.engine.check_room()
        upload = await service.uploads.read(request)
        options = Options.of(upload.fields)
        name = options.format or choose_by_type(request.headers.get("accept", ""), MEDIA)
        model = service.models.find(options.model)
        request.state.model = model.name

        def finish(prediction: Prediction) -> Answer:
            return answer_cloud(prediction, name, options, licence=model.licence)

        prepare = make_reader(only_picture(upload), options.fov, service.limits.max_megapixels)
        work = service.engine.predict(model, prepare, finish)
        return send(await run_while_connected(request, work))

    return router


def answer_cloud(prediction: Prediction, name: str, options: Options, *, licence: str) -> Answer:
    """The cloud or mesh of a map, as a file.

    Raises:
        KindError: a map without a known scale and shift, and no relief was asked for.
        InputError: no camera is known, or no point is left.
    """
    make: Any = prediction.mesh if options.shape == "mesh" else prediction.point_cloud
    shape = make(
        max_depth=options.max_depth,
        relief=options.relief,
        edges=options.edges,
        sky=options.sky,
        max_points=options.points,
    )

    def save(file: Path) -> None:
        shape.save(file, name)

    headers = describe_map(prediction, licence) | {
        "X-Cloud-Points": str(len(shape.points)),
        "X-Cloud-Unit": shape.unit,
    }
    return Answer(body=encode_file(save, f".{name}"), media=MEDIA[name], headers=headers)
