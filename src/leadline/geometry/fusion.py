"""Many maps with poses as one coloured mesh.

A grid of voxels holds the signed distance to the nearest surface, cut off at a few voxels, as the
average over all maps that see it; the mesh is where that is zero. Maps must be depth of one scale.

Source: Curless and Levoy, A Volumetric Method for Building Complex Models from Range Images,
SIGGRAPH 1996; Lorensen and Cline, Marching Cubes, SIGGRAPH 1987 (scikit-image's).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from leadline.cloud import clean
from leadline.errors import InputError, KindError, MissingDependencyError
from leadline.io import Mesh
from leadline.kinds import DepthKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jaxtyping import Bool, Float

    from leadline.camera import Camera
    from leadline.prediction import Prediction

MOST_VOXELS = 24_000_000
"""About 0.6 GB while a volume is filled."""

_CUT_VOXELS = 4.0
"""Distances count up to so many voxels before and behind a surface."""

_SLAB = 1 << 21


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box of voxels in the world's frame.

    Attributes:
        low: its corner with the smallest coordinates, (3,).
        shape: voxels along x, y, z.
        voxel: length of their sides, in the maps' unit.
    """

    low: Float[np.ndarray, " 3"]
    shape: tuple[int, int, int]
    voxel: float

    @classmethod
    def around(
        cls, points: Float[np.ndarray, "n 3"], *, voxel: float | None = None, margin: float = 0.01
    ) -> Box:
        """The box of most of some points.

        Args:
            points: in the world's frame.
            voxel: length of a side; default: 1 / 200 of the box's longest side.
            margin: share of the points that may lie outside at each end of each axis.

        Raises:
            InputError: no points, or more voxels than :data:`MOST_VOXELS`.
        """
        if len(points) == 0:
            raise InputError("no map has a point to fuse; check depths and --max-depth.")
        low, high = np.quantile(points, (margin, 1 - margin), axis=0)
        longest = float((high - low).max())
        size = longest / 200 if voxel is None else voxel
        if not (np.isfinite(size) and size > 0):
            raise InputError(f"voxel={size}: a positive length in the maps' unit is needed.")
        low, high = low - _CUT_VOXELS * size, high + _CUT_VOXELS * size
        shape = np.ceil((high - low) / size).astype(int) + 1
        if shape.prod() > MOST_VOXELS:
            raise InputError(
                f"a box of {' x '.join(f'{side:.3g}' for side in high - low)} in voxels of "
                f"{size:.3g} has {shape.prod() / 1e6:.0f} million of them, and "
                f"{MOST_VOXELS / 1e6:.0f} million are the most; take larger voxels (--voxel) or "
                "less depth (--max-depth)."
            )
        return cls(low=low, shape=(int(shape[0]), int(shape[1]), int(shape[2])), voxel=float(size))


class Volume:
    """Signed distances in voxels of a box.

    Args:
        box: where.
    """

    def __init__(self, box: Box) -> None:
        self.box = box
        count = int(np.prod(box.shape))
        self._distance = np.zeros(count, np.float32)
        self._weight = np.zeros(count, np.float32)
        self._color = np.zeros((count, 3), np.uint8)

    def add(self, prediction: Prediction, *, max_depth: float | None = None) -> None:
        """Average a map into the volume.

        Args:
            prediction: metric or scaled depth with a posed camera.
            max_depth: what is farther does not count.

        Raises:
            KindError: another kind.
            InputError: no camera or no pose.
        """
        camera = check_posed(prediction)
        depth, seen = _surface_of(prediction, max_depth)
        pixels = None if prediction.image is None else prediction.image.pixels
        for start in range(0, len(self._weight), _SLAB):
            part = np.arange(start, min(start + _SLAB, len(self._weight)))
            z, rows, columns, inside = self._project(part, camera)
            part, z, rows, columns = (a[inside] for a in (part, z, rows, columns))
            ahead = (depth[rows, columns] - z) / (_CUT_VOXELS * self.box.voxel)
            counts = seen[rows, columns] & (ahead > -1)
            part, ahead = part[counts], np.minimum(ahead[counts], 1).astype(np.float32)
            weight = self._weight[part]
            share = 1 / (weight + 1)
            self._distance[part] += (ahead - self._distance[part]) * share
            self._weight[part] = weight + 1
            if pixels is not None:
                near = np.abs(ahead) < 1
                part, share = part[near], share[near][:, None]
                new = pixels[rows[counts][near], columns[counts][near]]
                old = self._color[part].astype(np.float32)
                blank = ~self._color[part].any(axis=1, keepdims=True)
                self._color[part] = np.rint(np.where(blank, new, old + (new - old) * share))

    def mesh(self, *, least: int = 1, unit: str = "m") -> Mesh:
        """The surface, in the world's frame.

        Args:
            least: maps that must have seen a voxel.
            unit: of the maps.

        Raises:
            InputError: there is none.
            MissingDependencyError: scikit-image is not installed.
        """
        try:
            from skimage.measure import marching_cubes
        except ImportError:
            raise MissingDependencyError("skimage", "a mesh of many maps", "classic") from None
        distance = self._distance.reshape(self.box.shape)
        seen = (self._weight >= least).reshape(self.box.shape)
        if not ((distance < 0) & seen).any() or not ((distance > 0) & seen).any():
            raise InputError(
                "the maps meet nowhere in the box, so there is no surface; are the poses those of "
                "these pictures (world from camera), and in the maps' unit?"
            )
        try:
            places, faces, inward, _ = marching_cubes(distance, 0.0, mask=_erode(seen))
        except RuntimeError:  # no cube with known corners holds a surface
            raise InputError(
                f"voxels of {self.box.voxel:.3g} are too large for this scene; give smaller ones "
                "(--voxel)."
            ) from None
        nearest = np.rint(places).astype(int)
        at = np.ravel_multi_index(tuple(nearest.T), self.box.shape)
        return Mesh(
            points=(self.box.low + places * self.box.voxel).astype(np.float32),
            faces=faces.astype(np.uint32),
            normals=-inward.astype(np.float32),
            colors=self._color[at] if self._color.any() else None,
            unit=unit,
        )

    def _project(
        self, part: np.ndarray, camera: Camera
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Depth, row and column of voxels in a camera, and which of them it sees."""
        camera_from_world = np.linalg.inv(np.asarray(camera.world_from_camera))
        index = np.stack(np.unravel_index(part, self.box.shape), axis=1)
        world = self.box.low + index * self.box.voxel
        x, y, z = (world @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]).T
        front = z > self.box.voxel
        safe = np.where(front, z, 1.0)
        columns = np.rint(camera.fx * x / safe + camera.cx)
        rows = np.rint(camera.fy * y / safe + camera.cy)
        inside = front & (columns >= 0) & (columns < camera.width)
        inside &= (rows >= 0) & (rows < camera.height)
        rows, columns = (np.where(inside, a, 0).astype(int) for a in (rows, columns))
        return z, rows, columns, inside


def fuse(
    predictions: Iterable[Prediction],
    *,
    voxel: float | None = None,
    max_depth: float | None = None,
    least: int = 1,
) -> Mesh:
    """One coloured mesh of many maps with poses.

    Args:
        predictions: metric or scaled depth of one scale, with posed cameras; gone through twice.
        voxel: length of the finest detail, in the maps' unit; default: 1 / 200 of the scene.
        max_depth: what is farther does not count.
        least: maps that must agree that there is a surface.

    Raises:
        KindError: another kind, or kinds that differ.
        InputError: no map, no pose, too many voxels, or maps that meet nowhere.
        MissingDependencyError: scikit-image is not installed.
    """
    maps = list(predictions)
    if not maps:
        raise InputError("no map to fuse; give one or more with poses.")
    if len({one.kind for one in maps}) > 1:
        kinds = ", ".join(sorted({str(one.kind) for one in maps}))
        raise KindError(f"maps of {kinds} have no scale in common; all need one kind.")
    points = np.concatenate([world_points(one, max_depth=max_depth, step=4) for one in maps])
    volume = Volume(Box.around(points, voxel=voxel))
    for one in maps:
        volume.add(one, max_depth=max_depth)
    return volume.mesh(least=least, unit=maps[0].kind.unit)


def world_points(
    prediction: Prediction, *, max_depth: float | None = None, step: int = 1
) -> Float[np.ndarray, "n 3"]:
    """Points of every ``step``-th pixel and row in the world's frame, edges and sky left out."""
    camera = check_posed(prediction)
    depth, seen = _surface_of(prediction, max_depth)
    v, u = np.nonzero(seen[::step, ::step])
    v, u = v * step, u * step
    z = depth[v, u].astype(np.float64)
    rays = [(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z]
    pose = np.asarray(camera.world_from_camera)
    return np.stack(rays, axis=1) @ pose[:3, :3].T + pose[:3, 3]


def check_posed(prediction: Prediction) -> Camera:
    """The camera of a map that can be fused.

    Raises:
        KindError: no metric or scaled depth.
        InputError: no camera or no pose.
    """
    if prediction.kind not in (DepthKind.METRIC_DEPTH, DepthKind.SCALED_DEPTH):
        raise KindError(
            f"maps of {prediction.kind} cannot be fused: each has its own scale and shift. Take a "
            "metric model (--model lite-metric with --fov)."
        )
    camera = prediction.camera
    if camera is None or camera.world_from_camera is None:
        what = "camera" if camera is None else "pose"
        raise InputError(f"a map without {what} cannot be fused; give --camera or --fov, --poses.")
    return camera


def _surface_of(
    prediction: Prediction, max_depth: float | None
) -> tuple[Float[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """The depth and where it is a surface."""
    cleaned, _ = clean(prediction.surface(max_depth=max_depth), prediction.sky)
    return cleaned.depth, cleaned.known


def _erode(seen: np.ndarray) -> np.ndarray:
    """Voxels of which all neighbours are seen too, so that no cube has an unknown corner."""
    whole = np.pad(seen, 1)
    for axis in range(3):
        before, after = np.roll(whole, 1, axis), np.roll(whole, -1, axis)
        whole = whole & before & after
    return whole[1:-1, 1:-1, 1:-1]
