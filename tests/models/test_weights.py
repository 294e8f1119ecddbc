"""Weights files: every layout loads, every wrong file is refused in one clear line."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from safetensors.torch import load_file, save_file  # noqa: E402
from torch import nn  # noqa: E402

import leadline.models as models  # noqa: E402
from leadline.errors import MissingWeightsError, WeightsError  # noqa: E402
from leadline.models.depth_anything import DepthAnything, DepthAnythingConfig  # noqa: E402
from leadline.models.depth_anything_names import from_transformers, to_transformers  # noqa: E402
from leadline.models.dinov2 import ENCODERS, EncoderConfig  # noqa: E402
from leadline.models.signatures import SIGNATURES  # noqa: E402
from leadline.models.weights import guess, load_weights, read_weights, save_weights  # noqa: E402
from testing.goldens import FULL, filled  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor


@pytest.fixture(scope="module")
def config() -> Iterator[DepthAnythingConfig]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENCODERS, "tiny", EncoderConfig(width=32, depth=4, heads=2))
        yield DepthAnythingConfig(
            encoder="tiny", taps=(0, 1, 2, 3), features=16, out_channels=(8, 12, 16, 20)
        )


@pytest.fixture
def module(config: DepthAnythingConfig) -> DepthAnything:
    return DepthAnything(config)


@pytest.fixture
def weights(module: DepthAnything) -> dict[str, Tensor]:
    return filled(module)


def assert_holds(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    state = module.state_dict()
    assert list(state) == list(weights)
    for name, tensor in weights.items():
        assert torch.equal(state[name], tensor), name


def refusal(module: nn.Module, source: Any) -> str:
    """The message of the refusal, which must be one line and leave the module as it was."""
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_weights(module, source)
    assert_holds(module, before)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- layouts -------------------------------------------------------------------------------------


def prefixed(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in weights.items()}


LAYOUTS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "plain": lambda w: w,
    "under model": lambda w: {"model": w, "optimizer": {"state": {}, "lr": 1e-4}, "epoch": 3},
    "under state_dict": lambda w: {"epoch": 3, "state_dict": w},
    "under model_state_dict": lambda w: {"model_state_dict": w},
    "wrapped twice": lambda w: {"model": {"state_dict": w}},
    "DataParallel": lambda w: prefixed("module.", w),
    "DataParallel under model": lambda w: {"model": prefixed("module.", w)},
    "compiled": lambda w: prefixed("_orig_mod.", w),
    "compiled DataParallel": lambda w: prefixed("module._orig_mod.", w),
    "compiled inside DataParallel": lambda w: prefixed("_orig_mod.module.", w),
    "Lightning on DataParallel": lambda w: {"state_dict": prefixed("model.module.", w)},
    "Lightning, net": lambda w: {"state_dict": prefixed("net.", w), "epoch": 3},
    "three deep": lambda w: prefixed("student.model._orig_mod.", w),
    "mean alone": lambda w: {"ema": w, "epoch": 3},
    "mean of a run": lambda w: {"model": prefixed("", {k: v + 1 for k, v in w.items()}), "ema": w},
    "mean of timm": lambda w: {"state_dict": {}, "state_dict_ema": prefixed("module.", w)},
    "teacher": lambda w: {"student": {k: v + 1 for k, v in w.items()}, "teacher": w},
    "settings under ema": lambda w: {"ema": {"decay": 0.99}, "model": w},
    "a loss beside the weights": lambda w: {"model": w, "loss": torch.tensor(0.5), "step": 3},
    "under weights": lambda w: {"weights": w},
    "under depth_model": lambda w: {"depth_model": prefixed("module.", w)},
    "Lightning": lambda w: {"state_dict": prefixed("model.", w), "pytorch-lightning_version": "2"},
    "transformers, saved": to_transformers,
    "transformers, in memory": lambda w: to_transformers(w, in_memory=True),
    "half": lambda w: {name: tensor.half().float() for name, tensor in w.items()},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("way", ["mapping", "zip", "legacy", "safetensors"])
def test_every_layout_loads(
    layout: str, way: str, module: DepthAnything, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    source = LAYOUTS[layout](weights)
    if layout == "half":
        weights = source
        source = {name: tensor.half() for name, tensor in source.items()}
    path = tmp_path / "weights.any"  # the content tells, not the suffix
    if way == "safetensors":
        if not all(isinstance(value, torch.Tensor) for value in source.values()):
            pytest.skip("safetensors holds tensors alone")
        save_file({name: tensor.contiguous() for name, tensor in source.items()}, path)
    elif way != "mapping":
        torch.save(source, path, _use_new_zipfile_serialization=way == "zip")
    load_weights(module, source if way == "mapping" else path)
    assert_holds(module, weights)


def test_our_own_file_loads_and_tells_its_model(tmp_path: Path) -> None:
    module = models.build("depth-anything-v2-vits")
    path = tmp_path / "ours.safetensors"
    save_weights(module, path)
    fresh = models.build("depth-anything-v2-vits")
    load_weights(fresh, str(path))
    assert_holds(fresh, module.state_dict())
    assert [file.name for file in tmp_path.iterdir()] == ["ours.safetensors"]
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        assert file.metadata()["architecture"] == "depth-anything-v2-vits"


def test_numpy_arrays_load(module: DepthAnything, weights: dict[str, Tensor]) -> None:
    load_weights(module, {name: tensor.numpy() for name, tensor in weights.items()})
    assert_holds(module, weights)


def test_a_module_without_memory_takes_the_tensors_over(
    config: DepthAnythingConfig, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save({name: tensor.half() for name, tensor in weights.items()}, tmp_path / "half.pth")
    with torch.device("meta"):
        module = DepthAnything(config)
    load_weights(module, tmp_path / "half.pth")
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    assert all(p.requires_grad and not p.is_meta for p in module.parameters())
    assert_holds(module, {name: tensor.half().float() for name, tensor in weights.items()})


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_a_files_tensors_stay_mapped_onto_it(
    name: str, config: DepthAnythingConfig, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    file = tmp_path / name
    save_file(weights, file) if name.endswith("safetensors") else torch.save(weights, file)
    before = file.read_bytes()
    with torch.device("meta"):
        module = DepthAnything(config)
    load_weights(module, file)
    assert str(file) in Path("/proc/self/maps").read_text()
    with torch.no_grad():
        module.pretrained.cls_token.add_(1)
    assert file.read_bytes() == before
    file.unlink()
    assert_holds(module, weights | {"pretrained.cls_token": weights["pretrained.cls_token"] + 1})


def test_tensors_in_memory_are_copied(
    config: DepthAnythingConfig, weights: dict[str, Tensor]
) -> None:
    with torch.device("meta"):
        module = DepthAnything(config)
    load_weights(module, weights)
    kept = weights["pretrained.cls_token"].clone()
    with torch.no_grad():
        module.pretrained.cls_token.add_(1)
    assert torch.equal(weights["pretrained.cls_token"], kept)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "only.pth"])
def test_a_folder_gives_its_file(
    name: str, module: DepthAnything, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text("{}")
    save = save_file if name.endswith("safetensors") else torch.save
    save(weights, tmp_path / name)
    load_weights(module, tmp_path)
    assert_holds(module, weights)


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_a_checkpoint_in_parts_loads_by_its_index(
    suffix: str, module: DepthAnything, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    name = {"safetensors": "model", "bin": "pytorch_model"}[suffix]
    names, save = list(weights), save_file if suffix == "safetensors" else torch.save
    places = {}
    for number, part in enumerate((names[:50], names[50:]), start=1):
        file = f"{name}-{number:05}-of-00002.{suffix}"
        save({tensor: weights[tensor] for tensor in part}, tmp_path / file)
        places |= dict.fromkeys(part, file)
    index = tmp_path / f"{name}.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    for source in (tmp_path, index):
        fresh = DepthAnything(module.config)
        load_weights(fresh, source)
        assert_holds(fresh, weights)
    (tmp_path / places[names[-1]]).unlink()
    assert "00002-of-00002" in refusal(module, tmp_path)
    for text in ("{}", '{"weight_map": {"a": "../a.bin"}}', "[" * 100_000, '{"weight_map": {}}'):
        index.write_text(text)
        assert f"{index} " in refusal(module, index)


def test_what_training_kept_beside_the_network_is_named(
    module: DepthAnything, weights: dict[str, Tensor]
) -> None:
    one = torch.ones(1)
    for source, extra in (
        (prefixed("model.", weights) | {"criterion.weight": one}, "criterion.weight"),
        (prefixed("module.", weights) | {"n_averaged": one}, "n_averaged"),
        ({"model": weights | {"n_averaged": one}}, "n_averaged"),
    ):
        message = refusal(module, source)
        assert f"1 unexpected ({extra})" in message
        assert f"what training kept beside it ({extra}) is not the network's" in message


@pytest.mark.parametrize("layout", ["compiled inside DataParallel", "three deep", "mean alone"])
def test_whose_tensors_they_are_is_seen_behind_prefixes(layout: str, tmp_path: Path) -> None:
    from leadline.runtime.torch import models_that_fit

    marks = next(s.marks for s in SIGNATURES if s.models == ("lite",))
    tensors = {name: torch.zeros(shape) for name, shape in marks.items()}
    torch.save(LAYOUTS[layout](tensors), tmp_path / "x.pth")
    assert models_that_fit(tmp_path / "x.pth") == ("lite",)


def test_a_folder_with_two_files_is_not_guessed(module: DepthAnything, tmp_path: Path) -> None:
    for name in ("a.pth", "b.pth"):
        torch.save({}, tmp_path / name)
    assert "holds 2 (a.pth, b.pth). Give the file itself" in refusal(module, tmp_path)


def test_old_batch_norm_checkpoints_load() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    old = {k: v + 1 for k, v in module.state_dict().items() if "num_batches" not in k}
    load_weights(module, old)
    assert torch.equal(module.state_dict()["1.running_mean"], old["1.running_mean"])


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("swiglu", [False, True])
def test_the_name_map_goes_both_ways(
    in_memory: bool, swiglu: bool, config: DepthAnythingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = EncoderConfig(width=32, depth=4, heads=2, swiglu=swiglu)
    monkeypatch.setitem(ENCODERS, "tiny", encoder)
    weights = filled(DepthAnything(config))
    theirs = to_transformers(weights, in_memory=in_memory)
    assert not set(theirs) & set(weights)
    back = from_transformers(theirs)
    assert set(back) == set(weights)
    assert all(torch.equal(back[name], tensor) for name, tensor in weights.items())


@pytest.mark.parametrize(("file", "in_memory"), [("small_on_disk", False), ("small_tf5.23", True)])
def test_the_name_map_gives_the_published_names(file: str, in_memory: bool) -> None:
    path = FULL.parent / "facts" / "keys" / f"keys_hf_depth_anything_{file}.txt"
    if not path.is_file():
        pytest.skip("the key lists are not on this machine")
    names = {line.split("\t")[0] for line in path.read_text().split("\n") if line}
    with torch.device("meta"):
        state = models.build("depth-anything-v2-vits").state_dict()
    assert set(to_transformers(state, in_memory=in_memory)) == names


# --- weights of another model --------------------------------------------------------------------


def test_missing_extra_and_misshapen_tensors_are_named(
    module: DepthAnything, weights: dict[str, Tensor]
) -> None:
    weights["pretrained.norm.weight"] = torch.zeros(33)
    weights["depth_head.extra"] = torch.zeros(1)
    weights["pretrained.norm.bias"] = torch.zeros(32, dtype=torch.int8)
    del weights["pretrained.blocks.0.attn.qkv.weight"]
    message = refusal(module, weights)
    assert "1 missing (pretrained.blocks.0.attn.qkv.weight)" in message
    assert "1 unexpected (depth_head.extra)" in message
    assert "pretrained.norm.weight (33,) in place of (32,)" in message
    assert "pretrained.norm.bias torch.int8 in place of torch.float32" in message
    assert "belongs to no model that this version knows" in message


def test_only_the_first_few_are_named(module: DepthAnything, weights: dict[str, Tensor]) -> None:
    few = dict(list(weights.items())[:10])
    message = refusal(module, few)
    missing = len(weights) - 10
    assert (
        f"(10 tensors) does not fit DepthAnything ({len(weights)} tensors): {missing} missing"
        in message
    )
    assert message.count("depth_head.") + message.count("pretrained.") == 3


@pytest.mark.parametrize("encoder", ["vits", "vitb", "vitl", "vitg"])
@pytest.mark.parametrize("layout", ["originals", "transformers"])
def test_another_size_is_recognised(encoder: str, layout: str) -> None:
    with torch.device("meta"):
        theirs = models.build(f"depth-anything-v2-{encoder}").state_dict()
        ours = models.build(f"depth-anything-v1-{'vitb' if encoder == 'vits' else 'vits'}")
    source = theirs if layout == "originals" else to_transformers(theirs)
    with pytest.raises(WeightsError) as caught:
        load_weights(ours, source)
    message = str(caught.value)
    assert f"does not fit {ours.name}" in message
    assert f"leadline.models.build('depth-anything-v2-{encoder}')" in message
    assert ("transformers' layout" in message) == (layout == "transformers")


def test_the_right_model_in_another_shape_is_said_to_be_so() -> None:
    with torch.device("meta"):
        whole = models.build("depth-anything-v2-vits")
    part = dict(list(whole.state_dict().items())[:-2])
    with pytest.raises(WeightsError, match="the model that was built, so it is incomplete"):
        load_weights(whole, part)


def test_a_bare_encoder_is_recognised_and_fits_the_encoder() -> None:
    with torch.device("meta"):
        module = models.build("depth-anything-v2-vits")
    assert isinstance(module, DepthAnything)
    encoder = module.pretrained.state_dict()
    with pytest.raises(WeightsError, match=r"encoder of Depth Anything ViT-S alone.*pretrained"):
        load_weights(module, encoder)
    load_weights(module.pretrained, encoder)


def test_signatures_name_known_models_and_each_finds_its_own() -> None:
    for signature in SIGNATURES:
        assert set(signature.models) <= set(models.names())
        assert signature.models or signature.advice
        marks = {name: torch.empty(shape, device="meta") for name, shape in signature.marks.items()}
        assert guess(marks) is signature


# --- files that are not weights ------------------------------------------------------------------


class Runs:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("way", ["pickle", "zip", "legacy"])
def test_a_pickle_that_would_run_code_is_refused(
    way: str, module: DepthAnything, tmp_path: Path
) -> None:
    path, proof = tmp_path / "evil.pth", tmp_path / "it ran"
    if way == "pickle":
        path.write_bytes(pickle.dumps({"model": Runs(proof)}))
    else:
        torch.save({"model": Runs(proof)}, path, _use_new_zipfile_serialization=way == "zip")
    message = refusal(module, path)
    assert "evil.pth is refused" in message
    assert way == "pickle" or "posix.mkdir" in message  # a bare pickle is not read that far
    assert not proof.exists()


def test_a_whole_pickled_module_is_refused(module: DepthAnything, tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    message = refusal(module, tmp_path / "module.pth")
    assert "torch.nn.modules.linear.Linear" in message
    assert "save its state_dict() alone" in message


@pytest.mark.parametrize("way", ["zip", "legacy", "safetensors"])
@pytest.mark.parametrize("share", [0.002, 0.3, 0.9, 0.9999])
def test_a_file_cut_short_is_refused(
    way: str, share: float, module: DepthAnything, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "cut.pth"
    if way == "safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=way == "zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "cut.pth is damaged" in refusal(module, path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; the download broke off"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "run `git lfs pull`"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"\x08\x07\x12\x07pytorch", "open it with leadline.load"),
        (b"PK\x03\x04 and then nothing of the kind", "is damaged"),
    ],
)
def test_other_files_are_told_apart(
    content: bytes, message: str, module: DepthAnything, tmp_path: Path
) -> None:
    path = tmp_path / "file.onnx"
    path.write_bytes(content)
    assert message in refusal(module, path)


def test_a_missing_file_is_said_to_be_missing(module: DepthAnything, tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="no such weights file"):
        load_weights(module, tmp_path / "absent.pth")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "it holds nothing"),
        ({"epoch": 3, "lr": 0.1}, r"it holds epoch, lr\)"),
        ({"weight": torch.zeros(1), "epoch": 3}, "not tensors among its tensors: epoch"),
    ],
)
def test_a_mapping_without_weights_is_refused(
    source: Mapping[str, Any], message: str, module: DepthAnything
) -> None:
    with pytest.raises(WeightsError, match=message):
        load_weights(module, source)


def test_a_file_that_holds_no_mapping_is_refused(module: DepthAnything, tmp_path: Path) -> None:
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    assert "holds a Tensor; a state dict" in refusal(module, tmp_path / "tensor.pth")


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_bytes_never_end_in_another_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever bytes are overwritten, the file is read or refused with a WeightsError."""
    path = tmp_path_factory.mktemp("damaged") / "weights"
    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}
    way = data.draw(st.sampled_from(["zip", "legacy", "safetensors"]))
    if way == "safetensors":
        save_file(tensors, path)
    else:
        torch.save({"model": tensors}, path, _use_new_zipfile_serialization=way == "zip")
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    for _ in range(data.draw(st.integers(1, 8))):
        where = data.draw(st.integers(0, len(content) - 1))
        content[where] = data.draw(st.integers(0, 255))
    path.write_bytes(content.tobytes())
    try:
        read = read_weights(path)
    except WeightsError:
        return
    assert all(isinstance(tensor, torch.Tensor) for tensor in read.values())


def test_saving_leaves_no_half_written_file(
    module: DepthAnything, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ours.safetensors"
    save_weights(module, path)
    good = load_file(path)

    def broken(*_args: object, **_kwargs: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        save_weights(DepthAnything(module.config), path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert all(torch.equal(load_file(path)[name], tensor) for name, tensor in good.items())


def test_a_network_without_memory_draws_no_weights() -> None:
    code = (
        "import sys, torch; from leadline import models; "
        "m = models.build_weightless('depth-anything-v2-vitl'); "
        "assert all(p.is_meta for p in m.parameters()); "
        "print([n for n in ('torch._dynamo', 'sympy') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"
