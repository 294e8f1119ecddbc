"""Two posed pictures turned so that their rows belong together, and depth from such a pair.

Both are seen again through cameras that stand where they stood, look the same way, square to the
line between them: a point then moves along its row only. That works for sideways motion in any
direction in the picture; where the camera moved along its own axis there is no such view, and a
plane sweep is the way.

Source: Fusiello, Trucco and Verri, A Compact Algorithm for Rectification of Stereo Pairs, 2000.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import DegenerateError
from leadline.geometry.inputs import camera_of, check_size, posed_camera
from leadline.geometry.opencv import opencv
from leadline.geometry.stereo_matching import stereo_disparity
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import Prediction

if TYPE_CHECKING:
    from leadline.camera import Camera

_LEAST_ANGLE_DEG = 35.0  # between the motion and the optical axes


@dataclass(frozen=True, kw_only=True, eq=False)
class RectifiedPair:
    """Two pictures with one orientation and one calibration matrix.

    Attributes:
        left, right: the pictures; their cameras have poses. z = fx * baseline / disparity.
        baseline: distance between them, in the unit of the poses.
        swapped: whether ``left`` comes from the second picture that was given.
    """

    left: Image
    right: Image
    baseline: float
    swapped: bool


def rectify(first: Image, second: Image) -> RectifiedPair:
    """Turn two posed pictures into a rectified pair.

    Args:
        first: a picture with intrinsics and ``world_from_camera``.
        second: another of the same size, with its own.

    Raises:
        InputError: no camera or pose, or mixed sizes.
        DegenerateError: the cameras stand at one place, one moved along its optical axis, or they
            look in different directions.
        MissingDependencyError: OpenCV is not installed.
    """
    cameras = posed_camera(first, "first picture"), posed_camera(second, "second picture")
    check_size(second, first.size, "second picture")
    poses = [np.asarray(camera.world_from_camera) for camera in cameras]
    move = poses[1][:3, 3] - poses[0][:3, 3]
    baseline = float(np.linalg.norm(move))
    if baseline < 1e-9:
        raise DegenerateError(
            "both cameras stand at one place, so there is no parallax and no depth; take the "
            "second picture from elsewhere, or check the poses."
        )
    axes = [pose[:3, 2] for pose in poses]
    ahead = axes[0] + axes[1]
    length = float(np.linalg.norm(ahead))
    if length < 2 * np.cos(np.radians(30)):
        raise DegenerateError(
            f"the two cameras look {np.degrees(2 * np.arccos(min(1.0, length / 2))):.0f} degrees "
            "apart, and 60 or less are needed to see them side by side; choose nearer pictures."
        )
    ahead /= length
    angle = np.degrees(np.arccos(np.clip(abs(move @ ahead) / baseline, 0, 1)))
    if angle < _LEAST_ANGLE_DEG:
        raise DegenerateError(
            f"the camera moved {angle:.0f} degrees off its optical axis, and "
            f"{_LEAST_ANGLE_DEG:g} or more are needed to rectify: this is forward motion. Use "
            "leadline.geometry.plane_sweep, which takes any motion."
        )
    return _warp_pair((first, second), poses, move / baseline, ahead, baseline)


def depth_from_pair(
    first: Image,
    second: Image,
    *,
    metric: bool = True,
    max_disparity: int | None = None,
    fill: bool = True,
) -> Prediction:
    """Depth of ``first`` from one sideways neighbour: rectified, matched, and turned back.

    Args:
        first: a picture with intrinsics and ``world_from_camera``.
        second: its neighbour.
        metric: whether the poses are in metres; otherwise the result is ``scaled_depth``.
        max_disparity: see :func:`stereo_disparity`.
        fill: see :func:`stereo_disparity`.

    Raises:
        InputError, DegenerateError: see :func:`rectify` and :func:`stereo_disparity`.
    """
    pair = rectify(first, second)
    left, right = pair.left, pair.right
    if pair.swapped:  # the matcher maps the left view: mirrored, the first is the left one
        left, right = _mirror(pair.right), _mirror(pair.left)
    found = stereo_disparity(left, right, max_disparity=max_disparity, fill=fill)
    turn = -1 if pair.swapped else 1
    disparity, sure = found.values[:, ::turn], found.confidence
    sure = np.ones_like(disparity) if sure is None else sure[:, ::turn]
    view = camera_of(pair.right if pair.swapped else pair.left)
    return _reproject(first, view, disparity, sure, pair.baseline, metric)


def _warp_pair(
    images: tuple[Image, Image],
    poses: list[np.ndarray],
    along: np.ndarray,
    ahead: np.ndarray,
    baseline: float,
) -> RectifiedPair:
    """Both pictures through cameras whose x axis is the line between them."""
    right_of_picture = poses[0][:3, 0]
    down = poses[0][:3, 1]
    # x points where it did, or down for motion up and down, where the pictures come out turned.
    side = along @ right_of_picture
    swapped = bool(side < 0 if abs(side) >= abs(along @ down) else along @ down < 0)
    x = -along if swapped else along
    z = ahead - (ahead @ x) * x
    z /= np.linalg.norm(z)
    world = np.stack([x, np.cross(z, x), z], axis=1)
    cameras = [camera_of(image) for image in images]
    focal = float(np.mean([(c.fx + c.fy) / 2 for c in cameras]))
    homographies, corners = [], []
    for camera, pose in zip(cameras, poses, strict=True):
        turn = world.T @ pose[:3, :3]
        homography = np.diag([focal, focal, 1.0]) @ turn @ np.linalg.inv(camera.matrix)
        homographies.append(homography)
        corners.append(_corners(homography, camera))
    low = np.min([c.min(axis=0) for c in corners], axis=0)
    high = np.max([c.max(axis=0) for c in corners], axis=0)
    # One canvas for both, no more than a half larger than the pictures on either side.
    limit = 1.5 * max(images[0].size)
    size = np.minimum(np.ceil(high - low), limit).astype(int)
    offset = (size - 1) / 2 - (low + high) / 2
    shift = np.array([[1, 0, offset[0]], [0, 1, offset[1]], [0, 0, 1.0]])
    made = []
    for image, homography, pose in zip(images, homographies, poses, strict=True):
        cv2 = opencv("rectification")
        pixels = cv2.warpPerspective(
            image.pixels, shift @ homography, (int(size[0]), int(size[1])), flags=cv2.INTER_LINEAR
        )
        place = np.eye(4)
        place[:3, :3], place[:3, 3] = world, pose[:3, 3]
        camera = replace(
            camera_of(image),
            width=int(size[0]),
            height=int(size[1]),
            fx=focal,
            fy=focal,
            cx=float(offset[0]),
            cy=float(offset[1]),
            world_from_camera=place,
        )
        made.append(Image(pixels=pixels, camera=camera, name=image.name))
    left, right = made[::-1] if swapped else made
    return RectifiedPair(left=left, right=right, baseline=baseline, swapped=swapped)


def _corners(homography: np.ndarray, camera: Camera) -> np.ndarray:
    w, h = camera.width - 0.5, camera.height - 0.5
    ends = np.array([(x, y, 1.0) for x in (-0.5, w) for y in (-0.5, h)])
    mapped = ends @ homography.T
    if (mapped[:, 2] <= 1e-6).any():
        raise DegenerateError(
            "a corner of a picture lies behind the common view; the cameras look too far apart. "
            "Choose nearer pictures, or use leadline.geometry.plane_sweep."
        )
    return mapped[:, :2] / mapped[:, 2:]


def _mirror(image: Image) -> Image:
    pixels = np.ascontiguousarray(image.pixels[:, ::-1])
    return Image(pixels=pixels, camera=camera_of(image).flipped(), name=image.name)


def _reproject(
    image: Image,
    view: Camera,
    disparity: np.ndarray,
    sure: np.ndarray,
    baseline: float,
    metric: bool,
) -> Prediction:
    """The rectified map in the picture's own pixels, as depth along its own axis."""
    cv2 = opencv()
    camera = camera_of(image)
    pose, place = camera.world_from_camera, view.world_from_camera
    turn = np.asarray(place)[:3, :3].T @ np.asarray(pose)[:3, :3]
    h, w = image.size
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(camera.matrix).T @ turn.T
    u = (view.fx * rays[..., 0] / rays[..., 2] + view.cx).astype(np.float32)
    v = (view.fy * rays[..., 1] / rays[..., 2] + view.cy).astype(np.float32)
    maps = [np.where(np.isfinite(disparity), disparity, 0), sure]
    there, confidence = (
        cv2.remap(np.ascontiguousarray(m, np.float32), u, v, cv2.INTER_NEAREST) for m in maps
    )
    near = there > 0.1  # 0 is infinitely far
    depth = view.fx * baseline / np.where(near, there, 1) / rays[..., 2]
    return Prediction(
        values=np.where(near, depth, np.nan),
        kind=DepthKind.METRIC_DEPTH if metric else DepthKind.SCALED_DEPTH,
        camera=camera,
        valid=near,
        confidence=np.where(near, confidence, 0),
        model="stereo",
        image=image,
    )
