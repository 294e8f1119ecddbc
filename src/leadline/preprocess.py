"""Preprocess: from a picture to a network's inputs, and from its outputs back to the picture.

It moves arrays and knows nothing of what they mean; that is :mod:`leadline.decode`'s.

Source: sizes as MiDaS ``transforms.Resize`` and Depth Anything choose them (Ranftl et al. 2020,
Yang et al. 2024), restated; ``short_side`` and ``area`` are our own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

import numpy as np

from leadline.errors import InputError, UnknownNameError
from leadline.resample import resize, resize_planes
from leadline.spec import ResizeRule, name_outputs
from leadline.view_batch import Method, plan_sizes, resample_levels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from leadline.camera import Camera
    from leadline.image import Image
    from leadline.spec import InputName, OutputSpec, PreprocessSpec, ShapeClass

_METHODS: dict[str, Method] = {
    "upper_bound_twice": "upper_bound_resize",
    "lower_bound_twice": "lower_bound_resize",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """One picture at the network's size.

    Attributes:
        arrays: by input name, see :data:`~leadline.spec.InputName`; ``image`` is (1, 3, h, w)
            float32.
        image: the picture that it was made from.
        box: (top, bottom, left, right) of the part of it that the network sees.
        margin: (rows, columns) that were added on each side; see :func:`reflect_margin`.
        inner: (top, bottom, left, right) of the picture in the network's input, where grey lies
            around it; None: it fills the input.
    """

    arrays: Mapping[str, np.ndarray]
    image: Image
    box: tuple[int, int, int, int]
    margin: tuple[int, int] = (0, 0)
    inner: tuple[int, int, int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the original picture."""
        return self.image.size

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the arrays; pictures for which they are equal can run together."""
        return tuple(array.shape for array in self.arrays.values())

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
        left, top, width, height = self._seen
        seen = self.camera.cropped(left, top, width, height)
        top, bottom, left, right = self._inner
        filled = seen.resized(right - left, bottom - top)
        return filled.cropped(-left, -top, *self.input_size[::-1])

    def to_picture_camera(self, input_camera: Camera) -> Camera:
        """The camera of the original picture, from that of the network's input."""
        top, bottom, left, right = self._inner
        filled = input_camera.cropped(left, top, right - left, bottom - top)
        left, top, width, height = self._seen
        seen = filled.resized(width, height)
        return seen.cropped(-left, -top, *self.size[::-1])

    @property
    def seen_width(self) -> float:
        """Width of the network's input, in pixels of the picture."""
        _, _, left, right = self._inner
        return self._seen[2] * self.input_size[1] / (right - left)

    @property
    def _inner(self) -> tuple[int, int, int, int]:
        return self.inner or (0, self.input_size[0], 0, self.input_size[1])

    @property
    def _seen(self) -> tuple[int, int, int, int]:
        """(left, top, width, height) of what became the input, in pixels of the picture."""
        (top, bottom, left, right), (rows, columns) = self.box, self.margin
        return (
            *(left - columns, top - rows),
            *(right - left + 2 * columns, bottom - top + 2 * rows),
        )

    @property
    def whole(self) -> bool:
        """Whether the network's map covers the picture, no less and no more."""
        fills = self.inner is None and self.margin == (0, 0)
        return fills and self.box == (0, self.size[0], 0, self.size[1])


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
        batch, inner = self._resample(np.moveaxis(pixels, 2, 0)), None
        if self.spec.resize == "letterbox":
            batch, inner = self._letterbox(batch)
        batch *= self._gain
        batch += self._offset
        arrays = {"image": batch[None]}
        alone = Prepared(arrays=arrays, image=image, box=box, margin=margin, inner=inner)
        if self.inputs == ("image",):
            return alone
        others = {name: _MAKERS[name](alone) for name in self.inputs if name != "image"}
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
        filled = np.full((3, rows, columns), self.spec.letterbox_level, np.float32)
        filled[:, top : top + height, left : left + width] = planes
        return filled, (top, top + height, left, left + width)

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
                continue
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


def _camera_of(prepared: Prepared) -> Camera:
    camera = prepared.input_camera
    if camera is None:
        raise InputError(
            f"{prepared.image.name or 'the picture'}: this network needs to know the lens, and "
            "nothing says it. Give its field of view (--fov DEGREES; in Python "
            "Image(pixels=..., camera=...)), or a picture whose EXIF says it."
        )
    return camera


def _make_intrinsics(prepared: Prepared) -> np.ndarray:
    return _camera_of(prepared).matrix[None].astype(np.float32)  # (1, 3, 3)


def _make_focal(prepared: Prepared) -> np.ndarray:
    return np.array([_camera_of(prepared).fx], np.float32)  # (1,)


def _make_prompt(prepared: Prepared) -> np.ndarray:
    """The whole prompt: the network resizes it itself."""
    prompt = prepared.image.prompt_depth
    if prompt is not None and not (np.isfinite(prompt).all() and (prompt > 0).all()):
        unknown = 1 - float((np.isfinite(prompt) & (prompt > 0)).mean())
        raise InputError(
            f"{prepared.image.name or 'the picture'}: its depth prompt says nothing at "
            f"{unknown:.0%} of its pixels, and this network takes a 0 for the nearest depth; fill "
            "the holes first, or give a coarser prompt without any."
        )
    if prompt is None:
        raise InputError(
            f"{prepared.image.name or 'the picture'}: this network needs sparse or coarse depth "
            "beside the picture; give a depth file with --prompt-depth FILE (in Python "
            "Image(pixels=..., prompt_depth=metres))."
        )
    if not prepared.whole:
        raise InputError(
            "a depth prompt goes with the whole picture; use a policy without 'pad', and no tiles."
        )
    return prompt[None].astype(np.float32)  # (1, h', w')


_MAKERS: Mapping[str, Callable[[Prepared], np.ndarray]] = {
    "intrinsics": _make_intrinsics,
    "focal_px": _make_focal,
    "prompt_depth": _make_prompt,
}
"""How each input but the picture is made of it."""


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
    if len({item.shapes for item in prepared}) != 1:
        sizes = sorted({item.input_size for item in prepared})
        raise InputError(
            f"{len(prepared)} prepared pictures of input sizes {sizes}: a batch needs one size, "
            "also of depth prompts; group pictures by Prepared.shapes."
        )
    names = prepared[0].arrays
    return {name: np.concatenate([item.arrays[name] for item in prepared]) for name in names}


def mirror_inputs(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the network gets for the pictures mirrored left to right."""
    mirrored = dict(arrays)
    for name in ("image", "prompt_depth"):
        if name in arrays:
            mirrored[name] = arrays[name][..., ::-1]
    if "intrinsics" in arrays:
        mirrored["intrinsics"] = arrays["intrinsics"].copy()
        mirrored["intrinsics"][..., 0, 2] = (
            arrays["image"].shape[-1] - 1 - (arrays["intrinsics"][..., 0, 2])
        )
    return mirrored


def average_mirrored(plain: np.ndarray, mirrored: np.ndarray, spec: OutputSpec) -> np.ndarray:
    """The mean of an output and of what the network gave for the mirrored pictures.

    Args:
        plain: (b, ...) of the pictures.
        mirrored: the same of the mirrored ones.
        spec: the output's; vectors that point left in the mirror point right.
    """
    if spec.mirror == "first":
        return plain
    if spec.mirror != "same":
        mirrored = mirrored[..., ::-1]
    if spec.mirror == "mirror_negate_x":
        mirrored = mirrored * np.array([-1, 1, 1], mirrored.dtype)[:, None, None]
    return (plain + mirrored) / 2


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
