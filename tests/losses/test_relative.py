"""The losses for affine disparity: invariance, analytic values, gradients, empty masks."""

import pytest

torch = pytest.importorskip("torch")

from leadline.losses import (  # noqa: E402
    affine_normalize,
    multi_scale_gradient,
    scale_shift_invariant_mae,
)


@pytest.fixture
def maps():
    generator = torch.Generator().manual_seed(0)
    pred = torch.rand(2, 12, 16, generator=generator, dtype=torch.float64)
    target = torch.rand(2, 12, 16, generator=generator, dtype=torch.float64)
    valid = torch.rand(2, 12, 16, generator=generator) > 0.3
    return pred, target, valid


def test_normalised_map_has_zero_median_and_unit_deviation(maps):
    pred, _, valid = maps
    normal = affine_normalize(pred, valid)
    for one, mask in zip(normal, valid, strict=True):
        assert one[mask].median().abs() < 1e-12
        assert one[mask].abs().mean() == pytest.approx(1.0)


def test_invalid_pixels_do_not_shape_the_statistics(maps):
    pred, _, valid = maps
    spoiled = torch.where(valid, pred, torch.full_like(pred, 1e6))
    assert torch.equal(
        affine_normalize(pred, valid)[valid], affine_normalize(spoiled, valid)[valid]
    )


def test_loss_ignores_scale_and_shift_but_not_sign(maps):
    pred, target, valid = maps
    loss = scale_shift_invariant_mae(pred, target, valid)
    assert scale_shift_invariant_mae(3 * pred + 7, target, valid) == pytest.approx(loss.item())
    assert scale_shift_invariant_mae(target * 0.5 - 2, target, valid) < 1e-12
    assert scale_shift_invariant_mae(-target, target, valid) > 0.5


def test_gradient_loss_of_a_known_step():
    target = torch.zeros(1, 4, 8)
    pred = target.clone()
    pred[:, :, 4:] = 1.0  # one step of height 1 between columns 3 and 4, in all 4 rows
    valid = torch.ones(1, 4, 8, dtype=torch.bool)
    assert multi_scale_gradient(pred, target, valid, scales=1) == pytest.approx(4 / 32)
    assert multi_scale_gradient(pred + 5, target, valid, scales=1) == pytest.approx(4 / 32)
    two = multi_scale_gradient(pred, target, valid, scales=2)
    assert two == pytest.approx(4 / 32 + 2 / 8)  # at every 2nd pixel: 2 rows of 4


@pytest.mark.parametrize("loss", [scale_shift_invariant_mae, multi_scale_gradient])
def test_nothing_valid_gives_zero_and_finite_gradients(maps, loss):
    pred, target, _ = maps
    pred = pred.requires_grad_()
    value = loss(pred, target, torch.zeros_like(pred, dtype=torch.bool))
    value.backward()
    assert value.item() == 0
    assert pred.grad is not None
    assert pred.grad.isfinite().all()


@pytest.mark.parametrize("loss", [scale_shift_invariant_mae, multi_scale_gradient])
def test_gradients_agree_with_differences(maps, loss):
    pred, target, valid = maps
    pred = pred[:1, :5, :6].clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p: loss(p, target[:1, :5, :6], valid[:1, :5, :6]), (pred,), eps=1e-7, atol=1e-4
    )
