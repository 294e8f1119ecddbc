"""Steady maps: less flicker, no ghosts, and a new start at a cut."""

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("cv2")

from leadline.errors import UnknownNameError
from leadline.kinds import DepthKind
from leadline.metrics import boundary_f1
from leadline.prediction import Prediction
from leadline.video import Range, RangeTracker, Stabiliser, Steady

SIZE = (120, 160)


def scene(shift: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A textured wall that pans by ``shift`` pixels, with a block before it; and its disparity."""
    rng = np.random.default_rng(seed)
    height, width = SIZE
    coarse = rng.integers(20, 200, (height // 4, width))
    wall = coarse.repeat(4, 0).repeat(4, 1)[:, shift + 40 : shift + 40 + width]
    near = np.tile(np.linspace(1, 3, width, dtype=np.float32), (height, 1))
    block = slice(40, 80), slice(30 + 2 * shift, 70 + 2 * shift)
    picture = wall.copy()
    picture[block] = rng.integers(0, 255, (20, 20)).repeat(2, 0).repeat(2, 1)
    near[block] = 6
    return np.repeat(picture.astype(np.uint8)[..., None], 3, axis=2), near


def shaky(near: np.ndarray, seed: int) -> np.ndarray:
    """What a network makes of it: another scale, shift and noise in every frame."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 0.15, (SIZE[0] // 4, SIZE[1] // 4)).repeat(4, 0).repeat(4, 1)
    return (near * rng.uniform(0.85, 1.15) + rng.uniform(-0.4, 0.4) + noise).astype(np.float32)


def run(
    mode: Steady, count: int = 16, *, moves: bool, kind: DepthKind = DepthKind.AFFINE_DISPARITY
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Steady maps, raw maps and truths of a film."""
    stabiliser = Stabiliser(mode)
    steady, raw, truth = [], [], []
    for number in range(count):
        pixels, near = scene(number if moves else 0)
        values = shaky(near, number)
        if not kind.larger_is_nearer:
            values = 1 / np.maximum(values, 0.2)
        prediction = Prediction(values=values, kind=kind)
        steady.append(stabiliser(prediction, pixels).values)
        raw.append(values)
        truth.append(near)
    return steady, raw, truth


def change(maps: list[np.ndarray]) -> float:
    """Mean change between neighbours over the mean distance from the median."""
    spread = np.mean([np.abs(m - np.median(m)).mean() for m in maps])
    return float(np.mean([np.abs(b - a).mean() for a, b in pairwise(maps)]) / spread)


def fitted(maps: list[np.ndarray], truths: list[np.ndarray]) -> list[np.ndarray]:
    """Each map brought to its truth by least squares, alone."""
    lines = [np.polyfit(m.ravel(), t.ravel(), 1) for m, t in zip(maps, truths, strict=True)]
    return [np.polyval(line, m) for line, m in zip(lines, maps, strict=True)]


def test_flicker_of_a_still_scene_falls() -> None:
    steady, raw, truth = run("flow", moves=False)
    stretched = [(m - m.min()) / np.ptp(m) for m in raw]
    assert change(steady) < change(stretched) / 5
    assert change(steady) < change(fitted(raw, truth)) / 2
    scaled, _, _ = run("scale", moves=False)
    assert change(steady) < change(scaled) < change(raw)


def test_metric_maps_keep_their_metres() -> None:
    steady, raw, _ = run("flow", moves=False, kind=DepthKind.METRIC_DEPTH)
    assert change(steady) < change(raw) / 3
    assert np.median(steady[-1]) == pytest.approx(np.median(np.stack(raw)), rel=0.1)


def test_a_moving_block_leaves_no_ghost() -> None:
    steady, raw, truth = run("flow", moves=True)

    def error(maps: list[np.ndarray]) -> float:
        fits = fitted(maps[6:], truth[6:])
        return float(np.mean([np.abs(m - t).mean() for m, t in zip(fits, truth[6:], strict=True)]))

    def edges(maps: list[np.ndarray]) -> float:
        fits = fitted(maps[6:], truth[6:])
        return float(
            np.mean([boundary_f1(m.clip(0.3), t) for m, t in zip(fits, truth[6:], strict=True)])
        )

    assert error(steady) < error(raw)
    assert edges(steady) > 0.98 * edges(raw)


def test_a_cut_begins_anew() -> None:
    stabiliser = Stabiliser("flow")
    cuts, last = [], None
    for number in range(8):
        pixels, near = scene(number % 4, seed=number // 4)
        if number >= 4:
            pixels, near = 255 - pixels[::-1] // 2, near[::-1] * 3
        prediction = Prediction(values=near, kind=DepthKind.AFFINE_DISPARITY)
        last = stabiliser(prediction, pixels).values if number == 4 else last
        if number != 4:
            stabiliser(prediction, pixels)
        cuts.append(stabiliser.cut)
    assert cuts == [True, False, False, False, True, False, False, False]
    assert last is not None
    np.testing.assert_array_equal(last, scene(0, seed=1)[1][::-1] * 3)


def test_going_on_from_a_state_is_the_same() -> None:
    frames = [(scene(n)[0], shaky(scene(n)[1], n)) for n in range(6)]
    kind = DepthKind.AFFINE_DISPARITY
    one = Stabiliser("flow")
    whole = [one(Prediction(values=v, kind=kind), p).values for p, v in frames]
    first, second = Stabiliser("flow"), Stabiliser("flow")
    for pixels, values in frames[:3]:
        first(Prediction(values=values, kind=kind), pixels)
    second.restore(first.state())
    rest = [second(Prediction(values=v, kind=kind), p).values for p, v in frames[3:]]
    for a, b in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(a, b)


def test_holes_stay_holes_and_spread_nowhere() -> None:
    stabiliser = Stabiliser("flow")
    for number in range(4):
        pixels, near = scene(0)
        near[:20] = np.nan
        values = np.where(np.isfinite(near), shaky(near, number), np.nan)
        made = stabiliser(Prediction(values=values, kind=DepthKind.AFFINE_DISPARITY), pixels)
        assert not made.known[:20].any()
        assert made.known[20:].all()
        assert np.ptp(made.values[30:]) < 10


def test_ranges_follow_slowly_and_cuts_do_not_wait() -> None:
    tracker = RangeTracker()

    def flat(high: float) -> Prediction:
        values = np.linspace(0, high, 400, dtype=np.float32).reshape(20, 20)
        return Prediction(values=values, kind=DepthKind.AFFINE_DISPARITY)

    first = tracker(flat(10), cut=True).colors
    second = tracker(flat(20), cut=False).colors
    assert first[1] < second[1] < first[1] + 1
    assert tracker(flat(20), cut=True).colors[1] > 19
    fixed = Range(colors=(0, 1), codes=(0, 1))
    assert RangeTracker(fixed)(flat(5), cut=True) == fixed


def test_an_unknown_steadiness_is_named() -> None:
    with pytest.raises(UnknownNameError, match="scale"):
        Stabiliser("smooth")  # ty: ignore[invalid-argument-type]
