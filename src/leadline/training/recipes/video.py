"""Depth from film, without truth: each frame is made from its neighbours.

A depth network sees the frame, a pose network the frame and a neighbour; together they say where
each pixel of the frame stood in the neighbour. Both are right when the neighbours, read there, look
like the frame. Per pixel the neighbour that explains it best counts (minimum reprojection), and
pixels that an unmoved neighbour explains better do not teach (auto-mask).

``sources``: ``mono``, the frames before and after: depth up to one unknown scale; ``stereo``, the
other view of a known rig: metres; ``both``. With a rig the network's unit is ten baselines, as the
paper's, and its outputs are multiplied by it (``Monodepth2Config.unit``): in metres its range would
begin with disparities wider than the picture, from which it learns nothing.

Source: Godard et al., Digging Into Self-Supervised Monocular Depth Estimation, ICCV 2019.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from leadline.errors import InputError
from leadline.kinds import DepthKind
from leadline.losses import (
    PhotometricConfig,
    PhotometricLoss,
    area_pyramid,
    log_depth_error,
    monodepth2_loss,
)
from leadline.models.monodepth2 import CONFIGS, STEREO_BASELINE, Monodepth2, disp_to_depth
from leadline.models.variant import with_options
from leadline.training.data.frame_triplets import open_triplets
from leadline.training.data.rig_rendering import render_triplets
from leadline.training.data.source import Batch, BatchSource
from leadline.training.data.stereo_pairs import check_depth_source, only_source, rig_of
from leadline.training.network import Delivery, build_network, describe_network
from leadline.training.recipes.base import Forward, Recipe
from leadline.training.recipes.contact_sheets import disparity_picture, picture_rows
from leadline.training.recipes.held_out_rig import HeldOutRig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from leadline.training.config import TrainConfig
    from leadline.training.options import VideoOptions


class Film(nn.Module):
    """Depth of a frame, and the motion to its neighbours."""

    def __init__(self, network: Monodepth2) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, frame: Tensor, before: Tensor | None = None, after: Tensor | None = None
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The sigmoids, fine to coarse, and ``source_from_frame`` (b, 4, 4) per neighbour.

        Args:
            frame: (b, 3, h, w) in [0, 1].
            before: its neighbours, in the same form; None: no motion to it is given.
            after: the later one.
        """
        disparities = self.network.forward_all(frame).disparities
        motions = [
            self.network.source_from_target(frame, source, later=later)
            for source, later in ((before, False), (after, True))
            if source is not None
        ]
        return disparities, tuple(motions)


class Video(Recipe):
    """Minimum reprojection with auto-mask (Monodepth2)."""

    options: VideoOptions

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.held_out = HeldOutRig(
            config=config, render=render_triplets, picture="frame", depth="depth"
        )

    def build(self) -> nn.Module:
        """A Monodepth2 of depth; without a pose network if it learns from stereo alone."""
        if self.config.model not in CONFIGS:
            raise InputError(
                f"model={self.config.model!r}: the video recipe trains a depth and a pose network "
                f"together: {' or '.join(CONFIGS)}."
            )
        network: Any = build_network(self.config, **self._settings)
        return Film(network)

    def deliver(self, module: Any) -> Delivery:
        """The network: metres if it learnt from a known rig or depth, else depth up to scale."""
        spec = describe_network(self.config, **self._settings)
        kind = DepthKind.METRIC_DEPTH if self._metric else DepthKind.SCALED_DEPTH
        max_depth = self.options.max_depth if self._metric else None
        spec = replace(spec, kind=kind, decoder="depth", max_depth=max_depth)
        return Delivery(spec=spec, module=module.network)

    def data(self, folder: Path, step: int) -> AbstractContextManager[BatchSource]:
        """Frames with what they are made from."""
        check_depth_source(self.config)
        return open_triplets(self.config, folder, step)

    def loss(self, forward: Forward, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The paper's loss; beside it or instead of it the error of depth."""
        options = self.options
        disparities, motions = forward(
            batch["seen_frame"], batch.get("seen_before"), batch.get("seen_after")
        )
        total, parts = batch["frame"].new_zeros(()), {}
        if options.photometric_weight:
            made = self._compare(disparities, motions, batch)
            parts["pictures"] = made.total
            parts["moving"] = made.moving[0].float().mean()
            total = total + options.photometric_weight * made.total
        if options.depth_weight:
            inverse = [self._inverse_depth(each) for each in disparities]
            parts["depth"] = log_depth_error(inverse, batch["depth"], options.max_depth)
            total = total + options.depth_weight * parts["depth"]
        return total, parts

    def _compare(
        self, disparities: Sequence[Tensor], motions: Sequence[Tensor], batch: Batch
    ) -> PhotometricLoss:
        """The frame against what the other pictures of the batch make of it, at every scale."""
        scales = len(disparities)
        names = [name for name in ("before", "after", "right") if name in batch]
        transforms = [*motions, *([batch["right_from_frame"]] if "right" in batch else [])]
        return monodepth2_loss(
            disparities,
            area_pyramid(batch["frame"], scales),
            [area_pyramid(batch[name], scales) for name in names],
            batch["intrinsics"],
            transforms,
            config=self._loss_config,
        )

    def validate(self, module: Any) -> dict[str, float]:
        """The world's rig: held-out scenes, scaled by medians unless metric; else by protocol."""
        own = "kitti-eigen-garg" if self._metric else "kitti-eigen-garg-median"
        return self.held_out.validate(
            self.deliver(module), rig=self.config.protocol or own, data=self.protocol_name
        )

    def rehearse(self, module: Any) -> None:
        """See :class:`HeldOutRig`."""
        self.held_out.rehearse(self.deliver(module), data=self.protocol_name)

    @torch.no_grad()
    def pictures(self, module: Any, batch: Batch) -> np.ndarray | None:
        """Rows of: frame, what neighbours make of it, disparity (near is bright), auto-mask."""
        disparities, motions = module(
            batch["seen_frame"], batch.get("seen_before"), batch.get("seen_after")
        )
        made = self._compare(disparities[:1], motions, batch)
        mask = made.moving[0][:, None].float().expand(-1, 3, -1, -1)
        shown = disparity_picture(disparities[0])
        return picture_rows([batch["frame"], made.warped[0][-1], shown, mask])

    def _inverse_depth(self, disparity: Tensor) -> Tensor:
        config = self._loss_config
        return disp_to_depth(disparity, config.min_depth, config.max_depth)[0]

    @property
    def _metric(self) -> bool:
        return self.options.sources != "mono" or self.options.depth_weight > 0

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """What ``leadline.models.build`` gets, under the config's own."""
        if self.options.sources == "mono":
            return {"output": "depth"}
        rig = rig_of(self.config)
        if not rig:
            raise InputError(
                f"options.sources={self.options.sources!r}: the baseline or the camera of "
                f"{only_source(self.config).name} is not known; take data with a calibration, or "
                "options.sources = 'mono'."
            )
        pose = {"pose": "none"} if self.options.sources == "stereo" else {}
        return {"output": "depth", "unit": rig["baseline_m"] / STEREO_BASELINE, **pose}

    @cached_property
    def _loss_config(self) -> PhotometricConfig:
        """The loss with the network's range of depths."""
        options = {**self._settings, **self.config.model_options}
        network = with_options(self.config.model, CONFIGS[self.config.model], options)
        nearest, farthest = network.depths
        return replace(self.options.loss, min_depth=nearest, max_depth=farthest)
