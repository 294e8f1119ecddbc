"""Roads that bend, climb and cross."""

from itertools import pairwise

import numpy as np
import pytest

from leadline.world import primitives as prim
from leadline.world import sample_scene, sample_view
from leadline.world.course import Course, clear, cut, lay
from leadline.world.scene import Builder
from leadline.world.streets import build

BEND = Course(curvature=1 / 40, start=10, stop=60, slope=0.05, wave=150, phase=1.0)


@pytest.fixture
def builder(bank):
    return Builder(np.random.default_rng(3), bank)


def test_a_course_runs_on_without_a_jump_and_keeps_its_length():
    points = np.array([BEND.place(0, y)[0] for y in np.arange(-20, 120, 0.05)])
    steps = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
    np.testing.assert_allclose(steps, 0.05, rtol=1e-3)


def test_a_turn_follows_the_course():
    for y in (0.0, 30.0, 90.0):
        here, turn = BEND.place(0, y)
        ahead, _ = BEND.place(0, y + 1e-4)
        direction = (ahead - here) / np.linalg.norm(ahead - here)
        np.testing.assert_allclose(turn[:, 1], direction, atol=1e-3)
        np.testing.assert_allclose(turn.T @ turn, np.eye(3), atol=1e-12)


def test_nothing_is_lower_than_the_lowest_height():
    assert min(BEND.height(y) for y in np.arange(-200, 400, 1.0)) >= BEND.lowest


def test_cutting_a_road_keeps_what_it_covers(builder):
    builder.box((1, 20, 0), (2, 100, 0.2), builder.mat())
    pieces = cut(builder.rows[0], longest=9)
    assert len(pieces) == 12
    ends = sorted((p.centre[1] - p.reach_y, p.centre[1] + p.reach_y) for p in pieces)
    assert ends[0][0] == pytest.approx(-30)
    assert ends[-1][1] == pytest.approx(70)
    for (_, high), (low, _) in pairwise(ends):
        assert high == pytest.approx(low)


def test_balls_and_walls_across_the_road_are_not_cut(builder):
    builder.ball((0, 0, 0), (20, 20, 20), builder.mat())
    builder.box((0, 0, 0), (100, 2, 2), builder.mat())
    assert [cut(row) for row in builder.rows] == [[row] for row in builder.rows]


def test_plains_stay_level_below_the_road(builder):
    builder.quad((0, 0, 0), (900, 900), builder.mat())
    (plain,) = lay(builder.rows, BEND)
    assert plain.centre[2] == pytest.approx(BEND.lowest)
    np.testing.assert_array_equal(plain.rotation, np.eye(3))


def test_a_crossing_takes_whole_objects_and_pieces_of_kerbs(builder):
    stone = builder.mat()
    builder.box((5, 50, 0), (0.2, 200, 0.2), stone)
    for y in (10, 29, 50):
        with builder.at((8, y, 0)):
            builder.box((0, 0, 3), (6, 6, 6), stone)
            builder.box((0, 9, 1), (1, 1, 2), stone)  # its shed
    left = clear(builder.rows, 40, 6, lambda row: False)
    houses = [row.centre[1] for row in left if row.centre[0] > 6]
    assert houses == [10, 19, 50, 59]
    kerb = np.array([row.centre[1] for row in left if row.centre[0] < 6])
    assert not np.any(np.abs(kerb - 40) < 3)
    assert kerb.min() < -45
    assert kerb.max() > 145


def test_a_builder_gives_objects_their_own_labels(builder):
    with builder.at((0, 0, 0)):
        builder.ball((0, 0, 0), (1, 1, 1), builder.mat())
        with builder.at((1, 0, 0)):
            builder.ball((0, 0, 0), (1, 1, 1), builder.mat())
        builder.ball((0, 0, 2), (1, 1, 1), builder.mat())
    inner, outer = builder.rows[1].label, builder.rows[0].label
    assert inner != outer
    assert builder.rows[2].label == outer


@pytest.mark.parametrize("seed", range(6))
def test_the_camera_stands_on_its_road(bank, seed):
    scene = sample_scene(seed, "street", bank=bank)
    view = sample_view(scene, 0, size=(24, 32))
    assert view.camera.world_from_camera is not None
    eye = view.camera.world_from_camera[:3, 3]
    course = scene.views["course"]
    nearest = min(
        np.linalg.norm(course.place(0, y)[0][:2] - eye[:2]) for y in np.arange(-1, 20, 0.5)
    )
    assert nearest < 20
    heights = [course.height(y) for y in np.arange(-1, 20, 0.5)]
    assert min(heights) < eye[2] < max(heights) + 8


def test_streets_come_straight_bent_climbing_and_crossed(bank):
    courses, crossed = [], 0
    for seed in range(16):
        builder = Builder(np.random.default_rng(seed), bank)
        build(builder)
        courses.append(builder.views["course"])
        # Nothing but a crossing road is a thin rectangle wider than any road of ours.
        crossed += any(
            row.kind == prim.QUAD and 70 < row.scale[0] < 80 and row.scale[1] < 7
            for row in builder.rows
        )
    assert {bool(c.curvature) for c in courses} == {True, False}
    assert {bool(c.slope) for c in courses} == {True, False}
    assert 0 < crossed < len(courses)
