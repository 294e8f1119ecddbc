"""FastDepth: equal to the originals, and the size that the paper states."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import leadline.models as models  # noqa: E402
from leadline.errors import InputError, WeightsError  # noqa: E402
from testing.convolutional import network_input, outputs_of_layers  # noqa: E402
from testing.goldens import load_golden  # noqa: E402

GOLDENS = [("fastdepth", "fastdepth_skipadd"), ("fastdepth-plain", "fastdepth_nnconv5dw")]


@pytest.mark.parametrize("extract", [True, False], ids=["extract", "full"])
@pytest.mark.parametrize(("name", "golden_name"), GOLDENS)
def test_equals_the_original(name: str, golden_name: str, extract: bool) -> None:
    golden = load_golden(golden_name, extract=extract)
    module = models.build(name)
    models.load_weights(module, golden.weights(module))
    for case in "ab":
        batch = torch.from_numpy(network_input(golden_name, f"{case}/input"))
        layers = [what for what in golden.keys(case) if what != "output"]
        seen, output = outputs_of_layers(module, layers, batch)
        seen["output"] = output.unsqueeze(1)
        errors = {w: golden.relative_error(f"{case}/{w}", t.numpy()) for w, t in seen.items()}
        assert max(errors.values()) < 1e-4, errors
        assert len(errors) >= 5


def test_tensor_names_are_the_originals() -> None:
    for name, golden_name in GOLDENS:
        needed = load_golden(golden_name).meta["models"]["model"]["state_dict"]
        found = models.build(name).state_dict()
        shapes = {n: list(t.shape) for n, t in found.items()}
        assert shapes == {n: shape for n, (shape, _) in needed.items()}


@pytest.mark.parametrize(
    ("name", "parameters", "gmacs"),
    [
        ("fastdepth", 3_960_930, 0.74),
        ("fastdepth-plain", 3_960_930, 0.74),
        ("fastdepth-concat", 4_016_034, 0.85),
        ("fastdepth-pruned", 1_360_786, 0.37),  # 0.37 is the paper's table
    ],
)
def test_size(name: str, parameters: int, gmacs: float) -> None:
    with torch.device("meta"):
        module = models.build(name)
        batch = torch.empty(1, 3, 224, 224)
    assert sum(p.numel() for p in module.parameters()) == parameters
    with FlopCounterMode(display=False) as counter:
        module(batch)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmacs, abs=0.006)


def test_skips_carry_detail() -> None:
    """With added skips, fine features reach the output; without them they cannot."""
    torch.manual_seed(0)
    module = models.build("fastdepth")
    with torch.no_grad():
        module.decode_conv6[1].bias.fill_(1.0)
        x = torch.rand(1, 3, 64, 64)
        before = module(x)
        handle = module.conv1.register_forward_hook(lambda _m, _i, out: out * 0)
        assert not torch.equal(before, module(x))
        handle.remove()


def test_bad_options_say_what_is_needed() -> None:
    with pytest.raises(InputError, match="equal channels"):
        models.build("fastdepth", decoder_widths=(512, 200, 128, 64, 32))
    with pytest.raises(InputError, match="14 and 5"):
        models.build("fastdepth", widths=(32, 64))
    with pytest.raises(InputError, match="skips, widths, decoder_widths"):
        models.build("fastdepth", size=3)


def test_weights_of_the_other_layout_are_refused() -> None:
    plain = models.build("fastdepth-plain").state_dict()
    with pytest.raises(WeightsError, match="does not fit"):
        models.load_weights(models.build("fastdepth"), plain)


def test_a_released_checkpoint_wrapped_in_dataparallel_loads() -> None:
    module = models.build("fastdepth")
    wrapped = {"state_dict": {f"module.{k}": v for k, v in module.state_dict().items()}}
    other = models.build("fastdepth")
    models.load_weights(other, wrapped)
    x = torch.from_numpy(np.random.default_rng(0).random((1, 3, 32, 32), dtype=np.float32))
    assert torch.equal(module(x), other(x))
