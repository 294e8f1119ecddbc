"""Image: pixels, and the camera that took them when it is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """A picture as every model takes it.

    Attributes:
        pixels: (h, w, 3) uint8, RGB, upright (EXIF orientation already applied).
        camera: intrinsics of these pixels, or None when nothing tells them.
        name: file name or label for messages and output names; may be empty.
        prompt_depth: (h', w') float32 metres of the same view at any size, 0 where unknown: what a
            LiDAR or a phone measured, for networks that ask for it.
        notes: what reading left out or changed, one line each: other pictures of the file, lost
            grey levels.
    """

    pixels: np.ndarray
    camera: Camera | None = None
    name: str = ""
    prompt_depth: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise InputError(
                f"image array of shape {pixels.shape} and type {pixels.dtype}: an (h, w, 3) uint8 "
                "RGB array is needed; convert grey with np.stack([grey] * 3, -1) and floats in "
                "[0, 1] with (x * 255).round().astype('uint8')."
            )
        if min(pixels.shape[:2]) < 1:
            raise InputError(f"image of shape {pixels.shape} holds no pixels; give a real picture.")
        if self.camera is not None and (self.camera.height, self.camera.width) != self.size:
            raise InputError(
                f"camera of {self.camera.width}x{self.camera.height} pixels for a picture of "
                f"{pixels.shape[1]}x{pixels.shape[0]}; use camera.resized(width, height)."
            )
        prompt = self.prompt_depth
        if prompt is not None and (prompt.ndim != 2 or prompt.dtype.kind not in "fiu"):
            raise InputError(
                f"prompt_depth of shape {prompt.shape} and type {prompt.dtype}: one (h, w) map of "
                "metres is needed, 0 where unknown."
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]
