"""How high a moving camera is above the ground, in units of its own motion.

The ground is found as the plane whose homography makes one picture look like the other in a
trapezoid before the camera, from where a road or floor is usually seen: first over a grid of
heights and slopes, then by Gauss-Newton steps on the grey values. Roads have too few points that
features find, but texture everywhere.

Source: Hartley and Zisserman, Multiple View Geometry, 2nd ed., 13.1 (homography of a plane); Baker
and Matthews, Lucas-Kanade 20 Years On, IJCV 2004 (the steps); Song and Chandraker, Robust Scale
Estimation in Real-Time Monocular SFM, CVPR 2014 (scale from the ground).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.geometry.epipolar import second_from_first
from leadline.geometry.opencv import grey_of, opencv

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from leadline.camera import Camera
    from leadline.image import Image

_BLUR_PX = 1.0  # smoothing of both pictures
_NEAREST, _FARTHEST, _ASIDE = 2.5, 10.0, 1.2
"""The trapezoid before the camera, in heights of the camera: ahead, and to either side."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Ground:
    """A plane below a camera.

    Attributes:
        height: of the camera above it, in the unit of the poses.
        normal: (3,) unit vector down to it, in the camera's axes.
        likeness: correlation of both pictures' grey values on it, -1..1.
    """

    height: float
    normal: Float[np.ndarray, " 3"]
    likeness: float


PITCHES_DEG = (-4.0, -2.0, 0.0, 2.0, 4.0)
"""Slopes of the ground ahead that the first search tries."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundFit:
    """Both pictures' grey values on the trapezoid, and the motion between their cameras.

    A plane is m = normal / height: points X of it have m . X = 1, and x2 ~ (R + t m^T) x1.
    """

    rays: np.ndarray  # n 3, of the first camera
    grey: np.ndarray  # n
    other: np.ndarray  # h w, float32
    slopes: tuple[np.ndarray, np.ndarray]
    camera: Camera
    R: np.ndarray
    t: np.ndarray

    @classmethod
    def of(
        cls,
        first: Image,
        second: Image,
        cameras: tuple[Camera, Camera],
    ) -> GroundFit | None:
        """Look at two pictures.

        Args:
            first: a picture of a camera that looks about level.
            second: another, a little later.
            cameras: both with ``world_from_camera``; their unit is that of the heights.

        Returns:
            None where the camera's view holds no trapezoid on level ground.
        """
        motion = second_from_first(*cameras)
        cv2 = opencv("finding the ground")
        a, b = (
            cv2.GaussianBlur(grey_of(image).astype(np.float32), (0, 0), _BLUR_PX)
            for image in (first, second)
        )
        camera = cameras[0]
        inside = _trapezoid(camera)
        v, u = np.nonzero(inside)
        if len(v) < 500:
            return None
        step = -(-len(v) // 20_000)
        v, u = v[::step], u[::step]
        rays = np.stack(
            [(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(len(u))], axis=1
        )
        return cls(
            rays=rays,
            grey=a[v, u],
            other=b,
            slopes=(cv2.Sobel(b, -1, 1, 0, scale=1 / 8), cv2.Sobel(b, -1, 0, 1, scale=1 / 8)),
            camera=cameras[1],
            R=motion[:3, :3],
            t=motion[:3, 3],
        )

    def place(self, m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points in the second camera's axes, and their pixels."""
        X = self.rays @ self.R.T + np.outer(self.rays @ m, self.t)
        z = np.where(X[:, 2] > 1e-6, X[:, 2], np.nan)
        c = self.camera
        return X, np.stack([X[:, 0] / z * c.fx + c.cx, X[:, 1] / z * c.fy + c.cy], axis=1)

    def look(self, picture: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """Values of the second picture at pixels, NaN outside."""
        cv2 = opencv()
        maps = np.nan_to_num(pixels, nan=-10).astype(np.float32)[:, None]
        return cv2.remap(
            picture,
            maps[..., 0],
            maps[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=float("nan"),
        )[:, 0]

    def likeness(self, m: np.ndarray) -> float:
        """Correlation over the trapezoid; -1 where too little of it is seen."""
        values = self.look(self.other, self.place(m)[1])
        seen = np.isfinite(values)
        if seen.sum() < 0.5 * len(seen):
            return -1.0
        a, b = self.grey[seen], values[seen]
        a, b = a - a.mean(), b - b.mean()
        scale = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
        return float((a * b).sum()) / scale if scale > 0.1 * len(a) else -1.0  # else: even grey

    def table(self, heights: Float[np.ndarray, " h"]) -> Float[np.ndarray, "h p"]:
        """Likeness of level ground at ``heights``, rising by :data:`PITCHES_DEG`."""
        return np.array([[self.likeness(_plane(h, p)) for p in PITCHES_DEG] for h in heights])

    def ground(self, height: float, pitch_deg: float) -> Ground | None:
        """The plane near a first guess; None where nothing like it is there."""
        m = _plane(height, pitch_deg)
        m, likeness = self.climb(m, self.likeness(m))
        length = float(np.linalg.norm(m))
        if likeness < 0.5 or not length > 0 or abs(m[1]) < 0.9 * length:
            return None
        return Ground(height=1 / length, normal=m / length, likeness=likeness)

    def climb(self, m: np.ndarray, likeness: float) -> tuple[np.ndarray, float]:
        """Gauss-Newton steps on the grey values, with a gain and an offset between pictures."""
        for _ in range(15):
            X, pixels = self.place(m)
            values = self.look(self.other, pixels)
            gx, gy = (self.look(slope, pixels) for slope in self.slopes)
            seen = np.isfinite(values) & np.isfinite(gx) & np.isfinite(gy)
            if seen.sum() < 100:
                break
            c, t, z = self.camera, self.t, X[seen, 2]
            along = gx[seen] * c.fx * (t[0] - X[seen, 0] / z * t[2]) / z
            along += gy[seen] * c.fy * (t[1] - X[seen, 1] / z * t[2]) / z
            J = np.column_stack([self.rays[seen] * along[:, None], values[seen], np.ones(len(z))])
            r = values[seen] - self.grey[seen]
            scale = 1.4826 * float(np.median(np.abs(r - np.median(r)))) + 1e-6
            w = 1 / (1 + ((r - np.median(r)) / (2 * scale)) ** 2)
            step = np.linalg.lstsq((J * w[:, None]).T @ J, -(J * w[:, None]).T @ r, rcond=None)[0]
            tried = m + step[:3]
            value = self.likeness(tried)
            if value <= likeness:
                break
            m, likeness = tried, value
        return m, likeness


def _plane(height: float, pitch_deg: float) -> np.ndarray:
    pitch = math.radians(pitch_deg)
    return np.array([0, math.cos(pitch), math.sin(pitch)]) / height


def _trapezoid(camera: Camera) -> Bool[np.ndarray, "h w"]:
    """Pixels that see level ground from 2.5 to 10 heights ahead and 1.2 to either side."""
    x = (np.arange(camera.width) - camera.cx)[None, :] / camera.fx
    y = (np.arange(camera.height) - camera.cy)[:, None] / camera.fy
    fall = np.maximum(y, 1e-6)
    return (y > 1 / _FARTHEST) & (y < 1 / _NEAREST) & (np.abs(x) < _ASIDE * fall)
