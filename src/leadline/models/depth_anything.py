"""Depth Anything V1 and V2: a DINOv2 encoder under a DPT head, relative or metric.

Sources:
    Yang et al., Depth Anything: Unleashing the Power of Large-Scale Unlabeled Data, CVPR 2024.
    Yang et al., Depth Anything V2, NeurIPS 2024.

V1 and V2 are one network with the same tensor names; V1 reads the last four blocks (which its
authors later called unintentional), V2 reads four spread ones. The metric models end in a sigmoid
times ``max_depth`` metres, again with the same names, and ``max_depth`` is in no checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from leadline.errors import InputError, UnknownNameError
from leadline.models.base import DepthModule
from leadline.models.depth_anything_names import from_transformers
from leadline.models.dinov2 import ENCODERS, DinoV2, Positional
from leadline.models.dpt import DPTHead, DPTOutputs


def check_head(
    encoder: str, taps: Sequence[int], features: int, out_channels: Sequence[int]
) -> None:
    """Refuse an encoder that does not exist and a head that does not fit to it.

    Raises:
        UnknownNameError: ``encoder`` is no key of :data:`leadline.models.dinov2.ENCODERS`.
        InputError: ``taps`` are not four of its blocks, or channel counts are impossible.
    """
    if encoder not in ENCODERS:
        raise UnknownNameError("encoder", encoder, ENCODERS)
    depth = ENCODERS[encoder].depth
    if len(taps) != 4 or list(taps) != sorted(set(taps)) or not 0 <= taps[0] <= taps[-1] < depth:
        raise InputError(
            f"taps={taps}: four increasing block numbers from 0 to {depth - 1} are needed for "
            f"{encoder}."
        )
    if len(out_channels) != 4 or min(out_channels) < 1 or features < 2:
        raise InputError(
            f"features={features}, out_channels={out_channels}: at least 2 features and four "
            "positive channel counts are needed."
        )


@dataclass(frozen=True, kw_only=True)
class DepthAnythingConfig:
    """One variant of the network.

    Attributes:
        encoder: key of :data:`leadline.models.dinov2.ENCODERS`.
        taps: the four blocks that the head reads, from 0.
        features: channels of the head's fusion paths.
        out_channels: channels of the four reassembled maps, fine to coarse.
        max_depth: metres at which the sigmoid saturates; None for a relative model.
        positional: see :data:`leadline.models.dinov2.Positional`.
    """

    encoder: str
    taps: tuple[int, int, int, int]
    features: int
    out_channels: tuple[int, int, int, int]
    max_depth: float | None = None
    positional: Positional = "scale"

    def __post_init__(self) -> None:
        check_head(self.encoder, self.taps, self.features, self.out_channels)
        if self.max_depth is not None and not self.max_depth > 0:
            raise InputError(
                f"max_depth={self.max_depth}: needs to be positive metres (20 for the indoor and "
                "80 for the outdoor models), or None for a relative model."
            )


_SMALL = DepthAnythingConfig(
    encoder="vits", taps=(2, 5, 8, 11), features=64, out_channels=(48, 96, 192, 384)
)
_BASE = DepthAnythingConfig(
    encoder="vitb", taps=(2, 5, 8, 11), features=128, out_channels=(96, 192, 384, 768)
)
_LARGE = DepthAnythingConfig(
    encoder="vitl", taps=(4, 11, 17, 23), features=256, out_channels=(256, 512, 1024, 1024)
)
_GIANT = DepthAnythingConfig(
    encoder="vitg", taps=(9, 19, 29, 39), features=384, out_channels=(1536, 1536, 1536, 1536)
)

CONFIGS: dict[str, DepthAnythingConfig] = {
    "depth-anything-v1-vits": replace(_SMALL, taps=(8, 9, 10, 11)),
    "depth-anything-v1-vitb": replace(_BASE, taps=(8, 9, 10, 11)),
    "depth-anything-v1-vitl": replace(_LARGE, taps=(20, 21, 22, 23)),
    "depth-anything-v2-vits": _SMALL,
    "depth-anything-v2-vitb": _BASE,
    "depth-anything-v2-vitl": _LARGE,
    "depth-anything-v2-vitg": _GIANT,
    "depth-anything-v2-metric-indoor-vits": replace(_SMALL, max_depth=20.0),
    "depth-anything-v2-metric-indoor-vitb": replace(_BASE, max_depth=20.0),
    "depth-anything-v2-metric-indoor-vitl": replace(_LARGE, max_depth=20.0),
    "depth-anything-v2-metric-outdoor-vits": replace(_SMALL, max_depth=80.0),
    "depth-anything-v2-metric-outdoor-vitb": replace(_BASE, max_depth=80.0),
    "depth-anything-v2-metric-outdoor-vitl": replace(_LARGE, max_depth=80.0),
}


class DepthAnything(DepthModule):
    """Depth Anything V1 or V2.

    A relative model gives disparity up to a scale and a shift (larger = nearer); a metric one
    gives metres along the optical axis in (0, max_depth).
    """

    multiple_of: ClassVar[int] = 14
    encoder_names: ClassVar[tuple[str, ...]] = ("pretrained",)

    def __init__(self, config: DepthAnythingConfig) -> None:
        super().__init__()
        self.config = config
        encoder = ENCODERS[config.encoder]
        self.pretrained = DinoV2(encoder, positional=config.positional)
        self.depth_head = DPTHead(
            encoder.width,
            features=config.features,
            out_channels=config.out_channels,
            bounded=config.max_depth is not None,
        )

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w), sides multiples of 14 -> (b, h, w)."""
        return self.forward_all(batch).depth

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename transformers' tensors, saved or in memory, to the originals' names."""
        return from_transformers(state_dict)

    def forward_all(self, batch: Tensor) -> DPTOutputs:
        """The map together with the head's inner maps."""
        self.check_batch(batch)
        h, w = batch.shape[-2:]
        head = self.depth_head
        tokens = self.pretrained(batch, self.config.taps)
        pyramid = head.scratch.fuse(head.reassemble(tokens, (h // 14, w // 14)))
        features = head.scratch.last_features(pyramid.paths[-1], (h, w))
        depth = head.scratch.predict(features).squeeze(1)
        if self.config.max_depth is not None:
            depth = depth * self.config.max_depth
        return DPTOutputs(depth, features, pyramid.levels[-1], pyramid.paths)
