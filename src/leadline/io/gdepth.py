"""GDepth: a JPEG photo that carries its depth in XMP, as phones of Google's camera wrote it.

``Near`` and ``Far`` bound the depth z, and the codes dn (0..1) of a grey picture lie between:

    RangeInverse:  dn = far (z - near) / (z (far - near)),   z = far near / (far - dn (far - near))
    RangeLinear:   dn = (z - near) / (far - near)

The picture is base64 text of usually more than the 64 kB that one segment holds, so it stands in
extended XMP: numbered pieces under the MD5 of the whole.

Source: Google, "Depthmap Metadata" (namespace photos/1.0/depthmap); Adobe, "XMP Specification Part
3", section 1.1.3.1 for extended XMP.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import struct
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image as PilImage
from PIL.JpegImagePlugin import JpegImageFile

from leadline.errors import InputError
from leadline.io.boundary import open_file
from leadline.io.exif import orientation, turn
from leadline.io.pictures import decode_opened, open_trusted
from leadline.io.stored import StoredMap
from leadline.jobs import atomic_write
from leadline.resample import resize

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from jaxtyping import Bool, Float, UInt8

_DEPTH = "http://ns.google.com/photos/1.0/depthmap/"
_OWN = "urn:leadline:record:1"
_NOTE = "http://ns.adobe.com/xmp/note/"
_MAIN_HEAD = b"http://ns.adobe.com/xap/1.0/\0"
_MORE_HEAD = b"http://ns.adobe.com/xmp/extension/\0"
_MORE_BYTES = 65000  # of a piece of extended XMP; a segment holds 65533 with its heads
_STEPS = 65535
_NEEDED = "a JPEG with GDepth XMP (Format, Near, Far, Data) is needed."


def write_gdepth(
    path: str | os.PathLike[str],
    pixels: UInt8[np.ndarray, "h w 3"],
    depth: Float[np.ndarray, "h w"],
    *,
    valid: Bool[np.ndarray, "h w"],
    metric: bool,
    info: Mapping[str, Any] | None = None,
) -> None:
    """Write a photo with its depth as GDepth XMP (RangeInverse, 16-bit PNG).

    Args:
        path: the JPEG.
        pixels: the photo.
        depth: z, positive where ``valid``.
        valid: False where nothing is known; there the file says the farthest depth.
        metric: whether the depth is in metres; else no unit is stated.
        info: JSON-able record, kept beside it.

    Raises:
        InputError: no depth is known anywhere.
    """
    if not valid.any():
        raise InputError(f"{path}: the map has no known depth, and GDepth needs its range.")
    near, far = float(depth[valid].min()), float(depth[valid].max())
    far = max(far, near * (1 + 1e-6))  # a constant map
    z = np.where(valid, depth, far).astype(np.float64)
    codes = np.rint(_STEPS * far * (z - near) / (z * (far - near))).astype(np.uint16)
    file = io.BytesIO()
    PilImage.fromarray(codes).save(file, format="PNG", compress_level=3)
    text = base64.b64encode(file.getvalue()).decode()
    more = _packet(((_DEPTH, "GDepth", {"Data": text}),)).encode()
    digest = hashlib.md5(more, usedforsecurity=False).hexdigest().upper()
    depth_keys = {
        "Format": "RangeInverse",
        "Near": repr(near),
        "Far": repr(far),
        "Mime": "image/png",
        "MeasureType": "OpticalAxis",
        **({"Units": "m"} if metric else {}),
    }
    main = _packet(
        (
            (_DEPTH, "GDepth", depth_keys),
            (_OWN, "leadline", {"record": json.dumps(info or {}, sort_keys=True)}),
            (_NOTE, "xmpNote", {"HasExtendedXMP": digest}),
        )
    )
    photo = io.BytesIO()
    PilImage.fromarray(pixels).save(photo, format="JPEG", quality=95, subsampling=0)
    data = photo.getvalue()
    with atomic_write(path) as out:
        out.write(data[:2])  # start of image
        out.write(_segment(_MAIN_HEAD + main.encode()))
        for start in range(0, len(more), _MORE_BYTES):
            head = _MORE_HEAD + digest.encode() + struct.pack(">II", len(more), start)
            out.write(_segment(head + more[start : start + _MORE_BYTES]))
        out.write(data[2:])


def read_gdepth(path: str | os.PathLike[str], *, max_megapixels: float | None = None) -> StoredMap:
    """Read the depth in a JPEG's GDepth XMP, with the photo at the depth's size.

    Args:
        path: the JPEG.
        max_megapixels: see :func:`leadline.io.read_image`.

    Raises:
        InputError: missing, damaged, without GDepth, or distances along rays (``OpticRay``), which
            are no depths.
    """
    with open_file(path, _NEEDED) as file:
        picture = open_trusted(file, str(path), max_megapixels=max_megapixels)
        if not isinstance(picture, JpegImageFile):
            raise InputError(f"{path} is no JPEG; {_NEEDED}")
        keys = _read_keys([data for name, data in picture.applist if name == "APP1"])
        stored = _read_codes(keys, str(path), max_megapixels)
        dn = turn(stored, orientation(picture.getexif()))  # it lies as the photo is stored
        values = _spread(dn, keys, str(path))
        image = decode_opened(picture, str(path), tone="linear")
        record = dict(json.loads(keys.get("record", "{}")))
    height, width = dn.shape
    pixels = resize(image.pixels, (height, width), "area_linear")
    return StoredMap(
        values=values.astype(np.float32),
        valid=np.ones(dn.shape, bool),
        info={
            "kind": "metric_depth" if keys.get("Units") == "m" else "scaled_depth",
            "camera": image.camera and image.camera.resized(width, height).to_dict(),
            **record,
        },
        pixels=np.clip(np.rint(pixels), 0, 255).astype(np.uint8),
    )


def _packet(parts: Iterable[tuple[str, str, Mapping[str, str]]]) -> str:
    """An XMP packet of attributes: (namespace, prefix, name -> text)."""
    lines = [
        f"xmlns:{prefix}={quoteattr(space)} "
        + " ".join(f"{prefix}:{name}={quoteattr(text)}" for name, text in keys.items())
        for space, prefix, keys in parts
    ]
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {" ".join(lines)}/></rdf:RDF></x:xmpmeta>'
    )


def _segment(data: bytes) -> bytes:
    if len(data) > _STEPS - 2:
        raise InputError(f"{len(data)} bytes of metadata; a JPEG segment holds {_STEPS - 2}.")
    return b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data


def _read_keys(segments: Iterable[bytes]) -> dict[str, str]:
    """Keys of GDepth, and Leadline's record, out of the XMP of a JPEG's APP1 segments."""
    main, pieces = b"", {}
    for data in segments:
        if data.startswith(_MAIN_HEAD):
            main = data[len(_MAIN_HEAD) :]
        elif data.startswith(_MORE_HEAD):
            body = data[len(_MORE_HEAD) :]
            start = struct.unpack(">I", body[36:40])[0]
            pieces[body[:32], start] = body[40:]
    keys = _parse(main) if main else {}
    digest = keys.get("HasExtendedXMP", "").encode()
    more = b"".join(pieces[key] for key in sorted(pieces) if key[0] == digest)
    return {**keys, **(_parse(more) if more else {})}


def _parse(packet: bytes) -> dict[str, str]:
    if b"<!DOCTYPE" in packet:
        raise ValueError("a document type in XMP")
    found: dict[str, str] = {}
    root = ElementTree.fromstring(packet.rstrip(b"\0"))  # noqa: S314 - no document type
    for node in root.iter():
        for name, text in ((node.tag, (node.text or "").strip()), *node.attrib.items()):
            space, _, key = name.removeprefix("{").rpartition("}")
            if space in (_DEPTH, _OWN, _NOTE) and text:
                found[key] = text
    return found


def _read_codes(keys: Mapping[str, str], name: str, max_megapixels: float | None) -> np.ndarray:
    """(h, w) float64 in 0..1: the base64 picture, grey of 8 or 16 bits."""
    if not {"Format", "Near", "Far", "Data"} <= keys.keys():
        raise InputError(f"{name} is a JPEG without depth in it; {_NEEDED}")
    try:
        data = base64.b64decode("".join(keys["Data"].split()), validate=True)
    except binascii.Error as error:
        raise InputError(f"{name}: its GDepth Data is no base64 ({error}); {_NEEDED}") from error
    picture = open_trusted(io.BytesIO(data), f"{name}, depth", max_megapixels=max_megapixels)
    if isinstance(picture, str):
        raise InputError(f"{name}: its GDepth Data is {picture}; PNG or JPEG is needed.")
    if picture.mode.startswith("I"):
        return np.asarray(picture).astype(np.float64) / _STEPS
    return np.asarray(picture.convert("L")).astype(np.float64) / 255


def _spread(dn: np.ndarray, keys: Mapping[str, str], name: str) -> np.ndarray:
    """Depth of the codes."""
    measure = keys.get("MeasureType", "OpticalAxis")
    if measure != "OpticalAxis":
        raise InputError(
            f"{name} holds distances along rays (GDepth MeasureType {measure}), and depth along "
            "the optical axis is needed; convert it first."
        )
    near, far = float(keys["Near"]), float(keys["Far"])
    if not 0 < near <= far < np.inf:
        raise InputError(f"{name}: GDepth Near {near:g}, Far {far:g}; 0 < Near <= Far is needed.")
    if keys["Format"] == "RangeInverse":
        return far * near / (far - dn * (far - near))
    return near + dn * (far - near)
