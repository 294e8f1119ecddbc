"""The procedural world as a data set: exact depth, right view, next frame, poses and normals."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from leadline.datasets.frame import Frame, FrameRef, zero_unknown
from leadline.errors import InputError, MissingDependencyError, UnknownNameError
from leadline.image import Image

if TYPE_CHECKING:
    from types import ModuleType

    from leadline import world

MAX_DEPTH_M = {"room": 10.0, "street": 80.0, "nature": 80.0, "objects": 10.0}
"""Kind of scene -> metres up to which depths count."""

_BASELINE_M = {"room": 0.12, "street": 0.54, "nature": 0.54, "objects": 0.06}
_STEP_M = {"room": 0.08, "street": 0.8, "nature": 0.3, "objects": 0.03}


def world_refs(
    kind: str = "room",
    *,
    count: int = 20,
    seed: int = 0,
    size: tuple[int, int] = (192, 256),
    right: bool = False,
    following: bool = False,
    normals: bool = False,
    mount: str = "",
) -> list[FrameRef]:
    """Frames of ``count`` scenes; the same seed gives the same frames.

    Args:
        kind: of the scenes, one of :data:`leadline.world.KINDS`.
        count: number of frames.
        seed: of the first scene; the others follow.
        size: (height, width) in pixels.
        right: render the right view of a rectified pair too.
        following: render the next frame of a walk or drive too, with its pose.
        normals: give surface normals too.
        mount: the camera of a data set, of :data:`leadline.world.MOUNTS`; empty: any.
    """
    if kind not in MAX_DEPTH_M:
        raise UnknownNameError("kind of scene", kind, MAX_DEPTH_M)
    if count < 1:
        raise InputError(f"count={count}: at least one frame is needed.")
    render = partial(_frame, kind=kind, size=size, mount=mount)
    read = partial(render, right=right, following=following, normals=normals)
    return [
        FrameRef(name=f"{kind}-{number:06d}", read=partial(read, number))
        for number in range(seed, seed + count)
    ]


def _frame(
    number: int,
    *,
    kind: str,
    size: tuple[int, int],
    mount: str,
    right: bool,
    following: bool,
    normals: bool,
) -> Frame:
    world = _world()
    scene = world.sample_scene(number, kind)
    view = world.sample_view(scene, number, size, mount=mount)
    frame = Frame(
        image=_image(view, f"{kind}-{number:06d}"),
        depth=zero_unknown(view.depth),
        max_depth=MAX_DEPTH_M[kind],
        group="world",
        name=f"{kind}-{number:06d}",
        normals=view.normals if normals else None,
    )
    if right:
        other = _render(scene, view, size, number, (_BASELINE_M[kind], 0, 0))
        frame = replace(frame, right=other, baseline_m=_BASELINE_M[kind])
    if following:
        frame = replace(frame, following=_render(scene, view, size, number, (0, 0, _STEP_M[kind])))
    return frame


def _render(
    scene: world.Scene,
    view: world.View,
    size: tuple[int, int],
    number: int,
    step_m: tuple[float, float, float],
) -> Image:
    """The picture from a camera that stands ``step_m`` beside, in its own axes."""
    pose = view.camera.world_from_camera
    if pose is None:
        raise InputError("a rendered view without a pose cannot be moved.")
    moved = pose.copy()
    moved[:3, 3] += pose[:3, :3] @ np.array(step_m)
    rng = np.random.default_rng([number, 13])
    return _image(_world().render(scene, view.camera.moved(moved), size, rng), "")


def _world() -> ModuleType:
    try:
        from leadline import world
    except ImportError as error:
        raise MissingDependencyError("cv2", "rendering the procedural world", "geometry") from error
    return world


def _image(view: world.View, name: str) -> Image:
    return Image(pixels=view.rgb, camera=view.camera, name=name)
