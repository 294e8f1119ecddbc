"""Where cameras stand: heights, tilts and fields of view that suit each kind of scene."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError, UnknownNameError
from leadline.world.scene import Scene
from leadline.world.trace import trace


@dataclass(frozen=True, kw_only=True)
class Mount:
    """The one camera of a data set: its lens, and how it is held.

    Attributes:
        kind: of the scenes that it sees.
        fov_deg: across the picture's width.
        height_m: least and largest over the floor or road.
        pitch_deg: mean and standard deviation; up is positive.
        roll_deg: standard deviation.
    """

    kind: str
    fov_deg: float
    height_m: tuple[float, float]
    pitch_deg: tuple[float, float]
    roll_deg: float


MOUNTS: Mapping[str, Mount] = MappingProxyType(
    {
        # 519 pixels of focal length for 640, carried through rooms
        "nyu": Mount(
            kind="room", fov_deg=63.3, height_m=(1.0, 1.6), pitch_deg=(-12.0, 9.0), roll_deg=3.0
        ),
        # 721 pixels for 1242, on the roof of a car
        "kitti": Mount(
            kind="street", fov_deg=81.5, height_m=(1.6, 1.7), pitch_deg=(0.0, 0.6), roll_deg=0.4
        ),
    }
)
"""Name -> a data set's camera: the lenses of NYU Depth v2 and KITTI; heights and tilts are ours."""


def mounted_kinds(mount: str, kinds: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Kinds of scenes to render for a camera of :data:`MOUNTS`; for "" the given ones.

    Raises:
        UnknownNameError: no such camera.
        InputError: it does not see one of the given kinds.
    """
    if not mount:
        return kinds
    if mount not in MOUNTS:
        raise UnknownNameError("camera", mount, MOUNTS)
    own = MOUNTS[mount].kind
    others = [kind for kind in kinds if kind != own]
    if others:
        raise InputError(
            f"the camera of {mount} sees scenes of the kind {own!r}, not {others[0]!r}: "
            "leave the kinds or the camera out."
        )
    return (own,)


def pose_from_angles(
    position: np.ndarray, yaw: float, pitch: float, roll: float = 0.0
) -> np.ndarray:
    """world_from_camera 4x4 in a z-up world.

    Args:
        position: metres.
        yaw: radians, 0 looks along +y, positive turns left.
        pitch: radians, positive looks up.
        roll: radians about the optical axis.
    """
    forward = np.array(
        [-math.sin(yaw) * math.cos(pitch), math.cos(yaw) * math.cos(pitch), math.sin(pitch)]
    )
    right = np.array([math.cos(yaw), math.sin(yaw), 0.0])
    down = np.cross(forward, right)
    c, s = math.cos(roll), math.sin(roll)
    pose = np.eye(4)
    pose[:3, 0] = c * right + s * down
    pose[:3, 1] = -s * right + c * down
    pose[:3, 2] = forward
    pose[:3, 3] = position
    return pose


Placed = tuple[np.ndarray, Camera]


def _camera(size: tuple[int, int], fov_deg: float, pose: np.ndarray) -> Placed:
    h, w = size
    focal = 0.5 * w / math.tan(math.radians(fov_deg) / 2)
    camera = Camera(
        width=w,
        height=h,
        fx=focal,
        fy=focal,
        cx=(w - 1) / 2,
        cy=(h - 1) / 2,
        world_from_camera=pose,
    )
    return pose, camera


def crowding(scene: Scene, pose: np.ndarray) -> float:
    """Share of a coarse picture that is nearer than the scene allows; more when nearly blank."""
    near = scene.views.get("near", 0.45)
    depth, ids = trace(scene, pose, (14.0, 14.0, 11.5, 8.5), (18, 24), None, 2.5)
    blank = 0.3 if len(np.unique(ids)) < 4 else 0.0
    return float((depth < near).mean()) + blank


def _room(
    scene: Scene, rng: np.random.Generator, size: tuple[int, int], mount: Mount | None
) -> Placed:
    room = scene.views["size"]
    inside = (room[:2] / 2 - 0.25) * rng.uniform(-1, 1, 2)
    target = rng.uniform(-0.35, 0.35, 2) * room[:2]
    offset = target - inside
    yaw = math.atan2(-offset[0], offset[1]) + rng.normal(0, 0.5)
    if rng.random() < 0.35:  # over a piece of furniture that stands close, into the room
        spot = scene.views["spots"][int(rng.integers(len(scene.views["spots"])))]
        away = rng.uniform(0, 2 * math.pi)
        back = rng.uniform(0.7, 1.8) * np.array([math.sin(away), -math.cos(away)])
        limit = room[:2] / 2 - 0.25
        inside = np.clip(spot + back, -limit, limit)
        yaw = away + rng.normal(0, 0.35)
    pitch = math.radians(rng.uniform(-38, 8) if rng.random() < 0.85 else rng.uniform(-60, 20))
    roll = math.radians(rng.normal(0, 3) if rng.random() < 0.85 else rng.uniform(-16, 16))
    height = rng.uniform(0.8, 2.0) if rng.random() < 0.9 else rng.uniform(0.35, 0.8)
    pose = pose_from_angles(np.array([*inside, min(height, room[2] - 0.3)]), yaw, pitch, roll)
    fov = rng.uniform(56, 66) if rng.random() < 0.5 else rng.uniform(42, 78)
    if mount:
        height, pitch, roll = _held(mount, rng)
        pose = pose_from_angles(np.array([*inside, height]), yaw, pitch, roll)
        fov = mount.fov_deg
    return _camera(size, fov, pose)


def _held(mount: Mount, rng: np.random.Generator) -> tuple[float, float, float]:
    """Height in metres, pitch and roll in radians."""
    height = rng.uniform(*mount.height_m)
    pitch, roll = rng.normal(*mount.pitch_deg), rng.normal(0, mount.roll_deg)
    return height, math.radians(pitch), math.radians(roll)


def _street(
    scene: Scene, rng: np.random.Generator, size: tuple[int, int], mount: Mount | None
) -> Placed:
    aspect = size[1] / size[0]
    x = rng.choice(scene.views["lanes"]) + rng.normal(0, 0.4)
    y = rng.uniform(0, scene.views["run"])
    yaw, pitch, roll = (
        rng.normal(0, 0.05),
        math.radians(rng.normal(0, 2)),
        math.radians(rng.normal(0, 1)),
    )
    height = rng.uniform(1.3, 2.0)
    fov = rng.uniform(74, 90) if aspect > 2 else rng.uniform(45, 80)
    if mount:
        height, pitch, roll = _held(mount, rng)
        fov = mount.fov_deg
    elif rng.random() < (0.1 if aspect > 2 else 0.45):
        x = rng.choice([-1, 1]) * rng.uniform(*scene.views["walk"])
        yaw = rng.normal(0, 0.5) if rng.random() < 0.7 else rng.uniform(-3.14, 3.14)
        pitch, roll = math.radians(rng.normal(1, 6)), math.radians(rng.normal(0, 3))
        height = rng.uniform(1.0, 2.2) if rng.random() < 0.85 else rng.uniform(2.5, 7)
        fov = rng.uniform(35, 80)
    pose = pose_from_angles(np.array([0.0, 0.0, height]), yaw, pitch, roll)
    onto_road = np.eye(4)
    onto_road[:3, 3], onto_road[:3, :3] = scene.views["course"].place(x, y)
    return _camera(size, fov, onto_road @ pose)


def _orbit(
    scene: Scene, rng: np.random.Generator, size: tuple[int, int], _: Mount | None
) -> Placed:
    """Around a subject (views: focus, radius; optional azimuth, elevation, distance ranges)."""
    v = scene.views
    focus = np.asarray(v["focus"], float)
    radius = v["radius"]
    fov = rng.uniform(*v.get("fov", (30, 75)))
    azimuth = rng.uniform(*v.get("azimuth", (-math.pi, math.pi)))
    elevation = math.radians(rng.uniform(*v.get("elevation", (-5, 40))))
    short = min(1.0, size[0] / size[1])
    fill = rng.uniform(*v.get("fill", (0.5, 1.3)))
    distance = radius / (math.tan(math.radians(fov) / 2) * short * fill)
    distance = float(np.clip(distance, *v.get("distance", (0.3, 30))))
    back = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
    distance = min(distance, 0.93 * v.get("away", 1e9))
    centre = focus - math.cos(elevation) * distance * back
    centre[2] = max(focus[2] + math.sin(elevation) * distance, v.get("floor", 0.0) + 0.06)
    aim = focus + rng.normal(0, 0.35, 3) * radius
    d = aim - centre
    yaw = math.atan2(-d[0], d[1])
    pitch = math.atan2(d[2], math.hypot(d[0], d[1]))
    roll = math.radians(rng.normal(0, 3) if rng.random() < 0.85 else rng.uniform(-15, 15))
    return _camera(size, fov, pose_from_angles(centre, yaw, pitch, roll))


def _walk(scene: Scene, rng: np.random.Generator, size: tuple[int, int], _: Mount | None) -> Placed:
    """On open ground (views: reach, spots), often towards one of the nearer things."""
    reach = scene.views["reach"]
    at = rng.uniform(-reach, reach, 2)
    height = rng.uniform(1.0, 2.0) if rng.random() < 0.7 else rng.uniform(0.2, 4)
    yaw, pitch = rng.uniform(-3.14, 3.14), rng.normal(-5, 9)
    if rng.random() < 0.75:
        spots = scene.views["spots"]
        spot = spots[int(rng.integers(0, len(spots)))]
        distance = np.exp(rng.uniform(np.log(1.5), np.log(9)))
        a = rng.uniform(0, 6.28)
        at = spot + distance * np.array([np.cos(a), np.sin(a)])
        d = spot - at
        yaw = math.atan2(-d[0], d[1]) + rng.normal(0, 0.25)
        pitch = math.degrees(math.atan2(rng.uniform(0.3, 1.3) - height, distance)) + rng.normal(
            0, 5
        )
    roll = math.radians(rng.normal(0, 2.5))
    pose = pose_from_angles(np.array([*at, height]), yaw, math.radians(pitch), roll)
    return _camera(size, rng.uniform(38, 78), pose)


_CHOICES = {"room": _room, "street": _street, "nature": _walk, "objects": _orbit}


def sample_camera(
    scene: Scene, rng: np.random.Generator, size: tuple[int, int], mount: str = ""
) -> Camera:
    """A camera that suits the scene; the least crowded of a few tries.

    Args:
        scene: the scene.
        rng: generator.
        size: (height, width) in pixels.
        mount: of :data:`MOUNTS`: the camera of a data set; empty: any lens, held in any way.

    Raises:
        UnknownNameError, InputError: as `mounted_kinds`.
    """
    mounted_kinds(mount, (scene.kind,))
    choose = _orbit if "orbit" in scene.views else _CHOICES[scene.kind]
    tried: list[tuple[float, Camera]] = []
    for _ in range(4):
        pose, camera = choose(scene, rng, size, MOUNTS.get(mount))
        tried.append((crowding(scene, pose), camera))
        if tried[-1][0] < 0.04:
            break
    return min(tried, key=lambda pair: pair[0])[1]
