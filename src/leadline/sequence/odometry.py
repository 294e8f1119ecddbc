"""Where a camera went, and the points it saw, from its pictures alone.

Every picture's features are matched to those of the last keyframe. The first two keyframes give a
motion whose length is 1; each further one is placed by the points that are known already, adds the
points that it sees with the last, and is adjusted together with the latest keyframes and all their
points. Pictures that hardly move from a keyframe are placed by the points, and are none.

Everything is up to one scale, which may drift slowly over long ways. :mod:`leadline.sequence.scale`
makes it metres.

Source: Nister, Naroditsky and Bergen, Visual Odometry, CVPR 2004; Mouragnon et al., Real Time
Localization and 3D Reconstruction, CVPR 2006 (local bundle adjustment).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import DegenerateError, InputError
from leadline.geometry import Matches, detect, match_features, relative_pose, triangulate
from leadline.geometry.epipolar import homogeneous, inverse_rigid
from leadline.geometry.inputs import camera_of, check_size, slopes_of
from leadline.geometry.pose import measure_parallax
from leadline.sequence.bundle_adjustment import (
    Observations,
    adjust_bundle,
    place_camera,
    residuals,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jaxtyping import Float, UInt8

    from leadline.camera import Camera
    from leadline.geometry import Features
    from leadline.image import Image


@dataclass(frozen=True, kw_only=True)
class OdometryConfig:
    """How to follow a camera.

    Attributes:
        features: points per picture at most.
        keyframe_parallax_deg: median angle between rays, since the last keyframe and with the
            turn taken out, from which a picture becomes a keyframe.
        window: keyframes that are adjusted together.
        min_points: known points that a picture needs to be placed.
        max_error_px: error up to which an observation counts.
        min_parallax_deg: angle from which two rays make a point.
    """

    features: int = 3000
    keyframe_parallax_deg: float = 0.35
    window: int = 6
    min_points: int = 20
    max_error_px: float = 2.0
    min_parallax_deg: float = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """Cameras of all frames and the points they saw; the world has the first camera's axes.

    Attributes:
        cameras: one for every frame, with ``world_from_camera``.
        keyframes: numbers of the frames that points came from.
        points: (p, 3) in the world.
        colors: (p, 3) uint8.
        error_px: (p,) root mean square reprojection error.
        metric: whether lengths are metres.
    """

    cameras: list[Camera]
    keyframes: list[int]
    points: Float[np.ndarray, "p 3"]
    colors: UInt8[np.ndarray, "p 3"]
    error_px: Float[np.ndarray, " p"]
    metric: bool = False

    def positions(self) -> Float[np.ndarray, "f 3"]:
        """Where the camera stood."""
        return np.array([np.asarray(c.world_from_camera)[:3, 3] for c in self.cameras])


def track(frames: Iterable[Image], config: OdometryConfig | None = None) -> Trajectory:
    """Follow a camera through its pictures.

    Args:
        frames: pictures of one size in the order of time, with intrinsics; looked at one by one.
        config: see :class:`OdometryConfig`.

    Returns:
        A trajectory whose unit is the distance between the first two keyframes.

    Raises:
        InputError: fewer than two frames, mixed sizes, frames without cameras, or a place where
            the frames have too little in common.
        DegenerateError: the camera did not move, only turned, or sees one plane.
    """
    tracker = _Tracker(config=config or OdometryConfig())
    for frame in frames:
        tracker.add(frame)
    return tracker.finish()


@dataclass(kw_only=True, eq=False)
class _Frame:
    """One picture: its features, which points they are (-1: none), and its pose."""

    number: int
    name: str
    camera: Camera
    features: Features
    colors: np.ndarray
    point: np.ndarray
    pose: np.ndarray | None = None  # camera_from_world

    def slopes(self, rows: np.ndarray) -> np.ndarray:
        return slopes_of(self.features.points[rows], self.camera)


@dataclass(kw_only=True, eq=False)
class _Tracker:
    """The state of :func:`track`."""

    config: OdometryConfig
    keys: list[_Frame] = field(default_factory=list)
    between: list[tuple[int, Camera, np.ndarray | None]] = field(default_factory=list)
    waiting: list[tuple[_Frame, np.ndarray]] = field(default_factory=list)
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    colors: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.uint8))
    count: int = 0

    def add(self, image: Image) -> None:
        """Take the next picture."""
        frame = self._read(image)
        if not self.keys:
            frame.pose = np.eye(4)
            self.keys.append(frame)
            return
        key = self.keys[-1]
        matched = match_features(key.features, frame.features)
        rows = matched.indices
        if rows is None or len(rows) < self.config.min_points:
            raise InputError(
                f"{frame.name} and {key.name} share {len(matched)} points, and "
                f"{self.config.min_points} are needed: the camera moved too fast, or the pictures "
                "are not in the order of time. Give more frames in between, sorted by time."
            )
        if len(self.points) == 0:
            self._begin(key, frame, matched)
        else:
            self._follow(key, frame, matched)

    def finish(self) -> Trajectory:
        """Everything that was found."""
        if self.count < 2:
            raise InputError(f"{self.count} frame: two or more are needed for depth.")
        if len(self.points) == 0:
            raise DegenerateError(
                f"the camera hardly moved over {self.count} frames, or only turned, or sees one "
                "plane: there is no parallax and no depth. Move it sideways or forward."
            )
        keep, error = self._quality()
        placed = [(key.number, key.camera, key.pose) for key in self.keys] + self.between
        placed.sort(key=lambda entry: entry[0])
        cameras = [c.moved(inverse_rigid(np.asarray(pose))) for _, c, pose in placed]
        return Trajectory(
            cameras=cameras,
            keyframes=[key.number for key in self.keys],
            points=self.points[keep],
            colors=self.colors[keep],
            error_px=error[keep],
        )

    def _read(self, image: Image) -> _Frame:
        name = image.name or f"frame {self.count}"
        camera = camera_of(image, name)
        if self.keys:
            check_size(image, (self.keys[0].camera.height, self.keys[0].camera.width), name)
        features = detect(image, limit=self.config.features)
        frame = _Frame(
            number=self.count,
            name=name,
            camera=camera,
            features=features,
            colors=colors_at(image, features.points),
            point=np.full(len(features), -1),
        )
        self.count += 1
        return frame

    def _begin(self, key: _Frame, frame: _Frame, matched: Matches) -> None:
        """Try to make the first points; until the camera has moved, remember the frame."""
        try:
            found = relative_pose(matched, key.camera, frame.camera)
        except DegenerateError:
            found = None
        if found is None or found.parallax_deg < self.config.keyframe_parallax_deg:
            self.waiting.append((frame, np.asarray(matched.indices)))
            return
        frame.pose = found.second_from_first @ _pose_of(key)
        rows = np.asarray(matched.indices)[found.inliers]
        self._grow(key, frame, rows)
        if not len(self.points):
            raise DegenerateError(
                f"{key.name} and {frame.name} have too little parallax to make points; take "
                "pictures from places farther apart."
            )
        self.keys.append(frame)
        self._adjust()
        for early, rows in self.waiting:  # now there are points to place them by
            known = key.point[rows[:, 0]] >= 0
            early.point[rows[known, 1]] = key.point[rows[known, 0]]
            early.pose = _pose_of(key)
            self._place(early)
            self.between.append((early.number, early.camera, early.pose))
        self.waiting.clear()

    def _follow(self, key: _Frame, frame: _Frame, matched: Matches) -> None:
        """Place a frame by known points; make it a keyframe when it moved far enough."""
        rows = np.asarray(matched.indices)
        known = key.point[rows[:, 0]] >= 0
        frame.point[rows[known, 1]] = key.point[rows[known, 0]]
        if known.sum() < self.config.min_points:
            raise InputError(
                f"{frame.name} sees {known.sum()} of the known points, and "
                f"{self.config.min_points} are needed: the camera moved too fast or turned on the "
                "spot. Give more frames in between."
            )
        frame.pose = self._guess(key, frame, matched)
        self._place(frame)
        parallax = self._parallax_deg(key, frame, rows)
        few = known.sum() < 0.5 * (key.point >= 0).sum()
        if parallax < self.config.keyframe_parallax_deg and not few:
            self.between.append((frame.number, frame.camera, frame.pose))
            return
        self._grow(key, frame, rows[~known])
        self.keys.append(frame)
        self._adjust()

    def _guess(self, key: _Frame, frame: _Frame, matched: Matches) -> np.ndarray:
        """Turn and direction by both pictures, length by the known points."""
        before = _pose_of(key)
        rows = np.asarray(matched.indices)
        try:
            motion = relative_pose(matched, key.camera, frame.camera, check=False).second_from_first
        except InputError:
            motion = np.eye(4)
        known = key.point[rows[:, 0]] >= 0
        inside = self.points[key.point[rows[known, 0]]] @ before[:3, :3].T + before[:3, 3]
        turned, t = inside @ motion[:3, :3].T, motion[:3, 3]
        slopes = frame.slopes(rows[known, 1])
        options = [0.0]
        if t.any():  # (turned + s t) x ray = 0, for every point and axis; the median of s
            for axis in range(2):
                top = slopes[:, axis] * turned[:, 2] - turned[:, axis]
                with np.errstate(divide="ignore", invalid="ignore"):
                    lengths = top / (t[axis] - slopes[:, axis] * t[2])
                options.append(float(np.nanmedian(lengths[np.isfinite(lengths)])))
        poses = []
        for length in options:
            step = motion.copy()
            step[:3, 3] *= length
            poses.append(step @ before)
        return min(poses, key=lambda pose: self._robust_cost(frame, pose))

    def _observe(self, frame: _Frame) -> Observations:
        rows = np.nonzero(frame.point >= 0)[0]
        return Observations(
            pose=np.zeros(len(rows), dtype=int),
            point=frame.point[rows],
            slopes=frame.slopes(rows),
            focals=np.tile([frame.camera.fx, frame.camera.fy], (len(rows), 1)),
        )

    def _robust_cost(self, frame: _Frame, pose: np.ndarray) -> float:
        error = residuals(pose[None], self.points, self._observe(frame))
        return float(np.log1p((error**2).sum(1)).sum())

    def _place(self, frame: _Frame) -> None:
        """The pose that fits the known points best; points that do not fit it are let go."""
        seen = self._observe(frame)
        # The points stay: a second, fixed pose is not needed when they are not free to move.
        pose = place_camera(_pose_of(frame), self.points, seen)
        error = np.linalg.norm(residuals(pose[None], self.points, seen), axis=1)
        good = error < 2 * self.config.max_error_px
        if good.sum() < self.config.min_points:
            raise InputError(
                f"{frame.name} fits {good.sum()} of the known points, and "
                f"{self.config.min_points} are needed: the scene moves, the frames are not in the "
                "order of time, or the intrinsics are wrong. Check these."
            )
        frame.pose = pose
        rows = np.nonzero(frame.point >= 0)[0]
        frame.point[rows[~good]] = -1

    def _parallax_deg(self, key: _Frame, frame: _Frame, rows: np.ndarray) -> float:
        turn = (_pose_of(frame) @ inverse_rigid(_pose_of(key)))[:3, :3]
        rays = homogeneous(key.slopes(rows[:, 0])), homogeneous(frame.slopes(rows[:, 1]))
        return float(np.median(measure_parallax(turn, rays)))

    def _grow(self, key: _Frame, frame: _Frame, rows: np.ndarray) -> None:
        """New points from features of both that are no points yet."""
        rows = rows[(key.point[rows[:, 0]] < 0) & (frame.point[rows[:, 1]] < 0)]
        pixels = key.features.points[rows[:, 0]], frame.features.points[rows[:, 1]]
        cameras = [f.camera.moved(inverse_rigid(_pose_of(f))) for f in (key, frame)]
        made = triangulate(
            pixels,
            cameras,
            min_parallax_deg=self.config.min_parallax_deg,
            max_error_px=self.config.max_error_px,
        )
        start = len(self.points)
        self.points = np.concatenate([self.points, made.world[made.keep]])
        new = start + np.arange(int(made.keep.sum()))
        key.point[rows[made.keep, 0]] = new
        frame.point[rows[made.keep, 1]] = new
        self.colors = np.concatenate([self.colors, key.colors[rows[made.keep, 0]]])

    def _adjust(self) -> None:
        """Adjust the latest keyframes and their points; the two oldest of them hold the scale."""
        window = self.keys[-self.config.window :]
        parts = [self._observe(key) for key in window]
        ids, point = np.unique(np.concatenate([p.point for p in parts]), return_inverse=True)
        seen = Observations(
            pose=np.repeat(np.arange(len(window)), [len(p.point) for p in parts]),
            point=point,
            slopes=np.concatenate([p.slopes for p in parts]),
            focals=np.concatenate([p.focals for p in parts]),
        )
        fixed = np.arange(len(window)) < (2 if len(window) > 2 else 1)
        poses = np.array([_pose_of(key) for key in window])
        found = adjust_bundle(poses, self.points[ids], seen, fixed)
        self.points[ids] = found.points
        rows = np.concatenate([np.nonzero(key.point >= 0)[0] for key in window])
        for i, key in enumerate(window):
            key.pose = found.poses[i]
            mine = seen.pose == i
            wrong = found.error_px[mine] > 2 * self.config.max_error_px
            key.point[rows[mine][wrong]] = -1
        if len(self.keys) == 2:  # one pose alone was fixed: the first step is the unit again
            self._unit()

    def _unit(self) -> None:
        length = np.linalg.norm(inverse_rigid(_pose_of(self.keys[1]))[:3, 3])
        self.points = self.points / length
        pose = _pose_of(self.keys[1]).copy()
        pose[:3, 3] /= length
        self.keys[1].pose = pose

    def _quality(self) -> tuple[np.ndarray, np.ndarray]:
        """Which points two keyframes still see, and the error of each."""
        total, count = np.zeros(len(self.points)), np.zeros(len(self.points))
        for key in self.keys:
            seen = self._observe(key)
            error = (residuals(_pose_of(key)[None], self.points, seen) ** 2).sum(1)
            np.add.at(total, seen.point, error)
            np.add.at(count, seen.point, 1)
        error = np.sqrt(total / np.maximum(count, 1))
        return (count >= 2) & (error < 2 * self.config.max_error_px), error


def _pose_of(frame: _Frame) -> np.ndarray:
    if frame.pose is None:
        raise InputError(f"{frame.name} has no pose yet.")
    return frame.pose


def colors_at(image: Image, points: Float[np.ndarray, "n 2"]) -> UInt8[np.ndarray, "n 3"]:
    """Colours of the pixels nearest to points."""
    x, y = np.rint(points).astype(int).T
    return image.pixels[np.clip(y, 0, image.size[0] - 1), np.clip(x, 0, image.size[1] - 1)]
