"""Depth Pro: equal to the original, to transformers, and in metres as the original gives them."""

from __future__ import annotations

import re
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image as PilImage

torch = pytest.importorskip("torch")

from torch.nn import functional as F  # noqa: E402

import leadline.models as models  # noqa: E402
from leadline.camera import Camera  # noqa: E402
from leadline.decode import decode  # noqa: E402
from leadline.errors import InputError, WeightsError  # noqa: E402
from leadline.image import Image  # noqa: E402
from leadline.io import read_image  # noqa: E402
from leadline.kinds import DepthKind  # noqa: E402
from leadline.models.depth_pro import (  # noqa: E402
    DepthPro,
    DepthProConfig,
    cut_windows,
    join_windows,
)
from leadline.preprocess import Preprocess  # noqa: E402
from leadline.spec import ModelSpec, PreprocessSpec, name_outputs  # noqa: E402
from testing.goldens import FULL, Golden, fill_value, filled, load_golden  # noqa: E402
from testing.inner import watch  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from leadline.prediction import Prediction

BIAS = {"head.4.bias": {"add": 0.5}, "fov.head.4.bias": {"add": 55.0}}

GOLDEN = {  # the golden file's network
    "width": 96,
    "depth": 4,
    "heads": 3,
    "hook_block_ids": (0, 2),
    "dims_encoder": (32, 48, 64, 64),
    "decoder_features": 32,
}
TINY = {  # a ninth of the pixels
    "width": 24,
    "depth": 3,
    "heads": 2,
    "grid": 8,
    "hook_block_ids": (0, 1),
    "dims_encoder": (16, 24, 20, 28),
    "decoder_features": 16,
}
SIDE = 1536
SPEC = ModelSpec(
    name="depth-pro",
    kind=DepthKind.METRIC_DEPTH,
    preprocess=PreprocessSpec(
        size=(SIDE, SIDE),
        resize="exact",
        interpolation="linear",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    ),
    outputs=name_outputs("canonical_inverse_depth", "fov_deg"),
    decoder="inverse_depth_with_focal",
)


@pytest.fixture(scope="module")
def published() -> DepthPro:
    """The real network; its transformers get weights only where a test asks for them."""
    with torch.device("meta"):
        module = models.build("depth-pro")
    assert isinstance(module, DepthPro)
    return module


@pytest.fixture(scope="module")
def tiny() -> DepthPro:
    return tiny_network()


def tiny_network(**options: Any) -> DepthPro:
    module = DepthPro(DepthProConfig(**{**TINY, **options})).eval()
    overrides = {key: change for key, change in BIAS.items() if key in module.state_dict()}
    module.load_state_dict(filled(module, overrides=overrides))
    return module


def predict(
    inverse: Tensor, fov_deg: float, size: tuple[int, int], focal_px: float | None = None
) -> Prediction:
    """What an estimator makes of the network's outputs for a picture of ``size``."""
    camera = focal_px and Camera.from_focal(size[1], size[0], focal_px=focal_px)
    picture = Image(pixels=np.zeros((*size, 3), np.uint8), camera=camera or None)
    preprocess = Preprocess(SPEC.preprocess, outputs=SPEC.outputs)
    prepared = preprocess(picture)
    outputs = {"canonical_inverse_depth": inverse.numpy(), "fov_deg": np.array([fov_deg])}
    return decode(preprocess.restore(outputs, prepared), SPEC, prepared)


def pictures(*shape: int, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def relative(ours: Tensor, reference: Tensor) -> float:
    return float((ours.float() - reference.float()).abs().max() / reference.float().abs().max())


# --- the table -----------------------------------------------------------------------------------


def test_counts_are_the_published_ones(published: DepthPro) -> None:
    assert published.only_size == (SIDE, SIDE) == (1536, 1536)
    assert len(published.state_dict()) == 1119
    assert sum(p.numel() for p in published.parameters()) == 951_991_330


def test_names_and_shapes_match_the_key_list(published: DepthPro) -> None:
    path = FULL.parent / "facts" / "keys" / "keys_depth_pro.txt"
    if not path.is_file():
        pytest.skip("the key lists are not on this machine")
    lines = [line for line in path.read_text().splitlines() if line[0] != "#"]
    expected = {name for line in lines for name in with_indices(line)}
    assert expected == {f"{name} {list(t.shape)}" for name, t in published.state_dict().items()}


def with_indices(line: str) -> list[str]:
    """A line of a key list for every index that its ``{a..b}`` stand for."""
    parts = re.split(r"\{(\d+)\.\.(\d+)\}", line)
    ranges = [range(int(a), int(b) + 1) for a, b in zip(parts[1::3], parts[2::3], strict=True)]
    return [
        "".join(str(x) for pair in zip(parts[::3], [*indices, ""], strict=True) for x in pair)
        for indices in product(*ranges)
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 14}, "no option 'patch'; it takes width, depth, heads, grid"),
        ({"hook_block_ids": (5, 24)}, "two increasing block numbers from 0 to 23"),
        ({"hook_block_ids": (11, 5)}, "two increasing block numbers"),
        ({"grid": 12}, "a multiple of 8 is needed"),
        ({"width": 100, "heads": 3}, "a width that the heads divide"),
        ({"dims_encoder": (256, 512, 1024)}, "four positive channel counts"),
        ({"decoder_features": 36}, "decoder_features=36: a multiple of 8"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with torch.device("meta"), pytest.raises(InputError, match=message):
        models.build("depth-pro", **options)


# --- parity with the original --------------------------------------------------------------------


def run_golden(golden: Golden, case: str) -> None:
    """Every map that the golden file has of one case, and its metres."""
    with torch.device("meta"):
        module = models.build("depth-pro", **GOLDEN)
    models.load_weights(module, golden.weights(module))
    picture = torch.from_numpy(golden.input(case))
    batch = F.interpolate(picture, size=(SIDE, SIDE), mode="bilinear")
    outputs, seen = watch(module, lambda: module.outputs(batch))
    inverse, fov_deg = outputs["canonical_inverse_depth"], outputs["fov_deg"]
    prediction = predict(inverse, fov_deg.item(), tuple(picture.shape[2:]))
    assert prediction.camera is not None
    found = {
        "canonical_inverse_depth": inverse[:, None],
        "fov_deg": fov_deg[:, None, None, None],
        "focallength_px": torch.tensor([prediction.camera.fx]),
        "depth": torch.from_numpy(prediction.values),
        "patch_embed": seen["encoder.patch_encoder.patch_embed"].unflatten(1, (24, 24)),
        "block0": seen["encoder.patch_encoder.blocks.0"],
        "patch_encoder": seen["encoder.patch_encoder.norm"],
        "image_encoder": seen["encoder.image_encoder.norm"],
        "fov.encoder": seen["fov.encoder.1"],
    }
    encoder = ("upsample_latent0", "upsample_latent1", "upsample0", "upsample1", "upsample2")
    found |= {name: seen[f"encoder.{name}"] for name in (*encoder, "fuse_lowres")}
    for what in golden.keys(case):
        ours = found.get(what, seen.get(what))
        assert ours is not None, what
        # What is resized to another size is sampled at float32 positions by the original.
        tolerance = 5e-5 if what == "depth" and case == "resize" else 1e-5
        assert golden.relative_error(f"{case}/{what}", ours.numpy()) < tolerance, what


def test_every_inner_map_equals_the_originals_extract() -> None:
    run_golden(load_golden("depth_pro_tiny", extract=True), "square")


@pytest.mark.slow
@pytest.mark.parametrize("case", ["square", "resize"])
def test_every_inner_map_equals_the_originals(case: str) -> None:
    run_golden(load_golden("depth_pro_tiny"), case)


@pytest.mark.slow
def test_a_small_picture_equals_the_originals_extract() -> None:
    run_golden(load_golden("depth_pro_tiny", extract=True), "resize")


def fill(module: DepthPro, path: str) -> Any:
    """Give the submodule at ``path`` memory and the golden files' weights."""
    part = module.get_submodule(path).to_empty(device="cpu")
    with torch.no_grad():
        for name, tensor in part.state_dict().items():
            full = f"{path}.{name}"
            values = fill_value(full, tuple(tensor.shape), overrides=BIAS)
            assert values is not None
            tensor.copy_(torch.from_numpy(values))
    return part


def seeded(seed: int, *shape: int) -> Tensor:
    rng = np.random.Generator(np.random.PCG64(seed))
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def same(golden: Golden, key: str, ours: Tensor) -> bool:
    return golden.relative_error(key, ours.detach().numpy()) < 1e-5


@pytest.mark.parametrize("extract", [True, False])
def test_the_published_projections_equal_the_originals(published: DepthPro, extract: bool) -> None:
    golden = load_golden("depth_pro_full", extract=extract)
    names = [case for case in golden.cases if case.startswith("proj/")]
    assert len(names) == 7
    for case in names:
        part = fill(published, f"encoder.{case.removeprefix('proj/')}")
        with torch.no_grad():
            ours = part(seeded(golden.cases[case]["seed"], *golden.cases[case]["shape"]))
        assert same(golden, case, ours), case


@pytest.mark.parametrize("extract", [True, False])
def test_the_published_decoder_equals_the_original(published: DepthPro, extract: bool) -> None:
    golden = load_golden("depth_pro_full", extract=extract)
    decoder, head = fill(published, "decoder"), fill(published, "head")
    drawn = zip(golden.cases["dec"]["seeds"], golden.cases["dec"]["shapes"], strict=True)
    with torch.no_grad():
        features, lowest = decoder([seeded(seed, *shape) for seed, shape in drawn])
        assert same(golden, "dec/features", features)
        assert same(golden, "dec/lowres", lowest)
        assert same(golden, "dec/canonical_inverse_depth", head(features))


@pytest.mark.slow
def test_the_published_transformer_equals_the_original(published: DepthPro) -> None:
    golden = load_golden("depth_pro_full", extract=True)
    encoder = fill(published, "encoder.patch_encoder")
    case = golden.cases["patch"]
    tokens, seen = watch(encoder, lambda: encoder(seeded(case["seed"], *case["shape"]), (23,))[0])
    assert same(golden, "patch/tokens", tokens)
    for block in (0, 5, 11):
        assert same(golden, f"patch/block{block}", seen[f"blocks.{block}"]), block
    encoder.to("meta")


@pytest.mark.slow
def test_the_published_field_of_view_equals_the_original(published: DepthPro) -> None:
    golden = load_golden("depth_pro_full", extract=True)
    fov, case = fill(published, "fov"), golden.cases["fov"]
    picture = seeded(case["seed_image"], 1, 3, SIDE, SIDE)
    quarter = F.interpolate(picture, scale_factor=0.25, mode="bilinear")
    with torch.no_grad():
        ours = fov(quarter, seeded(case["seed_lowres"], 1, 256, 48, 48))
    assert same(golden, "fov/fov_deg", ours[:, None, None, None])
    fov.to("meta")


# --- preprocessing, focal length, metres ---------------------------------------------------------


@pytest.mark.parametrize("case", ["small", "tall"])
def test_a_picture_is_prepared_as_by_the_original(case: str) -> None:
    golden = load_golden("depth_pro_prep", extract=True)
    prepared = Preprocess(SPEC.preprocess)(Image(pixels=golden.arrays[f"prep/{case}/rgb"]))
    assert golden.relative_error(f"prep/{case}/net_input", prepared.arrays["image"]) < 1e-5


def test_the_focal_length_of_exif_is_the_originals(tmp_path: Path) -> None:
    golden = load_golden("depth_pro_prep", extract=True).arrays
    for number, row in enumerate(golden["exif/table_f64"]):
        film_mm, orientation, height, width, focal_px = row
        exif = PilImage.Exif()
        exif[0x0112] = int(orientation)
        if film_mm >= 0:
            exif.get_ifd(0x8769)[0xA405] = int(film_mm)
        path = tmp_path / f"{number}.png"
        PilImage.fromarray(golden["exif/rgb"]).save(path, exif=exif)
        image = read_image(path)
        assert image.size == (height, width)
        if orientation != 2:  # a mirrored picture, which the original leaves mirrored
            np.testing.assert_array_equal(image.pixels[::4, ::4], golden[f"exif/img{number}"])
        found = -1.0 if image.camera is None else image.camera.fx
        assert found == pytest.approx(focal_px, rel=1e-12)


@pytest.mark.parametrize("case", ["est", "tall", "given", "native"])
def test_metres_are_the_originals(case: str) -> None:
    golden = load_golden("depth_pro_prep", extract=True)
    about = golden.cases[f"post/{case}"]
    small = torch.from_numpy(golden.arrays["post/c48"])
    inverse = F.interpolate(small, size=(SIDE, SIDE), mode="bilinear")[:, 0]
    prediction = predict(inverse, 62.5, tuple(about["image"]), about["f_px"])
    assert prediction.kind is DepthKind.METRIC_DEPTH
    assert prediction.camera is not None
    focal_px = golden.arrays[f"post/{case}/focallength_px"][0]
    assert prediction.camera.fx == pytest.approx(focal_px, rel=1e-6)
    assert prediction.camera.source == ("given" if about["f_px"] else "predicted")
    ours = golden.kept(f"post/{case}/depth", prediction.values)
    theirs = golden.arrays[f"post/{case}/depth"]
    # The original samples at float32 positions, which moves the farthest pixels by 4e-5 of
    # themselves; in float64 it and this agree to 3e-7.
    np.testing.assert_allclose(1 / ours, 1 / theirs, atol=1e-5 * float((1 / theirs).max()))
    np.testing.assert_allclose(ours, theirs, rtol=5e-5)


# --- transformers --------------------------------------------------------------------------------


def transformers_twin(module: DepthPro, *, fov: bool) -> Any:
    """transformers' network of the same size, with weights of its own."""
    transformers = pytest.importorskip("transformers", minversion="4.50")
    config = module.config
    encoder = {
        "model_type": "dinov2",
        "hidden_size": config.width,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads,
        "image_size": 16 * config.grid,
        "patch_size": 16,
        "layerscale_value": 0.3,
        "initializer_range": 0.2,
    }
    d0, d1, d2, d3 = config.dims_encoder
    torch.manual_seed(3)
    twin = transformers.DepthProForDepthEstimation(
        transformers.DepthProConfig(
            patch_size=16 * config.grid,
            fusion_hidden_size=config.decoder_features,
            intermediate_hook_ids=list(config.hook_block_ids)[::-1],
            intermediate_feature_dims=[d0, config.decoder_features],
            scaled_images_feature_dims=[d3, d2, d1],
            merge_padding_value=config.grid // 8,
            use_fov_model=fov,
            image_model_config=dict(encoder),
            patch_model_config=dict(encoder),
            fov_model_config=dict(encoder),
        )
    ).eval()
    with torch.no_grad():
        twin.head.layers[4].bias.add_(1)  # so that the last ReLU cuts nothing off
    return twin


@pytest.mark.parametrize("fov", [True, False])
def test_it_computes_what_transformers_computes(fov: bool, tmp_path: Path) -> None:
    ours = tiny_network(dims_encoder=(16, 24, 20, 28), use_fov_head=fov)
    twin = transformers_twin(ours, fov=fov)
    batch = pictures(2, 3, 512, 512)
    with torch.no_grad():
        theirs = twin(batch)
    assert theirs.predicted_depth.std() > 0.01  # a dead output would agree with anything
    twin.save_pretrained(tmp_path / "saved")
    for source in (twin.state_dict(), tmp_path / "saved"):
        models.load_weights(ours, source)
        with torch.no_grad():
            outputs = ours.outputs(batch)
        assert relative(outputs["canonical_inverse_depth"], theirs.predicted_depth) < 1e-5
        if fov:
            assert relative(outputs["fov_deg"], theirs.field_of_view) < 1e-5


def test_transformers_weights_for_the_camera_are_left_out_when_nothing_asks_for_them() -> None:
    ours = tiny_network(use_fov_head=False)
    twin = transformers_twin(ours, fov=True)
    models.load_weights(ours, twin.state_dict())
    weights = {k: v for k, v in twin.state_dict().items() if "fov_model.conv" not in k}
    with pytest.raises(WeightsError, match=r"2 missing \(fov\.downsample\.0\.weight"):
        models.load_weights(tiny_network(), weights)


# --- windows -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("windows", "step", "trim"), [(5, 6, 1), (3, 4, 2), (1, 8, 0)])
def test_windows_join_to_what_they_were_cut_from(windows: int, step: int, trim: int) -> None:
    batch = pictures(2, 3, 8 + step * (windows - 1), 8 + step * (windows - 1))
    cut = cut_windows(batch, 8, step)
    assert len(cut) == 2 * windows**2
    assert torch.equal(cut[1], batch[1, :, :8, :8])  # pictures within a place
    if windows > 1:
        assert torch.equal(cut[2], batch[0, :, :8, step : step + 8])  # then the next column
    assert torch.equal(join_windows(cut, windows, trim), batch)


# --- variants, sizes, training -------------------------------------------------------------------


def test_it_is_built_and_run_without_memory() -> None:
    with torch.device("meta"):
        module = models.build("depth-pro", **TINY)
        outputs = module.outputs(torch.zeros(2, 3, 512, 512))
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "canonical_inverse_depth": (2, 512, 512),
        "fov_deg": (2,),
    }


def test_a_batch_is_its_pictures_one_by_one(tiny: DepthPro) -> None:
    batch = pictures(2, 3, 512, 512)
    with torch.no_grad():
        together, alone = tiny.outputs(batch), [tiny.outputs(x[None]) for x in batch]
        assert torch.equal(tiny(batch), together["canonical_inverse_depth"])
    for name, value in together.items():
        assert relative(value, torch.cat([outputs[name] for outputs in alone])) < 1e-5


def test_the_field_of_view_can_do_without_a_transformer() -> None:
    module = tiny_network(use_fov_encoder=False)
    own = [name for name in module.state_dict() if name.startswith("fov.")]
    assert own == [f"fov.head.{i}.{kind}" for i in (0, 2, 4, 6) for kind in ("weight", "bias")]
    with torch.no_grad():
        assert module.outputs(pictures(2, 3, 512, 512))["fov_deg"].shape == (2,)


def test_without_a_camera_head_there_is_no_field_of_view() -> None:
    module = tiny_network(use_fov_head=False)
    with torch.no_grad():
        assert list(module.outputs(pictures(1, 3, 512, 512))) == ["canonical_inverse_depth"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 3, 384, 512), "384x512 pixels.*512x512 are needed"), ((3, 512, 512), "x\\[None\\]")],
)
def test_other_sizes_are_refused(shape: tuple[int, ...], message: str, tiny: DepthPro) -> None:
    with pytest.raises(InputError, match=message):
        tiny.outputs(torch.zeros(shape))


def test_gradients_reach_every_used_weight_and_the_camera_leaves_the_decoder_alone() -> None:
    module = tiny_network().train()
    batch = pictures(1, 3, 512, 512)
    module.outputs(batch)["fov_deg"].sum().backward()
    assert all(n.startswith("fov.") for n, p in module.named_parameters() if p.grad is not None)
    module(batch).square().mean().backward()
    idle = {name for name, p in module.named_parameters() if p.grad is None}
    unit = "decoder.fusions.4.resnet1.residual."
    assert idle == {f"{unit}{i}.{kind}" for i in (1, 3) for kind in ("weight", "bias")}


@pytest.mark.slow
@pytest.mark.parametrize("file", ["tiny.onnx", "tiny.xml"])
def test_an_exported_file_gives_the_same(file: str, tiny: DepthPro, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript" if file.endswith("onnx") else "openvino")
    from leadline.export import export_module

    exported = export_module(tiny, SPEC, tmp_path / file)
    assert exported.checks
    assert all(check.relative_error < 2e-5 for check in exported.checks)
