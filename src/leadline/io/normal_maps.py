"""Normal maps as PNG: red to the right, green up (OpenGL) or down (DirectX), blue to the viewer.

A component n becomes (n + 1) / 2 of the largest code. Where nothing is known all three are 0, which
no unit vector has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from jaxtyping import Float, Num

NormalConvention = Literal["opengl", "directx"]
"""``opengl``: green up (Blender, Unity, Maya); ``directx``: green down (Unreal, Substance)."""

_SIGNS = {
    "opengl": np.array([1, -1, -1], np.float32),
    "directx": np.array([1, 1, -1], np.float32),
}
_CODES = {8: np.uint8, 16: np.uint16}


def encode_normals(
    normals: Float[np.ndarray, "h w 3"],
    *,
    bits: int = 8,
    convention: NormalConvention = "opengl",
) -> Num[np.ndarray, "h w 3"]:
    """Normals as the codes of a picture.

    Args:
        normals: unit vectors in the camera's frame (x right, y down, z forward); NaN: unknown.
        bits: 8 or 16 per channel.
        convention: see :data:`NormalConvention`.

    Raises:
        InputError: another shape or number of bits.
        UnknownNameError: another convention.
    """
    if normals.ndim != 3 or normals.shape[2] != 3 or bits not in _CODES:
        raise InputError(
            f"normals of shape {normals.shape} in {bits} bits: (h, w, 3) in 8 or 16 are needed."
        )
    if convention not in _SIGNS:
        raise UnknownNameError("convention of normals", convention, _SIGNS)
    largest = 2**bits - 1
    known = np.isfinite(normals).all(axis=2, keepdims=True)
    turned = np.where(known, normals, 0) * _SIGNS[convention]
    codes = np.rint((turned + 1) * np.float32(largest / 2))
    return np.where(known, np.clip(codes, 0, largest), 0).astype(_CODES[bits])


def decode_normals(
    codes: Num[np.ndarray, "h w 3"], *, convention: NormalConvention = "opengl"
) -> Float[np.ndarray, "h w 3"]:
    """Unit normals of :func:`encode_normals`' codes; NaN where they say that nothing is known."""
    if convention not in _SIGNS:
        raise UnknownNameError("convention of normals", convention, _SIGNS)
    vectors = codes.astype(np.float32) * np.float32(2 / np.iinfo(codes.dtype).max) - 1
    vectors *= _SIGNS[convention]
    length = np.linalg.norm(vectors, axis=2, keepdims=True)
    return np.where(codes.any(axis=2, keepdims=True), vectors / np.maximum(length, 1e-6), np.nan)
