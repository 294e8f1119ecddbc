"""Planes: recovered from points, joined at borders, within bounds, as good as HiGHS's."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("skimage")

from leadline.errors import InputError, UnknownNameError
from leadline.superpixel.inference import solve_planes
from leadline.superpixel.linear_program import Evidence, PlaneConfig, build
from leadline.superpixel.segmentation import Segments


def blocks(rows: int = 4, columns: int = 5, side: int = 12) -> Segments:
    r, c = np.mgrid[: rows * side, : columns * side]
    return Segments(labels=((r // side) * columns + c // side).astype(np.int32))


def evidence_of(
    segments: Segments, inverse: np.ndarray, *, noise: float = 0.0, together: float = 0.5
) -> Evidence:
    """Points on every third pixel of a map of inverse depth."""
    height, width = segments.size
    y, x = (a.ravel() for a in np.mgrid[1:height:3, 1:width:3])
    rng = np.random.default_rng(7)
    return Evidence(
        x=2 * (x + 0.5) / width - 1,
        y=2 * (y + 0.5) / height - 1,
        owner=segments.labels[y, x],
        log_depth=-np.log(inverse[y, x]) + rng.normal(0, noise, len(x)),
        weight=np.full(len(x), 0.25),
        ground=np.zeros(segments.count),
        sky=np.zeros(segments.count),
        together=np.full(len(segments.touching[0]), together),
        horizon=-0.2,
    )


def ramp(segments: Segments) -> np.ndarray:
    height, width = segments.size
    y, x = np.mgrid[:height, :width]
    return 0.2 + 0.5 * (y + 0.5) / height + 0.1 * (x + 0.5) / width


FREE = PlaneConfig(upright=0, horizon=0, tolerance=1e-5)


def test_a_plane_is_found_exactly():
    segments = blocks()
    truth = ramp(segments)
    solution = solve_planes(segments, evidence_of(segments, truth), FREE)
    assert solution.converged
    np.testing.assert_allclose(solution.inverse_depth(segments), truth, rtol=2e-3)


def test_the_unit_of_depth_does_not_matter():
    segments = blocks()
    evidence = evidence_of(segments, ramp(segments), noise=0.2)
    there = solve_planes(segments, evidence, FREE).inverse_depth(segments)
    moved = replace(evidence, log_depth=evidence.log_depth + 5)
    here = solve_planes(segments, moved, FREE).inverse_depth(segments)
    np.testing.assert_allclose(here * np.exp(5), there, rtol=1e-3)


def test_joining_smooths_noise_and_parting_keeps_a_step():
    segments = blocks()
    truth = ramp(segments)
    noisy = evidence_of(segments, truth, noise=0.3, together=0.9)
    joined = solve_planes(segments, noisy, FREE).inverse_depth(segments)
    alone = solve_planes(segments, replace(noisy, together=0 * noisy.together), FREE)
    error = [np.abs(m / truth - 1).mean() for m in (joined, alone.inverse_depth(segments))]
    assert error[0] < 0.7 * error[1]
    step = np.where(np.arange(60) < 36, 1.0, 0.4) * np.ones((48, 1))
    parted = solve_planes(segments, evidence_of(segments, step, together=0.02), FREE)
    np.testing.assert_allclose(parted.inverse_depth(segments), step, rtol=0.05)


def test_depth_keeps_to_its_bounds():
    segments = blocks()
    evidence = evidence_of(segments, np.where(ramp(segments) > 0.5, 50, 1.0))
    config = PlaneConfig(near=0.5, far=2.0, tolerance=1e-4)
    found = solve_planes(segments, evidence, config).inverse_depth(segments)
    scale = np.exp(np.median(evidence.log_depth))
    assert found.min() > 0.99 / (2.0 * scale)
    assert found.max() < 1.01 / (0.5 * scale)


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_the_objective_is_that_of_linear_programming(noise):
    segments = blocks(3, 4, 9)
    evidence = replace(
        evidence_of(segments, ramp(segments), noise=noise), ground=np.linspace(0, 1, 12)
    )
    ours = solve_planes(segments, evidence)
    best = solve_planes(segments, evidence, PlaneConfig(solver="highs"))
    assert ours.converged
    assert best.objective <= ours.objective * (1 + 1e-6)
    assert ours.objective <= best.objective * 1.01


def test_stopping_early_is_told():
    segments = blocks()
    evidence = evidence_of(segments, ramp(segments), noise=0.5)
    stopped = solve_planes(segments, evidence, PlaneConfig(iterations=10, tolerance=1e-9))
    assert not stopped.converged
    assert stopped.iterations == 10
    assert stopped.primal_residual > 0


def test_ground_vanishes_at_the_horizon_and_walls_stand():
    segments = blocks()
    flat = evidence_of(segments, np.full(segments.size, 0.5), noise=0.02)
    ground = replace(flat, ground=np.ones(segments.count))
    config = PlaneConfig(horizon=50, upright=0, coplanar=0, connected=0)
    tilted = solve_planes(segments, ground, config).planes
    level = solve_planes(segments, flat, replace(config, upright=50)).planes
    below = np.arange(15, 20)
    assert (tilted[below, 1] > 0.1).all()
    assert np.abs(level[:, 1]).max() < 0.01


def test_terms_have_names_and_rows():
    segments = blocks()
    program = build(segments, evidence_of(segments, ramp(segments)), PlaneConfig())
    assert set(program.terms) == {"data", "coplanar", "connected", "upright", "horizon"}
    assert sum(s.stop - s.start for s in program.terms.values()) == len(program.target)


def test_one_segment_and_no_neighbours():
    segments = blocks(1, 1, 20)
    truth = ramp(segments)
    solution = solve_planes(segments, evidence_of(segments, truth), FREE)
    np.testing.assert_allclose(solution.inverse_depth(segments), truth, rtol=1e-2)


def test_impossible_settings_and_points_are_refused():
    segments = blocks()
    evidence = evidence_of(segments, ramp(segments))
    with pytest.raises(UnknownNameError, match="admm, highs"):
        PlaneConfig(solver="simplex")
    with pytest.raises(InputError, match="near"):
        PlaneConfig(near=2, far=1)
    with pytest.raises(InputError, match="negative"):
        PlaneConfig(coplanar=-1)
    with pytest.raises(InputError, match="iterations=0"):
        PlaneConfig(iterations=0)
    broken = replace(evidence, log_depth=np.full(len(evidence.x), np.nan))
    with pytest.raises(InputError, match="finite"):
        solve_planes(segments, broken)
