"""Camera: pinhole intrinsics of a picture, and where it stood.

Axes: x right, y down, z forward. The centre of the top-left pixel is (0, 0), so a picture of width
w spans x from -0.5 to w - 0.5. Lengths in pixels or metres as the names say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from leadline.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Camera:
    """Pinhole camera of a ``height`` x ``width`` picture.

    Attributes:
        width, height: picture size in pixels.
        fx, fy: focal lengths in pixels.
        cx, cy: principal point in pixels, pixel centres at integers.
        world_from_camera: 4x4 rigid transform (float64) that takes camera points to world points,
            or None when the pose is unknown.
        source: where the intrinsics come from: ``"given"``, ``"exif"``, ``"guess"`` ...
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    world_from_camera: np.ndarray | None = None
    source: str = "given"

    def __post_init__(self) -> None:
        self._make_plain()
        if self.width < 1 or self.height < 1:
            raise InputError(
                f"camera size {self.width}x{self.height}: both sides need to be at least 1 pixel."
            )
        numbers = (self.fx, self.fy, self.cx, self.cy)
        if not all(math.isfinite(v) for v in numbers) or self.fx <= 0 or self.fy <= 0:
            raise InputError(
                f"camera fx, fy, cx, cy = {numbers}: focal lengths need to be positive and all "
                "four finite; give pixels, not millimetres."
            )

    def _make_plain(self) -> None:
        """Python's numbers, which JSON can hold, and a float64 matrix."""
        plain = {"width": int, "height": int, "fx": float, "fy": float, "cx": float, "cy": float}
        for name, kind in plain.items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, kind(value))
            except (TypeError, ValueError, OverflowError):
                raise InputError(f"camera {name} = {value!r}: a number is needed.") from None
        if self.world_from_camera is None:
            return
        try:
            pose = np.asarray(self.world_from_camera, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError("world_from_camera holds no matrix; 4x4 numbers are needed.") from None
        if pose.shape != (4, 4) or not np.isfinite(pose).all():
            raise InputError(
                f"world_from_camera of shape {pose.shape}: a finite 4x4 matrix is needed."
            )
        object.__setattr__(self, "world_from_camera", pose)

    @classmethod
    def from_fov(cls, width: int, height: int, *, fov_deg: float, source: str = "given") -> Camera:
        """Camera with a horizontal field of view of ``fov_deg`` and a centred principal point."""
        if not 0 < fov_deg < 180:
            raise InputError(f"fov_deg={fov_deg}: needs to be between 0 and 180 degrees.")
        focal_px = 0.5 * width / math.tan(math.radians(fov_deg) / 2)
        return cls.from_focal(width, height, focal_px=focal_px, source=source)

    @classmethod
    def from_focal(
        cls, width: int, height: int, *, focal_px: float, source: str = "given"
    ) -> Camera:
        """Camera with square pixels, focal length ``focal_px`` and a centred principal point."""
        return cls(
            width=width,
            height=height,
            fx=focal_px,
            fy=focal_px,
            cx=(width - 1) / 2,
            cy=(height - 1) / 2,
            source=source,
        )

    @property
    def matrix(self) -> np.ndarray:
        """3x3 calibration matrix K (float64): pixel ~ K @ camera point."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=np.float64)

    @property
    def fov_deg(self) -> float:
        """Horizontal field of view in degrees."""
        left, right = self.cx + 0.5, self.width - 0.5 - self.cx
        return math.degrees(math.atan(left / self.fx) + math.atan(right / self.fx))

    def resized(self, width: int, height: int) -> Camera:
        """The camera of the same picture resampled to ``height`` x ``width``."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
        )

    def cropped(self, left: int, top: int, width: int, height: int) -> Camera:
        """The camera of the sub-picture whose top-left pixel is (``left``, ``top``)."""
        return replace(self, width=width, height=height, cx=self.cx - left, cy=self.cy - top)

    def flipped(self) -> Camera:
        """The camera of the picture mirrored left to right (intrinsics only; the pose is kept)."""
        return replace(self, cx=self.width - 1 - self.cx)

    def moved(self, world_from_camera: np.ndarray | None) -> Camera:
        """The same intrinsics at another pose."""
        return replace(self, world_from_camera=world_from_camera)

    def to_dict(self) -> dict[str, object]:
        """Plain numbers and lists, for JSON."""
        pose = None if self.world_from_camera is None else self.world_from_camera.tolist()
        return {
            "width": self.width,
            "height": self.height,
            "fx": self.fx,
            "fy": self.fy,
            "cx": self.cx,
            "cy": self.cy,
            "world_from_camera": pose,
            "source": self.source,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Camera:
        """Inverse of :meth:`to_dict`.

        Raises:
            InputError: no table, unknown or missing keys, or values that no camera has.
        """
        if not isinstance(data, Mapping):
            raise InputError(
                f"camera record of type {type(data).__name__}: a table with the keys width, "
                "height, fx, fy, cx and cy is needed."
            )
        known = {"width", "height", "fx", "fy", "cx", "cy", "world_from_camera", "source"}
        unknown = sorted(set(data) - known)
        missing = sorted({"width", "height", "fx", "fy", "cx", "cy"} - set(data))
        if unknown or missing:
            raise InputError(
                f"camera record with unknown keys {unknown} and missing keys {missing}: "
                f"needed are {sorted(known)} (the last two may be left out)."
            )
        return cls(**data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Camera) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.width, self.height, self.fx, self.fy, self.cx, self.cy))
