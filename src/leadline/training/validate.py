"""How good a run's network is on frames that it does not learn from, and what that looks like.

It is measured the way a user would: the network behind its own preprocessing, by a protocol of
:mod:`leadline.evaluation`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from leadline import viz
from leadline.datasets import Frame
from leadline.datasets.rendered import world_refs
from leadline.estimator import DepthEstimator
from leadline.evaluation import Accumulator, protocols, score_frame
from leadline.evaluation.predictors import ModelPredictor, adapt_to_protocol
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from leadline.runtime.torch import TorchRuntime
from leadline.training.config import DataConfig, WorldConfig
from leadline.training.data.samples import list_validation_frames
from leadline.training.data.seeds import HELD_OUT_SCENES
from leadline.world import mounted_kinds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leadline.evaluation import Protocol
    from leadline.evaluation.predictors import Predictor
    from leadline.models.base import DepthModule
    from leadline.spec import ModelSpec
    from leadline.training.config import TrainConfig
    from leadline.training.data.source import Batch
    from leadline.training.network import Delivery

_MIX = ("room", "street", "room", "objects", "nature")  # kinds of the held-out frames, repeated
_MOST_TILES = 6  # samples on a contact sheet


def validate(delivery: Delivery, config: TrainConfig, protocol: str) -> dict[str, float]:
    """Mean metrics of the network on the config's held-out frames."""
    predict = ModelPredictor(estimator_of(delivery))
    return measure(predict, read_held_out(config), protocols.get(protocol))


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

    measure(predict, read_held_out(replace(config, validate_frames=1)), chosen)


def estimator_of(delivery: Delivery) -> DepthEstimator:
    """The network behind its own preprocessing, on the device where it is."""
    device = next(delivery.module.parameters()).device.type
    runtime = TorchRuntime(delivery.module, device=device)  # ty: ignore[invalid-argument-type]
    return DepthEstimator(runtime, delivery.spec)


def measure(predict: Predictor, frames: Iterable[Frame], protocol: Protocol) -> dict[str, float]:
    """Mean metrics over frames; a model gives the maps that the protocol takes.

    Metres below 1 mm, and those that are NaN, count as 1 mm.
    """
    predict = adapt_to_protocol(predict, protocol)
    gathered = Accumulator(protocol=protocol)
    for frame in frames:
        pred = predict(frame)
        if pred.kind.is_metric:  # a last ReLU gives exact zeros
            pred = replace(pred, values=np.fmax(pred.values, 1e-3))
        gathered.add(frame.name, score_frame(pred, frame, protocol))
    return {name: float(value) for name, value in gathered.mean().items()}


@torch.no_grad()
def score_pictures(
    network: DepthModule,
    pictures: np.ndarray,
    depths: np.ndarray,
    *,
    protocol: str,
    max_depth: float = 80.0,
) -> dict[str, float]:
    """Depth metrics over pictures of a rig, each counting the same.

    Args:
        network: gives depth.
        pictures: (n, h, w, 3) uint8.
        depths: (n, h, w) metres, 0 or inf where unknown.
        protocol: a name of :mod:`leadline.evaluation.protocols`.
        max_depth: metres; what is farther does not count.
    """
    chosen = protocols.get(protocol)
    device = next(network.parameters()).device
    rows = []
    for picture, depth in zip(pictures, depths, strict=True):
        batch = torch.from_numpy(picture).permute(2, 0, 1)[None].float().div(255).to(device)
        pred = network(batch).float()[0].cpu().numpy()
        truth = np.asarray(depth, np.float32)
        truth = np.where(np.isfinite(truth) & (truth < max_depth), truth, np.float32(0))
        rows.append(chosen.score(pred, truth))
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def read_held_out(config: TrainConfig) -> tuple[Frame, ...]:
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
        return render_held_out(count, kinds=kinds, size=_four_by_three(size), mount=world.mount)
    refs = list_validation_frames(data)
    chosen = np.linspace(0, len(refs) - 1, min(count, len(refs))).round().astype(int)
    return tuple(refs[n].read() for n in chosen)


def render_held_out(
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
        for ref in world_refs(
            mix[n % len(mix)], count=1, seed=HELD_OUT_SCENES + n, size=size, mount=mount
        )
    )


def draw_sheet(delivery: Delivery, batch: Batch) -> np.ndarray:
    """Pictures, what the network makes of them, and the truth where the batch has one."""
    estimator = estimator_of(delivery)
    kind = delivery.spec.kind
    tiles = []
    for n in range(min(_MOST_TILES, batch["rgb"].shape[0])):
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
