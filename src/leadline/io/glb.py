"""GLB: one binary glTF file of a cloud or a textured mesh, for viewers, Blender and game engines.

The mesh is unlit (the photo's light is in its colours already) and seen from both sides. Textures
are sRGB and colours of points linear, as the format has it.

Source: Khronos Group, glTF 2.0 Specification (ISO/IEC 12113:2022), sections 3.7, 3.9, 3.10 and 4;
KHR_materials_unlit.
"""

from __future__ import annotations

import io
import json
import math
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as PilImage

from leadline.errors import InputError
from leadline.io.shapes import AXES, Shape
from leadline.jobs import atomic_write
from leadline.version import __version__

if TYPE_CHECKING:
    import os

    from jaxtyping import UInt8

    from leadline.camera import Camera

_FLOAT, _USHORT, _UINT = 5126, 5123, 5125
_VERTICES, _FACES = 34962, 34963
_POINTS, _TRIANGLES = 0, 4
_LINEAR, _LINEAR_MIPMAP, _CLAMP = 9729, 9987, 33071
_LARGEST_TEXTURE = 4096  # what every device can show
_JPEG = {"quality": 90, "subsampling": 0}


def write_glb(path: str | os.PathLike[str], shape: Shape) -> None:
    """Write a cloud or a mesh as GLB; see :func:`make_glb`."""
    document, blobs = _make_document(shape)
    with atomic_write(path) as file:
        for part in _pack(document, blobs):
            file.write(part)


def make_glb(shape: Shape) -> bytes:
    """The bytes of a GLB file, +Y up and looking along -Z, with the camera that saw the shape.

    Raises:
        InputError: there is no point.
    """
    return b"".join(_pack(*_make_document(shape)))


def encode_jpeg(pixels: UInt8[np.ndarray, "h w 3"], largest: int = _LARGEST_TEXTURE) -> bytes:
    """The bytes of a JPEG file whose sides are at most ``largest`` pixels."""
    picture = PilImage.fromarray(pixels)
    picture.thumbnail((largest, largest), reducing_gap=2.0)
    file = io.BytesIO()
    picture.save(file, format="JPEG", **_JPEG)
    return file.getvalue()


@dataclass
class _Blobs:
    """The binary part of the file, and what the JSON part says of it."""

    parts: list[bytes | memoryview] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)
    size: int = 0

    def add_view(self, data: bytes | memoryview, target: int | None = None) -> int:
        """The number of a new view; every one begins at a multiple of 4 bytes."""
        length = len(data) if isinstance(data, bytes) else data.nbytes
        view: dict[str, Any] = {"buffer": 0, "byteOffset": self.size, "byteLength": length}
        self.views.append(view | ({} if target is None else {"target": target}))
        filler = -length % 4
        self.parts += [data, bytes(filler)]
        self.size += length + filler
        return len(self.views) - 1

    def add_array(self, array: np.ndarray, target: int, **extra: Any) -> int:
        """The number of a new accessor over the rows of ``array``."""
        array = np.ascontiguousarray(array)
        code = {"f4": _FLOAT, "u2": _USHORT, "u4": _UINT}[array.dtype.str[1:]]
        columns = 1 if array.ndim == 1 else array.shape[1]
        accessor = {
            "bufferView": self.add_view(array.data.cast("B"), target),
            "componentType": code,
            "count": len(array),
            "type": {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}[columns],
        }
        self.accessors.append(accessor | extra)
        return len(self.accessors) - 1


def _make_document(shape: Shape) -> tuple[dict[str, Any], _Blobs]:
    """The JSON part and the binary part."""
    if len(shape.points) == 0 or (shape.faces is not None and len(shape.faces) == 0):
        raise InputError(
            "a GLB file of no points or no faces is not allowed; keep more of the map (edges or "
            "sky 'keep')."
        )
    blobs = _Blobs()
    points = np.ascontiguousarray(shape.turn_to("y"), dtype=np.float32)
    lowest, highest = points.min(axis=0), points.max(axis=0)
    attributes = {
        "POSITION": blobs.add_array(points, _VERTICES, min=lowest.tolist(), max=highest.tolist())
    }
    if shape.normals is not None:
        attributes["NORMAL"] = blobs.add_array(_unit_rows(shape.normals @ AXES["y"].T), _VERTICES)
    textured = shape.faces is not None and shape.texture is not None and shape.uv is not None
    if textured:
        attributes["TEXCOORD_0"] = blobs.add_array(
            shape.uv.astype(np.float32, copy=False), _VERTICES
        )
    elif (colors := shape.color_points()) is not None:
        linear = np.full((len(points), 4), 65535, np.uint16)
        linear[:, :3] = _LINEAR_FROM_SRGB[colors]
        attributes["COLOR_0"] = blobs.add_array(linear, _VERTICES, normalized=True)
    primitive: dict[str, Any] = {"attributes": attributes, "material": 0, "mode": _POINTS}
    if shape.faces is not None:
        kind = np.uint16 if len(points) < 65535 else np.uint32
        indices = blobs.add_array(shape.faces.astype(kind, copy=False).ravel(), _FACES)
        primitive |= {"mode": _TRIANGLES, "indices": indices}
    asset: dict[str, Any] = {"version": "2.0", "generator": f"leadline {__version__}"}
    if shape.unit:
        asset["extras"] = {"unit": shape.unit}
    document: dict[str, Any] = {
        "asset": asset,
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "leadline"}],
        "meshes": [{"primitives": [primitive]}],
        "extensionsUsed": ["KHR_materials_unlit"],
        "materials": [_make_material(textured)],
    }
    if textured:
        image = blobs.add_view(encode_jpeg(shape.texture))
        document |= {
            "textures": [{"source": 0, "sampler": 0}],
            "images": [{"bufferView": image, "mimeType": "image/jpeg"}],
            "samplers": [
                {
                    "magFilter": _LINEAR,
                    "minFilter": _LINEAR_MIPMAP,
                    "wrapS": _CLAMP,
                    "wrapT": _CLAMP,
                }
            ],
        }
    if shape.camera is not None:
        document["cameras"] = [_make_camera(shape.camera)]
        document["nodes"].append({"camera": 0, "name": "photo"})
        document["scenes"][0]["nodes"].append(1)
    return document, blobs


def _make_material(textured: bool) -> dict[str, Any]:
    surface: dict[str, Any] = {"metallicFactor": 0, "roughnessFactor": 1}
    if textured:
        surface["baseColorTexture"] = {"index": 0}
    return {
        "doubleSided": True,
        "pbrMetallicRoughness": surface,
        "extensions": {"KHR_materials_unlit": {}},
    }


def _make_camera(camera: Camera) -> dict[str, Any]:
    """A glTF camera, whose principal point is the middle of the picture."""
    return {
        "type": "perspective",
        "perspective": {
            "yfov": 2 * math.atan(camera.height / (2 * camera.fy)),
            "aspectRatio": camera.width * camera.fy / (camera.height * camera.fx),
            "znear": 0.01,
        },
    }


def _pack(document: dict[str, Any], blobs: _Blobs) -> list[bytes | memoryview]:
    """The parts of the file in their order."""
    document |= {
        "buffers": [{"byteLength": blobs.size}],
        "bufferViews": blobs.views,
        "accessors": blobs.accessors,
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + 8 + blobs.size
    return [
        struct.pack("<4sII", b"glTF", 2, total),
        struct.pack("<I4s", len(text), b"JSON"),
        text,
        struct.pack("<I4s", blobs.size, b"BIN\0"),
        *blobs.parts,
    ]


def _unit_rows(normals: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)


def _linear_from_srgb() -> np.ndarray:
    """(256,) uint16 linear light of sRGB grey levels (IEC 61966-2-1)."""
    level = np.arange(256) / 255
    linear = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return np.round(65535 * linear).astype(np.uint16)


_LINEAR_FROM_SRGB = _linear_from_srgb()
