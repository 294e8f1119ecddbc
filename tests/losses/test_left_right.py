"""Monodepth's loss: the original's numbers, and the released code's missing rows."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402
from torch.autograd import gradcheck  # noqa: E402

from leadline.errors import InputError  # noqa: E402
from leadline.losses import (  # noqa: E402
    LeftRightConfig,
    appearance,
    area_pyramid,
    monodepth_loss,
)
from leadline.ops import edge_aware_gradients, sample_along_rows  # noqa: E402
from testing.goldens import Golden, load_golden  # noqa: E402


def picture(golden: Golden, key: str) -> Tensor:
    return torch.from_numpy(golden.arrays[key]).permute(0, 3, 1, 2)


def disparities(golden: Golden, scales: tuple[int, ...]) -> tuple[list[Tensor], list[Tensor]]:
    both = [torch.from_numpy(golden.arrays[f"disp{s}"]) for s in scales]
    return [d[..., 0] for d in both], [d[..., 1] for d in both]


def test_total_equals_the_original() -> None:
    golden = load_golden("monodepth_ops")
    found = monodepth_loss(
        *disparities(golden, (0, 1, 2, 3)),
        picture(golden, "left"),
        picture(golden, "right"),
        config=LeftRightConfig(smoothness_axes="x"),
    )
    names = ("total_loss", "image_loss", "disp_gradient_loss", "lr_loss")
    for name, value in zip(names, found, strict=True):
        assert golden.relative_error(f"loss/{name}", value.numpy()) < 1e-4


@pytest.mark.parametrize("extract", [True, False], ids=["extract", "full"])
@pytest.mark.parametrize("scale", [2, 3])
def test_terms_of_one_scale_equal_the_original(scale: int, extract: bool) -> None:
    golden = load_golden("monodepth_ops", extract=extract)
    left, right = picture(golden, f"left_pyramid{scale}"), picture(golden, f"right_pyramid{scale}")
    (d_left,), (d_right,) = disparities(golden, (scale,))
    found = monodepth_loss(
        [d_left], [d_right], left, right, config=LeftRightConfig(smoothness_axes="x")
    )
    both = golden.arrays

    def pair(name: str) -> float:
        kinds = [name.format(eye) for eye in ("left", "right")]
        return sum(float(both[f"loss/{kind}{scale}"]) for kind in kinds)

    assert found.appearance.item() == pytest.approx(pair("image_loss_{}"), rel=1e-4)
    assert found.consistency.item() == pytest.approx(pair("lr_{}_loss"), rel=1e-4)
    expected = pair("disp_{}_loss") * 2**scale  # theirs is already halved per scale
    assert found.smoothness.item() == pytest.approx(expected, rel=1e-4)
    view = sample_along_rows(right, -d_left)
    for weight, name in ((0.0, "l1_reconstruction_loss_left"), (1.0, "ssim_loss_left")):
        value = appearance(view, left, ssim_weight=weight)
        assert golden.relative_error(f"loss/{name}{scale}", value.numpy()) < 1e-4


def test_pyramid_equals_tensorflows_area_resize() -> None:
    golden = load_golden("monodepth_ops")
    for scale, level in enumerate(area_pyramid(picture(golden, "left"))):
        if scale:
            found = level.permute(0, 2, 3, 1).numpy()
            assert golden.relative_error(f"left_pyramid{scale}", found) < 1e-4


def test_smoothness_maps_equal_the_original_in_x_and_in_y() -> None:
    """Their list holds four maps of x and then four of y; the released loss reads the first four.

    Theirs keep the sign of the step.
    """
    golden = load_golden("monodepth_ops")
    lefts, _ = disparities(golden, (0, 1, 2, 3))
    pyramid = area_pyramid(picture(golden, "left"))
    for scale in range(4):
        maps = edge_aware_gradients(lefts[scale], pyramid[scale])
        for key, ours in zip((scale, scale + 4), maps, strict=True):
            theirs = torch.from_numpy(golden.arrays[f"smoothness_left{key}"])[..., 0].abs()
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def pair(
    seed: int = 0, h: int = 4, w: int = 8
) -> tuple[list[Tensor], list[Tensor], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    left = [0.05 + 0.2 * draw(1, h, w)]
    right = [0.05 + 0.2 * draw(1, h, w)]
    return left, right, draw(1, 3, h, w), draw(1, 3, h, w)


def test_the_paper_smooths_rows_too() -> None:
    left, right, *pictures = pair()
    striped = [torch.arange(4).double()[None, :, None].expand(1, 4, 8) * 0.05]  # changes down only
    paper = monodepth_loss(striped, striped, *pictures)
    released = monodepth_loss(
        striped, striped, *pictures, config=LeftRightConfig(smoothness_axes="x")
    )
    assert released.smoothness == 0
    assert paper.smoothness > 0
    assert monodepth_loss(left, right, *pictures).smoothness > 0


def test_the_right_disparity_explains_the_pictures() -> None:
    """Two eyes on a flat wall: the true disparity costs less than any other."""
    torch.manual_seed(0)
    wall = torch.rand(1, 3, 16, 40, dtype=torch.float64)
    left, right = wall[..., :32], wall[..., 4:36]  # the right eye sees 4 pixels farther right

    def cost(d: float) -> float:
        maps = [torch.full((1, 16, 32), d, dtype=torch.float64)]
        return monodepth_loss(maps, maps, left, right).appearance.item()

    # A left point x is at x - 4 in the right picture: d = 4 / 32.
    true = cost(4 / 32)
    assert true < min(cost(d / 32) for d in (0.5, 2, 3, 5, 6, 8))


def test_eyes_that_agree_are_consistent() -> None:
    flat = [torch.full((1, 4, 64), 0.02, dtype=torch.float64)]
    sloped = [torch.linspace(0.02, 0.2, 64, dtype=torch.float64).expand(1, 4, 64)]
    pictures = [torch.rand(1, 3, 4, 64, dtype=torch.float64) for _ in range(2)]
    agree = monodepth_loss(flat, flat, *pictures).consistency
    assert monodepth_loss(flat, sloped, *pictures).consistency > 4 * agree


def test_gradients() -> None:
    left, right, *pictures = pair()
    assert gradcheck(
        lambda a, b: monodepth_loss([a], [b], *pictures).total,
        (left[0].requires_grad_(), right[0].requires_grad_()),
    )


def test_arguments_that_do_not_agree_say_what_is_needed() -> None:
    left, _, *pictures = pair()
    with pytest.raises(InputError, match="same scales"):
        monodepth_loss(left, [], *pictures)
    with pytest.raises(InputError, match="'xy' or 'x'"):
        LeftRightConfig(smoothness_axes="y")
    with pytest.raises(InputError, match="0 to 1"):
        LeftRightConfig(ssim_weight=-1.0)


def test_pictures_too_small_for_the_scales_are_refused() -> None:
    small = torch.rand(1, 3, 16, 64)
    maps = [torch.full((1, 16 >> s, 64 >> s), 0.1) for s in range(4)]
    with pytest.raises(InputError, match="sides of 24 or more are needed"):
        monodepth_loss(maps, maps, small, small)
    assert torch.isfinite(monodepth_loss(maps[:3], maps[:3], small, small).total)
