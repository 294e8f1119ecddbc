"""Windows: a film of any length through a network that takes short clips.

Each window after the first sees some frames of the one before again: the film's first frame and a
distant one, to which its maps are aligned by one scale and one shift, and the last few, into which
they are cross-faded. Frames are read, and maps given, one after another: in memory are the inputs
of two windows and about ten maps at the pictures' size (four times that while a window is aligned),
however long the film is.

Source: Chen et al., Video Depth Anything: Consistent Depth Estimation for Super-Long Videos, CVPR
2025, section 3.3 (inference), and the constants of its published code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np

from leadline.alignment import scale_and_shift
from leadline.errors import InputError, KindError
from leadline.kinds import DepthKind
from leadline.preprocess import Preprocess
from leadline.resample import resize

if TYPE_CHECKING:
    from jaxtyping import Float

    from leadline.image import Image
    from leadline.spec import PreprocessSpec

ClipNetwork = Callable[[np.ndarray], np.ndarray]
"""(1, t, 3, h, w) float32 -> (1, t, h', w'); ``runtime.run({"image": clip})["depth"]`` is one."""

_ALIGNED = {
    DepthKind.METRIC_DEPTH: False,
    DepthKind.AFFINE_DEPTH: True,
    DepthKind.AFFINE_DISPARITY: True,
}
_WIDE, _BOUND = 1.78, 1.777  # aspects: from which on a picture is wide, and that it may cost


@dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """How a film is cut into windows and joined again.

    Attributes:
        length: frames of a window.
        keyframes: places in a window whose frames are the first of the next one, increasing. The
            first is 0 and the last ``blend`` end the window; those before are references.
        blend: frames that are cross-faded.

    Raises:
        InputError: numbers that do not fit together.
    """

    length: int = 32
    keyframes: tuple[int, ...] = (0, 12, 24, 25, 26, 27, 28, 29, 30, 31)
    blend: int = 8

    def __post_init__(self) -> None:
        ends = tuple(range(self.length - self.blend, self.length))
        before = self.keyframes[: self.references]
        if (
            not 0 < self.blend < self.overlap
            or self.keyframes[self.references :] != ends
            or list(before) != sorted({*before, 0})
            or before[-1] >= ends[0]
            or self.overlap + self.blend > self.length
        ):
            raise InputError(
                f"length={self.length}, keyframes={self.keyframes}, blend={self.blend}: increasing "
                "places are needed that begin with 0 and end with the last `blend` of the window, "
                "and at least `blend` frames of a window that are not keyframes."
            )

    @property
    def overlap(self) -> int:
        """Frames that a window has from the one before."""
        return len(self.keyframes)

    @property
    def references(self) -> int:
        """The first of them, to which a window is aligned."""
        return self.overlap - self.blend

    @property
    def step(self) -> int:
        """New frames of a window."""
        return self.length - self.overlap


VIDEO_DEPTH_ANYTHING = WindowPlan()
"""What the network's authors do."""


def predict_film(
    images: Iterable[Image],
    network: ClipNetwork,
    spec: PreprocessSpec,
    *,
    kind: DepthKind,
    plan: WindowPlan = VIDEO_DEPTH_ANYTHING,
) -> Iterator[Float[np.ndarray, "h w"]]:
    """Maps of a film's frames, at the frames' size and in their order.

    Frames are read up to ``plan.length`` ahead of the map that is given.

    Args:
        images: the film, upright, all of one size.
        network: takes clips of ``plan.length`` frames.
        spec: what the network wants; wide films get a smaller input, see :func:`adapt_size`.
        kind: what the maps mean; metric ones are cross-faded but not aligned.
        plan: the windows.

    Raises:
        InputError: no frames, frames of different sizes, or a network that gives something else.
        KindError: a kind that one scale and one shift do not keep.
    """
    if kind not in _ALIGNED:
        raise KindError(
            f"windows of {kind} maps cannot be joined: they are aligned by a scale and a shift. "
            f"{', '.join(_ALIGNED)} can; convert the network's maps first."
        )
    source = iter(images)
    first = next(source, None)
    if first is None:
        raise _no_frames()
    preprocess = Preprocess(adapt_size(spec, *first.size))
    restore = partial(
        resize,
        size=first.size,
        interpolation=spec.output_interpolation,
        align_corners=spec.output_align_corners,
    )
    frames = _prepare(chain([first], source), preprocess)
    yield from predict_windows(frames, network, restore, align=_ALIGNED[kind], plan=plan)


def adapt_size(spec: PreprocessSpec, height: int, width: int) -> PreprocessSpec:
    """The preprocessing for pictures of one shape: wide ones, and tall ones, get a smaller size.

    Above an aspect of 1.78 the short side falls with the aspect, so that a clip costs no more than
    one of 16:9.
    """
    aspect = max(height, width) / min(height, width)
    if aspect <= _WIDE:
        return spec
    multiple = spec.multiple_of
    sides = (multiple * round(int(side * _BOUND / aspect) / multiple) for side in spec.size)
    high, wide = (max(multiple, side) for side in sides)
    return replace(spec, size=(high, wide))


def predict_windows(
    frames: Iterable[Float[np.ndarray, "3 h w"]],
    network: ClipNetwork,
    restore: Callable[[np.ndarray], np.ndarray],
    *,
    align: bool,
    plan: WindowPlan = VIDEO_DEPTH_ANYTHING,
) -> Iterator[Float[np.ndarray, "H W"]]:
    """Maps of prepared frames, one each, in their order.

    Args:
        frames: what the network takes, all of one shape.
        network: see :data:`ClipNetwork`.
        restore: brings one map (h', w') to the size at which maps are aligned and given.
        align: bring each window to the scale and shift of those before.
        plan: the windows.

    Raises:
        InputError: no frames, frames of different shapes, or a network that gives something else.
    """
    given, count = 0, 0
    references: list[np.ndarray] = []
    held: list[np.ndarray] = []  # the last maps of a window, until the next is blended into them
    for window, count in _cut(frames, plan):
        clip = _Clip(_run(network, window), restore)
        if align and references:
            clip.align(references)
        own = range(plan.overlap if held else 0, plan.length - plan.blend)
        maps = chain(_cross_fade(held, clip, plan), (clip[place] for place in own))
        todo = min(count - given, len(held) + len(own))
        yield from islice(maps, todo)
        given += todo
        held = [clip[place] for place in range(plan.length - plan.blend, plan.length)]
        kept = references[:1]  # the film's first frame stays the reference for ever
        references = kept + [clip[place] for place in plan.keyframes[len(kept) : plan.references]]
    yield from held[: count - given]


def _prepare(images: Iterable[Image], preprocess: Preprocess) -> Iterator[np.ndarray]:
    """The network's inputs (3, h, w) of pictures that have one size."""
    size: tuple[int, int] | None = None
    for number, image in enumerate(images):
        size = size or image.size
        if image.size != size:
            raise InputError(
                f"frame {number} has {image.size[0]}x{image.size[1]} pixels (height x width) and "
                f"the first {size[0]}x{size[1]}; one size is needed. Resize the frames."
            )
        yield preprocess(image).arrays["image"][0]


def _cut(frames: Iterable[np.ndarray], plan: WindowPlan) -> Iterator[tuple[np.ndarray, int]]:
    """Windows (length, 3, h, w), each with the number of frames that the film has until its end.

    The last frame is repeated where the film is shorter. A film of n frames has ceil(n / step)
    windows.
    """
    source, count, start = iter(frames), 0, 0
    window: np.ndarray | None = None
    while True:
        wanted = plan.length if window is None else plan.step
        fresh = list(islice(source, wanted))
        if not fresh and window is None:
            raise _no_frames()
        found = len(fresh)
        fresh += [fresh[-1] if window is None or fresh else window[-1]] * (wanted - found)
        seen = [] if window is None else list(window[list(plan.keyframes)])
        shapes = {frame.shape for frame in (*seen, *fresh)}
        if len(shapes) != 1:
            raise InputError(f"frames of shapes {sorted(shapes)}; one shape is needed.")
        window = np.stack([*seen, *fresh])
        count, start = count + found, start + plan.step
        yield window, count
        if found < wanted and count <= start:
            return


def _no_frames() -> InputError:
    return InputError(
        "the film holds no frames; at least one is needed. Check the file, or where it starts."
    )


def _run(network: ClipNetwork, window: np.ndarray) -> np.ndarray:
    maps = np.asarray(network(window[None]), dtype=np.float32)
    if maps.ndim != 4 or maps.shape[:2] != (1, len(window)):
        raise InputError(
            f"the network gave an output of shape {maps.shape} for a clip of {len(window)} frames; "
            f"(1, {len(window)}, h, w) is needed. Is it a network for clips?"
        )
    return maps[0]


@dataclass
class _Clip:
    """Maps of one window; aligned ones at the pictures' size when they are asked for."""

    maps: np.ndarray
    restore: Callable[[np.ndarray], np.ndarray]
    scale: float = 1.0
    shift: float = 0.0

    def __getitem__(self, place: int) -> np.ndarray:
        values = self.restore(self.maps[place])
        return np.maximum(values * np.float32(self.scale) + np.float32(self.shift), 0)

    def align(self, references: Sequence[np.ndarray]) -> None:
        """Least squares from the first maps to the references, all their pixels together."""
        pred = np.concatenate([self.restore(self.maps[place]) for place in range(len(references))])
        target = np.concatenate(references)
        valid = np.isfinite(pred) & np.isfinite(target)
        scale, shift = scale_and_shift(pred, target, valid, singular="identity")
        self.scale, self.shift = float(scale), float(shift)


def _cross_fade(
    held: Sequence[np.ndarray], clip: _Clip, plan: WindowPlan
) -> Iterator[Float[np.ndarray, "H W"]]:
    """From the last maps of a window to the same frames' of the next."""
    weights = np.linspace(0, 1, plan.blend, dtype=np.float32)
    for place, (old, weight) in enumerate(zip(held, weights, strict=False), plan.references):
        yield (1 - weight) * old + weight * clip[place]
