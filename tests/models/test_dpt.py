"""DPT: equal to the original (ViT, hybrid, BEiT), to transformers, and to itself once traced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

import leadline.models as models  # noqa: E402
from leadline.errors import InputError, UnknownNameError, WeightsError  # noqa: E402
from leadline.models.beit import BeitConfig, relative_positions  # noqa: E402
from leadline.models.dpt_midas import CONFIGS, DPT, ENCODERS, DPTConfig  # noqa: E402
from leadline.models.vit import StandardisedConv2d, VitConfig  # noqa: E402
from leadline.models.weights import guess  # noqa: E402
from testing.goldens import Golden, filled, load_golden  # noqa: E402
from testing.inner import watch  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

# name: (golden file, tensors, parameters, tolerance)
PUBLISHED = {
    "dpt-large-384": ("dpt_large_384", 368, 344_055_465, 1e-5),
    "dpt-hybrid-384": ("dpt_hybrid_384", 368, 123_146_985, 1e-4),
    "dpt-beit-large-384": ("dpt_beit_large_384", 487, 344_338_601, 1e-5),
    "dpt-beit-base-384": (None, 283, 111_531_689, None),
}
CHANNELS = (8, 12, 16, 20)
TINY: dict[str, VitConfig | BeitConfig] = {
    "tiny-vit": VitConfig(width=32, depth=4, heads=2, grid=4),
    "tiny-beit": BeitConfig(width=32, depth=4, heads=2, init_scale=0.1, grid=4),
    "tiny-hybrid": VitConfig(width=32, depth=4, heads=2, grid=4, stages=(3, 4, 9)),
}


def tiny(encoder: str, monkeypatch: pytest.MonkeyPatch) -> DPT:
    """A small network with deterministic weights."""
    monkeypatch.setitem(ENCODERS, encoder, TINY[encoder])
    hybrid = encoder == "tiny-hybrid"
    config = DPTConfig(
        encoder=encoder,
        taps=(2, 3) if hybrid else (0, 1, 2, 3),
        out_channels=(256, 512, 16, 20) if hybrid else CHANNELS,
        features=16,
    )
    module = DPT(config).eval()
    module.load_state_dict(filled(module, overrides={"scratch.output_conv.4.bias": {"add": 0.5}}))
    return module


def pictures(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def relative(ours: Tensor, reference: Tensor) -> float:
    return float((ours - reference).abs().max() / reference.abs().max())


# --- parity with the originals -------------------------------------------------------------------


def check_golden(name: str, cases: tuple[str, ...], *, extract: bool) -> None:
    file, _, _, tolerance = PUBLISHED[name]
    assert file is not None
    golden = load_golden(file, extract=extract)
    with torch.device("meta"):
        module = models.build(name)
    models.load_weights(module, golden.weights(module))
    assert isinstance(module, DPT)
    for case in cases:
        check_case(golden, module, case, tolerance or 0.0)


def check_case(golden: Golden, module: DPT, case: str, tolerance: float) -> None:
    # In double precision: float32 sums in another order on every processor, by up to 1.1e-5.
    module, batch = module.double(), torch.from_numpy(golden.input(case)).double()
    output, maps = watch(module, lambda: module(batch))
    encoder = module.pretrained.model
    last = maps[f"pretrained.model.blocks.{len(encoder.blocks) - 1}"]
    beit = "relative_position_bias_table" in "".join(module.state_dict())
    with torch.no_grad():
        maps["pretrained.model.norm"] = last if beit else encoder.norm(last)
    if "pretrained.model.patch_embed.backbone" in maps:
        maps["pretrained.model.patch_embed.backbone"] = maps[
            "pretrained.model.patch_embed.backbone"
        ][-1]
    maps["output"] = output
    for what in golden.keys(case):
        assert golden.relative_error(f"{case}/{what}", maps[what].numpy()) < tolerance, what


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, row in PUBLISHED.items() if row[0]])
def test_every_inner_map_equals_the_original_extract(name: str) -> None:
    check_golden(name, ("a", "b"), extract=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, row in PUBLISHED.items() if row[0]])
def test_every_inner_map_equals_the_original(name: str) -> None:
    check_golden(name, ("a", "b", "train384"), extract=False)


@pytest.mark.parametrize("name", [name for name, row in PUBLISHED.items() if row[0]])
def test_names_shapes_and_types_match_the_originals(name: str) -> None:
    stored = load_golden(str(PUBLISHED[name][0])).meta["models"]["model"]["state_dict"]
    with torch.device("meta"):
        state = models.build(name).state_dict()
    ours = {k: [list(t.shape), str(t.dtype).removeprefix("torch.")] for k, t in state.items()}
    assert ours == stored


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_are_the_published_ones(name: str) -> None:
    _, tensors, parameters, _ = PUBLISHED[name]
    with torch.device("meta"):
        module = models.build(name)
    assert len(module.state_dict()) == tensors
    assert sum(p.numel() for p in module.parameters()) == parameters
    assert module(torch.zeros(2, 3, 64, 96, device="meta")).shape == (2, 64, 96)


def test_the_table_and_the_configs_name_the_same_models() -> None:
    assert {name for name in models.names() if name.startswith("dpt-")} == set(CONFIGS)


# --- parts ---------------------------------------------------------------------------------------


def test_relative_positions_name_every_offset_once() -> None:
    index = relative_positions(2, 3)
    assert index.shape == (7, 7)
    assert (index[0, 0], index[0, 3], index[3, 0]) == (17, 15, 16)
    assert index[1:, 1:].unique().tolist() == list(range(15))
    assert len(index[1:, 1:].diagonal().unique()) == 1  # no offset, one entry


def test_position_biases_at_their_own_size_are_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    attention = tiny("tiny-beit", monkeypatch).pretrained.model.blocks[0].attn
    torch.testing.assert_close(
        attention.position_bias((4, 4)), attention.relative_position_bias_table.t()
    )
    assert torch.equal(attention.relative_position_index, relative_positions(4, 4))


def test_standardised_filters_have_mean_0_and_variance_1() -> None:
    layer = StandardisedConv2d(4, 6, 3)
    ones = torch.ones(1, 4, 9, 9)
    with torch.no_grad():
        layer.weight.mul_(7).add_(3)
        assert layer(ones)[0, :, 4, 4].abs().max() < 1e-4  # filters sum to 0
        reference = F.batch_norm(
            layer.weight.reshape(1, 6, -1), None, None, training=True, momentum=0.0, eps=1e-8
        )
        x = pictures(1, 4, 8, 8)
        expected = F.conv2d(x, reference.reshape_as(layer.weight), padding=1)
        assert relative(layer(x), expected) < 1e-5


@pytest.mark.parametrize("encoder", TINY)
def test_a_batch_is_its_pictures_one_by_one(encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, batch = tiny(encoder, monkeypatch), pictures(3, 3, 48, 80)
    with torch.no_grad():
        assert relative(module(batch), torch.cat([module(x[None]) for x in batch])) < 1e-4


@pytest.mark.parametrize("encoder", TINY)
def test_outputs_hold_the_inner_maps(encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.no_grad():
        outputs = tiny(encoder, monkeypatch).forward_all(pictures(1, 3, 96, 64))
    assert outputs.features.shape == (1, 32, 96, 64)
    assert outputs.bottleneck.shape == (1, 16, 3, 2)
    assert [p.shape[-2:] for p in outputs.paths] == [(6, 4), (12, 8), (24, 16), (48, 32)]
    assert outputs.depth.std() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"taps": (5, 11, 17)}, "4 increasing block numbers from 0 to 23"),
        ({"taps": (5, 11, 17, 24)}, "4 increasing block numbers from 0 to 23"),
        ({"out_channels": (1, 2)}, "four positive channel counts"),
        ({"size": 3}, "no option 'size'; it takes encoder, taps"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.build("dpt-large-384", **options)


def test_bad_names_and_sizes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownNameError, match="vitb-resnet50"):
        models.build("dpt-large-384", encoder="vitb-resnet")
    with pytest.raises(InputError, match="2 increasing"):
        models.build("dpt-hybrid-384", taps=(0, 1, 8, 11))
    with pytest.raises(InputError, match="multiples of 16"):
        tiny("tiny-vit", monkeypatch)(torch.zeros(1, 3, 40, 48))


# --- checkpoints ---------------------------------------------------------------------------------


def test_files_with_and_without_position_indices_load(monkeypatch: pytest.MonkeyPatch) -> None:
    module = tiny("tiny-beit", monkeypatch)
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    newer = {k: v for k, v in state.items() if not k.endswith("relative_position_index")}
    assert len(newer) == len(state) - 4
    batch = pictures(1, 3, 48, 64)
    with torch.no_grad():
        expected = module(batch)
        for weights in (state, newer):
            with torch.device("meta"):
                other = DPT(module.config).eval()
            models.load_weights(other, weights)
            assert torch.equal(other(batch), expected)


def test_a_missing_tensor_is_still_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    module = tiny("tiny-beit", monkeypatch)
    state = dict(module.state_dict())
    del state["pretrained.model.blocks.1.attn.q_bias"]
    with pytest.raises(WeightsError, match="1 missing"):
        models.load_weights(module, state)


@pytest.mark.parametrize("name", CONFIGS)
def test_checkpoints_tell_their_model(name: str) -> None:
    with torch.device("meta"):
        signature = guess(models.build(name).state_dict())
    assert signature is not None
    assert signature.models == (name,)


def transformers_twin(encoder: str) -> Any:
    """transformers' network of the same size, with random weights."""
    transformers = pytest.importorskip("transformers", minversion="4.50")
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 128,
        "image_size": 64,
        "layer_norm_eps": 1e-6,
    }
    if encoder == "tiny-beit":
        backbone = transformers.BeitConfig(
            **sizes,
            use_relative_position_bias=True,
            use_mask_token=False,
            reshape_hidden_states=False,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        )
        options = {"backbone_config": backbone, "neck_hidden_sizes": list(CHANNELS)}
    elif encoder == "tiny-hybrid":
        options = {"neck_hidden_sizes": [256, 512, 16, 20], "is_hybrid": True, **sizes}
        options |= {"neck_ignore_stages": [0, 1], "backbone_out_indices": [0, 1, 2, 3]}
    else:
        options = {"neck_hidden_sizes": list(CHANNELS), "backbone_out_indices": [0, 1, 2, 3]}
        options |= sizes
    config = transformers.DPTConfig(**options, fusion_hidden_size=16)
    twin = transformers.DPTForDepthEstimation(config).eval()
    randomise(twin)
    return twin


def randomise(module: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            draw = torch.randn(tensor.shape, generator=generator)
            matrix = tensor.ndim > 1
            draw = draw / tensor[0].numel() ** 0.5 if matrix else 0.1 * draw
            gain = not matrix and "norm" in name and name.endswith("weight")
            tensor.copy_(draw + (1 if gain else 0))


@pytest.mark.parametrize(
    ("encoder", "sizes"),
    [
        ("tiny-vit", [(64, 64), (96, 96)]),
        ("tiny-beit", [(64, 64), (64, 128), (128, 96)]),
        ("tiny-hybrid", [(64, 64)]),
    ],
)
@pytest.mark.parametrize("saved", [True, False])
def test_it_equals_transformers(
    encoder: str,
    sizes: list[tuple[int, int]],
    saved: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    module, twin = tiny(encoder, monkeypatch), transformers_twin(encoder)
    if saved:
        twin.save_pretrained(tmp_path)
    models.load_weights(module, tmp_path if saved else twin.state_dict())
    for size in sizes:
        batch = pictures(2, 3, *size)
        with torch.no_grad():
            theirs = twin(batch).predicted_depth
            assert theirs.std() > 1e-3
            assert relative(module(batch), theirs) < 1e-4


# --- tracing -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("encoder", TINY)
def test_it_exports_with_dynamic_sides(encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tiny(encoder, monkeypatch)
    height, width = torch.export.Dim("h", max=64), torch.export.Dim("w", max=64)
    shapes = ({0: torch.export.Dim("b", max=64), 2: 32 * height, 3: 32 * width},)
    program = torch.export.export(
        module, (pictures(2, 3, 96, 128),), dynamic_shapes=shapes, strict=False
    ).module()
    for size in ((96, 128), (64, 64), (160, 96)):
        batch = pictures(1, 3, *size)
        with torch.no_grad():
            assert relative(program(batch), module(batch)) < 1e-4
