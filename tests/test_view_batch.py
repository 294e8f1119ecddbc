"""Several pictures as one batch: the sizes, pixels and cameras of Depth Anything 3's processor."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.errors import InputError, UnknownNameError
from leadline.image import Image
from leadline.preprocess import Preprocess
from leadline.spec import PreprocessSpec
from leadline.view_batch import MEAN, STD, ViewBatch, batch_views, plan_sizes
from testing.goldens import Golden, load_golden

METHODS = ("upper_bound_resize", "upper_bound_crop", "lower_bound_resize", "lower_bound_crop")


def picture(seed: int, height: int, width: int) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(seed))
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def lens(height: int, width: int) -> np.ndarray:
    return np.array([[width, 0, width / 2 + 3], [0, 1.1 * width, height / 2 - 2], [0, 0, 1]])


def run_case(golden: Golden, case: str) -> ViewBatch:
    made = golden.cases[case]
    size, _, method = case.partition("/")
    if "sizes" in made:
        sizes, seeds = made["sizes"], made["seeds"]
    else:
        sizes = [tuple(int(side) for side in size.removesuffix("_504").split("x"))]
        seeds = [made["seed"]]
    return batch_views(
        [picture(seed, *hw) for seed, hw in zip(seeds, sizes, strict=True)],
        np.stack([lens(*hw) for hw in sizes]),
        side=made["process_res"],
        method=method or "upper_bound_resize",  # ty: ignore[invalid-argument-type]
        mixed=True,
    )


def levels(image: np.ndarray) -> np.ndarray:
    """Grey levels (v, h, w, 3) of normalised views."""
    mean, std = (np.array(values)[:, None, None] for values in (MEAN, STD))
    return np.rint((image * std + mean) * 255).astype(int).transpose(0, 2, 3, 1)


def test_sizes_are_the_originals() -> None:
    golden = load_golden("da3_prep", extract=True)
    rows = golden.arrays["sizes"]
    for row in rows:
        for i, side in enumerate((504, 280)):
            for j, method in enumerate(METHODS):
                theirs = np.maximum(row[2 + 8 * i + 2 * j :][:2], 14)  # theirs can be 0 or 1
                ours = plan_sizes(*row[:2], side=side, multiple=14, method=method)[1]  # ty: ignore[invalid-argument-type]
                assert ours == tuple(theirs), (row[:2], side, method)
    assert len(rows) == 30


def test_cameras_are_the_originals() -> None:
    golden = load_golden("da3_prep", extract=True)
    for case in golden.cases:
        batch = run_case(golden, case)
        assert golden.relative_error(f"{case}/K", np.asarray(batch.intrinsics)) < 1e-6, case


def test_pixels_are_the_originals_within_one_grey_level() -> None:
    golden = load_golden("da3_prep")
    for case in golden.cases:
        ours = levels(run_case(golden, case).image)
        theirs = golden.arrays[f"{case}/out_u8"]
        ours = golden.kept(f"{case}/out_u8", ours if theirs.ndim == 4 else ours[0])
        difference = np.abs(ours - theirs.astype(int))
        assert difference.max() <= 1, case
        assert np.count_nonzero(difference) < 1e-3 * difference.size, case
    exact = "96x128/upper_bound_resize"
    tensor = run_case(golden, exact).image[0]
    np.testing.assert_allclose(tensor, golden.arrays[f"{exact}/out_tensor"], atol=1e-6)


@pytest.mark.parametrize("size", [(135, 240), (61, 83), (96, 128)])
def test_pixels_are_opencvs_within_one_grey_level(size: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    pixels = picture(3, *size)
    theirs = pixels
    for target in plan_sizes(*size, side=112, multiple=14, method="upper_bound_resize"):
        grows = target[0] > theirs.shape[0] or target[1] > theirs.shape[1]
        how = cv2.INTER_CUBIC if grows else cv2.INTER_AREA
        theirs = cv2.resize(theirs, target[::-1], interpolation=how)
    difference = np.abs(levels(batch_views([pixels], side=112).image)[0] - theirs.astype(int))
    assert difference.max() <= 1
    assert np.count_nonzero(difference) < 1e-3 * difference.size


@pytest.mark.parametrize(
    ("rule", "method"),
    [("upper_bound_twice", "upper_bound_resize"), ("lower_bound_twice", "lower_bound_resize")],
)
def test_a_preprocess_spec_can_ask_for_it(rule: Any, method: Any) -> None:
    spec = PreprocessSpec(size=(112, 112), multiple_of=14, resize=rule, max_aspect=None)
    pixels = picture(5, 61, 83)
    camera = Camera(width=83, height=61, fx=80, fy=90, cx=40, cy=31)
    prepared = Preprocess(spec)(Image(pixels=pixels, camera=camera))
    corner = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    batch = batch_views([pixels], camera.matrix[None] + corner, side=112, method=method)
    np.testing.assert_allclose(prepared.arrays["image"], batch.image, atol=1e-6)
    assert Preprocess(spec).input_size(61, 83) == batch.image.shape[2:]
    assert prepared.input_camera is not None
    assert batch.intrinsics is not None
    np.testing.assert_allclose(prepared.input_camera.matrix + corner, batch.intrinsics[0])


def test_where_a_cut_view_lies_is_kept() -> None:
    batch = batch_views([picture(0, 96, 128), picture(1, 128, 96)], side=112, mixed=True)
    assert batch.image.shape == (2, 3, 84, 84)
    assert batch.intrinsics is None
    assert batch.sizes == ((84, 112), (112, 84))
    assert batch.corners == ((0, 14), (14, 0))
    cropped = batch_views([picture(0, 135, 240)], side=112, method="upper_bound_crop")
    assert cropped.sizes == ((63, 112),)
    assert cropped.corners == ((3, 0),)


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([], "at least one view"),
        ([(0, 28, 28), (1, 28, 28), (0, 28, 28)], "views 0 and 2 are the same picture"),
        ([(0, 28, 28), (1, 28, 56)], r"28x56, 56x56 after resizing.*one size is needed"),
    ],
)
def test_views_that_do_not_go_together_are_refused(pictures: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        batch_views([picture(*what) for what in pictures], side=56)


def test_other_inputs_are_refused() -> None:
    pixels = picture(0, 28, 28)
    with pytest.raises(InputError, match=r"for 1 views: \(1, 3, 3\) is needed"):
        batch_views([pixels], np.eye(3))
    with pytest.raises(InputError, match=r"float64; .* uint8 is needed"):
        batch_views([pixels / 255])
    with pytest.raises(UnknownNameError, match="upper_bound_resize"):
        batch_views([pixels], method="upper")  # ty: ignore[invalid-argument-type]
    with pytest.raises(InputError, match="at least 1"):
        batch_views([pixels], side=0)


def test_it_needs_no_torch() -> None:
    code = "import sys, leadline.view_batch; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
