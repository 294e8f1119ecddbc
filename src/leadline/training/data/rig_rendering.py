"""A camera rig in the procedural world: stereo pairs and moments of a drive or walk, exposed alike.

Self-supervised losses compare pictures, so all pictures of one scene get one exposure, one white
balance and one tone curve, as a locked stereo rig or a film has; only the sensor's grain is each
picture's own. (One seed of grain for both views would be worse than none: the same specks at the
same pixels say that nothing moved.) Depth and motion are kept for checks and for networks that
learn from truth; the self-supervised losses never see them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from leadline.errors import JobError
from leadline.training.data.seeds import scene_seed
from leadline.training.options import Rig
from leadline.world import Scene, pose_from_angles, sample_camera, sample_scene, sensor
from leadline.world.cameras import crowding
from leadline.world.render import radiance

_VIEWS_PER_SCENE = 3
_TRIES = 40
_MOST_CROWDED = 0.04


def render_pairs(
    rng: np.random.Generator, size: tuple[int, int], count: int, *, rig: Rig
) -> dict[str, np.ndarray]:
    """Rectified stereo pairs.

    Args:
        rng: decides everything.
        size: (height, width) of the pictures.
        count: how many pairs.
        rig: cameras and scenes.

    Returns:
        ``left`` and ``right`` (n, h, w, 3) uint8, ``left_depth`` and ``right_depth`` (n, h, w)
        float16 in metres, inf at the sky.
    """
    moves = [np.eye(4), _right_camera(rig)]
    places = _places(rng, rig, [moves] * count)
    seen = [photograph(scene, place, moves, rng, size, rig) for scene, place in places]
    pictures, depths = (np.stack(each, axis=1) for each in zip(*seen, strict=True))
    return {
        "left": pictures[0],
        "right": pictures[1],
        "left_depth": depths[0],
        "right_depth": depths[1],
    }


def render_triplets(
    rng: np.random.Generator, size: tuple[int, int], count: int, *, rig: Rig
) -> dict[str, np.ndarray]:
    """Three moments of a drive or walk, and the right view of the middle one.

    Args:
        rng: decides everything.
        size: (height, width) of the pictures.
        count: how many triplets.
        rig: cameras, motion and scenes.

    Returns:
        ``frame``, ``before``, ``after`` and ``right`` (n, h, w, 3) uint8, ``depth`` of ``frame``
        (n, h, w) float16 in metres, inf at the sky, and ``before_from_frame`` and
        ``after_from_frame`` (n, 4, 4) float32, the true motion, for checks.
    """
    moves = [
        [np.eye(4), np.linalg.inv(_step(rng, rig)), _step(rng, rig), _right_camera(rig)]
        for _ in range(count)
    ]
    places = enumerate(_places(rng, rig, moves))
    seen = [photograph(scene, place, moves[n], rng, size, rig) for n, (scene, place) in places]
    pictures, depths = (np.stack(each, axis=1) for each in zip(*seen, strict=True))
    made = dict(zip(("frame", "before", "after", "right"), pictures, strict=True))
    made["depth"] = depths[0]
    for i, name in ((1, "before_from_frame"), (2, "after_from_frame")):
        made[name] = np.stack([np.linalg.inv(each[i]) for each in moves]).astype(np.float32)
    return made


def photograph(
    scene: Scene,
    place: np.ndarray,
    moves: Sequence[np.ndarray],
    rng: np.random.Generator,
    size: tuple[int, int],
    rig: Rig,
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of one moment or film, (m, h, w, 3) uint8, and their depths (m, h, w) float16.

    Args:
        scene: what is seen.
        place: world_from_camera, 4x4, of the rig.
        moves: the m cameras' places in the rig's axes, 4x4.
        rng: decides exposure and grain.
        size: (height, width).
        rig: camera, exposure and grain.
    """
    seen = [radiance(scene, rig.camera(size).moved(place @ move), 2) for move in moves]
    linear = [view[0] for view in seen]
    if rig.exposure == "locked":
        exposed = np.split(sensor.expose(np.concatenate(linear, axis=1), rng), len(moves), axis=1)
    else:
        exposed = [sensor.expose(each, rng) for each in linear]
    grain = np.float32(rng.uniform(0, rig.grain))
    noisy = [e + grain * rng.standard_normal(e.shape, dtype=np.float32) for e in exposed]
    pictures = (np.clip(np.stack(noisy), 0, 1) * 255 + 0.5).astype(np.uint8)
    depths = [np.where(objects < 0, np.inf, depth) for _, depth, objects, _ in seen]
    return pictures, np.stack(depths).astype(np.float16)


def _places(
    rng: np.random.Generator, rig: Rig, moves: Sequence[Sequence[np.ndarray]]
) -> Iterator[tuple[Scene, np.ndarray]]:
    """For each list of moves a scene and a world_from_camera from which no move ends in a wall."""
    # Very wide pictures are taken from the lanes of a street, others often from its walks.
    shape = (100, 320) if rig.kind == "street" else (240, 320)
    scene: Scene | None = None
    for n, needed in enumerate(moves):
        for attempt in range(_TRIES):
            new = attempt % 8 == 7 or (n % _VIEWS_PER_SCENE == 0 and attempt == 0)
            if new or scene is None:
                scene = sample_scene(scene_seed(rng), rig.kind)
            place = sample_camera(scene, rng, shape).world_from_camera
            if place is None:
                continue
            if max(crowding(scene, place @ move) for move in needed) < _MOST_CROWDED:
                yield scene, place
                break
        else:
            raise JobError(
                f"no free place for a rig with a baseline of {rig.baseline_m} m and steps of "
                f"{rig.step_m} m in {_TRIES} tries; a smaller rig or another kind than "
                f"{rig.kind!r} is needed."
            )


def _right_camera(rig: Rig) -> np.ndarray:
    """left_from_right: the right camera in the left one's axes."""
    move = np.eye(4)
    move[0, 3] = rig.baseline_m
    return move


def _step(rng: np.random.Generator, rig: Rig) -> np.ndarray:
    """now_from_next: a small motion, mostly ahead."""
    if rng.random() < rig.still:
        return np.eye(4)
    yaw, pitch, roll = np.radians(rng.normal(0, rig.turn_deg, 3) * (1.0, 0.5, 0.5))
    level = np.array([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]])
    turn = level @ pose_from_angles(np.zeros(3), yaw, pitch, roll)
    aside = rng.normal(0, rig.sideways, 2) * (1.0, 0.3)
    ahead = np.array([aside[0], aside[1], 1.0])
    turn[:3, 3] = ahead / np.linalg.norm(ahead) * rng.uniform(*rig.step_m)
    return turn
