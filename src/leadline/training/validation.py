"""How good a run's network is on frames that it does not learn from, and what that looks like.

It is measured the way a user would: the network behind its own preprocessing, by a protocol of
:mod:`leadline.evaluation`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from leadline import viz
from leadline.datasets import Frame
from leadline.datasets.rendered import world_refs
from leadline.estimator import DepthEstimator
from leadline.evaluation import Accumulator, protocols, score_frame
from leadline.evaluation.predictors import ModelPredictor, by_protocol
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from leadline.runtime.torch import TorchRuntime
from leadline.training.config import DataConfig, WorldConfig
from leadline.training.samples import validation_frames
from leadline.world import mounted_kinds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leadline.evaluation import Protocol
    from leadline.evaluation.predictors import Predictor
    from leadline.spec import ModelSpec
    from leadline.training.config import TrainConfig
    from leadline.training.recipe import Batch, Delivered

HELD_OUT = 900_000_000
"""First seed of the held-out scenes; training draws its own from 2**62."""

_MIX = ("room", "street", "room", "objects", "nature")  # kinds of the held-out frames, repeated


def validate(delivered: Delivered, config: TrainConfig, protocol: str) -> dict[str, float]:
    """Mean metrics of the network on the config's held-out frames."""
    predict = ModelPredictor(estimator_of(delivered))
    return measure(predict, held_out(config), protocols.get(protocol))


def rehearse(spec: ModelSpec, config: TrainConfig, protocol: str) -> None:
    """Measure a made-up map on one held-out frame of each source, as :func:`validate` will.

    Args:
        spec: of the network that will be delivered.
        config: of the run.
        protocol: name.

    Raises:
        LeadlineError: frames that cannot be read, or a protocol that does not fit them or the
            network's kind of map.
    """
    chosen = protocols.get(protocol)

    def predict(frame: Frame) -> Prediction:
        image = chosen.view(frame.image)
        height, width = image.size
        values = np.repeat(np.linspace(1, 5, height)[:, None], width, axis=1)
        known_lens = spec.canonical_focal_px and image.camera is not None
        kind = DepthKind.METRIC_DEPTH if known_lens else spec.kind
        return Prediction(values=values, kind=kind, camera=image.camera)

    measure(predict, held_out(replace(config, validate_frames=1)), chosen)


def estimator_of(delivered: Delivered) -> DepthEstimator:
    """The network behind its own preprocessing, on the device where it is."""
    device = next(delivered.module.parameters()).device.type
    runtime = TorchRuntime(delivered.module, device=device)  # ty: ignore[invalid-argument-type]
    return DepthEstimator(runtime, delivered.spec)


def measure(predict: Predictor, frames: Iterable[Frame], protocol: Protocol) -> dict[str, float]:
    """Mean metrics over frames; a model gives the maps that the protocol takes.

    Metres below 1 mm, and those that are NaN, count as 1 mm.
    """
    predict = by_protocol(predict, protocol)
    gathered = Accumulator(protocol=protocol)
    for frame in frames:
        pred = predict(frame)
        if pred.kind.is_metric:  # a last ReLU gives exact zeros
            pred = replace(pred, values=np.fmax(pred.values, 1e-3))
        gathered.add(frame.name, score_frame(pred, frame, protocol))
    return {name: float(value) for name, value in gathered.mean().items()}


def held_out(config: TrainConfig) -> tuple[Frame, ...]:
    """The frames that the config validates on, read once."""
    data = config.validate_data or config.data
    share = max(1, config.validate_frames // len(data))
    return tuple(
        frame for one in data for frame in _frames(one, share, config.world, config.sizes[0])
    )


@lru_cache(maxsize=8)
def _frames(
    data: DataConfig, count: int, world: WorldConfig, size: tuple[int, int]
) -> tuple[Frame, ...]:
    if data.name == "world":
        kinds = mounted_kinds(world.mount, world.kinds)
        return held_out_world(count, kinds=kinds, size=_four_by_three(size), mount=world.mount)
    refs = validation_frames(data)
    chosen = np.linspace(0, len(refs) - 1, min(count, len(refs))).round().astype(int)
    return tuple(refs[n].read() for n in chosen)


def held_out_world(
    count: int,
    *,
    kinds: tuple[str, ...] = (),
    size: tuple[int, int] = (192, 256),
    mount: str = "",
) -> tuple[Frame, ...]:
    """Frames of scenes that no training sees.

    Args:
        count: of frames.
        kinds: of scenes, in turn; empty: all, rooms and streets most.
        size: (height, width) in pixels.
        mount: the camera of a data set; empty: any.
    """
    mix = kinds or _MIX
    return tuple(
        ref.read()
        for n in range(count)
        for ref in world_refs(mix[n % len(mix)], count=1, seed=HELD_OUT + n, size=size, mount=mount)
    )


def sheet(delivered: Delivered, batch: Batch, *, most: int = 6) -> np.ndarray:
    """Pictures, what the network makes of them, and the truth where the batch has one."""
    estimator = estimator_of(delivered)
    kind = delivered.spec.kind
    tiles = []
    for n in range(min(most, batch["rgb"].shape[0])):
        pixels = (batch["rgb"][n].permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8)
        pred = estimator.predict(pixels)
        tiles += [pixels, viz.colorize(viz.nearness(pred.values, kind))]
        if "disparity" in batch:
            known = batch["valid"][n].cpu().numpy()
            truth = np.where(known, batch["disparity"][n].cpu().numpy(), np.nan)
            tiles.append(viz.colorize(viz.nearness(truth, DepthKind.AFFINE_DISPARITY)))
    return viz.contact_sheet(tiles, columns=6 if "disparity" in batch else 4)


def _four_by_three(size: tuple[int, int]) -> tuple[int, int]:
    """The size of held-out pictures for inputs of that size: as a camera would take them."""
    height, width = size
    return (height, round(height * 4 / 3 / 2) * 2) if width < height * 4 / 3 else (height, width)
