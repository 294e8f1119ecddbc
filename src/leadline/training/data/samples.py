"""Batches of pictures with depth: the world, data sets and folders, mixed by weight.

What ``relative``, ``supervised`` and ``metric`` learn from. A batch holds

- ``rgb`` (b, 3, h, w) in [0, 1];
- ``depth`` (b, h, w) in metres, 0 where unknown or at the sky;
- ``disparity`` (b, h, w) in 1/m, 0 at the sky, and ``valid`` (b, h, w) bool: where it is known;
- ``focal_px`` (b,), 0 where unknown; ``kind`` (b,) int64, of the world's scenes, -1 elsewhere;
- ``source`` (b,) int64, the place of the sample's source in ``config.data``.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from leadline.datasets import Options, get, open_dataset
from leadline.errors import InputError
from leadline.resample import resize
from leadline.training.data.colours import change_colours
from leadline.training.data.crops import Crop, cut_crop, cut_crops, draw_crop
from leadline.training.data.rendering import Sample, render_views
from leadline.training.data.seeds import sample_generator
from leadline.training.data.source import BatchSource, step_size
from leadline.training.data.world_shards import Plan, RenderedWorld
from leadline.training.devices import choose_device, choose_own_device, renders_here
from leadline.world import mounted_kinds

if TYPE_CHECKING:
    from leadline.datasets.frame import FrameRef
    from leadline.training.config import DataConfig, TrainConfig
    from leadline.training.data.source import Batch


class DepthSamples(BatchSource):
    """Pictures with depth; see the module. Open it with :func:`open_depth_samples`.

    Attributes:
        keeps_world: whether rendered pictures lie in a GPU's memory, where they are cut too.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        world: RenderedWorld | None,
        frames: Sequence[Sequence[FrameRef]],
        aspect: float = 0.0,
        zoom_is_near: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config = config
        self.device = torch.device(device)
        self.input_of = dict(zip(choose_picture_sizes(config, aspect), config.sizes, strict=False))
        self.world = world
        self.frames = frames
        self.aspect = aspect
        self.zoom_is_near = zoom_is_near
        weights = np.array([data.weight for data in config.data], dtype=float)
        self.shares = weights / weights.sum()
        self.keeps_world = self._room_for_world()

    def origin(self, step: int, row: int) -> str:
        """The shard and the place in it, or the frame's name."""
        rng = sample_generator(self.config.seed, step, row)
        source = self._source(rng)
        if not self.frames[source]:
            index, n = self._world().place(rng, step)
            return f"world: shard {index}, picture {n}"
        ref = self.frames[source][int(rng.integers(len(self.frames[source])))]
        return f"{self.config.data[source].name}: {ref.name}"

    def size(self, step: int) -> tuple[int, int]:
        """Input size (height, width) of the batch of ``step``."""
        if self.world is not None and len(self.input_of) == len(set(self.config.sizes)):
            return self.input_of[self.world.size(step)]
        return step_size(self.config, step)

    def sample(self, step: int, row: int) -> Batch:
        """See :class:`BatchSource`."""
        return {name: values[0] for name, values in self.batch(step, [row]).items()}

    def batch(self, step: int, rows: Sequence[int]) -> Batch:
        """See :class:`BatchSource`; colours change on the device."""
        rngs = [sample_generator(self.config.seed, step, row) for row in rows]
        samples, crops = (self._gathered if self.keeps_world else self._read)(rngs, step)
        zoom = [crop.enlarged if self.zoom_is_near else 1.0 for crop in crops]
        made = make_batch(samples, nearer=zoom)
        made["rgb"] = change_colours(made["rgb"], rngs, self.config.augment.colours)
        return made

    def _room_for_world(self) -> bool:
        """Whether the window of shards is to lie in a GPU's memory: it fits into a third of it."""
        if self.device.type != "cuda" or self.world is None or any(self.frames):
            return False
        free, _ = torch.cuda.mem_get_info(self.device)
        return not self.config.augment.rotate_deg and self.world.plan.window_bytes() < free / 3

    def _read(
        self, rngs: Sequence[np.random.Generator], step: int
    ) -> tuple[dict[str, Tensor], list[Crop]]:
        """Windows of pictures from any source, cut one by one and sent to the device."""
        cut, crops = [], []
        for rng in rngs:
            source = self._source(rng)
            if self.frames[source]:
                ref = self.frames[source][int(rng.integers(len(self.frames[source])))]
                sample = read_sample(ref)
            else:
                sample = self._world().draw(rng, step)
            crop = self._crop(rng, step, sample["rgb"].shape[:2])
            made = cut_crop(sample, crop, self.size(step))
            cut.append(made | {"source": np.array(source)})
            crops.append(crop)
        return stack_samples(cut, self.device), crops

    def _gathered(
        self, rngs: Sequence[np.random.Generator], step: int
    ) -> tuple[dict[str, Tensor], list[Crop]]:
        """The same of the rendered world alone, all at once on the device."""
        sources = [self._source(rng) for rng in rngs]
        found = self._world().gather(rngs, step, self.device)
        _, height, width, _ = found["rgb"].shape
        crops = [self._crop(rng, step, (height, width)) for rng in rngs]
        cut = cut_crops(found, crops, self.size(step))
        return cut | {"source": torch.tensor(sources, device=self.device)}, crops

    def _crop(self, rng: np.random.Generator, step: int, picture: tuple[int, int]) -> Crop:
        return draw_crop(rng, picture, self.size(step), self.config.augment, aspect=self.aspect)

    def _source(self, rng: np.random.Generator) -> int:
        return int(rng.choice(len(self.shares), p=self.shares))

    def _world(self) -> RenderedWorld:
        if self.world is None:
            raise LookupError("these samples have no rendered world.")
        return self.world


@contextmanager
def open_depth_samples(
    config: TrainConfig,
    folder: Path,
    step: int,
    *,
    aspect: float = 0.0,
    zoom_is_near: bool = False,
    device: str = "",
) -> Generator[DepthSamples]:
    """Open the config's data for a run that goes on at ``step``.

    Args:
        config: of the run.
        folder: of the run.
        step: the first that will be asked for.
        aspect: width by height of what is cut from a picture; 0: that of the input.
        zoom_is_near: divide depth by the crop's enlargement, as if the camera kept its lens and
            went nearer (Eigen et al. 2014, section 3.3).
        device: where batches are put together; empty: on the run's GPU, else on the CPU.
    """
    spare = not config.validate_data and config.validate_every >= 0
    frames = [list_training_frames(data, spare=spare) for data in config.data]
    if not device:  # threads that make batches: MPS crashes when two of them use it
        own_gpu = choose_own_device(config.device)
        device = str(own_gpu) if own_gpu.type == "cuda" else "cpu"
    samples = partial(
        DepthSamples,
        config,
        frames=frames,
        aspect=aspect,
        zoom_is_near=zoom_is_near,
        device=device,
    )
    if all(frames):
        yield samples(world=None)
        return
    own = config.world
    # Chosen here and not in the renderers, so that a device that is missing is seen at once.
    renders_on = str(choose_device(own.device)) if own.device else ""
    kinds = mounted_kinds(own.mount, own.kinds)
    render = partial(render_views, kinds=kinds, views=own.views, device=renders_on, mount=own.mount)
    plan = Plan.of(config, render, sizes=choose_picture_sizes(config, aspect))
    rendered = RenderedWorld.of(config, plan, folder)
    with rendered.rendering(step, here=renders_here()) as world:
        yield samples(world=world)


def choose_picture_sizes(config: TrainConfig, aspect: float) -> tuple[tuple[int, int], ...]:
    """Sizes of the pictures from which inputs of ``config.sizes`` are made.

    They follow the inputs, at ``aspect`` (width by height) where one is given, unless the config
    has one size for all pictures.
    """
    if all(config.world.size):
        return (config.world.size,)
    if not aspect:
        return config.sizes
    return tuple((h, round(h * aspect / 2) * 2) for h, _ in config.sizes)


def list_training_frames(data: DataConfig, *, spare: bool = True) -> list[FrameRef]:
    """The frames of one source; none for the world, which is rendered.

    Args:
        data: the source.
        spare: leave out those of :func:`list_validation_frames` where the set has no such part.
    """
    if data.name == "world":
        return []
    refs = _open(data, training_split(data))
    own_part = validation_split(data)
    return refs if own_part or not spare or len(refs) < FEW else _parts(refs)[0]


def list_validation_frames(data: DataConfig) -> list[FrameRef]:
    """The validation part of a data set; without one, every tenth frame to learn from.

    A set of less than :data:`FEW` frames is too small to spare any: it is all of them then, which
    shows that a network learns, and not what it is worth.
    """
    split = validation_split(data)
    refs = _open(data, split or training_split(data))
    return refs if split or len(refs) < FEW else _parts(refs)[1]


def training_split(data: DataConfig) -> str | None:
    """The part of a data set to learn from; None: it has no parts for that."""
    return data.split or get(data.name).training or None


def validation_split(data: DataConfig) -> str | None:
    """The part to validate on, which belongs to the part to learn from; None: there is no such.

    Parts overlap that do not belong together: most of KITTI's ``zhou-val`` is in ``full-train``.
    """
    spec = get(data.name)
    if data.split in ("", spec.training):
        return spec.validation or None
    sibling = data.split.replace("train", "val")
    return sibling if sibling != data.split and sibling in spec.splits else None


FEW = 20
"""Frames of a data set without parts below which none is kept for validation."""


def _open(data: DataConfig, split: str | None) -> list[FrameRef]:
    options = Options(split=split, every=data.every, per_metre=data.per_metre or None)
    return open_dataset(data.name, data.root or None, options)


def _parts(refs: list[FrameRef]) -> tuple[list[FrameRef], list[FrameRef]]:
    rest = [ref for n, ref in enumerate(refs) if n % 10 != 9]
    return rest, refs[9::10]


def read_sample(ref: FrameRef) -> Sample:
    """A frame of a data set as a sample: unknown disparity is NaN.

    Raises:
        InputError: the frame has ordered pairs of points in place of depth.
    """
    frame = ref.read()
    if frame.pairs:
        raise InputError(
            f"{frame.group}/{frame.name} has pairs of points, no depth: a set with depth is needed "
            "for training. `leadline evaluate` scores pairs."
        )
    with np.errstate(divide="ignore"):
        disparity = np.where(frame.valid, 1 / frame.depth, np.nan).astype(np.float32)
    if frame.coarse:  # a laser's grid: each cell stands for the pixels it covers
        disparity = resize(disparity, frame.image.size, "nearest")
    camera = frame.image.camera
    return {
        "rgb": frame.image.pixels,
        "disparity": disparity,
        "focal_px": np.array(0 if camera is None else camera.fy, np.float32),
        "kind": np.array(-1),
    }


def stack_samples(samples: Sequence[Sample], device: torch.device) -> dict[str, Tensor]:
    """Samples as tensors whose first axis is the sample, on a device."""
    made = {}
    for name in samples[0]:
        tensor = torch.from_numpy(np.stack([sample[name] for sample in samples]))
        cuda = device.type == "cuda"
        made[name] = (tensor.pin_memory() if cuda else tensor).to(device, non_blocking=True)
    return made


def make_batch(samples: dict[str, Tensor], *, nearer: Sequence[float]) -> dict[str, Tensor]:
    """The tensors of a batch.

    Args:
        samples: as they are stored, the sample as first axis; pictures of bytes or of floats.
        nearer: how much each was enlarged by going nearer and not by the lens.
    """
    factor = torch.tensor(nearer, dtype=torch.float32, device=samples["rgb"].device)
    disparity = samples["disparity"].float() * factor[:, None, None]
    valid = disparity.isfinite()
    disparity = disparity.nan_to_num()
    depth = torch.where(disparity > 1e-3, 1 / disparity.clamp(min=1e-3), 0.0)
    return {
        "rgb": samples["rgb"].permute(0, 3, 1, 2).float().div_(255),
        "depth": depth,
        "disparity": disparity,
        "valid": valid,
        "focal_px": samples["focal_px"].float() / factor,
        "kind": samples["kind"].long(),
        "source": samples["source"].long(),
    }
