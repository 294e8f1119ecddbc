"""Depth of field and fog."""

import numpy as np
import pytest

from leadline.effects import add_fog, nearness_share, refocus
from leadline.errors import InputError
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import Prediction


def two_halves(kind: DepthKind = DepthKind.SCALED_DISPARITY) -> Prediction:
    """Near stripes on the left, far ones on the right."""
    stripes = np.where(np.arange(200) % 4 < 2, 40, 220).astype(np.uint8)
    pixels = np.broadcast_to(stripes[None, :, None], (80, 200, 3)).copy()
    values = np.where(np.arange(200) < 100, 1.0, 0.1) * np.ones((80, 1))
    if not kind.larger_is_nearer:
        values = 1 / values
    return Prediction(values=values, kind=kind, image=Image(pixels=pixels))


def contrast(pixels: np.ndarray, columns: slice) -> float:
    return float(pixels[20:60, columns].std())


def test_the_focus_is_sharp_and_the_rest_is_not() -> None:
    scene = two_halves()
    before = contrast(scene.image.pixels, slice(20, 80))
    near = refocus(scene, (30, 40), aperture=3)
    far = refocus(scene, (170, 40), aperture=3)
    assert contrast(near, slice(20, 80)) > 0.9 * before
    assert contrast(near, slice(120, 180)) < 0.2 * before
    assert contrast(far, slice(120, 180)) > 0.9 * before
    assert contrast(far, slice(20, 80)) < 0.2 * before


def test_a_sharp_outline_is_not_smeared_by_what_is_behind() -> None:
    scene = two_halves()
    pixels = scene.image.pixels.copy()
    pixels[:, :100], pixels[:, 100:] = 30, 230
    scene = Prediction(values=scene.values, kind=scene.kind, image=Image(pixels=pixels))
    sharp = refocus(scene, (30, 40), aperture=3)
    assert np.abs(sharp[40, :100].astype(int) - 30).max() <= 2
    spilled = refocus(scene, (170, 40), aperture=3)  # the near half is soft and spills
    assert spilled[40, 101].max() < 225


def test_even_light_stays_as_it_is() -> None:
    scene = two_halves()
    flat = np.full((80, 200, 3), 77, np.uint8)
    scene = Prediction(values=scene.values, kind=scene.kind, image=Image(pixels=flat))
    assert np.abs(refocus(scene, (3, 3), aperture=2).astype(int) - 77).max() <= 1


def test_fog_is_thicker_with_distance() -> None:
    white = (255, 255, 255)
    values = np.linspace(1, 10, 200) * np.ones((80, 1))
    black = Image(pixels=np.zeros((80, 200, 3), np.uint8))
    depth = Prediction(values=values, kind=DepthKind.METRIC_DEPTH, image=black)
    fogged = add_fog(depth, 0.75, color=white)[40, :, 0].astype(float)
    assert (np.diff(fogged) >= 0).all()
    assert fogged[-1] == pytest.approx(0.75 * 255, abs=1)
    half = np.searchsorted(values[0], 0.5 * np.percentile(values, 98))
    assert fogged[half] == pytest.approx((1 - 0.25**0.5) * 255, abs=3)  # as the air does
    affine = two_halves(DepthKind.AFFINE_DISPARITY)
    change = np.abs(add_fog(affine, 0.75).astype(int) - affine.image.pixels)
    assert change[:, :100].max() <= 1
    assert change[:, 100:].max() > 50


def test_pixels_without_a_value_are_farthest() -> None:
    values = np.array([[1.0, 2.0, np.nan]])
    share = nearness_share(Prediction(values=values, kind=DepthKind.AFFINE_DISPARITY))
    assert share[0, 2] == 0
    assert share[0, 1] == 1


@pytest.mark.parametrize("strength", [0, 1, -1, float("nan")])
def test_a_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(InputError, match="above 0 and below 1"):
        add_fog(two_halves(), strength)
