"""Losses for metric depth: published values and gradients, invariances, nothing valid."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

from leadline.errors import UnknownNameError  # noqa: E402
from leadline.losses import (  # noqa: E402
    SILOG_FORMS,
    gradient_l1,
    router_cross_entropy,
    scale_invariant_log_root,
    silog,
)
from testing.goldens import Golden, load_golden  # noqa: E402

CASES = {
    "zoe_SILogLoss": lambda p, t, m: silog(p, t, m, form="zoedepth"),
    "zoe_SILogLoss_low": lambda p, t, m: silog(enlarged(p), t, m, form="zoedepth"),
    "zoe_SILogLoss_beta0.5": lambda p, t, m: scale_invariant_log_root(
        p, t, m, lam=0.5, unbiased=True
    ),
    "da2_SiLogLoss": lambda p, t, m: silog(p, t, m, form="depth-anything-v2"),
    "bts_silog_0.85": lambda p, t, m: silog(p, t, m, form="bts"),
    "zoe_GradL1Loss": lambda p, t, m: gradient_l1(p, t, m),
    "zoe_GradL1Loss_low": lambda p, t, m: gradient_l1(enlarged(p), t, m),
}


def enlarged(pred: torch.Tensor) -> torch.Tensor:
    return F.interpolate(pred[:, None], (48, 64), mode="bilinear", align_corners=True)[:, 0]


def stored(golden: Golden, key: str) -> torch.Tensor:
    return torch.from_numpy(golden.arrays[key])[:, 0]


@pytest.mark.parametrize("extract", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_equal_the_originals(name: str, extract: bool) -> None:
    golden = load_golden("losses", extract=extract)
    low = name.endswith("_low")
    valid = stored(golden, "in/mask")
    for prefix, dtype in (("", torch.float32), ("f64/", torch.float64)):
        pred = stored(golden, "in/pred_low" if low else "in/pred").to(dtype).requires_grad_()
        value = CASES[name](pred, stored(golden, "in/gt").to(dtype), valid)
        value.backward()
        assert value.item() == pytest.approx(float(golden.arrays[prefix + name]), rel=1e-6)
        assert pred.grad is not None
        assert golden.relative_error(f"grad/{name}", pred.grad[:, None].numpy()) < 1e-4


@pytest.mark.parametrize("form", SILOG_FORMS)
def test_forms_agree_with_their_definition(form: str) -> None:
    generator = torch.Generator().manual_seed(0)
    pred, target = (torch.rand(1, 6, 8, generator=generator).double() + 0.5 for _ in range(2))
    valid = torch.rand(1, 6, 8, generator=generator) > 0.3
    g = (pred.log() - target.log())[valid]
    numbers = SILOG_FORMS[form]
    expected = g.var(correction=int(numbers.unbiased)) + (1 - numbers.lam) * g.mean() ** 2
    if numbers.factor is not None:
        expected = numbers.factor * expected.sqrt()
    assert silog(pred, target, valid, form=form).item() == pytest.approx(expected.item(), rel=1e-6)


def test_an_unknown_form_lists_the_known() -> None:
    ones = torch.ones(1, 2, 2)
    with pytest.raises(UnknownNameError, match="zoedepth"):
        silog(ones, ones, ones > 0, form="adabin")


def test_nothing_valid_gives_zero_and_finite_gradients() -> None:
    for loss in (silog, gradient_l1):
        pred = torch.rand(2, 5, 6, requires_grad=True)
        value = loss(pred, torch.zeros(2, 5, 6), torch.zeros(2, 5, 6, dtype=torch.bool))
        value.backward()
        assert value.item() == 0
        assert pred.grad is not None
        assert pred.grad.isfinite().all()


def test_the_routers_loss_is_small_when_it_is_right() -> None:
    logits = torch.tensor([[4.0, -4.0], [-4.0, 4.0]])
    right, wrong = torch.tensor([0, 1]), torch.tensor([1, 0])
    assert router_cross_entropy(logits, right) < 1e-3
    assert router_cross_entropy(logits, wrong) > 7
