"""The relative recipe: blind to scale and shift, not to order; what it refuses."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("cv2")

from leadline.errors import InputError  # noqa: E402
from leadline.losses import affine_normalize, scale_shift_invariant  # noqa: E402
from leadline.training import TrainConfig  # noqa: E402
from leadline.training.recipes.relative import Relative  # noqa: E402


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    disparity = torch.rand(2, 24, 32, generator=generator)
    valid = torch.rand(2, 24, 32, generator=generator) < 0.8
    return {"rgb": torch.rand(2, 3, 24, 32), "disparity": disparity, "valid": valid}


def value(batch, pred, step=1000, **options):
    config = TrainConfig().updated({f"options.{key}": item for key, item in options.items()})
    return Relative(config).loss(lambda rgb: pred, batch, step)[0]


@pytest.mark.parametrize("loss", ["mae", "trimmed", "mse"])
def test_scale_and_shift_cost_nothing(batch, loss):
    fitted = value(batch, 3 * batch["disparity"] + 7, loss=loss)
    turned = value(batch, -batch["disparity"], loss=loss)
    assert fitted < 1e-4
    # MiDaS' least squares turn a map round; the first steps (settle) are what tells near from far.
    assert turned < 1e-4 if loss == "mse" else turned > 0.05
    assert value(batch, -batch["disparity"], step=0, loss=loss) > 0.05


def test_least_squares_and_gradients_are_of_one_residual(batch):
    pred, valid = torch.rand(2, 24, 32), batch["valid"]
    target = affine_normalize(batch["disparity"], valid)
    expected = scale_shift_invariant(pred, target, valid, gradient=0.5)  # MiDaS, equation 11
    torch.testing.assert_close(value(batch, pred, loss="mse"), expected)


def test_first_steps_see_scale_and_shift(batch):
    assert value(batch, 3 * batch["disparity"] + 7, step=0) > 1


def test_trimming_forgives_the_largest_residuals(batch):
    pred = batch["disparity"].clone()
    pred[:, :2] += 5  # a twelfth of the rows
    plain = value(batch, pred, loss="mae", gradient_weight=0.0)
    trimmed = value(batch, pred, loss="trimmed", gradient_weight=0.0)
    assert trimmed < 0.2 * plain


def test_unknown_pixels_count_for_nothing(batch):
    other = dict(batch, disparity=torch.where(batch["valid"], batch["disparity"], 99.0))
    pred = torch.rand(2, 24, 32)
    assert torch.allclose(value(batch, pred), value(other, pred))


def test_nothing_valid_is_finite(batch):
    blind = dict(batch, valid=torch.zeros_like(batch["valid"]))
    pred = torch.rand(2, 24, 32, requires_grad=True)
    loss = value(blind, pred)
    loss.backward()
    assert loss.item() == 0
    assert pred.grad.isfinite().all()


def test_metric_network_is_refused():
    recipe = Relative(TrainConfig().updated({"model": "fastdepth"}))
    with pytest.raises(InputError, match="midas-v21-small"):
        recipe.deliver(SimpleNamespace())
