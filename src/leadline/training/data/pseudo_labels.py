"""Pictures with a teacher's labels as training samples, clean or hard; see ``leadline label``.

Source: Yang et al., Depth Anything, CVPR 2024, section 3.2.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image as PilImage

from leadline import world
from leadline.datasets import LabelRef, open_labels
from leadline.datasets.frame import read_json
from leadline.errors import InputError, JobError
from leadline.io import list_images
from leadline.jobs import atomic_write
from leadline.kinds import DepthKind
from leadline.load_options import LoadOptions
from leadline.shards import BulkJob, label_files
from leadline.training.data.colours import perturb_colours
from leadline.training.data.crops import cut_crop, draw_box, draw_crop
from leadline.training.data.seeds import UNLABELLED_SCENES, sample_generator
from leadline.training.data.source import Batch, BatchSource, step_size
from leadline.training.devices import renders_here

if TYPE_CHECKING:
    from leadline.training.config import TrainConfig
    from leadline.training.data.samples import DepthSamples


_PATIENCE_S = 7200.0  # how long the others of a machine's processes wait for the one that labels


class PseudoSamples:
    """Samples from the labels of a folder.

    A sample holds ``rgb``, ``disparity``, ``valid``, and ``outside`` (h, w) bool: with CutMix,
    False in the box that is another picture's, which has a scale and shift of its own.

    Args:
        config: of the run.
        refs: the labels.
        colours: strong jitter, grey and blur.
        cutmix: share of pictures into which a box of another is put.
    """

    def __init__(
        self, config: TrainConfig, refs: Sequence[LabelRef], *, colours: bool, cutmix: float
    ) -> None:
        self.config, self.refs = config, refs
        self.colours, self.cutmix = colours, cutmix

    def sample(self, step: int, row: int, size: tuple[int, int]) -> Batch:
        """The sample of (step, row) at ``size`` (height, width)."""
        rng = sample_generator(self.config.seed, step, row)
        one = self._one(rng, size)
        one["outside"] = torch.ones(size, dtype=torch.bool)
        if rng.random() < self.cutmix:
            other, outside = self._one(rng, size), draw_box(rng, size)
            mixed = {name: torch.where(outside, one[name], other[name]) for name in other}
            one = {**mixed, "outside": outside}
        return one

    def origin(self, step: int, row: int) -> str:
        """The label's name."""
        rng = sample_generator(self.config.seed, step, row)
        return f"label {self.refs[int(rng.integers(len(self.refs)))].name}"

    def _one(self, rng: np.random.Generator, size: tuple[int, int]) -> Batch:
        label = self.refs[int(rng.integers(len(self.refs)))].read()
        values = _as_disparity(label.values, label.valid, label.kind)
        sample = {"rgb": label.image.pixels, "disparity": np.where(label.valid, values, np.nan)}
        crop = draw_crop(rng, sample["rgb"].shape[:2], size, self.config.augment)
        sample = cut_crop(sample, crop, size)
        disparity = torch.from_numpy(np.asarray(sample["disparity"], np.float32))
        rgb = torch.from_numpy(sample["rgb"]).permute(2, 0, 1).float().div_(255)
        if self.colours:
            rgb = perturb_colours(rgb, rng)
        valid = disparity.isfinite()
        return {"rgb": rgb, "disparity": disparity.nan_to_num(), "valid": valid}


class MixedSamples(BatchSource):
    """Labelled and pseudo-labelled samples, dealt out by row in a fixed proportion.

    Args:
        config: of the run.
        labelled: None for pseudo labels alone.
        pseudo: None for labelled samples alone.
        share: of the pseudo-labelled in a batch.
    """

    def __init__(
        self,
        config: TrainConfig,
        *,
        labelled: DepthSamples | None,
        pseudo: PseudoSamples | None,
        share: float,
    ) -> None:
        self.config, self.labelled, self.pseudo = config, labelled, pseudo
        self.share = Fraction(share).limit_denominator(1000)

    def is_pseudo(self, row: int) -> bool:
        """Whether a row of a batch has a teacher's label."""
        return int((row + 1) * self.share) > int(row * self.share)

    def forget(self, step: int) -> None:
        """Rendered shards that no later step needs are deleted."""
        if self.labelled is not None:
            self.labelled.forget(step)

    def origin(self, step: int, row: int) -> str:
        """Where a sample comes from."""
        if self.is_pseudo(row) and self.pseudo is not None:
            return self.pseudo.origin(step, row)
        return self.labelled.origin(step, row) if self.labelled else f"step {step}, row {row}"

    def sample(self, step: int, row: int) -> Batch:
        """``rgb``, ``disparity``, ``valid``, ``outside`` and ``pseudo`` (bool)."""
        if self.is_pseudo(row) and self.pseudo is not None:
            size = self.labelled.size(step) if self.labelled else step_size(self.config, step)
            return {**self.pseudo.sample(step, row, size), "pseudo": torch.tensor(True)}
        if self.labelled is None:
            raise LookupError(f"row {row} is labelled, and there is no labelled data.")
        one = self.labelled.sample(step, row)
        made = {name: one[name] for name in ("rgb", "disparity", "valid")}
        outside = torch.ones_like(made["valid"])
        return {**made, "outside": outside, "pseudo": torch.tensor(False)}


def label_pictures(
    folder: Path, *, teacher: str, unlabelled: str, count: int, size: tuple[int, int]
) -> Path:
    """Let the teacher label pictures, once; what is labelled already is left as it is.

    Args:
        folder: of the run; pictures and labels go below it.
        teacher: a model's name, file, or run folder.
        unlabelled: folder of pictures; empty: ``count`` pictures of the world are rendered.
        count: of rendered pictures.
        size: (height, width) of them.

    Returns:
        The folder of the labels.
    """
    out = folder / "labels"
    if renders_here():
        place = Path(unlabelled) if unlabelled else folder / "unlabelled"
        if not unlabelled:
            render_pictures(place, count=count, size=size)
        pictures = list_images(place, recursive=True)
        files = {path: out / "depth" / f"{path.stem}.png" for path in pictures}
        if len(set(files.values())) < len(files):
            raise InputError(
                f"{place} holds pictures of the same name in several folders; label them with "
                "`leadline label`, which keeps them apart, and give options.labels."
            )
        job = BulkJob(model=LoadOptions(model=teacher), out=str(out), disparity=True)
        label_files(job, files).raise_failures()
    deadline = time.monotonic() + _PATIENCE_S
    while not _complete(out):
        if time.monotonic() > deadline:
            raise JobError(f"{out} was not labelled within {_PATIENCE_S:.0f} s; resume the run.")
        time.sleep(0.2)
    return out


def render_pictures(folder: Path, *, count: int, size: tuple[int, int]) -> None:
    """Pictures of the world without their truth; those that are there are left as they are."""
    for number in range(count):
        path = folder / f"{number:06d}.png"
        if not path.is_file():
            scene = world.sample_scene(UNLABELLED_SCENES + number)
            view = world.sample_view(scene, seed=number, size=size)
            with atomic_write(path) as file:
                PilImage.fromarray(view.rgb).save(file, format="PNG")


def read_labels(folder: str | Path, pictures: str = "") -> list[LabelRef]:
    """The labels of a folder, as a student of disparity can take them.

    Raises:
        InputError: labels of a kind that has no disparity.
    """
    kind, refs = open_labels(folder, pictures=pictures or None)
    if kind is DepthKind.AFFINE_DEPTH:
        raise InputError(f"{folder} holds {kind}, which has no inverse; label with disparities.")
    return refs


def _complete(out: Path) -> bool:
    manifest = out / "manifest.json"
    return manifest.is_file() and bool(read_json(manifest).get("complete"))


def _as_disparity(values: np.ndarray, valid: np.ndarray, kind: DepthKind) -> np.ndarray:
    if kind.larger_is_nearer:
        return values
    return np.where(valid & (values > 0), 1 / np.maximum(values, 1e-3), 0).astype(np.float32)
