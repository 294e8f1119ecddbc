"""The ray caster of `trace`, for many views at once in torch.

Screen rectangles are cut into tiles of 8x8 pixels. All tiles of one shape are intersected at once
by the functions of `primitives`, with the numbers of their primitives as (tiles, 1) tensors. The
nearest hit of a pixel is one minimum over keys: the bits of the depth (positive floats sort as
integers do) above the row of the primitive. Rows are nearest first, so that ties go as in `trace`,
in any order of work. Rectangles and frames come from numpy: the same numbers there and here, for a
small part of the time that a picture takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from leadline.world import primitives as prim
from leadline.world import trace
from leadline.world.scene import Scene
from leadline.world.surfaces import Table

TILE = 8
_MISS = int(np.float32(prim.FAR).view(np.int32)) << 32
_MASKED, _HOLED = 1, 2


@dataclass(frozen=True, kw_only=True)
class SceneViews:
    """What several cameras see: a row is one primitive in one view, nearest first in each view.

    Attributes:
        table: for shading, on the device.
        masks: alpha masks, flat, on the device, and their side.
        view: of each row (n,).
        rects: x0, y0, x1, y1 in pixels (n, 4).
        holes: up to k rectangles of each row (n, k, 4); nothing is within an empty one.
        focal: fx, fy, cx, cy of each view (v, 4).
        groups: shape, variant, exact parameter and rows of what is intersected together.
        tiles: of each row, in numpy.
        labels: object of each row.
    """

    table: Table
    masks: tuple[torch.Tensor, int]
    view: torch.Tensor
    rects: torch.Tensor
    holes: torch.Tensor
    focal: torch.Tensor
    groups: list[tuple[int, int, int, np.ndarray]]
    tiles: np.ndarray
    labels: torch.Tensor


def gather_views(
    scenes: Sequence[Scene],
    views: Sequence[dict[str, Any]],
    masks: tuple[torch.Tensor, int],
    device: torch.device,
) -> SceneViews:
    """Gather what the cameras see.

    Args:
        scenes: one for each view.
        views: `trace.trace`'s other arguments by name.
        masks: of the bank, on the device.
        device: where to.
    """
    parts: dict[str, list[np.ndarray]] = {}
    for n, (scene, view) in enumerate(zip(scenes, views, strict=True)):
        order, rects, _ = trace.in_sight(scene, **view)
        table = Table.of(scene, trace.camera_frames(scene, view["world_from_camera"]))
        own = {f.name: getattr(table, f.name) for f in fields(Table)}
        # float32 holds the place within a tile only: its whole number changes nothing.
        own["offset"] = (own["offset"] % 1.0).astype(np.float32)
        own |= {"rects": rects, "labels": scene.labels}
        for name, values in own.items():
            parts.setdefault(name, []).append(values[order])
        parts.setdefault("view", []).append(np.full(len(order), n))
        parts.setdefault("holes", []).append(_holes(scene, order))
    deepest = max(part.shape[1] for part in parts["holes"])
    parts["holes"] = [
        np.concatenate([p, np.ones((len(p), deepest - p.shape[1], 4), np.float32)], axis=1)
        for p in parts["holes"]
    ]
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    extent = joined["rects"][:, 2:] - joined["rects"][:, :2]
    moved = {name: torch.from_numpy(values).to(device) for name, values in joined.items()}
    return SceneViews(
        table=Table(**{f.name: moved[f.name] for f in fields(Table)}),
        masks=masks,
        focal=torch.tensor([view["focal"] for view in views], dtype=torch.float32, device=device),
        groups=_groups(joined),
        tiles=np.prod(-(-extent // TILE), axis=1),
        **{name: moved[name] for name in ("view", "rects", "holes", "labels")},
    )


def _holes(scene: Scene, order: np.ndarray) -> np.ndarray:
    """Rectangles (n, k, 4) left out of each primitive; (1, 1, 1, 1) is empty."""
    deepest = max((len(found) for found in scene.holes.values()), default=0)
    out = np.ones((len(scene.kinds), deepest, 4), np.float32)
    for i, found in scene.holes.items():
        out[i, : len(found)] = found
    return out[order]


def _groups(rows: dict[str, np.ndarray]) -> list[tuple[int, int, int, np.ndarray]]:
    """Rows that are intersected together; iterated shapes last, when much is hidden already."""
    kinds = rows["kinds"].astype(np.int64)
    variant = (rows["alpha"][:, 0] >= 0) * _MASKED
    variant += (rows["holes"] < 1).any(axis=(1, 2)) * _HOLED
    exact = np.zeros_like(kinds)
    exact[kinds == prim.CONE] = rows["shapes"][kinds == prim.CONE, 2]  # closed
    exact[kinds == prim.CUSHION] = rows["shapes"][kinds == prim.CUSHION, 0]  # doublings
    late = np.isin(kinds, (prim.BLOB, prim.CUSHION))
    code = ((late * 16 + kinds) * 4 + variant) * 16 + exact
    return [
        (int(c) // 64 % 16, int(c) // 16 % 4, int(c) % 16, np.nonzero(code == c)[0])
        for c in np.unique(code)
    ]


@dataclass(frozen=True, kw_only=True)
class _Rays:
    """Rays to the pixels of tiles (p, 64), or flat; rows of their primitives and place of pixels.

    ``own`` is (p,) beside rays (p, 64), and (n,) beside flat ones.
    """

    seen: SceneViews
    own: torch.Tensor
    pixel: torch.Tensor
    d: prim.Rays
    first: torch.Tensor
    """False for pixels that a tile holds twice, at the rims of rectangles."""

    def of(self, table: torch.Tensor) -> torch.Tensor:
        """Numbers (n,) of the rows, to broadcast with the rays."""
        found = table.index_select(0, self.own)
        return found if self.pixel.ndim == 1 else found[:, None]

    @property
    def o(self) -> prim.Vector:
        """The camera's centre in local frames."""
        origins = self.seen.table.origins
        return self.of(origins[:, 0]), self.of(origins[:, 1]), self.of(origins[:, 2])

    def shape(self, k: int) -> torch.Tensor:
        """Column k of the shapes' numbers."""
        return self.of(self.seen.table.numbers[:, k])

    def solid(self, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Alpha masks at local coordinates."""
        (masks, side), alpha = self.seen.masks, self.seen.table.alpha
        texel = trace.mask_texel(side, u, v, self.of(alpha[:, 1]), self.of(alpha[:, 2]))
        return masks[self.of(alpha[:, 0]).long() * (side * side) + texel]

    def subset(self, where: torch.Tensor) -> _Rays:
        """The rays (p, 64) under a mask, flat; or flat ones under a flat mask."""
        at = torch.where(where)
        x, y, z = (k[at] for k in self.d)
        own = self.own[at[0]]
        pixel, first = self.pixel[at], self.first[at]
        return _Rays(seen=self.seen, own=own, pixel=pixel, d=(x, y, z), first=first)


def _cast(seen: SceneViews, part: np.ndarray, size: tuple[int, int]) -> _Rays:
    """Rays through all pixels of the rectangles of some rows."""
    rows, total = torch.from_numpy(part).to(seen.view.device), int(seen.tiles[part].sum())
    x0, y0, x1, y1 = seen.rects.index_select(0, rows).unbind(1)
    across = (x1 - x0 + TILE - 1) // TILE
    count = across * ((y1 - y0 + TILE - 1) // TILE)
    place = torch.arange(len(rows), device=rows.device)
    place = place.repeat_interleave(count, output_size=total)
    k = torch.arange(len(place), device=rows.device) - (count.cumsum(0) - count)[place]
    lane = torch.arange(TILE * TILE, device=rows.device)
    across = across[place]
    # Beyond the rim, the last pixel once more: it changes nothing, and needs no mask.
    wide = (x0[place] + k % across * TILE)[:, None] + lane % TILE
    high = (y0[place] + k // across * TILE)[:, None] + lane // TILE
    px, py = wide.minimum(x1[place, None] - 1), high.minimum(y1[place, None] - 1)
    own = rows[place]
    view = seen.view[own]
    fx, fy, cx, cy = (column[:, None] for column in seen.focal[view].unbind(1))
    rx, ry = (px - cx) / fx, (py - cy) / fy
    m = seen.table.matrices.reshape(-1, 9)[own][:, :, None].unbind(1)
    x, y, z = (rx * m[a] + (ry * m[a + 1] + (m[a + 2] + 1e-9)) for a in (0, 3, 6))
    pixel = (view[:, None] * size[0] + py) * size[1] + px
    first = (wide == px) & (high == py)
    return _Rays(seen=seen, own=own, pixel=pixel, d=(x, y, z), first=first)


def _hit(rays: _Rays, kind: int, variant: int, exact: int) -> torch.Tensor:
    """Depth of the shapes that are found in one step."""
    o, d = rays.o, rays.d
    if kind == prim.QUAD:
        solid = rays.solid if variant & _MASKED else None
        holes = rays.seen.holes if variant & _HOLED else rays.seen.holes[:, :0]
        cuts = [
            tuple(rays.of(holes[:, k, side]) for side in range(4)) for k in range(holes.shape[1])
        ]
        return prim.hit_cut_quad(torch, o, d, solid, cuts)
    if kind == prim.BOX:
        return prim.hit_box(torch, o, d)
    if kind == prim.ELLIPSOID:
        if variant & _MASKED:
            return prim.hit_leafy(torch, o, d, rays.solid)
        return prim.hit_ellipsoid(torch, o, d)
    slope = rays.shape(0), rays.shape(1)
    if kind == prim.CONE:
        return prim.hit_cone(torch, o, d, slope, bool(exact))
    return prim.hit_capsule(torch, o, d, rays.shape(2), slope)


def _refine(
    rays: _Rays, kind: int, doublings: int, nearest: torch.Tensor
) -> Iterator[tuple[_Rays, torch.Tensor]]:
    """Iterated shapes: bound first, then only the rays that may come out in front.

    `trace` counts these rays with the nearer iterated shapes in place, this without: a shape with
    about ``MANY`` pixels in sight may take another step here than there.
    """
    bound = prim.hit_ellipsoid if kind == prim.BLOB else prim.hit_box
    hopeful = bound(torch, rays.o, rays.d) < _depth(nearest[rays.pixel])
    rays = rays.subset(hopeful & rays.first)
    count = torch.bincount(rays.own, minlength=len(rays.seen.view))
    many = rays.of(count) > trace.MANY
    for large in (False, True):
        part = rays.subset(many == large)
        steps = trace.refinement(kind, large)
        if not len(part.own):
            continue
        if kind == prim.BLOB:
            waves = [tuple(part.shape(5 * w + k).float() for k in range(5)) for w in range(3)]
            yield part, prim.hit_blob(torch, part.o, part.d, waves, steps)
        else:
            yield part, prim.hit_cushion(torch, part.o, part.d, doublings, steps)


def _depth(keys: torch.Tensor) -> torch.Tensor:
    return (keys >> 32).int().view(torch.float32)


def _chunks(rows: np.ndarray, tiles: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Rows in pieces of about ``most`` rays; a row is never cut, for its rays are counted."""
    piece = (np.cumsum(tiles[rows]) - 1) * TILE * TILE // most
    yield from np.split(rows, np.nonzero(np.diff(piece))[0] + 1)


def trace_views(
    seen: SceneViews, size: tuple[int, int], most: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Nearest depth (v, h, w, float32; FAR = nothing) and table row (v, h, w, int64; -1 = none).

    Args:
        seen: what the cameras see.
        size: (height, width) of every view.
        most: rays at a time, which bounds the memory: about 200 bytes each.
    """
    shape = (len(seen.focal), *size)
    nearest = torch.full(shape, _MISS, dtype=torch.int64, device=seen.view.device).ravel()

    def put(rays: _Rays, t: torch.Tensor) -> None:
        key = t.contiguous().view(torch.int32).long() << 32
        key |= rays.of(torch.arange(len(seen.view), device=t.device))
        nearest.scatter_reduce_(0, rays.pixel.ravel(), key.ravel(), "amin")

    for kind, variant, exact, rows in seen.groups:
        for part in _chunks(rows, seen.tiles, most):
            rays = _cast(seen, part, size)
            if kind in (prim.BLOB, prim.CUSHION):
                for some, t in _refine(rays, kind, exact, nearest):
                    put(some, t)
            else:
                put(rays, _hit(rays, kind, variant, exact))
    ids = torch.where(nearest < _MISS, nearest & 0xFFFFFFFF, -1)
    return _depth(nearest).reshape(shape), ids.reshape(shape)
