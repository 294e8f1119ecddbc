"""``/v1/pair``: what two pictures of one scene say together."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from leadline.errors import InputError
from leadline.geometry import (
    Matches,
    epipolar_lines,
    fundamental,
    line_ends,
    match,
    relative_pose,
    triangulate,
)
from leadline.image import Image
from leadline.serve import openapi
from leadline.serve.depth import check_names, parse_number, read_picture
from leadline.serve.faults import Fault
from leadline.serve.service import Service, run_while_connected

_FIELDS = ("fov",)
_MOST = 2000  # matches that are sent, the surest first


def make_router(service: Service) -> APIRouter:
    """The route, on the engine of a server."""
    router = APIRouter(tags=["two pictures"])

    @router.post("/v1/pair", openapi_extra=openapi.PAIR)
    async def pair(request: Request) -> JSONResponse:
        """Matches of two pictures, their epipolar lines, and points in the unit of the baseline."""
        service.engine.check_room()
        upload = await service.uploads.read(request)
        check_names(upload.fields, _FIELDS)
        fov = parse_number(upload.fields, "fov", 5, 150)
        if set(upload.files) != {"left", "right"}:
            raise Fault(400, "no_picture", "a form with the files left and right is needed.")

        def describe(files: Any) -> dict[str, Any]:
            most = service.limits.max_megapixels
            return describe_pair(
                read_picture(files["left"], fov, most), read_picture(files["right"], fov, most)
            )

        work = service.engine.work(describe, upload.files)
        return JSONResponse(await run_while_connected(request, work))

    return router


def describe_pair(left: Image, right: Image) -> dict[str, Any]:
    """Matches, epipolar lines and, where the cameras are known, points, as JSON.

    Raises:
        InputError: too few matches, or pictures that allow no epipolar geometry.
    """
    found = match(left, right)
    two_view = fundamental(found)
    right_ones = found.only(two_view.inliers)
    shown = right_ones.only(np.arange(len(right_ones)) < _MOST)
    F = two_view.matrix
    made = {
        "matches": len(found),
        "inliers": int(two_view.inliers.sum()),
        "fundamental": F.tolist(),
        "left": _side(left, shown.first, epipolar_lines(F.T, shown.second)),
        "right": _side(right, shown.second, epipolar_lines(F, shown.first)),
    }
    try:
        return made | {"points": _points(left, right, right_ones), "why_no_points": None}
    except InputError as error:
        return made | {"points": None, "why_no_points": " ".join(str(error).split())}


def _side(image: Image, places: np.ndarray, lines: np.ndarray) -> dict[str, Any]:
    """A picture's points, and the lines of the other picture's points in it."""
    height, width = image.size
    ends, _ = line_ends(lines, width, height)
    return {
        "width": width,
        "height": height,
        "points": places.round(2).tolist(),
        "lines": ends.round(2).tolist(),
    }


def _points(left: Image, right: Image, matches: Matches) -> dict[str, Any]:
    if left.camera is None or right.camera is None:
        raise InputError(
            "no focal length is known, which points need; give fov, the horizontal field of view "
            "in degrees."
        )
    pose = relative_pose(matches, left.camera, right.camera)
    agreeing = matches.only(pose.inliers)
    cameras = pose.place(left.camera, right.camera)
    found = triangulate((agreeing.first, agreeing.second), cameras)
    x, y = agreeing.first[found.keep].round().astype(int).T
    height, width = left.size
    colors = left.pixels[y.clip(0, height - 1), x.clip(0, width - 1)]
    return {
        "unit": "baseline",
        "xyz": found.world[found.keep].round(5).tolist(),
        "rgb": colors.tolist(),
        "parallax_deg": round(pose.parallax_deg, 3),
        "second_from_first": pose.second_from_first.tolist(),
        "camera": left.camera.to_dict(),
    }
