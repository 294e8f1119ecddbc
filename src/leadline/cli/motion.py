"""``leadline predict --metres-from motion``: frames with poses, maps in metres."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from leadline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from leadline.camera import Camera
    from leadline.cli.pictures import Reading
    from leadline.estimator import DepthEstimator
    from leadline.image import Image
    from leadline.io import Source
    from leadline.prediction import Prediction
    from leadline.sequence import MotionFit
    from leadline.video import FilmOptions


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


@dataclass(frozen=True, kw_only=True)
class FilmMotion:
    """Metres for a film from the camera's way through it.

    Attributes:
        poses: file or folder of poses by the names of the frames; None: they are found.
        baseline_m: metres between the first two keyframes, where poses are found.
        camera, fov_deg: see :func:`leadline.cli.cameras.camera_for`.
    """

    poses: Path | None
    baseline_m: float | None
    camera: str | None
    fov_deg: float | None

    @property
    def way(self) -> dict[str, Any]:
        """All that decides the metres besides the film and the network; JSON-able."""
        text = None if self.poses is None or not self.poses.is_file() else self.poses.read_text()
        return {
            "poses": text or (self.poses and str(self.poses)),
            "baseline_m": self.baseline_m,
            "camera": self.camera,
            "fov": self.fov_deg,
        }

    def add(self, options: FilmOptions, source: Source, estimator: DepthEstimator) -> FilmOptions:
        """The options with a function that makes metres; looks at the film twice or thrice."""
        from leadline.sequence import motion_fit

        frames = list(self._cameras(options, source))
        cameras = {number: camera for number, camera, _ in frames}

        def posed() -> Iterator[Image]:
            for frame in source.frames(options.selection):
                yield replace(frame.image, camera=cameras[frame.number])

        fit = motion_fit(posed(), estimator.predict)
        lines = dict(zip(cameras, fit.alignments, strict=True))

        def metres(number: int, prediction: Prediction) -> Prediction:
            line = lines[number]
            found = prediction.to_metric(scale=line.scale, shift=line.shift)
            return replace(found, camera=cameras[number])

        return replace(options, metres=metres)

    def _cameras(self, options: FilmOptions, source: Source) -> Iterator[tuple[int, Camera, str]]:
        """Number, posed camera and name of every frame."""
        from leadline.cli.cameras import camera_for
        from leadline.io import read_poses
        from leadline.sequence import scale_by_baseline, track

        numbers: list[int] = []
        names: list[str] = []
        first: list[Camera] = []

        def seen() -> Iterator[Image]:
            for frame in source.frames(options.selection):
                if not first:
                    found = camera_for(frame.image, camera=self.camera, fov_deg=self.fov_deg)
                    first.append(found)
                numbers.append(frame.number)
                names.append(frame.image.name)
                yield replace(frame.image, camera=first[0])

        if self.poses is None:
            way = scale_by_baseline(track(seen()), self.baseline_m or 0.0)
            cameras = way.cameras
        else:
            for _ in seen():
                pass
            poses = read_poses(self.poses, names, metres=True)
            cameras = [first[0].moved(pose) for pose in poses]
        yield from zip(numbers, cameras, names, strict=True)


def film_motion(
    metres_from: str | None,
    poses: Path | None,
    baseline_m: float | None,
    lens: tuple[str | None, float | None],
) -> FilmMotion | None:
    """The options together, or None when metres are not asked for.

    Args:
        metres_from: ``motion``, or None.
        poses: see :class:`FilmMotion`.
        baseline_m: see there.
        lens: what ``--camera`` and ``--fov`` say.

    Raises:
        UnknownNameError: another way to metres than ``motion``.
        InputError: options that make sense together only.
    """
    from leadline.cli.cameras import check_camera

    check_camera(*lens)
    if metres_from is None:
        if poses is not None or baseline_m is not None:
            raise InputError(
                "--poses and --baseline-m belong to --metres-from motion; give both or neither."
            )
        return None
    if metres_from != "motion":
        raise UnknownNameError("way to metres", metres_from, ["motion"])
    if (poses is None) == (baseline_m is None):
        raise InputError(
            "--metres-from motion needs one length in metres: the frames' poses, --poses FILE, or "
            "--baseline-m, the way between the first two keyframes."
        )
    return FilmMotion(poses=poses, baseline_m=baseline_m, camera=lens[0], fov_deg=lens[1])
