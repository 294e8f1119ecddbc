"""MultiView: several pictures of one scene that were looked at together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leadline.camera import Camera
from leadline.errors import InputError
from leadline.io import PointCloud, output_suffixes, write_colmap, write_poses
from leadline.kinds import DepthKind
from leadline.prediction import Prediction

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from leadline.prepared import Prepared
    from leadline.spec import PreprocessSpec

COLMAP_POINTS = 100_000  # in points3D.txt, which radiance fields start from


@dataclass(frozen=True, kw_only=True, eq=False)
class MultiView:
    """One Prediction per view; iterates, and is indexed, over them.

    Attributes:
        predictions: in the order of the pictures; their cameras hold the poses.
        shared_scale: whether all maps and poses have the same unknown scale (or are metres), so
            that their points lie in one world.
    """

    predictions: tuple[Prediction, ...]
    shared_scale: bool = True

    def __len__(self) -> int:
        return len(self.predictions)

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self.predictions)

    def __getitem__(self, index: int) -> Prediction:
        return self.predictions[index]

    @property
    def cameras(self) -> tuple[Camera | None, ...]:
        """The views' cameras, with ``world_from_camera`` where the pose is known."""
        return tuple(prediction.camera for prediction in self.predictions)

    @property
    def names(self) -> tuple[str, ...]:
        """The stems of the pictures' names where these tell the views apart, else numbers."""
        stems = [Path(view.image.name).stem if view.image else "" for view in self]
        if all(stems) and len({stem.casefold() for stem in stems}) == len(stems):
            return tuple(stems)
        return tuple(f"view-{number:03}" for number in range(len(self)))

    def point_cloud(
        self, *, max_depth: float | None = None, edges: str = "cut", sky: str = "cut"
    ) -> PointCloud:
        """The points of all views in the world's frame.

        Args:
            max_depth: points farther from their camera than this are left out.
            edges: as of :class:`leadline.cloud.CloudOptions`.
            sky: likewise.

        Raises:
            InputError: views without a shared scale, or one without camera or pose.
        """
        if not self.shared_scale:
            raise InputError(
                f"{len(self)} views whose scales are unknown one by one have no common cloud; "
                "align them first, prediction.aligned_to(depth_m), or use a model of several views."
            )
        clouds = [
            prediction.point_cloud(max_depth=max_depth, edges=edges, sky=sky) for prediction in self
        ]
        points = []
        for number, (camera, cloud) in enumerate(zip(self.cameras, clouds, strict=True)):
            if camera is None or camera.world_from_camera is None:
                raise InputError(f"view {number} has no pose; give its camera world_from_camera.")
            pose = camera.world_from_camera
            points.append(cloud.points @ pose[:3, :3].T + pose[:3, 3])
        colors = [cloud.colors for cloud in clouds if cloud.colors is not None]
        return PointCloud(
            points=np.concatenate(points).astype(np.float32),
            colors=np.concatenate(colors) if len(colors) == len(clouds) else None,
            unit=clouds[0].unit,
        )

    def save(
        self,
        folder: str | os.PathLike[str],
        formats: Sequence[str] = ("npz",),
        *,
        names: Sequence[str] | None = None,
        cmap: str = "inferno",
        max_points: int = 1_000_000,
    ) -> list[Path]:
        """Write every view's map, and what the views have in common.

        The common files are there where every view has a pose: ``poses.json`` and ``poses.txt``
        (see :func:`leadline.io.write_poses`); and, of one scale, ``points.ply`` in the world's
        frame and a text model of COLMAP in ``sparse/0`` with at most 100,000 of these points.

        Args:
            folder: where to; made when missing.
            formats: of the maps, names of :data:`~leadline.prediction.FORMATS`.
            names: of the views, without suffix; default: :attr:`names`.
            cmap: colour map of ``color`` and ``side``.
            max_points: of ``points.ply``; of more, so many are drawn evenly (the same each time).

        Returns:
            The files: every view's in the order of ``formats``, then the common ones.

        Raises:
            InputError: names that collide, or a format that the maps do not allow.
            UnknownNameError: no such format.
        """
        folder, stems = Path(folder), list(self.names if names is None else names)
        if len({stem.casefold() for stem in stems}) != len(self) or len(stems) != len(self):
            raise InputError(f"names {stems} for {len(self)} views: one each, all different.")
        suffixes, files = output_suffixes(formats), []
        common = [folder / name for name in ("poses.json", "poses.txt", "points.ply")]
        for stem, prediction in zip(stems, self, strict=True):
            for format_, suffix in suffixes.items():
                file = folder / f"{stem}{suffix}"
                if file in common:
                    raise InputError(f"a view named {stem} would take {file}; name it otherwise.")
                prediction.save(file, format=format_, cmap=cmap)
                files.append(file)
        if all(camera and camera.world_from_camera is not None for camera in self.cameras):
            files += self._save_common(common, stems, max_points)
        return files

    def _save_common(self, files: Sequence[Path], stems: Sequence[str], most: int) -> list[Path]:
        labels = self._label(stems)
        cameras = {n: c for n, c in zip(labels, self.cameras, strict=True) if c is not None}
        poses = {name: np.asarray(camera.world_from_camera) for name, camera in cameras.items()}
        metric = all(prediction.kind is DepthKind.METRIC_DEPTH for prediction in self)
        *tables, points = files
        for file in tables:
            write_poses(file, poses, metric=metric)
        if not self.shared_scale:
            return tables
        cloud = self.point_cloud()
        draw_points(cloud, most).save(points)
        sparse = points.parent / "sparse" / "0"
        return [*files, *write_colmap(sparse, cameras, draw_points(cloud, COLMAP_POINTS))]

    def _label(self, stems: Sequence[str]) -> list[str]:
        """The pictures' file names where these tell the views apart, else the views' own."""
        names = [Path(view.image.name).name if view.image else "" for view in self]
        return names if all(names) and len(set(names)) == len(names) else list(stems)


def draw_points(cloud: PointCloud, most: int) -> PointCloud:
    """At most so many points of a cloud, each as likely as another, the same ones each time."""
    if len(cloud.points) <= most:
        return cloud
    chosen = np.sort(np.random.default_rng(0).choice(len(cloud.points), most, replace=False))
    colors = None if cloud.colors is None else cloud.colors[chosen]
    return PointCloud(points=cloud.points[chosen], colors=colors)


def cut_alike(prepared: Sequence[Prepared], spec: PreprocessSpec) -> list[Prepared]:
    """Bring views to one input size: the smallest height and width, cut about the middle.

    Depth Anything 3 does so (:func:`leadline.view_batch.batch_views` with ``mixed``). Of what is
    cut off, the maps know nothing; where the rest lies is known to half a pixel of the picture.

    Args:
        prepared: the views at the network's size.
        spec: what made them.

    Raises:
        InputError: sizes that differ, and a rule that does not cut, or inputs beside the pictures.
    """
    sizes = [one.input_size for one in prepared]
    if len(set(sizes)) == 1:
        return list(prepared)
    if not spec.resize.endswith("_twice") or any(len(one.arrays) > 1 for one in prepared):
        shown = ", ".join(sorted({f"{h}x{w}" for h, w in sizes}))
        raise InputError(
            f"views of different sizes ({shown} for the network, height x width): this one needs "
            "views of one size. Give pictures of one camera, or crop them alike first."
        )
    height, width = min(h for h, _ in sizes), min(w for _, w in sizes)
    return [_cut_middle(one, height, width) for one in prepared]


def _cut_middle(one: Prepared, height: int, width: int) -> Prepared:
    (rows, columns), (top, bottom, left, right) = one.input_size, one.box
    y, x = (rows - height) // 2, (columns - width) // 2
    down, across = (bottom - top) / rows, (right - left) / columns
    return replace(
        one,
        arrays={"image": one.arrays["image"][..., y : y + height, x : x + width]},
        box=(
            *(top + round(y * down), top + round((y + height) * down)),
            *(left + round(x * across), left + round((x + width) * across)),
        ),
    )
