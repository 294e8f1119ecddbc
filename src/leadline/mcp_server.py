"""Tools for language models: depth of pictures on this machine, over the Model Context Protocol.

```python
from leadline import LoadOptions
from leadline.mcp_server import Tools, make_server

make_server(Tools(LoadOptions(model="lite-metric"), root="photos", out="out")).run()
```

A model's program starts ``leadline mcp`` and talks to it on standard input and output. What it may
see is the folder ``root`` alone, and results go to ``out`` alone.

Source: modelcontextprotocol.io, specification 2025-06-18.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import lru_cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.camera import Camera
from leadline.cloud import Quantity
from leadline.errors import InputError, LeadlineError, MissingDependencyError
from leadline.io import get_format, output_suffixes, read_image
from leadline.notebook import render_png
from leadline.version import __version__

if TYPE_CHECKING:
    import os

    from mcp.server import MCPServer

    from leadline.estimator import DepthEstimator
    from leadline.load_options import LoadOptions
    from leadline.prediction import Prediction

_KEPT = 4
"""Predictions that are kept, so that a question about a picture does not predict it again."""

_INSTRUCTIONS = (
    "Depth from single pictures. Paths are those of pictures on this machine. Metres need the "
    "lens: the picture's EXIF, or fov_deg, the horizontal field of view (a phone's main camera has "
    "about 65 degrees); results say which kind of depth they hold."
)


class Tools:
    """What a language model may call; each of :meth:`functions` is a tool.

    Args:
        load: which network, and how it is opened; opened at the first call.
        root: folder of the pictures that may be read, with those below.
        out: folder of the results.
    """

    def __init__(
        self, load: LoadOptions, *, root: str | os.PathLike[str], out: str | os.PathLike[str]
    ) -> None:
        self._load = load
        self._root = Path(root).resolve()
        self._out = Path(out)
        self._lock = threading.Lock()
        self._estimator: DepthEstimator | None = None
        self._predict = lru_cache(_KEPT)(self._predict_anew)

    def functions(self) -> tuple[Callable[..., Any], ...]:
        """The tools: their names, signatures and docstrings are what a model reads."""
        return (self.depth, self.cloud, self.measure)

    def depth(
        self, picture: str, fov_deg: float | None = None, formats: list[str] | None = None
    ) -> list[Any]:
        """Predict the depth of a picture: its kind, range and depths on a 3x3 grid, and a view.

        Args:
            picture: path of the picture.
            fov_deg: horizontal field of view in degrees, in place of the picture's EXIF.
            formats: files to write, such as npz, png16, exr or color; none by default.

        Returns:
            The numbers as JSON, and the map as a picture (nearer is brighter) with its legend.
        """
        from mcp.server.mcpserver import Image as Shown

        found = self.predict(picture, fov_deg)
        summary = {**describe(found), "files": self._save(found, picture, formats or [])}
        png = render_png(found.colorize(legend=True))
        return [json.dumps(summary), Shown(data=png, format="png")]

    def cloud(
        self,
        picture: str,
        fov_deg: float | None = None,
        max_points: int = 200_000,
        relief: float | None = None,
    ) -> str:
        """Write a textured mesh of a picture as a GLB file, which viewers and Blender open.

        Args:
            picture: path of the picture.
            fov_deg: horizontal field of view in degrees, in place of the picture's EXIF.
            max_points: points of the mesh at most.
            relief: for looks, without units, from a map of any kind: 0.1 is deep, 1 is flat.

        Returns:
            The file, its counts and its unit as JSON.
        """
        found = self.predict(picture, fov_deg)
        mesh = found.mesh(max_points=max_points, relief=relief)
        file = self.name_result(picture, ".glb")
        mesh.save(file)
        faces = 0 if mesh.faces is None else len(mesh.faces)
        summary = {"file": str(file), "points": len(mesh.points), "faces": faces}
        return json.dumps({**summary, "unit": mesh.unit})

    def measure(
        self,
        picture: str,
        points: list[tuple[float, float]],
        quantity: Quantity = "distance",
        plane: list[tuple[float, float]] | None = None,
        fov_deg: float | None = None,
    ) -> str:
        """Measure a distance in metres, an area or an angle in a picture, with its 90 % interval.

        Args:
            picture: path of the picture.
            points: pixels [x, y] from the left and from the top; two or more for a distance, three
                or more for an area, three for an angle at the second.
            quantity: distance, area or angle.
            plane: three or more pixels of a plane, as floor or wall, on which all points lie.
            fov_deg: horizontal field of view in degrees, in place of the picture's EXIF.

        Returns:
            Value, interval (null when the model's errors are not known) and unit as JSON.
        """
        found = self.predict(picture, fov_deg).measure(points, quantity=quantity, plane=plane)
        table = {name: value for name, value in asdict(found).items() if name != "points"}
        return json.dumps({**table, "points_m": found.points.round(4).tolist()})

    def predict(self, picture: str, fov_deg: float | None) -> Prediction:
        """The prediction of a picture below ``root``; of the last few pictures, the one made.

        Raises:
            InputError: outside of ``root``, or no picture that can be read.
        """
        path = (self._root / picture).resolve()
        if not path.is_relative_to(self._root):
            raise InputError(
                f"{picture} is outside of {self._root}, and only pictures in there may be read; "
                "start `leadline mcp` with --root FOLDER for another folder."
            )
        changed = path.stat().st_mtime_ns if path.is_file() else 0
        with self._lock:
            return self._predict(path, changed, fov_deg)

    def name_result(self, picture: str, suffix: str) -> Path:
        """The file in ``out`` for a result of a picture."""
        return self._out / f"{Path(picture).stem}{suffix}"

    def _predict_anew(self, path: Path, changed: int, fov_deg: float | None) -> Prediction:
        image = read_image(path)
        if fov_deg is not None:
            height, width = image.size
            image = replace(image, camera=Camera.from_fov(width, height, fov_deg=fov_deg))
        if self._estimator is None:
            self._estimator = self._load.open()
        return self._estimator.predict(image)

    def _save(self, found: Prediction, picture: str, formats: list[str]) -> list[dict[str, Any]]:
        for name in formats:
            get_format(name)
        written = []
        for name, suffix in output_suffixes(formats).items():
            file = self.name_result(picture, suffix)
            found.save(file, name)
            written.append(
                {"file": str(file), "format": name, "left_out": list(found.list_left_out(name))}
            )
        return written


def describe(prediction: Prediction) -> dict[str, Any]:
    """What a map says in a few numbers, JSON-able: kind, unit, range, and a 3x3 grid of medians."""
    known = prediction.values[prediction.known]
    height, width = prediction.size
    grid = [
        [
            _median(
                prediction,
                slice(y * height // 3, -(-(y + 1) * height // 3)),
                slice(x * width // 3, -(-(x + 1) * width // 3)),
            )
            for x in range(3)
        ]
        for y in range(3)
    ]
    camera = prediction.camera
    return {
        "model": prediction.model,
        "kind": str(prediction.kind),
        "unit": prediction.kind.unit,
        "larger_is_nearer": prediction.kind.larger_is_nearer,
        "width": width,
        "height": height,
        "min": round(float(known.min()), 4),
        "median": round(float(np.median(known)), 4),
        "max": round(float(known.max()), 4),
        "grid_3x3": grid,
        "camera": None if camera is None else camera.moved(None).to_dict(),
    }


def make_server(tools: Tools) -> MCPServer:
    """The server; ``run()`` talks on standard input and output.

    Raises:
        MissingDependencyError: the package ``mcp`` is not installed.
    """
    try:
        from mcp.server import MCPServer
    except ImportError as error:
        raise MissingDependencyError("mcp", "`leadline mcp`", "mcp") from error
    server = MCPServer(
        "leadline", instructions=_INSTRUCTIONS, version=__version__, log_level="WARNING"
    )
    for tool in tools.functions():
        server.add_tool(_answer_in_words(tool), structured_output=False)
    return server


def _answer_in_words(tool: Callable[..., Any]) -> Callable[..., Any]:
    """The tool with our errors as its answer, a line that the model can act on."""
    from mcp.server.mcpserver.exceptions import ToolError

    @wraps(tool)
    def call(**given: Any) -> Any:
        try:
            return tool(**given)
        except LeadlineError as error:
            raise ToolError(str(error)) from None

    return call


def _median(prediction: Prediction, rows: slice, columns: slice) -> float | None:
    part = prediction.values[rows, columns][prediction.known[rows, columns]]
    return round(float(np.median(part)), 4) if part.size else None
