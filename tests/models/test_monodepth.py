"""Monodepth: equal to the original, its names and checkpoints, and what disparity means."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import leadline.models as models  # noqa: E402
from leadline.errors import InputError, WeightsError  # noqa: E402
from leadline.models.monodepth import (  # noqa: E402
    KITTI_BASELINE_M,
    KITTI_FOCAL_PX,
    Monodepth,
    ResNet50Encoder,
    disparity_to_depth,
)
from testing.convolutional import network_input, tensorflow_weights  # noqa: E402
from testing.goldens import fill_value, load_golden  # noqa: E402


def build(name: str) -> Monodepth:
    module = models.build(name)
    assert isinstance(module, Monodepth)
    return module


def original_weights(module: Monodepth) -> dict[str, np.ndarray]:
    """TensorFlow variables for ``module``, filled from their names as the golden file's were."""
    shapes = {n: tuple(t.shape) for n, t in module.state_dict().items()}
    arrays: dict[str, np.ndarray] = {}
    for ours, theirs in module.tensorflow_names().items():
        kernel = fill_value(f"{theirs}/weight", shapes[f"{ours}.weight"])
        bias = fill_value(f"{theirs}/bias", shapes[f"{ours}.bias"])
        assert kernel is not None
        assert bias is not None
        arrays[f"{theirs}/weights:0"] = kernel.transpose(2, 3, 1, 0).copy()
        arrays[f"{theirs}/biases:0"] = bias
    return arrays


@lru_cache(maxsize=1)
def filled_vgg() -> Monodepth:
    module = build("monodepth-vgg")
    models.load_weights(module, original_weights(module))
    return module


@pytest.mark.parametrize("extract", [True, False], ids=["extract", "full"])
@pytest.mark.parametrize("case", ["a", "b"])
def test_vgg_equals_the_original(case: str, extract: bool) -> None:
    golden = load_golden("monodepth_vgg", extract=extract)
    batch = torch.from_numpy(network_input("monodepth_vgg", f"{case}/input"))
    with torch.no_grad():
        outputs = filled_vgg().forward_all(batch.permute(0, 3, 1, 2))
    for scale in range(4):
        both = torch.stack([outputs.left[scale], outputs.right[scale]], dim=-1)
        assert golden.relative_error(f"{case}/disp{scale + 1}", both.numpy()) < 1e-4


def test_variables_are_exactly_the_originals() -> None:
    golden = load_golden("monodepth_vgg")
    theirs, ours = tensorflow_weights(golden), original_weights(build("monodepth-vgg"))
    assert theirs.keys() == ours.keys()
    for name, array in theirs.items():
        np.testing.assert_array_equal(array, ours[name])


def test_resnet_variables_are_numbered_as_the_original_makes_them() -> None:
    """conv1 is Conv; each unit takes four numbers, its projection the last of them."""
    names = build("monodepth-resnet50").tensorflow_names()
    assert names["encoder.conv1"] == "model/encoder/Conv"
    assert names["encoder.block2.0.conv1"] == "model/encoder/Conv_1"
    assert names["encoder.block2.0.shortcut"] == "model/encoder/Conv_4"
    assert names["encoder.block5.2.shortcut"] == "model/encoder/Conv_64"  # 1 + 16 units of 4
    assert names["decoder.upconv6"] == "model/decoder/Conv"
    assert names["decoder.disp1"] == "model/decoder/Conv_15"
    assert len(names) == 65 + 16


@pytest.mark.parametrize(
    ("name", "parameters"), [("monodepth-vgg", 31_600_072), ("monodepth-resnet50", 58_452_008)]
)
def test_parameters(name: str, parameters: int) -> None:
    with torch.device("meta"):
        module = models.build(name)
    assert sum(p.numel() for p in module.parameters()) == parameters


def test_resnet_strides_in_the_last_unit_and_always_projects() -> None:
    encoder = ResNet50Encoder()
    for block in (encoder.block2, encoder.block3, encoder.block4, encoder.block5):
        strides = [unit.conv2.stride[0] for unit in block]
        assert strides == [1] * (len(block) - 1) + [2]
        assert all(unit.shortcut.weight.numel() for unit in block)
    sizes = [f.shape[-1] for f in encoder(torch.rand(1, 3, 64, 128))]
    assert sizes == [64, 32, 16, 8, 4, 2]


def test_resnet_pools_over_zeros() -> None:
    """After ELU values may be below zero; the original's border is zero, so corners never are."""
    encoder = ResNet50Encoder()
    with torch.no_grad():
        for parameter in encoder.conv1.parameters():
            parameter.fill_(-0.1)
        first, pooled, *_ = encoder(torch.rand(1, 3, 64, 64))
    assert (first < 0).all()
    assert (pooled[:, :, 0] == 0).all()
    assert (pooled[:, :, 1:, 1:] < 0).all()


@pytest.mark.parametrize(
    "name", ["monodepth-vgg", pytest.param("monodepth-resnet50", marks=pytest.mark.slow)]
)
def test_a_checkpoint_through_npz_loads(tmp_path: Path, name: str) -> None:
    trained, module = build(name), build(name)
    arrays = {}
    for ours, theirs in trained.tensorflow_names().items():
        layer = trained.get_submodule(ours)
        arrays[f"{theirs}/weights"] = layer.weight.detach().permute(2, 3, 1, 0).numpy()
        arrays[f"{theirs}/biases"] = layer.bias.detach().numpy()
        arrays[f"{theirs}/weights/Adam"] = np.zeros((1,), np.float32)
        arrays[f"{theirs}/weights/Adam_1"] = np.zeros((1,), np.float32)
    arrays |= {"global_step": np.int64(5), "beta1_power": np.float32(0.9)}
    np.savez(tmp_path / "model.npz", **arrays)
    models.load_weights(module, tmp_path / "model.npz")
    for ours, theirs in zip(
        module.state_dict().values(), trained.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_a_tensorflow_checkpoint_of_another_network_is_refused() -> None:
    tiny = Path(__file__).parent / "data" / "tf_checkpoint" / "tiny.index"
    with pytest.raises(WeightsError, match="does not fit monodepth-vgg"):
        models.load_weights(build("monodepth-vgg"), tiny)


def test_disparities_lie_within_three_tenths() -> None:
    module = build("monodepth-resnet50")
    with torch.no_grad():
        outputs = module.forward_all(torch.rand(2, 3, 64, 128))
    for maps in outputs:
        for scale, disparity in enumerate(maps):
            assert disparity.shape == (2, 64 // 2**scale, 128 // 2**scale)
            assert ((disparity > 0) & (disparity < 0.3)).all()


def test_disparity_falls_with_depth() -> None:
    """Near things move more between the eyes than far ones: d = f * b / Z."""
    depth = torch.tensor([2.0, 5.0, 10.0, 80.0])
    width, focal = 1242, KITTI_FOCAL_PX[1242]
    disparity = focal * KITTI_BASELINE_M / depth / width  # fractions of the width
    assert (disparity.diff() < 0).all()
    metres = disparity_to_depth(
        disparity, width_px=width, focal_px=focal, baseline_m=KITTI_BASELINE_M
    )
    torch.testing.assert_close(metres, depth)
    assert disparity_to_depth(
        torch.zeros(1), width_px=width, focal_px=focal, baseline_m=KITTI_BASELINE_M
    ).isinf()


def test_depth_does_not_depend_on_the_size_at_which_it_is_read() -> None:
    """A picture of half the width has half the focal length in pixels."""
    d = torch.tensor([0.05])
    full = disparity_to_depth(d, width_px=1242, focal_px=721.5, baseline_m=0.54)
    half = disparity_to_depth(d, width_px=621, focal_px=360.75, baseline_m=0.54)
    torch.testing.assert_close(full, half)


def test_post_processing_sees_the_mirrored_picture() -> None:
    torch.manual_seed(0)
    module, x = build("monodepth-resnet50"), torch.rand(1, 3, 64, 128)
    with torch.no_grad():
        processed, straight = module.post_processed(x), module(x)
        mirrored = module(x.flip(-1)).flip(-1)
    torch.testing.assert_close(processed[..., 0], mirrored[..., 0])
    torch.testing.assert_close(processed[..., -1], straight[..., -1])
    torch.testing.assert_close(processed[..., 64], (straight + mirrored)[..., 64] / 2)


def test_the_small_one_gives_both_eyes_at_four_scales() -> None:
    module = models.build("monodepth-vgg", encoder="small")
    assert isinstance(module, Monodepth)
    with torch.no_grad():
        outputs = module.forward_all(torch.rand(1, 3, 64, 96))
    assert [tuple(m.shape) for m in outputs.right] == [(1, 64 >> s, 96 >> s) for s in range(4)]
    assert sum(p.numel() for p in module.parameters()) < 1.3e6


def test_output_depth_is_metres_of_the_rig() -> None:
    rig = {"focal_share": 0.6, "baseline_m": 0.2}
    module = models.build("monodepth-vgg", encoder="small", output="depth", **rig)
    assert isinstance(module, Monodepth)
    batch = torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        disparity, depth = module.forward_all(batch).left[0], module(batch)
    expected = disparity_to_depth(disparity, width_px=64, focal_px=0.6 * 64, baseline_m=0.2)
    torch.testing.assert_close(depth, expected)


@pytest.mark.parametrize("wrong", [{"output": "metres"}, {"baseline_m": 0.0}, {"encoder": "tiny"}])
def test_bad_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        models.build("monodepth-vgg", **wrong)


def test_sizes_that_the_decoder_cannot_join_are_refused() -> None:
    with pytest.raises(InputError, match="multiples of 128"):
        build("monodepth-vgg")(torch.rand(1, 3, 64, 128))
