"""Batches of film: a frame, its neighbours in time, and its right view, as each recipe needs.

What ``video`` learns from. A batch holds

- ``frame`` and, as asked for, ``before``, ``after``, ``right`` (b, 3, h, w) in [0, 1]: clean, for
  the loss; ``rgb`` is ``frame``;
- ``seen_frame``, ``seen_before``, ``seen_after``: the same with colours changed alike, which is
  what the networks see;
- ``intrinsics`` (b, 4, 4) in pixels, and ``right_from_frame`` (b, 4, 4) in metres;
- ``depth`` (b, h, w) in metres, 0 where unknown, for controls and checks.

Source: Godard et al., Monodepth2, ICCV 2019, section 4 and supplement (augmentation).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from leadline.datasets import Options, open_dataset
from leadline.datasets.kitti import kitti_film_refs
from leadline.errors import InputError
from leadline.training.data.colours import jitter_alike
from leadline.training.data.lidar_noise import simulate_scan
from leadline.training.data.rig_rendering import render_triplets
from leadline.training.data.samples import training_split
from leadline.training.data.seeds import depth_noise_generator, sample_generator
from leadline.training.data.source import BatchSource, step_size
from leadline.training.data.stereo_pairs import (
    as_tensor,
    eigen_list,
    known_depth,
    only_source,
    open_rig_world,
    pair_refs,
    resize_depth,
    resize_picture,
)

if TYPE_CHECKING:
    from leadline.datasets.frame import FrameRef
    from leadline.training.config import DataConfig, TrainConfig
    from leadline.training.data.rendering import Sample
    from leadline.training.data.world_shards import RenderedWorld
    from leadline.training.options import Sources


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A frame of a film with its neighbours.

    Attributes:
        frame: the frame itself, with its right view where sources need it.
        before, after: the neighbours.
    """

    frame: FrameRef
    before: FrameRef | None = None
    after: FrameRef | None = None


class FrameTriplets(BatchSource):
    """Moments from the world, or from the frames of a data set; see :func:`open_triplets`."""

    def __init__(
        self,
        config: TrainConfig,
        *,
        world: RenderedWorld | None = None,
        moments: Sequence[Moment] = (),
    ) -> None:
        self.config, self.world, self.moments = config, world, moments
        sources = config.options.sources
        times = () if sources == "stereo" else ("before", "after")
        self.seen = ("frame", *times)
        self.names = (*self.seen, *(() if sources == "mono" else ("right",)))

    def batch(self, step: int, rows: Sequence[int]) -> dict[str, Tensor]:
        """See :class:`BatchSource`; ``rgb`` is ``frame``."""
        made = super().batch(step, rows)
        return made | {"rgb": made["frame"]}

    def origin(self, step: int, row: int) -> str:
        """The shard and the place in it, or the frame's name."""
        rng = sample_generator(self.config.seed, step, row)
        if self.world is not None:
            index, n = self.world.place(rng, step)
            return f"world: shard {index}, triplet {n}"
        moment = self.moments[int(rng.integers(len(self.moments)))]
        return f"{self.config.data[0].name}: {moment.frame.name}"

    def sample(self, step: int, row: int) -> dict[str, Tensor]:
        """See :class:`BatchSource`."""
        rng = sample_generator(self.config.seed, step, row)
        sample, number = self._draw(rng, step, row)
        fixed = depth_noise_generator(self.config.seed, *number)
        sample["depth"] = simulate_scan(sample["depth"], self.config.options.lidar_noise, fixed)
        mirror = rng.random() < self.config.augment.flip
        maps = {name: sample[name] for name in (*self.names, "depth")}
        made = {name: as_tensor(v[:, ::-1] if mirror else v) for name, v in maps.items()}
        width = sample["depth"].shape[1]
        made["intrinsics"] = _intrinsics(sample["camera"], width if mirror else 0)
        if "right" in self.names:
            made["right_from_frame"] = _right_from_frame(float(sample["baseline_m"]), mirror)
        change = self.config.augment.colours != "none" and rng.random() < 0.5
        seen = jitter_alike([made[name] for name in self.seen], rng, change=change)
        return made | {f"seen_{name}": each for name, each in zip(self.seen, seen, strict=True)}

    def _draw(
        self, rng: np.random.Generator, step: int, row: int
    ) -> tuple[Sample, tuple[int, ...]]:
        """A moment with known depths (0 elsewhere), and the numbers that tell it from others."""
        if self.world is None:
            n = int(rng.integers(len(self.moments)))
            size = step_size(self.config, step)
            return read_moment(self.moments[n], size, self.names), (n,)
        number = self.world.place(sample_generator(self.config.seed, step, row), step)
        drawn = self.world.draw(rng, step)
        rig = self.config.options.rig
        camera = rig.camera((drawn["depth"].shape[0], drawn["depth"].shape[1]))
        sample = {name: drawn[name] for name in self.names}
        sample["depth"] = known_depth(drawn["depth"])
        sample["camera"] = np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float32)
        sample["baseline_m"] = np.array(rig.baseline_m, np.float32)
        return sample, number


@contextmanager
def open_triplets(config: TrainConfig, folder: Path, step: int) -> Generator[FrameTriplets]:
    """Open the config's film for a run that goes on at ``step``.

    Args:
        config: of the run; its only source is ``world``, ``stereo-video``, or a data set of
            sequences whose frames have cameras.
        folder: of the run.
        step: the first that will be asked for.
    """
    data = only_source(config)
    if data.name != "world":
        yield FrameTriplets(config, moments=moments_of(data, folder, config.options.sources))
        return
    with open_rig_world(config, folder, step, render_triplets) as world:
        yield FrameTriplets(config, world=world)


def moments_of(data: DataConfig, folder: Path, sources: Sources) -> list[Moment]:
    """The frames of a data set that have the neighbours that ``sources`` needs.

    Of ``kitti-eigen`` the list's frames (by default Zhou's training frames) and their neighbours
    in the drive are taken, pictures alone. Elsewhere frames are neighbours when they follow each
    other in the set, stand in the same folder and their numbers are as far apart as most in the
    set are, so that no step leaps over frames that are missing.

    Raises:
        InputError: no frame has any.
    """
    if data.name == "kitti-eigen" and sources != "stereo":
        films = kitti_film_refs(
            Path(data.root),
            eigen_list(data, "zhou-train"),
            right=sources == "both",
            neighbours=True,
        )
        found = [Moment(before=one, frame=two, after=three) for one, two, three in films]
        return found or _none(data, len(films))
    if data.name == "stereo-video" or sources != "mono":
        refs = pair_refs(data, folder)
    else:
        options = Options(split=training_split(data), every=data.every)
        refs = open_dataset(data.name, data.root or None, options)
    if sources == "stereo":
        return [Moment(frame=ref) for ref in refs]
    steps = [_step(one.name, two.name) for one, two in pairwise(refs)]
    usual = Counter(step for step in steps if step is not None).most_common(1)
    wanted = usual[0][0] if usual else None
    found = [
        Moment(frame=refs[n], before=refs[n - 1], after=refs[n + 1])
        for n in range(1, len(refs) - 1)
        if steps[n - 1] == steps[n] == wanted is not None
    ]
    return found or _none(data, len(refs))


def _none(data: DataConfig, count: int) -> list[Moment]:
    raise InputError(
        f"{data.name}: none of its {count} frames has a neighbour before and after it in the same "
        "folder; the video recipe needs sequences, as kitti-raw, kitti-eigen or kitti-odometry."
    )


def _step(one: str, two: str) -> int | None:
    """How far apart the numbers of two names are; 1 without numbers, None in other folders."""
    (folder, _, first), (other, _, second) = one.rpartition("/"), two.rpartition("/")
    if folder != other:
        return None
    return int(second) - int(first) if first.isdigit() and second.isdigit() else 1


def read_moment(moment: Moment, size: tuple[int, int], names: Sequence[str]) -> Sample:
    """A moment of a data set at ``size`` (height, width).

    Raises:
        InputError: a frame whose camera is not known.
    """
    frame = moment.frame.read()
    if frame.image.camera is None:
        raise InputError(
            f"{frame.name}: the focal length is not known, and warping needs it; add the "
            "intrinsics to the data set (camera.json)."
        )
    neighbours = {"before": moment.before, "after": moment.after}
    sample: Sample = {}
    for name in names:
        ref = neighbours.get(name)
        image = frame.image if ref is None else ref.read().image
        if name == "right":
            image = frame.right or frame.image
        sample[name] = resize_picture(image, size)
    camera = frame.image.camera.resized(size[1], size[0])
    sample["depth"] = resize_depth(frame, size)
    sample["camera"] = np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float32)
    sample["baseline_m"] = np.array(frame.baseline_m or 0, np.float32)
    return sample


def _intrinsics(camera: np.ndarray, width: int) -> Tensor:
    """(4, 4) of fx, fy, cx, cy; mirrored in a picture of ``width`` pixels unless that is 0."""
    fx, fy, cx, cy = (float(value) for value in camera)
    matrix = torch.eye(4)
    matrix[0, 0], matrix[1, 1], matrix[1, 2] = fx, fy, cy
    matrix[0, 2] = width - 1 - cx if width else cx
    return matrix


def _right_from_frame(baseline_m: float, mirror: bool) -> Tensor:
    """(4, 4): the right camera stands to the right, in a mirror to the left."""
    matrix = torch.eye(4)
    matrix[0, 3] = baseline_m if mirror else -baseline_m
    return matrix
