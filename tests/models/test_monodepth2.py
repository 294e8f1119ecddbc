"""Monodepth2: equal to the originals, part by part; motion conventions; the authors' files."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import leadline.models as models  # noqa: E402
from leadline.errors import InputError, WeightsError  # noqa: E402
from leadline.models.monodepth2 import Monodepth2, disp_to_depth  # noqa: E402
from testing.convolutional import network_input  # noqa: E402
from testing.goldens import load_golden  # noqa: E402

PARAMETERS = {
    "encoder18": 11_689_512,
    "depth18": 3_152_724,
    "encoder50": 25_557_032,
    "depth50": 9_012_081,
    "pose_encoder18": 11_698_920,
    "pose": 1_314_572,
    "pose_shared": 1_902_854,
    "posecnn": 1_586_774,
}


def build(name: str = "monodepth2-r18", **options: object) -> Monodepth2:
    module = models.build(name, **options)
    assert isinstance(module, Monodepth2)
    return module


@lru_cache(maxsize=1)
def parts() -> dict[str, torch.nn.Module]:
    """Every network of the golden file, with the weights that the originals ran with."""
    r18, r50 = build(), build("monodepth2-r50", scales=(0,), pose="none")
    found = {
        "encoder18": r18.encoder,
        "depth18": r18.decoder,
        "encoder50": r50.encoder,
        "depth50": r50.decoder,
        "pose_encoder18": r18.pose_encoder,
        "pose": r18.pose,
        "pose_shared": build(pose="shared").pose,
        "posecnn": build(pose="posecnn").pose,
    }
    golden = load_golden("md2_nets", extract=True)
    for name, part in found.items():
        part.load_state_dict(golden.weights(part, name), strict=True)
    return found


@torch.no_grad()
def everything(case: str) -> dict[str, torch.Tensor]:
    """All that the golden file has of ``case``, computed by our networks."""
    first = torch.from_numpy(network_input("md2_nets", f"{case}/input"))
    second = torch.from_numpy(network_input("md2_nets", f"{case}/input2"))
    both, net = torch.cat([first, second], dim=1), parts()
    small, large = net["encoder18"](first), net["encoder50"](first)
    pose_features = net["pose_encoder18"](both)
    found = {f"encoder18.feat{i}": f for i, f in enumerate(small)}
    found |= {f"encoder50.feat{i}": f for i, f in enumerate(large)}
    found |= {f"depth18.disp{s}": d for (_, s), d in net["depth18"](small).items()}
    found |= {f"depth50.disp{s}": d for (_, s), d in net["depth50"](large).items()}
    found["pose_encoder18.feat4"] = pose_features[-1]
    motions = {
        "pose": net["pose"]([pose_features]),
        "pose_shared": net["pose_shared"]([small, net["encoder18"](second)]),
        "posecnn": net["posecnn"](both),
    }
    for name, (axis_angle, translation) in motions.items():
        found |= {f"{name}.axisangle": axis_angle, f"{name}.translation": translation}
    return found


@pytest.mark.parametrize("extract", [True, False], ids=["extract", "full"])
@pytest.mark.parametrize("case", ["a", "b"])
def test_every_part_equals_the_original(case: str, extract: bool) -> None:
    golden = load_golden("md2_nets", extract=extract)
    found = everything(case)
    stored = {what for what in golden.keys(case) if what != "input2"}
    assert stored <= set(found)
    errors = {w: golden.relative_error(f"{case}/{w}", found[w].numpy()) for w in stored}
    assert max(errors.values()) < 1e-4, errors


def test_tensor_names_are_the_originals() -> None:
    described = load_golden("md2_nets").meta["models"]
    for name, part in parts().items():
        shapes = {n: list(t.shape) for n, t in part.state_dict().items()}
        assert shapes == {n: s for n, (s, _) in described[name]["state_dict"].items()}, name


def test_parameters() -> None:
    counted = {n: sum(p.numel() for p in part.parameters()) for n, part in parts().items()}
    assert counted == PARAMETERS


def test_the_module_gives_the_finest_disparity_or_depth() -> None:
    module = build(pose="none")
    depth = build(pose="none", output="depth")
    depth.load_state_dict(module.state_dict())
    x = torch.rand(1, 3, 64, 96)
    outputs = module.forward_all(x)
    assert torch.equal(module(x), outputs.disparities[0])
    assert [tuple(d.shape) for d in outputs.disparities] == [
        (1, 64 // 2**s, 96 // 2**s) for s in range(4)
    ]
    torch.testing.assert_close(depth(x), 1 / (0.01 + 9.99 * module(x)))


@pytest.mark.parametrize("extract", [True, False], ids=["extract", "full"])
def test_disparity_to_depth_equals_the_original(extract: bool) -> None:
    golden = load_golden("md2_layers", extract=extract)
    disp = torch.from_numpy(golden.arrays["disp/disp"])
    for low, high in ((0.1, 100), (1, 20)):
        scaled, depth = disp_to_depth(disp, low, high)
        assert golden.relative_error(f"disp/scaled_{low}_{high}", scaled.numpy()) < 1e-6
        assert golden.relative_error(f"disp/depth_{low}_{high}", depth.numpy()) < 1e-6


def test_disparity_falls_with_depth() -> None:
    disp = torch.linspace(0, 1, 11)
    _, depth = disp_to_depth(disp, 0.1, 100)
    assert (depth.diff() < 0).all()
    assert depth[0] == pytest.approx(100)
    assert depth[-1] == pytest.approx(0.1)


@pytest.mark.parametrize("pose", ["separate", "shared", "posecnn"])
def test_motion_is_asked_in_the_order_of_time(pose: str) -> None:
    """Swapping which frame is the target inverts the transform exactly."""
    torch.manual_seed(0)
    module = build(pose=pose)
    earlier, later = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        forward = module.source_from_target(earlier, later, later=True)
        backward = module.source_from_target(later, earlier, later=False)
    torch.testing.assert_close(forward @ backward, torch.eye(4).expand(2, 4, 4))
    assert not torch.allclose(forward, torch.eye(4).expand(2, 4, 4), atol=1e-7)


def test_a_stereo_model_has_no_motion() -> None:
    with pytest.raises(InputError, match="pose='separate'"):
        build(pose="none").motion(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))


def authors_folder(folder: Path, module: Monodepth2) -> Path:
    """Files as the authors' training writes them: one per part, the first with three settings."""
    files = {"encoder": "encoder", "decoder": "depth", "pose_encoder": "pose_encoder"}
    for part, child in module.named_children():
        state = dict(child.state_dict())
        if part == "encoder":
            state |= {"height": 192, "width": 640, "use_stereo": False}
        torch.save(state, folder / f"{files.get(part, part)}.pth")
    return folder


@pytest.mark.parametrize("pose", ["separate", "none"])
@pytest.mark.parametrize("file", ["", "encoder.pth"])
def test_the_authors_folder_loads(tmp_path: Path, pose: str, file: str) -> None:
    trained, module = build(pose=pose), build(pose=pose)
    models.load_weights(module, authors_folder(tmp_path, trained) / file)
    for ours, theirs in zip(
        module.state_dict().values(), trained.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_a_stereo_folder_says_how_to_build(tmp_path: Path) -> None:
    folder = authors_folder(tmp_path, build(pose="none"))
    with pytest.raises(WeightsError, match="pose='none'"):
        models.load_weights(build(), folder)


def test_an_imagenet_start_is_shared_by_both_frames() -> None:
    """Two equal frames give the features of one frame through the classifier's own first layer."""
    module, single = build(), build(pose="none")
    state = single.encoder.encoder.state_dict()
    module.pose_encoder.load_imagenet(state)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        pair = module.pose_encoder(torch.cat([x, x], dim=1))
        alone = single.encoder(x)
    torch.testing.assert_close(pair[0], alone[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pose": "both"}, "'separate'"),
        ({"scales": (1, 2)}, "0 among them"),
        ({"min_depth": 5.0, "max_depth": 1.0}, "min_depth < max_depth"),
        ({"encoder": "resnet19"}, "resnet18"),
    ],
)
def test_bad_options_say_what_is_needed(options: dict[str, object], message: str) -> None:
    with pytest.raises((InputError, LookupError), match=message):
        build(**options)


def test_the_small_one_has_its_own_pose_network() -> None:
    module = build(encoder="small", decoder_widths=(8, 16, 32, 64, 96))
    batch = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        outputs, motion = module.forward_all(batch), module.motion(batch, batch)
    assert [tuple(d.shape) for d in outputs.disparities] == [
        (1, 64 >> s, 96 >> s) for s in range(4)
    ]
    assert motion.translation.shape == (1, 3)
    assert sum(p.numel() for p in module.parameters()) < 4e6


def test_pictures_that_reflection_cannot_pad_are_refused() -> None:
    with pytest.raises(InputError, match="at least 64"):
        build(pose="none")(torch.rand(1, 3, 32, 64))


def test_double_precision_stays_double() -> None:
    module = build(pose="none").double()
    disparity = module(torch.zeros(1, 3, 64, 64, dtype=torch.float64))
    assert disparity.dtype == torch.float64
    assert disparity.isfinite().all()
