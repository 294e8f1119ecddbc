"""Depth Anything 3's variants: sizes of the any-view, the sky and the nested networks.

Source: Lin et al., Depth Anything 3, 2025 (arXiv:2511.10647), and the published configurations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from leadline.errors import InputError, UnknownNameError
from leadline.models.depth_anything_3_encoder import RefViewStrategy
from leadline.models.dinov2 import ENCODERS, check_taps


@dataclass(frozen=True, kw_only=True)
class SkyConfig:
    """The network with a sky head.

    Attributes:
        encoder: key of :data:`leadline.models.dinov2.ENCODERS`.
        taps: the four blocks that the head reads, from 0.
        features: channels of the head's fusion paths.
        out_channels: channels of the four reassembled maps, fine to coarse.
    """

    encoder: str = "vitl"
    taps: tuple[int, int, int, int] = (4, 11, 17, 23)
    features: int = 256
    out_channels: tuple[int, int, int, int] = (256, 512, 1024, 1024)

    def __post_init__(self) -> None:
        check_taps(self.encoder, self.taps)
        channels = (*self.out_channels, self.features)
        if len(channels) != 5 or any(c < 4 or c % 4 for c in channels):
            raise InputError(
                f"features={self.features}, out_channels={self.out_channels}: one and four "
                "positive multiples of 4 are needed."
            )


@dataclass(frozen=True, kw_only=True)
class AnyViewConfig(SkyConfig):
    """The any-view network.

    Attributes:
        alternate_from: the first block with rotary positions; from there on odd blocks see all
            views.
        ref_view_strategy: see :data:`leadline.models.depth_anything_3_encoder.RefViewStrategy`.
        export_feat_layers: blocks whose normalised patch tokens ``outputs`` gives too, as
            ``feat_layer_N``.
    """

    alternate_from: int = 8
    taps: tuple[int, int, int, int] = (11, 15, 19, 23)
    ref_view_strategy: RefViewStrategy = "saddle_balanced"
    export_feat_layers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        depth = ENCODERS[self.encoder].depth
        if not 2 <= self.alternate_from <= self.taps[0]:
            raise InputError(
                f"alternate_from={self.alternate_from}: a block from 2 to the first tap, "
                f"{self.taps[0]}, is needed."
            )
        if self.ref_view_strategy not in get_args(RefViewStrategy):
            raise UnknownNameError(
                "reference view strategy", self.ref_view_strategy, get_args(RefViewStrategy)
            )
        if any(not 0 <= layer < depth for layer in self.export_feat_layers):
            raise InputError(
                f"export_feat_layers={self.export_feat_layers}: blocks from 0 to {depth - 1} are "
                "needed."
            )


_GIANT = AnyViewConfig(encoder="vitg", alternate_from=13, taps=(19, 27, 33, 39))


@dataclass(frozen=True, kw_only=True)
class NestedConfig:
    """The nested network.

    Attributes:
        any_view: gives depth, cameras and rays up to a scale.
        metric: gives the scale, and the sky.
    """

    any_view: AnyViewConfig = _GIANT
    metric: SkyConfig = field(default_factory=SkyConfig)


Config = SkyConfig | AnyViewConfig | NestedConfig

CONFIGS: dict[str, Config] = {
    "da3-small": AnyViewConfig(
        encoder="vits",
        alternate_from=4,
        taps=(5, 7, 9, 11),
        features=64,
        out_channels=(48, 96, 192, 384),
    ),
    "da3-base": AnyViewConfig(
        encoder="vitb",
        alternate_from=4,
        taps=(5, 7, 9, 11),
        features=128,
        out_channels=(96, 192, 384, 768),
    ),
    "da3-large": AnyViewConfig(),
    "da3-giant": _GIANT,
    "da3mono-large": SkyConfig(),
    "da3metric-large": SkyConfig(),
    "da3nested-giant-large": NestedConfig(),
}
