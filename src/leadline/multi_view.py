"""MultiView: several pictures of one scene that were looked at together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError
from leadline.io import PointCloud
from leadline.prediction import Prediction


@dataclass(frozen=True, kw_only=True, eq=False)
class MultiView:
    """One Prediction per view; iterates, and is indexed, over them.

    Attributes:
        predictions: in the order of the pictures; their cameras hold the poses.
        shared_scale: whether all maps and poses have the same unknown scale (or are metres), so
            that their points lie in one world.
    """

    predictions: tuple[Prediction, ...]
    shared_scale: bool = True

    def __len__(self) -> int:
        return len(self.predictions)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.predictions)

    def __getitem__(self, index: int) -> Prediction:
        return self.predictions[index]

    @property
    def cameras(self) -> tuple[Camera | None, ...]:
        """The views' cameras, with ``world_from_camera`` where the pose is known."""
        return tuple(prediction.camera for prediction in self.predictions)

    def point_cloud(self, *, max_depth: float | None = None) -> PointCloud:
        """The points of all views in the world's frame.

        Args:
            max_depth: points farther from their camera than this are left out.

        Raises:
            InputError: views without a shared scale, or one without camera or pose.
        """
        if not self.shared_scale:
            raise InputError(
                f"{len(self)} views whose scales are unknown one by one have no common cloud; "
                "align them first, prediction.aligned_to(depth_m), or use a model of several views."
            )
        clouds = [prediction.point_cloud(max_depth=max_depth) for prediction in self]
        points = []
        for number, (camera, cloud) in enumerate(zip(self.cameras, clouds, strict=True)):
            if camera is None or camera.world_from_camera is None:
                raise InputError(f"view {number} has no pose; give its camera world_from_camera.")
            pose = camera.world_from_camera
            points.append(cloud.points @ pose[:3, :3].T + pose[:3, 3])
        colors = [cloud.colors for cloud in clouds if cloud.colors is not None]
        return PointCloud(
            points=np.concatenate(points).astype(np.float32),
            colors=np.concatenate(colors) if len(colors) == len(clouds) else None,
        )
