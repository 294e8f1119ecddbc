"""The spatial transformer: begins as the identity, and learns to undo what was done."""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import leadline.models as models  # noqa: E402
from leadline.errors import InputError, UnknownNameError  # noqa: E402
from leadline.models.stn import SpatialTransformer, STNConfig  # noqa: E402
from leadline.ops import affine_coordinates, sample  # noqa: E402

TRANSFORMS = ("affine", "projective", "thin-plate")


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("size", [(28, 28), (17, 40)])
def test_it_begins_as_the_identity(transform: str, size: tuple[int, int]) -> None:
    module = models.build("stn", transform=transform, channels=2)
    batch = torch.rand(3, 2, *size)
    torch.testing.assert_close(module(batch), batch, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("transform", "count"), [("affine", 6), ("projective", 8), ("thin-plate", 32)]
)
def test_parameters_of_the_transform(transform: str, count: int) -> None:
    outputs = models.build("stn", transform=transform).forward_all(torch.rand(2, 3, 20, 20))
    assert outputs.theta.shape == (2, count)
    assert outputs.coordinates.shape == (2, 20, 20, 2)
    assert outputs.image.shape == (2, 3, 20, 20)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_the_task_reaches_every_weight(transform: str) -> None:
    torch.manual_seed(0)
    module = models.build("stn", transform=transform, channels=1)
    torch.nn.init.normal_(module.localisation.theta.weight, std=0.01)
    batch = torch.rand(2, 1, 24, 24)
    (module(batch) * torch.rand(2, 1, 24, 24)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in module.parameters())


class Constant(torch.nn.Module):
    """A localisation network that always says the same."""

    def __init__(self, parameters: int) -> None:
        super().__init__()
        self.theta = torch.nn.Parameter(torch.zeros(parameters))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.theta.expand(len(batch), -1)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_it_finds_the_turn_that_undoes_a_turn(transform: str) -> None:
    """By gradient descent on the picture alone, from the identity."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 24), torch.linspace(-1, 1, 24), indexing="ij")
    blob = torch.exp(-((x - 0.3) ** 2) * 8 - (y + 0.1) ** 2 * 3)[None, None]
    angle = math.radians(20)
    turn = torch.tensor(
        [[[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0]]]
    )
    turned = sample(blob, affine_coordinates(turn, 24, 24))
    config = STNConfig(transform=transform, channels=1)
    module = SpatialTransformer(config, Constant(config.parameters))
    optimiser = torch.optim.Adam(module.parameters(), lr=0.02)
    before = (turned - blob).square().mean().item()
    for _ in range(150):
        optimiser.zero_grad()
        loss = (module(turned) - blob).square().mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.05 * before


def test_names_and_options() -> None:
    assert models.build("stn").name == "stn"
    assert "stn" not in models.names()  # it gives no depth, so the catalogue does not have it
    with pytest.raises(UnknownNameError, match="stn"):
        models.build("stnn")
    with pytest.raises(InputError, match="'thin-plate'"):
        models.build("stn", transform="rigid")
    with pytest.raises(InputError, match="at least 1, 1 and 2"):
        models.build("stn", control_points=1)
    with pytest.raises(InputError, match="'zeros' or 'edge'"):
        models.build("stn", outside="mirror")
    with pytest.raises(InputError, match="channels="):
        models.build("stn")(torch.rand(1, 1, 8, 8))


def test_a_control_point_moves_the_picture_there() -> None:
    config = STNConfig(transform="thin-plate", channels=1, control_points=2)
    module = SpatialTransformer(config, Constant(config.parameters))
    with torch.no_grad():
        module.localisation.theta[0::2] += 0.5  # all look half a half-width to the right
    batch = torch.rand(1, 1, 9, 9)
    torch.testing.assert_close(module(batch)[..., :7], batch[..., 2:], atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("transform", ["affine", "projective"])  # ONNX solves no linear system
def test_its_onnx_file_computes_the_same(transform: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    module = models.build("stn", transform=transform, channels=1)
    with torch.no_grad():
        module.localisation.theta.weight.normal_(0, 0.02)  # off the identity
    path = tmp_path / "stn.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (torch.rand(2, 1, 40, 40),),
            path,
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch", max=64)},),
            input_names=["image"],
            verbose=False,
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    batch = torch.rand(3, 1, 40, 40)
    with torch.no_grad():
        expected = module(batch)
    assert (expected - batch).abs().max() > 0.1
    (found,) = session.run(None, {"image": batch.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-4)
