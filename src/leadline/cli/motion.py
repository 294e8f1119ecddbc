"""``leadline predict --metres-from motion``: frames with poses, maps in metres."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from leadline.cli.pictures import Reading
    from leadline.estimator import DepthEstimator
    from leadline.image import Image
    from leadline.prediction import Prediction
    from leadline.sequence import MotionFit


@dataclass(frozen=True, kw_only=True)
class MotionOptions:
    """What the command line says about the camera and its motion.

    Attributes:
        poses: file or folder of poses; see :mod:`leadline.io.poses`.
        camera: see :func:`leadline.cli.cameras.camera_for`.
        fov_deg: see there.
    """

    poses: Path
    camera: str | None
    fov_deg: float | None


def motion_options(
    metres_from: str | None, poses: Path | None, camera: str | None, fov_deg: float | None
) -> MotionOptions | None:
    """The options together, or None when metres are not asked for.

    Raises:
        UnknownNameError: another way to metres than ``motion``.
        InputError: options that make sense together only.
    """
    if metres_from is None:
        if poses is not None:
            raise InputError("--poses belongs to --metres-from motion; give both or neither.")
        return None
    if metres_from != "motion":
        raise UnknownNameError("way to metres", metres_from, ["motion"])
    if poses is None:
        raise InputError(
            "--metres-from motion needs the camera's poses in metres; give --poses FILE."
        )
    return MotionOptions(poses=poses, camera=camera, fov_deg=fov_deg)


class MetresFromMotion:
    """Takes the maps of frames to metres.

    Args:
        estimator: gives a frame's affine map.
        pictures: frames in the order of time.
        options: their camera and poses.
        reading: how pictures are read.
    """

    def __init__(
        self,
        estimator: DepthEstimator,
        pictures: Sequence[Path],
        options: MotionOptions,
        reading: Reading,
    ) -> None:
        from leadline.cli.progress import progress_bar
        from leadline.io import read_poses
        from leadline.jobs import Progress
        from leadline.sequence import motion_fit

        self.options = options
        self.pictures = list(pictures)
        self.poses = read_poses(options.poses, [str(path) for path in pictures], metres=True)
        with progress_bar("motion") as (show, _):

            def frames() -> Iterator[Image]:
                for number, path in enumerate(self.pictures):
                    show(Progress(total=len(self.pictures), done=number))
                    yield self._posed(reading.read(path), number)

            self.fit: MotionFit = motion_fit(frames(), estimator.predict)

    def __call__(self, picture: Path, prediction: Prediction) -> Prediction:
        """One frame's map in metres, with its camera."""
        number = self.pictures.index(picture)
        line = self.fit.alignments[number]
        metres = prediction.to_metric(scale=line.scale, shift=line.shift)
        if prediction.image is None:
            return metres
        return replace(metres, camera=self._posed(prediction.image, number).camera)

    @property
    def way(self) -> dict[str, Any]:
        """All that decides the metres besides the frame and the network; JSON-able."""
        return {
            "frames": [os.path.abspath(path) for path in self.pictures],  # noqa: PTH100
            "poses": [pose.tolist() for pose in self.poses],
        }

    def _posed(self, image: Image, number: int) -> Image:
        from leadline.cli.cameras import camera_for

        name = self.pictures[number].name
        camera = camera_for(image, camera=self.options.camera, fov_deg=self.options.fov_deg)
        return replace(image, camera=camera.moved(self.poses[number]), name=image.name or name)
