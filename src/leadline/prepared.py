"""Prepared: a picture at a network's size, with what else the network asks for.

Also batches of several, and what mirroring them does to inputs and outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.errors import InputError

if TYPE_CHECKING:
    from leadline.camera import Camera
    from leadline.image import Image
    from leadline.spec import OutputSpec


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """One picture at the network's size.

    Attributes:
        arrays: by input name, see :data:`~leadline.spec.InputName`; ``image`` is (1, 3, h, w)
            float32.
        image: the picture that it was made from.
        box: (top, bottom, left, right) of the part of it that the network sees.
        margin: (rows, columns) that were added on each side; see
            :func:`leadline.preprocess.reflect_margin`.
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


MAKERS: Mapping[str, Callable[[Prepared], np.ndarray]] = {
    "intrinsics": _make_intrinsics,
    "focal_px": _make_focal,
    "prompt_depth": _make_prompt,
}
"""How each input but the picture is made of it."""


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
