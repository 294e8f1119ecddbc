"""Depth from stereo pairs, without truth: each picture is made from the other view's.

The network sees the left picture and gives both views' disparities at four scales. A disparity is
right when the other view's picture, read at the places it points to, looks like this one; when it
is smooth where the picture is; and when both views' disparities agree. With the rig's focal length
f and baseline b a disparity d is f * b / d metres, so a network that has learnt from a known rig
delivers metres.

Source: Godard et al., Unsupervised Monocular Depth Estimation with Left-Right Consistency,
CVPR 2017, section 3.
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
from leadline.losses import log_depth_error, monodepth_loss
from leadline.models.monodepth import CONFIGS, Monodepth, MonodepthOutputs
from leadline.ops import sample_along_rows
from leadline.training.data.rig_rendering import render_pairs
from leadline.training.data.source import Batch, BatchSource
from leadline.training.data.stereo_pairs import check_depth_source, open_stereo_pairs, rig_of
from leadline.training.network import Delivery, build_network, describe_network
from leadline.training.recipes.base import Forward, Recipe
from leadline.training.recipes.contact_sheets import disparity_picture, picture_rows
from leadline.training.recipes.held_out_rig import HeldOutRig

if TYPE_CHECKING:
    from torch import Tensor

    from leadline.training.config import TrainConfig
    from leadline.training.options import StereoOptions


class BothViews(nn.Module):
    """Monodepth whose call gives the disparities of both views at every scale."""

    def __init__(self, network: Monodepth) -> None:
        super().__init__()
        self.network = network

    def forward(self, left: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """(b, 3, h, w) in [0, 1] -> left and right disparities, fine to coarse."""
        both = self.network.forward_all(left)
        return both.left, both.right


class Stereo(Recipe):
    """Appearance matching, smoothness and left-right consistency (Monodepth)."""

    options: StereoOptions
    protocol = "kitti-eigen-garg"

    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self.held_out = HeldOutRig(
            config=config, render=render_pairs, picture="left", depth="left_depth"
        )

    def build(self) -> nn.Module:
        """A Monodepth, of metres if the rig is known."""
        if self.config.model not in CONFIGS:
            raise InputError(
                f"model={self.config.model!r} gives one map; the stereo recipe needs the "
                f"disparities of both views: {' or '.join(CONFIGS)}. For monodepth2-r18 take the "
                "video recipe with options.sources = 'stereo'."
            )
        network: Any = build_network(self.config, **self._metres)
        return BothViews(network)

    def deliver(self, module: Any) -> Delivery:
        """The network: metres if the rig is known, otherwise disparity in pixels of the pair."""
        spec = describe_network(self.config, **self._metres)
        if self._metres:
            spec = replace(
                spec,
                kind=DepthKind.METRIC_DEPTH,
                decoder="depth",
                max_depth=self.options.max_depth,
            )
        return Delivery(spec=spec, module=module.network)

    def data(self, folder: Path, step: int) -> AbstractContextManager[BatchSource]:
        """Stereo pairs."""
        check_depth_source(self.config)
        return open_stereo_pairs(self.config, folder, step)

    def loss(self, forward: Forward, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The paper's loss; beside it or instead of it the error of depth."""
        options = self.options
        both = MonodepthOutputs(*forward(batch["left"]))
        total, parts = batch["left"].new_zeros(()), {}
        if options.photometric_weight:
            terms = monodepth_loss(*both, batch["left"], batch["right"], config=options.loss)
            total = total + options.photometric_weight * terms.total
            parts |= {name: getattr(terms, name) for name in terms._fields[1:]}
        if options.depth_weight:
            inverse = 1 / self._metres_by_disparity()
            errors = [
                log_depth_error([inverse * d for d in maps], batch[name], options.max_depth)
                for maps, name in ((both.left, "left_depth"), (both.right, "right_depth"))
            ]
            parts["depth"] = errors[0] + errors[1]
            total = total + options.depth_weight * parts["depth"]
        return total, parts

    def _metres_by_disparity(self) -> float:
        if not self._rig:
            raise InputError(
                f"options.depth_weight={self.options.depth_weight}: the focal length and the "
                f"baseline of {self.config.data[0].name} are not known, so depth gives no "
                "disparity; take data with a calibration, or options.depth_weight = 0."
            )
        return self._rig["focal_share"] * self._rig["baseline_m"]

    def validate(self, module: Any) -> dict[str, float]:
        """The world's rig: held-out scenes, in metres; elsewhere by the protocol."""
        protocol = self.protocol_name
        return self.held_out.validate(self.deliver(module), rig=protocol, data=protocol)

    def rehearse(self, module: Any) -> None:
        """See :class:`HeldOutRig`."""
        self.held_out.rehearse(self.deliver(module), data=self.protocol_name)

    @torch.no_grad()
    def pictures(self, module: Any, batch: Batch) -> np.ndarray | None:
        """Rows of: left, the left made from the right, disparity (near is bright)."""
        left, _ = module(batch["left"])
        made = sample_along_rows(batch["right"], -left[0])
        shown = disparity_picture(left[0])
        return picture_rows([batch["left"], made, shown])

    @cached_property
    def _rig(self) -> dict[str, float]:
        """Focal length as a share of the width, and baseline; empty where unknown."""
        return rig_of(self.config)

    @property
    def _metres(self) -> dict[str, Any]:
        """Options under which the network gives metres; none where the rig is unknown."""
        return {"output": "depth", **self._rig} if self._rig else {}
