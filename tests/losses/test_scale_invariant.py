"""Scale-invariant log error: the published codes' numbers, and what the equation promises."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402
from torch.autograd import gradcheck  # noqa: E402

from leadline.errors import InputError  # noqa: E402
from leadline.losses import (  # noqa: E402
    masked_l1,
    scale_invariant_log,
    scale_invariant_log_root,
)
from testing.goldens import load_golden  # noqa: E402

VARIANTS = {
    "zoe_SILogLoss": {"unbiased": True},
    "zoe_SILogLoss_beta0.5": {"unbiased": True, "lam": 0.5},
    "zoe_SILogLoss_low": {"unbiased": True},
    "zoe_SILogLoss_nomask": {"unbiased": True},
    "da2_SiLogLoss": {"lam": 0.5, "factor": 1.0},
    "da2_SiLogLoss_0.85": {"factor": 1.0},
    "bts_silog_0.85": {},
    "bts_silog_0.5": {"lam": 0.5},
}


@pytest.mark.parametrize("extract", [True, False], ids=["extract", "full"])
@pytest.mark.parametrize("name", list(VARIANTS))
def test_equals_the_published_code(name: str, extract: bool) -> None:
    golden = load_golden("losses", extract=extract)
    pred, target, valid = (
        torch.from_numpy(golden.arrays[f"in/{k}"])[:, 0] for k in ("pred", "gt", "mask")
    )
    pred.requires_grad_()
    shown = pred
    if name.endswith("_low"):
        low = torch.from_numpy(golden.arrays["in/pred_low"])
        size = target.shape[1:]
        shown = torch.nn.functional.interpolate(low, size, mode="bilinear", align_corners=True)
        shown = shown[:, 0]
    if name.endswith("_nomask"):
        valid = torch.ones_like(valid)
    loss = scale_invariant_log_root(shown, target, valid, **VARIANTS[name])
    assert golden.relative_error(f"f64/{name}", loss.detach().numpy()) < 1e-5
    if f"grad/{name}" in golden.arrays and shown is pred:
        (gradient,) = torch.autograd.grad(loss, pred)
        assert golden.relative_error(f"grad/{name}", gradient[:, None].numpy()) < 1e-4


def maps(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pred, target = (0.5 + 5 * torch.rand(2, 4, 5, generator=generator).double() for _ in range(2))
    valid = torch.rand(2, 4, 5, generator=generator) > 0.3
    return pred, target, valid


def by_hand(pred: Tensor, target: Tensor, valid: Tensor, lam: float) -> float:
    """Equation 4 with a sum over pairs, which is how the paper derives it (equation 1 to 3)."""
    total = 0.0
    for p, t, v in zip(pred, target, valid, strict=True):
        d = (p[v].log() - t[v].log()).tolist()
        n = len(d)
        total += sum(x * x for x in d) / n - lam * sum(x * y for x in d for y in d) / n**2
    return total / len(pred)


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_equals_the_paper_by_hand(lam: float) -> None:
    pred, target, valid = maps()
    loss = scale_invariant_log(pred, target, valid, lam=lam)
    assert loss.item() == pytest.approx(by_hand(pred, target, valid, lam))


def test_scaling_a_picture_changes_nothing_at_balance_one() -> None:
    pred, target, valid = maps()
    scale = torch.tensor([3.0, 0.2]).double()[:, None, None]
    blind = scale_invariant_log(pred, target, valid, lam=1.0)
    torch.testing.assert_close(scale_invariant_log(pred * scale, target, valid, lam=1.0), blind)
    half = scale_invariant_log(pred, target, valid)
    assert not torch.isclose(scale_invariant_log(pred * scale, target, valid), half)


def test_released_weighting_is_by_squared_count() -> None:
    pred, target, valid = maps()
    each = [scale_invariant_log(*(x[i : i + 1] for x in (pred, target, valid))) for i in (0, 1)]
    n = valid.flatten(1).sum(1).double()
    expected = (n.square() * torch.stack(each)).sum() / n.square().sum()
    torch.testing.assert_close(
        scale_invariant_log(pred, target, valid, weighting="released"), expected
    )


LOSSES = {
    "pictures": scale_invariant_log,
    "released": lambda p, t, v: scale_invariant_log(p, t, v, weighting="released"),
    "root": scale_invariant_log_root,
    "root, unbiased": lambda p, t, v: scale_invariant_log_root(p, t, v, unbiased=True),
    "l1": masked_l1,
}


@pytest.mark.parametrize("name", list(LOSSES))
def test_gradients(name: str) -> None:
    pred, target, valid = maps()
    assert gradcheck(lambda p: LOSSES[name](p, target, valid), pred.requires_grad_())


@pytest.mark.parametrize("name", list(LOSSES))
def test_nothing_valid_gives_zero_and_zero_gradients(name: str) -> None:
    pred, target, _ = maps()
    pred.requires_grad_()
    loss = LOSSES[name](pred, target * torch.nan, torch.zeros(2, 4, 5, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert pred.grad is not None
    assert (pred.grad == 0).all()


@pytest.mark.parametrize("name", list(LOSSES))
def test_an_empty_picture_and_bad_targets_do_not_reach_the_rest(name: str) -> None:
    pred, target, valid = maps()
    valid[1] = False
    clean = LOSSES[name](pred[:1], target[:1], valid[:1])
    bad = target.clone()
    bad[~valid] = (
        torch.tensor([0.0, torch.nan, -1.0, torch.inf]).double().repeat(20)[: (~valid).sum()]
    )
    pred.requires_grad_()
    loss = LOSSES[name](pred, bad, valid)
    loss.backward()
    torch.testing.assert_close(loss, clean)
    assert pred.grad is not None
    assert pred.grad.isfinite().all()


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_perfect_prediction_costs_nothing_and_its_gradient_is_finite(name: str) -> None:
    _, target, valid = maps()
    pred = target.clone().requires_grad_()
    loss = LOSSES[name](pred, target, valid)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert pred.grad is not None
    assert pred.grad.isfinite().all()


def test_predictions_of_zero_are_survived() -> None:
    pred, target, valid = maps()
    pred = (pred * 0).requires_grad_()
    loss = scale_invariant_log(pred, target, valid)
    loss.backward()
    assert loss.isfinite()
    assert pred.grad is not None
    assert pred.grad.isfinite().all()


def test_bad_arguments_say_what_is_needed() -> None:
    with pytest.raises(InputError, match=r"0 \(plain log error\) to 1"):
        scale_invariant_log(*maps(), lam=2.0)
    with pytest.raises(InputError, match="'released'"):
        scale_invariant_log(*maps(), weighting="pixels")
