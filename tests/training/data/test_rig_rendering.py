"""The rig: pictures of one moment are one world, seen from the places that it says."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from leadline.errors import InputError  # noqa: E402
from leadline.losses import warp  # noqa: E402
from leadline.training.data.rig_rendering import render_pairs, render_triplets  # noqa: E402
from leadline.training.options import Rig  # noqa: E402

SIZE = (48, 80)
ROOM = Rig(kind="room", fov_deg=66, baseline_m=0.12, step_m=(0.05, 0.15), sideways=0.8, turn_deg=2)


@lru_cache(maxsize=1)
def films() -> dict[str, np.ndarray]:
    """Two films of a room."""
    return render_triplets(np.random.default_rng(1), SIZE, 2, rig=ROOM)


def as_batch(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


@pytest.mark.slow
@pytest.mark.parametrize("name", ["before", "after", "right"])
def test_true_depth_and_motion_explain_the_frame(name: str) -> None:
    made = films()
    camera = ROOM.camera(SIZE)
    intrinsics = torch.eye(4)
    intrinsics[0, 0], intrinsics[1, 1] = camera.fx, camera.fy
    intrinsics[0, 2], intrinsics[1, 2] = camera.cx, camera.cy
    if name == "right":
        motion = torch.eye(4).repeat(2, 1, 1)
        motion[:, 0, 3] = -ROOM.baseline_m
    else:
        motion = torch.from_numpy(made[f"{name}_from_frame"])
    depth = torch.from_numpy(np.minimum(made["depth"].astype(np.float32), 100))
    frame, source = as_batch(made["frame"]), as_batch(made[name])
    moved = warp(source, depth, intrinsics.expand(2, 4, 4), motion)
    inner = (..., slice(4, -4), slice(12, -12))
    right, still = ((each - frame).abs()[inner].mean() for each in (moved, source))
    assert right < 0.5 * still


@pytest.mark.slow
def test_pairs_repeat_and_do_not_share_grain() -> None:
    one, two = (render_pairs(np.random.default_rng(3), SIZE, 1, rig=ROOM) for _ in range(2))
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name])
    assert set(one) == {"left", "right", "left_depth", "right_depth"}
    assert np.isfinite(one["left_depth"]).any()


def test_the_camera_has_the_field_of_view() -> None:
    rig = Rig(fov_deg=90)
    assert rig.focal_share == pytest.approx(0.5)
    assert rig.camera(SIZE).fx == pytest.approx(0.5 * SIZE[1])


@pytest.mark.parametrize(
    "wrong",
    [{"baseline_m": 0}, {"fov_deg": 180}, {"step_m": (1.0, 0.5)}, {"still": 2}, {"exposure": "x"}],
)
def test_impossible_rigs_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Rig(**wrong)  # ty: ignore[invalid-argument-type]
