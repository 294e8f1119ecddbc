"""Preprocess: from a picture to a network's input, and from its output back to the picture.

Floor: one above ``prediction.py``, because :meth:`Preprocess.restore` makes a Prediction.

Source: sizes as MiDaS ``transforms.Resize`` and Depth Anything choose them (Ranftl et al. 2020,
Yang et al. 2024), restated; ``short_side`` and ``area`` are our own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from leadline.resample import resize, resize_planes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadline.camera import Camera
    from leadline.image import Image
    from leadline.spec import PreprocessSpec


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """One picture at the network's size.

    Attributes:
        arrays: by input name; ``image`` is (1, 3, h, w) float32.
        image: the picture that it was made from.
        margin: (rows, columns) that were added on each side; see :func:`reflect_margin`.
    """

    arrays: Mapping[str, np.ndarray]
    image: Image
    margin: tuple[int, int] = (0, 0)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the original picture."""
        return self.image.size

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the network's input."""
        return self.arrays["image"].shape[2], self.arrays["image"].shape[3]

    @property
    def camera(self) -> Camera | None:
        """Camera of the original picture."""
        return self.image.camera

    @property
    def input_camera(self) -> Camera | None:
        """Camera of the network's input."""
        if self.camera is None:
            return None
        (h, w), (rows, columns) = self.size, self.margin
        padded = self.camera.cropped(-columns, -rows, w + 2 * columns, h + 2 * rows)
        height, width = self.input_size
        return padded.resized(width, height)


class Preprocess:
    """What a network wants of a picture, as its authors did it.

    Args:
        spec: size rule, interpolation, normalisation, and the way back.
    """

    def __init__(self, spec: PreprocessSpec) -> None:
        if min(spec.size) < 1 or spec.multiple_of < 1:
            raise InputError(
                f"preprocessing to size {spec.size} in multiples of {spec.multiple_of}: all need "
                "to be at least 1."
            )
        self.spec = spec
        mean, std = np.array(spec.mean), np.array(spec.std)
        self._gain = (1 / (255 * std)).astype(np.float32)[:, None, None]
        self._offset = (-mean / std).astype(np.float32)[:, None, None]

    def __call__(self, image: Image, *, margin: tuple[int, int] = (0, 0)) -> Prepared:
        """Resize and normalise one picture.

        Args:
            image: the picture.
            margin: rows and columns to add on each side, mirrored; :meth:`restore` cuts them off.
        """
        pixels, (rows, columns) = image.pixels, margin
        if rows or columns:
            sides = ((rows, rows), (columns, columns), (0, 0))
            pixels = np.pad(pixels, sides, mode="reflect")
        planes = np.moveaxis(pixels, 2, 0)
        batch = resize_planes(
            planes,
            self.input_size(*pixels.shape[:2]),
            self.spec.interpolation,
            align_corners=self.spec.input_align_corners,
        )
        batch *= self._gain
        batch += self._offset
        return Prepared(arrays={"image": batch[None]}, image=image, margin=margin)

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) that the network gets for a picture of ``height`` x ``width``.

        A picture longer than ``spec.max_aspect`` times its short side is taken as if its long
        side were squeezed to that, so that memory stays bounded; ``max_aspect=None`` never
        squeezes, as the originals do. Sides are at least one ``multiple_of`` (the originals can
        round a short side to 0).
        """
        spec = self.spec
        if height < 1 or width < 1:
            raise InputError(f"picture of {height}x{width} pixels: at least 1x1 is needed.")
        h, w = self._bounded(height, width)
        scale_h, scale_w = spec.size[0] / h, spec.size[1] / w
        if spec.resize == "short_side":
            scale_h = scale_w = min(spec.size) / min(h, w)
        elif spec.resize == "area":
            scale_h = scale_w = math.sqrt(scale_h * scale_w)
        elif spec.resize == "lower_bound":
            scale_h = scale_w = max(scale_h, scale_w)
        elif spec.resize == "upper_bound":
            scale_h = scale_w = min(scale_h, scale_w)
        elif spec.resize == "minimal":
            scale_h = scale_w = scale_w if abs(1 - scale_w) < abs(1 - scale_h) else scale_h
        return self._rounded(scale_h * h, 0), self._rounded(scale_w * w, 1)

    def _bounded(self, height: int, width: int) -> tuple[float, float]:
        limit = self.spec.max_aspect
        if limit is None or self.spec.resize == "exact":
            return height, width
        return min(height, limit * width), min(width, limit * height)

    def _rounded(self, side: float, axis: int) -> int:
        """``side`` to a multiple, half to even, kept within the bound that the rule promises."""
        multiple, bound = self.spec.multiple_of, self.spec.size[axis]
        units = round(side / multiple)
        if self.spec.resize == "lower_bound" and units * multiple < bound:
            units = int(np.ceil(side / multiple))
        elif self.spec.resize == "upper_bound" and units * multiple > bound:
            units = int(np.floor(side / multiple))
        return max(1, units) * multiple

    def restore(
        self,
        outputs: Mapping[str, np.ndarray],
        prepared: Prepared,
        *,
        kind: DepthKind,
        model: str = "",
        index: int = 0,
    ) -> Prediction:
        """Bring a network's output back to the picture's size.

        Args:
            outputs: ``depth`` and perhaps ``confidence``: (b, h, w), (b, 1, h, w) or (h, w).
            prepared: what the picture was made into.
            kind: what the values mean; ``scaled_depth`` of a canonical camera becomes
                ``metric_depth`` where the picture's camera is known.
            model: name to keep in the prediction.
            index: which picture of the batch this is.

        Raises:
            InputError: no ``depth``, or one of an impossible shape.
        """
        if "depth" not in outputs:
            raise InputError(
                f"the network gave {sorted(outputs)}; an output named 'depth' is needed. Name it "
                "in the model file's sidecar."
            )
        values, valid = self._restored(_one_map(outputs["depth"], index), prepared)
        camera, canonical = prepared.input_camera, self.spec.canonical_focal_px
        if canonical and camera is not None and kind is DepthKind.SCALED_DEPTH:
            values, kind = values * np.float32(camera.fy / canonical), DepthKind.METRIC_DEPTH
        confidence = None
        if "confidence" in outputs:
            confidence, _ = self._restored(_one_map(outputs["confidence"], index), prepared)
        return Prediction(
            values=values,
            kind=kind,
            camera=prepared.camera,
            valid=valid,
            confidence=confidence,
            model=model,
            image=prepared.image,
        )

    def _restored(
        self, values: np.ndarray, prepared: Prepared
    ) -> tuple[np.ndarray, np.ndarray | None]:
        (height, width), (rows, columns) = prepared.size, prepared.margin
        values, valid = self._resized(values, (height + 2 * rows, width + 2 * columns))
        inside = slice(rows, rows + height), slice(columns, columns + width)
        return values[inside], None if valid is None else valid[inside]

    def _resized(
        self, values: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The map at ``size`` and its valid mask; None when every value is finite."""
        rule, corners = self.spec.output_interpolation, self.spec.output_align_corners
        finite = np.isfinite(values)
        if finite.all():
            return resize(values, size, rule, align_corners=corners), None
        weight = resize(finite, size, "linear", align_corners=corners)
        total = resize(np.where(finite, values, 0), size, "linear", align_corners=corners)
        valid = weight > 0.5
        return np.where(valid, total / np.where(valid, weight, 1), np.nan), valid


def reflect_margin(height: int, width: int) -> tuple[int, int]:
    """Rows and columns that ZoeDepth adds on each side of a picture before it looks.

    Its maps are worst at the border; the mirrored margin takes that place and is cut off again.

    Source: ZoeDepth's code, ``infer``: 3 sqrt(side / 2) pixels.
    """
    rows, columns = int(3 * np.sqrt(height / 2)), int(3 * np.sqrt(width / 2))
    return min(rows, height - 1), min(columns, width - 1)


def stack(prepared: Sequence[Prepared]) -> dict[str, np.ndarray]:
    """Several prepared pictures of one input size as one batch.

    Raises:
        InputError: none, or of different sizes.
    """
    sizes = {item.input_size for item in prepared}
    if len(sizes) != 1:
        raise InputError(
            f"{len(prepared)} prepared pictures of input sizes {sorted(sizes)}: a batch needs one "
            "size; group pictures by Prepared.input_size."
        )
    names = prepared[0].arrays
    return {name: np.concatenate([item.arrays[name] for item in prepared]) for name in names}


def _one_map(output: np.ndarray, index: int) -> np.ndarray:
    output = np.asarray(output, dtype=np.float32)
    shape = output.shape
    if output.ndim == 4 and shape[1] == 1:
        output = output[:, 0]
    if output.ndim == 3:
        if index >= len(output):
            raise InputError(f"output of shape {shape} has no picture number {index}.")
        output = output[index]
    if output.ndim != 2 or output.size == 0:
        raise InputError(
            f"network output of shape {shape}: (b, h, w), (b, 1, h, w) or (h, w) is needed."
        )
    return output
