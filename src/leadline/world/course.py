"""Roads that bend, climb and cross: a straight scene along +y, laid along a curved course.

Scenes are composed on a straight, level road, which keeps every builder simple; `lay` then moves
each primitive to where the course goes, after long ones have been cut into pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from leadline.world import primitives as prim
from leadline.world.scene import Primitive, rotation_from, rotation_z

LAND = 200.0
"""Half-width in metres from which on a rectangle is the plain that the road crosses."""


@dataclass(frozen=True, kw_only=True)
class Course:
    """Centre line of a road: straight, then an arc, then straight again; a wave up and down.

    Attributes:
        curvature: 1/m of the arc, positive turns left (to -x).
        start, stop: arc lengths in metres between which the road turns.
        slope: steepest climb, as a share.
        wave: metres from crest to crest.
        phase: radians of the wave at y = 0.
    """

    curvature: float = 0.0
    start: float = 20.0
    stop: float = 90.0
    slope: float = 0.0
    wave: float = 200.0
    phase: float = 0.0

    def place(self, x: float, y: float) -> tuple[np.ndarray, np.ndarray]:
        """Point and 3x3 turn at ``y`` metres along the road and ``x`` metres to its right."""
        turned = min(max(y - self.start, 0.0), self.stop - self.start)
        heading = self.curvature * turned
        centre = np.array([0.0, min(y, self.start), 0.0])
        if abs(heading) > 1e-9:
            radius = 1 / self.curvature
            centre += [radius * (np.cos(heading) - 1), radius * np.sin(heading), 0.0]
        elif turned > 0:
            centre[1] += turned
        along = np.array([-np.sin(heading), np.cos(heading), 0.0])
        centre += max(y - self.stop, 0.0) * along
        centre += x * np.array([np.cos(heading), np.sin(heading), 0.0])
        centre[2] = self.height(y)
        climb = self.slope * np.cos(2 * np.pi * y / self.wave + self.phase)
        return centre, rotation_z(heading) @ rotation_from((1, 0, 0), np.arctan(climb))

    def height(self, y: float) -> float:
        """Height in metres at ``y``; 0 at the origin."""
        rise = self.slope * self.wave / (2 * np.pi)
        return float(rise * (np.sin(2 * np.pi * y / self.wave + self.phase) - np.sin(self.phase)))

    @property
    def lowest(self) -> float:
        """A height that the road never falls below."""
        return -abs(self.slope) * self.wave / np.pi


LONG = 30.0
"""Metres along the road from which on an object is taken for a part of the road's side."""


def lay(rows: list[Primitive], course: Course) -> list[Primitive]:
    """Move a straight scene's primitives along the course; plains only sink below it."""
    out = []
    for whole in rows:
        if whole.scale[0] > LAND and whole.kind == prim.QUAD:
            out.append(replace(whole, centre=whole.centre + (0, 0, course.lowest)))
            continue
        for part in cut(whole):
            at, turn = course.place(float(part.centre[0]), float(part.centre[1]))
            at[2] += part.centre[2]
            out.append(replace(part, centre=at, rotation=turn @ part.rotation))
    return out


def cut(row: Primitive, longest: float = 9.0) -> list[Primitive]:
    """Cut what is long along y into pieces; shapes that cannot be cut come back whole."""
    size = np.asarray(row.scale, float)
    axes = (0, 1) if row.kind == prim.QUAD else (0, 1, 2)
    along = [abs(float(row.rotation[1, a])) > 0.99 and size[a] * 2 > longest for a in axes]
    straight_tube = row.kind == prim.CONE and row.params[1] == 0 and any(along)
    if not any(along) or not (row.kind in (prim.QUAD, prim.BOX) or straight_tube) or row.holes:
        return [row]
    axis = along.index(True)
    count = int(np.ceil(2 * size[axis] / longest))
    direction = row.rotation[:, axis]
    size[axis] /= count
    index, *repeats = row.alpha
    if row.kind == prim.QUAD:
        repeats[axis] = max(1, round(repeats[axis] / count))
    return [
        replace(
            row,
            centre=row.centre + direction * (size[axis] * (2 * k + 1 - count)),
            scale=tuple(size),
            alpha=(index, *repeats),
        )
        for k in range(count)
    ]


def clear(
    rows: list[Primitive], y: float, width: float, keep: Callable[[Primitive], bool]
) -> list[Primitive]:
    """Make way for a crossing road: drop whatever stands in the band around ``y``.

    Objects go whole; what runs along the road (kerbs, fences) only loses the pieces in the band.

    Args:
        rows: the scene.
        y: middle of the crossing road.
        width: its full width in metres, with what must stay free beside it.
        keep: primitives that stay whatever they touch (the road itself, the plain).
    """
    others = [row for row in rows if not keep(row)]
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    for row in others:
        first[row.label] = min(first.get(row.label, np.inf), row.centre[1] - row.reach_y)
        last[row.label] = max(last.get(row.label, -np.inf), row.centre[1] + row.reach_y)
    low, high = y - width / 2, y + width / 2
    out = [row for row in rows if keep(row)]
    for row in others:
        if last[row.label] - first[row.label] < LONG:
            if last[row.label] < low or first[row.label] > high:
                out.append(row)
        else:
            out += [part for part in cut(row, longest=3.0) if not low < part.centre[1] < high]
    return out
