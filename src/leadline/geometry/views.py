"""Views: pixels and cameras in coordinates that suit arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import DegenerateError, InputError
from leadline.geometry.epipolar import inverse_rigid

if TYPE_CHECKING:
    from leadline.camera import Camera


@dataclass(frozen=True, kw_only=True, eq=False)
class Views:
    """Pixels and cameras in coordinates that suit arithmetic.

    The origin is the mean of the cameras' places and the unit their largest distance from it.
    ``x[v]`` and ``y[v]`` are slopes (X/Z) of view v, ``seen[v]`` where it sees the point.
    """

    x: list[np.ndarray]
    y: list[np.ndarray]
    seen: list[np.ndarray] | None
    rotations: np.ndarray  # v 3 3, camera from world
    translations: np.ndarray  # v 3
    centres: np.ndarray  # v 3
    focals: np.ndarray  # v 2
    origin: np.ndarray
    scale: float

    @property
    def count(self) -> int:
        """Number of points."""
        return len(self.x[0])

    @classmethod
    def of(cls, pixels: Sequence[np.ndarray], cameras: Sequence[Camera]) -> Views:
        """Check and change what a user gives."""
        arrays = [np.asarray(p, dtype=np.float64) for p in pixels]
        shapes = [a.shape for a in arrays]
        if len(arrays) != len(cameras) or len(arrays) < 2:
            raise InputError(
                f"pixels of {len(arrays)} views with {len(cameras)} cameras: two or more views "
                "with a camera each are needed."
            )
        if len(set(shapes)) != 1 or len(shapes[0]) != 2 or shapes[0][1] != 2:
            raise InputError(
                f"pixels of shapes {shapes}: (n, 2) in every view is needed, with NaN where a "
                "view does not see a point."
            )
        if any(camera.world_from_camera is None for camera in cameras):
            raise InputError(
                "a camera has no pose, so rays cannot meet; give camera.moved(world_from_camera), "
                "or find poses with leadline.geometry.relative_pose."
            )
        poses = np.array([camera.world_from_camera for camera in cameras], dtype=np.float64)
        origin = poses[:, :3, 3].mean(0)
        centres = poses[:, :3, 3] - origin
        scale = float(np.linalg.norm(centres, axis=1).max())
        if scale <= 1e-12 * max(1.0, float(np.abs(origin).max())):
            raise DegenerateError(
                "all cameras stand at one place, so rays never part and there is no depth; take "
                "pictures from different places, or check the poses."
            )
        inverses = np.array([inverse_rigid(pose)[:3, :3] for pose in poses])
        seen = [np.asarray(np.isfinite(a).all(1)) for a in arrays]
        everywhere = all(s.all() for s in seen)
        return cls(
            x=[(a[:, 0] - c.cx) / c.fx for a, c in zip(arrays, cameras, strict=True)],
            y=[(a[:, 1] - c.cy) / c.fy for a, c in zip(arrays, cameras, strict=True)],
            seen=None if everywhere else seen,
            rotations=inverses,
            translations=-np.einsum("vij,vj->vi", inverses, centres / scale),
            centres=centres / scale,
            focals=np.array([(c.fx, c.fy) for c in cameras]),
            origin=origin,
            scale=scale,
        )

    def rows(self, rows: slice) -> Views:
        """Some of the points."""
        return Views(
            x=[x[rows] for x in self.x],
            y=[y[rows] for y in self.y],
            seen=None if self.seen is None else [s[rows] for s in self.seen],
            rotations=self.rotations,
            translations=self.translations,
            centres=self.centres,
            focals=self.focals,
            origin=self.origin,
            scale=self.scale,
        )

    def weights(self, view: int) -> np.ndarray | float:
        """1 where a view sees the point and 0 where not; the number 1 when all see all."""
        return 1.0 if self.seen is None else self.seen[view].astype(np.float64)

    def slopes(self, view: int) -> tuple[np.ndarray, np.ndarray]:
        """Slopes with 0 where the view sees nothing, to be used with :meth:`weights`."""
        if self.seen is None:
            return self.x[view], self.y[view]
        seen = self.seen[view]
        return np.where(seen, self.x[view], 0.0), np.where(seen, self.y[view], 0.0)
