"""Linear light of many pictures at once in torch: the batch behind `render.render_batch`.

What a surface looks like is `shading.shade`, as in numpy. Here are the parts that differ: rays by
`raster`, numbers of pictures spread over their pixels, and in place of OpenCV's filters torch's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, pad

from leadline.camera import Camera
from leadline.errors import DeviceError, InputError
from leadline.world import primitives as prim
from leadline.world.arrays import take
from leadline.world.light import SHADOWS, Setting, occlusion, shadow_view
from leadline.world.materials import TextureBank, Textures
from leadline.world.raster import gather_views, trace_views
from leadline.world.scene import Scene
from leadline.world.shading import (
    directions_of,
    pose_of,
    shade,
    sky_place,
    soften_edges,
    supersample,
)
from leadline.world.surfaces import Planes

T = TypeVar("T")
Truth = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Depth, normals (camera frame) and labels of a picture."""


@dataclass(frozen=True, kw_only=True)
class _Bank:
    """A texture bank on a device.

    Attributes:
        device: where.
        most: pixels, and rays, at a time: one or two gigabytes on a GPU, for renderers share it;
            on a CPU, what its caches like.
        textures: of surfaces.
        masks: flat, and their side.
        skies: (skies, h, w, 3) uint8.
    """

    device: torch.device
    most: int
    textures: Textures
    masks: tuple[torch.Tensor, int]
    skies: torch.Tensor


_banks: WeakKeyDictionary[TextureBank, dict[str, _Bank]] = WeakKeyDictionary()


def _bank_on(bank: TextureBank, name: str) -> _Bank:
    """The bank on the device of that name; moved once."""
    found = _banks.setdefault(bank, {})
    if name not in found:
        try:
            device = torch.device(name)
            torch.zeros(1, dtype=torch.float64, device=device)  # shapes are in double precision
        except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise DeviceError(
                f"device={name!r}: {reason} Choose a device that PyTorch offers here, or none "
                "to render with numpy."
            ) from error
        own, masks = bank.textures, bank.masks
        found[name] = _Bank(
            device=device,
            most=1 << (18 if device.type == "cpu" else 21),
            textures=Textures(
                texels=torch.from_numpy(own.texels.view(np.int32)).to(device),
                starts=torch.from_numpy(own.starts).to(device),
                means=torch.from_numpy(own.means).to(device),
            ),
            masks=(torch.from_numpy(masks.ravel()).to(device), masks.shape[1]),
            skies=torch.from_numpy(bank.skies).to(device),
        )
    return found[name]


@torch.inference_mode()
def linear_views(
    scenes: Sequence[Scene], cameras: Sequence[Camera], factors: Sequence[int], device: str
) -> Iterator[tuple[int, np.ndarray, Truth]]:
    """Linear colour (h, w, 3) and truth of all pictures, with their places, as they get ready.

    Args:
        scenes: one for each picture.
        cameras: the same.
        factors: samples per pixel side (1 or 2) of each.
        device: of torch, by name.
    """
    if not scenes:
        return
    if any(scene.bank is not scenes[0].bank for scene in scenes):
        raise InputError("scenes of several texture banks: render those of one bank at a time.")
    bank = _bank_on(scenes[0].bank, device)
    distinct = list({id(scene): scene for scene in scenes}.values())
    maps = _shadow_maps(distinct, bank)
    map_of = {id(scene): n for n, scene in enumerate(distinct)}
    alike: dict[tuple[int, int, int], list[int]] = {}
    for n, (camera, factor) in enumerate(zip(cameras, factors, strict=True)):
        alike.setdefault((factor, camera.height, camera.width), []).append(n)
    for (factor, height, width), places in alike.items():
        for part in _parts(places, bank.most // (height * width * factor**2)):
            own = [map_of[id(scenes[n])] for n in part]
            pictures = _Pictures([scenes[n] for n in part], [cameras[n] for n in part], factor)
            found = [array.cpu().numpy() for array in pictures.radiance(bank, maps, own)]
            for n, linear, depth, normals, labels in zip(part, *found, strict=True):
                yield n, linear, (depth, normals, labels)


def _parts(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    most = max(1, most)
    for first in range(0, len(items), most):
        yield items[first : first + most]


def _shadow_maps(scenes: Sequence[Scene], bank: _Bank) -> torch.Tensor:
    """Depth from the lights, flat, one map after the other; all far where nothing casts."""
    maps = []
    for part in _parts(scenes, bank.most // SHADOWS**2):
        seen = gather_views(part, [shadow_view(scene) for scene in part], bank.masks, bank.device)
        depth, _ = trace_views(seen, (SHADOWS, SHADOWS), bank.most)
        for n, scene in enumerate(part):
            if not scene.lighting.shadows:
                depth[n] = prim.FAR
        maps.append(depth.ravel())
    return torch.cat(maps)


class _Pictures:
    """Pictures of one size; see `linear_views`."""

    def __init__(self, scenes: Sequence[Scene], cameras: Sequence[Camera], factor: int) -> None:
        self.scenes, self.factor = scenes, factor
        self.poses = [pose_of(camera) for camera in cameras]
        self.focals = [supersample(camera, factor)[0] for camera in cameras]
        self.size = supersample(cameras[0], factor)[1]
        self.settings = [
            Setting.of(scene, pose, float(np.float32(focal[0])))
            for scene, pose, focal in zip(scenes, self.poses, self.focals, strict=True)
        ]

    def radiance(
        self, bank: _Bank, maps: torch.Tensor, map_of: Sequence[int]
    ) -> tuple[torch.Tensor, ...]:
        """Linear colour, depth, normals in camera frames, and labels.

        Args:
            bank: on the device.
            maps: shadow maps.
            map_of: which is that of each picture.
        """
        views = [
            {"world_from_camera": pose, "focal": focal, "size": self.size, "smallest": 1.5}
            for pose, focal in zip(self.poses, self.focals, strict=True)
        ]
        seen = gather_views(self.scenes, views, bank.masks, bank.device)
        depth, ids = trace_views(seen, self.size, bank.most)
        color = depth.new_empty(depth.numel(), 3)
        normals = torch.zeros_like(color)
        sky = torch.where(ids.ravel() < 0)[0]
        color[sky] = self._sky(bank, seen.focal, sky)
        hit = torch.where(ids.ravel() >= 0)[0]
        if len(hit):
            view, rays = self._rays(seen.focal, hit)
            setting = spread(self.settings, view)
            hits = take(ids.ravel(), hit), take(depth.ravel(), hit), rays
            occluded = take(occlusion(torch, depth, _blur).ravel(), hit)
            start = torch.tensor(map_of, device=bank.device)[view] * SHADOWS**2
            planes, n = shade(
                torch, setting, (seen.table, bank.textures), hits, occluded, (maps, start)
            )
            color[hit] = torch.stack(planes, 1)
            r = setting.turn
            normals[hit] = torch.stack(
                [r[a] * n[0] + r[3 + a] * n[1] + r[6 + a] * n[2] for a in range(3)], 1
            )
        labels = torch.cat([seen.labels, seen.labels.new_full((1,), -1)])[ids]  # -1: the last
        shape = (*depth.shape, 3)
        return self._filter(
            color.reshape(shape).clip(0, 6.0), depth, normals.reshape(shape), labels, ids
        )

    def _filter(
        self,
        image: torch.Tensor,
        depth: torch.Tensor,
        normals: torch.Tensor,
        labels: torch.Tensor,
        ids: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        blurred = _soft(image)
        if self.factor == 1:
            return soften_edges(image, blurred, ids), depth, normals, labels
        return tuple(k[:, ::2, ::2].contiguous() for k in (blurred, depth, normals, labels))

    def _rays(self, focal: torch.Tensor, pixel: torch.Tensor) -> tuple[torch.Tensor, Planes]:
        """Picture and camera ray (x, y; z = 1) of flat pixels."""
        height, width = self.size
        view, place = pixel // (height * width), pixel % (height * width)
        fx, fy, cx, cy = (take(focal[:, k], view) for k in range(4))
        return view, [(place % width - cx) / fx, (place // width - cy) / fy]

    def _sky(self, bank: _Bank, focal: torch.Tensor, pixel: torch.Tensor) -> torch.Tensor:
        """Linear sky colours (n, 3). OpenCV's lookup rounds to bytes, this one does not."""
        view, rays = self._rays(focal, pixel)
        setting = spread(self.settings, view, ("turn", "heaven"))
        yaw, gain = setting.heaven
        col, row = sky_place(torch, directions_of(setting, rays), yaw)
        count, height, width, _ = bank.skies.shape
        sky = torch.tensor([s.lighting.sky for s in self.scenes], device=bank.device)[view]
        texels = bank.skies.reshape(count * height * width, 3)
        left, top = col.floor(), row.floor()
        x0, y0 = left.long() % width, top.long()
        x1, y1 = (x0 + 1) % width, (y0 + 1).clip(None, height - 1)
        fx, fy = (col - left)[:, None], (row - top)[:, None]
        upper, lower = (
            take(texels, (sky * height + y) * width + x0) * (1 - fx)
            + take(texels, (sky * height + y) * width + x1) * fx
            for y in (y0, y1)
        )
        found = (upper * (1 - fy) + lower * fy) / 255
        return found * found * gain[:, None]


def spread(settings: Sequence[Setting], view: torch.Tensor, names: Collection[str] = ()) -> Setting:
    """The settings of several pictures as flat arrays over pixels.

    What a picture lacks is zero: lamps and suns without colour, air without haze.

    Args:
        settings: of the pictures.
        view: picture of each pixel.
        names: of the attributes that are needed; empty: all.
    """
    made: dict[str, list[torch.Tensor]] = {}
    indoors = [bool(setting.room) for setting in settings]
    for name in (f.name for f in fields(Setting)):
        rows = [getattr(setting, name) for setting in settings]
        if name == "outdoors" and any(indoors) and not all(indoors):
            rows = [[not inside] for inside in indoors]
        longest = max(len(row) for row in rows) if not names or name in names else 0
        table = np.zeros((len(rows), longest), np.float32)
        for row, numbers in zip(table, rows, strict=True):
            row[: len(numbers[:longest])] = numbers[:longest]
        planes = [take(column, view) for column in torch.from_numpy(table).to(view.device).T]
        made[name] = [k > 0 for k in planes] if name in ("by_lamp", "outdoors") else planes
    return Setting(**made)


def _blur(inverse: torch.Tensor, side: int) -> torch.Tensor:
    """Means over squares of pictures (v, h, w), mirrored at the border."""
    wide = pad(inverse[:, None], (side // 2,) * 4, mode="reflect")
    return avg_pool2d(avg_pool2d(wide, (side, 1), 1), (1, side), 1)[:, 0]


def _soft(image: torch.Tensor) -> torch.Tensor:
    """Pictures (v, h, w, 3) filtered by 1 2 1 both ways, mirrored at the border."""
    for dim in (1, 2):
        last = image.shape[dim] - 1
        before = torch.cat([image.narrow(dim, 1, 1), image.narrow(dim, 0, last)], dim)
        after = torch.cat([image.narrow(dim, 1, last), image.narrow(dim, last - 1, 1)], dim)
        image = 0.25 * before + 0.5 * image + 0.25 * after
    return image
