"""Preprocess: from a picture to a network's inputs, and from its outputs back to the picture.

It moves arrays and knows nothing of what they mean; that is :mod:`leadline.decode`'s.

Source: sizes as MiDaS ``transforms.Resize`` and Depth Anything choose them (Ranftl et al. 2020,
Yang et al. 2024), restated; ``short_side`` and ``area`` are our own.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import numpy as np

from leadline.errors import InputError, UnknownNameError
from leadline.prepared import MAKERS, Prepared
from leadline.resample import resize, resize_planes
from leadline.spec import ResizeRule, name_outputs
from leadline.view_batch import Method, plan_sizes, resample_levels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadline.image import Image
    from leadline.spec import InputName, OutputSpec, PreprocessSpec, ShapeClass

_METHODS: dict[str, Method] = {
    "upper_bound_twice": "upper_bound_resize",
    "lower_bound_twice": "lower_bound_resize",
}


class Preprocess:
    """What a network wants of a picture, as its authors did it.

    Args:
        spec: size rule, interpolation, normalisation, and the way back.
        inputs: what the network asks for.
        outputs: what it gives.
    """

    def __init__(
        self,
        spec: PreprocessSpec,
        *,
        inputs: Sequence[InputName] = ("image",),
        outputs: Mapping[str, OutputSpec] | None = None,
    ) -> None:
        if min(spec.size) < 1 or spec.multiple_of < 1:
            raise InputError(
                f"preprocessing to size {spec.size} in multiples of {spec.multiple_of}: all need "
                "to be at least 1."
            )
        if spec.resize not in get_args(ResizeRule):
            raise UnknownNameError("resize rule", spec.resize, get_args(ResizeRule))
        if not all(0 < share <= 1 for share in spec.crop):
            raise InputError(f"crop={spec.crop}: shares above 0 and up to 1 are needed.")
        if not all(spec.std):
            raise InputError(f"std={spec.std}: no deviation may be 0.")
        self.spec = spec
        self.inputs = tuple(inputs)
        self.outputs = name_outputs("depth") if outputs is None else outputs
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
        if self.spec.resize == "pixel_range":
            planes, border = self._add_border(planes)
            margin = rows + border[0], columns + border[1]
        batch, inner = self._resample(planes), None
        if self.spec.resize == "letterbox":
            batch, inner = self._letterbox(batch)
        batch *= self._gain
        batch += self._offset
        arrays = {"image": batch[None]}
        alone = Prepared(arrays=arrays, image=image, box=box, margin=margin, inner=inner)
        if self.inputs == ("image",):
            return alone
        others = {name: MAKERS[name](alone) for name in self.inputs if name != "image"}
        return replace(alone, arrays={**alone.arrays, **others})

    def _resample(self, planes: np.ndarray) -> np.ndarray:
        """Grey levels at the input's size, (3, h, w) float32."""
        height, width = planes.shape[1:]
        if self.spec.resize in _METHODS:
            for size in self._two_sizes(height, width):
                planes = resample_levels(planes, size)
            return planes.astype(np.float32)
        size = self.input_size(height, width)
        if self.spec.resize == "letterbox":
            size = self._letter(height, width)
        return resize_planes(
            planes, size, self.spec.interpolation, align_corners=self.spec.input_align_corners
        )

    def _letter(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of a picture inside its letterbox."""
        rows, columns = self.input_size(height, width)
        scale = min(rows / height, columns / width)
        return max(1, round(scale * height)), max(1, round(scale * width))

    def _letterbox(self, planes: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int, int] | None]:
        """Planes with grey around them, and (top, bottom, left, right) of themselves in it."""
        (rows, columns), (height, width) = self.input_size(1, 1), planes.shape[1:]
        if (rows, columns) == (height, width):
            return planes, None
        top, left = (rows - height) // 2, (columns - width) // 2
        filled = np.empty((3, rows, columns), np.float32)
        filled[:] = np.reshape(self.spec.letterbox_level, (-1, 1, 1))
        filled[:, top : top + height, left : left + width] = planes
        return filled, (top, top + height, left, left + width)

    def _add_border(self, planes: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
        """Planes of a width over height within 1/2 and ``max_aspect``, and what was added per side.

        The original adds as many on both sides, or one more at the end.
        """
        height, width = planes.shape[1:]
        limit = self.spec.max_aspect
        if limit is None:
            return planes, (0, 0)
        rows = max(0, math.ceil((int(width / limit) - height) / 2))
        columns = max(0, math.ceil((int(height / 2) - width) / 2))
        if not rows and not columns:
            return planes, (0, 0)
        mean = np.array(self.spec.mean, np.float32)[:, None, None] * 255
        filled = np.empty((3, height + 2 * rows, width + 2 * columns), np.float32)
        filled[:] = mean
        filled[:, rows : rows + height, columns : columns + width] = planes
        return filled, (rows, columns)

    def _two_sizes(self, height: float, width: float) -> tuple[tuple[int, int], tuple[int, int]]:
        spec = self.spec
        return plan_sizes(
            round(height),
            round(width),
            side=spec.size[0],
            multiple=spec.multiple_of,
            method=_METHODS[spec.resize],
        )

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
        if spec.resize in _METHODS:
            return self._two_sizes(h, w)[1]
        if spec.resize == "pixel_range":
            scale = math.sqrt(min(max(height * width, spec.pixels[0]), spec.pixels[1]))
            scale /= math.sqrt(height * width)
            m = spec.multiple_of
            return math.ceil(scale * height / m) * m, math.ceil(scale * width / m) * m
        if spec.resize == "keep":
            return self._rounded(h, 0), self._rounded(w, 1)
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
        if limit is None or self.spec.resize in ("exact", "letterbox"):
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
        index: int = 0,
        resized: bool = True,
    ) -> dict[str, np.ndarray]:
        """Bring a network's outputs back to the picture's size.

        Args:
            outputs: of a batch, by name; each of the shape class that its OutputSpec states, a map
                also as (b, 1, h, w) or (h, w).
            prepared: what the picture was made into.
            index: which picture of the batch this is.
            resized: False leaves maps at the network's size, where the network saw the whole
                picture and no margin.

        Returns:
            The outputs that are there, by name: maps (h, w) float32, vector maps (h, w, 3), others
            without the batch's axis; NaN outside of what the network sees. ``valid``, (h, w) bool,
            is among them where the map does not cover the picture: outside of what the network
            sees, and at NaN where ``spec.nan_is_hole``. Elsewhere a value that is not finite is a
            failure of the network, which evaluation counts against it.

        Raises:
            InputError: the map is missing, or an output has an impossible shape.
        """
        first = _name_of_map(self.outputs, outputs)
        arrays: dict[str, np.ndarray] = {}
        for name, spec in self.outputs.items():
            if name not in outputs:
                raise InputError(
                    f"the network gave {sorted(outputs)}, and its description promises {name!r}; "
                    "the names of the network's outputs and those of its ModelSpec or sidecar need "
                    "to be the same."
                )
            if spec.shape == "per_picture":
                arrays[name] = _pick(outputs[name], index)
                continue
            channels = _channels(outputs[name], index, spec.shape)
            maps = [self._restore_map(channel, prepared, resized) for channel in channels]
            values = [value for value, _ in maps]
            arrays[name] = values[0] if spec.shape == "map" else np.stack(values, axis=-1)
            valid = maps[-1][1]
            if name == first and valid is not None:
                arrays["valid"] = valid
        return arrays

    def _restore_map(
        self, values: np.ndarray, prepared: Prepared, resized: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """One map at the picture's size, and where it says something; None: everywhere."""
        if not resized and prepared.whole:
            return values, self._find_covered(values)
        if prepared.inner is not None:
            values = _cut_letter(values, prepared.inner, prepared.input_size)
        (top, bottom, left, right), (rows, columns) = prepared.box, prepared.margin
        height, width = bottom - top, right - left
        values, valid = self._resize(values, (height + 2 * rows, width + 2 * columns))
        inside = slice(rows, rows + height), slice(columns, columns + width)
        values, valid = values[inside], None if valid is None else valid[inside]
        if (height, width) == prepared.size:
            return values, valid
        spread, known = np.full(prepared.size, np.nan, np.float32), np.zeros(prepared.size, bool)
        spread[top:bottom, left:right] = values
        known[top:bottom, left:right] = True if valid is None else valid
        return spread, known

    def _resize(
        self, values: np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The map at ``size``, and where it says something; None: everywhere."""
        rule, corners = self.spec.output_interpolation, self.spec.output_align_corners
        finite = np.isfinite(values)
        if finite.all():
            return resize(values, size, rule, align_corners=corners), None
        weight = resize(finite, size, "linear", align_corners=corners)
        total = resize(np.where(finite, values, 0), size, "linear", align_corners=corners)
        enough = weight > 0.5
        covered = self._find_covered(values)
        if covered is not None:
            covered = resize(covered, size, "linear", align_corners=corners) > 0.5
        failed = np.where(finite, np.nan, values)  # an infinite value stays one
        failed = resize(failed, size, "nearest")  # whose corners are no question
        return np.where(enough, total / np.where(enough, weight, 1), failed), covered

    def _find_covered(self, values: np.ndarray) -> np.ndarray | None:
        """Where the network gives a value, be it wrong; None: everywhere."""
        holes = np.isnan(values) if self.spec.nan_is_hole else None
        return None if holes is None or not holes.any() else ~holes


def _cut_letter(
    values: np.ndarray, inner: tuple[int, int, int, int], size: tuple[int, int]
) -> np.ndarray:
    """The picture's part of a letterbox's map, which may be smaller than the input."""
    rows, columns = values.shape[0] / size[0], values.shape[1] / size[1]
    top, bottom = round(inner[0] * rows), round(inner[1] * rows)
    left, right = round(inner[2] * columns), round(inner[3] * columns)
    return values[top : max(bottom, top + 1), left : max(right, left + 1)]


def reflect_margin(height: int, width: int) -> tuple[int, int]:
    """Rows and columns that ZoeDepth adds on each side of a picture before it looks.

    Its maps are worst at the border; the mirrored margin takes that place and is cut off again.

    Source: ZoeDepth's code, ``infer``: 3 sqrt(side / 2) pixels.
    """
    rows, columns = int(3 * np.sqrt(height / 2)), int(3 * np.sqrt(width / 2))
    return min(rows, height - 1), min(columns, width - 1)


def _name_of_map(specs: Mapping[str, OutputSpec], outputs: Mapping[str, np.ndarray]) -> str:
    """The output that is the map: of role ``depth``, or else ``points``."""
    for role in ("depth", "points"):
        for name, spec in specs.items():
            if spec.role == role and name in outputs:
                return name
    wanted = [name for name, spec in specs.items() if spec.role in ("depth", "points")]
    raise InputError(
        f"the network gave {sorted(outputs)}; an output named {' or '.join(map(repr, wanted))} is "
        "needed. Name it in the model file's sidecar."
    )


def _pick(output: np.ndarray, index: int) -> np.ndarray:
    """One picture's part of a batch, in float32 where it is a number."""
    if np.ndim(output) < 1 or index >= len(output):
        raise InputError(f"output of shape {np.shape(output)} has no picture number {index}.")
    return np.asarray(output[index], dtype=np.float32)


def _channels(output: np.ndarray, index: int, shape: ShapeClass) -> np.ndarray:
    """(c, h, w) float32 of one picture: one channel of a map, three of a vector map."""
    output = np.asarray(output, dtype=np.float32)
    count, given = (1 if shape == "map" else 3), output.shape
    if shape == "map" and output.ndim == 2:
        return _nonempty(output[None], given)
    if shape == "map" and output.ndim == 3:
        output = output[:, None]
    if output.ndim != 4 or output.shape[1] != count:
        wanted = "(b, h, w), (b, 1, h, w) or (h, w)" if shape == "map" else "(b, 3, h, w)"
        raise InputError(f"network output of shape {given}: {wanted} is needed.")
    if index >= len(output):
        raise InputError(f"output of shape {given} has no picture number {index}.")
    return _nonempty(output[index], given)


def _nonempty(channels: np.ndarray, given: tuple[int, ...]) -> np.ndarray:
    if not channels.size:
        raise InputError(f"network output of shape {given} holds no values; check its sidecar.")
    return channels
