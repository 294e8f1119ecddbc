"""Depth from eye pairs, without truth: each eye's picture is made from the other's.

The network sees the left picture and tells both eyes' disparities at four scales. A disparity is
right when the other eye's picture, read at the places it points to, looks like this eye's; when it
is smooth where the picture is; and when both eyes' disparities agree. With the rig's focal length f
and baseline b a disparity d is f * b / d metres, so a network that has learnt from a known rig
delivers metres.

Source: Godard et al., Unsupervised Monocular Depth Estimation with Left-Right Consistency,
CVPR 2017, section 3.
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
from leadline.losses import LeftRightConfig, monodepth_loss
from leadline.models.monodepth import CONFIGS, Monodepth, MonodepthOutputs
from leadline.ops import sample_along_rows
from leadline.training.eye_pairs import check_truth, eye_pairs, only_source, rig_of
from leadline.training.network import build_network, delivered_spec
from leadline.training.recipe import Batch, BatchSource, Delivered, Forward, Recipe
from leadline.training.rig import HELD_OUT_SEED, Rig, render_pairs
from leadline.training.scan import ScanErrors
from leadline.training.settings import need
from leadline.training.sheets import disparity_picture, picture_rows
from leadline.training.truth import held_out_score, log_depth_error

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class StereoOptions:
    """Choices of the stereo recipe.

    Attributes:
        loss: the paper's weights and forms; see :class:`~leadline.losses.LeftRightConfig`.
            ``smoothness_axes = "x"`` repeats the released code.
        pictures: weight of the whole self-supervised loss.
        truth: weight of the error of log depth where depth is known; 0: never looked at.
        rig: cameras and scenes of the world; see :class:`~leadline.training.rig.Rig`.
        scan: errors put into the truth, for experiments.
        max_depth: metres up to which truth counts, in learning and in validation.
    """

    loss: LeftRightConfig = field(default_factory=LeftRightConfig)
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


class BothEyes(nn.Module):
    """Monodepth whose call gives the disparities of both eyes at every scale."""

    def __init__(self, network: Monodepth) -> None:
        super().__init__()
        self.network = network

    def forward(self, left: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """(b, 3, h, w) in [0, 1] -> left and right disparities, fine to coarse."""
        both = self.network.forward_all(left)
        return both.left, both.right


class Stereo(Recipe):
    """Appearance matching, smoothness and left-right consistency (Monodepth)."""

    name = "stereo"
    Options = StereoOptions
    protocol = "kitti-eigen-garg"

    def build(self) -> nn.Module:
        """A Monodepth, of metres if the rig is known."""
        if self.config.model not in CONFIGS:
            raise InputError(
                f"model={self.config.model!r} tells one map; the stereo recipe needs the "
                f"disparities of both eyes: {' or '.join(CONFIGS)}. For monodepth2-r18 take the "
                "video recipe with options.sources = 'stereo'."
            )
        network: Any = build_network(self.config, **self._metres)
        return BothEyes(network)

    def delivered(self, module: Any) -> Delivered:
        """The network: metres if the rig is known, otherwise disparity in pixels of the eyes."""
        spec = delivered_spec(self.config, module.network, **self._metres)
        if self._metres:
            spec = replace(
                spec,
                kind=DepthKind.METRIC_DEPTH,
                decoder="depth",
                max_depth=self.options.max_depth,
            )
        return Delivered(spec=spec, module=module.network)

    def data(self, folder: Path, step: int) -> AbstractContextManager[BatchSource]:
        """Eye pairs."""
        check_truth(self.config)
        return eye_pairs(self.config, folder, step, self.options.rig, self.options.scan)

    def loss(self, forward: Forward, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The paper's loss; beside it or instead of it the error against truth."""
        options = self.options
        both = MonodepthOutputs(*forward(batch["left"]))
        total, parts = batch["left"].new_zeros(()), {}
        if options.pictures:
            terms = monodepth_loss(*both, batch["left"], batch["right"], config=options.loss)
            total = total + options.pictures * terms.total
            parts |= {name: getattr(terms, name) for name in terms._fields[1:]}
        if options.truth:
            inverse = 1 / self._metres_by_disparity()
            errors = [
                log_depth_error([inverse * d for d in maps], batch[name], options.max_depth)
                for maps, name in ((both.left, "left_depth"), (both.right, "right_depth"))
            ]
            parts["truth"] = errors[0] + errors[1]
            total = total + options.truth * parts["truth"]
        return total, parts

    def _metres_by_disparity(self) -> float:
        if not self._rig:
            raise InputError(
                f"options.truth={self.options.truth}: the focal length and the baseline of "
                f"{self.config.data[0].name} are not known, so depth gives no disparity; take "
                "data with a calibration, or options.truth = 0."
            )
        return self._rig["focal_share"] * self._rig["baseline_m"]

    def validate(self, module: Any) -> dict[str, float]:
        """The world's rig: held-out scenes, in metres; elsewhere by the protocol."""
        if only_source(self.config).name != "world" or self.config.validate_data:
            return super().validate(module) if self.config.validate_data else {}
        pictures, depths = self._held_out
        protocol = self.config.protocol or self.protocol
        return held_out_score(
            module.network, pictures, depths, protocol=protocol, max_depth=self.options.max_depth
        )

    def rehearse(self, module: Any) -> None:
        """Only what is validated by the protocol has frames of its own to be read."""
        if self.config.validate_data:
            super().rehearse(module)

    @torch.no_grad()
    def pictures(self, module: Any, batch: Batch) -> np.ndarray | None:
        """Rows of: left, the left made from the right, disparity (near is bright)."""
        left, _ = module(batch["left"])
        made = sample_along_rows(batch["right"], -left[0])
        shown = disparity_picture(left[0])
        return picture_rows([batch["left"], made, shown])

    @cached_property
    def _held_out(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(HELD_OUT_SEED)
        count, size = self.config.validate_frames, self.config.sizes[0]
        made = render_pairs(rng, size, count, rig=self.options.rig)
        return made["left"], made["left_depth"]

    @cached_property
    def _rig(self) -> dict[str, float]:
        """Focal length as a share of the width, and baseline; empty where unknown."""
        return rig_of(self.config, self.options.rig)

    @property
    def _metres(self) -> dict[str, Any]:
        """Options under which the network gives metres; none where the rig is unknown."""
        return {"output": "depth", **self._rig} if self._rig else {}
