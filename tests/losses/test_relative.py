"""The losses for affine disparity: invariance, analytic values, gradients, empty masks."""

import functools

import pytest

torch = pytest.importorskip("torch")

from leadline.errors import InputError  # noqa: E402
from leadline.losses import (  # noqa: E402
    affine_normalize,
    align,
    multi_scale_gradient,
    scale_shift_invariant,
    scale_shift_invariant_mae,
    trimmed_mae,
)
from testing.goldens import load_golden  # noqa: E402


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


LOSSES = [
    scale_shift_invariant_mae,
    multi_scale_gradient,
    trimmed_mae,
    functools.partial(scale_shift_invariant, gradient=0.5),
    functools.partial(scale_shift_invariant, reduction="image"),
    functools.partial(scale_shift_invariant, power=1),
]


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_valid_gives_zero_and_finite_gradients(maps, loss):
    pred, target, _ = maps
    pred = pred.requires_grad_()
    value = loss(pred, target, torch.zeros_like(pred, dtype=torch.bool))
    value.backward()
    assert value.item() == 0
    assert pred.grad is not None
    assert pred.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_agree_with_differences(maps, loss):
    pred, target, valid = maps
    pred = pred[:1, :5, :6].clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p: loss(p, target[:1, :5, :6], valid[:1, :5, :6]), (pred,), eps=1e-7, atol=1e-4
    )


def test_trimming_leaves_the_largest_residuals_out(maps):
    _, target, valid = maps
    pred = target.clone()
    places = valid.nonzero()[::9]  # a ninth of the valid pixels is wrong
    pred[tuple(places.T)] += 0.8
    assert trimmed_mae(pred, target, valid, trim=0) > 2 * trimmed_mae(pred, target, valid)
    plain = scale_shift_invariant_mae(pred, target, valid)
    assert trimmed_mae(pred, target, valid, trim=0).item() == pytest.approx(plain.item() / 2)


def test_trimming_is_per_picture_and_by_definition(maps):
    pred, target, valid = maps
    total = 0.0
    for p, t, m in zip(pred, target, valid, strict=True):
        residual = (affine_normalize(p[None], m[None]) - affine_normalize(t[None], m[None])).abs()
        kept = residual[0][m].sort().values[: round(0.8 * int(m.sum()))]
        total += kept.sum().item()
    expected = total / (2 * int(valid.sum()))
    assert trimmed_mae(pred, target, valid).item() == pytest.approx(expected)
    with pytest.raises(InputError, match="share"):
        trimmed_mae(pred, target, valid, trim=1.0)


def test_alignment_is_the_least_squares_one(maps):
    pred, target, valid = maps
    assert scale_shift_invariant(3 * target - 1, target, valid) < 1e-20
    better = scale_shift_invariant(pred, target, valid)
    residual = (align(pred, target, valid) - target)[valid]
    assert better.item() == pytest.approx(residual.square().mean().item() / 2)
    with pytest.raises(InputError, match="'batch' or 'image'"):
        scale_shift_invariant(pred, target, valid, reduction="pixel")
    with pytest.raises(InputError, match="power=3"):
        scale_shift_invariant(pred, target, valid, power=3)


@pytest.mark.parametrize("extract", [True, False])
def test_values_and_gradients_equal_the_originals(extract):
    golden = load_golden("losses", extract=extract)
    rel, target = (torch.from_numpy(golden.arrays[f"in/{k}"])[:, 0] for k in ("rel", "inv_gt"))
    valid = torch.from_numpy(golden.arrays["in/mask"])[:, 0]
    cases = {"zoe_SSI_L1": functools.partial(scale_shift_invariant, power=1)}
    for reduction in ("batch", "image"):
        for n in (1, 4):
            kind = {"scales": n, "reduction": reduction}
            cases[f"midas/grad_{reduction}-based_s{n}"] = functools.partial(
                multi_scale_gradient, **kind
            )
            cases[f"midas/ssi_{reduction}-based_a0.5_s{n}"] = functools.partial(
                scale_shift_invariant, gradient=0.5, **kind
            )
    for name, loss in cases.items():
        for prefix, dtype in (("", torch.float32), ("f64/", torch.float64)):
            pred = rel.to(dtype).clone().requires_grad_()
            value = loss(pred, target.to(dtype), valid)
            value.backward()
            assert value.item() == pytest.approx(float(golden.arrays[prefix + name]), rel=2e-6)
            grad = pred.grad[:, None] if name.startswith("zoe") else pred.grad
            assert golden.relative_error(f"grad/{name}", grad.numpy()) < 1e-5, name
    aligned = align(rel, target, valid)
    assert golden.relative_error("midas/prediction_ssi", aligned.numpy()) < 1e-5
