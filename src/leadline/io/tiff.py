"""TIFF beyond what Pillow reads right, by tifffile; and camera raw files, which look like TIFF.

Pillow 13 decodes compressed big-endian numbers of 32 bits with their bytes swapped, wraps unsigned
32-bit integers, and mixes the planes of 16-bit colour, all without a word. So whatever is not
plainly safe goes to tifffile, and is refused where that is not installed.

Source: TIFF 6.0; TIFF/EP and DNG 1.7 for the tags of camera raw files.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from leadline.errors import InputError, MissingDependencyError
from leadline.io.boundary import check_pixels, reading, size_of
from leadline.io.exif import turn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Num

RAW_SUFFIXES = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef"),
    *(".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2"),
    *(".srf", ".srw", ".x3f"),
)
"""Suffixes (lower case) of camera raw files."""

_RAW_BEGINNINGS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM", b"FOVb")
_ORIENTATION = 274
_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 254, 258, 259, 262, 277
_PLANAR, _SUB_IFDS, _SAMPLE_FORMAT, _DNG_VERSION = 284, 330, 339, 50706
_COLOUR_FILTER = (32803, 34892)  # a mosaic of one colour per pixel, and its linear form
_NEEDED = "a whole TIFF file is needed: save the picture again."


@dataclass(frozen=True, kw_only=True, eq=False)
class TiffPicture:
    """What a TIFF holds.

    Attributes:
        values: (h, w) or (h, w, c) numbers of the stored type, upright.
        frames: how many pictures the file holds; the first was read.
        zero_is_white: of unsigned grey, whether 0 means white.
    """

    values: Num[np.ndarray, "h w *c"]
    frames: int
    zero_is_white: bool


def is_tiff(start: bytes) -> bool:
    """Whether a file that begins so is a TIFF, classic or big, of either byte order."""
    return start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def refuse_raw(start: bytes, name: str, tags: Mapping[int, Any] | None = None) -> None:
    """Refuse a camera raw file, whose embedded preview is not the picture.

    Args:
        start: the first 16 bytes.
        name: of the file.
        tags: of its first TIFF directory, where it has one.

    Raises:
        InputError: the file is a camera raw file, or begins with a reduced preview.
    """
    tags = tags or {}
    suffix = PurePath(name).suffix.lower()
    known = start[8:10] == b"CR" and is_tiff(start)
    known |= start.startswith(_RAW_BEGINNINGS) or start[4:11] == b"ftypcrx"
    known |= _DNG_VERSION in tags or tags.get(_PHOTOMETRIC) in _COLOUR_FILTER
    if known or (suffix in RAW_SUFFIXES and (tags or is_tiff(start))):
        raise InputError(
            f"{name} is a camera raw file, and its embedded preview is not the picture; develop it "
            "to JPEG, PNG or TIFF (RawTherapee, darktable or the maker's program) and give that."
        )
    if int(tags.get(_SUBFILE, 0)) & 1 and _SUB_IFDS in tags:
        raise InputError(
            f"{name} begins with a reduced preview of the picture, which may be a camera raw "
            "file's; save the picture itself as JPEG, PNG or TIFF and give that."
        )


def doubt_of_pillow(tags: Any) -> str | None:
    """What makes Pillow's reading of a TIFF doubtful, in words; None when it is safe.

    Args:
        tags: Pillow's ``tag_v2`` of the first picture.
    """
    bits, samples = max(tags.get(_BITS, (1,))), tags.get(_SAMPLES, 1)
    unsigned = max(tags.get(_SAMPLE_FORMAT, (1,))) == 1
    if bits <= 8:
        return None
    if samples > 1 and tags.get(_PLANAR, 1) == 2:
        return f"{bits}-bit colour in separate planes"
    swapped = tags.prefix == b"MM" and tags.get(_COMPRESSION, 1) != 1
    if swapped and not (bits == 16 and unsigned and samples == 1):
        return f"compressed big-endian numbers of {bits} bits"
    if bits == 32 and unsigned:
        return "unsigned 32-bit integers"
    if bits == 16 and samples == 1 and tags.get(_PHOTOMETRIC) == 0:
        return "16-bit grey in which 0 is white"
    return None


def read_tiff(
    file: BinaryIO, name: str, *, why: str, max_megapixels: float | None = None
) -> TiffPicture:
    """The first picture of a TIFF, upright, by tifffile.

    Args:
        file: the open file.
        name: of the file.
        why: what in it needs tifffile, for the message where that is missing.
        max_megapixels: see :func:`leadline.io.boundary.check_pixels`.

    Raises:
        InputError: damaged, a camera raw file, or too large.
        MissingDependencyError: tifffile is not installed.
    """
    try:
        import tifffile
    except ImportError as error:
        raise MissingDependencyError("tifffile", f"reading {name} ({why})", "tiff") from error
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong is said in our line
    with reading(name, _NEEDED):
        file.seek(0)
        start = file.read(16)
        file.seek(0)
        with tifffile.TiffFile(file) as opened:
            page = opened.pages.first
            refuse_raw(start, name, {tag.code: tag.value for tag in page.tags})
            size = (page.imagelength * max(1, page.imagedepth), page.imagewidth)
            width = page.samplesperpixel * max(1, page.bitspersample // 8)  # bytes of a pixel
            bounded = (size[0] * max(1, width // 4), size[1])
            check_pixels(bounded, name, stored=size_of(file), max_megapixels=max_megapixels)
            values = page.asarray()
            if page.planarconfig == 2 and values.ndim == 3:
                values = np.moveaxis(values, 0, -1)
            code = int(page.tags.valueof(_ORIENTATION, default=1))
            return TiffPicture(
                values=turn(values, code),
                frames=len(opened.pages),
                zero_is_white=page.photometric == 0 and values.dtype.kind == "u",
            )
