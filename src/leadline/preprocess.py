"""Preprocess: from a picture to a network's input, and from its output back to the picture.

Floor: one above ``prediction.py``, because :meth:`Preprocess.restore` makes a Prediction.

Source: sizes as MiDaS ``transforms.Resize`` and Depth Anything choose them (Ranftl et al. 2020,
Yang et al. 2024), restated; ``short_side`` and ``area`` are our own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from leadline.errors import InputError, UnknownNameError
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from leadline.resample import resize, resize_planes
from leadline.spec import ResizeRule

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
        box: (top, bottom, left, right) of the part of it that the network sees.
        margin: (rows, columns) that were added on each side; see :func:`reflect_margin`.
    """

    arrays: Mapping[str, np.ndarray]
    image: Image
    box: tuple[int, int, int, int]
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
        (top, bottom, left, right), (rows, columns) = self.box, self.margin
        seen = self.camera.cropped(
            left - columns, top - rows, right - left + 2 * columns, bottom - top + 2 * rows
        )
        height, width = self.input_size
        return seen.resized(width, height)

    @property
    def whole(self) -> bool:
        """Whether the network's map covers the picture, no less and no more."""
        return self.margin == (0, 0) and self.box == (0, self.size[0], 0, self.size[1])


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
        if spec.resize not in get_args(ResizeRule):
            raise UnknownNameError("resize rule", spec.resize, get_args(ResizeRule))
        if not all(0 < share <= 1 for share in spec.crop):
            raise InputError(f"crop={spec.crop}: shares above 0 and up to 1 are needed.")
        self.spec = spec
        mean, std = np.array(spec.mean), np.array(spec.std)
        self._gain = (1 / (255 * std)).astype(np.float32)[:, None, None]
        self._offset = (-mean / std).astype(np.float32)[:, None, None]

    def __call__(self, image: Image, *, margin: tuple[int, int] = (0, 0)) -> Prepared:
        """Cut, resize and normalise one picture.

        Args:
            image: the picture.
            margin: rows and columns to add on each side, mirrored; :meth:`restore` cuts them off.
        """
        box, (rows, columns) = self._box(*image.size), margin
        pixels = image.pixels[box[0] : box[1], box[2] : box[3]]
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
        return Prepared(arrays={"image": batch[None]}, image=image, box=box, margin=margin)

    def _box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """The middle part that the network sees."""
        sides = zip((height, width), self.spec.crop, strict=True)
        (top, rows), (left, columns) = (
            (round(side * (1 - share) / 2), max(1, round(side * share))) for side, share in sides
        )
        return top, min(height, top + rows), left, min(width, left + columns)

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
        resized: bool = True,
    ) -> Prediction:
        """Bring a network's output back to the picture's size.

        Args:
            outputs: ``depth`` and perhaps ``confidence``: (b, h, w), (b, 1, h, w) or (h, w).
            prepared: what the picture was made into.
            kind: what the values mean; ``scaled_depth`` of a canonical camera becomes
                ``metric_depth`` where the picture's camera is known.
            model: name to keep in the prediction.
            index: which picture of the batch this is.
            resized: False leaves the map at the network's size, and the picture out of the
                prediction, where the network saw the whole picture and no margin.

        Returns:
            The map; not valid outside of what the network sees, and at NaN where
            ``spec.nan_is_hole``. Elsewhere a value that is not finite is a failure of the network,
            which evaluation counts against it.

        Raises:
            InputError: no ``depth``, or one of an impossible shape.
        """
        if "depth" not in outputs:
            raise InputError(
                f"the network gave {sorted(outputs)}; an output named 'depth' is needed. Name it "
                "in the model file's sidecar."
            )
        maps = {
            name: self._restored(_one_map(outputs[name], index), prepared, resized)
            for name in ("depth", "confidence")
            if name in outputs
        }
        values, valid = maps["depth"]
        camera, canonical = prepared.input_camera, self.spec.canonical_focal_px
        if canonical and camera is not None and kind is DepthKind.SCALED_DEPTH:
            values, kind = values * np.float32(camera.fy / canonical), DepthKind.METRIC_DEPTH
        if self.spec.in_widths and kind is DepthKind.PIXEL_DISPARITY:
            seen = prepared.box[3] - prepared.box[2] + 2 * prepared.margin[1]
            values = values * np.float32(values.shape[1] * seen / prepared.size[1])
        camera, image = prepared.camera, prepared.image
        if values.shape != prepared.size:
            camera, image = camera and camera.resized(values.shape[1], values.shape[0]), None
        return Prediction(
            values=values,
            kind=kind,
            camera=camera,
            valid=valid,
            confidence=maps["confidence"][0] if "confidence" in maps else None,
            model=model,
            image=image,
        )

    def _restored(
        self, values: np.ndarray, prepared: Prepared, resized: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        if not resized and prepared.whole:
            return values, self._told(values)
        (top, bottom, left, right), (rows, columns) = prepared.box, prepared.margin
        height, width = bottom - top, right - left
        values, valid = self._resized(values, (height + 2 * rows, width + 2 * columns))
        inside = slice(rows, rows + height), slice(columns, columns + width)
        values, valid = values[inside], None if valid is None else valid[inside]
        if (height, width) == prepared.size:
            return values, valid
        spread, known = np.full(prepared.size, np.nan, np.float32), np.zeros(prepared.size, bool)
        spread[top:bottom, left:right] = values
        known[top:bottom, left:right] = True if valid is None else valid
        return spread, known

    def _resized(
        self, values: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The map at ``size``, and where the network tells something; None: everywhere."""
        rule, corners = self.spec.output_interpolation, self.spec.output_align_corners
        finite = np.isfinite(values)
        if finite.all():
            return resize(values, size, rule, align_corners=corners), None
        weight = resize(finite, size, "linear", align_corners=corners)
        total = resize(np.where(finite, values, 0), size, "linear", align_corners=corners)
        enough = weight > 0.5
        told = self._told(values)
        if told is not None:
            told = resize(told, size, "linear", align_corners=corners) > 0.5
        failed = np.where(finite, np.nan, values)  # an infinite value stays one
        failed = resize(failed, size, "nearest", align_corners=corners)
        return np.where(enough, total / np.where(enough, weight, 1), failed), told

    def _told(self, values: np.ndarray) -> np.ndarray | None:
        """Where the network tells something, be it wrong; None: everywhere."""
        holes = np.isnan(values) if self.spec.nan_is_hole else None
        return None if holes is None or not holes.any() else ~holes


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
