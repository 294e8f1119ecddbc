"""Depth Anything: equal to the originals, to transformers, and to itself once traced."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

import leadline.models as models  # noqa: E402
from leadline.errors import InputError, UnknownNameError  # noqa: E402
from leadline.models.depth_anything import (  # noqa: E402
    CONFIGS,
    DepthAnything,
    DepthAnythingConfig,
)
from leadline.models.dinov2 import ENCODERS, EncoderConfig, resample_positions  # noqa: E402
from leadline.models.dpt import DPTOutputs  # noqa: E402
from testing.goldens import FULL, Golden, filled, load_golden  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from leadline.models.base import DepthModule

BIAS = {"depth_head.scratch.output_conv2.2.bias": {"add": 0.5}}

# encoder: (tensors, parameters, parameters of the encoder, digest of sorted names and shapes)
PUBLISHED = {
    "vits": (239, 24_785_089, 22_056_576, "d23c856bcc891ad7"),
    "vitb": (239, 97_470_785, None, "d1c1b5f27ca6324c"),
    "vitl": (407, 335_315_649, None, "879a82fe9a45723a"),
    "vitg": (631, 1_258_132_225, None, None),
}

GOLDENS = {
    "da1_vits": "depth-anything-v1-vits",
    "da2_vits": "depth-anything-v2-vits",
    "da2metric_vits_max20": "depth-anything-v2-metric-indoor-vits",
}

TINY = EncoderConfig(width=32, depth=4, heads=2)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> DepthAnything:
    """A small network with deterministic weights."""
    return tiny_network(monkeypatch)


def tiny_network(
    monkeypatch: pytest.MonkeyPatch, encoder: EncoderConfig = TINY, **options: Any
) -> DepthAnything:
    monkeypatch.setitem(ENCODERS, "tiny", encoder)
    config = DepthAnythingConfig(
        encoder="tiny", taps=(0, 1, 2, 3), features=16, out_channels=(8, 12, 16, 20), **options
    )
    module = DepthAnything(config).eval()
    module.load_state_dict(filled(module, overrides=BIAS))
    return module


def pictures(*shape: int, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def relative(ours: Tensor, reference: Tensor) -> float:
    return float((ours.float() - reference.float()).abs().max() / reference.float().abs().max())


@lru_cache(maxsize=1)
def small_weights(bias: bool) -> dict[str, Tensor]:
    """The golden files' ViT-S weights: drawing 25 million numbers takes a while."""
    return filled(models.build("depth-anything-v2-vits"), overrides=BIAS if bias else {})


def run_golden(golden: Golden, name: str, **options: Any) -> DepthModule:
    """The network of a golden file with that file's weights."""
    with torch.device("meta"):
        module = models.build(name, **options)
    description = golden.meta["models"]["model"]
    if name.endswith("vits") and description["gain"] == 1.0:
        assert description["overrides"] in ({}, BIAS)
        weights = small_weights(bool(description["overrides"]))
    else:
        weights = golden.weights(module)
    models.load_weights(module, weights)
    return module


def inner_maps(module: DepthAnything, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The output, and every inner map by the name that golden files give it."""
    maps: dict[str, Tensor] = {}
    encoder, head = module.pretrained, module.depth_head
    names = {encoder: "taps", encoder.patch_embed: "patch_embed", encoder.blocks[0]: "block0"}
    names |= {m: n for n, m in head.named_modules() if n}
    hooks = [
        m.register_forward_hook(lambda m, _args, out: maps.__setitem__(names[m], out))
        for m in names
    ]
    with torch.no_grad():
        output = module(batch)
        for i, tokens in enumerate(maps.pop("taps")):
            maps[f"feats.{i}"], maps[f"cls.{i}"] = tokens[:, 1:], tokens[:, 0]
        h, w = batch.shape[-2:]
        maps["pos_embed"] = encoder.embed_positions(h // 14, w // 14)
    for hook in hooks:
        hook.remove()
    return output, maps


def check_golden(golden: Golden, name: str, cases: tuple[str, ...], tolerance: float) -> None:
    module = run_golden(golden, name)
    assert isinstance(module, DepthAnything)
    for case in cases:
        output, maps = inner_maps(module, torch.from_numpy(golden.input(case)))
        maps["output"] = output
        for what in golden.keys(case):
            assert golden.relative_error(f"{case}/{what}", maps[what].numpy()) < tolerance, what


# --- the table -----------------------------------------------------------------------------------


def test_the_table_and_the_configs_name_the_same_models() -> None:
    assert {n for n in models.names() if n.startswith("depth-anything-v")} == set(CONFIGS)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'depth-anything-v2-vits'"):
        models.build("depth-anything-v2-vit-s")


def test_importing_the_table_imports_no_torch_and_building_only_its_own_family() -> None:
    code = (
        "import sys, leadline.models as m; m.names(); assert 'torch' not in sys.modules;"
        "m.build('depth-anything-v2-vits', encoder='vits');"
        "assert 'torch' in sys.modules and 'timm' not in sys.modules;"
        "mine = {n for n in sys.modules if n.startswith('leadline.models.')};"
        "print(sorted(n.rsplit('.')[-1] for n in mine))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == str(
        ["base", "depth_anything", "depth_anything_names", "dinov2", "dinov2_names", "dpt"]
        + ["variant"]
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_names_shapes_and_counts_are_the_published_ones(name: str) -> None:
    tensors, parameters, encoder_parameters, digest = PUBLISHED[CONFIGS[name].encoder]
    with torch.device("meta"):
        module = models.build(name)
    state = module.state_dict()
    lines = sorted(f"{key} {list(tensor.shape)}" for key, tensor in state.items())
    assert len(state) == tensors
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert isinstance(module, DepthAnything)
    if encoder_parameters:
        assert sum(p.numel() for p in module.pretrained.parameters()) == encoder_parameters
    if digest:
        assert hashlib.sha256("\n".join(lines).encode()).hexdigest().startswith(digest)
    assert module(torch.zeros(2, 3, 28, 42, device="meta")).shape == (2, 28, 42)


@pytest.mark.parametrize("file", ["v1_vits", "v2_vitb", "v2_vitl", "v2m_vitl"])
def test_names_shapes_and_types_match_the_key_lists(file: str) -> None:
    path = FULL.parent / "facts" / "keys" / f"keys_{file}.txt"
    if not path.is_file():
        pytest.skip("the key lists are not on this machine")
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    version, encoder = file.split("_")
    name = {"v2m": "v2-metric-outdoor"}.get(version, version)
    with torch.device("meta"):
        state = models.build(f"depth-anything-{name}-{encoder}").state_dict()
    assert lines == [f"{k}\t{list(t.shape)}\t{t.dtype}" for k, t in state.items()]


def test_metric_models_differ_in_their_depth_alone() -> None:
    indoor = CONFIGS["depth-anything-v2-metric-indoor-vitb"]
    outdoor = CONFIGS["depth-anything-v2-metric-outdoor-vitb"]
    assert (indoor.max_depth, outdoor.max_depth) == (20.0, 80.0)
    assert indoor.taps == outdoor.taps == CONFIGS["depth-anything-v2-vitb"].taps


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"feature": 64}, "no option 'feature'; it takes encoder, taps, features"),
        ({"max_depth": -1.0}, "positive metres"),
        ({"taps": (2, 5, 8)}, "four increasing block numbers from 0 to 11"),
        ({"taps": (2, 5, 8, 12)}, "four increasing block numbers from 0 to 11"),
        ({"positional": "scaled"}, "needs to be one of scale, size"),
        ({"out_channels": (1, 2, 3)}, "four positive channel counts"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.build("depth-anything-v2-vits", **options)


# --- parity with the originals -------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDENS)
def test_every_inner_map_equals_the_originals_extract(name: str) -> None:
    golden = load_golden(name, extract=True)
    check_golden(golden, GOLDENS[name], ("nonsquare", "batch2"), 1e-5)


@pytest.mark.parametrize("name", GOLDENS)
def test_every_inner_map_equals_the_originals(name: str) -> None:
    check_golden(load_golden(name), GOLDENS[name], ("nonsquare", "batch2"), 1e-5)


@pytest.mark.parametrize("name", [pytest.param("da1_vits", marks=pytest.mark.slow), "da2_vits"])
@pytest.mark.parametrize("case", ["train518", "wide"])
def test_full_size_pictures_equal_the_originals_extract(name: str, case: str) -> None:
    check_golden(load_golden(name, extract=True), GOLDENS[name], (case,), 1e-5)


@pytest.mark.slow
def test_large_equals_the_original() -> None:
    golden = load_golden("da1_vitl", extract=True)
    check_golden(golden, "depth-anything-v1-vitl", ("nonsquare", "batch2"), 1e-5)


@pytest.mark.parametrize("name", [*GOLDENS, "da1_vitl", "da2_infer_image"])
def test_the_committed_extract_is_part_of_the_full_file(name: str) -> None:
    full, extract = load_golden(name), load_golden(name, extract=True)
    assert {key.split("/")[0] for key in full.arrays} == {k.split("/")[0] for k in extract.arrays}
    for key, values in extract.arrays.items():
        every = extract.meta["every"].get(key, {"stride": 1})
        np.testing.assert_array_equal(
            values.reshape(-1), full.arrays[key].reshape(-1)[:: every["stride"]]
        )


def test_the_extracts_stay_small() -> None:
    sizes = [path.stat().st_size for path in load_golden_folder().glob("da*.npz")]
    assert 0 < sum(sizes) < 1_000_000


def load_golden_folder() -> Path:
    from testing.goldens import COMMITTED

    return COMMITTED


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"taps": (8, 9, 10, 11)}, 0.48), ({"positional": "size"}, 0.017)],
)
def test_a_wrong_variant_is_far_from_the_original(options: dict[str, Any], expected: float) -> None:
    golden = load_golden("da2_vits", extract=True)
    module = run_golden(golden, "depth-anything-v2-vits", **options)
    with torch.no_grad():
        output = module(torch.from_numpy(golden.input("nonsquare"))).numpy()
    reference = golden.arrays["nonsquare/output"]
    difference = np.abs(golden.kept("nonsquare/output", output) - reference).max()
    assert expected / 3 < difference < expected * 3


@pytest.mark.parametrize("extract", [True, False])
def test_picture_to_map_equals_the_original(extract: bool) -> None:
    """The network and the way back to the picture's size, from the original's own input tensor."""
    golden = load_golden("da2_infer_image", extract=extract)
    module = run_golden(golden, "depth-anything-v2-vits")
    full = load_golden("da2_infer_image")
    for case in ("0", "1"):
        h, w = golden.arrays[f"{case}/image_bgr"].shape[:2]
        batch = torch.from_numpy(full.arrays[f"{case}/tensor_112"])
        with torch.no_grad():
            depth = module(batch)
        depth = F.interpolate(depth[:, None], (h, w), mode="bilinear", align_corners=True)[0, 0]
        assert golden.relative_error(f"{case}/depth_112", depth.numpy()) < 1e-5


# --- positions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(9, 12), (37, 49), (5, 7), (1, 3), (37, 38), (80, 74)])
@pytest.mark.parametrize("positional", ["scale", "size"])
def test_positions_are_resampled_as_by_interpolate(size: tuple[int, int], positional: str) -> None:
    grid = pictures(37, 37, 8)
    nchw = grid.permute(2, 0, 1)[None]
    if positional == "size":
        reference = F.interpolate(nchw, size=size, mode="bicubic", align_corners=False)
    else:
        factor = tuple((side + 0.1) / 37 for side in size)
        reference = F.interpolate(nchw, scale_factor=factor, mode="bicubic", align_corners=False)
    ours = resample_positions(grid, *size, positional=positional)  # ty: ignore[invalid-argument-type]
    assert relative(ours, reference[0].permute(1, 2, 0)) < 2e-5


@pytest.mark.parametrize("positional", ["scale", "size"])
def test_positions_at_their_own_size_stay_bit_equal(positional: str) -> None:
    grid = pictures(37, 37, 8)
    assert torch.equal(resample_positions(grid, 37, 37, positional=positional), grid)  # ty: ignore[invalid-argument-type]


def test_both_positional_modes_agree_at_the_native_size_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = (tiny_network(monkeypatch, positional=mode) for mode in ("scale", "size"))
    with torch.no_grad():
        native, wide = pictures(1, 3, 518, 518), pictures(1, 3, 70, 98)
        assert torch.equal(ours(native), theirs(native))
        assert relative(ours(wide), theirs(wide)) > 1e-4


# --- transformers --------------------------------------------------------------------------------


def transformers_twin(module: DepthAnything) -> Any:
    """transformers' network of the same size, with the same weights."""
    transformers = pytest.importorskip("transformers", minversion="4.50")
    from leadline.models.depth_anything_names import to_transformers

    config, encoder = module.config, module.pretrained.config
    twin = transformers.DepthAnythingForDepthEstimation(
        transformers.DepthAnythingConfig(
            backbone_config=transformers.Dinov2Config(
                hidden_size=encoder.width,
                num_hidden_layers=encoder.depth,
                num_attention_heads=encoder.heads,
                use_swiglu_ffn=encoder.swiglu,
                image_size=14 * encoder.grid,
                patch_size=encoder.patch,
                out_indices=[tap + 1 for tap in config.taps],
                reshape_hidden_states=False,
            ),
            reassemble_hidden_size=encoder.width,
            patch_size=encoder.patch,
            neck_hidden_sizes=list(config.out_channels),
            fusion_hidden_size=config.features,
            depth_estimation_type="relative" if config.max_depth is None else "metric",
            max_depth=int(config.max_depth or 1),  # transformers wants whole metres
        )
    ).eval()
    in_memory = any(".q_proj." in name for name in twin.state_dict())
    weights = to_transformers(module.state_dict(), in_memory=in_memory)
    twin.load_state_dict(weights, strict=True)
    return twin


@pytest.mark.parametrize(
    "variant",
    [{}, {"max_depth": 80.0}, {"encoder": EncoderConfig(width=32, depth=4, heads=2, swiglu=True)}],
)
def test_it_computes_what_transformers_computes(
    variant: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tiny_network(monkeypatch, positional="size", **variant)
    twin = transformers_twin(module)
    for size in ((518, 518), (126, 168), (70, 98)):
        batch = pictures(2, 3, *size)
        with torch.no_grad():
            ours, theirs = module(batch), twin(batch).predicted_depth
        assert relative(ours, theirs) < 1e-5
        assert theirs.std() > 0.01  # a dead output would agree with anything


def test_small_computes_what_transformers_computes() -> None:
    module = models.build("depth-anything-v2-vits", positional="size")
    models.load_weights(module, small_weights(bias=True))
    assert isinstance(module, DepthAnything)
    twin = transformers_twin(module)
    batch = pictures(1, 3, 140, 182)
    with torch.no_grad():
        assert relative(module(batch), twin(batch).predicted_depth) < 1e-5


@pytest.mark.parametrize("swiglu", [False, True])
def test_weights_saved_by_transformers_load(
    swiglu: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = tiny_network(monkeypatch, EncoderConfig(width=32, depth=4, heads=2, swiglu=swiglu))
    twin = transformers_twin(module)
    twin.save_pretrained(tmp_path / "saved")
    for source in (tmp_path / "saved", twin.state_dict()):
        fresh = DepthAnything(module.config)
        models.load_weights(fresh, source)
        for name, tensor in module.state_dict().items():
            assert torch.equal(fresh.state_dict()[name], tensor), name


# --- sizes, types, training ----------------------------------------------------------------------


@pytest.mark.parametrize("size", [(14, 14), (14, 70), (98, 14), (42, 56)])
def test_every_multiple_of_14_is_taken(size: tuple[int, int], tiny: DepthAnything) -> None:
    with torch.no_grad():
        depth = tiny(pictures(1, 3, *size))
    assert depth.shape == (1, *size)
    assert bool(torch.isfinite(depth).all())


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 500, 518), "500x518 pixels.*multiples of 14. Resize to 504x518"),
        ((1, 3, 5, 14), "Resize to 14x14"),
        ((3, 28, 28), r"shape \(3, 28, 28\); a \(b, 3, h, w\) batch"),
        ((1, 1, 28, 28), r"shape \(1, 1, 28, 28\)"),
    ],
)
def test_other_batches_are_refused(
    shape: tuple[int, ...], message: str, tiny: DepthAnything
) -> None:
    with pytest.raises(InputError, match=message):
        tiny(torch.zeros(shape))


def test_a_batch_is_its_pictures_one_by_one(tiny: DepthAnything) -> None:
    batch = pictures(3, 3, 42, 70)
    with torch.no_grad():
        assert relative(tiny(batch), torch.cat([tiny(x[None]) for x in batch])) < 1e-5


def test_metric_depth_lies_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = (tiny_network(monkeypatch, max_depth=d) for d in (20.0, 80.0))
    batch = 3 * pictures(1, 3, 70, 70)
    with torch.no_grad():
        metres = near(batch)
        assert 0 < metres.min() < metres.max() < 20
        torch.testing.assert_close(far(batch), 4 * metres)


def test_outputs_hold_the_inner_maps(tiny: DepthAnything) -> None:
    with torch.no_grad():
        outputs = tiny.forward_all(pictures(1, 3, 56, 70))
    assert isinstance(outputs, DPTOutputs)
    assert outputs.features.shape == (1, 32, 56, 70)
    assert outputs.bottleneck.shape == (1, 16, 2, 3)
    assert [p.shape[-2:] for p in outputs.paths] == [(4, 5), (8, 10), (16, 20), (32, 40)]


def test_bfloat16_autocast_stays_close_and_gives_float32(tiny: DepthAnything) -> None:
    batch = pictures(1, 3, 126, 168)
    with torch.no_grad():
        exact = tiny(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = tiny(batch)
    assert rough.dtype == torch.float32
    error = (rough - exact).abs().mean() / exact.abs().mean()
    assert 1e-5 < error < 0.02
    assert len(rough.unique()) > 1000  # bfloat16 alone would leave a few hundred levels


def test_a_bfloat16_module_runs(tiny: DepthAnything) -> None:
    batch = pictures(1, 3, 70, 98)
    with torch.no_grad():
        exact = tiny(batch)
        rough = tiny.to(torch.bfloat16)(batch.to(torch.bfloat16))
    assert (rough - exact).abs().mean() / exact.abs().mean() < 0.05


def test_gradients_reach_every_used_weight(tiny: DepthAnything) -> None:
    tiny.train()(pictures(2, 3, 42, 56)).square().mean().backward()
    idle = {name for name, p in tiny.named_parameters() if p.grad is None}
    units = [f"conv{n}.{kind}" for n in (1, 2) for kind in ("weight", "bias")]
    assert idle == {"pretrained.mask_token"} | {
        f"depth_head.scratch.refinenet4.resConfUnit1.{unit}" for unit in units
    }


# --- tracing -------------------------------------------------------------------------------------


def dynamic_shapes() -> tuple[dict[int, Any], ...]:
    height, width = torch.export.Dim("h", max=200), torch.export.Dim("w", max=400)
    return ({0: torch.export.Dim("b", max=64), 2: 14 * height, 3: 14 * width},)


SIZES = ((126, 168), (518, 518), (42, 98), (518, 686))


@pytest.mark.slow
@pytest.mark.parametrize("positional", ["scale", "size"])
def test_it_exports_with_dynamic_sides(positional: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tiny_network(monkeypatch, positional=positional)
    program = torch.export.export(
        module, (pictures(2, 3, 126, 168),), dynamic_shapes=dynamic_shapes(), strict=False
    ).module()
    for size in SIZES:
        batch = pictures(1, 3, *size)
        with torch.no_grad():
            assert relative(program(batch), module(batch)) < 1e-5


@pytest.mark.slow
def test_it_compiles_into_one_graph(tiny: DepthAnything) -> None:
    compiled = torch.compile(tiny, fullgraph=True, dynamic=True, backend="aot_eager")
    for size in SIZES[:3]:
        batch = pictures(1, 3, *size)
        with torch.no_grad():
            assert relative(compiled(batch), tiny(batch)) < 1e-5
            with torch.autocast("cpu", dtype=torch.bfloat16):
                assert (compiled(batch) - tiny(batch)).abs().mean() < 0.02 * tiny(batch).mean()


@pytest.mark.slow
def test_its_onnx_file_runs_at_every_size(tiny: DepthAnything, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    path = tmp_path / "tiny.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            tiny,
            (pictures(2, 3, 126, 168),),
            path,
            dynamo=True,
            dynamic_shapes=dynamic_shapes(),
            input_names=["image"],
            output_names=["depth"],
            verbose=False,
        )
    for run in (onnxruntime_runner(path), openvino_runner(path)):
        for size in SIZES:
            batch = pictures(2, 3, *size)
            with torch.no_grad():
                expected = tiny(batch)
            assert relative(torch.from_numpy(run(batch.numpy())), expected) < 5e-5


def onnxruntime_runner(path: Path) -> Any:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(None, {"image": batch})[0]


def openvino_runner(path: Path) -> Any:
    openvino = pytest.importorskip("openvino")
    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda batch: model([batch])[0]
