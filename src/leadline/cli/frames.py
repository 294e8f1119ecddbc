"""Frames of one moving camera: read, with their lens and their poses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leadline.cli.outputs import with_standard_input
from leadline.errors import InputError

if TYPE_CHECKING:
    from leadline.cli.pictures import Reading
    from leadline.image import Image

_MOST_FRAMES = 1000


def read_frames(inputs: list[str], every: int, reading: Reading) -> list[Image]:
    """Two or more pictures of one size, from files, a folder, a pattern or a film.

    Raises:
        InputError: fewer, too many, or several sizes.
    """
    from itertools import islice

    from leadline.io import is_video, list_images, read_video

    inputs = with_standard_input(inputs)
    if len(inputs) == 1 and is_video(inputs[0]):
        frames = list(islice(read_video(inputs[0], every=every), _MOST_FRAMES + 1))
    else:
        from dataclasses import replace

        paths = list_images(inputs)
        frames = [
            replace(reading.read_aloud(path), name=str(path)) for path in paths[: _MOST_FRAMES + 1]
        ]
    if len(frames) > _MOST_FRAMES:
        raise InputError(
            f"more than {_MOST_FRAMES} frames; take fewer with --every N, or give parts of it."
        )
    if len(frames) < 2:
        raise InputError(f"{len(frames)} frame: two or more are needed to tell depth.")
    sizes = {frame.size for frame in frames}
    if len(sizes) > 1:
        named = ", ".join(f"{w}x{h}" for h, w in sorted(sizes))
        raise InputError(
            f"frames of {named} pixels: all need one size, as one camera takes them; resize or "
            "crop them alike."
        )
    return frames


def with_cameras(frames: list[Image], camera: str | None, fov: float | None) -> list[Image]:
    """The frames with the camera of the options, or of the first frame's EXIF.

    Raises:
        InputError: none is known; see :func:`leadline.cli.cameras.camera_for`.
    """
    from dataclasses import replace

    from leadline.cli.cameras import camera_for

    first = camera_for(frames[0], camera=camera, fov_deg=fov)
    return [replace(frame, camera=first) for frame in frames]


def with_poses(frames: list[Image], poses: Path) -> list[Image]:
    """The frames with their cameras' poses, in metres.

    Raises:
        InputError: as of :func:`leadline.io.read_poses`.
    """
    from dataclasses import replace

    from leadline.io import read_poses

    found = read_poses(poses, [frame.name for frame in frames], metres=True)
    return [
        replace(frame, camera=frame.camera and frame.camera.moved(pose))
        for frame, pose in zip(frames, found, strict=True)
    ]
