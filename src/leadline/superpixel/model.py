"""SuperpixelModel: from pixels to segments, cells, regression and planes, one stage after another.

```python
model = SuperpixelModel(Parameters.load(file))
stages = model.explain(rgb)   # everything on the way, for looking at
stages.disparity, stages.confidence
```

What is predicted is the logarithm of depth after each picture's inverse depth has been brought to
[1/4, 1] by a scale and a shift, its 5th and 95th percentile: what one picture cannot show is left
out. So the map is affine disparity.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.errors import InputError, WeightsError
from leadline.io import read_npz
from leadline.io.text import parse_json
from leadline.jobs import atomic_write
from leadline.superpixel.context import (
    cell_of,
    first_pixels,
    pair_features,
    place_features,
    scene_features,
    segment_means,
    strips,
)
from leadline.superpixel.features import Features, describe
from leadline.superpixel.inference import Solution, solve_planes
from leadline.superpixel.linear_program import Evidence, PlaneConfig
from leadline.superpixel.prior import HeightPrior
from leadline.superpixel.regression import BANDS, Scaling, predict_banded, sigmoid
from leadline.superpixel.segmentation import SegmentConfig, Segments, segment

if TYPE_CHECKING:
    from jaxtyping import Float

FAR = 4.0
"""Depth of the 5th percentile of inverse depth, when the 95th has depth 1."""

FORMAT = "leadline superpixel 1"
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
        sky, ground, cells, log_depth = regress_cells(known, features, horizon)
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


def regress_cells(
    known: Parameters, features: Features, horizon: float
) -> tuple[Float[np.ndarray, " n"], ...]:
    """Log odds of sky and ground, scaled features (n, f) and log depth of every cell."""
    place = known.place_scaling.apply(place_features(features, horizon))
    sky, ground = place @ known.sky, place @ known.ground
    scene = known.scene_scaling.apply(scene_features(features, horizon, sky, ground))
    cells = np.concatenate([place[:, :-1], scene], axis=1)
    return sky, ground, cells, predict_banded(cells, features.y - horizon, known.depth)


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
    cell = cell_of(features, segments, pixels)
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


_SETTINGS = "the settings of a model are needed."


def open_model(path: Path) -> SuperpixelModel | HeightPrior:
    """The model of a parameter file: the learned one, or the prior where nothing was learned.

    Raises:
        WeightsError: not a parameter file.
    """
    arrays, settings = read_arrays(path)
    if arrays:
        return SuperpixelModel(Parameters.load(path))
    return HeightPrior(SegmentConfig(**settings["segments"]))


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and settings of a parameter file; WeightsError when it cannot be read."""
    try:
        arrays = read_npz(path, ("settings",))
        settings = parse_json(arrays.pop("settings").tobytes().decode(), f"{path}", _SETTINGS)
        if settings.pop("format") != FORMAT:
            raise InputError("another format")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{path} cannot be read as parameters of the superpixel model ({error}); give a file "
            "of `leadline train superpixel`, or copy it again."
        ) from error
    return arrays, settings
