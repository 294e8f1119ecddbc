from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leadline import metrics
from leadline.errors import InputError
from leadline.metrics import LARGER_IS_BETTER, METRICS
from testing.goldens import load_golden

GOLDENS = Path(__file__).resolve().parents[2] / "shared" / "goldens"
EDGES = ("edge_accuracy", "edge_completeness", "boundary_f1")


def stepped(target: np.ndarray) -> np.ndarray:
    """A map with clear edges on four sides, as the metrics of edges need them."""
    big = np.full((2 * target.shape[0], 2 * target.shape[1]), 2.0)
    big[10:-10, 15:-15] = 4
    return big


@pytest.fixture
def maps() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    target = rng.uniform(1, 10, (20, 30))
    return target * np.exp(rng.normal(0, 0.2, target.shape)), target


def _golden(name: str) -> dict[str, np.ndarray]:
    path = GOLDENS / f"{name}.npz"
    if not path.is_file():
        pytest.skip("the golden files are not on this machine")
    with np.load(path) as file:
        return {key: file[key] for key in file.files if key != "meta"}


def test_equals_depth_anything_v2():
    golden = _golden("metrics_da2")
    order = ("delta1", "delta2", "delta3", "abs_rel", "sq_rel", "rmse", "rmse_log", "log10")
    pred, target = golden["pred"][None], golden["gt"][None]
    ours = [METRICS[name](pred, target) for name in order]
    np.testing.assert_allclose(ours, golden["out_f64"][:8], rtol=1e-7)


def test_equals_zoedepth():
    golden = _golden("metrics_zoe")
    order = (
        *("delta1", "delta2", "delta3", "abs_rel", "rmse"),
        *("log10", "rmse_log", "silog", "sq_rel"),
    )
    target, pred = (golden[f"nyu/{what}_u16"].astype(np.float32) / 1000 for what in ("gt", "pred"))
    ours = [METRICS[name](pred, target, target > 0) for name in order]
    np.testing.assert_allclose(ours, golden["out/compute_errors_f64_all_valid_nyu"], rtol=1e-6)


def test_boundaries_equal_depth_pro():
    golden = load_golden("depth_pro_prep", extract=True).arrays
    truth, pred, blurred, mask = (
        golden[f"boundary/{what}"] for what in ("gt", "pred", "blurred", "mask")
    )
    ours = [
        *(metrics.boundary_f1(depth, truth) for depth in (pred, blurred, truth)),
        *(metrics.boundary_recall(depth, mask) for depth in (pred, truth)),
    ]
    np.testing.assert_allclose(ours, golden["boundary/values_f64"], rtol=1e-12)


def test_known_values():
    pred, target = np.array([[1.0, 4.0]]), np.array([[2.0, 4.0]])
    assert metrics.abs_rel(pred, target) == 0.25
    assert metrics.sq_rel(pred, target) == 0.25
    assert metrics.rmse(pred, target) == pytest.approx(np.sqrt(0.5))
    assert metrics.rmse_log(pred, target) == pytest.approx(np.log(2) / np.sqrt(2))
    assert metrics.log10(pred, target) == pytest.approx(np.log10(2) / 2)
    assert metrics.silog(pred, target) == pytest.approx(50 * np.log(2))
    assert metrics.delta1(pred, target) == 0.5


def test_delta_is_strict():
    pred, target = np.array([[1.25, 1.2]]), np.array([[1.0, 1.0]])
    assert metrics.delta1(pred, target) == 0.5


@pytest.mark.parametrize("name", METRICS)
def test_the_truth_is_perfect(maps, name):
    _, target = maps
    perfect = 1.0 if name in LARGER_IS_BETTER else 0.0
    assert METRICS[name](stepped(target), stepped(target)) == perfect


@pytest.mark.parametrize("name", METRICS)
def test_pixels_outside_the_mask_do_not_count(maps, name):
    if name in EDGES:
        pytest.skip("an edge lies between pixels")
    pred, target = maps
    valid = np.zeros(target.shape, bool)
    valid[:10] = True
    damaged_pred = np.where(valid, pred, np.nan)
    damaged_target = np.where(valid, target, -1)
    expected = METRICS[name](pred[:10], target[:10])
    assert METRICS[name](damaged_pred, damaged_target, valid) == expected
    assert METRICS[name](damaged_pred, damaged_target) == expected  # not positive: not known


def test_silog_is_blind_to_a_factor(maps):
    pred, target = maps
    assert metrics.silog(3 * pred, target) == pytest.approx(metrics.silog(pred, target))
    assert metrics.silog(2 * target, target) == pytest.approx(0, abs=1e-5)


def test_ordinal_counts_order_alone(maps):
    _, target = maps
    assert metrics.ordinal(-1 / target - 100, target) == 1
    assert metrics.ordinal(-target, target) == 0
    assert metrics.ordinal(np.ones_like(target), target) == 0.5
    noise = np.random.default_rng(5).random(target.shape)
    assert abs(metrics.ordinal(noise, target) - 0.5) < 0.03


def test_ordinal_leaves_out_pairs_that_are_almost_equal():
    target = np.array([[1.0, 1.02, 2.0]])
    pred = np.array([[1.1, 1.0, 2.0]])  # wrong only about the close pair
    assert metrics.ordinal(pred, target) == 1
    assert metrics.ordinal(pred, target, ratio=1.01) < 1
    assert np.isnan(metrics.ordinal(pred, np.ones((1, 3))))


def test_ordinal_is_repeatable(maps):
    pred, target = maps
    assert metrics.ordinal(pred, target) == metrics.ordinal(pred, target)
    assert metrics.ordinal(pred, target) != metrics.ordinal(pred, target, seed=1)


@pytest.mark.parametrize("name", METRICS)
def test_refuses_what_cannot_be_measured(maps, name):
    pred, target = maps
    with pytest.raises(InputError, match="shape"):
        METRICS[name](pred[:5], target)
    with pytest.raises(InputError, match="no pixel"):
        METRICS[name](pred, target, np.zeros(target.shape, bool))
    with pytest.raises(InputError, match="not finite"):
        METRICS[name](np.full_like(pred, np.nan), target)
    if name != "ordinal":
        with pytest.raises(InputError, match="clamp"):
            METRICS[name](pred - 100, target)


def test_units_of_inverse_errors():
    pred, target = np.array([[4.0, 4.0]]), np.array([[5.0, 4.0]])
    assert metrics.irmse(pred, target) == pytest.approx(1000 * 0.05 / np.sqrt(2))
    assert metrics.imae(pred, target) == pytest.approx(25)
    assert metrics.mae(pred, target) == 0.5
    assert metrics.sc_inv(pred, target) == pytest.approx(metrics.silog(pred, target) / 100)


def test_d1_all_needs_three_pixels_and_five_percent():
    target = np.array([[100.0, 100, 10, 10, 0]])
    pred = np.array([[103.0, 106, 12.9, 13, 50]])
    assert metrics.d1_all(pred, target) == 50


def test_a_shifted_edge_is_that_far_away():
    target = np.full((40, 60), 2.0)
    target[:, 30:] = 4
    pred = np.full((40, 60), 2.0)
    pred[:, 34:] = 4
    assert metrics.edge_accuracy(pred, target) == pytest.approx(4, abs=0.1)
    assert metrics.edge_completeness(pred, target) == pytest.approx(4, abs=0.1)
    assert metrics.boundary_f1(pred, target) == 0
    flat = np.full((40, 60), 3.0)
    assert metrics.edge_completeness(flat, target) == 10
    assert np.isnan(metrics.edge_accuracy(flat, target))
    assert np.isnan(metrics.boundary_f1(target, flat))


def test_holes_make_no_edges():
    target = np.full((40, 60), 2.0)
    target[10:20, 10:30] = 0
    step = target.copy()
    step[:, 45:] *= 2
    assert np.isnan(metrics.edge_completeness(np.full((40, 60), 2.0), target))
    assert metrics.edge_accuracy(np.where(step > 0, step, 2), step) == 0


def test_boundary_f1_by_hand():
    target, pred = np.ones((1, 4)), np.ones((1, 4))
    target[0, 1:] = 1.16  # one boundary, above 5 of the 10 thresholds
    pred[0, 1:] = 1.3
    thresholds = np.linspace(1.05, 1.25, 10)
    # both directions and both axes share the mean; three of the four are empty
    share = 2 * 0.25 * 0.25 / 0.5
    assert metrics.boundary_f1(pred, target) == pytest.approx(share)
    assert (thresholds < 1.16).sum() == 5


def test_boundary_recall_by_hand():
    mask = np.zeros((1, 6))
    mask[0, 2:4] = 0.2
    depth = np.array([[2.0, 2, 1, 1, 1.1, 1.2]])  # a sharp step left, a slope right
    slope = (np.linspace(1.05, 1.25, 10) < 1.1).sum()
    share = np.linspace(1.05, 1.25, 10)[:slope].sum() / np.linspace(1.05, 1.25, 10).sum()
    assert metrics.boundary_recall(depth, mask) == pytest.approx((1 + share) / 4)
    steeper = np.array([[2.0, 2, 1, 1, 1.1, 1.5]])  # now the slope's largest step is elsewhere
    assert metrics.boundary_recall(steeper, mask) == pytest.approx(1 / 4)
    assert metrics.boundary_recall(1 / depth, mask) == 0  # the object has to be the nearer
    assert metrics.boundary_recall(7 * depth.T, mask.T) == metrics.boundary_recall(depth, mask)
    assert metrics.boundary_recall(depth, mask, opacity=0.1) > 0
    assert np.isnan(metrics.boundary_recall(depth, mask, opacity=0.3))


def test_boundary_recall_does_not_join_rows():
    mask = np.array([[0, 0, 1], [0, 0, 1]])
    depth = np.array([[1.5, 1.5, 1], [5, 1.5, 1.0]])
    alone = [metrics.boundary_recall(depth[i : i + 1], mask[i : i + 1]) for i in (0, 1)]
    assert metrics.boundary_recall(depth, mask) == pytest.approx(np.mean(alone))


@pytest.mark.parametrize(
    ("pred", "message"),
    [(np.ones((3, 4)), "shape"), (np.zeros((3, 3)), "clamp"), (np.ones(9), "shape")],
)
def test_boundary_recall_refuses_what_cannot_be_measured(pred, message):
    with pytest.raises(InputError, match=message):
        metrics.boundary_recall(pred, np.eye(3))


def test_tensors_give_the_same(maps):
    torch = pytest.importorskip("torch")
    pred, target = maps
    tensors = torch.from_numpy(pred).requires_grad_(), torch.from_numpy(target)
    for name, metric in METRICS.items():
        assert metric(*tensors) == pytest.approx(metric(pred, target), rel=1e-12, nan_ok=True), name
