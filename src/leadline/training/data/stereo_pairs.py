"""Batches of rectified stereo pairs: from a rig in the world, or from data sets with two views.

What ``stereo`` learns from. A batch holds

- ``left``, ``right`` (b, 3, h, w) in [0, 1], changed alike in colour; ``rgb`` is ``left``;
- ``left_depth``, ``right_depth`` (b, h, w) in metres, 0 where unknown: for networks that learn
  from depth too, and for checks; appearance losses never see them.

A mirrored pair changes sides, so the right picture still is the right one.

Source: Godard et al., Monodepth, CVPR 2017, section 4 (augmentation: of flips and colours).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
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
from leadline.training.data.colours import change_gamma_alike
from leadline.training.data.lidar_noise import simulate_scan
from leadline.training.data.rendering import Sample
from leadline.training.data.rig_rendering import render_pairs
from leadline.training.data.seeds import depth_noise_generator, sample_generator
from leadline.training.data.source import BatchSource, step_size
from leadline.training.data.stereo_video import depthai_rig, rectified_refs
from leadline.training.data.world_shards import Plan, RenderedWorld
from leadline.training.devices import renders_here

if TYPE_CHECKING:
    from leadline.datasets.frame import Frame, FrameRef
    from leadline.image import Image
    from leadline.training.config import DataConfig, TrainConfig

_OTHER = {"left": "right", "right": "left"}


class StereoPairs(BatchSource):
    """Pairs from the world, or from the frames of a data set; see :func:`open_stereo_pairs`."""

    def __init__(
        self,
        config: TrainConfig,
        *,
        world: RenderedWorld | None = None,
        frames: Sequence[FrameRef] = (),
    ) -> None:
        self.config, self.world, self.frames = config, world, frames

    def batch(self, step: int, rows: Sequence[int]) -> dict[str, Tensor]:
        """See :class:`BatchSource`; ``rgb`` is ``left``."""
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
        """See :class:`BatchSource`."""
        rng = sample_generator(self.config.seed, step, row)
        sample, number = self._draw(rng, step, row)
        for side, name in enumerate(("left_depth", "right_depth")):
            fixed = depth_noise_generator(self.config.seed, side, *number)
            sample[name] = simulate_scan(sample[name], self.config.options.lidar_noise, fixed)
        if rng.random() < self.config.augment.flip:
            sample = mirror_pair(sample)
        made = {name: as_tensor(array) for name, array in sample.items()}
        if self.config.augment.colours != "none":
            made["left"], made["right"] = change_gamma_alike((made["left"], made["right"]), rng)
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
def open_stereo_pairs(config: TrainConfig, folder: Path, step: int) -> Generator[StereoPairs]:
    """Open the config's pairs for a run that goes on at ``step``.

    Args:
        config: of the run; its only source is ``world``, ``stereo-video`` (``left.mp4``,
            ``right.mp4`` and ``calib.json`` of a DepthAI camera), or a data set with two views.
        folder: of the run.
        step: the first that will be asked for.
    """
    data = only_source(config)
    if data.name != "world":
        yield StereoPairs(config, frames=pair_refs(data, folder))
        return
    with open_rig_world(config, folder, step, render_pairs) as world:
        yield StereoPairs(config, world=world)


@contextmanager
def open_rig_world(
    config: TrainConfig, folder: Path, step: int, render: Callable[..., dict[str, np.ndarray]]
) -> Generator[RenderedWorld]:
    """Render pictures of the config's rig, ``render(..., rig=...)``, while the block lasts.

    Raises:
        InputError: the config asks for a data set's camera.
    """
    if config.world.mount:
        raise InputError(
            f"world.mount={config.world.mount!r}: the recipe {config.recipe!r} has rigs of "
            "its own; leave it out, or take a recipe of single pictures."
        )
    plan = Plan.of(config, partial(render, rig=config.options.rig), margin=1.0)
    rendered = RenderedWorld.of(config, plan, folder)
    with rendered.rendering(step, here=renders_here()) as world:
        yield world


def only_source(config: TrainConfig) -> DataConfig:
    """The config's source of pictures.

    Raises:
        InputError: several; each rig has a focal length and a baseline of its own.
    """
    if len(config.data) != 1:
        names = ", ".join(data.name for data in config.data)
        raise InputError(
            f"data = {names}: {config.recipe} learns from one rig, so from one source; train on "
            "one, then go on from its weights (init_from) on the other."
        )
    return config.data[0]


def rig_of(config: TrainConfig) -> dict[str, float]:
    """What turns the source's disparities into metres.

    Returns:
        ``focal_share``, the focal length as a share of the picture's width, and ``baseline_m``;
        empty where the data set does not say both.
    """
    data = only_source(config)
    if data.name == "world":
        rig = config.options.rig
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
        InputError: a data set without a second view.
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
            f"{data.name} has one view; stereo needs two: kitti-raw, kitti-eigen, stereo-video "
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


def check_depth_source(config: TrainConfig) -> None:
    """Raise InputError when depth is to be learnt from and the source is read without any."""
    weight = config.options.depth_weight
    if weight and only_source(config).name in ("kitti-eigen", "stereo-video"):
        raise InputError(
            f"options.depth_weight={weight}: {config.data[0].name} is read without depth here; "
            "take kitti-raw, whose scans are read, or options.depth_weight = 0."
        )


def read_pair(ref: FrameRef, size: tuple[int, int]) -> Sample:
    """A pair of a data set at ``size`` (height, width)."""
    frame = ref.read()
    if frame.right is None:
        raise InputError(f"{ref.name}: no picture of the right camera.")
    depth = resize_depth(frame, size)
    return {
        "left": resize_picture(frame.image, size),
        "right": resize_picture(frame.right, size),
        "left_depth": depth,
        "right_depth": np.zeros_like(depth),
    }


def resize_picture(image: Image, size: tuple[int, int]) -> np.ndarray:
    """The pixels of a picture at ``size`` (height, width), averaged over areas."""
    pixels = np.ascontiguousarray(image.pixels)
    return cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def resize_depth(frame: Frame, size: tuple[int, int]) -> np.ndarray:
    """The depth of a frame at ``size`` (height, width) by nearest pixel; metres, 0 if unknown."""
    depth = np.where(frame.valid, frame.depth, 0).astype(np.float32)
    return cv2.resize(depth, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)


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


def mirror_pair(sample: Sample) -> Sample:
    """The pair seen in a mirror: each side becomes the other."""
    made: Sample = {}
    for name, array in sample.items():
        side, _, rest = name.partition("_")
        made["_".join(filter(None, (_OTHER[side], rest)))] = array[:, ::-1]
    return made


def known_depth(depth: np.ndarray) -> np.ndarray:
    """Metres as float32, 0 in place of the sky's infinity."""
    depth = np.asarray(depth, np.float32)
    return np.where(np.isfinite(depth), depth, np.float32(0))


def as_tensor(array: np.ndarray) -> Tensor:
    """A picture (h, w, 3) uint8 as (3, h, w) in [0, 1], and a map (h, w) as it is."""
    own = torch.from_numpy(np.array(array))  # shards on disk are read-only
    return own.permute(2, 0, 1).float().div_(255) if array.ndim == 3 else own
