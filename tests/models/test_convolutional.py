"""What every convolutional model owes its users: one contract, all names."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

from safetensors.torch import save  # noqa: E402

import leadline.models as models  # noqa: E402
from leadline import catalog  # noqa: E402
from leadline.decode import decode  # noqa: E402
from leadline.errors import InputError, MissingWeightsError, WeightsError  # noqa: E402
from leadline.export import export_module  # noqa: E402
from leadline.image import Image  # noqa: E402
from leadline.kinds import DepthKind  # noqa: E402
from leadline.models.base import DepthModule  # noqa: E402
from leadline.models.weights import guess, save_weights  # noqa: E402
from leadline.preprocess import Preprocess  # noqa: E402
from leadline.resolve import identify  # noqa: E402
from testing.hub_server import serve_hub, use_hub  # noqa: E402
from testing.tensor_bundle import write_checkpoint  # noqa: E402

NAMES = (
    "eigen14-nyu",
    "eigen14-kitti",
    "monodepth-vgg",
    "monodepth-resnet50",
    "monodepth2-r18",
    "monodepth2-r50",
    "densedepth",
    "densedepth-half",
    "fastdepth",
    "fastdepth-concat",
    "fastdepth-plain",
    "fastdepth-pruned",
)
QUICK = (  # one small network per family
    ("eigen14-nyu", {"size": (132, 148)}, (132, 148)),
    ("monodepth-resnet50", {}, (64, 128)),
    ("monodepth2-r18", {"pose": "none"}, (64, 96)),
    ("densedepth-half", {"width": 16}, (64, 96)),
    ("fastdepth", {}, (64, 96)),
    ("fastdepth-concat", {}, (64, 96)),
    ("fastdepth-plain", {}, (64, 96)),
    ("fastdepth-pruned", {}, (64, 96)),
)
IDS = [case[0] for case in QUICK]


def small(name: str, options: dict[str, Any], size: tuple[int, int]) -> tuple[DepthModule, Any]:
    """A network whose normalisation has seen pictures of twice the size, and two pictures.

    Without, random depthwise layers let nothing through, and a ReLU at the end hides the rest.
    """
    torch.manual_seed(0)
    module, batch = models.build(name, **options), torch.rand(2, 3, *size)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
            layer.train()
    with torch.no_grad():
        for key, parameter in module.named_parameters():
            if key.endswith("conv6.1.bias"):
                parameter.fill_(4.0)
        scale = 1 if name.startswith("eigen14") else 2  # Eigen's dense layers know one size
        module(torch.rand(4, 3, scale * size[0], scale * size[1]))
    return module.eval(), batch


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@lru_cache(maxsize=len(NAMES))
def weightless(name: str) -> DepthModule:
    """The catalogue's variant on the meta device: no memory, but every shape."""
    with torch.device("meta"):
        return models.build(name, **catalog.get(name).options)


@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_builds_it_and_says_what_it_takes(name: str) -> None:
    spec, module = catalog.get(name), weightless(name)
    assert spec.architecture == name
    size = spec.preprocess.size
    assert spec.preprocess.mean == (0, 0, 0)
    assert spec.preprocess.std == (1, 1, 1)  # RGB in [0, 1]
    batch = torch.empty(2, 3, *size, device="meta")
    module.check_batch(batch)
    output = module(batch)
    assert output.ndim == 3
    assert output.shape[0] == 2
    ratio = {"eigen14": 4, "densedepth": 2}.get(name.rsplit("-", 1)[0], 1)
    assert tuple(output.shape[1:]) == (size[0] // ratio, size[1] // ratio)


@pytest.mark.parametrize(("name", "options", "size"), QUICK, ids=IDS)
def test_a_batch_is_its_pictures(name: str, options: dict[str, Any], size: Any) -> None:
    module, batch = small(name, options, size)
    with torch.no_grad():
        together = module(batch)
        alone = torch.cat([module(picture[None]) for picture in batch])
    assert relative(together, alone) < 1e-3
    assert together.isfinite().all()
    assert not torch.equal(together[0], together[1])


@pytest.mark.parametrize(("name", "options", "size"), QUICK, ids=IDS)
def test_every_weight_of_the_depth_network_learns(
    name: str, options: dict[str, Any], size: Any
) -> None:
    module, batch = small(name, options, size)
    module.train()
    outputs = module.forward_all(batch)
    maps = [m for part in outputs for m in (part if isinstance(part, tuple) else (part,))]
    sum((m * torch.randn_like(m)).sum() for m in maps).backward()
    silent = {n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()}
    unused = {"encoder.encoder.fc.weight", "encoder.encoder.fc.bias"}  # ResNet's, in old files
    assert silent <= unused, sorted(silent - unused)[:5]


@pytest.mark.parametrize(("name", "options", "size"), QUICK, ids=IDS)
def test_weights_go_out_and_come_back(
    name: str, options: dict[str, Any], size: Any, tmp_path: Path
) -> None:
    module, batch = small(name, options, size)
    save_weights(module, tmp_path / "model.safetensors")
    with torch.device("meta"):
        other = models.build(name, **options)
    models.load_weights(other, tmp_path / "model.safetensors")
    with torch.no_grad():
        assert torch.equal(other(batch), module(batch))
    broken = dict(module.state_dict())
    broken.pop(next(iter(broken)))
    with pytest.raises(WeightsError, match="1 missing"):
        models.load_weights(other, broken)


@lru_cache(maxsize=len(NAMES))
def output_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(weightless(name)(torch.empty(shape, device="meta")).shape)


@pytest.mark.parametrize("name", NAMES)
def test_any_picture_reaches_its_size_and_comes_back(name: str) -> None:
    """Preprocessing alone, with the network's output shape from the meta device."""
    spec = catalog.get(name)
    module = weightless(name)
    preprocess = Preprocess(spec.preprocess)
    for height, width in ((480, 640), (375, 1242), (31, 17), (1, 1), (700, 123)):
        image = Image(pixels=np.full((height, width, 3), 100, np.uint8))
        prepared = preprocess(image)
        batch = prepared.arrays["image"]
        module.check_size(*batch.shape[2:])
        assert batch.min() == pytest.approx(100 / 255)
        shape = output_shape(name, batch.shape)
        output = np.linspace(1, 2, int(np.prod(shape)), dtype=np.float32).reshape(shape)
        prediction = decode(preprocess.restore({"depth": output}, prepared), spec, prepared)
        assert prediction.values.shape == (height, width)


EXPORTED = (
    *QUICK,
    ("monodepth-vgg", {}, (128, 256)),
    ("monodepth2-r50", {"pose": "none", "output": "depth"}, (64, 96)),
    ("densedepth-half", {"output": "depth"}, (64, 96)),
)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options", "size"), EXPORTED)
def test_its_onnx_file_computes_the_same(
    name: str, options: dict[str, Any], size: Any, tmp_path: Path
) -> None:
    """By both runtimes at two sizes, as `leadline export` compares them; Eigen's has one size."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    module, _ = small(name, options, size)
    spec = catalog.get(name)
    spec = replace(spec, preprocess=replace(spec.preprocess, size=size))
    exported = export_module(module, spec, tmp_path / "model.onnx")
    assert {check.runtime for check in exported.checks} == {"openvino", "onnxruntime"}
    # Forty random depthwise layers enlarge float32's rounding: two orders of a product of one
    # processor lie 5e-5 apart, of two processors 1e-4; a wrong layer is above 1e-2.
    limit = 5e-4 if name.startswith("fastdepth") else 1e-4
    assert max(check.relative_error for check in exported.checks) < limit
    sizes = {check.shape[2:] for check in exported.checks}
    assert len(sizes) == (1 if name.startswith("eigen14") else 2)
    assert size in sizes


@pytest.mark.parametrize(("name", "options", "size"), QUICK, ids=IDS)
def test_a_batch_that_it_cannot_take_is_refused(
    name: str, options: dict[str, Any], size: Any
) -> None:
    with torch.device("meta"):
        module = models.build(name, **options)
        for shape in ((1, 4, *size), (3, *size), (1, 3, size[0] + 1, size[1])):
            with pytest.raises(InputError, match="need"):
                module(torch.empty(shape))


@pytest.mark.parametrize("name", NAMES)
def test_without_weights_one_message_says_all(name: str) -> None:
    with pytest.raises(MissingWeightsError) as caught:
        identify(name)
    message = str(caught.value)
    assert message.startswith(f"{name}: no weights ship with Leadline.")
    assert f"`leadline train {name}`" in message
    assert "--weights FILE" in message
    assert "the authors" in message


@pytest.mark.parametrize("name", NAMES)
def test_its_tensors_tell_it(name: str) -> None:
    found = guess(weightless(name).state_dict())
    assert found is not None
    assert found.models == (name,)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "file"),
    [("monodepth-vgg", "model_kitti.index"), ("monodepth-resnet50", "model.npz")],
)
def test_a_foreign_file_predicts_through_the_front_door(
    name: str, file: str, tmp_path: Path
) -> None:
    """One main path for a TensorFlow layout: name, file, picture, map."""
    import leadline
    from leadline.models.monodepth import Monodepth

    module = models.build(name)
    assert isinstance(module, Monodepth)
    arrays = {}
    for ours, theirs in module.tensorflow_names().items():
        layer = module.get_submodule(ours)
        arrays[f"{theirs}/weights"] = layer.weight.detach().permute(2, 3, 1, 0).numpy()
        arrays[f"{theirs}/biases"] = layer.bias.detach().numpy()
    if file.endswith(".npz"):
        np.savez(tmp_path / file, **arrays)
    else:
        write_checkpoint(tmp_path / "model_kitti", arrays)
    estimator = leadline.load(name, weights=tmp_path / file)
    picture = Image(pixels=np.random.default_rng(0).integers(0, 256, (61, 97, 3), dtype=np.uint8))
    prediction = estimator.predict(picture)
    assert prediction.kind is DepthKind.PIXEL_DISPARITY
    assert prediction.values.shape == (61, 97)
    assert ((prediction.values > 0) & (prediction.values < 0.3 * 97)).all()
    prepared = estimator.prepare(picture)
    with torch.no_grad():
        expected = module(torch.from_numpy(prepared.arrays["image"]))
    given = estimator.runtime.run(prepared.arrays)["depth"]
    torch.testing.assert_close(torch.from_numpy(given), expected, rtol=1e-4, atol=1e-5)


def test_kinds_and_what_they_mean() -> None:
    kinds = {name: catalog.get(name).kind for name in NAMES}
    assert {n for n, k in kinds.items() if k is DepthKind.PIXEL_DISPARITY} == {
        "monodepth-vgg",
        "monodepth-resnet50",
    }
    assert {n for n, k in kinds.items() if k is DepthKind.SCALED_DEPTH} == {
        "monodepth2-r18",
        "monodepth2-r50",
    }
    assert json.dumps({n: str(k) for n, k in kinds.items()})


@pytest.mark.parametrize(
    ("name", "options", "classifier", "encoders"),
    [
        ("monodepth2-r18", {}, "resnet18", ("encoder.encoder", "pose_encoder.encoder")),
        ("densedepth-half", {"width": 16}, "densenet169", ("encoder.original_model",)),
    ],
)
def test_encoders_start_from_the_hubs_imagenet_classifier(
    name: str,
    options: dict[str, Any],
    classifier: str,
    encoders: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = timm.create_model(classifier)
    state = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    file = save(state)
    module = models.build(name, **options)
    with serve_hub({f"timm/{classifier}.tv_in1k/model.safetensors": file}) as hub:
        use_hub(monkeypatch, hub.url, tmp_path)
        module.start_from_imagenet()
    for encoder in encoders:
        found = module.get_submodule(encoder).state_dict()
        for key in set(state) & set(found):
            theirs = state[key]
            if found[key].shape != theirs.shape:  # two pictures share the first layer
                theirs = torch.cat([theirs, theirs], dim=1) / 2
            assert torch.equal(found[key], theirs), key
        assert set(found) <= set(net.state_dict())


def test_the_small_encoder_has_no_imagenet_start() -> None:
    with pytest.raises(InputError, match="imagenet = false"):
        models.build("monodepth2-r18", encoder="small").start_from_imagenet()
