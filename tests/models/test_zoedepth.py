"""ZoeDepth: equal to the original and to transformers, whole; routing, options, tracing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

import leadline.models as models  # noqa: E402
from leadline.errors import InputError, UnknownNameError  # noqa: E402
from leadline.models import dpt_midas, zoedepth  # noqa: E402
from leadline.models.beit import BeitConfig  # noqa: E402
from leadline.models.dpt import resize  # noqa: E402
from leadline.models.weights import guess  # noqa: E402
from leadline.models.zoedepth import (  # noqa: E402
    CONFIGS,
    NYU_KITTI,
    ZoeDepth,
    ZoeDepthConfig,
    ZoeDepthNK,
)
from testing.goldens import FULL, Golden, filled, load_golden  # noqa: E402
from testing.inner import watch  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

LARGE_HEAD = {"features": 256, "out_channels": (256, 512, 1024, 1024)}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5,) * 3, (0.5,) * 3)

# golden: (name, options, normalisation)
GOLDENS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "da1zoe_vits_softplus": ("zoedepth-n-depth-anything-vits", LARGE_HEAD, IMAGENET),
    "da1zoe_vits_inverse": (
        "zoedepth-n-depth-anything-vits",
        {**LARGE_HEAD, "inverse_midas": True},
        IMAGENET,
    ),
    "da1zoe_vitl_nyu": ("zoedepth-n-depth-anything-vitl", {}, IMAGENET),
    "da1zoe_vitl_nk": ("zoedepth-nk-depth-anything-vitl", {}, IMAGENET),
    "zoed_n_beitl": ("zoedepth-n", {}, HALVES),
    "zoed_nk_beitl": ("zoedepth-nk", {}, HALVES),
}
SINGLE_HEAD, NORMED_HEAD, ROUTED_HEAD = 478_145, 481_886, 1_761_754


def prepared(golden: Golden, case: str) -> Tensor:
    """The network's input, as the original prepares it."""
    height, width = golden.cases[case]["net_input"][-2:]
    batch = torch.from_numpy(golden.input(case))
    batch = F.interpolate(batch, (height, width), mode="bilinear", align_corners=True)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in GOLDENS[golden.name][2])
    batch = (batch - mean) / std
    assert golden.relative_error(f"{case}/prep", batch.numpy()) < 1e-6
    return batch


def weights(golden: Golden, case: str, module: torch.nn.Module) -> dict[str, Tensor]:
    description = golden.meta["models"]["model"]
    overrides = dict(description["overrides"])
    for name, change in golden.cases[case]["extra_overrides"].items():
        overrides[name] = {**overrides.get(name, {}), **change}
    return filled(module, description["gain"], overrides)


def inner_maps(module: ZoeDepth | ZoeDepthNK, batch: Tensor) -> dict[str, Tensor]:
    """Every inner map by the name that golden files give it."""
    out, seen = watch(module, lambda: module.forward_all(batch))
    core, domain = seen["core"], ""
    maps = {"metric_depth": out.depth[:, None], "rel_depth": out.relative}
    if isinstance(module, ZoeDepthNK):
        domain = "." + module.config.domains[int(module.route(out.domain_logits)[0])].name
        maps["patch_transformer"] = seen["patch_transformer"].transpose(0, 1)
        maps["domain_logits"] = maps["mlp_classifier"] = out.domain_logits
    seeds = f"seed_bin_regressors{domain}" if domain else "seed_bin_regressor"
    maps |= {"conv2": seen["conv2"], "seed_projector": seen["seed_projector"]}
    maps |= {"seed_bins.1": seen[seeds], "probs": seen[f"conditional_log_binomial{domain}"]}
    maps["clb_mlp"] = seen[f"conditional_log_binomial{domain}.mlp"]
    maps |= {"core_out.out_conv": core.features, "core_out.l4_rn": core.bottleneck}
    for i in range(4):
        maps[f"core_out.r{4 - i}"] = core.paths[i]
        maps[f"projector{i}"] = seen[f"projectors.{i}"]
        passed, metres = seen[f"attractors{domain}.{i}"]
        maps |= {f"attractor{i}.0": passed, f"attractor{i}.1": metres}
    maps["bin_centers"] = resize(maps["attractor3.1"], (batch.shape[2], batch.shape[3]))
    return maps


def check_golden(name: str, *, extract: bool) -> None:
    golden = load_golden(name, extract=extract)
    build_name, options, _ = GOLDENS[name]
    with torch.device("meta"):
        module = models.build(build_name, **options)
    assert isinstance(module, ZoeDepth | ZoeDepthNK)
    for case, about in golden.cases.items():
        if case == "a" or about["extra_overrides"]:
            models.load_weights(module, weights(golden, case, module))
        maps = inner_maps(module, prepared(golden, case))
        for what in golden.keys(case):
            if what in ("prep", "seed_bins.0"):
                continue  # the input; bin widths, which nothing reads
            error = golden.relative_error(f"{case}/{what}", maps[what].numpy())
            assert error < 1e-4, (case, what)


@pytest.mark.slow
@pytest.mark.parametrize("name", GOLDENS)
def test_every_inner_map_equals_the_original_extract(name: str) -> None:
    check_golden(name, extract=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", GOLDENS)
def test_every_inner_map_equals_the_original(name: str) -> None:
    check_golden(name, extract=False)


@pytest.mark.parametrize("name", GOLDENS)
def test_names_shapes_and_types_match_the_originals(name: str) -> None:
    description = load_golden(name).meta["models"]["model"]
    build_name, options, _ = GOLDENS[name]
    with torch.device("meta"):
        module = models.build(build_name, **options)
    ours = {
        k: [list(t.shape), str(t.dtype).removeprefix("torch.")]
        for k, t in module.state_dict().items()
    }
    assert ours == description["state_dict"]
    assert sum(p.numel() for p in module.parameters()) == description["n_params"]


@pytest.mark.parametrize(
    ("file", "name", "parameters"),
    [
        ("N_softplus", "zoedepth-n", SINGLE_HEAD),
        ("K_normed_max80", "zoedepth-k", NORMED_HEAD),
        ("NK", "zoedepth-nk", ROUTED_HEAD),
    ],
)
def test_heads_match_the_key_lists(file: str, name: str, parameters: int) -> None:
    with torch.device("meta"):
        module = models.build(name)
    head = {k: p for k, p in module.named_parameters() if not k.startswith("core.")}
    assert sum(p.numel() for p in head.values()) == parameters
    path = FULL.parent / "facts" / "keys" / f"keys_zoe_{file}_head.txt"
    if not path.is_file():
        pytest.skip("the key lists are not on this machine")
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    state = {k: t for k, t in module.state_dict().items() if not k.startswith("core.")}
    assert sorted(lines) == sorted(f"{k}\t{list(t.shape)}\t{t.dtype}" for k, t in state.items())


def test_the_table_and_the_configs_name_the_same_models() -> None:
    assert {name for name in models.names() if name.startswith("zoedepth-")} == set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_checkpoints_tell_their_model(name: str) -> None:
    with torch.device("meta"):
        module = models.build(name)
    signature = guess(module.state_dict())
    assert signature is not None
    assert signature.models == (name,)
    step = 14 if "depth-anything" in name else 16
    assert module.multiple_of == step
    assert module(torch.zeros(2, 3, 3 * step, 4 * step, device="meta")).shape == (
        2,
        3 * step,
        4 * step,
    )


# --- a small network -----------------------------------------------------------------------------


@pytest.fixture
def tiny_core(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a small relative network."""
    encoder = BeitConfig(width=32, depth=4, heads=2, init_scale=0.1, grid=4)
    monkeypatch.setitem(dpt_midas.ENCODERS, "tiny", encoder)
    config = dpt_midas.DPTConfig(
        encoder="tiny", taps=(0, 1, 2, 3), out_channels=(8, 12, 16, 20), features=256
    )
    monkeypatch.setitem(dpt_midas.CONFIGS, "tiny", config)
    monkeypatch.setattr(zoedepth, "CORES", (*zoedepth.CORES, "tiny"))
    return "tiny"


def build(core: str, **options: Any) -> ZoeDepth | ZoeDepthNK:
    config = ZoeDepthConfig(core=core, **options)
    module = ZoeDepthNK(config) if config.domains else ZoeDepth(config)
    bias = {"core.core.scratch.output_conv.4.bias": {"add": 0.5}}
    module.load_state_dict(filled(module.eval(), overrides=bias), strict=True)
    return module


def routed(core: str, **options: Any) -> ZoeDepthNK:
    module = build(core, max_depth=None, domains=NYU_KITTI, **options)
    assert isinstance(module, ZoeDepthNK)
    return module


def pictures(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def relative(ours: Tensor, reference: Tensor) -> float:
    return float((ours - reference).abs().max() / reference.abs().max())


def balance(module: ZoeDepthNK, batch: Tensor) -> None:
    """Shift the router so that the pictures of ``batch`` differ in their choice."""
    with torch.no_grad():
        logits = module.forward_all(batch).domain_logits
        assert logits is not None
        gap = logits[:, 0] - logits[:, 1]
        module.mlp_classifier[2].bias[1] += gap.sort().values[:2].mean()


def test_each_picture_is_routed_by_itself_or_the_batch_votes(tiny_core: str) -> None:
    batch = pictures(4, 3, 64, 96)
    module = routed(tiny_core)
    balance(module, batch)
    voting = routed(tiny_core, routing="batch")
    voting.load_state_dict(module.state_dict())
    with torch.no_grad():
        alone = torch.cat([module(x[None]) for x in batch])
        outputs, voted = module.forward_all(batch), voting.forward_all(batch)
        assert outputs.domain_logits is not None
        assert voted.domain_logits is not None
        chosen = module.route(outputs.domain_logits)
        assert chosen.unique().numel() == 2
        assert relative(outputs.depth, alone) < 1e-5
        assert voting.route(voted.domain_logits).unique().numel() == 1
        assert relative(voted.depth, alone) > 1e-3
        forced = module.forward_all(batch, domains=1 - chosen).depth
        assert relative(forced, alone) > 1e-3


@pytest.mark.parametrize("kind", ["softplus", "normed", "hybrid1", "hybrid2"])
def test_bounded_bins_stay_within_their_range(tiny_core: str, kind: Any) -> None:
    batch = 3 * pictures(1, 3, 64, 64)
    with torch.no_grad():
        depth = build(tiny_core, bin_centers_type=kind, max_depth=7.0)(batch)
    assert depth.min() > 0
    if kind in ("normed", "hybrid2"):
        assert depth.max() < 7


def test_the_hubs_10_metres_are_the_80_metres_rescaled(tiny_core: str) -> None:
    near, far = (build(tiny_core, bin_centers_type="normed", max_depth=d) for d in (10.0, 80.0))
    batch = pictures(1, 3, 64, 64)
    with torch.no_grad():
        expected = (far(batch) - 0.001) * 9.999 / 79.999 + 0.001
        torch.testing.assert_close(near(batch), expected, rtol=1e-4, atol=1e-4)


def test_the_inverted_core_is_scaled_per_picture(tiny_core: str) -> None:
    module, batch = build(tiny_core, inverse_midas=True), pictures(2, 3, 64, 64)
    batch[1] *= 3
    with torch.no_grad():
        assert relative(module(batch), torch.cat([module(x[None]) for x in batch])) < 1e-5
        assert relative(build(tiny_core)(batch), module(batch)) > 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_depth": None}, "one of them is needed"),
        ({"domains": NYU_KITTI}, "one of them is needed"),
        ({"max_depth": None, "domains": (("a", 10.0), ("a", 80.0))}, "a name of its own"),
        ({"max_depth": 1e-4}, "positive and increasing"),
        ({"bin_centers_type": "linear"}, "softplus, normed, hybrid1, hybrid2"),
        ({"attractor_type": "linear"}, "one of inv, exp"),
        ({"routing": "majority"}, "one of image, batch"),
        ({"n_attractors": (16, 8)}, "four positive counts"),
        ({"max_depth": None, "domains": NYU_KITTI, "inverse_midas": True}, "leave one of them"),
        ({"alpha": 1000}, "no option 'alpha'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.build("zoedepth-n", **options)


def test_bad_cores_and_sizes_are_refused(tiny_core: str) -> None:
    with pytest.raises(UnknownNameError, match="dpt-beit-large-384"):
        models.build("zoedepth-n", core="dpt-beit-large")
    with pytest.raises(InputError, match="multiples of 16"):
        build(tiny_core)(torch.zeros(1, 3, 40, 48))


def test_a_meta_module_needs_no_constants_from_the_file(tiny_core: str) -> None:
    module = routed(tiny_core)
    state = dict(module.state_dict())
    constants = ("k_idx", "K_minus_1", "relative_position_index")
    bare = {name: t for name, t in state.items() if not name.endswith(constants)}
    assert len(bare) == len(state) - 8
    with torch.device("meta"):
        other = ZoeDepthNK(module.config).eval()
    models.load_weights(other, bare)
    batch = pictures(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(other(batch), module(batch))


def test_gradients_reach_every_used_weight(tiny_core: str) -> None:
    module = routed(tiny_core).train()
    out = module.forward_all(pictures(2, 3, 64, 64), domains=torch.tensor([0, 1]))
    assert out.domain_logits is not None
    (out.depth.mean() + out.domain_logits.square().mean() + out.relative.mean()).backward()
    idle = {name for name, p in module.named_parameters() if p.grad is None}
    allowed = ("pretrained.model.head", "pretrained.model.fc_norm", "refinenet4.resConfUnit1")
    assert {name for name in idle if not any(part in name for part in allowed)} == set()


# --- transformers --------------------------------------------------------------------------------

BINS = {
    "n": [{"n_bins": 64, "min_depth": 0.001, "max_depth": 10.0}],
    "k": [{"n_bins": 64, "min_depth": 0.001, "max_depth": 80.0}],
    "nk": [
        {"name": "nyu", "n_bins": 64, "min_depth": 0.001, "max_depth": 10.0},
        {"name": "kitti", "n_bins": 64, "min_depth": 0.001, "max_depth": 80.0},
    ],
}


def transformers_twin(kind: str) -> Any:
    transformers = pytest.importorskip("transformers", minversion="4.50")
    backbone = transformers.BeitConfig(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=128,
        image_size=64,
        layer_norm_eps=1e-6,
        use_relative_position_bias=True,
        use_mask_token=False,
        reshape_hidden_states=False,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.ZoeDepthConfig(
        backbone_config=backbone,
        neck_hidden_sizes=[8, 12, 16, 20],
        fusion_hidden_size=256,
        bin_centers_type="normed" if kind == "k" else "softplus",
        bin_configurations=BINS[kind],
        num_patch_transformer_layers=4,
        patch_transformer_hidden_size=128,
        patch_transformer_intermediate_size=1024,
        patch_transformer_num_attention_heads=4,
    )
    twin = transformers.ZoeDepthForDepthEstimation(config).eval()
    generator = torch.Generator().manual_seed(0)
    for name, tensor in twin.state_dict().items():
        if tensor.is_floating_point():
            draw = torch.randn(tensor.shape, generator=generator)
            matrix = tensor.ndim > 1
            draw = draw / tensor[0].numel() ** 0.5 if matrix else 0.1 * draw
            gain = not matrix and "norm" in name and name.endswith("weight")
            tensor.copy_(draw + (1 if gain else 0))
    return twin


@pytest.mark.parametrize("kind", BINS)
@pytest.mark.parametrize("saved", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_it_equals_transformers(kind: str, saved: bool, tiny_core: str, tmp_path: Path) -> None:
    twin = transformers_twin(kind)
    module = {
        "n": lambda: build(tiny_core),
        "k": lambda: build(tiny_core, bin_centers_type="normed", max_depth=80.0),
        "nk": lambda: routed(tiny_core, routing="batch"),
    }[kind]()
    if saved:
        twin.save_pretrained(tmp_path)
    models.load_weights(module, tmp_path if saved else twin.state_dict())
    for size in ((64, 64), (64, 128), (128, 96)):
        batch = pictures(2, 3, *size)
        with torch.no_grad():
            theirs, ours = twin(batch), module.forward_all(batch)
        assert relative(ours.depth, theirs.predicted_depth) < 1e-5
        if ours.domain_logits is not None:
            torch.testing.assert_close(ours.domain_logits, theirs.domain_logits)


# --- tracing -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("heads", ["one", "routed"])
def test_it_exports_with_dynamic_sides(heads: str, tiny_core: str) -> None:
    module = build(tiny_core) if heads == "one" else routed(tiny_core)
    height, width = torch.export.Dim("h", max=64), torch.export.Dim("w", max=64)
    shapes = ({0: torch.export.Dim("b", max=64), 2: 32 * height, 3: 32 * width},)
    program = torch.export.export(
        module, (pictures(2, 3, 96, 128),), dynamic_shapes=shapes, strict=False
    ).module()
    for size in ((96, 128), (64, 64)):
        batch = pictures(3, 3, *size)
        with torch.no_grad():
            assert relative(program(batch), module(batch)) < 1e-4


@pytest.mark.slow
def test_a_traced_graph_routes_each_picture_too(tiny_core: str) -> None:
    module, batch = routed(tiny_core), pictures(4, 3, 64, 64)
    balance(module, batch)
    program = torch.export.export(module, (batch,), strict=False).module()
    with torch.no_grad():
        assert relative(program(batch), module(batch)) < 1e-5
