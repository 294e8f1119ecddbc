import json
from pathlib import Path

import numpy as np
import pytest

import leadline
from leadline.catalog import PREPROCESS
from leadline.decode import decode
from leadline.errors import (
    DeviceError,
    InputError,
    LeadlineWarning,
    MissingWeightsError,
    UnknownNameError,
)
from leadline.estimator import DepthEstimator, Policy
from leadline.kinds import DepthKind
from leadline.load_options import resize_input
from leadline.preprocess import Preprocess
from leadline.resample import resize
from leadline.runtime.base import raise_if_out_of_memory
from leadline.spec import ModelSpec, PreprocessSpec

SPEC = ModelSpec(
    name="fake",
    kind=DepthKind.AFFINE_DISPARITY,
    preprocess=PreprocessSpec(size=(32, 32), resize="short_side", multiple_of=32),
)


class Ramp:
    """A runtime that gives the red channel plus a left-to-right ramp, and counts its calls."""

    name, device, precision = "ramp", "cpu", "f32"

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        image = arrays["image"]
        self.batches.append(image.shape)
        return {"depth": image[:, 0] + np.linspace(0, 1, image.shape[3], dtype=np.float32)}


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_every_source_gives_the_same_map(tiny_model: Path, tmp_path: Path) -> None:
    from PIL import Image as PilImage

    pixels = picture(50, 70)
    file = tmp_path / "photo.png"
    PilImage.fromarray(pixels).save(file)
    estimator = leadline.load(tiny_model)
    sources = [
        file,
        str(file),
        file.read_bytes(),
        PilImage.open(file),
        pixels,
        leadline.Image(pixels=pixels),
    ]
    maps = [estimator.predict(source) for source in sources]
    assert all(m.values.shape == (50, 70) and m.values.dtype == np.float32 for m in maps)
    assert all(m.kind is DepthKind.AFFINE_DISPARITY and m.model == "tiny" for m in maps)
    for other in maps[1:]:
        np.testing.assert_array_equal(maps[0].values, other.values)


def test_predict_is_preprocess_run_restore_decode(tiny_model: Path) -> None:
    estimator = leadline.load(tiny_model)
    image = leadline.Image(pixels=picture(64, 100))
    preprocess = Preprocess(estimator.spec.preprocess)
    prepared = preprocess(image)
    outputs = estimator.runtime.run(prepared.arrays)
    wanted = decode(preprocess.restore(outputs, prepared), estimator.spec, prepared)
    np.testing.assert_array_equal(estimator.predict(image).values, wanted.values)


def test_the_camera_reaches_the_prediction(tiny_model: Path) -> None:
    camera = leadline.Camera.from_fov(80, 60, fov_deg=60)
    image = leadline.Image(pixels=picture(60, 80), camera=camera)
    assert leadline.load(tiny_model).predict(image).camera == camera


@pytest.mark.parametrize("policy", ["single", "flip"])
def test_the_network_s_own_map_on_request(policy) -> None:
    estimator = DepthEstimator(Ramp(), SPEC, policy=policy)
    own = estimator.predict_unresized(picture(48, 96))
    assert own.size == (32, 64)
    whole = estimator.predict(picture(48, 96)).values
    np.testing.assert_allclose(resize(own.values, (48, 96)), whole, atol=1e-6)


@pytest.mark.parametrize("how", [{"policy": "pad"}, {"tiles": 2}])
def test_where_the_network_s_map_is_not_the_picture_s_it_is_the_usual_one(how) -> None:
    estimator = DepthEstimator(Ramp(), SPEC, **how)
    own = estimator.predict_unresized(picture(48, 96)).values
    np.testing.assert_array_equal(own, estimator.predict(picture(48, 96)).values)


def test_batches_group_by_input_size_and_keep_the_order() -> None:
    runtime = Ramp()
    estimator = DepthEstimator(runtime, SPEC)
    sizes = [(40, 40), (40, 80), (45, 45), (64, 128), (50, 50), (33, 33)]
    pictures = [picture(h, w, seed) for seed, (h, w) in enumerate(sizes)]
    maps = estimator.predict_batch(pictures, batch_size=3)
    assert [m.size for m in maps] == sizes
    assert sorted(runtime.batches) == [(1, 3, 32, 32), (2, 3, 32, 64), (3, 3, 32, 32)]
    for source, prediction in zip(pictures, maps, strict=True):
        np.testing.assert_allclose(prediction.values, estimator.predict(source).values, atol=1e-5)


def test_an_empty_batch_is_empty_and_a_batch_size_of_zero_is_refused() -> None:
    estimator = DepthEstimator(Ramp(), SPEC)
    assert estimator.predict_batch([]) == []
    with pytest.raises(InputError, match="batch_size=0"):
        estimator.predict_batch([picture(9, 9)], batch_size=0)


class Narrow(Ramp):
    """Runs out of memory beyond two pictures."""

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if len(arrays["image"]) > 2:
            raise MemoryError("CUDA out of memory")
        return super().run(arrays)


def test_memory_that_runs_out_makes_batches_smaller_and_says_so() -> None:
    pictures = [picture(32, 32, seed) for seed in range(9)]
    whole = DepthEstimator(Ramp(), SPEC).predict_batch(pictures)
    narrow = Narrow()
    estimator = DepthEstimator(narrow, SPEC)
    with pytest.warns(
        LeadlineWarning, match="with 8 pictures at once on cpu; going on with 4"
    ) as w:
        found = estimator.predict_batch(pictures)
    assert [str(one.message).rpartition(" ")[2] for one in w] == ["4.", "2."]
    assert [shape[0] for shape in narrow.batches] == [2, 2, 2, 2, 1]
    for one, other in zip(found, whole, strict=True):
        np.testing.assert_array_equal(one.values, other.values)


def test_one_picture_that_is_too_much_is_a_memory_error() -> None:
    class Nothing(Ramp):
        def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            raise MemoryError

    with pytest.raises(MemoryError):
        DepthEstimator(Nothing(), SPEC).predict_batch([picture(32, 32)] * 3)


@pytest.mark.parametrize(
    "text",
    [
        "CUDA out of memory. Tried to allocate 20.00 GiB",
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for buffer",
        "[GPU] clEnqueueMapBuffer, error code: -5 CL_OUT_OF_RESOURCES",
        "std::bad_alloc",
    ],
)
def test_what_runtimes_say_of_memory_is_a_memory_error(text: str) -> None:
    with pytest.raises(MemoryError):
        raise_if_out_of_memory(RuntimeError(text))
    raise_if_out_of_memory(RuntimeError("shapes do not match"))


def test_flip_averages_with_the_mirrored_picture() -> None:
    runtime = Ramp()
    grey = np.full((32, 64, 3), 128, np.uint8)
    single = DepthEstimator(runtime, SPEC).predict(grey).values
    flipped = DepthEstimator(runtime, SPEC, policy="flip").predict(grey).values
    assert runtime.batches[-1] == (2, 3, 32, 64)
    np.testing.assert_allclose(flipped, (single + single[:, ::-1]) / 2, atol=1e-6)
    assert np.ptp(flipped) < 1e-6 < np.ptp(single)


def test_flip_keeps_the_picture_where_it_is() -> None:
    pixels = picture(32, 64)
    estimator = DepthEstimator(Ramp(), SPEC, policy="flip")
    prepared = estimator.prepare(pixels)
    wanted = prepared.arrays["image"][0, 0] + 0.5
    np.testing.assert_allclose(estimator.predict(pixels).values, wanted, atol=1e-5)


def test_policies_that_cannot_be_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Known: single, flip"):
        DepthEstimator(Ramp(), SPEC, policy="mirror")  # ty: ignore[invalid-argument-type]
    one_sided = ModelSpec(
        name="x", kind=SPEC.kind, preprocess=SPEC.preprocess, horizontal_flip_safe=False
    )
    with pytest.raises(InputError, match="mirrored"):
        DepthEstimator(Ramp(), one_sided, policy="flip")


def test_tiles_look_at_the_whole_and_at_every_part() -> None:
    runtime = Ramp()
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:, :, 0] = np.linspace(0, 255, 96)
    plain = DepthEstimator(runtime, SPEC).predict(pixels)
    runtime.batches.clear()
    tiled = DepthEstimator(runtime, SPEC, tiles=2).predict(pixels)
    assert sum(shape[0] for shape in runtime.batches) == 1 + 2 * 3
    assert tiled.size == plain.size
    assert tiled.kind is plain.kind
    assert np.abs(tiled.values - plain.values).max() < 0.1 * np.ptp(plain.values)
    assert np.abs(np.diff(tiled.values, axis=1)).max() < 0.2


def test_tiles_of_a_batch_are_those_of_each_picture() -> None:
    estimator = DepthEstimator(Ramp(), SPEC, tiles=2, policy="flip")
    pictures = [picture(70, 90, seed) for seed in range(3)]
    together = estimator.predict_batch(pictures)
    for source, prediction in zip(pictures, together, strict=True):
        np.testing.assert_allclose(prediction.values, estimator.predict(source).values, atol=1e-5)


def test_odd_numbers_of_tiles_are_refused() -> None:
    with pytest.raises(InputError, match="tiles=0"):
        DepthEstimator(Ramp(), SPEC, tiles=0)


def test_size_makes_the_input_larger(tiny_model: Path) -> None:
    small, large = leadline.load(tiny_model), leadline.load(tiny_model, size=128)
    pixels = picture(90, 120)
    assert small.prepare(pixels).input_size == (64, 96)
    assert large.prepare(pixels).input_size == (128, 160)
    assert large.predict(pixels).size == (90, 120)


def test_size_keeps_the_ratio_of_exact_sizes_and_has_limits() -> None:
    spec = PreprocessSpec(size=(384, 512), resize="exact", multiple_of=32)
    assert resize_input(spec, 192).size == (192, 256)
    area = PreprocessSpec(size=(256, 320), resize="area", multiple_of=32)
    assert resize_input(area, 192).size == (192, 240)
    assert Preprocess(resize_input(area, 192)).input_size(480, 640) == (192, 256)
    assert Preprocess(resize_input(area, 192)).input_size(375, 1242) == (128, 384)
    for size in (31, 5000, -1):
        with pytest.raises(InputError, match=f"size={size}"):
            resize_input(spec, size)


def test_a_device_that_is_not_here_is_told(tiny_model: Path) -> None:
    with pytest.raises(DeviceError, match="'mps' was asked for"):
        leadline.load(tiny_model, device="mps")


def test_the_description_of_an_estimator_says_what_runs(tiny_model: Path) -> None:
    text = repr(leadline.load(tiny_model))
    assert text == (
        "DepthEstimator('tiny', affine_disparity, openvino on cpu in f32, policy 'single', tiles 1)"
    )


def test_an_export_on_the_hub_loads_by_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    from testing.hub_server import serve_hub, use_hub
    from testing.tiny import write_tiny_model

    network = write_tiny_model(
        tmp_path / "m.onnx", input_name="pixel_values", output_name="predicted_depth", sidecar=False
    )
    config = {
        "model_type": "depth_anything",
        "backbone_config": {"hidden_size": 384, "out_indices": [3, 6, 9, 12]},
    }
    prefix = "onnx-lab/depth-anything-v2-tiny"
    files = {
        f"{prefix}/config.json": json.dumps(config).encode(),
        f"{prefix}/preprocessor_config.json": b'{"size": {"height": 56, "width": 56}}',
        f"{prefix}/onnx/model.onnx": network.read_bytes(),
    }
    with serve_hub(files) as hub:
        use_hub(monkeypatch, hub.url, tmp_path / "cache")
        with pytest.raises(MissingWeightsError, match=f"hf:{prefix}"):
            leadline.load(prefix)  # may be a folder that is not there
        estimator = leadline.load(f"hf:{prefix}", precision="f32")
    prediction = estimator.predict(picture(60, 80))
    assert estimator.prepare(picture(60, 80)).input_size == (56, 70)
    assert prediction.size == (60, 80)
    assert prediction.model == "depth-anything-v2-vits"
    assert prediction.kind is DepthKind.AFFINE_DISPARITY
    again = leadline.load(f"hf:{prefix}", precision="f32")  # the hub is gone, the cache is there
    np.testing.assert_array_equal(
        again.predict(picture(60, 80)).values, estimator.predict(picture(60, 80)).values
    )


# --- a network that fails ------------------------------------------------------------------------


class Failing:
    """A runtime whose map is 2, but NaN and infinite in its first quarter or everywhere."""

    name, device, precision = "failing", "cpu", "f32"

    def __init__(self, *, everywhere: bool = False) -> None:
        self.everywhere = everywhere

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        b, _, h, w = arrays["image"].shape
        depth = np.full((b, h, w), 2, np.float32)
        rows, columns = (h, w) if self.everywhere else (h // 2, w // 2)
        depth[:, :rows, :columns] = np.inf
        depth[:, :rows, : columns // 2] = np.nan
        return {"depth": depth}


VARIANTS = {
    **PREPROCESS,
    "letterbox": PreprocessSpec(size=(64, 64), resize="letterbox"),
    "cubic, corners": PreprocessSpec(
        size=(64, 64), output_interpolation="cubic", output_align_corners=True
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_where_a_network_fails_the_map_is_nan_and_one_line_says_so(name: str) -> None:
    spec = ModelSpec(name="odd", kind=DepthKind.METRIC_DEPTH, preprocess=VARIANTS[name])
    estimator = DepthEstimator(Failing(), spec)
    source = leadline.Image(pixels=picture(90, 120), name="a.png")
    with pytest.warns(LeadlineWarning) as said:
        prediction = estimator.predict(source)
    assert len(said) == 1
    assert str(said[0].message).startswith("a.png: odd gives NaN or infinity at ")
    values = prediction.values
    assert not np.isinf(values).any()
    np.testing.assert_allclose(values[60:80, 60:110], 2, rtol=1e-5)
    assert np.isnan(values[20:35, 10:50]).all()
    assert 0.6 < np.isfinite(values).mean() < 0.9
    with pytest.raises(InputError, match=r"a\.png: odd gives no finite value"):
        DepthEstimator(Failing(everywhere=True), spec).predict(source)
    with pytest.raises(InputError, match="no finite value"):
        DepthEstimator(Failing(everywhere=True), spec).predict_batch([source])


def test_evaluation_sees_what_the_network_gave() -> None:
    estimator = DepthEstimator(Failing(), SPEC)
    for predict in (estimator.predict_unchecked, estimator.predict_unresized):
        assert np.isinf(predict(picture(64, 64)).values).any()


@pytest.mark.parametrize("policy", ["flip", "pad", "pad-flip"])
def test_a_failure_shows_under_every_policy(policy: Policy) -> None:
    with pytest.warns(LeadlineWarning, match="NaN or infinity"):
        values = DepthEstimator(Failing(), SPEC, policy=policy).predict(picture(90, 120)).values
    assert np.isnan(values[10, 10])
    assert np.isfinite(values[80, 60])


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_an_exported_network_that_fails_is_told(tmp_path: Path, runtime: str) -> None:
    """The logarithm of grey levels less 100: NaN where they are below, everywhere on black."""
    pytest.importorskip("onnx")
    pytest.importorskip(runtime)
    from onnx import helper

    from testing.foreign import write_nodes

    path = write_nodes(
        tmp_path / "log.onnx",
        helper.make_node("Sub", ["image", "level"], ["above"]),
        helper.make_node("Log", ["above"], ["three"]),
        helper.make_node("ReduceMax", ["three"], ["depth"], axes=[1], keepdims=1),
        constants={"level": np.array(100, np.float32)},
        channels_out=1,
    )
    estimator = leadline.load(
        path, kind="metric_depth", normalize="none", size=64, runtime=runtime, threads=1
    )
    half = np.zeros((64, 64, 3), np.uint8)
    half[:, 32:] = 201
    with pytest.warns(LeadlineWarning, match="log gives NaN"):
        values = estimator.predict(half).values
    assert np.isnan(values[:, :24]).all()
    np.testing.assert_allclose(values[:, 40:], np.log(101), rtol=1e-4)
    with pytest.raises(InputError, match="no finite value"):
        estimator.predict(np.zeros((64, 64, 3), np.uint8))


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
def test_the_embedded_model_that_fails_is_told(
    runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(runtime)
    estimator = leadline.load(runtime=runtime, threads=1)
    run = estimator.runtime.run

    def lose_half(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        depth = run(arrays)["depth"]
        depth[..., : depth.shape[-1] // 2] = np.nan
        return {"depth": depth}

    monkeypatch.setattr(estimator.runtime, "run", lose_half)
    whole = leadline.load(threads=1).predict(picture(64, 96)).values
    with pytest.warns(LeadlineWarning, match="lite gives NaN"):
        values = estimator.predict(picture(64, 96)).values
    assert np.isnan(values[:, :40]).all()
    np.testing.assert_allclose(values[:, 56:], whole[:, 56:], rtol=0.05)
    lost = {"depth": np.full((1, 64, 64), np.nan, np.float32)}
    monkeypatch.setattr(estimator.runtime, "run", lambda arrays: lost)
    with pytest.raises(InputError, match="no finite value"):
        estimator.predict(picture(64, 96))
