from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.alignment import Alignment, fit, scale_and_shift
from leadline.errors import InputError, UnknownNameError

GOLDEN = Path(__file__).resolve().parents[2] / "shared" / "goldens" / "metrics_align.npz"


@pytest.fixture
def depth() -> np.ndarray:
    return np.random.default_rng(0).uniform(1, 10, (12, 16))


@pytest.fixture(scope="module")
def golden():
    if not GOLDEN.is_file():
        pytest.skip("the golden files are not on this machine")
    with np.load(GOLDEN) as file:
        return {key: file[key] for key in file.files if key != "meta"}


@pytest.mark.parametrize("origin", ["gist", "zoe"])
def test_closed_form_equals_midas(golden, origin):
    scale, shift = scale_and_shift(
        golden["rel"], golden["target_disparity"], golden["mask"], singular="zero"
    )
    np.testing.assert_allclose(scale, golden[f"{origin}/scale"], atol=1e-5)
    np.testing.assert_allclose(shift, golden[f"{origin}/shift"], atol=1e-5)


@pytest.mark.parametrize("number", [0, 1])
def test_fit_equals_marigold_s_least_squares(golden, number):
    pred, mask = golden["rel"][number], golden["mask"][number]
    found = fit(pred, golden["gt"][number], mask, space="disparity")
    expected = golden[f"lstsq{number}/scale_shift"]
    np.testing.assert_allclose([found.scale, found.shift], expected, atol=1e-6)
    aligned = found.scale * pred.astype(np.float64) + found.shift
    np.testing.assert_allclose(aligned, golden[f"lstsq{number}/aligned"], atol=1e-5)


@pytest.mark.parametrize("cap", [10, 80])
def test_bad_pixels_equal_the_midas_evaluation(golden, cap):
    bad = []
    for number in (0, 1):
        pred, target = golden["rel"][number], golden["gt"][number]
        mask = golden["mask"][number]
        depth = fit(pred, target, mask).apply(pred, max_depth=cap)[mask]
        truth = target[mask]
        bad.append(100 * np.mean(np.maximum(depth / truth, truth / depth) > 1.25))
    expected = golden[f"gist/bad_pixel_percent_cap{cap}_images01"]
    assert np.mean(bad) == pytest.approx(float(expected), abs=1e-4)


@settings(max_examples=50, deadline=None)
@given(
    scale=st.floats(0.01, 100),
    shift=st.floats(-50, 50),
    seed=st.integers(0, 99),
    share=st.floats(0.1, 1),
)
def test_recovers_a_scale_and_shift(scale, shift, seed, share):
    rng = np.random.default_rng(seed)
    pred = rng.uniform(0, 1, (9, 11))
    valid = rng.random((9, 11)) < share
    valid[0, :2] = True
    target = np.where(valid, scale * pred + shift, 1e9)
    s, t = scale_and_shift(pred, target, valid)
    np.testing.assert_allclose([s, t], [scale, shift], rtol=1e-6, atol=1e-6 * (1 + scale))


def test_invalid_pixels_may_hold_anything():
    pred = np.array([[1.0, 2.0, np.nan, 4.0]])
    target = np.array([[3.0, 5.0, 7.0, np.inf]])
    valid = np.array([[True, True, False, False]])
    s, t = scale_and_shift(pred, target, valid)
    assert (s, t) == (pytest.approx(2.0), pytest.approx(1.0))


def test_weights_count():
    pred, target = np.array([[0.0, 1.0, 1.0]]), np.array([[0.0, 1.0, 3.0]])
    _, even = scale_and_shift(pred, target, np.ones((1, 3)))
    s, t = scale_and_shift(pred, target, np.array([[1.0, 3.0, 1.0]]))
    assert even == pytest.approx(0.0)
    assert s + t == pytest.approx(1.5)


def test_singular_fits_are_the_mean_zero_or_nothing():
    target = np.array([[1.0, 3.0]])
    valid = np.ones((1, 2), bool)
    assert scale_and_shift(np.ones((1, 2)), target, valid) == (0, pytest.approx(2.0))
    assert scale_and_shift(np.ones((1, 2)), target, valid, singular="zero") == (0, 0)
    assert scale_and_shift(np.ones((1, 2)), target, valid, singular="identity") == (1, 0)
    assert scale_and_shift(np.ones((1, 2)), target, ~valid) == (0, 0)


def test_batches_of_numpy_and_torch_agree_and_gradients_flow(depth):
    torch = pytest.importorskip("torch")
    pred = np.stack([depth, depth**2, np.ones_like(depth)])
    target, valid = np.stack([depth] * 3), np.stack([depth > 3] * 3)
    ours = scale_and_shift(pred, target, valid)
    tensor = torch.from_numpy(pred).requires_grad_()
    theirs = scale_and_shift(tensor, torch.from_numpy(target), torch.from_numpy(valid))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-9, atol=1e-12)
    (theirs[0].sum() + theirs[1].sum()).backward()
    assert torch.isfinite(tensor.grad).all()


@pytest.mark.parametrize("method", ["least_squares", "lad", "trimmed", "ransac"])
@pytest.mark.parametrize("space", ["disparity", "depth", "log"])
def test_affine_methods_recover_depth(depth, space, method):
    forward = {"disparity": lambda d: 1 / d, "depth": lambda d: d, "log": np.log}[space]
    x = (forward(depth) - 0.3) / 1.7
    pred = np.exp(x) if space == "log" else x
    found = fit(pred, depth, space=space, method=method)
    np.testing.assert_allclose(found.apply(pred), depth, rtol=1e-5)


@pytest.mark.parametrize("method", ["scale", "median"])
@pytest.mark.parametrize("space", ["disparity", "depth", "log"])
def test_scale_methods_recover_a_factor(depth, space, method):
    pred = 1 / depth if space == "disparity" else depth
    found = fit(3.5 * pred, depth, space=space, method=method)
    np.testing.assert_allclose(found.apply(3.5 * pred), depth, rtol=1e-5)
    if space == "log":
        assert (found.scale, found.shift) == (1, pytest.approx(-np.log(3.5)))
    else:
        assert (found.scale, found.shift) == (pytest.approx(1 / 3.5), 0)


@pytest.mark.parametrize(
    ("method", "robust"),
    [("least_squares", False), ("lad", True), ("trimmed", True), ("ransac", True)],
)
def test_robust_methods_survive_outliers(depth, method, robust):
    pred = (1 / depth - 0.1) / 2
    damaged = depth.copy()
    damaged.reshape(-1)[::6] = 0.2
    found = fit(pred, damaged, method=method)
    assert (abs(found.scale - 2) < 1e-3 and abs(found.shift - 0.1) < 1e-4) is robust


def test_disparity_at_or_below_zero_is_the_farthest_depth():
    alignment = Alignment(scale=1.0, shift=-1.0, space="disparity")
    pred = np.array([[0.5, 1.0, 2.0, 1e9, np.nan]])
    np.testing.assert_allclose(alignment.apply(pred, max_depth=80), [[80, 80, 1, 1e-3, np.nan]])
    assert np.isinf(alignment.apply(pred)[0, 0])


def test_negative_depths_are_clamped():
    alignment = Alignment(scale=1.0, shift=-1.0, space="depth")
    assert alignment.apply(np.array([0.5, 3.0])).tolist() == [pytest.approx(1e-3), 2.0]


def test_constants_align_to_the_mean_disparity(depth):
    found = fit(np.ones_like(depth), depth)
    np.testing.assert_allclose(found.apply(np.ones_like(depth)), 1 / np.mean(1 / depth), rtol=1e-6)


@pytest.mark.parametrize(
    ("target", "valid"),
    [
        (np.ones((2, 2)), np.zeros((2, 2), bool)),
        (np.zeros((2, 2)), None),
        (np.full((2, 2), np.nan), None),
        (np.ones((3, 2)), None),
        (np.ones((2, 2)), np.ones((1, 2), bool)),
    ],
)
def test_refuses_what_cannot_be_fitted(target, valid):
    with pytest.raises(InputError):
        fit(np.ones((2, 2)), target, valid)


def test_refuses_unknown_names():
    with pytest.raises(UnknownNameError, match="disparity"):
        fit(np.ones((2, 2)), np.ones((2, 2)), space="inverse")  # ty: ignore[invalid-argument-type]
    with pytest.raises(UnknownNameError, match="ransac"):
        fit(np.ones((2, 2)), np.ones((2, 2)), method="mode")  # ty: ignore[invalid-argument-type]
    with pytest.raises(UnknownNameError, match="mean, zero"):
        scale_and_shift(np.eye(2), np.eye(2), np.eye(2), singular="none")  # ty: ignore[invalid-argument-type]
    with pytest.raises(UnknownNameError, match="disparity, depth, log"):
        Alignment(scale=1, shift=0, space="inverse")  # ty: ignore[invalid-argument-type]
    with pytest.raises(InputError, match="least_squares"):
        fit(np.zeros((2, 2)), np.ones((2, 2)), method="median")
