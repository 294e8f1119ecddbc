"""DenseDepth's three terms: the original's numbers, masks and gradients."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402
from torch.autograd import gradcheck  # noqa: E402

from leadline.losses import densedepth_loss  # noqa: E402
from testing.goldens import load_golden  # noqa: E402


@pytest.mark.parametrize("extract", [True, False], ids=["extract", "full"])
@pytest.mark.parametrize("case", ["0", "1"])
def test_equals_the_original(case: str, extract: bool) -> None:
    golden = load_golden("densedepth_loss", extract=extract)
    target, pred = (
        torch.from_numpy(golden.arrays[f"{case}/{k}"])[..., 0] for k in ("y_true", "y_pred")
    )
    for key, peak, weight in (("loss", 100.0, 0.1), ("loss_max1000", 1000.0, 0.3)):
        found = densedepth_loss(pred, target, peak=peak, difference_weight=weight)
        each = found.structure + found.edges + weight * found.difference
        assert golden.relative_error(f"{case}/{key}", each.numpy()) < 1e-5
        torch.testing.assert_close(found.total, each.mean())


def maps(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pred, target = (1 + 20 * torch.rand(2, 12, 13, generator=generator).double() for _ in "ab")
    return pred, target, torch.rand(2, 12, 13, generator=generator) > 0.3


def test_edges_are_forward_differences_with_nothing_past_the_border() -> None:
    target = torch.zeros(1, 12, 12)
    pred = target.clone()
    pred[0, 5, 5] = 1.0  # two steps across and two down
    assert densedepth_loss(pred, target).edges.item() == pytest.approx(4 / 144)
    assert densedepth_loss(pred, target).difference.item() == pytest.approx(1 / 144)


@pytest.mark.parametrize("masked", [True, False])
def test_gradients(masked: bool) -> None:
    pred, target, valid = maps()
    mask = valid if masked else None
    assert gradcheck(lambda p: densedepth_loss(p, target, mask).total, pred.requires_grad_())


def test_nothing_valid_gives_zero_and_zero_gradients() -> None:
    pred, target, valid = maps()
    pred.requires_grad_()
    loss = densedepth_loss(pred, target * torch.nan, torch.zeros_like(valid)).total
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert pred.grad is not None
    assert (pred.grad == 0).all()


def test_what_is_not_valid_does_not_matter() -> None:
    pred, target, valid = maps()
    clean = densedepth_loss(pred, target, valid)
    bad = target.clone()
    bad[~valid] = torch.nan
    found = densedepth_loss(pred.requires_grad_(), bad, valid)
    found.total.backward()
    torch.testing.assert_close(found.total, clean.total)
    assert pred.grad is not None
    assert pred.grad.isfinite().all()
    assert (pred.grad[~valid] == 0).all()


def test_a_perfect_prediction_costs_nothing() -> None:
    _, target, valid = maps()
    assert densedepth_loss(target, target, valid).total.item() == pytest.approx(0, abs=1e-9)
