"""Depth Anything V1 and V2: a DINOv2 encoder under a DPT head, relative or metric.

Sources:
    Yang et al., Depth Anything: Unleashing the Power of Large-Scale Unlabeled Data, CVPR 2024.
    Yang et al., Depth Anything V2, NeurIPS 2024.

V1 and V2 are one network with the same tensor names; V1 reads the last four blocks (which its
authors later called unintentional), V2 reads four spread ones. The metric models end in a sigmoid
times ``max_depth`` metres, again with the same names, and ``max_depth`` is in no checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from leadline.errors import InputError
from leadline.models.base import DepthModule
from leadline.models.depth_anything_names import from_transformers
from leadline.models.dinov2 import ENCODERS, DinoV2, Positional, check_taps
from leadline.models.dpt import DPTHead, DPTOutputs, Pyramid, size_of


@dataclass(frozen=True, kw_only=True)
class EncoderHeadConfig:
    """An encoder and the head on it, as all networks of this family have them. Abstract.

    Attributes:
        encoder: key of :data:`leadline.models.dinov2.ENCODERS`.
        taps: the four blocks that the head reads, from 0.
        features: channels of the head's fusion paths.
        out_channels: channels of the four reassembled maps, fine to coarse.
    """

    encoder: str
    taps: tuple[int, int, int, int]
    features: int
    out_channels: tuple[int, int, int, int]

    def __post_init__(self) -> None:
        check_taps(self.encoder, self.taps)
        if len(self.out_channels) != 4 or min(self.out_channels) < 1 or self.features < 2:
            raise InputError(
                f"features={self.features}, out_channels={self.out_channels}: at least 2 features "
                "and four positive channel counts are needed."
            )


@dataclass(frozen=True, kw_only=True)
class DepthAnythingConfig(EncoderHeadConfig):
    """One variant of the network.

    Attributes:
        max_depth: metres at which the sigmoid saturates; None for a relative model.
        positional: see :data:`leadline.models.dinov2.Positional`.
    """

    max_depth: float | None = None
    positional: Positional = "scale"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_depth is not None and not self.max_depth > 0:
            raise InputError(
                f"max_depth={self.max_depth}: needs to be positive metres (20 for the indoor and "
                "80 for the outdoor models), or None for a relative model."
            )


HEADS: dict[str, dict[str, Any]] = {
    "vits": {"taps": (2, 5, 8, 11), "features": 64, "out_channels": (48, 96, 192, 384)},
    "vitb": {"taps": (2, 5, 8, 11), "features": 128, "out_channels": (96, 192, 384, 768)},
    "vitl": {"taps": (4, 11, 17, 23), "features": 256, "out_channels": (256, 512, 1024, 1024)},
    "vitg": {"taps": (9, 19, 29, 39), "features": 384, "out_channels": (1536,) * 4},
}
"""Encoder -> what the networks of this family put on it."""

_V2 = {size: DepthAnythingConfig(encoder=size, **head) for size, head in HEADS.items()}
_V1_TAPS = {"vits": (8, 9, 10, 11), "vitb": (8, 9, 10, 11), "vitl": (20, 21, 22, 23)}

CONFIGS: dict[str, DepthAnythingConfig] = {
    **{
        f"depth-anything-v1-{size}": replace(_V2[size], taps=taps)
        for size, taps in _V1_TAPS.items()
    },
    **{f"depth-anything-v2-{size}": config for size, config in _V2.items()},
    **{
        f"depth-anything-v2-metric-{place}-{size}": replace(_V2[size], max_depth=max_depth)
        for place, max_depth in (("indoor", 20.0), ("outdoor", 80.0))
        for size in ("vits", "vitb", "vitl")
    },
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
        scratch = self.depth_head.scratch
        # Nothing holds the pyramid, or a map of the head, longer than the next step needs it.
        features = scratch.last_features(
            scratch.output_conv1(self._fuse(batch).paths[-1]), size_of(batch)
        )
        return self._finish(features)

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename transformers' tensors, saved or in memory, to the originals' names."""
        return from_transformers(state_dict)

    def forward_all(self, batch: Tensor) -> DPTOutputs:
        """The map together with the head's inner maps."""
        scratch, pyramid = self.depth_head.scratch, self._fuse(batch)
        features = scratch.last_features(scratch.output_conv1(pyramid.paths[-1]), size_of(batch))
        depth = self._finish(features)
        return DPTOutputs(depth, features, pyramid.levels[-1], pyramid.paths)

    def _fuse(self, batch: Tensor) -> Pyramid:
        self.check_batch(batch)
        h, w = size_of(batch)
        tokens = self.pretrained(batch, self.config.taps)
        return self.depth_head.scratch.fuse(self.depth_head.reassemble(tokens, (h // 14, w // 14)))

    def _finish(self, features: Tensor) -> Tensor:
        """(b, 32, h, w) -> disparity or metres, (b, h, w)."""
        depth = self.depth_head.scratch.predict(features).squeeze(1)
        return depth if self.config.max_depth is None else depth * self.config.max_depth
