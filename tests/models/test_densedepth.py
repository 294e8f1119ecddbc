"""DenseDepth: equal to the Keras original and to the PyTorch port, and its Keras file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import leadline.models as models  # noqa: E402
from leadline.errors import InputError, WeightsError  # noqa: E402
from leadline.models.densedepth import (  # noqa: E402
    DenseDepth,
    depth_to_inverse,
    inverse_to_depth,
)
from testing.convolutional import (  # noqa: E402
    network_input,
    outputs_of_layers,
    tensorflow_weights,
)
from testing.goldens import fill_value, load_golden  # noqa: E402

FEATURES = "encoder.original_model.features"
KERAS_LAYERS = {  # the original's name in the golden file -> our submodule
    "conv1.relu": f"{FEATURES}.norm0",
    "pool1": f"{FEATURES}.pool0",
    "pool2_pool": f"{FEATURES}.transition1",
    "pool3_pool": f"{FEATURES}.transition2",
    "relu": f"{FEATURES}.norm5",
    "conv2": "decoder.conv2",
}
PORT_FEATURES = {
    "feature3": f"{FEATURES}.norm0",
    "feature4": f"{FEATURES}.pool0",
    "feature6": f"{FEATURES}.transition1",
    "feature8": f"{FEATURES}.transition2",
}
KERAS_BLOCKS = {1: 6, 2: 12, 3: 32, 4: 32}


def build(name: str, **options: object) -> DenseDepth:
    module = models.build(name, **options)
    assert isinstance(module, DenseDepth)
    return module


def keras_layers() -> dict[str, str]:
    """Every Keras layer with weights -> ours, written out by hand from the layer list."""
    pairs = {"conv1/conv": "conv0", "conv1/bn": "norm0", "bn": "norm5"}
    for block, layers in KERAS_BLOCKS.items():
        for i in range(1, layers + 1):
            keras, ours = f"conv{block + 1}_block{i}", f"denseblock{block}.denselayer{i}"
            pairs |= {f"{keras}_0_bn": f"{ours}.norm1", f"{keras}_1_conv": f"{ours}.conv1"}
            pairs |= {f"{keras}_1_bn": f"{ours}.norm2", f"{keras}_2_conv": f"{ours}.conv2"}
        if block < 4:
            pairs[f"pool{block + 1}_bn"] = f"transition{block}.norm"
            pairs[f"pool{block + 1}_conv"] = f"transition{block}.conv"
    pairs = {keras: f"{FEATURES}.{ours}" for keras, ours in pairs.items()}
    pairs |= {"conv2": "decoder.conv2", "conv3": "decoder.conv3"}
    return pairs | {f"up{i}_conv{x}": f"decoder.up{i}.conv{x}" for i in range(1, 5) for x in "AB"}


def keras_weights(module: DenseDepth, values: str = "filled") -> dict[str, np.ndarray]:
    """Keras variables for ``module``: filled from their names as the golden file's, or its own."""
    kinds = {
        "weight": ("kernel", "weight"),
        "bias": ("bias", "bias"),
        "norm": {"weight": "gamma", "bias": "beta"},
        "running_mean": ("moving_mean", "running_mean"),
        "running_var": ("moving_variance", "running_var"),
    }
    state, arrays = module.state_dict(), {}
    overrides = {"conv3/bias": {"add": 3.0}}
    for keras, ours in keras_layers().items():
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            tensor = state.get(f"{ours}.{leaf}")
            if tensor is None:
                continue
            array = tensor.numpy()
            if values == "filled":
                made = fill_value(f"{keras}/{leaf}", array.shape, 1.0, overrides)
                assert made is not None
                array = made
            norm = f"{ours}.running_var" in state
            name = kinds["norm"].get(leaf, kinds[leaf][0]) if norm else kinds[leaf][0]
            kernel = array.ndim == 4
            arrays[f"{keras}/{name}:0"] = array.transpose(2, 3, 1, 0).copy() if kernel else array
    return arrays


@lru_cache(maxsize=1)
def filled_half() -> DenseDepth:
    module = build("densedepth-half")
    models.load_weights(module, keras_weights(module))
    return module


def channels_last(x: torch.Tensor) -> np.ndarray:
    return x.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("extract", [True, False], ids=["extract", "full"])
@pytest.mark.parametrize("case", ["a", "b"])
def test_half_width_equals_keras(case: str, extract: bool) -> None:
    golden = load_golden("densedepth_keras", extract=extract)
    batch = torch.from_numpy(network_input("densedepth_keras", f"{case}/input"))
    layers = [*KERAS_LAYERS.values(), "decoder.up1", "decoder.up4"]
    seen, output = outputs_of_layers(filled_half(), layers, batch.permute(0, 3, 1, 2))
    found = {name: channels_last(seen[ours]) for name, ours in KERAS_LAYERS.items()}
    # The golden file has up1_convB before its activation, which is a leaky ReLU.
    for name in ("up1", "up4"):
        after = channels_last(seen[f"decoder.{name}"])
        found[f"{name}_convB"] = np.where(after < 0, after / 0.2, after)
    found["output"] = output.numpy()[..., None]
    errors = {w: golden.relative_error(f"{case}/{w}", found[w]) for w in found}
    assert max(errors.values()) < 1e-4, errors


def test_variables_are_exactly_the_originals() -> None:
    golden = load_golden("densedepth_keras")
    theirs, ours = tensorflow_weights(golden), keras_weights(build("densedepth-half"))
    assert theirs.keys() == ours.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(array, ours[name])


@pytest.mark.parametrize(
    ("name", "keras_parameters"), [("densedepth", 42_816_089), ("densedepth-half", 21_523_805)]
)
def test_parameters(name: str, keras_parameters: int) -> None:
    """Keras counts the batch statistics too: the paper's 42.6 M are those that learn."""
    with torch.device("meta"):
        module = models.build(name)
    learning = sum(p.numel() for p in module.parameters())
    statistics = sum(b.numel() for n, b in module.named_buffers() if "running" in n)
    assert learning + statistics == keras_parameters
    assert statistics == 158_400


@pytest.mark.parametrize("extract", [True, False], ids=["extract", "full"])
@pytest.mark.parametrize("case", ["a", "b"])
def test_the_port_equals_the_port(case: str, extract: bool) -> None:
    golden = load_golden("densedepth_pytorch", extract=extract)
    module = port()
    batch = torch.from_numpy(network_input("densedepth_pytorch", f"{case}/input"))
    seen, output = outputs_of_layers(module, list(PORT_FEATURES.values()), batch)
    found = {name: seen[ours].numpy() for name, ours in PORT_FEATURES.items()}
    found["output"] = output.numpy()[:, None]
    errors = {w: golden.relative_error(f"{case}/{w}", found[w]) for w in found}
    assert max(errors.values()) < 1e-4, errors


@lru_cache(maxsize=1)
def port() -> DenseDepth:
    module = build("densedepth", variant="pytorch-port")
    golden = load_golden("densedepth_pytorch", extract=True)
    models.load_weights(module, golden.weights(module))
    return module


def test_the_ports_tensor_names() -> None:
    needed = load_golden("densedepth_pytorch").meta["models"]["model"]["state_dict"]
    found = {n: list(t.shape) for n, t in port().state_dict().items()}
    assert found == {n: s for n, (s, _) in needed.items()}


def test_the_ports_defects_stay_behind_its_variant() -> None:
    """The same weights give another map in the published network."""
    published, x = build("densedepth"), torch.rand(1, 3, 64, 64)
    state = {n: t for n, t in port().state_dict().items() if ".classifier." not in n}
    models.load_weights(published, state)
    with torch.no_grad():
        difference = (published(x) - port()(x)).abs().max()
    assert difference > 0.01
    assert published.decoder.up1.first_slope == 0.2
    assert port().decoder.up1.first_slope == 1.0


def test_depth_is_ten_metres_over_the_prediction() -> None:
    depth = torch.tensor([0.05, 0.1, 0.5, 2.0, 10.0, 30.0])
    inverse = depth_to_inverse(depth)
    torch.testing.assert_close(inverse, torch.tensor([100.0, 100.0, 20.0, 5.0, 1.0, 1.0]))
    torch.testing.assert_close(inverse_to_depth(inverse), depth.clamp(0.1, 10))
    assert (inverse_to_depth(torch.tensor([-3.0, 0.0, 0.5])) == 10).all()
    assert (inverse_to_depth(torch.linspace(1, 100, 50)).diff() < 0).all()


def test_output_in_metres() -> None:
    module = build("densedepth-half", output="depth", max_depth=80.0)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        outputs = module.forward_all(x)
        assert torch.equal(module(x), outputs.depth)
    assert ((outputs.depth >= 0.8) & (outputs.depth <= 80)).all()


def write_keras_file(path: Path, weights: dict[str, np.ndarray], *, inside: str = "") -> None:
    """A file in the layout of Keras's ``model.save``, as Keras 2.2 and 3 write it."""
    h5py = pytest.importorskip("h5py")
    layers: dict[str, dict[str, np.ndarray]] = {"input_1": {}}
    for name, array in weights.items():
        layer = inside or name.rpartition("/")[0]
        layers.setdefault(layer, {})[name] = array
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [layer.encode() for layer in layers]
        for layer, own in layers.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in own]
            for name, array in own.items():
                group.create_dataset(name, data=array)
        file.create_group("optimizer_weights").create_dataset("iterations", data=7)


def weightless(name: str) -> DenseDepth:
    with torch.device("meta"):
        return build(name)


@pytest.mark.slow
@pytest.mark.parametrize("inside", ["", "model_1"])
def test_a_keras_file_loads(tmp_path: Path, inside: str) -> None:
    """Also one that was saved from several GPUs, which is a model inside a model."""
    trained, module = filled_half(), weightless("densedepth-half")
    path = tmp_path / "nyu.h5"
    write_keras_file(path, keras_weights(trained, "own"), inside=inside)
    models.load_weights(module, path)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(module.state_dict()[name], tensor), name


def test_weights_that_keras_numbered_load(tmp_path: Path) -> None:
    """A model made twice in one session has weights named conv2_1/kernel in the layer conv2."""
    h5py = pytest.importorskip("h5py")
    trained, module = filled_half(), weightless("densedepth-half")
    path = tmp_path / "twice.h5"
    write_keras_file(path, keras_weights(trained, "own"))
    with h5py.File(path, "a") as file:
        group = file["model_weights"]["conv2"]
        group.move("conv2", "conv2_1")
        group.attrs["weight_names"] = [b"conv2_1/kernel:0", b"conv2_1/bias:0"]
    models.load_weights(module, path)
    assert torch.equal(module.decoder.conv2.weight, trained.decoder.conv2.weight)


def test_a_full_width_file_does_not_fit_the_half(tmp_path: Path) -> None:
    path = tmp_path / "nyu.h5"
    write_keras_file(path, keras_weights(filled_half(), "own"))
    with pytest.raises(WeightsError, match="of another shape"):
        models.load_weights(weightless("densedepth"), path)


def test_an_hdf5_file_that_is_not_keras_is_told(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "data.h5"
    with h5py.File(path, "w") as file:
        file["depth"] = np.zeros(3)
    with pytest.raises(WeightsError, match="not a file of Keras weights"):
        models.load_weights(weightless("densedepth-half"), path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(WeightsError, match="damaged"):
        models.load_weights(weightless("densedepth-half"), path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "torch"}, "'pytorch-port'"),
        ({"width": 100}, "multiple of 16"),
        ({"max_depth": 0.0}, "positive metres"),
        ({"output": "metres"}, "'inverse'"),
    ],
)
def test_bad_options_say_what_is_needed(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build("densedepth", **options)
