"""Training pictures of the statistical model: what was seen, and what is true of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.io import read_depth_png, read_image
from leadline.jobs import atomic_write
from leadline.resample import resize
from leadline.superpixel.features import Features, describe
from leadline.superpixel.model import FAR
from leadline.superpixel.segmentation import Segments, segment

if TYPE_CHECKING:
    from jaxtyping import Float

_JUMP = 0.06  # of log depth between two pixels, above which a surface does not go on


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One training picture.

    Attributes:
        features, segments: of the picture.
        depth: of each cell, metres; NaN unknown, inf sky.
        ground: share of each cell, NaN where nobody says.
        horizon: its y, NaN where nobody says.
        together: of each pair of neighbours, 1 where the surface goes on, NaN unknown.
        weight: of the picture.
    """

    features: Features
    segments: Segments
    depth: Float[np.ndarray, " n"]
    ground: Float[np.ndarray, " n"]
    horizon: float
    together: Float[np.ndarray, " m"]
    weight: float

    def save(self, path: Path) -> None:
        """Write it as ``.npz``."""
        f = self.features
        with atomic_write(path) as file:
            np.savez(
                file,
                texture=f.texture.astype(np.float16),
                shape=f.shape,
                owner=f.owner,
                grid=np.array(f.grid),
                x=f.x,
                y=f.y,
                labels=self.segments.labels,
                depth=self.depth,
                ground=self.ground,
                horizon=self.horizon,
                together=self.together,
                weight=self.weight,
            )

    @classmethod
    def load(cls, path: Path) -> Example:
        """Read :meth:`save`'s file."""
        with np.load(path, allow_pickle=False) as file:
            z = {name: file[name] for name in file.files}
        rows, columns = (int(side) for side in z["grid"])
        names = ("shape", "owner", "x", "y")
        features = Features(
            grid=(rows, columns),
            texture=z["texture"].astype(np.float32),
            **{name: z[name] for name in names},
        )
        return cls(
            features=features,
            segments=Segments(labels=z["labels"]),
            depth=z["depth"],
            ground=z["ground"],
            horizon=float(z["horizon"]),
            together=z["together"],
            weight=float(z["weight"]),
        )


def make_example(
    rgb: np.ndarray,
    depth: Float[np.ndarray, "h w"],
    *,
    ground: np.ndarray | None = None,
    horizon: float = float("nan"),
    weight: float = 1.0,
) -> Example:
    """An example of a picture of the training height.

    Args:
        rgb: (h, w, 3) uint8.
        depth: metres; NaN unknown, inf sky.
        ground: (h, w) bool.
        horizon: y, -1 .. 1 from the top.
        weight: of the picture.
    """
    segments = segment(rgb)
    features = describe(rgb.astype(np.float32) / 255, segments)
    samples = _cell_samples(depth, features.grid)
    unknown = np.isnan(samples).all(axis=1)
    cells = np.full(len(samples), np.nan)
    cells[~unknown] = np.nanmedian(samples[~unknown], axis=1)
    shares = np.full(len(cells), np.nan)
    if ground is not None:
        shares = _cell_samples(ground.astype(np.float64), features.grid).mean(axis=1)
    return Example(
        features=features,
        segments=segments,
        depth=cells,
        ground=shares,
        horizon=horizon,
        together=_find_continuations(segments, depth),
        weight=weight,
    )


def log_depth_target(depth: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Logarithm of depth after the picture's own scale and shift; see
    :mod:`leadline.superpixel.model`.
    """
    inverse = np.where(np.isinf(depth), 0, 1 / depth)
    known = inverse[np.isfinite(inverse)]
    if len(known) < 20:
        return np.full(len(depth), np.nan)
    low, high = np.percentile(known, (5, 95))
    high = max(high, 1.05 * low + 1e-6)
    least = 1 / FAR
    scaled = least + (1 - least) * (inverse - low) / (high - low)
    return -np.log(np.clip(scaled, least / 2, 2))


def from_view(view: Any) -> Example:
    """Example of a rendered view: its ground is level and at height 0, its horizon the camera's."""
    camera, (height, width) = view.camera, view.depth.shape
    pose = camera.world_from_camera
    up = pose[2, :3]
    v, u = np.mgrid[:height, :width]
    away = np.where(np.isfinite(view.depth), view.depth, 0)
    ray = up[0] * (u - camera.cx) / camera.fx + up[1] * (v - camera.cy) / camera.fy + up[2]
    level = view.normals @ up > 0.9
    ground = level & (np.abs(pose[2, 3] + away * ray) < 0.25) & np.isfinite(view.depth)
    row = camera.cy - camera.fy * up[2] / up[1]
    return make_example(view.rgb, view.depth, ground=ground, horizon=2 * (row + 0.5) / height - 1)


def from_icl(root: Path, picture: Path, *, height: int, weight: float) -> Example:
    """Example of a frame ``color/N``, ``depth/N.png`` (mm), at the training height."""
    pixels = read_image(picture).pixels
    size = height, round(pixels.shape[1] * height / pixels.shape[0])
    rgb = np.clip(np.rint(resize(pixels, size, "area_linear")), 0, 255).astype(np.uint8)
    depth = read_depth_png(root / "depth" / f"{picture.stem}.png", per_unit=1000)
    depth = resize(depth, size, "nearest")
    depth = np.where(depth > 0, depth, np.nan)
    return make_example(rgb, depth, weight=weight)


def _cell_samples(values: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """(cells, 9): values at nine places of each cell."""
    (rows, columns), (height, width) = grid, values.shape
    y = ((np.arange(3 * rows) + 0.5) * height / (3 * rows)).astype(np.int64)
    x = ((np.arange(3 * columns) + 0.5) * width / (3 * columns)).astype(np.int64)
    picked = values[np.ix_(y, x)].reshape(rows, 3, columns, 3)
    return picked.transpose(0, 2, 1, 3).reshape(rows * columns, 9)


def _find_continuations(segments: Segments, depth: np.ndarray) -> np.ndarray:
    """For each pair of neighbours 1 where most of their border has no jump, NaN where unknown."""
    labels, count = segments.labels.astype(np.int64), segments.count
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(np.where(np.isinf(depth), 1e4, depth))
    codes, smooth = [], []
    for a, b, p, q in (
        (labels[:, :-1], labels[:, 1:], logs[:, :-1], logs[:, 1:]),
        (labels[:-1], labels[1:], logs[:-1], logs[1:]),
    ):
        border = a != b
        codes.append((np.minimum(a, b) * count + np.maximum(a, b))[border])
        jump = np.abs(p - q)[border]
        smooth.append(np.where(np.isnan(jump), np.nan, jump < _JUMP))
    _, pair = np.unique(np.concatenate(codes), return_inverse=True)
    flags = np.concatenate(smooth)
    known = np.isfinite(flags)
    total = np.bincount(pair[known], minlength=len(segments.touching[0]))
    share = np.bincount(pair[known], flags[known], len(total)) / np.maximum(total, 1)
    return np.where(total > 0, share > 0.5, np.nan)
