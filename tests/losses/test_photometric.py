"""Monodepth2's loss: the original's numbers in five variants, and what its parts do."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402
from torch.autograd import gradcheck  # noqa: E402

from leadline.errors import InputError  # noqa: E402
from leadline.losses import (  # noqa: E402
    PhotometricConfig,
    PhotometricLoss,
    edge_aware_smoothness,
    monodepth2_loss,
    photometric_error,
    warp,
)
from leadline.ops import rigid_transform  # noqa: E402
from testing.goldens import Golden, load_golden  # noqa: E402

FRAMES = (-1, 1)
VARIANTS = {
    "default": {},
    "no_automask": {"automask": False},
    "avg": {"sources": "mean"},
    "no_ssim": {"ssim_weight": 0.0},
    "v1_multiscale": {"scale": "native"},
}


def transforms(golden: Golden) -> list[Tensor]:
    def vector(name: str, frame: int) -> Tensor:
        return torch.from_numpy(golden.arrays[f"in/{name}_{frame}"])[:, 0, 0]

    return [
        rigid_transform(vector("axisangle", f), vector("translation", f), inverse=f < 0)
        for f in FRAMES
    ]


def run(golden: Golden, scales: tuple[int, ...], **options: object) -> PhotometricLoss:
    """Our loss on the golden inputs, with the original's sampling and no noise."""
    arrays = {k: torch.from_numpy(v) for k, v in golden.arrays.items() if k.startswith("in/")}
    config = PhotometricConfig(tie_noise=0.0, align_corners=False, **options)
    return monodepth2_loss(
        [arrays[f"in/disp_{s}"][:, 0] for s in scales],
        [arrays[f"in/color_0_{s}"] for s in scales],
        [[arrays[f"in/color_{f}_{s}"] for s in scales] for f in FRAMES],
        arrays[f"in/K_{scales[0]}"],
        transforms(golden),
        config=config,
    )


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_equals_the_original(variant: str) -> None:
    golden = load_golden("md2_loss")
    found = run(golden, (0, 1, 2, 3), **VARIANTS[variant])
    assert golden.relative_error(f"{variant}/loss", found.total.numpy()) < 1e-4
    for scale, loss in enumerate(found.scales):
        assert golden.relative_error(f"{variant}/loss_{scale}", loss.numpy()) < 1e-4


def test_motion_warps_and_mask_equal_the_original() -> None:
    golden = load_golden("md2_loss")
    found = run(golden, (0, 1, 2, 3))
    for source, frame in enumerate(FRAMES):
        matrix = transforms(golden)[source]
        assert golden.relative_error(f"default/cam_T_cam_{frame}", matrix.numpy()) < 1e-5
        for scale in (0, 3):
            warped = found.warped[scale][source].numpy()
            assert golden.relative_error(f"default/color_{frame}_{scale}", warped) < 1e-4
        target = torch.from_numpy(golden.arrays["in/color_0_0"])
        error = photometric_error(found.warped[0][source], target)[:, None]
        assert golden.relative_error(f"default/reproj_{frame}_0", error.numpy()) < 1e-4
    for scale, moving in enumerate(found.moving):
        kept = golden.kept(f"default/identity_selection_{scale}", moving.numpy())
        assert (kept == golden.arrays[f"default/identity_selection_{scale}"].astype(bool)).all()


def test_coarse_scales_equal_the_original_without_the_full_file() -> None:
    """The native-scale variant's two coarsest scales: small enough to be committed."""
    golden = load_golden("md2_loss", extract=True)
    found = run(golden, (2, 3), scale="native", smoothness=1e-3 / 4)
    for scale, loss in zip((2, 3), found.scales, strict=True):
        assert golden.relative_error(f"v1_multiscale/loss_{scale}", loss.numpy()) < 1e-4


def test_normalised_smoothness_equals_the_original() -> None:
    golden = load_golden("md2_layers", extract=True)
    disparity = torch.from_numpy(golden.arrays["disp/disp"])[:, 0]
    smooth = edge_aware_smoothness(disparity, torch.from_numpy(golden.arrays["geom/img"]))
    assert golden.relative_error("smooth/out_mean_normalised", smooth.numpy()) < 1e-5


# --- what the parts do -----------------------------------------------------------------------


def scene(seed: int = 0) -> tuple[list[Tensor], list[Tensor], list[list[Tensor]], Tensor]:
    """Disparities, target and two sources at two scales, and intrinsics; double precision."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    disparities = [0.1 + 0.8 * draw(1, 8, 12), 0.1 + 0.8 * draw(1, 4, 6)]
    pictures = [[draw(1, 3, 8, 12), draw(1, 3, 4, 6)] for _ in range(3)]
    k = torch.eye(4, dtype=torch.float64)[None].clone()
    k[0, 0, 0], k[0, 1, 1], k[0, 0, 2], k[0, 1, 2] = 7.0, 9.0, 6.0, 4.0
    return disparities, pictures[0], pictures[1:], k


def still(count: int = 2) -> list[Tensor]:
    return [torch.eye(4, dtype=torch.float64)[None]] * count


def moved() -> list[Tensor]:
    step = torch.eye(4, dtype=torch.float64)[None].clone()
    step[0, 0, 3] = 0.03
    return [step, torch.linalg.inv(step)]


def test_standing_still_warps_onto_itself() -> None:
    _, target, _, k = scene()
    depth = torch.full((1, 8, 12), 3.0, dtype=torch.float64)
    torch.testing.assert_close(warp(target[0], depth, k, still()[0]), target[0], atol=1e-5, rtol=0)


def test_a_sidestep_moves_near_things_farther() -> None:
    ramp = torch.arange(12.0, dtype=torch.float64).expand(1, 1, 8, 12)
    _, _, _, k = scene()
    sideways = torch.eye(4, dtype=torch.float64)[None].clone()
    sideways[0, 0, 3] = 0.5
    shifts = []
    for depth in (2.0, 4.0):
        z = torch.full((1, 8, 12), depth, dtype=torch.float64)
        shifts.append((warp(ramp, z, k, sideways) - ramp)[0, 0, 4, 5].item())
    assert shifts == pytest.approx([7.0 * 0.5 / 2, 7.0 * 0.5 / 4], abs=1e-4)  # f b / Z


def test_a_pixel_that_one_source_explains_costs_nothing() -> None:
    disparities, target, sources, k = scene()
    sources[1] = target
    config = PhotometricConfig(smoothness=0.0, automask=False)
    lowest = monodepth2_loss(disparities, target, sources, k, still(), config=config)
    assert lowest.total < 1e-3
    config = PhotometricConfig(smoothness=0.0, automask=False, sources="mean")
    mean = monodepth2_loss(disparities, target, sources, k, still(), config=config)
    assert mean.total > 0.1


def test_automask_silences_what_stands_still() -> None:
    """When the unwarped source explains the frame, moving it can only be worse: no gradient."""
    disparities, target, _, k = scene()
    for d in disparities:
        d.requires_grad_()
    config = PhotometricConfig(smoothness=0.0, tie_noise=0.0)
    loss = monodepth2_loss(disparities, target, [target, target], k, moved(), config=config)
    loss.total.backward()
    assert not loss.moving[0].any()
    assert all(d.grad is not None and (d.grad == 0).all() for d in disparities)
    config = PhotometricConfig(smoothness=0.0, automask=False)
    loss = monodepth2_loss(disparities, target, [target, target], k, moved(), config=config)
    loss.total.backward()
    assert loss.moving[0].all()
    assert any((d.grad != 0).any() for d in disparities)


def test_shrinking_a_disparity_does_not_lower_its_smoothness() -> None:
    disparities, target, _, _ = scene()
    full = edge_aware_smoothness(disparities[0], target[0])
    small = edge_aware_smoothness(0.01 * disparities[0], target[0])
    torch.testing.assert_close(small, full, rtol=1e-3, atol=0)


@pytest.mark.parametrize("scale", ["full", "native"])
def test_gradients(scale: str) -> None:
    disparities, target, sources, k = scene()
    config = PhotometricConfig(scale=scale, automask=False, smoothness=0.1)

    def loss(fine: Tensor, coarse: Tensor, motion: Tensor) -> Tensor:
        a = rigid_transform(motion[:1], motion[1:2])
        b = rigid_transform(motion[2:3], motion[3:], inverse=True)
        return monodepth2_loss([fine, coarse], target, sources, k, [a, b], config=config).total

    motion = 0.02 * torch.randn(4, 3, dtype=torch.float64, generator=torch.manual_seed(1))
    inputs = (*disparities, motion)
    assert gradcheck(loss, tuple(x.requires_grad_() for x in inputs), atol=1e-4)


def test_pixels_that_do_not_count_do_not_teach() -> None:
    disparities, target, sources, k = scene()
    fine = disparities[0].requires_grad_()
    valid = torch.ones(1, 8, 12, dtype=torch.bool)
    valid[..., 6:] = False
    config = PhotometricConfig(smoothness=0.0, automask=False, ssim_weight=0.0)
    loss = monodepth2_loss([fine], target, sources, k, moved(), valid=valid, config=config)
    (gradient,) = torch.autograd.grad(loss.total, fine)
    assert (gradient[..., 6:] == 0).all()
    assert (gradient[..., :6] != 0).any()


def test_nothing_valid_gives_zero() -> None:
    disparities, target, sources, k = scene()
    for d in disparities:
        d.requires_grad_()
    valid = torch.zeros(1, 8, 12, dtype=torch.bool)
    config = PhotometricConfig(smoothness=0.0)
    loss = monodepth2_loss(disparities, target, sources, k, moved(), valid=valid, config=config)
    loss.total.backward()
    assert loss.total == 0
    assert all(d.grad is not None and (d.grad == 0).all() for d in disparities)


def test_arguments_that_do_not_agree_say_what_is_needed() -> None:
    disparities, target, sources, k = scene()
    with pytest.raises(InputError, match="one transform per source"):
        monodepth2_loss(disparities, target, sources, k, still(1))
    with pytest.raises(InputError, match="a picture for each disparity"):
        monodepth2_loss(disparities, target[:1], sources, k, still())
    with pytest.raises(InputError, match="'minimum' or 'mean'"):
        PhotometricConfig(sources="best")
    with pytest.raises(InputError, match="0 to 1"):
        PhotometricConfig(ssim_weight=1.5)
    with pytest.raises(InputError, match="min_depth <"):
        PhotometricConfig(min_depth=2.0, max_depth=1.0)
