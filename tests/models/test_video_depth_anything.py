"""Video Depth Anything: equal to the original on clips, single frames and a stream."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import leadline.models as models  # noqa: E402
from leadline.errors import InputError  # noqa: E402
from leadline.export import export_module  # noqa: E402
from leadline.kinds import DepthKind  # noqa: E402
from leadline.models import video_depth_anything as network  # noqa: E402
from leadline.models.dinov2 import ENCODERS, EncoderConfig  # noqa: E402
from leadline.models.video_depth_anything import (  # noqa: E402
    CONFIGS,
    DepthStream,
    VideoDepthAnything,
    VideoDepthAnythingConfig,
)
from leadline.models.video_depth_anything_layers import FrameMemory  # noqa: E402
from leadline.models.weights import guess  # noqa: E402
from leadline.spec import ModelSpec, PreprocessSpec  # noqa: E402
from testing.goldens import FULL, Golden, filled, load_golden  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

# encoder: (tensors, parameters)
PUBLISHED = {"vits": (351, 29_035_137), "vitb": (351, 114_441_409), "vitl": (519, 384_390_337)}
TABLE = ".pos_encoder.pe"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> VideoDepthAnything:
    """A small network with deterministic weights."""
    module = tiny_network(monkeypatch)
    module.load_state_dict(
        filled(module, overrides={"head.scratch.output_conv2.2.bias": {"add": 3}})
    )
    return module


def tiny_network(monkeypatch: pytest.MonkeyPatch) -> VideoDepthAnything:
    monkeypatch.setitem(ENCODERS, "tiny", EncoderConfig(width=32, depth=4, heads=2))
    config = VideoDepthAnythingConfig(
        encoder="tiny", taps=(0, 1, 2, 3), features=64, out_channels=(8, 12, 64, 128)
    )
    return VideoDepthAnything(config).eval()


def clips(*shape: int, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    offset = 2 * rng.standard_normal((*shape[:-3], 3, 1, 1))
    return torch.from_numpy((rng.standard_normal(shape) + offset).astype(np.float32))


def relative(ours: Tensor, reference: Tensor) -> float:
    return float((ours - reference).abs().max() / reference.abs().max())


@lru_cache(maxsize=1)
def golden_network() -> VideoDepthAnything:
    """The network that the golden file describes: drawing 29 million numbers takes a while."""
    with torch.device("meta"):
        module = models.build("video-depth-anything-vits")
    assert isinstance(module, VideoDepthAnything)
    models.load_weights(module, load_golden("vda_vits", extract=True).weights(module, "vits"))
    return module


def inner_maps(module: VideoDepthAnything, clip: Tensor) -> dict[str, Tensor]:
    """The output, and inner maps by the names that the golden file gives them."""
    b, t = clip.shape[:2]
    head, maps = module.head, {}

    def keep(part: torch.nn.Module, name: str) -> Any:
        def hook(_part: Any, _given: Any, out: Tensor) -> None:
            maps.setdefault(f"tap.{name}", []).append(out)

        return part.register_forward_hook(hook)

    hooks = [keep(head.resize_layers[2], "layer3"), keep(head.scratch.refinenet4, "refinenet4")]
    hooks.append(keep(head.scratch.output_conv1, "output_conv1"))
    for i, motion in enumerate(head.motion_modules):
        hooks.append(keep(motion, f"motion_{i}"))
        block = motion.temporal_transformer.transformer_blocks[0]
        hooks += [keep(norm, f"hidden_{i}.{j}") for j, norm in enumerate(block.norms)]
    with torch.no_grad():
        output = module(clip)
    for hook in hooks:
        hook.remove()
    found = {name: torch.cat(parts) for name, parts in maps.items()}
    for name in [name for name in found if ".motion_" in name]:  # (b t, c, h, w) -> (b, c, t, h, w)
        found[name] = found[name].unflatten(0, (b, t)).transpose(1, 2)
    # the original passes the last layers 4 frames at a time, and its last pass was noted
    found["tap.output_conv1"] = (
        maps["tap.output_conv1"][-1] if t == 32 else found["tap.output_conv1"]
    )
    return {"output": output, **found}


def check_cases(golden: Golden, cases: tuple[str, ...]) -> None:
    for case in cases:
        maps = inner_maps(golden_network(), torch.from_numpy(golden.input(case)))
        for what in golden.keys(case):
            key = f"{case}/{what}"
            assert golden.relative_error(key, maps[what].numpy()) < 1e-5, key


# --- the table -----------------------------------------------------------------------------------


def test_the_table_and_the_configs_name_the_same_models() -> None:
    assert {n for n in models.names() if n.startswith("video-")} == set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_names_shapes_and_counts_are_the_published_ones(name: str) -> None:
    size = name.rpartition("-")[2]
    with torch.device("meta"):
        module = models.build(name)
    state = module.state_dict()
    assert (len(state), sum(p.numel() for p in module.parameters())) == PUBLISHED[size]
    assert module(torch.zeros(1, 2, 3, 28, 42, device="meta")).shape == (1, 2, 28, 42)
    path = FULL.parent / "facts" / "keys" / f"keys_vda_{size}.txt"
    if not path.is_file():
        pytest.skip("the key lists are not on this machine")
    listed = sorted(expand(path.read_text().splitlines()))
    assert listed == sorted(f"{k}\t{list(t.shape)}\t{t.dtype}" for k, t in state.items())


def expand(lines: list[str]) -> list[str]:
    """A list's lines, those of ``{0-11}`` once for each number."""
    expanded = []
    for line in lines:
        span = re.search(r"\{(\d+)-(\d+)\}", line)
        if span:
            numbers = range(int(span[1]), int(span[2]) + 1)
            expanded += [line.replace(span[0], str(number)) for number in numbers]
        elif line and line[0] != "#":
            expanded.append(line)
    return expanded


@pytest.mark.parametrize("size", PUBLISHED)
def test_a_checkpoint_is_recognised(size: str) -> None:
    with torch.device("meta"):
        state = models.build(f"video-depth-anything-{size}").state_dict()
    found = guess(state)
    assert found
    assert found.models == (f"video-depth-anything-{size}", f"video-depth-anything-metric-{size}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_depth": 20.0}, "no option 'max_depth'; it takes encoder, taps, features"),
        ({"taps": (2, 5, 8, 12)}, "four increasing block numbers from 0 to 11"),
        ({"features": 48}, "in multiples of 32"),
        ({"out_channels": (48, 96, 200, 384)}, "in multiples of 32"),
        ({"frames": 1}, "at least 4"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.build("video-depth-anything-vits", **options)


# --- parity with the original --------------------------------------------------------------------


@pytest.mark.parametrize("case", ["clip5", "batch2x4", "one", "clip32"])
def test_every_map_equals_the_originals_extract(case: str) -> None:
    check_cases(load_golden("vda_vits", extract=True), (case,))


def test_every_map_equals_the_originals() -> None:
    check_cases(load_golden("vda_vits"), ("clip5", "batch2x4", "one", "clip32"))


def test_inputs_are_those_of_the_original() -> None:
    golden = load_golden("vda_vits", extract=True)
    for case in ("clip5", "batch2x4", "one", "clip32"):
        made = golden.input(case).astype(np.float64).sum()
        assert made == pytest.approx(golden.cases[case]["input_sum"], abs=1e-6)


def test_a_stream_equals_the_originals() -> None:
    golden = load_golden("vda_vits", extract=True)
    rng = np.random.Generator(np.random.PCG64(405))
    frames = rng.integers(0, 256, (48, 28, 42, 3), dtype=np.uint8)
    mean = np.array([0.485, 0.456, 0.406], np.float32)
    std = np.array([0.229, 0.224, 0.225], np.float32)
    batch = torch.from_numpy((frames.astype(np.float32) / 255 - mean) / std).permute(0, 3, 1, 2)
    stream = DepthStream(golden_network())
    with torch.inference_mode():
        depth = torch.cat([stream.predict(frame[None]) for frame in batch])
    assert golden.relative_error("stream/output", depth.numpy()) < 1e-5


def test_without_its_temporal_modules_it_is_far_from_the_original() -> None:
    golden = load_golden("vda_vits", extract=True)
    clip = torch.from_numpy(golden.input("clip5"))
    with torch.no_grad():
        alone = golden_network()(clip[0])[None].numpy()  # each frame is a clip of its own
    difference = np.abs(golden.kept("clip5/output", alone) - golden.arrays["clip5/output"]).max()
    assert 3 < difference < 9  # 5.86 of the whole map


def test_the_committed_extract_is_part_of_the_full_file() -> None:
    full, extract = load_golden("vda_vits"), load_golden("vda_vits", extract=True)
    assert set(full.arrays) == set(extract.arrays)
    for key, values in extract.arrays.items():
        stride = extract.meta["every"].get(key, {"stride": 1})["stride"]
        np.testing.assert_array_equal(values.reshape(-1), full.arrays[key].reshape(-1)[::stride])


# --- clips and pictures --------------------------------------------------------------------------


def test_pictures_are_clips_of_one_frame(tiny: VideoDepthAnything) -> None:
    pictures = clips(3, 3, 28, 42)
    with torch.no_grad():
        together, alone = tiny(pictures), torch.cat([tiny(x[None, None])[0] for x in pictures])
        named = tiny.outputs(image=pictures[None])["depth"]
    assert together.shape == (3, 28, 42)
    assert relative(together, alone) < 1e-5
    assert named.shape == (1, 3, 28, 42)
    assert relative(named[0], alone) > 0.01  # frames of one clip see each other


def test_clips_of_a_batch_do_not_see_each_other(tiny: VideoDepthAnything) -> None:
    batch = clips(2, 3, 3, 28, 42)
    with torch.no_grad():
        assert relative(tiny(batch), torch.cat([tiny(clip[None]) for clip in batch])) < 1e-5


def test_few_frames_at_a_time_give_the_same(
    tiny: VideoDepthAnything, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = clips(1, 7, 3, 28, 42)
    with torch.no_grad():
        parts = tiny(clip)
        monkeypatch.setattr(network, "_TOGETHER", 100)
        assert relative(parts, tiny(clip)) < 1e-5


def test_untrained_temporal_modules_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    module, clip = tiny_network(monkeypatch), clips(1, 3, 3, 28, 42)
    with torch.no_grad():
        module.head.scratch.output_conv2[2].bias += 1  # untrained maps would be cut at zero
        assert relative(module(clip)[0], module(clip[0])) < 1e-5


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 33, 3, 14, 14), "clips of 33 frames; 1 to 32 are needed"),
        ((1, 0, 3, 14, 14), "clips of 0 frames"),
        ((1, 2, 3, 15, 14), "15x14 pixels.*multiples of 14"),
        ((1, 3, 15, 14), "15x14 pixels"),
        ((3, 14, 14), r"shape \(3, 14, 14\); \(b, t, 3, h, w\) clips"),
        ((1, 2, 4, 14, 14), r"shape \(1, 2, 4, 14, 14\)"),
    ],
)
def test_other_batches_are_refused(
    shape: tuple[int, ...], message: str, tiny: VideoDepthAnything
) -> None:
    with pytest.raises(InputError, match=message):
        tiny(torch.zeros(shape))


def test_gradients_reach_every_used_weight(tiny: VideoDepthAnything) -> None:
    tiny.train()(clips(1, 2, 3, 28, 28)).square().mean().backward()
    idle = {name for name, p in tiny.named_parameters() if p.grad is None}
    units = [f"conv{n}.{kind}" for n in (1, 2) for kind in ("weight", "bias")]
    assert idle == {"pretrained.mask_token"} | {
        f"head.scratch.refinenet4.resConfUnit1.{unit}" for unit in units
    }


# --- weights -------------------------------------------------------------------------------------


def test_tables_of_positions_are_made_where_a_file_lacks_them(
    tiny: VideoDepthAnything, tmp_path: Path
) -> None:
    state = tiny.state_dict()
    tables = [name for name in state if name.endswith(TABLE)]
    assert len(tables) == 8
    path = tmp_path / "weights.pth"
    torch.save({name: tensor for name, tensor in state.items() if name not in tables}, path)
    with torch.device("meta"):
        fresh = VideoDepthAnything(tiny.config)
    models.load_weights(fresh, path)
    for name, tensor in state.items():
        assert torch.equal(fresh.state_dict()[name], tensor), name
    changed = {name: tensor + 1 if name in tables else tensor for name, tensor in state.items()}
    models.load_weights(fresh, changed)  # a file that has them is believed
    assert torch.equal(fresh.state_dict()[tables[0]], state[tables[0]] + 1)


# --- streaming -----------------------------------------------------------------------------------


def test_a_memory_keeps_the_first_an_old_and_the_recent_frames() -> None:
    memory = FrameMemory(32)
    for n in range(100):
        seen = memory.extend(torch.full((1, 1, 1), float(n))).flatten().tolist()
        expected = [0, n - 41, *range(n - 29, n), n] if n else [0]
        assert seen == [max(0, number) for number in expected]


def test_a_stream_starts_as_a_picture_and_starts_again(tiny: VideoDepthAnything) -> None:
    first, second = clips(2, 1, 3, 28, 42)
    stream = DepthStream(tiny)
    with torch.inference_mode():
        started = stream.predict(first)
        assert relative(started, tiny(first)) < 1e-5
        assert relative(stream.predict(second), tiny(second)) > 0.01  # it remembers the first
        with pytest.raises(InputError, match=r"reset\(\) where another film begins"):
            stream.predict(first[..., :28])
        stream.reset()
        assert torch.equal(stream.predict(first), started)


def test_a_refused_first_frame_does_not_decide_the_size(tiny: VideoDepthAnything) -> None:
    stream = DepthStream(tiny)
    with pytest.raises(InputError, match="multiples of 14"):
        stream.predict(torch.zeros(1, 3, 15, 14))
    with torch.inference_mode():
        assert stream.predict(torch.zeros(1, 3, 28, 28)).shape == (1, 28, 28)


# --- tracing -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_it_exports_for_single_pictures(
    suffix: str, tiny: VideoDepthAnything, tmp_path: Path
) -> None:
    pytest.importorskip("onnxscript")
    spec = ModelSpec(
        name="tiny",
        kind=DepthKind.AFFINE_DISPARITY,
        preprocess=PreprocessSpec(size=(126, 168), multiple_of=14),
    )
    exported = export_module(tiny, spec, tmp_path / f"tiny{suffix}")
    assert len(exported.checks) == (4 if suffix == ".onnx" else 2)  # runtimes and sizes
    assert all(check.relative_error < 5e-5 for check in exported.checks)


@pytest.mark.slow
def test_an_onnx_file_for_clips_runs_at_every_size(
    tiny: VideoDepthAnything, tmp_path: Path
) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime, path = pytest.importorskip("onnxruntime"), tmp_path / "tiny.onnx"
    height, width = torch.export.Dim("h", max=200), torch.export.Dim("w", max=400)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            tiny,
            (clips(2, 5, 3, 126, 168),),
            path,
            dynamo=True,
            opset_version=18,
            dynamic_shapes=({0: torch.export.Dim("b", max=64), 3: 14 * height, 4: 14 * width},),
            input_names=["image"],
            output_names=["depth"],
            verbose=False,
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for size in ((126, 168), (42, 98)):
        batch = clips(1, 5, 3, *size)
        with torch.no_grad():
            expected = tiny(batch)
        given = session.run(None, {"image": batch.numpy()})[0]
        assert relative(torch.from_numpy(given), expected) < 5e-5
