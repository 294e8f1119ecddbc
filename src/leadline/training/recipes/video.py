"""Depth from film, without truth: each frame is made from its neighbours.

A depth network sees the frame, a pose network the frame and a neighbour; together they say where
each pixel of the frame stood in the neighbour. Both are right when the neighbours, read there, look
like the frame. Per pixel the neighbour that explains it best counts (minimum reprojection), and
pixels that an unmoved neighbour explains better do not teach (auto-mask).

``sources``: ``mono``, the frames before and after: depth up to one unknown scale; ``stereo``, the
other eye of a known rig: metres; ``both``. With eyes the network's unit is ten baselines, as the
paper's, and its outputs are multiplied by it (``Monodepth2Config.unit``): in metres its range would
begin with disparities wider than the picture, from which it learns nothing.

Source: Godard et al., Digging Into Self-Supervised Monocular Depth Estimation, ICCV 2019.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from leadline.errors import InputError
from leadline.kinds import DepthKind
from leadline.losses import PhotometricConfig, area_pyramid, monodepth2_loss
from leadline.models.monodepth2 import CONFIGS, STEREO_BASELINE, Monodepth2, disp_to_depth
from leadline.models.variant import with_options
from leadline.training.eye_pairs import check_truth, only_source, rig_of
from leadline.training.network import build_network, delivered_spec
from leadline.training.recipe import Batch, BatchSource, Delivered, Forward, Recipe
from leadline.training.rig import HELD_OUT_SEED, Rig, render_triplets
from leadline.training.scan import ScanErrors
from leadline.training.settings import need
from leadline.training.sheets import disparity_picture, picture_rows
from leadline.training.triplets import Sources, triplets
from leadline.training.truth import held_out_score, log_depth_error

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """Choices of the video recipe.

    Attributes:
        sources: ``mono``, ``stereo`` or ``both``.
        loss: the paper's weights and forms; see :class:`~leadline.losses.PhotometricConfig`.
            ``align_corners = false`` repeats the authors' code under newer PyTorch. Its depth
            range is the network's.
        pictures: weight of the whole self-supervised loss.
        truth: weight of the error of log depth where depth is known; 0: never looked at.
        rig: cameras, motion and scenes of the world.
        scan: errors put into the truth, for experiments.
        max_depth: metres up to which truth counts, in learning and in validation.
    """

    sources: Sources = "mono"
    loss: PhotometricConfig = field(default_factory=PhotometricConfig)
    pictures: float = 1.0
    truth: float = 0.0
    rig: Rig = field(default_factory=Rig)
    scan: ScanErrors = field(default_factory=ScanErrors)
    max_depth: float = 80.0

    def __post_init__(self) -> None:
        need(self, "at least 0", lambda number: number >= 0, "pictures", "truth")
        need(self, "a number above 0", lambda number: number > 0, "max_depth")
        if not self.pictures and not self.truth:
            raise InputError("pictures=0, truth=0: one of them above 0 is needed to learn from.")


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
            before: its neighbours, in the same form; None: no motion to it is told.
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

    name = "video"
    Options = VideoOptions

    def build(self) -> nn.Module:
        """A Monodepth2 of depth; without a pose network if it learns from eyes alone."""
        if self.config.model not in CONFIGS:
            raise InputError(
                f"model={self.config.model!r}: the video recipe trains a depth and a pose network "
                f"together: {' or '.join(CONFIGS)}."
            )
        network: Any = build_network(self.config, **self._settings)
        return Film(network)

    def delivered(self, module: Any) -> Delivered:
        """The network: metres if it learnt from a known rig or truth, else depth up to scale."""
        spec = delivered_spec(self.config, module.network, **self._settings)
        kind = DepthKind.METRIC_DEPTH if self._metric else DepthKind.SCALED_DEPTH
        max_depth = self.options.max_depth if self._metric else None
        spec = replace(spec, kind=kind, decoder="depth", max_depth=max_depth)
        return Delivered(spec=spec, module=module.network)

    def data(self, folder: Path, step: int) -> AbstractContextManager[BatchSource]:
        """Frames with what they are made from."""
        check_truth(self.config)
        options = self.options
        return triplets(
            self.config,
            folder,
            step,
            sources=options.sources,
            rig=options.rig,
            errors=options.scan,
        )

    def loss(self, forward: Forward, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The paper's loss; beside it or instead of it the error against truth."""
        options = self.options
        disparities, motions = forward(
            batch["seen_frame"], batch.get("seen_before"), batch.get("seen_after")
        )
        total, parts = batch["frame"].new_zeros(()), {}
        if options.pictures:
            names = [name for name in ("before", "after", "right") if name in batch]
            transforms = [*motions]
            if "right" in batch:
                transforms.append(batch["right_from_frame"])
            made = monodepth2_loss(
                disparities,
                area_pyramid(batch["frame"], 4),
                [area_pyramid(batch[name], 4) for name in names],
                batch["intrinsics"],
                transforms,
                config=self._loss_config,
            )
            parts["pictures"] = made.total
            parts["moving"] = made.moving[0].float().mean()
            total = total + options.pictures * made.total
        if options.truth:
            inverse = [self._inverse_depth(each) for each in disparities]
            parts["truth"] = log_depth_error(inverse, batch["depth"], options.max_depth)
            total = total + options.truth * parts["truth"]
        return total, parts

    def validate(self, module: Any) -> dict[str, float]:
        """The world's rig: held-out scenes, scaled by medians unless metric; else by protocol."""
        if only_source(self.config).name != "world" or self.config.validate_data:
            return super().validate(module) if self.config.validate_data else {}
        pictures, depths = self._held_out
        protocol = self.config.protocol or f"kitti-eigen-garg{'' if self._metric else '-median'}"
        return held_out_score(
            module.network, pictures, depths, protocol=protocol, max_depth=self.options.max_depth
        )

    def rehearse(self, module: Any) -> None:
        """Only what is validated by the protocol has frames of its own to be read."""
        if self.config.validate_data:
            super().rehearse(module)

    @torch.no_grad()
    def pictures(self, module: Any, batch: Batch) -> np.ndarray | None:
        """Rows of: frame, what neighbours make of it, disparity (near is bright), auto-mask."""
        disparities, motions = module(
            batch["seen_frame"], batch.get("seen_before"), batch.get("seen_after")
        )
        names = [name for name in ("before", "after", "right") if name in batch]
        transforms = [*motions, *([batch["right_from_frame"]] if "right" in batch else [])]
        made = monodepth2_loss(
            disparities[:1],
            (batch["frame"],),
            [(batch[name],) for name in names],
            batch["intrinsics"],
            transforms,
            config=self._loss_config,
        )
        mask = made.moving[0][:, None].float().expand(-1, 3, -1, -1)
        shown = disparity_picture(disparities[0])
        return picture_rows([batch["frame"], made.warped[0][-1], shown, mask])

    def _inverse_depth(self, disparity: Tensor) -> Tensor:
        config = self._loss_config
        return disp_to_depth(disparity, config.min_depth, config.max_depth)[0]

    @property
    def _metric(self) -> bool:
        return self.options.sources != "mono" or self.options.truth > 0

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """What ``leadline.models.build`` gets, under the config's own."""
        if self.options.sources == "mono":
            return {"output": "depth"}
        rig = rig_of(self.config, self.options.rig)
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

    @cached_property
    def _held_out(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(HELD_OUT_SEED)
        count, size = self.config.validate_frames, self.config.sizes[0]
        made = render_triplets(rng, size, count, rig=self.options.rig)
        return made["frame"], made["depth"]
