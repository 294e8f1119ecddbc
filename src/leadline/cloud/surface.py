"""Surface: a depth map, its camera and its colours, as everything in ``cloud`` takes it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, UInt8


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """A depth map that can be lifted to three dimensions.

    Attributes:
        depth: (h, w) float32, z along the optical axis, in ``unit``.
        camera: intrinsics of these pixels.
        known: (h, w) bool, True where the depth counts; what is not finite and positive never does.
            Default: everywhere.
        pixels: (h, w, 3) uint8 sRGB colours, or None.
        normals: (h, w, 3) float32 that a model predicted, or None.
        unit: ``m``, ``1`` (up to one scale) or ``relief`` (made up, for looks).
    """

    depth: Float[np.ndarray, "h w"]
    camera: Camera
    known: Bool[np.ndarray, "h w"] = field(default_factory=lambda: np.ones((), bool))
    pixels: UInt8[np.ndarray, "h w 3"] | None = None
    normals: Float[np.ndarray, "h w 3"] | None = None
    unit: str = "m"

    def __post_init__(self) -> None:
        depth = np.asarray(self.depth)
        if depth.ndim != 2 or depth.size == 0:
            raise InputError(f"depth of shape {depth.shape}: one (h, w) map is needed.")
        camera = self.camera
        if (camera.height, camera.width) != depth.shape:
            raise InputError(
                f"camera of {camera.width}x{camera.height} pixels for a map of "
                f"{depth.shape[1]}x{depth.shape[0]}; give the camera of these pixels (in Python, "
                "camera.resized(width, height))."
            )
        known = self.known & (depth > 0) & np.isfinite(depth)
        object.__setattr__(self, "depth", depth.astype(np.float32, copy=False))
        object.__setattr__(self, "known", known)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.depth.shape[0], self.depth.shape[1]

    @property
    def inverse(self) -> Float[np.ndarray, "h w"]:
        """1 / depth, NaN where not known. Over a plane it is affine in the pixel's x and y."""
        return np.divide(
            1, self.depth, out=np.full_like(self.depth, np.nan), where=self.known, dtype=np.float32
        )

    def without(self, removed: Bool[np.ndarray, "h w"]) -> Surface:
        """The surface less some pixels."""
        return replace(self, known=self.known & ~removed)

    def every(self, step: int) -> Surface:
        """Each ``step``-th pixel of each ``step``-th row: samples, no averages across edges."""
        if step == 1:
            return self
        depth, camera = sample(self.depth, step), self.camera
        first = _first(self.size, step)
        camera = replace(
            camera,
            width=depth.shape[1],
            height=depth.shape[0],
            fx=camera.fx / step,
            fy=camera.fy / step,
            cx=(camera.cx - first) / step,
            cy=(camera.cy - first) / step,
        )
        return replace(
            self,
            depth=depth,
            camera=camera,
            known=sample(self.known, step),
            pixels=None if self.pixels is None else sample(self.pixels, step),
            normals=None if self.normals is None else sample(self.normals, step),
        )


def sample(array: np.ndarray, step: int) -> np.ndarray:
    """The pixel in the middle of every ``step`` x ``step`` of an (h, w, ...) array."""
    first = _first(array.shape, step)
    return array[first::step, first::step]


def _first(size: tuple[int, ...], step: int) -> int:
    return step // 2 if min(size[:2]) > step // 2 else 0


def lift(
    depth: Float[np.ndarray, "h w"], camera: Camera, keep: Bool[np.ndarray, "h w"] | None = None
) -> Float[np.ndarray, "n 3"]:
    """Points of a depth map in the camera's frame (x right, y down, z forward), float32.

    Args:
        depth: z along the optical axis.
        camera: intrinsics of its pixels.
        keep: of which pixels, in the order of rows; None: all.
    """
    chosen = np.ones(depth.shape, bool) if keep is None else keep
    v, u = np.nonzero(chosen)
    z = depth[chosen]
    points = np.empty((len(z), 3), np.float32)
    points[:, 0] = _ray_slopes(camera.width, camera.cx, camera.fx)[u] * z
    points[:, 1] = _ray_slopes(camera.height, camera.cy, camera.fy)[v] * z
    points[:, 2] = z
    return points


def make_relief(
    values: Float[np.ndarray, "h w"],
    known: Bool[np.ndarray, "h w"],
    *,
    larger_is_nearer: bool,
    softness: float,
) -> Float[np.ndarray, "h w"]:
    """A depth for looks alone from a map whose scale and shift nobody knows.

    With the values scaled to 0..1 between their 0.5th and 99.5th percentile, a disparity d becomes
    1 / (d + softness) and a depth z + softness, over the median. Its unit means nothing; the
    farthest is (1 + softness) / softness times as far as the nearest.

    Args:
        values: the map.
        known: where it counts.
        larger_is_nearer: whether it is a disparity.
        softness: about 0.1 (deep) to 1 (flat).

    Raises:
        InputError: a softness that is not positive, or nothing known.
    """
    if not (math.isfinite(softness) and softness > 0):
        raise InputError(f"relief {softness}: a positive number is needed, 0.1 (deep) to 1 (flat).")
    if not known.any():
        raise InputError("the map holds no value, so there is no relief; give another picture.")
    low, high = np.percentile(values[known], (0.5, 99.5))
    scaled = np.clip((values - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)
    depth = 1 / (scaled + softness) if larger_is_nearer else scaled + softness
    return depth / np.median(depth[known])


def _ray_slopes(count: int, centre: float, focal_px: float) -> np.ndarray:
    return ((np.arange(count) - centre) / focal_px).astype(np.float32)
