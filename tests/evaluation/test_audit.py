from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from leadline.camera import Camera
from leadline.datasets import Frame, FrameRef
from leadline.errors import InputError
from leadline.evaluation.audit import (
    audit,
    audit_frame,
    find_contradictions,
    find_see_through,
    measure_registration,
    render_page,
    summarize,
)
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import Prediction


def frame_of(depth: np.ndarray, picture: np.ndarray | None = None, shift_m: float = 0.0) -> Frame:
    height, width = depth.shape
    pose = np.eye(4)
    pose[0, 3] = shift_m
    camera = Camera(width=width, height=height, fx=50, fy=50, cx=30, cy=20, world_from_camera=pose)
    pixels = np.zeros((height, width, 3), np.uint8) if picture is None else picture
    return Frame(
        image=Image(pixels=pixels, camera=camera),
        depth=depth.astype(np.float32),
        max_depth=80,
        group="g",
        name="f",
    )


def test_points_behind_their_surroundings():
    depth = np.zeros((20, 60))
    depth[10, 5:30:3] = 5.0  # a near thing
    depth[10, 12] = 20.0  # seen through it
    depth[10, 30:60:3] = 20.0  # the background beside it is no fault
    found = find_see_through(depth, depth > 0)
    assert found[10, 12]
    assert found.sum() == 1


def test_depth_that_lies_beside_its_picture():
    rng = np.random.default_rng(0)
    depth = np.full((60, 80), 4.0)
    for _ in range(12):
        top, left = rng.integers(8, 40), rng.integers(8, 60)
        depth[top : top + 12, left : left + 12] = rng.uniform(1, 3)
    grey = np.clip(60 * np.roll(depth, (-2, 3), (0, 1)), 0, 255).astype(np.uint8)
    found = measure_registration(frame_of(depth, np.repeat(grey[..., None], 3, 2)))
    assert abs(found["shift_x"] - 3) <= 1
    assert abs(found["shift_y"] + 2) <= 1
    assert found["shift_gain"] > 1.3
    straight = np.clip(60 * depth, 0, 255).astype(np.uint8)
    good = measure_registration(frame_of(depth, np.repeat(straight[..., None], 3, 2)))
    assert abs(good["shift_x"]) <= 1
    assert abs(good["shift_y"]) <= 1


def test_things_that_moved_are_contradicted():
    wall = np.full((40, 60), 4.0)
    still, wrong = find_contradictions(frame_of(wall), frame_of(wall, shift_m=0.1))
    assert still == 0
    assert not wrong.any()
    with_thing = wall.copy()
    with_thing[10:20, 20:30] = 2
    moved, wrong = find_contradictions(frame_of(with_thing), frame_of(wall))
    assert moved == pytest.approx(100 / 2400, rel=0.1)
    assert wrong[12:18, 22:28].all()
    no_pose = frame_of(wall)
    assert no_pose.image.camera is not None
    lost = replace(no_pose, image=replace(no_pose.image, camera=no_pose.image.camera.moved(None)))
    assert math.isnan(find_contradictions(lost, frame_of(wall))[0])


def test_holes_of_a_structured_light_sensor():
    depth = np.full((40, 60), 4.0)
    depth[:, 20:40] = 2
    depth[:, 40:44] = 0  # the shadow beside the near thing
    shadow, _ = audit_frame(frame_of(depth))
    assert shadow.holes_at_edges > 0.9
    depth[:, 40:44] = 4
    depth[10:14, 50:54] = 0  # a hole in the wall
    wall, _ = audit_frame(frame_of(depth))
    assert wall.holes_at_edges == 0


def test_two_sources_of_one_frame():
    depth = np.full((40, 60), 4.0)
    other = depth + 0.2
    other[:10] = 8
    result, marked = audit_frame(frame_of(depth), None, frame_of(other))
    assert result.other_share == 0.25
    assert result.other_bias_m == pytest.approx(0.2)
    assert marked[:10].all()
    assert not marked[10:].any()


def test_a_page_with_pictures(tmp_path):
    depth = np.zeros((20, 60))
    depth[10, 5:30:3], depth[10, 12] = 5.0, 20.0

    def missing() -> Frame:
        raise InputError("f2.png: no such file")

    refs = [FrameRef(name="f", read=lambda: frame_of(depth)), FrameRef(name="f2", read=missing)]
    found, figures, failed = audit(refs)
    assert summarize(found)["see_through"] == pytest.approx(1 / 10, rel=0.2)
    assert failed == ["f2: f2.png: no such file"]
    page = render_page("<d>", found, figures, failed)
    assert "data:image/png;base64" in page
    assert "&lt;d&gt;" in page
    with pytest.raises(InputError, match="no frame could be read"):
        audit(refs[1:])


def test_a_network_finds_the_frame_with_another_picture_s_depth():
    rng = np.random.default_rng(0)
    depths = [np.sort(rng.uniform(1, 9, (20, 30)), axis=0)[::-1] for _ in range(3)]
    truths = [depths[0], depths[1], depths[2][::-1]]  # the last one is upside down
    frames = [replace(frame_of(truth), name=str(n)) for n, truth in enumerate(truths)]

    def predict(frame: Frame) -> Prediction:
        depth = depths[int(frame.name)]
        return Prediction(values=3 / depth + 1, kind=DepthKind.AFFINE_DISPARITY)

    refs = [FrameRef(name=f.name, read=lambda f=f: f) for f in frames]
    found, _, _ = audit(refs, predict=predict)
    assert [row.model_abs_rel for row in found[:2]] == pytest.approx([0, 0], abs=1e-4)
    assert found[2].model_abs_rel > 0.2
