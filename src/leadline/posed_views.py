"""Where the poses of several views come from: the network's camera head, its rays, or the caller.

Source: Lin et al., Depth Anything 3, 2025 (arXiv:2511.10647), section 3 (rays to cameras, camera
condition).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from leadline.errors import InputError
from leadline.kinds import DepthKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadline.camera import Camera
    from leadline.prediction import Prediction
    from leadline.prepared import Prepared

PoseSource = Literal["predicted", "rays", "given"]
"""``predicted``: the camera head's; ``rays``: the cameras behind the network's maps of rays, with
their principal points; ``given``: the pictures' own cameras, whose poses are in metres."""


_STILL = 1e-5  # of the depth: way between cameras that is the arithmetic's noise


def condition_on_cameras(prepared: Sequence[Prepared]) -> dict[str, np.ndarray]:
    """The pictures' cameras as a network takes them beside the pictures.

    Returns:
        ``extrinsics`` (1, v, 4, 4), camera_from_world in the frame of the first camera, and
        ``intrinsics`` (1, v, 3, 3) in pixels of the input, whose corner is (0, 0).

    Raises:
        InputError: a picture without a whole camera, or all cameras in one place.
    """
    from leadline.geometry import normalise_poses

    poses = _given_poses(prepared)
    if np.ptp(poses[:, :3, 3], axis=0).max() == 0:
        raise InputError(
            f"the given poses of {len(poses)} views are all in one place, which leaves the scale "
            "open; give views from different places, or leave the poses out."
        )
    cameras = [one.input_camera for one in prepared]
    matrices = _to_corner([camera for camera in cameras if camera is not None])
    extrinsics = np.linalg.inv(normalise_poses(poses))
    return {"extrinsics": extrinsics[None].astype(np.float32), "intrinsics": matrices[None]}


def bring_to_cameras(
    views: Sequence[Prediction], prepared: Sequence[Prepared]
) -> tuple[Prediction, ...]:
    """Views of a network with the cameras that it was given: the depth in the unit of their poses.

    Args:
        views: as decoded, with the poses that the network predicts.
        prepared: the pictures, with the given cameras.

    Raises:
        InputError: the network sees no way between the cameras, so that the scale stays open.
    """
    from leadline.geometry import fit_similarity

    given = _given_poses(prepared)
    predicted = np.stack([np.asarray(v.camera.world_from_camera) for v in views if v.camera])
    extent = np.ptp(predicted[:, :3, 3], axis=0).max()
    if not extent > _STILL * np.nanmedian(views[0].values):
        raise InputError(
            f"{views[0].model} puts all {len(views)} views in one place, so that the given poses "
            "cannot scale its depth; give views that are farther apart, or leave the poses out."
        )
    scale = fit_similarity(given, predicted).scale
    return tuple(
        replace(
            view,
            values=view.values / np.float32(scale),
            kind=DepthKind.METRIC_DEPTH,
            camera=one.camera,
        )
        for view, one in zip(views, prepared, strict=True)
    )


def take_poses_from_rays(
    outputs: Mapping[str, np.ndarray], size: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Outputs of a network of several views whose cameras are those behind its maps of rays.

    Args:
        outputs: with an axis of views first; ``rays`` (v, 6, h, w) and ``ray_conf`` (v, h, w).
        size: (height, width) of the network's input.

    Raises:
        InputError: the network gives no rays.
        DegenerateError: rays of a view that no camera has.
    """
    from leadline.geometry import camera_from_rays

    if not {"rays", "ray_conf"} <= set(outputs):
        raise InputError(
            f"this network gives {', '.join(sorted(outputs))} and no rays; take the poses of its "
            "camera head (poses='predicted')."
        )
    maps = zip(outputs["rays"], outputs["ray_conf"], strict=True)
    cameras = [camera_from_rays(rays, weights, size) for rays, weights in maps]
    world = np.stack([np.asarray(camera.world_from_camera) for camera in cameras])
    return {
        **outputs,
        "extrinsics": np.linalg.inv(world)[:, :3],
        "intrinsics": _to_corner(cameras),
    }


def _to_corner(cameras: Sequence[Camera]) -> np.ndarray:
    """(v, 3, 3) float32 K whose (0, 0) is the picture's corner, not its first pixel's centre."""
    matrices = np.stack([camera.matrix for camera in cameras])
    matrices[:, :2, 2] += 0.5
    return matrices.astype(np.float32)


def _given_poses(prepared: Sequence[Prepared]) -> np.ndarray:
    """(v, 4, 4) world_from_camera of the pictures' own cameras."""
    for number, one in enumerate(prepared):
        if one.camera is None or one.camera.world_from_camera is None:
            lacks = "camera" if one.camera is None else "pose"
            raise InputError(
                f"view {number} ({one.image.name or 'without a name'}) has no {lacks}: given poses "
                "need intrinsics and pose of every view. Give both, or poses='predicted'."
            )
    return np.stack([np.asarray(one.camera.world_from_camera) for one in prepared if one.camera])
