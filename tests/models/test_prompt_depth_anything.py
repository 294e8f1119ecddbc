"""Prompt Depth Anything: equal to transformers, and bounded by its prompt."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import leadline.models as models  # noqa: E402
from leadline.errors import InputError, UnknownNameError, WeightsError  # noqa: E402
from leadline.image import Image  # noqa: E402
from leadline.kinds import DepthKind  # noqa: E402
from leadline.models.depth_anything_names import to_transformers  # noqa: E402
from leadline.models.dinov2 import ENCODERS, EncoderConfig  # noqa: E402
from leadline.models.prompt_depth_anything import (  # noqa: E402
    CONFIGS,
    PromptDepthAnything,
    PromptDepthAnythingConfig,
)
from leadline.preprocess import Preprocess  # noqa: E402
from leadline.spec import ModelSpec, PreprocessSpec  # noqa: E402
from testing.goldens import FULL, Golden, fill_value, filled, load_golden  # noqa: E402
from testing.inner import watch  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

NAME = "prompt-depth-anything-vits"
TINY = EncoderConfig(width=32, depth=4, heads=2)
SPEC = ModelSpec(
    name=NAME,
    kind=DepthKind.METRIC_DEPTH,
    preprocess=PreprocessSpec(
        size=(756, 756),
        resize="minimal",
        multiple_of=14,
        interpolation="pil_bicubic",
        output_interpolation="cubic",
    ),
    inputs=("image", "prompt_depth"),
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> PromptDepthAnything:
    return tiny_network(monkeypatch)


def tiny_network(monkeypatch: pytest.MonkeyPatch, **options: Any) -> PromptDepthAnything:
    monkeypatch.setitem(ENCODERS, "tiny", TINY)
    config = PromptDepthAnythingConfig(
        encoder="tiny", taps=(0, 1, 2, 3), features=16, out_channels=(8, 12, 16, 20), **options
    )
    module = PromptDepthAnything(config).eval()
    module.load_state_dict(filled(module))
    return module


def pictures(*shape: int, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def prompts(*shape: int, seed: int = 1) -> Tensor:
    """Metres from 1 to 4."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.uniform(1, 4, shape).astype(np.float32))


def relative(ours: Tensor, reference: Tensor) -> float:
    return float((ours.float() - reference.float()).abs().max() / reference.float().abs().max())


@lru_cache(maxsize=1)
def small() -> PromptDepthAnything:
    """The published network, filled by the names that transformers has in memory."""
    with torch.device("meta"):
        module = models.build(NAME)
    names = to_transformers(module.state_dict(), in_memory=True)
    weights = {name: fill_value(name, tuple(tensor.shape)) for name, tensor in names.items()}
    models.load_weights(module, weights)
    assert isinstance(module, PromptDepthAnything)
    return module


# --- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "parameters"), [("vits", 25_083_073), ("vitl", 340_046_529)])
def test_counts_are_the_published_ones(size: str, parameters: int) -> None:
    with torch.device("meta"):
        module = models.build(f"prompt-depth-anything-{size}")
        depth = module.outputs(torch.zeros(2, 3, 28, 42), torch.ones(2, 24, 32))["depth"]
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert depth.shape == module(torch.zeros(2, 3, 28, 42, device="meta")).shape == (2, 28, 42)


def test_the_table_and_the_configs_name_the_same_models() -> None:
    assert {n for n in models.names() if n.startswith("prompt-depth-anything")} == set(CONFIGS)


def test_names_and_shapes_match_the_key_list() -> None:
    path = FULL.parent / "facts" / "keys" / "keys_prompt_da_vits.txt"
    if not path.is_file():
        pytest.skip("the key lists are not on this machine")
    with torch.device("meta"):
        state = to_transformers(models.build(NAME).state_dict(), in_memory=True)
    found = {f"{name} {list(tensor.shape)}" for name, tensor in state.items()}
    for line in path.read_text().splitlines():
        if line[0] == "#":
            continue
        last = int(match[1]) if (match := re.search(r"\.\.(\d+)\}", line)) else 0
        for i in range(last + 1):
            found.remove(re.sub(r"\{.*?\}", str(i), line))
    assert not found


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_depth": 5}, InputError, "no option 'max_depth'; it takes encoder, taps, features"),
        ({"taps": (2, 5, 8, 12)}, InputError, "four increasing block numbers from 0 to 11"),
        ({"encoder": "vit"}, UnknownNameError, "Did you mean"),
        ({"positional": "scaled"}, InputError, "needs to be one of scale, size"),
    ],
)
def test_bad_options_are_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with torch.device("meta"), pytest.raises(error, match=message):
        models.build(NAME, **options)


# --- parity with transformers --------------------------------------------------------------------


@pytest.mark.parametrize("extract", [True, False])
@pytest.mark.parametrize("case", ["prompt", "noprompt"])
def test_every_inner_map_equals_transformers(case: str, extract: bool) -> None:
    golden = load_golden("prompt_depth_anything_vits", extract=extract)
    module, image = small(), torch.from_numpy(golden.input(case))
    prompt = golden.arrays.get(f"{case}/prompt_depth")
    inputs = {} if prompt is None else {"prompt_depth": torch.from_numpy(prompt[:, 0])}
    outputs, seen = watch(module, lambda: module.outputs(image, **inputs))
    if prompt is None:
        with torch.no_grad():
            assert torch.equal(module(image), outputs["depth"])
    check(golden, case, outputs["depth"], seen)


def check(golden: Golden, case: str, depth: Tensor, seen: dict[str, Tensor]) -> None:
    found = {"predicted_depth": depth}
    for i in range(4):  # ours are counted from the finest
        block = f"depth_head.scratch.refinenet{4 - i}"
        found[f"fusion.{i}"] = seen[block]
        found[f"prompt_depth_layer.{i}"] = seen.get(f"{block}.resConfUnit_depth", depth)
    for what in set(golden.keys(case)) - {"prompt_depth"}:
        assert golden.relative_error(f"{case}/{what}", found[what].numpy()) < 1e-5, what


def test_the_original_rule_for_positions_is_far_from_transformers() -> None:
    golden = load_golden("prompt_depth_anything_vits", extract=True)
    with torch.device("meta"):
        module = models.build(NAME, positional="scale")
    models.load_weights(module, small().state_dict())
    with torch.no_grad():
        depth = module(torch.from_numpy(golden.input("noprompt")))
    assert golden.relative_error("noprompt/predicted_depth", depth.numpy()) > 1e-4


def test_a_picture_is_prepared_as_by_transformers() -> None:
    golden = load_golden("prompt_depth_anything_vits", extract=True)
    metres = golden.arrays["prep/prompt_mm"].astype(np.float32) / 1000
    image = Image(pixels=golden.arrays["prep/rgb"], prompt_depth=metres)
    spec = replace(SPEC.preprocess, size=(140, 140))
    prepared = Preprocess(spec, inputs=SPEC.inputs)(image).arrays
    prompt = golden.kept("prep/prompt_depth", prepared["prompt_depth"][:, None])
    np.testing.assert_allclose(prompt, golden.arrays["prep/prompt_depth"], rtol=1e-6)
    ours = prepared["image"]
    difference = np.abs(golden.kept("prep/pixel_values", ours) - golden.arrays["prep/pixel_values"])
    assert difference.max() < 1.01 / 255 / 0.224  # one grey level, where the roundings differ
    assert (difference > 1e-5).mean() < 0.02


def transformers_twin(module: PromptDepthAnything) -> Any:
    """transformers' network of the same size, with the same weights."""
    transformers = pytest.importorskip("transformers", minversion="5")
    config, encoder = module.config, module.pretrained.config
    twin = transformers.PromptDepthAnythingForDepthEstimation(
        transformers.PromptDepthAnythingConfig(
            backbone_config=transformers.Dinov2Config(
                hidden_size=encoder.width,
                num_hidden_layers=encoder.depth,
                num_attention_heads=encoder.heads,
                image_size=14 * encoder.grid,
                patch_size=encoder.patch,
                out_indices=[tap + 1 for tap in config.taps],
                reshape_hidden_states=False,
            ),
            reassemble_hidden_size=encoder.width,
            patch_size=encoder.patch,
            neck_hidden_sizes=list(config.out_channels),
            fusion_hidden_size=config.features,
            depth_estimation_type="metric" if config.bounded else "relative",
            max_depth=1,
        )
    ).eval()
    twin.load_state_dict(to_transformers(module.state_dict(), in_memory=True), strict=True)
    return twin


@pytest.mark.parametrize("bounded", [True, False])
def test_it_computes_what_transformers_computes(
    bounded: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = tiny_network(monkeypatch, bounded=bounded)
    twin = transformers_twin(module)
    twin.save_pretrained(tmp_path / "saved")
    for source in (tmp_path / "saved", twin.state_dict()):
        fresh = PromptDepthAnything(module.config).eval()
        models.load_weights(fresh, source)
        for name, tensor in module.state_dict().items():
            assert torch.equal(fresh.state_dict()[name], tensor), name
    for size in ((70, 98), (126, 56)):
        image, prompt = pictures(2, 3, *size), prompts(2, 1, 24, 32)
        with torch.no_grad():
            theirs = twin(image, prompt_depth=prompt).predicted_depth
            assert relative(module.outputs(image, prompt)["depth"], theirs) < 1e-5
            assert theirs.std() > 1e-3
            assert relative(module(image), twin(image).predicted_depth) < 1e-5


def test_the_wrapper_of_the_originals_training_is_taken_off(tiny: PromptDepthAnything) -> None:
    wrapped = {"state_dict": {f"pipeline.{k}": v + 1 for k, v in tiny.state_dict().items()}}
    fresh = PromptDepthAnything(tiny.config)
    models.load_weights(fresh, wrapped)
    for name, tensor in tiny.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor + 1)


def test_depth_anything_and_it_do_not_take_each_others_weights() -> None:
    with torch.device("meta"):
        plain, prompted = models.build("depth-anything-v2-vits"), models.build(NAME)
    with pytest.raises(WeightsError, match=f"looks like Prompt Depth Anything ViT-S.*'{NAME}'"):
        models.load_weights(plain, prompted.state_dict())
    with pytest.raises(WeightsError, match=r"looks like Depth Anything ViT-S: load"):
        models.load_weights(prompted, plain.state_dict())


# --- the prompt ----------------------------------------------------------------------------------


def test_depth_lies_within_the_range_of_each_prompt(tiny: PromptDepthAnything) -> None:
    image, prompt = 3 * pictures(2, 3, 70, 98), prompts(2, 6, 8)
    prompt[1] += 100
    with torch.no_grad():
        depth = tiny.outputs(image, prompt)["depth"]
    assert depth.shape == (2, 70, 98)
    for values, given in zip(depth, prompt, strict=True):
        assert given.min() < values.min() < values.max() < given.max()


def test_the_prompts_unit_and_offset_are_those_of_the_depth(tiny: PromptDepthAnything) -> None:
    image, prompt = pictures(1, 3, 70, 98), prompts(1, 6, 8)
    with torch.no_grad():
        metres = tiny.outputs(image, prompt)["depth"]
        assert (
            relative(tiny.outputs(image, 1000 * prompt + 500)["depth"], 1000 * metres + 500) < 1e-5
        )


def test_a_constant_prompt_gives_a_constant_depth(tiny: PromptDepthAnything) -> None:
    with torch.no_grad():
        depth = tiny.outputs(pictures(1, 3, 28, 42), torch.full((1, 4, 4), 2.5))["depth"]
    assert torch.equal(depth, torch.full((1, 28, 42), 2.5))


def test_a_fresh_network_does_not_heed_its_prompt(tiny: PromptDepthAnything) -> None:
    fresh, image = PromptDepthAnything(tiny.config).eval(), pictures(1, 3, 28, 42)
    prompt = prompts(1, 6, 8)
    with torch.no_grad():
        expected = fresh(image) * (prompt.max() - prompt.min()) + prompt.min()
        torch.testing.assert_close(fresh.outputs(image, prompt)["depth"], expected)
        changed = tiny(image) * (prompt.max() - prompt.min()) + prompt.min()
        assert relative(tiny.outputs(image, prompt)["depth"], changed) > 1e-4


@pytest.mark.parametrize("shape", [(2, 24, 32), (24, 32), (1, 3, 24, 32)])
def test_other_prompts_are_refused(shape: tuple[int, ...], tiny: PromptDepthAnything) -> None:
    with pytest.raises(InputError, match=r"\(b, h, w\) metres, one map for each picture"):
        tiny.outputs(torch.zeros(1, 3, 28, 42), torch.ones(shape))


def test_other_pictures_are_refused(tiny: PromptDepthAnything) -> None:
    with pytest.raises(InputError, match="multiples of 14"):
        tiny.outputs(torch.zeros(1, 3, 30, 42), torch.ones(1, 4, 4))


def test_gradients_reach_every_used_weight(tiny: PromptDepthAnything) -> None:
    outputs = tiny.train().outputs(pictures(2, 3, 42, 56), prompts(2, 6, 8))
    outputs["depth"].square().mean().backward()
    idle = {name for name, p in tiny.named_parameters() if p.grad is None}
    unit = "depth_head.scratch.refinenet4.resConfUnit1"
    assert idle == {"pretrained.mask_token"} | {
        f"{unit}.conv{n}.{kind}" for n in (1, 2) for kind in ("weight", "bias")
    }


@pytest.mark.slow
@pytest.mark.parametrize("file", ["tiny.onnx", "tiny.xml"])
def test_an_exported_file_gives_the_same_at_every_size(
    file: str, tiny: PromptDepthAnything, tmp_path: Path
) -> None:
    pytest.importorskip("onnxscript" if file.endswith("onnx") else "openvino")
    from leadline.export import export_module

    spec = replace(SPEC, preprocess=replace(SPEC.preprocess, size=(98, 126)))
    exported = export_module(tiny, spec, tmp_path / file)
    assert {check.shape[0] for check in exported.checks} == {1, 2}
    assert all(check.relative_error < 2e-5 for check in exported.checks)
