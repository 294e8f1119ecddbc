"""One HTML page that shows a cloud or a mesh, and needs neither network nor server.

The page holds the viewer, three.js and the shape as GLB; any browser with WebGL opens it from disk.
"""

from __future__ import annotations

import base64
import html
import json
from importlib.resources import files
from typing import TYPE_CHECKING

from leadline.io.glb import make_glb
from leadline.jobs import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

    from leadline.io.shapes import Shape

_THREE = "vendor/three.module.min.js"
"""Imported by the viewer; inside of one page it has a name in place of an address."""


def write_page(path: Path, shape: Shape) -> None:
    """Write the page; see :func:`make_page`."""
    text = make_page(shape, title=path.stem)
    with atomic_write(path) as file:
        file.write(text.encode())


def make_page(shape: Shape, *, title: str) -> str:
    """The text of the page.

    Args:
        shape: what it shows.
        title: of the page.

    Raises:
        InputError: there is no point.
    """
    web = files("leadline") / "web"
    viewer = (web / "viewer.js").read_text().replace(f"./{_THREE}", "three")
    modules = {"three": (web / _THREE).read_bytes(), "leadline-viewer": viewer.encode()}
    sources = {
        name: "data:text/javascript;base64," + _encode(source) for name, source in modules.items()
    }
    page = (web / "viewer.html").read_text()
    for mark, text in (
        ("{{title}}", html.escape(title)),
        ("/*{{style}}*/", (web / "viewer.css").read_text()),
        ('"{{imports}}"', json.dumps({"imports": sources})),
        ("{{glb}}", _encode(make_glb(shape))),
    ):
        page = page.replace(mark, text)
    return page


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
