"""Batches of film: a frame, its neighbours in time, and its other eye, as each recipe needs.

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
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as colour

from leadline.datasets import Options, open_dataset
from leadline.datasets.kitti import kitti_film_refs
from leadline.errors import InputError
from leadline.training.eye_pairs import eigen_list, known_depth, only_source, pair_refs
from leadline.training.parallel import renders_here
from leadline.training.recipe import BatchSource, sample_generator, step_size
from leadline.training.rendered import Plan, RenderedWorld, Sample, refuse_mount
from leadline.training.rig import Rig, render_triplets
from leadline.training.samples import learned_split
from leadline.training.scan import ScanErrors, scanned

if TYPE_CHECKING:
    from leadline.datasets.frame import FrameRef
    from leadline.training.config import DataConfig, TrainConfig

Sources = Literal["mono", "stereo", "both"]
"""What a frame is made from: its neighbours in time, its other eye, or all of them."""

_JITTER, _HUE = 0.2, 0.1


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A frame of a film with its neighbours.

    Attributes:
        frame: the frame itself, with its right eye where sources need it.
        before, after: the neighbours.
    """

    frame: FrameRef
    before: FrameRef | None = None
    after: FrameRef | None = None


class Triplets(BatchSource):
    """Moments from the world or from files; see the module. Open it with :func:`triplets`."""

    def __init__(
        self,
        config: TrainConfig,
        *,
        sources: Sources,
        world: RenderedWorld | None,
        moments: Sequence[Moment],
        rig: Rig,
        errors: ScanErrors | None = None,
    ) -> None:
        self.config = config
        self.world = world
        self.moments = moments
        self.rig = rig
        self.errors = errors
        times = () if sources == "stereo" else ("before", "after")
        self.seen = ("frame", *times)
        self.names = (*self.seen, *(() if sources == "mono" else ("right",)))

    def batch(self, step: int, rows: Sequence[int]) -> dict[str, Tensor]:
        """See :class:`~leadline.training.recipe.BatchSource`; ``rgb`` is ``frame``."""
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
        """See :class:`~leadline.training.recipe.BatchSource`."""
        rng = sample_generator(self.config.seed, step, row)
        sample, number = self._draw(rng, step, row)
        if self.errors is not None:
            fixed = np.random.default_rng([self.config.seed, 5, *number])
            sample["depth"] = scanned(sample["depth"], self.errors, fixed)
        turned = rng.random() < self.config.augment.flip
        made = {name: _picture(sample[name], turned) for name in self.names}
        depth = sample["depth"][:, ::-1] if turned else sample["depth"]
        made["depth"] = torch.from_numpy(np.array(depth, dtype=np.float32))
        made["intrinsics"] = _intrinsics(sample["camera"], depth.shape[1] if turned else 0)
        if "right" in self.names:
            made["right_from_frame"] = _aside(float(sample["baseline_m"]), turned)
        change = self.config.augment.colours != "none" and rng.random() < 0.5
        seen = jittered([made[name] for name in self.seen], rng, change=change)
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
        camera = self.rig.camera((drawn["depth"].shape[0], drawn["depth"].shape[1]))
        sample = {name: drawn[name] for name in self.names}
        sample["depth"] = known_depth(drawn["depth"])
        sample["camera"] = np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float32)
        sample["baseline_m"] = np.array(self.rig.baseline_m, np.float32)
        return sample, number


@contextmanager
def triplets(
    config: TrainConfig,
    folder: Path,
    step: int,
    *,
    sources: Sources,
    rig: Rig,
    errors: ScanErrors | None = None,
) -> Generator[Triplets]:
    """Open the config's film for a run that goes on at ``step``.

    Args:
        config: of the run; its only source is ``world``, ``stereo-video``, or a data set of
            sequences whose frames have cameras.
        folder: of the run.
        step: the first that will be asked for.
        sources: see :data:`Sources`.
        rig: of the world's cameras.
        errors: what happens to the depths; None: nothing.
    """
    data = only_source(config)
    if data.name != "world":
        moments = moments_of(data, folder, sources)
        yield Triplets(config, sources=sources, world=None, moments=moments, rig=rig, errors=errors)
        return
    refuse_mount(config)
    plan = Plan.of(config, partial(render_triplets, rig=rig), margin=1.0)
    rendered = RenderedWorld.of(config, plan, folder)
    with rendered.rendering(step, here=renders_here()) as world:
        yield Triplets(config, sources=sources, world=world, moments=(), rig=rig, errors=errors)


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
        options = Options(split=learned_split(data), every=data.every)
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
    height, width = size
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
        sample[name] = cv2.resize(
            np.ascontiguousarray(image.pixels), (width, height), interpolation=cv2.INTER_AREA
        )
    depth = np.where(frame.valid, frame.depth, 0).astype(np.float32)
    camera = frame.image.camera.resized(width, height)
    sample["depth"] = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)
    sample["camera"] = np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float32)
    sample["baseline_m"] = np.array(frame.baseline_m or 0, np.float32)
    return sample


def jittered(
    pictures: Sequence[Tensor], rng: np.random.Generator, *, change: bool = True
) -> list[Tensor]:
    """Brightness, contrast, saturation and hue, the same for all pictures.

    Args:
        pictures: (3, h, w) each, in [0, 1].
        rng: decides how much; the same numbers are drawn whether or not ``change``.
        change: False gives the pictures as they are.

    Source: Monodepth2, supplement: factors 0.8 to 1.2, hue by up to a tenth.
    """
    factors = rng.uniform(1 - _JITTER, 1 + _JITTER, 3).tolist()
    hue = float(rng.uniform(-_HUE, _HUE))
    if not change:
        return list(pictures)
    made = torch.stack(list(pictures))
    made = colour.adjust_brightness(made, factors[0])
    made = colour.adjust_contrast(made, factors[1])
    made = colour.adjust_saturation(made, factors[2])
    return list(colour.adjust_hue(made, hue).clamp(0, 1))


def _picture(array: np.ndarray, turned: bool) -> Tensor:
    own = torch.from_numpy(np.array(array[:, ::-1] if turned else array))  # shards are read-only
    return own.permute(2, 0, 1).float().div_(255)


def _intrinsics(camera: np.ndarray, width: int) -> Tensor:
    """(4, 4) of fx, fy, cx, cy; mirrored in a picture of ``width`` pixels unless that is 0."""
    fx, fy, cx, cy = (float(value) for value in camera)
    matrix = torch.eye(4)
    matrix[0, 0], matrix[1, 1], matrix[1, 2] = fx, fy, cy
    matrix[0, 2] = width - 1 - cx if width else cx
    return matrix


def _aside(baseline_m: float, turned: bool) -> Tensor:
    """right_from_frame: the right eye stands to the right, in a mirror to the left."""
    matrix = torch.eye(4)
    matrix[0, 3] = baseline_m if turned else -baseline_m
    return matrix
