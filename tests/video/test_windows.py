"""Windows of a film: the original's choice of frames, its alignment, its cross-fades."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.errors import InputError, KindError
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.preprocess import Preprocess
from leadline.spec import PreprocessSpec
from leadline.video import WindowPlan, adapt_size, predict_film, predict_windows
from testing.goldens import Golden, load_golden

SPEC = PreprocessSpec(size=(518, 518), multiple_of=14, output_align_corners=True, max_aspect=None)
CASES = ("n60", "n60_metric", "n33", "n22", "n1", "n80", "resize", "wide")
SMALL = WindowPlan(length=8, keyframes=(0, 3, 6, 7), blend=2)


class Toy:
    """The network of the golden file: another scale and shift in every window."""

    def __init__(self) -> None:
        self.clips: list[np.ndarray] = []

    def __call__(self, clip: np.ndarray) -> np.ndarray:
        k = len(self.clips)
        self.clips.append(clip)
        y = 0.2 * clip[:, :, 0] + 0.5 * clip[:, :, 1] + 0.3 * clip[:, :, 2] + 3
        return np.maximum(y * (1 + 0.3 * k) - 0.4 * k, 0)


def film(rng: np.random.Generator, n: int, h: int, w: int) -> list[Image]:
    """The golden files' frames: noise that grows brighter."""
    noise = rng.integers(0, 256, (n, h, w, 3), dtype=np.uint8)
    ramp = np.linspace(0, 170, n)[:, None, None, None]
    frames = (noise.astype(np.float32) * 0.3 + ramp).astype(np.uint8)
    return [Image(pixels=pixels) for pixels in frames]


def check_case(golden: Golden, case: str) -> None:
    made, toy = golden.cases[case], Toy()
    rng = np.random.Generator(np.random.PCG64(made["seed"]))
    images = film(rng, made["N"], made["h"], made["w"])
    assert sum(int(image.pixels.sum()) for image in images) == made["frames_checksum"]
    kind = DepthKind.METRIC_DEPTH if made["metric"] else DepthKind.AFFINE_DISPARITY
    spec = replace(SPEC, size=(made["input_size"], made["input_size"]))
    depth = np.stack(list(predict_film(images, toy, spec, kind=kind)))
    assert [list(clip.shape) for clip in toy.clips] == [made["network_input"]] * made["windows"]
    picks = np.array([clip[0, :, 0, 0, 0] for clip in toy.clips])
    np.testing.assert_allclose(picks, golden.arrays[f"{case}/picks"], atol=2e-6)
    assert golden.relative_error(f"{case}/out", depth) < 5e-6


@pytest.mark.parametrize("case", CASES)
def test_a_film_equals_the_originals_extract(case: str) -> None:
    check_case(load_golden("vda_align", extract=True), case)


@pytest.mark.parametrize("case", CASES)
def test_a_film_equals_the_originals(case: str) -> None:
    check_case(load_golden("vda_align"), case)


@pytest.fixture(scope="module")
def network() -> Callable[[np.ndarray], np.ndarray]:
    """The golden file's own network."""
    torch = pytest.importorskip("torch")
    from leadline import models

    with torch.device("meta"):
        module = models.build("video-depth-anything-vits")
    models.load_weights(module, load_golden("vda_vits", extract=True).weights(module, "vits"))

    def predict(clip: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(clip)).numpy()

    return predict


@pytest.mark.parametrize("case", ["offline40", "offline40_metric"])
def test_a_film_through_the_network_equals_the_originals(
    case: str, network: Callable[[np.ndarray], np.ndarray]
) -> None:
    golden = load_golden("vda_vits", extract=True)
    rng = np.random.Generator(np.random.PCG64(405))
    rng.integers(0, 256, (48, 28, 42, 3), dtype=np.uint8)  # the frames of the file's stream
    images = film(rng, 40, 28, 42)
    kind = DepthKind.METRIC_DEPTH if case.endswith("metric") else DepthKind.AFFINE_DISPARITY
    depth = predict_film(images, network, replace(SPEC, size=(28, 28)), kind=kind)
    assert golden.relative_error(f"{case}/output", np.stack(list(depth))) < 1e-5


# --- alignment -----------------------------------------------------------------------------------


def numbered(n: int) -> list[np.ndarray]:
    """Frames (3, 4, 5) that differ from each other and over each."""
    return [np.random.default_rng(i).random((3, 4, 5), np.float32) + i % 7 for i in range(n)]


def unchanged(values: np.ndarray) -> np.ndarray:
    return values


def drifting(gains: Callable[[int], tuple[float, float]]) -> Callable[[np.ndarray], np.ndarray]:
    """A network whose answer for window k has its own scale and shift."""
    windows = count()

    def network(clip: np.ndarray) -> np.ndarray:
        scale, shift = gains(next(windows))
        return scale * clip[:, :, 0] + shift

    return network


@settings(max_examples=25)
@given(n=st.integers(1, 60), seed=st.integers(0, 1000))
def test_drift_between_windows_goes_away(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = drifting(lambda k: (rng.uniform(0.5, 2), rng.uniform(0, 1)) if k else (1.0, 0.0))
    frames = numbered(n)
    depth = list(predict_windows(frames, network, unchanged, align=True, plan=SMALL))
    assert len(depth) == n
    np.testing.assert_allclose(depth, [frame[0] for frame in frames], atol=1e-4)


def test_metric_maps_are_cross_faded_and_not_aligned() -> None:
    frames = numbered(13)
    network = drifting(lambda k: (1.0, 10.0 * k))
    plan = WindowPlan(length=10, keyframes=(0, 4, 7, 8, 9), blend=3)
    depth = list(predict_windows(frames, network, unchanged, align=False, plan=plan))
    added = [float((a - b[0]).mean()) for a, b in zip(depth, frames, strict=True)]
    np.testing.assert_allclose(added, [0] * 8 + [5] + [10] * 4, atol=1e-4)


def test_maps_without_contrast_are_left_alone() -> None:
    """No scale can be fitted; scale 1 and shift 0 are taken, and not the references' mean."""
    network = drifting(lambda k: (0.0, 1.0 + k))
    depth = list(predict_windows(numbered(12), network, unchanged, align=True, plan=SMALL))
    np.testing.assert_array_equal([values.mean() for values in depth], [1] * 7 + [2] * 4 + [3])


def test_aligned_maps_are_never_negative_and_holes_do_not_count() -> None:
    frames = numbered(12)
    frames[0][0, 0, 0] = np.nan  # in a reference of every window

    def network(clip: np.ndarray) -> np.ndarray:
        return np.maximum(clip[:, :, 0] - 1, 0)

    depth = list(predict_windows(frames, network, unchanged, align=True, plan=SMALL))
    assert np.isnan(depth[0][0, 0])
    rest = np.stack(depth[1:])
    assert rest.min() == 0
    expected = np.maximum([frame[0] - 1 for frame in frames[1:]], 0)
    np.testing.assert_allclose(rest, expected, atol=1e-5)


def test_references_are_the_films_first_frame_and_the_last_windows_middle_one() -> None:
    seen: list[np.ndarray] = []

    def network(clip: np.ndarray) -> np.ndarray:
        seen.append(clip[0, :, 0, 0, 0])
        return clip[:, :, 0]

    frames = [np.full((3, 1, 2), i, np.float32) for i in range(17)]
    list(predict_windows(frames, network, unchanged, align=True, plan=SMALL))
    expected = [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [0, 3, 6, 7, 8, 9, 10, 11],
        [0, 7, 10, 11, 12, 13, 14, 15],
        [0, 11, 14, 15, 16, 16, 16, 16],
        [0, 15, 16, 16, 16, 16, 16, 16],
    ]
    np.testing.assert_array_equal(seen, expected)


# --- streaming -----------------------------------------------------------------------------------


def test_maps_come_while_the_film_runs() -> None:
    """An endless film, of which no more is read than a window needs."""
    read = []

    def endless() -> Iterator[Image]:
        for number in count():
            read.append(number)
            yield Image(pixels=np.full((28, 28, 3), number % 256, np.uint8))

    spec = replace(SPEC, size=(28, 28))
    maps = predict_film(endless(), Toy(), spec, kind=DepthKind.AFFINE_DISPARITY)
    assert len(list(islice(maps, 24))) == 24
    assert len(read) == 32
    next(maps)
    assert len(read) == 54


# --- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("picture", "size", "given_size"),
    [
        ((480, 640), 518, (518, 686)),
        ((1080, 1920), 518, (518, 924)),
        ((1920, 1080), 518, (924, 518)),
        ((375, 1242), 280, (280, 924)),
        ((1242, 375), 280, (924, 280)),
        ((100, 1000), 98, (98, 980)),
        ((1, 3000), 14, (14, 42000)),
    ],
)
def test_wide_films_get_a_smaller_size(
    picture: tuple[int, int], size: int, given_size: tuple[int, int]
) -> None:
    spec = adapt_size(SPEC, *picture)
    assert spec == replace(SPEC, size=(size, size))
    assert Preprocess(spec).input_size(*picture) == given_size


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"blend": 0},
        {"blend": 10},
        {"keyframes": (0, 12, 24, 25)},
        {"keyframes": (1, 12, 24, 25, 26, 27, 28, 29, 30, 31)},
        {"keyframes": (0, 24, 24, 25, 26, 27, 28, 29, 30, 31)},
        {"length": 8, "keyframes": (0, 3, 4, 5, 6, 7), "blend": 4},
    ],
)
def test_impossible_plans_are_refused(options: dict) -> None:
    with pytest.raises(InputError, match="begin with 0 and end with the last"):
        WindowPlan(**options)


def test_a_film_without_frames_is_refused() -> None:
    with pytest.raises(InputError, match="no frames"):
        list(predict_film([], Toy(), SPEC, kind=DepthKind.METRIC_DEPTH))
    with pytest.raises(InputError, match="no frames"):
        list(predict_windows([], Toy(), unchanged, align=False))


def test_frames_of_two_sizes_are_refused() -> None:
    images = [Image(pixels=np.zeros(shape, np.uint8)) for shape in ((28, 28, 3), (28, 42, 3))]
    spec = replace(SPEC, size=(28, 28))
    with pytest.raises(InputError, match=r"frame 1 has 28x42 pixels.*the first 28x28"):
        list(predict_film(images, Toy(), spec, kind=DepthKind.METRIC_DEPTH))
    frames = [np.zeros((3, 4, 4), np.float32), np.zeros((3, 4, 5), np.float32)]
    with pytest.raises(InputError, match="one shape is needed"):
        list(predict_windows(frames, Toy(), unchanged, align=False))


def test_a_network_for_pictures_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape \(1, 4, 5\).*network for clips"):
        list(predict_windows(numbered(3), lambda clip: clip[:, 0, 0], unchanged, align=False))


def test_kinds_that_a_shift_breaks_are_refused() -> None:
    images = [Image(pixels=np.zeros((28, 28, 3), np.uint8))]
    with pytest.raises(KindError, match="scaled_depth maps cannot be joined"):
        list(predict_film(images, Toy(), SPEC, kind=DepthKind.SCALED_DEPTH))
