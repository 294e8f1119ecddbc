"""A Prediction as the body and headers of an answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from leadline.io import FORMATS
from leadline.prediction import Prediction
from leadline.serve.faults import Fault, hide_folder

RAW, JSON = "raw", "json"
MEDIA: Mapping[str, str] = {
    RAW: "application/octet-stream",
    "npz": "application/x-npz",
    "png16": "image/png",
    JSON: "application/json",
    "npy": "application/x-npy",
    "ply": "application/ply",
    "pfm": "image/x-portable-floatmap",
    "exr": "image/x-exr",
    "color": "image/png",
    "side": "image/png",
}
"""Format -> media type; the first format of a type is what ``Accept`` means by it."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is sent back.

    Attributes:
        body: bytes.
        media: their type.
        headers: what they mean.
    """

    body: bytes
    media: str
    headers: Mapping[str, str] = field(default_factory=dict)


def choose_format(accept: str, wanted: str | None) -> str:
    """The format that a request asks for: by name, or by its ``Accept`` header.

    Args:
        accept: of the request.
        wanted: name of a format, which counts more.

    Raises:
        Fault: no such format (400), or none of the accepted types is made here (406).
    """
    known = (RAW, JSON, *FORMATS)
    if wanted is not None:
        if wanted not in known:
            raise Fault(400, "unknown_format", f"format {wanted!r}: one of {', '.join(known)}.")
        return wanted
    return choose_by_type(accept, {JSON: MEDIA[JSON], **MEDIA})


def choose_by_type(accept: str, media_of: Mapping[str, str]) -> str:
    """The name of the media type that is liked best; the first where all are alike.

    Raises:
        Fault: 406, none of them is accepted.
    """
    by_type = {media: name for name, media in reversed(list(media_of.items()))}
    for media, quality in sorted(_parse_accept(accept), key=lambda pair: -pair[1]):
        if quality > 0 and media in ("*/*", "application/*"):
            return next(iter(media_of))
        if quality > 0 and media in by_type:
            return by_type[media]
    raise Fault(
        406, "not_acceptable", f"Accept {accept}: one of {', '.join(sorted(by_type))} is made here."
    )


def _parse_accept(accept: str) -> list[tuple[str, float]]:
    """(media type, quality) of every entry of an ``Accept`` header."""
    found = []
    for entry in (accept or "*/*").split(","):
        media, *parameters = (part.strip() for part in entry.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            found.append((media.lower(), float(quality)))
        except ValueError:
            found.append((media.lower(), 0.0))
    return found


def answer_map(prediction: Prediction, name: str, *, licence: str, cmap: str) -> Answer:
    """The map in one of the formats.

    Args:
        prediction: the map.
        name: ``raw`` (float32, little endian, row by row, NaN where there is no value), ``json``,
            or one of :data:`leadline.io.FORMATS`.
        licence: of the model's weights.
        cmap: of pictures.

    Raises:
        InputError: a map that this format cannot hold.
    """
    headers = describe_map(prediction, licence)
    if name == RAW:
        body = _masked(prediction).tobytes()
    elif name == JSON:
        body = _as_json(prediction, licence)
    else:
        body = encode_file(
            lambda file: prediction.save(file, name, cmap=cmap), FORMATS[name].suffix
        )
    if left_out := prediction.list_left_out(name) if name in FORMATS else ():
        headers["X-Depth-Left-Out"] = ",".join(left_out)
    return Answer(body=body, media=MEDIA.get(name, "application/octet-stream"), headers=headers)


def describe_map(prediction: Prediction, licence: str) -> dict[str, str]:
    """What a map means, as headers."""
    height, width = prediction.size
    kind = prediction.kind
    known = prediction.values[prediction.known]
    headers = {
        "X-Depth-Shape": f"{height},{width}",
        "X-Depth-Kind": str(kind),
        "X-Depth-Unit": kind.unit,
        "X-Depth-Scale": "metric" if kind.is_metric else "unknown",
        "X-Depth-Model": prediction.model,
        "X-Depth-Licence": licence,
    }
    if known.size:
        headers["X-Depth-Min"] = f"{known.min():.9g}"
        headers["X-Depth-Max"] = f"{known.max():.9g}"
    if prediction.camera is not None:
        headers["X-Depth-Camera"] = json.dumps(prediction.camera.to_dict())
    return headers


def encode_file(save: Callable[[Path], None], suffix: str) -> bytes:
    """The bytes of the file that ``save`` writes."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"leadline{suffix}"
        with hide_folder(folder):
            save(file)
        return file.read_bytes()


def _masked(prediction: Prediction) -> np.ndarray:
    """(h, w) little-endian float32, NaN where there is no value."""
    values = prediction.values.astype("<f4", copy=False)
    return values if prediction.valid is None else np.where(prediction.valid, values, np.nan)


def _as_json(prediction: Prediction, licence: str) -> bytes:
    height, width = prediction.size
    known = prediction.values[prediction.known]
    camera = prediction.camera
    record = {
        "model": prediction.model,
        "kind": str(prediction.kind),
        "unit": prediction.kind.unit,
        "larger_is_nearer": prediction.kind.larger_is_nearer,
        "licence": licence,
        "height": height,
        "width": width,
        "min": float(known.min()) if known.size else None,
        "median": float(np.median(known)) if known.size else None,
        "max": float(known.max()) if known.size else None,
        "camera": None if camera is None else camera.to_dict(),
        "encoding": "base64 of float32, little endian, row by row, NaN where there is no value",
        "values": base64.b64encode(_masked(prediction).tobytes()).decode(),
    }
    return json.dumps(record).encode()
