"""Depth Anything 3: equal to the original with deterministic weights, view by view."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import leadline.models as models  # noqa: E402
from leadline.errors import InputError, UnknownNameError, WeightsError  # noqa: E402
from leadline.models import depth_anything_3  # noqa: E402
from leadline.models.depth_anything_3 import (  # noqa: E402
    DepthAnything3,
    DepthAnything3Nested,
    DepthAnything3Sky,
)
from leadline.models.depth_anything_3_config import (  # noqa: E402
    CONFIGS,
    AnyViewConfig,
    NestedConfig,
    SkyConfig,
)
from leadline.models.dinov2 import ENCODERS, EncoderConfig  # noqa: E402
from leadline.models.weights import save_weights  # noqa: E402
from testing.goldens import FULL, Golden, filled, load_golden  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

PUBLISHED = {  # (tensors, parameters)
    "da3-small": (443, 34_299_463),
    "da3-base": (443, 135_366_599),
    "da3-large": (643, 410_941_767),
    "da3-giant": (911, 1_320_045_639),
    "da3mono-large": (406, 334_171_394),
    "da3metric-large": (406, 334_171_394),
    "da3nested-giant-large": (911 + 406, 1_320_045_639 + 334_171_394),
}
TINY_HEAD: dict[str, Any] = {
    "features": 16,
    "out_channels": (8, 12, 16, 20),
    "encoder": "tiny",
}
LIVELY = {"cam_dec.fc_fov.0.bias": {"add": 1.0}, "cam_dec.fc_qvec.bias": {"add": 0.5}}
FURTHER = {f"da3.{name}": change for name, change in LIVELY.items()}


@pytest.fixture(autouse=True)
def _tiny_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODERS, "tiny", EncoderConfig(width=64, depth=6, heads=2))


def tiny_config(**options: Any) -> AnyViewConfig:
    return AnyViewConfig(alternate_from=2, taps=(2, 3, 4, 5), **TINY_HEAD, **options)


def tiny_sky_config() -> SkyConfig:
    return SkyConfig(taps=(1, 2, 3, 4), **TINY_HEAD)


def tiny_network(**options: Any) -> DepthAnything3:
    module = DepthAnything3(tiny_config(**options)).eval()
    token = {"backbone.pretrained.camera_token": {"mul": 20.0}}
    module.load_state_dict(filled(module, overrides=LIVELY | token))
    return module


def tiny_sky() -> DepthAnything3Sky:
    module = DepthAnything3Sky(tiny_sky_config()).eval()
    module.load_state_dict(filled(module))
    return module


def tiny_nested() -> DepthAnything3Nested:
    module = DepthAnything3Nested(
        NestedConfig(any_view=tiny_config(), metric=tiny_sky_config())
    ).eval()
    module.load_state_dict(filled(module, overrides=FURTHER))
    return module


def pictures(*shape: int, seed: int = 0) -> Tensor:
    """Noise, with a colour of its own for each view."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(shape) + 2 * rng.standard_normal((*shape[:-2], 1, 1))
    return torch.from_numpy(noise.astype(np.float32))


def relative(ours: Tensor, reference: Tensor) -> float:
    return float((ours - reference).abs().max() / reference.abs().max())


# --- names and counts ----------------------------------------------------------------------------


def test_the_table_and_the_configs_name_the_same_models() -> None:
    assert {name for name in models.names() if name.startswith("da3")} == set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_counts_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        module = models.build(name)
    parameters = sum(p.numel() for p in module.parameters())
    assert (len(module.state_dict()), parameters) == PUBLISHED[name]


@pytest.mark.slow
def test_the_giant_runs_without_memory() -> None:
    with torch.device("meta"):
        module = models.build("da3-giant")
    batch = torch.zeros(1, 2, 3, 28, 42, device="meta")
    assert module(batch).shape == (1, 2, 28, 42)


@pytest.mark.parametrize("file", ["small", "base", "large", "giant", "mono_large"])
def test_names_and_shapes_match_the_key_lists(file: str) -> None:
    path = FULL.parent / "facts" / "keys" / f"keys_da3{'' if file[0] == 'm' else '_'}{file}.txt"
    if not path.is_file():
        pytest.skip("the key lists are not on this machine")
    with torch.device("meta"):
        module = models.build(f"da3{file.replace('_', '-')}" if "_" in file else f"da3-{file}")
    ours = {f"{k}\t{list(t.shape)}\t{t.dtype}" for k, t in module.state_dict().items()}
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    assert ours == {spread for line in lines for spread in spread_range(line)}


def spread_range(line: str) -> list[str]:
    """One line for each number of ``{0-11}``."""
    found = re.search(r"\{(\d+)-(\d+)\}", line)
    if not found:
        return [line]
    numbers = range(int(found[1]), int(found[2]) + 1)
    return [line.replace(found[0], str(n)) for n in numbers]


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("da3-small", {"feature": 64}, InputError, "no option 'feature'; it takes encoder, taps"),
        ("da3-small", {"taps": (5, 7, 9, 12)}, InputError, "block numbers from 0 to 11"),
        ("da3-small", {"alternate_from": 6}, InputError, "from 2 to the first tap, 5"),
        ("da3-small", {"features": 30}, InputError, "positive multiples of 4"),
        ("da3-small", {"export_feat_layers": (12,)}, InputError, "blocks from 0 to 11"),
        ("da3-small", {"ref_view_strategy": "last"}, UnknownNameError, "saddle_balanced"),
        ("da3mono-large", {"encoder": "vit"}, UnknownNameError, "vits"),
    ],
)
def test_bad_options_are_refused(
    name: str, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        models.build(name, **options)


# --- parity with the original --------------------------------------------------------------------


@lru_cache(maxsize=1)
def golden_network(file: str, name: str) -> Any:
    """The network of a golden file with that file's weights."""
    with torch.device("meta"):
        module = models.build(name)
    models.load_weights(module, load_golden(file, extract=True).weights(module, name))
    return module


def run_golden(module: Any, golden: Golden, case: str) -> dict[str, Tensor]:
    """What the network gives, by the names of the golden file."""
    settings = golden.cases[case].get("kwargs", {})
    layers = tuple(settings.get("export_feat_layers", ()))
    if isinstance(module, DepthAnything3):
        strategy = settings.get("ref_view_strategy", "saddle_balanced")
        module.config = replace(
            module.config, ref_view_strategy=strategy, export_feat_layers=layers
        )
    given = {
        what: torch.from_numpy(golden.arrays[f"{case}/in_{what}"])
        for what in ("extrinsics", "intrinsics")
        if f"{case}/in_{what}" in golden.arrays
    }
    seen: dict[str, Any] = {}
    handles = [
        part.register_forward_hook(lambda _m, _i, out, name=name: seen.__setitem__(name, out))
        for name, part in module.named_modules()
    ]
    with torch.no_grad():
        found = module.outputs(torch.from_numpy(golden.input(case)), **given)
    for handle in handles:
        handle.remove()
    if "rays" in found:
        found |= {"head.ray": found["rays"].movedim(2, -1), "head.ray_conf": found["ray_conf"]}
        found |= {"pose_enc": seen["cam_dec"], "cam_enc": seen.get("cam_enc")}
    else:
        found["head.depth"] = seen["head"][0].view_as(found["depth"])
    for layer in layers:
        found[f"aux.feat_layer_{layer}"] = found[f"feat_layer_{layer}"].movedim(2, -1)
    for name, out in seen.items():
        if isinstance(out, torch.Tensor):
            found[tap_name(name)] = out
    return found


def tap_name(module: str) -> str:
    """A module's name as the golden files have it."""
    short = re.sub(r"^(backbone\.pretrained|head\.scratch|head)\.", "", module)
    short = re.sub(r"^blocks\.(\d+)$", r"block_\1", short)
    short = re.sub(r"^blocks\.(\d+)\.attn\.q_norm$", r"qnorm_\1", short)
    return "tap." + short.replace("resize_layers.", "resize.")


def check_golden(file: str, name: str, *, extract: bool, cases: set[str] | None = None) -> None:
    golden, module = load_golden(file, extract=extract), golden_network(file, name)
    compared = 0
    for case in cases or golden.cases:
        found = run_golden(module, golden, case)
        reference = golden.cases[case].get("reference_view_index", [0])[0]
        for what in golden.keys(case):
            if what.startswith(("in_", "feats.", "camtok.")):
                continue
            ours = found[what]
            if what == "aux.feat_layer_7":  # the original leaves these views in its inner order
                order = [reference, *(v for v in range(ours.shape[1]) if v != reference)]
                ours = ours[:, order]
            assert golden.relative_error(f"{case}/{what}", ours.numpy()) < 1e-5, (case, what)
            compared += 1
    assert compared >= 2


def test_small_equals_the_original_for_every_kind_of_input() -> None:
    cases = {"view1", "view2", "view3", "view2_posed", "batch2x4"}
    check_golden("da3_small", "da3-small", extract=True, cases=cases)


def test_the_eps_of_every_norm_is_the_originals() -> None:
    check_golden("da3_small_eps", "da3-small", extract=True)


@pytest.mark.slow
@pytest.mark.parametrize("file", ["da3_small", "da3_small_eps"])
@pytest.mark.parametrize("extract", [True, False])
def test_small_equals_the_original_in_every_case(file: str, extract: bool) -> None:
    check_golden(file, "da3-small", extract=extract)


@pytest.mark.slow
@pytest.mark.parametrize("extract", [True, False])
def test_mono_equals_the_original(extract: bool) -> None:
    check_golden("da3mono_large", "da3mono-large", extract=extract)


def test_the_tapped_tokens_equal_the_originals() -> None:
    golden, module = load_golden("da3_small"), golden_network("da3_small", "da3-small")
    with torch.no_grad():
        tokens = module.backbone["pretrained"].encode_views(
            torch.from_numpy(golden.input("view2")), module.config.taps
        )
    for tap in (0, 3):
        patches = tokens.taps[tap][:, :, 1:].numpy()
        assert golden.relative_error(f"view2/feats.{tap}", patches) < 1e-5
    assert golden.relative_error("view2/camtok.3", tokens.camera.numpy()) < 1e-5


def test_a_wrong_reference_view_is_far_from_the_original() -> None:
    golden, module = (
        load_golden("da3_small", extract=True),
        golden_network("da3_small", "da3-small"),
    )
    wrong = run_golden(module, golden, "view3_middle")
    assert golden.relative_error("view3/extrinsics", wrong["extrinsics"].numpy()) > 0.1


# --- weights -------------------------------------------------------------------------------------


def test_the_authors_files_load(tmp_path: Path) -> None:
    """Prefixed names, one norm for four, and a head for Gaussians in the giant's file."""
    module, fresh = tiny_network(), DepthAnything3(tiny_config())
    lacking = ("output_conv2_aux.1.2.", "output_conv2_aux.2.2.", "output_conv2_aux.3.2.")
    held = {
        f"model.{name}": tensor
        for name, tensor in module.state_dict().items()
        if not any(part in name for part in lacking)
    }
    models.load_weights(fresh, {**held, "model.gs_head.scratch.weight": torch.zeros(3)})
    assert_equal_states(fresh, module)
    with pytest.raises(WeightsError, match=r"unexpected \(other\.weight\)"):
        models.load_weights(fresh, {**held, "model.other.weight": torch.zeros(3)})


def test_the_authors_nested_files_load() -> None:
    module, fresh = (
        tiny_nested(),
        DepthAnything3Nested(NestedConfig(any_view=tiny_config(), metric=tiny_sky_config())),
    )
    held = {
        name: tensor
        for name, tensor in module.state_dict().items()
        if "output_conv2_aux.1.2" not in name
    }
    models.load_weights(fresh, held | {"da3.gs_adapter.weight": torch.zeros(2)})
    assert_equal_states(fresh, module)


def test_saved_weights_load_again(tmp_path: Path) -> None:
    module, fresh = tiny_network(), DepthAnything3(tiny_config())
    save_weights(module, tmp_path / "model.safetensors")
    models.load_weights(fresh, tmp_path / "model.safetensors")
    assert_equal_states(fresh, module)


def assert_equal_states(module: Any, expected: Any) -> None:
    state = module.state_dict()
    assert state.keys() == expected.state_dict().keys()
    assert all(torch.equal(state[name], x) for name, x in expected.state_dict().items())


# --- views ---------------------------------------------------------------------------------------


def test_pictures_without_views_are_scenes_of_their_own() -> None:
    module, batch = tiny_network(export_feat_layers=(2,)), pictures(3, 3, 28, 42)
    with torch.no_grad():
        alone = [module.outputs(picture[None, None]) for picture in batch]
        together = module.outputs(batch)
    assert together["depth"].shape == (3, 28, 42)
    assert together["rays"].shape == (3, 6, 16, 24)
    assert together["extrinsics"].shape == (3, 3, 4)
    assert together["feat_layer_2"].shape == (3, 64, 2, 3)
    for name, values in together.items():
        assert relative(values, torch.cat([found[name][:, 0] for found in alone])) < 1e-5, name


def test_views_of_one_scene_see_each_other() -> None:
    module, views = tiny_network(), pictures(1, 2, 3, 28, 42)
    with torch.no_grad():
        together, alone = module.outputs(views), module.outputs(views[:, 0])
    assert relative(together["depth"][:, 0], alone["depth"]) > 1e-3


@pytest.mark.parametrize("strategy", ["saddle_balanced", "saddle_sim_range"])
def test_the_order_of_the_other_views_does_not_matter(strategy: Any) -> None:
    module, views = tiny_network(ref_view_strategy=strategy), pictures(1, 5, 3, 28, 28)
    order = [3, 0, 4, 2, 1]
    with torch.no_grad():
        first, moved = module.outputs(views), module.outputs(views[:, order])
    for name, values in first.items():
        assert relative(moved[name], values[:, order]) < 1e-4, name


def test_many_views_go_through_the_head_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    module, views = tiny_network(), pictures(1, 5, 3, 28, 28)
    with torch.no_grad():
        whole = module.outputs(views)
        monkeypatch.setattr(depth_anything_3, "_VIEWS_AT_ONCE", 2)
        parts = module.outputs(views)
    assert all(relative(parts[name], whole[name]) < 1e-5 for name in whole)


def cameras(views: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    extrinsics = torch.eye(4).repeat(1, views, 1, 1)
    extrinsics[0, :, 0, 3] = torch.arange(views)
    intrinsics = torch.tensor([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]])
    return extrinsics, intrinsics.repeat(1, views, 1, 1)


def test_given_poses_count_and_need_no_last_row() -> None:
    module, views = tiny_network(), pictures(1, 3, 3, 28, 42)
    extrinsics, intrinsics = cameras(3, 28, 42)
    with torch.no_grad():
        free = module.outputs(views)["depth"]
        posed = module.outputs(views, extrinsics, intrinsics)["depth"]
        short = module.outputs(views, extrinsics[..., :3, :], intrinsics)["depth"]
        single = module.outputs(views[:, 0], extrinsics[:, 0], intrinsics[:, 0])["depth"]
    assert relative(posed, free) > 1e-3
    assert torch.equal(posed, short)
    assert single.shape == (1, 28, 42)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"extrinsics": 0}, "extrinsics were given without intrinsics.*Give both"),
        ({"intrinsics": 1}, "intrinsics were given without extrinsics"),
    ],
)
def test_half_a_camera_is_refused(given: dict[str, int], message: str) -> None:
    both = cameras(2, 28, 42)
    with pytest.raises(InputError, match=message):
        tiny_network().outputs(
            pictures(1, 2, 3, 28, 42), **{name: both[i] for name, i in given.items()}
        )


def test_cameras_of_another_number_of_views_are_refused() -> None:
    extrinsics, intrinsics = cameras(3, 28, 42)
    with pytest.raises(InputError, match=r"for 1 x 2 views: \(1, 2, 4, 4\).*one camera a view"):
        tiny_network().outputs(pictures(1, 2, 3, 28, 42), extrinsics, intrinsics)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 2, 3, 30, 28), "30x28 pixels.*multiples of 14"),
        ((1, 2, 1, 28, 28), r"views of shape \(1, 2, 1, 28, 28\)"),
        ((1, 0, 3, 28, 28), "at least one view"),
        ((3, 28, 28), r"\(b, 3, h, w\)"),
    ],
)
@pytest.mark.parametrize("network", [tiny_network, tiny_sky])
def test_other_shapes_are_refused(shape: tuple[int, ...], message: str, network: Any) -> None:
    with pytest.raises(InputError, match=message):
        network().outputs(torch.zeros(shape))


# --- sky and metres ------------------------------------------------------------------------------


def test_a_batch_of_pictures_is_filled_one_by_one_and_views_together() -> None:
    module, batch = tiny_sky(), pictures(2, 3, 28, 42)
    with torch.no_grad():
        alone = torch.cat([module(picture[None]) for picture in batch])
        assert relative(module(batch), alone) < 1e-5
        sky = module.outputs(batch)["sky"] >= 0.3
        assert 10 < sky[0].sum() < 28 * 42 - 10
        views = module(batch[None])[0]
    assert len(views[sky].unique()) == 1
    assert len(alone[sky].unique()) == 2


def test_training_sees_the_depth_before_the_sky_is_filled() -> None:
    module, batch = tiny_sky(), pictures(2, 3, 28, 42)
    with torch.no_grad():
        filled_in = module(batch)
    module.train()
    raw = module.outputs(batch)["depth"]
    assert relative(filled_in, raw.detach()) > 1e-3
    raw.square().mean().backward()
    idle = {name for name, p in module.named_parameters() if p.grad is None}
    assert {name.split(".")[2] for name in idle if name.startswith("head")} == {"sky_output_conv2"}


def test_the_nested_network_is_the_any_view_one_times_a_scale() -> None:
    module, views = tiny_nested(), pictures(1, 2, 3, 28, 42)
    with torch.no_grad():
        found, free = module.outputs(views), module.da3.outputs(views)
        single = module.outputs(views[0])
    assert found["metric_scale"].shape == (1, 2)
    scale, ground = found["metric_scale"][0, 0], found["sky"] < 0.3
    assert bool((found["metric_scale"] == scale).all())
    assert relative(found["depth"][ground], scale * free["depth"][ground]) < 1e-6
    assert bool((found["depth_conf"][~ground] == 1).all())
    assert relative(found["extrinsics"][..., 3], scale * free["extrinsics"][..., 3]) < 1e-6
    assert relative(found["rays"][:, :, 3:], scale * free["rays"][:, :, 3:]) < 1e-6
    assert torch.equal(found["intrinsics"], free["intrinsics"])
    assert single["metric_scale"].shape == (2,)
    assert single["depth"].shape == (2, 28, 42)


def test_a_picture_of_nothing_but_sky_gets_no_metres() -> None:
    module = tiny_nested()
    module.state_dict()["da3_metric.head.scratch.sky_output_conv2.2.bias"] += 100
    with pytest.raises(InputError, match=r"0 pixels that are not sky.*Use 'da3-giant'"):
        module.outputs(pictures(1, 2, 3, 28, 42))


# --- arithmetic and tracing ----------------------------------------------------------------------


def test_gradients_reach_every_used_weight() -> None:
    module = tiny_network().train()
    found = module.outputs(pictures(1, 2, 3, 28, 42), *cameras(2, 28, 42))
    sum(x.square().mean() for x in found.values()).backward()
    idle = {name for name, p in module.named_parameters() if p.grad is None}
    heads = [f"head.scratch.output_conv{n}_aux" for n in (1, 2)]
    dead = tuple(f"{head}.{level}." for head in heads for level in (0, 1, 2))
    shared = {f"{heads[1]}.0.2.{part}" for part in ("weight", "bias")}  # of the living level too
    parameters = {name for name, _ in module.named_parameters() if name.startswith(dead)}
    assert idle == (parameters | {"backbone.pretrained.camera_token"}) - shared


@pytest.mark.slow
@pytest.mark.parametrize("network", [tiny_network, tiny_sky])
def test_one_view_exports_with_dynamic_sides(network: Any, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    module = Named(network())
    height, width = torch.export.Dim("h", max=60), torch.export.Dim("w", max=60)
    shapes = ({0: torch.export.Dim("b", max=8), 2: 14 * height, 3: 14 * width},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (pictures(2, 3, 70, 98),),
            tmp_path / "tiny.onnx",
            dynamo=True,
            opset_version=18,
            dynamic_shapes=shapes,
            input_names=["image"],
            output_names=module.names,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(
        tmp_path / "tiny.onnx", providers=["CPUExecutionProvider"]
    )
    for size in ((70, 98), (518, 518), (42, 56)):
        batch = pictures(2, 3, *size, seed=3)
        with torch.no_grad():
            expected = module(batch)
        for ours, theirs in zip(session.run(None, {"image": batch.numpy()}), expected, strict=True):
            assert relative(torch.from_numpy(ours), theirs) < 5e-5


class Named(torch.nn.Module):
    """Outputs in one order, for an exporter."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module
        self.names = sorted(module.outputs(torch.zeros(1, 3, 28, 28)))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        found = self.module.outputs(image)
        return tuple(found[name] for name in self.names)
