from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.camera import Camera
from leadline.catalog import PREPROCESS
from leadline.catalog import get as catalog_get
from leadline.errors import InputError, UnknownNameError
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prepared import stack
from leadline.preprocess import Preprocess
from leadline.spec import PreprocessSpec, name_outputs
from testing import prepared as goldens
from testing.decoding import decode_restored

PREPROCESS_UNIDEPTH = catalog_get("unidepth-v2-vits").preprocess


@pytest.fixture(scope="module")
def kept():
    with np.load(goldens.PATH) as file:
        return dict(file)


@pytest.fixture
def image() -> Image:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    return Image(pixels=pixels, camera=Camera.from_fov(64, 48, fov_deg=60), name="noise")


@pytest.mark.parametrize("name", goldens.SPECS)
def test_sizes_equal_the_originals(kept, name):
    spec = goldens.SPECS[name]
    preprocess = Preprocess(spec)
    ours = np.array([preprocess.input_size(int(h), int(w))[::-1] for w, h in kept["wh"]])
    # where the original rounds a side to 0 ours is one multiple: nothing can run on 0 pixels
    theirs = np.maximum(kept[f"{name}/new_wh"], spec.multiple_of)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", goldens.TENSORS)
def test_tensors_equal_the_originals(kept, name):
    batch = Preprocess(goldens.SPECS[name])(Image(pixels=kept["image"])).arrays["image"]
    stride = int(kept[f"{name}/stride"])
    assert batch.dtype == np.float32
    np.testing.assert_allclose(batch[0, :, ::stride, ::stride], kept[f"{name}/tensor"], atol=2e-6)


def test_all_tensors_equal_the_originals():
    path = goldens.FULL / "prep_synth.npz"
    if not path.is_file():
        pytest.skip("the full golden files are not on this machine")
    with np.load(path) as file:
        notes = json.loads(str(file["meta"]))["subsampled"]
        for key, note in notes.items():
            number, name = key.split("/")
            pixels = file[f"{number}/image"]
            batch = Preprocess(goldens.SPECS[name])(Image(pixels=pixels)).arrays["image"][0]
            assert list(batch.shape) == note["full_shape"]
            step = int(note["kept"].rstrip("]").split("::")[-1])
            np.testing.assert_allclose(batch[:, ::step, ::step], file[key], atol=2e-6)


@given(h=st.integers(1, 5000), w=st.integers(1, 5000), name=st.sampled_from(list(goldens.SPECS)))
def test_inputs_are_bounded_multiples(h, w, name):
    spec = replace(goldens.SPECS[name], max_aspect=4.0)
    height, width = Preprocess(spec).input_size(h, w)
    assert height % spec.multiple_of == 0
    assert width % spec.multiple_of == 0
    assert min(height, width) >= spec.multiple_of
    # beyond the sides' own bound only a multiple is added
    assert max(height, width) <= 4 * max(spec.size) + spec.multiple_of


def test_only_long_pictures_are_squeezed():
    spec = PreprocessSpec(size=(518, 518), multiple_of=14)
    assert Preprocess(spec).input_size(375, 1242) == (518, 1722)
    assert Preprocess(spec).input_size(100, 1000) == (518, 2072)
    assert Preprocess(spec).input_size(20000, 10) == (2072, 518)
    assert Preprocess(replace(spec, max_aspect=None)).input_size(100, 1000) == (518, 5180)


def test_short_side_ignores_the_longer_number():
    spec = PreprocessSpec(size=(192, 256), resize="short_side", multiple_of=32)
    assert Preprocess(spec).input_size(480, 640) == (192, 256)
    assert Preprocess(spec).input_size(640, 480) == (256, 192)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        ((480, 640), (256, 320)),
        ((640, 480), (320, 256)),
        ((375, 1242), (160, 512)),
        ((1, 1), (288, 288)),
        ((10, 2000), (128, 576)),  # squeezed to 4:1
    ],
)
def test_area_gives_pictures_of_every_shape_the_same_number_of_pixels(picture, expected):
    spec = PreprocessSpec(size=(256, 320), resize="area", multiple_of=32)
    assert Preprocess(spec).input_size(*picture) == expected


def test_a_single_pixel_is_a_picture():
    preprocess = Preprocess(PreprocessSpec(size=(28, 28), multiple_of=14))
    one = preprocess(Image(pixels=np.full((1, 1, 3), 255, np.uint8)))
    assert one.arrays["image"].shape == (1, 3, 28, 28)
    back = decode_restored(
        preprocess, {"depth": np.ones((1, 28, 28))}, one, kind=DepthKind.METRIC_DEPTH
    )
    assert back.values.tolist() == [[1.0]]


def test_restore_gives_the_picture_s_size_camera_and_kind(image):
    outputs = name_outputs("depth", "confidence")
    preprocess = Preprocess(PreprocessSpec(size=(28, 28), multiple_of=14), outputs=outputs)
    item = preprocess(image)
    assert item.input_size == (28, 42)
    assert item.input_camera == image.camera.resized(42, 28)
    outputs = {
        "depth": np.stack([np.zeros((28, 42)), np.full((28, 42), 3.0)])[:, None],
        "confidence": np.full((2, 28, 42), 0.5),
    }
    back = decode_restored(
        preprocess, outputs, item, kind=DepthKind.METRIC_DEPTH, name="m", index=1
    )
    assert back.values.shape == image.size
    assert back.values.dtype == np.float32
    assert (back.values == 3).all()
    assert back.camera == image.camera
    assert (back.kind, back.model, back.valid) == (DepthKind.METRIC_DEPTH, "m", None)
    assert back.confidence == pytest.approx(np.full(image.size, 0.5))


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("rule", ["linear", "cubic"])
def test_restore_uses_the_spec_s_way_back(image, rule, corners):
    torch = pytest.importorskip("torch")
    spec = PreprocessSpec(
        size=(28, 28), multiple_of=14, output_interpolation=rule, output_align_corners=corners
    )
    item = Preprocess(spec)(image)
    depth = np.random.default_rng(1).random((1, *item.input_size), dtype=np.float32)
    back = decode_restored(
        Preprocess(spec), {"depth": depth}, item, kind=DepthKind.AFFINE_DISPARITY
    )
    mode = {"linear": "bilinear", "cubic": "bicubic"}[rule]
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(depth)[None], image.size, mode=mode, align_corners=corners
    )[0, 0]
    np.testing.assert_allclose(back.values, expected, atol=1e-5)


def test_a_hole_is_not_valid_and_a_failure_is(image):
    plain = PreprocessSpec(size=(28, 28), multiple_of=14)
    item = Preprocess(plain)(image)
    depth = np.full((1, *item.input_size), 2.0, np.float32)
    depth[0, :14] = np.nan
    for spec, resized in itertools.product(
        (plain, replace(plain, nan_is_hole=True)), (True, False)
    ):
        back = decode_restored(
            Preprocess(spec), {"depth": depth}, item, kind=DepthKind.METRIC_DEPTH, resized=resized
        )
        assert 0.45 < back.known.mean() < 0.55
        np.testing.assert_allclose(back.values[back.known], 2.0, rtol=1e-6)
        assert np.isnan(back.values[~back.known]).all()
        if spec.nan_is_hole:
            np.testing.assert_array_equal(back.valid, back.known)
        else:
            assert back.valid is None
    depth[0, 14:] = np.inf  # an overflow is no hole, whoever overflows
    back = decode_restored(
        Preprocess(replace(plain, nan_is_hole=True)),
        {"depth": depth},
        item,
        kind=DepthKind.METRIC_DEPTH,
    )
    assert back.valid is not None
    assert 0.45 < back.valid.mean() < 0.55
    assert not back.known.any()
    assert np.isposinf(back.values[back.valid]).mean() > 0.9


def test_stack_needs_one_size(image):
    preprocess = Preprocess(PreprocessSpec(size=(28, 28), multiple_of=14))
    wide, square = preprocess(image), preprocess(Image(pixels=image.pixels[:, :48]))
    assert stack([wide, wide])["image"].shape == (2, 3, 28, 42)
    with pytest.raises(InputError, match="one size"):
        stack([wide, square])


def test_a_canonical_camera_gives_metres_where_the_own_one_is_known(image):
    preprocess = Preprocess(PreprocessSpec(size=(24, 24), resize="short_side"))
    canonical = {"decoder": "canonical_depth", "canonical_focal_px": 100.0}
    item = preprocess(image, margin=(4, 6))
    depth = {"depth": np.full((1, *item.input_size), 8.0)}
    back = decode_restored(preprocess, depth, item, kind=DepthKind.SCALED_DEPTH, **canonical)
    assert back.kind is DepthKind.METRIC_DEPTH
    # the margin makes the picture smaller in the input, and the focal length with it
    own = image.camera.fy * item.input_size[0] / (image.size[0] + 2 * 4)
    np.testing.assert_allclose(back.values, 8.0 * own / 100.0, rtol=1e-6)
    nameless = preprocess(replace(image, camera=None))
    depth = {"depth": np.full((1, *nameless.input_size), 8.0)}
    unknown = decode_restored(preprocess, depth, nameless, kind=DepthKind.SCALED_DEPTH, **canonical)
    assert unknown.kind is DepthKind.SCALED_DEPTH
    np.testing.assert_allclose(unknown.values, 8.0)


@pytest.mark.parametrize(
    "outputs", [{"disparity": np.ones((1, 28, 42))}, {"depth": np.ones((1, 2, 28, 42))}]
)
def test_restore_refuses_other_outputs(image, outputs):
    preprocess = Preprocess(PreprocessSpec(size=(28, 28), multiple_of=14))
    with pytest.raises(InputError):
        decode_restored(preprocess, outputs, preprocess(image), kind=DepthKind.METRIC_DEPTH)


@pytest.mark.slow
def test_picture_to_map_equals_depth_anything_v2():
    pytest.importorskip("torch")
    path = goldens.FULL / "da2_infer_image.npz"
    if not path.is_file():
        pytest.skip("the full golden files are not on this machine")
    import torch

    from leadline import models
    from testing.goldens import filled, load_golden

    golden = load_golden("da2_infer_image")
    network = models.build("depth-anything-v2-vits").eval()
    description = golden.meta["models"]["model"]
    network.load_state_dict(filled(network, description["gain"], description["overrides"]))
    for number in ("0", "1"):
        image = Image(pixels=golden.arrays[f"{number}/image_bgr"][..., ::-1].copy())
        for size in (112, 252):
            spec = PreprocessSpec(
                size=(size, size), multiple_of=14, output_align_corners=True, max_aspect=None
            )
            preprocess = Preprocess(spec)
            item = preprocess(image)
            assert golden.relative_error(f"{number}/tensor_{size}", item.arrays["image"]) < 2e-6
            with torch.inference_mode():
                depth = network(torch.from_numpy(item.arrays["image"])).numpy()
            back = decode_restored(
                preprocess, {"depth": depth}, item, kind=DepthKind.AFFINE_DISPARITY
            )
            assert golden.relative_error(f"{number}/depth_{size}", back.values) < 1e-4


# --- letterbox -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("picture", "inner"),
    [
        ((48, 64), (8, 56, 0, 64)),
        ((64, 48), (0, 64, 8, 56)),
        ((33, 64), (15, 48, 0, 64)),  # the odd row of grey goes below
        ((10, 20), (16, 48, 0, 64)),  # small pictures are enlarged
        ((1, 500), (31, 32, 0, 64)),
    ],
)
def test_a_letterbox_keeps_the_aspect_and_fills_up_with_grey(picture, inner):
    spec = PreprocessSpec(size=(64, 64), resize="letterbox", mean=(0, 0, 0), std=(1, 1, 1))
    item = Preprocess(spec)(Image(pixels=np.zeros((*picture, 3), np.uint8)))
    (batch,) = item.arrays["image"]
    assert item.inner == inner
    assert item.input_size == (64, 64)
    top, bottom, left, right = inner
    assert (batch[:, top:bottom, left:right] == 0).all()
    outside = np.ones((64, 64), bool)
    outside[top:bottom, left:right] = False
    np.testing.assert_allclose(batch[:, outside], 114 / 255, rtol=1e-6)


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("margin", [(0, 0), (4, 6)])
def test_the_map_of_the_grey_is_cut_off_before_the_way_back(scale, margin):
    """A map that is 7 on the picture and 1000 on the grey comes back as 7 everywhere."""
    spec = PreprocessSpec(size=(64, 64), resize="letterbox")
    preprocess = Preprocess(spec)
    item = preprocess(Image(pixels=np.zeros((48, 96, 3), np.uint8)), margin=margin)
    depth = np.full((64, 64), 1000.0, np.float32)
    top, bottom, left, right = item.inner
    depth[top:bottom, left:right] = 7
    given = {"depth": depth[None, scale // 2 :: scale, scale // 2 :: scale]}
    back = decode_restored(preprocess, given, item, kind=DepthKind.METRIC_DEPTH, resized=False)
    assert back.values.shape == (48, 96)
    np.testing.assert_allclose(back.values, 7, rtol=1e-6)


def test_a_map_in_a_letterbox_goes_back_to_its_pixels():
    preprocess = Preprocess(PreprocessSpec(size=(96, 96), resize="letterbox"))
    ramp = np.arange(64, dtype=np.float32) + np.zeros((48, 1), np.float32)
    item = preprocess(Image(pixels=np.zeros((48, 64, 3), np.uint8)))
    depth = np.zeros((1, 96, 96), np.float32)
    top, bottom, left, right = item.inner
    depth[0, top:bottom, left:right] = (np.arange(96) + 0.5) / 1.5 - 0.5
    back = decode_restored(preprocess, {"depth": depth}, item, kind=DepthKind.METRIC_DEPTH)
    np.testing.assert_allclose(back.values[:, 1:-1], ramp[:, 1:-1], atol=1e-4)


def test_the_camera_of_a_letterbox_is_that_of_its_pixels(image):
    item = Preprocess(PreprocessSpec(size=(96, 96), resize="letterbox"))(image)  # 48 x 64
    camera = item.input_camera
    assert (camera.width, camera.height) == (96, 96)
    assert camera.fx == pytest.approx(1.5 * image.camera.fx)
    assert camera.cy == pytest.approx(1.5 * (image.camera.cy + 0.5) - 0.5 + 12)
    back = item.to_picture_camera(camera)
    assert back.matrix == pytest.approx(image.camera.matrix)
    assert item.seen_width == 64
    tall = Preprocess(PreprocessSpec(size=(96, 192), resize="letterbox"))(image)
    assert tall.seen_width == 96  # a third of the input's width shows no picture


# --- networks that see the middle ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "picture", "box"),
    [
        ("eigen14-nyu", (480, 640), (12, 468, 16, 624)),
        ("eigen14-kitti", (368, 1224), (12, 356, 36, 1188)),
        ("fastdepth", (480, 640), (21, 459, 28, 612)),
        ("fastdepth", (1, 1), (0, 1, 0, 1)),
    ],
)
def test_the_classics_see_the_middle_of_a_picture(name, picture, box):
    pixels = np.random.default_rng(0).integers(0, 256, (*picture, 3), dtype=np.uint8)
    item = Preprocess(PREPROCESS[name])(Image(pixels=pixels))
    assert item.box == box
    top, bottom, left, right = box
    whole = Preprocess(replace(PREPROCESS[name], crop=(1.0, 1.0)))
    middle = whole(Image(pixels=pixels[top:bottom, left:right]))
    np.testing.assert_array_equal(item.arrays["image"], middle.arrays["image"])


def test_eigen_s_crop_is_the_middle_of_the_halved_picture():
    pixels = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    halved = pixels.reshape(240, 2, 320, 2, 3).mean((1, 3))
    ours = Preprocess(PREPROCESS["eigen14-nyu"])(Image(pixels=pixels)).arrays["image"][0]
    np.testing.assert_allclose(ours, np.moveaxis(halved[6:234, 8:312], 2, 0) / 255, atol=1e-6)


def test_a_map_of_the_middle_goes_back_to_its_place():
    camera = Camera.from_fov(60, 40, fov_deg=60)
    image = Image(pixels=np.zeros((40, 60, 3), np.uint8), camera=camera)
    spec = PreprocessSpec(size=(20, 40), resize="exact", crop=(0.5, 0.8))
    preprocess = Preprocess(spec, outputs=name_outputs("depth", "confidence"))
    item = preprocess(image)
    assert item.box == (10, 30, 6, 54)
    assert item.input_camera == camera.cropped(6, 10, 48, 20).resized(40, 20)
    outputs = {"depth": np.full((1, 20, 40), 3.0), "confidence": np.ones((1, 20, 40))}
    back = decode_restored(preprocess, outputs, item, kind=DepthKind.METRIC_DEPTH)
    inside = np.zeros((40, 60), bool)
    inside[10:30, 6:54] = True
    assert back.valid is not None
    np.testing.assert_array_equal(back.valid, inside)
    np.testing.assert_array_equal(back.values[inside], 3)
    assert np.isnan(back.values[~inside]).all()
    assert back.confidence is not None
    np.testing.assert_array_equal(np.isfinite(back.confidence), inside)
    own = decode_restored(preprocess, outputs, item, kind=DepthKind.METRIC_DEPTH, resized=False)
    np.testing.assert_array_equal(own.values, back.values)  # it has no size of the whole picture


def test_a_map_can_stay_at_the_network_s_size(image):
    preprocess = Preprocess(PreprocessSpec(size=(28, 28), multiple_of=14))
    item, depth = preprocess(image), np.random.default_rng(0).random((1, 14, 21), np.float32)
    depth[0, 0, 0] = np.nan
    own = decode_restored(
        preprocess, {"depth": depth}, item, kind=DepthKind.METRIC_DEPTH, resized=False
    )
    np.testing.assert_array_equal(own.values, depth[0])
    np.testing.assert_array_equal(own.known, np.isfinite(depth[0]))
    assert own.camera == image.camera.resized(21, 14)
    assert own.image is None
    padded = preprocess(image, margin=(3, 5))
    back = decode_restored(
        preprocess, {"depth": depth}, padded, kind=DepthKind.METRIC_DEPTH, resized=False
    )
    assert back.size == image.size


@pytest.mark.parametrize("crop", [(1.0, 1.0), (0.5, 0.5)])
@pytest.mark.parametrize("margin", [(0, 0), (4, 8)])
def test_disparities_in_widths_of_the_input_become_pixels(image, crop, margin):
    spec = PreprocessSpec(size=(24, 32), resize="exact", crop=crop)
    item = Preprocess(spec)(image, margin=margin)
    outputs, seen = {"depth": np.full((1, 24, 32), 0.25)}, 64 * crop[1] + 2 * margin[1]
    back = decode_restored(
        Preprocess(spec), outputs, item, kind=DepthKind.PIXEL_DISPARITY, decoder="width_disparity"
    )
    np.testing.assert_allclose(back.values[back.known], 0.25 * seen)
    own = decode_restored(
        Preprocess(spec),
        outputs,
        item,
        kind=DepthKind.PIXEL_DISPARITY,
        decoder="width_disparity",
        resized=False,
    )
    if item.whole:
        np.testing.assert_allclose(own.values, 0.25 * 32)


def test_specs_that_make_no_sense_are_refused():
    with pytest.raises(UnknownNameError, match="lower_bound, upper_bound"):
        Preprocess(PreprocessSpec(size=(8, 8), resize="strech"))
    with pytest.raises(InputError, match="std="):
        Preprocess(PreprocessSpec(size=(8, 8), std=(1, 0, 1)))
    for crop in ((0.0, 1.0), (1.0, 1.5)):
        with pytest.raises(InputError, match="crop="):
            Preprocess(PreprocessSpec(size=(8, 8), crop=crop))


@pytest.mark.parametrize(
    ("picture", "border", "size"),
    [  # sizes of the authors' program
        ((480, 640), (0, 0), (490, 644)),
        ((375, 1242), (61, 0), (490, 1232)),
        ((1080, 1920), (0, 0), (588, 1036)),
    ],
)
def test_a_range_of_pixels_and_a_border_about_what_is_too_wide(picture, border, size):
    preprocess = Preprocess(PREPROCESS_UNIDEPTH)
    item = preprocess(Image(pixels=np.full((*picture, 3), 90, np.uint8)))
    assert item.margin == border
    assert abs(item.input_size[0] - size[0]) <= 14  # one row more of border, at most a step
    assert item.input_size[1] == size[1]
    depth = np.ones((1, *item.input_size), np.float32)
    rows = round(item.input_size[0] * border[0] / (picture[0] + 2 * border[0]))
    depth[:, :rows] = depth[:, item.input_size[0] - rows :] = 9  # of the border
    back = decode_restored(preprocess, {"depth": depth}, item, kind=DepthKind.METRIC_DEPTH)
    assert back.size == picture
    assert np.median(back.values) == 1
    assert (back.values > 1).mean() < 0.02
