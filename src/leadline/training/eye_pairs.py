"""Batches of rectified eye pairs: from a rig in the world, or from data sets with two eyes.

What ``stereo`` learns from. A batch holds

- ``left``, ``right`` (b, 3, h, w) in [0, 1], changed alike in colour; ``rgb`` is ``left``;
- ``left_depth``, ``right_depth`` (b, h, w) in metres, 0 where unknown: for networks that learn
  from truth too, and for checks; appearance losses never see them.

A mirrored pair changes eyes, so the right picture still is the right one.

Source: Godard et al., Monodepth, CVPR 2017, section 4 (augmentation: of flips and colours).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor

from leadline.datasets import Options, get, open_dataset
from leadline.datasets.frame import read_json
from leadline.datasets.kitti import kitti_film_refs
from leadline.errors import InputError
from leadline.training.parallel import renders_here
from leadline.training.recipe import BatchSource, sample_generator, step_size
from leadline.training.rendered import Plan, RenderedWorld, Sample, refuse_mount
from leadline.training.rig import Rig, render_pairs
from leadline.training.scan import ScanErrors, scanned
from leadline.training.stereo_video import depthai_rig, rectified_refs

if TYPE_CHECKING:
    from leadline.datasets.frame import FrameRef
    from leadline.training.config import DataConfig, TrainConfig

_OTHER = {"left": "right", "right": "left"}


class EyePairs(BatchSource):
    """Pairs from the world or from files; see the module. Open it with :func:`eye_pairs`."""

    def __init__(
        self,
        config: TrainConfig,
        *,
        world: RenderedWorld | None,
        frames: Sequence[FrameRef],
        errors: ScanErrors | None = None,
    ) -> None:
        self.config = config
        self.world = world
        self.frames = frames
        self.errors = errors

    def batch(self, step: int, rows: Sequence[int]) -> dict[str, Tensor]:
        """See :class:`~leadline.training.recipe.BatchSource`; ``rgb`` is ``left``."""
        made = super().batch(step, rows)
        return made | {"rgb": made["left"]}

    def origin(self, step: int, row: int) -> str:
        """The shard and the place in it, or the frame's name."""
        rng = sample_generator(self.config.seed, step, row)
        if self.world is not None:
            index, n = self.world.place(rng, step)
            return f"world: shard {index}, pair {n}"
        ref = self.frames[int(rng.integers(len(self.frames)))]
        return f"{self.config.data[0].name}: {ref.name}"

    def sample(self, step: int, row: int) -> dict[str, Tensor]:
        """See :class:`~leadline.training.recipe.BatchSource`."""
        rng = sample_generator(self.config.seed, step, row)
        sample, number = self._draw(rng, step, row)
        if self.errors is not None:
            for eye, name in enumerate(("left_depth", "right_depth")):
                fixed = np.random.default_rng([self.config.seed, 5, eye, *number])
                sample[name] = scanned(sample[name], self.errors, fixed)
        if rng.random() < self.config.augment.flip:
            sample = mirrored(sample)
        made = {name: _tensor(array) for name, array in sample.items()}
        if self.config.augment.colours != "none":
            made["left"], made["right"] = change_eyes_alike((made["left"], made["right"]), rng)
        return made

    def _draw(
        self, rng: np.random.Generator, step: int, row: int
    ) -> tuple[Sample, tuple[int, ...]]:
        """A pair with known depths (0 elsewhere), and the numbers that tell it from others."""
        if self.world is None:
            n = int(rng.integers(len(self.frames)))
            size = step_size(self.config, step)
            return read_pair(self.frames[n], size), (n,)
        number = self.world.place(sample_generator(self.config.seed, step, row), step)
        return as_pair(self.world.draw(rng, step)), number


@contextmanager
def eye_pairs(
    config: TrainConfig, folder: Path, step: int, rig: Rig, errors: ScanErrors | None = None
) -> Generator[EyePairs]:
    """Open the config's pairs for a run that goes on at ``step``.

    Args:
        config: of the run; its only source is ``world``, ``stereo-video`` (``left.mp4``,
            ``right.mp4`` and ``calib.json`` of a DepthAI camera), or a data set with two eyes.
        folder: of the run.
        step: the first that will be asked for.
        rig: of the world's cameras.
        errors: what happens to the depths; None: nothing.
    """
    data = only_source(config)
    if data.name != "world":
        yield EyePairs(config, world=None, frames=pair_refs(data, folder), errors=errors)
        return
    refuse_mount(config)
    plan = Plan.of(config, partial(render_pairs, rig=rig), margin=1.0)
    rendered = RenderedWorld.of(config, plan, folder)
    with rendered.rendering(step, here=renders_here()) as world:
        yield EyePairs(config, world=world, frames=(), errors=errors)


def only_source(config: TrainConfig) -> DataConfig:
    """The config's source of pictures.

    Raises:
        InputError: several; each rig has a focal length and a baseline of its own.
    """
    if len(config.data) != 1:
        names = ", ".join(data.name for data in config.data)
        raise InputError(
            f"data = {names}: {config.recipe} learns from one rig, so from one source; train on "
            "one, then go on from its weights (start) on the other."
        )
    return config.data[0]


def rig_of(config: TrainConfig, rig: Rig) -> dict[str, float]:
    """What turns the source's disparities into metres.

    Args:
        config: of the run.
        rig: of the world's cameras.

    Returns:
        ``focal_share``, the focal length as a share of the picture's width, and ``baseline_m``;
        empty where the data set does not tell both.
    """
    data = only_source(config)
    if data.name == "world":
        return {"focal_share": rig.focal_share, "baseline_m": rig.baseline_m}
    if data.name == "stereo-video":
        found = depthai_rig(read_json(Path(data.root) / "calib.json"))
        camera, baseline = found.camera, found.baseline_m
    else:
        frame = pair_refs(data, Path())[0].read()
        camera, baseline = frame.image.camera, frame.baseline_m or 0.0
    if camera is None or baseline <= 0:
        return {}
    return {"focal_share": float(camera.fx / camera.width), "baseline_m": float(baseline)}


def pair_refs(data: DataConfig, folder: Path) -> list[FrameRef]:
    """The pairs of a data set, or of a video that is rectified into ``folder`` first.

    Raises:
        InputError: a data set without a second eye.
    """
    if data.name == "stereo-video":
        refs = rectified_refs(Path(data.root), folder / "rectified", every=max(1, data.every))
    elif data.name == "kitti-eigen":
        name = eigen_list(data, get(data.name).training)
        refs = [ref for (ref,) in kitti_film_refs(Path(data.root), name, right=True)]
    else:
        split = data.split or get(data.name).training
        options = Options(split=split or None, every=data.every, right=True)
        refs = open_dataset(data.name, data.root or None, options)
    if refs[0].read().right is None:
        raise InputError(
            f"{data.name} has one eye; stereo needs two: kitti-raw, kitti-eigen, stereo-video "
            "or world."
        )
    return refs


def eigen_list(data: DataConfig, usual: str) -> str:
    """Name of the list of the config's part of Eigen's split, or of the usual one.

    Raises:
        InputError: no folder.
    """
    if not data.root:
        raise InputError(f"{data.name} needs its folder: --data {data.name}=DIR.")
    return f"kitti-eigen-{data.split or usual}"


def check_truth(config: TrainConfig) -> None:
    """Raise InputError when truth is to be learnt from and the source is read without any."""
    if config.options.truth and only_source(config).name in ("kitti-eigen", "stereo-video"):
        raise InputError(
            f"options.truth={config.options.truth}: {config.data[0].name} is read without depth "
            "here; take kitti-raw, whose scans are read, or options.truth = 0."
        )


def read_pair(ref: FrameRef, size: tuple[int, int]) -> Sample:
    """A pair of a data set at ``size`` (height, width)."""
    frame = ref.read()
    if frame.right is None:
        raise InputError(f"{ref.name}: no picture of the right eye.")
    height, width = size
    pictures = [
        cv2.resize(
            np.ascontiguousarray(image.pixels), (width, height), interpolation=cv2.INTER_AREA
        )
        for image in (frame.image, frame.right)
    ]
    depth = np.where(frame.valid, frame.depth, 0).astype(np.float32)
    small = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)
    return {
        "left": pictures[0],
        "right": pictures[1],
        "left_depth": small,
        "right_depth": np.zeros_like(small),
    }


def as_pair(sample: Sample) -> Sample:
    """A rendered pair, or the middle of a rendered triplet, with depths of 0 where unknown."""
    if "frame" in sample:
        left, depth = sample["frame"], sample["depth"]
        other = np.zeros(depth.shape, np.float32)
    else:
        left, depth, other = (sample[name] for name in ("left", "left_depth", "right_depth"))
    return {
        "left": left,
        "right": sample["right"],
        "left_depth": known_depth(depth),
        "right_depth": known_depth(other),
    }


def mirrored(sample: Sample) -> Sample:
    """The pair seen in a mirror: each eye becomes the other."""
    made: Sample = {}
    for name, array in sample.items():
        eye, _, rest = name.partition("_")
        made["_".join(filter(None, (_OTHER[eye], rest)))] = array[:, ::-1]
    return made


def change_eyes_alike(
    pictures: Sequence[Tensor], rng: np.random.Generator, *, share: float = 0.5
) -> list[Tensor]:
    """Every other time: gamma, brightness and each channel's, the same for all pictures.

    Args:
        pictures: (3, h, w) each, in [0, 1].
        rng: decides.
        share: of the calls that change anything.

    Source: Monodepth, section 4: gamma 0.8 to 1.2, brightness 0.5 to 2, channels 0.8 to 1.2.
    """
    chosen, gamma = rng.random() < share, float(rng.uniform(0.8, 1.2))
    gain = float(rng.uniform(0.5, 2.0)) * torch.from_numpy(rng.uniform(0.8, 1.2, 3)).float()
    if not chosen:
        return list(pictures)
    return [(each.pow(gamma) * gain[:, None, None]).clamp(0, 1) for each in pictures]


def known_depth(depth: np.ndarray) -> np.ndarray:
    """Metres as float32, 0 in place of the sky's infinity."""
    depth = np.asarray(depth, np.float32)
    return np.where(np.isfinite(depth), depth, np.float32(0))


def _tensor(array: np.ndarray) -> Tensor:
    own = torch.from_numpy(np.array(array))  # shards on disk are read-only
    return own.permute(2, 0, 1).float().div_(255) if array.ndim == 3 else own
