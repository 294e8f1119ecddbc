"""Depth that a phone put beside the photo in a HEIC file, as an auxiliary picture.

Its representation says what the codes are: evenly spaced in inverse depth or depth between two ends
in 1/metres or metres, or an inverse depth without a unit. Where the file does not say, as many do
not, the caller does.

Source: ISO/IEC 23008-2 (H.265), "Depth representation information SEI message semantics".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.errors import InputError
from leadline.io.boundary import open_file
from leadline.io.pictures import decode_opened, open_trusted
from leadline.io.stored import StoredMap
from leadline.resample import resize

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

_NEEDED = "a HEIC photo with a depth picture in it is needed."
_UNIFORM_INVERSE, _UNIFORM_DISPARITY, _UNIFORM_DEPTH = 0, 1, 2


def read_heic_depth(
    path: str | os.PathLike[str], *, kind: str | None = None, max_megapixels: float | None = None
) -> StoredMap:
    """Read the depth in a HEIC file, with the photo at the depth's size.

    Args:
        path: the file.
        kind: what the codes mean where the file does not say.
        max_megapixels: see :func:`leadline.io.read_image`.

    Raises:
        InputError: missing, damaged, without depth, or without a word on what it means.
        MissingDependencyError: pillow-heif is not installed.
    """
    with open_file(path, _NEEDED) as file:
        picture = open_trusted(file, str(path), max_megapixels=max_megapixels)
        depths = [] if isinstance(picture, str) else picture.info.get("depth_images", [])
        if isinstance(picture, str) or not depths:
            raise InputError(f"{path} holds no depth picture; {_NEEDED}")
        codes = np.asarray(depths[0].to_pillow())
        image = decode_opened(picture, str(path), tone="linear")
    if codes.ndim == 3:
        codes = codes[..., 0]
    full = float(np.iinfo(codes.dtype).max)
    values, told = _interpret(codes / full, depths[0].info.get("metadata") or {})
    if told is None and kind is None:
        raise InputError(
            f"{path}: its depth picture does not say what its codes mean; phones usually store a "
            "disparity of unknown scale: read_prediction(path, kind='affine_disparity')."
        )
    if (codes.shape[0] > codes.shape[1]) != (image.size[0] > image.size[1]):
        raise InputError(
            f"{path}: its depth picture, {codes.shape[1]}x{codes.shape[0]}, does not lie as the "
            f"photo, {image.size[1]}x{image.size[0]}; how they are turned is not known."
        )
    pixels = resize(image.pixels, codes.shape, "area_linear")
    camera = image.camera and image.camera.resized(codes.shape[1], codes.shape[0]).to_dict()
    return StoredMap(
        values=values.astype(np.float32),
        valid=np.isfinite(values),
        info={"kind": told or kind, "camera": camera, "model": ""},
        pixels=np.clip(np.rint(pixels), 0, 255).astype(np.uint8),
    )


def _interpret(dn: np.ndarray, told: Mapping[str, Any]) -> tuple[np.ndarray, str | None]:
    """Values and their kind, or the bare codes and None.

    ``z_near`` and ``z_far`` are metres; ``d_min`` and ``d_max`` are disparities of no unit.
    """
    form = told.get("representation_type")
    near, far = told.get("z_near"), told.get("z_far")
    if near and far and form == _UNIFORM_INVERSE:
        inverse = 1 / far + dn * (1 / near - 1 / far)
        with np.errstate(divide="ignore"):
            return 1 / inverse, "metric_depth"
    if near and far and form == _UNIFORM_DEPTH:
        return near + dn * (far - near), "metric_depth"
    low, high = told.get("d_min"), told.get("d_max")
    if form in (_UNIFORM_INVERSE, _UNIFORM_DISPARITY) and low is not None and high is not None:
        return low + dn * (high - low), "affine_disparity"
    return dn, None
