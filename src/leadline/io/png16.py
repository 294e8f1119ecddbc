"""16-bit PNG: maps that every image program opens and that lose at most half a step.

Code 0 means "no value" (masked, NaN or infinite); codes 1..65535 span the map's own range, so
``value = offset + scale * code`` is within range / 131068 of what was written. Scale, offset and
whatever else is told (kind, camera ...) stand as JSON in the PNG's text chunk ``leadline`` and in
the sidecar ``<name>.png.json``; the chunk is read first, since sidecars get lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from leadline.errors import InputError
from leadline.io.boundary import open_file, reading
from leadline.io.pictures import open_trusted
from leadline.io.png import encode_png
from leadline.io.text import parse_json, read_text
from leadline.io.tiff import read_tiff
from leadline.jobs import atomic_write, write_text

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from jaxtyping import Bool, Float, Num

CHUNK = "leadline"
_HEAD = 64  # bytes of a PNG in which the chunk's name stands
_BAND = 1 << 20  # pixels that are decoded at a time, so that float64 copies stay small
_RECORD = "the file that Leadline wrote is needed: write it again."
_MAP = "a whole grey map of one number per pixel is needed."
_STEPS = 65534  # between code 1 and code 65535


@dataclass(frozen=True, kw_only=True, eq=False)
class Png16:
    """What a 16-bit PNG holds.

    Attributes:
        values: (h, w) float32, NaN where there is no value.
        valid: (h, w) bool, False where there is no value.
        info: the record stored with it.
    """

    values: Float[np.ndarray, "h w"]
    valid: Bool[np.ndarray, "h w"]
    info: Mapping[str, Any] = field(default_factory=dict)


def write_png16(
    path: str | os.PathLike[str],
    values: Float[np.ndarray, "h w"],
    *,
    valid: Bool[np.ndarray, "h w"] | None = None,
    info: Mapping[str, Any] | None = None,
) -> None:
    """Write a map as 16-bit PNG with its record in the file and in ``<path>.json``.

    Args:
        path: the PNG; its sidecar is written first, so a PNG that exists has one.
        values: the map.
        valid: False where there is no value; non-finite values have none either.
        info: JSON-able record stored beside scale and offset, e.g. ``{"kind": ...}``.
    """
    data, text = _encoded(values, valid, info, str(path))
    write_text(sidecar_of(path), text + "\n")
    with atomic_write(path) as file:
        file.write(data)


def encode_png16(
    values: Float[np.ndarray, "h w"],
    *,
    valid: Bool[np.ndarray, "h w"] | None = None,
    info: Mapping[str, Any] | None = None,
) -> bytes:
    """The bytes of the file that :func:`write_png16` writes, record included."""
    return _encoded(values, valid, info, "a 16-bit PNG")[0]


def _encoded(
    values: np.ndarray, valid: np.ndarray | None, info: Mapping[str, Any] | None, name: str
) -> tuple[bytes, str]:
    """The PNG's bytes and its record."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or values.size == 0:
        raise InputError(f"map of shape {values.shape} for {name}: (h, w) is needed.")
    known = np.isfinite(values) if valid is None else np.isfinite(values) & valid
    low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 0.0)
    scale = (high - low) / _STEPS
    codes = np.zeros(values.shape, dtype=np.uint16)
    steps = np.round((values[known] - low) / scale) if scale > 0 else 0
    codes[known] = np.clip(steps, 0, _STEPS) + 1
    record = {
        **(info or {}),
        "format": "leadline-png16",
        "schema": 1,
        "scale": float(scale),
        "offset": float(low - scale),
        "no_value_code": 0,
    }
    text = json.dumps(record, indent=2, sort_keys=True)
    return encode_png(codes, texts={CHUNK: text}), text


def read_png16(path: str | os.PathLike[str], *, max_megapixels: float | None = None) -> Png16:
    """Read a map that :func:`write_png16` wrote.

    Args:
        path: the PNG.
        max_megapixels: see :func:`leadline.io.read_image`.

    Raises:
        InputError: missing or damaged, not 16-bit, or without its record.
    """
    codes, text = read_codes(path, max_megapixels=max_megapixels)
    if text is None and sidecar_of(path).is_file():
        text = read_text(sidecar_of(path), _RECORD)
    if text is None:
        raise InputError(
            f"{path} carries no 'leadline' text chunk and has no sidecar {sidecar_of(path).name}: "
            "its scale is unknown. Give the file that Leadline wrote, or its sidecar with it; in "
            "Python, leadline.io.read_depth_png(path, per_unit=...) reads codes of any scale."
        )
    return _decoded(codes, text, str(path))


def decode_png16(
    data: bytes, *, name: str = "16-bit PNG", max_megapixels: float | None = None
) -> Png16:
    """Read what :func:`encode_png16` made.

    Args:
        data: the file's bytes.
        name: for messages.
        max_megapixels: see :func:`leadline.io.read_image`.

    Raises:
        InputError: damaged, not 16-bit, or without its record.
    """
    codes, text = _codes_of(BytesIO(data), name, max_megapixels)
    if text is None:
        raise InputError(f"{name} carries no 'leadline' text chunk: its scale is unknown.")
    return _decoded(codes, text, name)


def read_png16_record(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The record of a file of :func:`write_png16`, without decoding its pixels.

    Raises:
        InputError: missing or damaged, or without its record.
    """
    with open_file(path, _RECORD) as file:
        picture = open_trusted(file, str(path))
        text = None if isinstance(picture, str) else picture.info.get(CHUNK)
        if not isinstance(text, str):
            raise InputError(f"{path} carries no record of Leadline's; {_RECORD}")
        return _record(text, str(path))


def is_map(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a PNG that Leadline made of a map: 16-bit, coloured, or with its photo."""
    path = Path(path)
    if path.suffix.lower() != ".png" or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return f"iTXt{CHUNK}\0".encode() in file.read(_HEAD)
    except OSError:
        return False  # whoever reads it says why


def _decoded(codes: np.ndarray, text: str, name: str) -> Png16:
    info = _record(text, name)
    with reading(f"{name}: its record", _RECORD):
        scale, offset = float(info["scale"]), float(info["offset"])
    valid = codes > 0
    values = np.full(codes.shape, np.nan, np.float32)
    for start in range(0, len(codes), rows := max(1, _BAND // codes.shape[1])):
        part = slice(start, start + rows)
        values[part][valid[part]] = offset + scale * codes[part][valid[part]]
    return Png16(values=values, valid=valid, info=info)


def _record(text: str, name: str) -> dict[str, Any]:
    info = parse_json(text, f"{name}: its record", _RECORD)
    if not isinstance(info, dict):
        raise InputError(f"{name}: its record is no table; {_RECORD}")
    return info


def read_depth_png(
    path: str | os.PathLike[str], *, per_unit: float, max_megapixels: float | None = None
) -> Float[np.ndarray, "h w"]:
    """Read a data set's integer depth map: ``code / per_unit``, 0 where there is no value.

    Args:
        path: an 8- or 16-bit grey PNG, PGM or TIFF.
        per_unit: codes per unit: 256 for KITTI, 1000 for millimetres, 5000 for TUM.
        max_megapixels: see :func:`leadline.io.read_image`.
    """
    if not per_unit > 0:
        raise InputError(f"per_unit={per_unit} for {path}: codes per unit are positive.")
    codes, _ = read_codes(path, max_megapixels=max_megapixels)
    depth = np.empty(codes.shape, np.float32)
    with np.errstate(all="ignore"):  # floats that are not finite, or become infinite
        return np.divide(codes, per_unit, out=depth, casting="unsafe")  # no float64 copy


def read_codes(
    path: str | os.PathLike[str], *, max_megapixels: float | None = None
) -> tuple[Num[np.ndarray, "h w"], str | None]:
    """The numbers of a grey picture as they are stored, and Leadline's record where it has one.

    Args:
        path: a grey PNG, PGM or TIFF of any depth.
        max_megapixels: see :func:`leadline.io.read_image`.

    Raises:
        InputError: missing, damaged, too large, or a picture of colours.
        MissingDependencyError: a TIFF that needs tifffile, and it is not installed.
    """
    with open_file(path, _MAP) as file:
        return _codes_of(file, str(path), max_megapixels)


def sidecar_of(path: str | os.PathLike[str]) -> Path:
    """``<path>.json``."""
    path = Path(path)
    return path.with_name(path.name + ".json")


def _codes_of(
    file: BinaryIO, name: str, max_megapixels: float | None
) -> tuple[np.ndarray, str | None]:
    with reading(name, _MAP):
        picture = open_trusted(file, name, max_megapixels=max_megapixels)
        if isinstance(picture, str):
            codes = read_tiff(file, name, why=picture, max_megapixels=max_megapixels).values
            text, mode = None, f"{codes.shape[2]} channels" if codes.ndim == 3 else ""
        else:
            with picture:
                grey = picture.mode in ("L", "F") or picture.mode.startswith("I")
                mode = "" if grey else f"mode {picture.mode}"
                codes = np.asarray(picture) if grey else np.empty(0)
                text = picture.info.get(CHUNK)
    if mode:
        raise InputError(f"{name} is a picture of {mode}; {_MAP}")
    return codes, text if isinstance(text, str) else None
