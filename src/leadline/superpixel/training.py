"""Training of the statistical model: pictures to examples on disk, examples to parameters.

No step draws at random: the same settings give the same parameters. Examples that are on the disk
already are kept, so that a run that was stopped goes on.

    leadline train superpixel --out runs/superpixel --set textures=package --set icl=ICL_FOLDER
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from leadline import catalog
from leadline.errors import InputError, MissingDependencyError, UnknownNameError
from leadline.hub import sha256_of
from leadline.io import list_images
from leadline.jobs import write_text
from leadline.spec import Sidecar, sidecar_path
from leadline.superpixel.context import (
    PLACE_COUNT,
    pair_features,
    place_features,
    scene_features,
    strips,
)
from leadline.superpixel.examples import Example, from_icl, from_view, log_depth_target
from leadline.superpixel.features import SHAPE_NAMES, TEXTURE_COUNT, Features
from leadline.superpixel.linear_program import PlaneConfig
from leadline.superpixel.model import Parameters, regress_cells
from leadline.superpixel.regression import (
    Scaling,
    fit_banded,
    fit_huber,
    fit_logistic,
    predict_banded,
)
from leadline.superpixel.segmentation import SegmentConfig

_KINDS = (
    *("room", "street", "room", "objects", "street"),
    *("room", "nature", "room", "street", "objects"),
)
_FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class SuperpixelTraining:
    """Every choice of a run.

    Attributes:
        views: pictures of the procedural world.
        seed: of the world's scenes.
        height: of the pictures in pixels, as at prediction.
        textures: folder of the CC0 texture package, empty for procedural textures only.
        icl: folder of ICL-NUIM frames (color, depth), empty to leave them out.
        icl_every: of its frames, every how many; icl_weight: of one, against a view of the world.
        cells: of a picture that the regressions see.
        penalty, band_penalty: of the weights of texture and shape; place is nearly free.
        class_penalty: of the sky's and ground's weights; horizon_penalty: of the horizon's.
    """

    views: int = 600
    seed: int = 5
    height: int = 240
    textures: str = ""
    icl: str = ""
    icl_every: int = 2
    icl_weight: float = 0.5
    cells: int = 120
    penalty: float = 1.0
    band_penalty: float = 2.0
    class_penalty: float = 3e-3
    horizon_penalty: float = 0.1

    def __post_init__(self) -> None:
        if min(self.views, self.height, self.icl_every, self.cells) < 1:
            raise InputError("views, height, icl_every and cells: at least 1 of each is needed.")

    def updated(self, changes: Mapping[str, str]) -> SuperpixelTraining:
        """With some values changed, given as text.

        Raises:
            UnknownNameError: a key that is no field.
            InputError: a value that does not fit the field.
        """
        known = {f.name: getattr(self, f.name) for f in fields(self)}
        clean: dict[str, Any] = {}
        for key, text in changes.items():
            if key not in known:
                raise UnknownNameError("setting", key, known)
            try:
                clean[key] = type(known[key])(text)
            except ValueError as error:
                raise InputError(f"{key}={text}: a value like {known[key]!r} is needed.") from error
        return replace(self, **clean)


def train(
    config: SuperpixelTraining,
    out: Path,
    *,
    resume: bool = False,
    report: Callable[[str], None] = print,
) -> Path:
    """Make the parameters; returns their file, with its description and card beside it.

    Args:
        config: every choice.
        out: run directory.
        resume: take the examples that are there.
        report: gets a line now and then.

    Raises:
        InputError: the directory holds a run and ``resume`` is False, or one of other settings.
    """
    _open_run(config, out, resume)
    paths = _write_examples(config, out / "examples", report)
    parameters, numbers = fit(paths, config, report)
    file = out / "superpixel.npz"
    parameters.save(file)
    _describe_file(file)
    card = {"trained on": _sources(config), "settings": asdict(config), "fit": numbers}
    write_text(out / "superpixel.card.json", json.dumps(card, indent=2) + "\n")
    return file


def fit(
    paths: list[Path], config: SuperpixelTraining, report: Callable[[str], None] = print
) -> tuple[Parameters, dict[str, int | float]]:
    """Parameters, and how well they fit the training pictures.

    Args:
        paths: of examples.
        config: penalties and the number of cells.
        report: gets a line for each stage.
    """
    horizon_scaling, horizon, horizons = _fit_horizon(paths, config)
    report("horizon: done")
    chosen = [_choose_cells(Example.load(path).features, config.cells) for path in paths]
    data = _Samples.read(paths, chosen, horizons)
    place_scaling = Scaling.of(data.place)
    place = place_scaling.apply(data.place)
    sky = _fit_class(place, data.sky, data.weight, config)
    ground = _fit_class(place, data.ground, data.weight, config)
    report("sky and ground: done")
    scene = _read_scenes(paths, chosen, horizons, place_scaling, sky, ground)
    scene_scaling = Scaling.of(scene)
    cells = np.concatenate([place[:, :-1], scene_scaling.apply(scene)], axis=1)
    depth, error, spread, rest = _fit_depth(cells, data, config)
    report(f"depth: median error {rest:.3f} of spread {spread:.3f}")
    parameters = Parameters(
        horizon_scaling=horizon_scaling,
        horizon=horizon,
        place_scaling=place_scaling,
        sky=sky,
        ground=ground,
        scene_scaling=scene_scaling,
        depth=depth,
        error=error,
        pair_scaling=Scaling.of(np.zeros((2, 1))),
        together=np.zeros(2),
        segments=SegmentConfig(),
        planes=PlaneConfig(),
    )
    pair_scaling, together, right = _fit_pairs(paths, horizons, parameters, config)
    report(f"borders: {right:.1%} right")
    numbers = {
        "pictures": len(paths),
        "cells": len(data.target),
        "median absolute error of log depth": rest,
        "standard deviation of log depth": spread,
        "borders told right, both cases alike": right,
    }
    done = replace(parameters, pair_scaling=pair_scaling, together=together)
    return done, {name: round(value, 4) for name, value in numbers.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Samples:
    """The chosen cells of all pictures."""

    place: np.ndarray
    height: np.ndarray
    target: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    weight: np.ndarray

    @classmethod
    def read(cls, paths: list[Path], chosen: list[np.ndarray], horizons: np.ndarray) -> _Samples:
        parts: dict[str, list[np.ndarray]] = {name: [] for name in cls.__dataclass_fields__}
        for path, cells, horizon in zip(paths, chosen, horizons, strict=True):
            example = Example.load(path)
            labelled = np.isfinite(example.ground)
            parts["place"].append(place_features(example.features, horizon)[cells])
            parts["height"].append((example.features.y - horizon)[cells])
            parts["target"].append(log_depth_target(example.depth)[cells])
            for name, truth in (("sky", np.isinf(example.depth)), ("ground", example.ground > 0.5)):
                parts[name].append(np.where(labelled, truth, np.nan)[cells])
            parts["weight"].append(np.full(len(cells), example.weight))
        return cls(**{name: np.concatenate(part) for name, part in parts.items()})


def _fit_horizon(
    paths: list[Path], config: SuperpixelTraining
) -> tuple[Scaling, np.ndarray, np.ndarray]:
    """Scaling and weights, and what each picture is given: the guess of a fit without it."""
    examples = [Example.load(path) for path in paths]
    features = np.stack([strips(example.features) for example in examples])
    target = np.clip([example.horizon for example in examples], -2, 2)
    known = np.isfinite(target)
    scaling = Scaling.of(features[known])
    scaled = scaling.apply(features)
    penalty = np.full(scaled.shape[1], config.horizon_penalty)
    penalty[-1] = 0
    guess = np.empty(len(paths))
    fold = np.arange(len(paths)) % _FOLDS

    def weights(used: np.ndarray) -> np.ndarray:
        filled = np.where(known, target, 0)
        return fit_huber(scaled, filled, used.astype(float), penalty=penalty, delta=1.0)

    for number in range(_FOLDS):
        left_out = fold == number
        guess[left_out] = scaled[left_out] @ weights(known & ~left_out)
    return scaling, weights(known), guess


def _fit_class(
    features: np.ndarray, target: np.ndarray, weight: np.ndarray, config: SuperpixelTraining
) -> np.ndarray:
    known = np.isfinite(target)
    return fit_logistic(features[known], target[known], weight[known], penalty=config.class_penalty)


def _fit_depth(
    cells: np.ndarray, data: _Samples, config: SuperpixelTraining
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Weights of depth and of its error, the target's spread and the median error."""
    known = np.isfinite(data.target)
    features, target, weight = cells[known], data.target[known], data.weight[known]
    height, spread = data.height[known], float(target.std())
    place = slice(TEXTURE_COUNT + len(SHAPE_NAMES), TEXTURE_COUNT + len(SHAPE_NAMES) + PLACE_COUNT)
    penalty = np.full(features.shape[1], config.penalty)
    penalty[place], penalty[-1] = 0.01, 0
    away = np.full(features.shape[1], config.band_penalty)
    away[place] = config.band_penalty / 4
    away[-1] = 0.01
    delta = spread / 2
    depth = fit_banded(
        features, height, target, weight, penalty=penalty, band_penalty=away, delta=delta
    )
    missed = np.abs(target - predict_banded(features, height, depth))
    logs = np.log(missed + 0.02)
    error = fit_huber(features, logs, weight, penalty=np.maximum(penalty, 0.01), delta=1.0)
    return depth, error, spread, float(np.median(missed))


def _read_scenes(
    paths: list[Path],
    chosen: list[np.ndarray],
    horizons: np.ndarray,
    scaling: Scaling,
    sky: np.ndarray,
    ground: np.ndarray,
) -> np.ndarray:
    parts = []
    for path, cells, horizon in zip(paths, chosen, horizons, strict=True):
        features = Example.load(path).features
        place = scaling.apply(place_features(features, horizon))
        parts.append(scene_features(features, horizon, place @ sky, place @ ground)[cells])
    return np.concatenate(parts)


def _fit_pairs(
    paths: list[Path], horizons: np.ndarray, known: Parameters, config: SuperpixelTraining
) -> tuple[Scaling, np.ndarray, float]:
    """Scaling and weights of the borders, and the share classified right, both cases alike."""
    rows, truths = [], []
    for path, horizon in zip(paths, horizons, strict=True):
        example = Example.load(path)
        features = example.features
        log_depth = regress_cells(known, features, horizon)[-1]
        labelled = np.isfinite(example.together)
        rows.append(pair_features(features, example.segments, log_depth)[labelled])
        truths.append(example.together[labelled])
    features, truth = np.concatenate(rows), np.concatenate(truths)
    scaling = Scaling.of(features)
    scaled = scaling.apply(features)
    # Most surfaces go on; both cases count alike, so that .5 parts them.
    share = np.clip(truth.mean(), 0.01, 0.99)
    balance = np.where(truth > 0.5, 0.5 / share, 0.5 / (1 - share))
    weights = fit_logistic(scaled, truth, balance, penalty=config.class_penalty)
    right = (scaled @ weights > 0) == (truth > 0.5)
    return scaling, weights, float((right * balance).mean())


def _choose_cells(features: Features, count: int) -> np.ndarray:
    """``count`` cells spread over the picture, the same in every run."""
    cells = len(features.y)
    if cells <= count:
        return np.arange(cells)
    return np.random.default_rng(cells).permutation(cells)[:count]


def _write_examples(
    config: SuperpixelTraining, folder: Path, report: Callable[[str], None]
) -> list[Path]:
    """Files of all examples, those that are missing made first."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"world-{n:05d}.npz" for n in range(config.views)]
    missing = [n for n, path in enumerate(paths) if not path.is_file()]
    for done, (n, example) in enumerate(_world_examples(config, missing), 1):
        example.save(paths[n])
        if done % 50 == 0 or done == len(missing):
            report(f"world: {done} of {len(missing)} pictures")
    if config.icl:
        root = Path(config.icl)
        for picture in list_images(root / "color")[:: config.icl_every]:
            path = folder / f"icl-{picture.stem}.npz"
            if not path.is_file():
                frame = from_icl(root, picture, height=config.height, weight=config.icl_weight)
                frame.save(path)
            paths.append(path)
    return paths


def _world_examples(
    config: SuperpixelTraining, numbers: list[int]
) -> Iterator[tuple[int, Example]]:
    if not numbers:
        return
    try:
        from leadline import world
    except ImportError as error:
        raise MissingDependencyError("cv2", "rendering the procedural world", "geometry") from error

    bank = world.TextureBank.load(config.textures) if config.textures else world.use_bank()
    for n in numbers:
        rng = np.random.default_rng([config.seed, n])
        kind = _KINDS[n % len(_KINDS)]
        width = 3 * config.height if n % len(_KINDS) == 1 else config.height * 4 // 3
        scene = world.sample_scene(int(rng.integers(2**62)), kind, bank=bank)
        view = world.sample_view(scene, n, (config.height, width))
        yield n, from_view(view)


def _open_run(config: SuperpixelTraining, out: Path, resume: bool) -> None:
    file = out / "config.json"
    text = json.dumps(asdict(config), indent=2) + "\n"
    if file.is_file():
        if not resume:
            raise InputError(f"{out} holds a run; go on with --resume, or give another --out.")
        if file.read_text(encoding="utf-8") != text:
            raise InputError(
                f"{out} holds a run of other settings ({file.name}); give the same, or another "
                "--out."
            )
    out.mkdir(parents=True, exist_ok=True)
    write_text(file, text)


def _describe_file(file: Path) -> None:
    """The description beside the parameters, by which ``leadline.load(file)`` knows them."""
    spec = catalog.get("superpixel")
    sidecar = Sidecar.of(spec, licence="Apache-2.0", digest=sha256_of(file))
    write_text(sidecar_path(file), sidecar.to_json())


def _sources(config: SuperpixelTraining) -> list[str]:
    sources = [f"{config.views} views of leadline.world, scene seed {config.seed}"]
    if config.textures:
        sources.append("its textures: procedural, and the npm package @pmndrs/assets (CC0-1.0)")
    if config.icl:
        sources.append(
            f"ICL-NUIM living room, every {config.icl_every}. frame (CC BY 3.0: A. Handa, "
            "T. Whelan, J. McDonald, A. Davison, A benchmark for RGB-D visual odometry, 3D "
            "reconstruction and SLAM, ICRA 2014)"
        )
    return sources
