"""SuperpixelModel: from pixels to segments, cells, regression and planes, one stage after another.

```python
model = SuperpixelModel(Parameters.load(file))
stages = model.explain(rgb)   # everything on the way, for looking at
stages.disparity, stages.confidence
```

What is predicted is the logarithm of depth after each picture's inverse depth has been brought to
[1/4, 1] by a scale and a shift, its 5th and 95th percentile: what one picture cannot tell is left
out. So the map is affine disparity.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from leadline.errors import InputError, WeightsError
from leadline.jobs import atomic_write
from leadline.superpixel.features import FILTER_NAMES, Features, describe
from leadline.superpixel.inference import Evidence, PlaneConfig, Solution, solve_planes
from leadline.superpixel.prior import HeightPrior
from leadline.superpixel.regression import BANDS, Scaling, predict_banded, sigmoid
from leadline.superpixel.segmentation import SegmentConfig, Segments, segment

if TYPE_CHECKING:
    from jaxtyping import Float

FAR = 4.0
"""Depth of the 5th percentile of inverse depth, when the 95th has depth 1."""

FORMAT = "leadline superpixel 1"
_STRIPS = 6
_SOFT = 0.08
_NO_GROUND = 1.3  # y of a ground that lies below the picture
_ARRAYS = (
    *("horizon_mean", "horizon_spread", "horizon"),
    *("place_mean", "place_spread", "sky", "ground"),
    *("scene_mean", "scene_spread", "depth", "error"),
    *("pair_mean", "pair_spread", "together"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Parameters:
    """What was learned.

    Attributes:
        horizon_scaling, horizon: features of six strips of the picture -> y of the horizon.
        place_scaling, sky, ground: features of a cell -> log odds of sky and ground.
        scene_scaling: of what a cell gets from the sky and ground around it.
        depth: (bands, f): log depth of a cell.
        error: (f,): logarithm of the absolute error of ``depth``.
        pair_scaling, together: features of two neighbours -> log odds that the surface goes on.
        segments, planes: the settings that it was learned with.
    """

    horizon_scaling: Scaling
    horizon: Float[np.ndarray, " f"]
    place_scaling: Scaling
    sky: Float[np.ndarray, " f"]
    ground: Float[np.ndarray, " f"]
    scene_scaling: Scaling
    depth: Float[np.ndarray, "bands f"]
    error: Float[np.ndarray, " f"]
    pair_scaling: Scaling
    together: Float[np.ndarray, " f"]
    segments: SegmentConfig
    planes: PlaneConfig

    def save(self, path: Path) -> None:
        """Write one ``.npz`` without pickles; weights as float32."""
        arrays: dict[str, np.ndarray] = {}
        for name in _ARRAYS:
            stem, _, part = name.rpartition("_")
            owner = getattr(self, f"{stem}_scaling") if stem else self
            arrays[name] = np.asarray(getattr(owner, part), dtype=np.float32)
        settings = {"segments": asdict(self.segments), "planes": asdict(self.planes)}
        text = json.dumps({"format": FORMAT, **settings}, sort_keys=True)
        arrays["settings"] = np.frombuffer(text.encode(), dtype=np.uint8)
        with atomic_write(path) as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> Parameters:
        """Read :meth:`save`'s file.

        Raises:
            WeightsError: not such a file, or damaged.
        """
        arrays, settings = read_arrays(path)
        missing = sorted(set(_ARRAYS) - set(arrays))
        if missing or arrays["depth"].shape[:1] != BANDS.shape:
            raise WeightsError(
                f"{path} lacks {missing or 'weights for every height'}; a file of `leadline train "
                "superpixel` is needed."
            )
        stems = ("horizon", "place", "scene", "pair")
        scalings = {
            f"{s}_scaling": Scaling(mean=arrays[f"{s}_mean"], spread=arrays[f"{s}_spread"])
            for s in stems
        }
        rest = ("horizon", "sky", "ground", "depth", "error", "together")
        values: dict[str, Any] = {**scalings, **{name: arrays[name] for name in rest}}
        try:
            values["segments"] = SegmentConfig(**settings["segments"])
            values["planes"] = PlaneConfig(**settings["planes"])
        except (KeyError, TypeError) as error:
            raise WeightsError(
                f"{path} holds settings that this version does not know ({error}); train again."
            ) from error
        return cls(**values)


@dataclass(frozen=True, kw_only=True, eq=False)
class Stages:
    """Everything on the way from a picture to its map.

    Attributes:
        rgb: what was looked at, in [0, 1].
        segments: the picture's.
        features: of its cells.
        horizon: its y, -1 .. 1 from the top; it may lie outside.
        sky, ground: probability of each cell, (rows, columns).
        log_depth: of each cell, by the regression alone.
        error: of ``log_depth``, as the regression expects it.
        together: of each pair of neighbours, that the surface goes on.
        solution: the planes.
        disparity, confidence: (h, w) float32, the result; confidence in (0, 1].
    """

    rgb: Float[np.ndarray, "h w 3"]
    segments: Segments
    features: Features
    horizon: float
    sky: Float[np.ndarray, "rows columns"]
    ground: Float[np.ndarray, "rows columns"]
    log_depth: Float[np.ndarray, "rows columns"]
    error: Float[np.ndarray, "rows columns"]
    together: Float[np.ndarray, " m"]
    solution: Solution
    disparity: Float[np.ndarray, "h w"]
    confidence: Float[np.ndarray, "h w"]


class SuperpixelModel:
    """The statistical model with learned parameters.

    Args:
        parameters: from :meth:`Parameters.load` or training.
        planes: in place of the parameters' own settings.
    """

    def __init__(self, parameters: Parameters, *, planes: PlaneConfig | None = None) -> None:
        self.parameters = parameters
        self.planes = planes or parameters.planes

    def predict(
        self, rgb: Float[np.ndarray, "h w 3"]
    ) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
        """Affine disparity and confidence of a picture in [0, 1]."""
        stages = self.explain(rgb)
        return stages.disparity, stages.confidence

    def explain(self, rgb: Float[np.ndarray, "h w 3"]) -> Stages:
        """The same, with everything on the way."""
        known = self.parameters
        segments = segment(rgb, known.segments)
        features = describe(rgb, segments)
        horizon = float((known.horizon_scaling.apply(strips(features)[None]) @ known.horizon)[0])
        place = known.place_scaling.apply(place_features(features, horizon))
        sky, ground = place @ known.sky, place @ known.ground
        scene = known.scene_scaling.apply(scene_features(features, horizon, sky, ground))
        cells = np.concatenate([place[:, :-1], scene], axis=1)
        log_depth = predict_banded(cells, features.y - horizon, known.depth)
        error = np.exp(np.clip(cells @ known.error, -5, 2))
        pairs = known.pair_scaling.apply(pair_features(features, segments, log_depth))
        together = sigmoid(pairs @ known.together)
        classes = sigmoid(sky), sigmoid(ground)
        evidence = _evidence(features, segments, horizon, classes, (log_depth, error), together)
        solution = solve_planes(segments, evidence, self.planes)
        scale = float(np.exp(np.median(evidence.log_depth)))
        low, high = 1 / (self.planes.far * scale), 1 / (self.planes.near * scale)
        grid = features.grid
        return Stages(
            rgb=rgb,
            segments=segments,
            features=features,
            horizon=horizon,
            sky=sigmoid(sky).reshape(grid),
            ground=sigmoid(ground).reshape(grid),
            log_depth=log_depth.reshape(grid),
            error=error.reshape(grid),
            together=together,
            solution=solution,
            disparity=np.clip(solution.inverse_depth(segments), low, high).astype(np.float32),
            confidence=_confidence(features, segments, error),
        )


def strips(features: Features) -> Float[np.ndarray, " f"]:
    """Mean energies of the 17 filters in six strips of the picture, top to bottom."""
    filters = len(FILTER_NAMES)
    rows = features.grid[0]
    energy = features.texture[:, :filters].reshape(rows, -1, filters).mean(axis=1)
    edges = (np.arange(_STRIPS + 1) * rows) // _STRIPS
    ends = np.maximum(edges[1:], edges[:-1] + 1)
    starts = np.minimum(edges[:-1], rows - 1)
    parts = [energy[a:b].mean(axis=0) for a, b in zip(starts, ends, strict=True)]
    return np.concatenate(parts).astype(np.float32)


def place_features(features: Features, horizon: float) -> Float[np.ndarray, "n f"]:
    """A cell's texture and shape, and where it lies."""
    x, y = features.x, features.y
    height = y - horizon
    below = np.maximum(height, 0)
    place = [x, np.abs(x), y, y * y, height, below, np.log(below + _SOFT), np.full_like(y, horizon)]
    return np.concatenate(
        [features.texture, features.shape, np.stack(place, axis=1)], axis=1, dtype=np.float32
    )


PLACE_COUNT = 8
"""Numbers at the end of :func:`place_features` that tell where a cell lies."""


def scene_features(
    features: Features,
    horizon: float,
    sky: Float[np.ndarray, " n"],
    ground: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "n f"]:
    """What a cell gets from the sky and ground around it, above all where its ground begins.

    Args:
        features: of the picture.
        horizon: its y.
        sky: log odds of each cell.
        ground: the same.
    """
    rows, columns = features.grid
    is_sky, is_ground = (sigmoid(a).reshape(rows, columns) for a in (sky, ground))
    y = features.y.reshape(rows, columns)
    foot = np.empty((rows, columns))
    current = np.full(columns, _NO_GROUND)
    for row in range(rows - 1, -1, -1):
        current = np.where(is_ground[row] > 0.5, y[row], current)
        foot[row] = current
    foot_depth = np.log(np.maximum(foot - horizon, 0) + _SOFT)
    own_depth = np.log(np.maximum(y - horizon, 0) + _SOFT)
    half = rows // 2
    whole = [is_ground.mean(), is_sky.mean(), is_ground[half:].mean(), is_sky[: half + 1].mean()]
    planes = [
        np.clip(sky, -6, 6).reshape(rows, columns),
        np.clip(ground, -6, 6).reshape(rows, columns),
        is_sky,
        is_ground,
        foot,
        foot_depth,
        np.broadcast_to(is_ground.mean(axis=0), foot.shape),
        np.broadcast_to(is_sky.mean(axis=0), foot.shape),
        np.cumsum(is_ground[::-1], axis=0)[::-1] / rows,
        np.cumsum(is_sky, axis=0) / rows,
        *(np.full(foot.shape, share) for share in whole),
        is_ground * own_depth,
        is_ground * y,
        (1 - is_ground) * foot_depth,
    ]
    return np.stack(planes, axis=2).reshape(rows * columns, -1).astype(np.float32)


def pair_features(
    features: Features, segments: Segments, log_depth: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "m f"]:
    """How unlike two neighbours are: texture, expected depth, border and size."""
    filters = 2 * len(FILTER_NAMES)
    own = segment_means(features, segments, features.texture[:, :filters])
    depth = segment_means(features, segments, log_depth[:, None])[:, 0]
    pairs, shared = segments.touching
    a, b = pairs[:, 0], pairs[:, 1]
    smaller = np.minimum(segments.areas[a], segments.areas[b])
    return np.concatenate(
        [
            np.abs(own[a] - own[b]),
            np.abs(depth[a] - depth[b])[:, None],
            np.log(shared / np.sqrt(smaller))[:, None],
            np.log(smaller / segments.labels.size)[:, None],
        ],
        axis=1,
    ).astype(np.float32)


def segment_means(
    features: Features, segments: Segments, values: Float[np.ndarray, "n f"]
) -> Float[np.ndarray, "s f"]:
    """Means of the cells' values over each segment.

    A segment without cells takes the cell that it lies in.
    """
    count = segments.count
    cells = np.bincount(features.owner, minlength=count)
    out = np.empty((count, values.shape[1]))
    for column in range(values.shape[1]):
        out[:, column] = np.bincount(features.owner, values[:, column], count)
    out /= np.maximum(cells, 1)[:, None]
    alone = np.flatnonzero(cells == 0)
    out[alone] = values[_cell_of(features, segments, first_pixels(segments)[alone])]
    return out


def first_pixels(segments: Segments) -> np.ndarray:
    """Flat index of a pixel in the middle of each segment's pixels, in reading order."""
    order = np.argsort(segments.labels, axis=None, kind="stable")
    ends = np.cumsum(segments.areas)
    return order[ends - segments.areas + segments.areas // 2]


def _cell_of(features: Features, segments: Segments, pixels: np.ndarray) -> np.ndarray:
    """The cell that each flat pixel lies in."""
    (rows, columns), (height, width) = features.grid, segments.size
    row, column = np.divmod(pixels, width)
    return (row * rows // height) * columns + column * columns // width


def _evidence(
    features: Features,
    segments: Segments,
    horizon: float,
    sky_ground: tuple[np.ndarray, np.ndarray],
    depth_error: tuple[np.ndarray, np.ndarray],
    together: np.ndarray,
) -> Evidence:
    """Four points in each cell and one in each segment.

    A point in another segment than its cell's own counts a quarter.
    """
    (rows, columns), (height, width) = features.grid, segments.size
    y = ((np.arange(2 * rows) + 0.5) * height / (2 * rows)).astype(np.int64)
    x = ((np.arange(2 * columns) + 0.5) * width / (2 * columns)).astype(np.int64)
    pixels = (y[:, None] * width + x).ravel()
    pixels = np.concatenate([pixels, first_pixels(segments)])
    cell = _cell_of(features, segments, pixels)
    owner = segments.labels.ravel()[pixels]
    log_depth, error = depth_error
    weight = 0.25 / (1 + error[cell] / np.median(error))
    weight = np.where(owner == features.owner[cell], weight, weight / 4)
    probabilities = segment_means(features, segments, np.stack(sky_ground, axis=1))
    return Evidence(
        x=2 * (pixels % width + 0.5) / width - 1,
        y=2 * (pixels // width + 0.5) / height - 1,
        owner=owner,
        log_depth=log_depth[cell].astype(np.float64),
        weight=weight,
        sky=probabilities[:, 0],
        ground=probabilities[:, 1],
        together=together,
        horizon=horizon,
    )


def _confidence(
    features: Features, segments: Segments, error: np.ndarray
) -> Float[np.ndarray, "h w"]:
    """exp(-expected error), one value for each segment."""
    means = segment_means(features, segments, error[:, None])[:, 0]
    return np.exp(-means)[segments.labels].astype(np.float32)


def open_model(path: Path) -> SuperpixelModel | HeightPrior:
    """The model of a parameter file: the learned one, or the prior where nothing was learned.

    Raises:
        WeightsError: not a parameter file.
    """
    arrays, settings = read_arrays(path)
    if arrays:
        return SuperpixelModel(Parameters.load(path))
    return HeightPrior(SegmentConfig(**settings["segments"]))


def write_prior(path: Path) -> None:
    """Write the prior's file: settings and no array."""
    settings = {"format": FORMAT, "segments": asdict(SegmentConfig())}
    text = json.dumps(settings, sort_keys=True)
    with atomic_write(path) as file:
        np.savez_compressed(file, settings=np.frombuffer(text.encode(), dtype=np.uint8))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and settings of a parameter file; WeightsError when it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        settings = json.loads(arrays.pop("settings").tobytes().decode())
        if settings.pop("format") != FORMAT:
            raise InputError("another format")
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise WeightsError(
            f"{path} cannot be read as parameters of the superpixel model ({error}); give a file "
            "of `leadline train superpixel`, or copy it again."
        ) from error
    return arrays, settings
