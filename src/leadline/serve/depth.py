"""``/v1/depth`` and ``/v1/models``: a picture in, its depth out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from leadline.camera import Camera
from leadline.errors import UnknownNameError
from leadline.estimator import DepthEstimator
from leadline.image import Image
from leadline.io import read_image
from leadline.io.boundary import check_pixels
from leadline.prediction import Prediction
from leadline.prepared import Prepared
from leadline.serve import openapi
from leadline.serve.answers import Answer, answer_map, choose_format
from leadline.serve.faults import Fault
from leadline.serve.service import Service, run_while_connected
from leadline.serve.uploads import Upload
from leadline.viz import CMAPS


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a request may say beside its picture, in its query or in fields of its form.

    Attributes:
        model: name; None: the first that is served.
        format: name; None: as ``Accept`` says.
        cmap: colour map of pictures.
        fov: horizontal field of view in degrees, in place of the picture's EXIF.
    """

    model: str | None = None
    format: str | None = None
    cmap: str = "inferno"
    fov: float | None = None

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Options:
        """The options of a request.

        Raises:
            Fault: 400, of another name, or a value that makes no sense.
        """
        check_names(given, [field.name for field in fields(cls)])
        cmap = given.get("cmap", "inferno")
        if cmap not in CMAPS:
            raise UnknownNameError("colour map", cmap, CMAPS)
        return cls(
            model=given.get("model") or None,
            format=given.get("format") or None,
            cmap=cmap,
            fov=parse_number(given, "fov", 5, 150),
        )


def check_names(given: Mapping[str, str], known: Sequence[str]) -> None:
    """Refuse options of other names.

    Raises:
        Fault: 400.
    """
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise Fault(
            400, "unknown_option", f"option {', '.join(unknown)}: {', '.join(known)} are known."
        )


def parse_number(given: Mapping[str, str], name: str, least: float, most: float) -> float | None:
    """A number of a request, or None where it is absent.

    Raises:
        Fault: 400, none or out of bounds.
    """
    text = given.get(name)
    if text is None or text == "":
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise Fault(400, "bad_number", f"{name}={text[:40]}: {least:g} to {most:g} is needed.")
    return value


def only_picture(upload: Upload) -> bytes:
    """The one picture of a request.

    Raises:
        Fault: 400, none or several.
    """
    if len(upload.files) != 1:
        raise Fault(
            400,
            "no_picture",
            f"{len(upload.files)} pictures: one is needed, as the body or as the file of a form.",
        )
    return next(iter(upload.files.values()))


def read_picture(data: bytes | np.ndarray, fov: float | None, max_megapixels: float) -> Image:
    """Decode a picture that a request brought.

    Raises:
        TooLargeError: too many pixels.
        InputError: no picture.
    """
    if isinstance(data, np.ndarray):
        check_pixels(data.shape[:2], "image", stored=data.nbytes, max_megapixels=max_megapixels)
    image = read_image(data, max_megapixels=max_megapixels)
    if fov is None:
        return image
    height, width = image.size
    return replace(image, camera=Camera.from_fov(width, height, fov_deg=fov))


def make_router(service: Service) -> APIRouter:
    """The routes, on the engine and the models of a server."""
    router = APIRouter(tags=["depth"])

    @router.get("/v1/models", openapi_extra=openapi.MODELS)
    async def models() -> JSONResponse:
        """The models that are served, the default first."""
        return JSONResponse({"models": [model.describe() for model in service.models.all]})

    @router.post("/v1/depth", response_class=Response, openapi_extra=openapi.DEPTH)
    async def depth(request: Request) -> Response:
        """Depth of one picture, at its size."""
        service.engine.check_room()
        upload = await service.uploads.read(request)
        options = Options.of(upload.fields)
        name = choose_format(request.headers.get("accept", ""), options.format)
        model = service.models.find(options.model)
        request.state.model = model.name

        def finish(prediction: Prediction) -> Answer:
            return answer_map(prediction, name, licence=model.licence, cmap=options.cmap)

        prepare = make_reader(only_picture(upload), options.fov, service.limits.max_megapixels)
        work = service.engine.predict(model, prepare, finish)
        return send(await run_while_connected(request, work))

    return router


def make_reader(
    data: bytes | np.ndarray, fov: float | None, max_megapixels: float
) -> Callable[[DepthEstimator], Prepared]:
    """What brings a request's picture to the size of a network."""

    def prepare(estimator: DepthEstimator) -> Prepared:
        return estimator.prepare(read_picture(data, fov, max_megapixels))

    return prepare


def send(answer: Answer) -> Response:
    """The answer as HTTP sends it."""
    return Response(answer.body, media_type=answer.media, headers=dict(answer.headers))
