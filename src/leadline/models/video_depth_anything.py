"""Video Depth Anything: Depth Anything V2 whose head also attends over time.

Source: Chen et al., Video Depth Anything: Consistent Depth Estimation for Super-Long Videos, CVPR
2025.

The encoder reads every frame by itself. Four temporal modules in the head let each place of a map
attend to the same place in the other frames of the clip. Relative and metric models are one network
with the same tensor names: the first gives disparity up to one scale and shift per clip, the second
metres, and no checkpoint says which it is. :mod:`leadline.video` joins clips to films.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from leadline.errors import InputError
from leadline.models.base import DepthModule
from leadline.models.depth_anything import HEADS, EncoderHeadConfig
from leadline.models.dinov2 import ENCODERS, DinoV2, Positional
from leadline.models.dpt import DPTHead, Size, size_of
from leadline.models.video_depth_anything_layers import (
    GROUPS,
    MEMORIES,
    FrameMemory,
    MotionModule,
    frame_positions,
)

_TOGETHER = 4  # frames that pass at once through what does not look along time; bounds the memory


@dataclass(frozen=True, kw_only=True)
class VideoDepthAnythingConfig(EncoderHeadConfig):
    """One variant of the network; features and the last two out_channels are multiples of 32.

    Attributes:
        frames: the longest clip, and the length of the temporal modules' table of positions.
        positional: see :data:`leadline.models.dinov2.Positional`.
    """

    frames: int = 32
    positional: Positional = "scale"

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(channels % GROUPS for channels in self.temporal_channels):
            raise InputError(
                f"features={self.features}, out_channels={self.out_channels}: the temporal modules "
                f"need features and the last two channel counts in multiples of {GROUPS}."
            )
        if self.frames < 4:
            raise InputError(
                f"frames={self.frames}: at least 4 are needed; the published models have 32."
            )

    @property
    def temporal_channels(self) -> tuple[int, int, int, int]:
        """Channels that each of the four temporal modules works on."""
        return (*self.out_channels[2:], self.features, self.features)


CONFIGS: dict[str, VideoDepthAnythingConfig] = {
    f"video-depth-anything-{kind}{size}": VideoDepthAnythingConfig(encoder=size, **HEADS[size])
    for kind in ("", "metric-")
    for size in ("vits", "vitb", "vitl")
}


class VideoHead(DPTHead):
    """Depth Anything's head with temporal modules before and behind its coarsest fusions.

    Args:
        width: channels of a token.
        config: of the network.
    """

    def __init__(self, width: int, config: VideoDepthAnythingConfig) -> None:
        super().__init__(
            width, features=config.features, out_channels=config.out_channels, bounded=False
        )
        self.motion_modules = nn.ModuleList(
            MotionModule(channels, config.frames) for channels in config.temporal_channels
        )

    def forward(
        self, maps: Sequence[Tensor], size: Size, count: int, memories: Sequence[FrameMemory | None]
    ) -> Tensor:
        """Reassembled maps (b * count, c_i, h_i, w_i), fine to coarse -> (b * count, *size)."""
        scratch = self.scratch
        map1, map2, map3, map4 = maps

        def mix(number: int, x: Tensor) -> Tensor:
            return self.motion_modules[number](x, count, memories[2 * number : 2 * number + 2])

        def finish(path: Tensor, map2: Tensor, map1: Tensor) -> tuple[Tensor]:
            levels = scratch.layer2_rn(map2), scratch.layer1_rn(map1)
            path = scratch.fuse_fine(path, *levels)[-1]
            features = scratch.last_features(scratch.output_conv1(path), size)
            return (scratch.predict(features).squeeze(1),)

        level3, level4 = scratch.layer3_rn(mix(0, map3)), scratch.layer4_rn(mix(1, map4))
        path = mix(2, scratch.refinenet4(level4, None, size_of(level3)))
        path = mix(3, scratch.refinenet3(path, level3, size_of(map2)))
        return _in_parts(finish, path, map2, map1)[0]


class VideoDepthAnything(DepthModule):
    """Video Depth Anything, relative or metric.

    A relative model gives disparity up to one scale and shift per clip (larger = nearer), a metric
    one metres along the optical axis. Which of the two a checkpoint is, only its file's name says.
    """

    multiple_of: ClassVar[int] = 14

    def __init__(self, config: VideoDepthAnythingConfig) -> None:
        super().__init__()
        self.config = config
        encoder = ENCODERS[config.encoder]
        self.pretrained = DinoV2(encoder, positional=config.positional)
        self.head = VideoHead(encoder.width, config)

    def forward(self, batch: Tensor) -> Tensor:
        """Predict clips, or single pictures, each of which is then a clip of one frame.

        Args:
            batch: (b, t, 3, h, w) clips of at most ``config.frames`` frames, or (b, 3, h, w)
                pictures that know nothing of each other; sides are multiples of 14.

        Returns:
            (b, t, h, w), or (b, h, w).

        Raises:
            InputError: another shape, or too many frames.
        """
        if batch.ndim == 4:
            return self.predict_clip(batch.unsqueeze(1)).squeeze(1)
        return self.predict_clip(batch)

    def predict_clip(
        self, clip: Tensor, memories: Sequence[FrameMemory | None] = (None,) * MEMORIES
    ) -> Tensor:
        """(b, t, 3, h, w) -> (b, t, h, w).

        Args:
            clip: see :meth:`forward`.
            memories: one for each temporal attention, which then attends to earlier frames too;
                t is 1. See :class:`DepthStream`.
        """
        self._check_clip(clip)
        b, t, _, h, w = clip.shape
        maps = _in_parts(self._reassemble, clip.flatten(0, 1))
        return self.head(maps, (h, w), t, memories).unflatten(0, (b, t))

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Add the tables of frame positions, which are constants, where they are missing."""
        tables = {
            name: frame_positions(*table.shape[1:], device=torch.device("cpu"))
            for name, table in self.state_dict().items()
            if name.endswith(".pos_encoder.pe")
            and (name not in state_dict or state_dict[name].is_meta)
        }
        return {**state_dict, **tables}

    def _reassemble(self, frames: Tensor) -> tuple[Tensor, ...]:
        """(n, 3, h, w) -> the head's four maps, fine to coarse."""
        h, w = size_of(frames)
        tokens = self.pretrained(frames, self.config.taps)
        return tuple(self.head.reassemble(tokens, (h // 14, w // 14)))

    def _check_clip(self, clip: Tensor) -> None:
        if clip.ndim != 5 or clip.shape[2] != 3:
            shape = tuple(clip.shape)
            raise InputError(
                f"{type(self).__name__} was given a batch of shape {shape}; (b, t, 3, h, w) clips "
                "or (b, 3, h, w) pictures in RGB are needed; add the first axis with x[None]."
            )
        if not 1 <= clip.shape[1] <= self.config.frames:
            raise InputError(
                f"{type(self).__name__} was given clips of {clip.shape[1]} frames; 1 to "
                f"{self.config.frames} are needed. leadline.video.predict_windows takes longer "
                "films."
            )
        self.check_size(clip.shape[3], clip.shape[4])


class DepthStream:
    """Depth of a film while it runs: each frame as it comes, from it and earlier ones alone.

    The network was trained on whole clips, so this is less accurate than windows of them (the
    authors report delta1 0.836 in place of 0.926 on ScanNet), and nothing aligns its maps. Run it
    in ``torch.inference_mode()``: it keeps the inputs of eight attentions for 42 frames.

    Args:
        module: the network.

    Source: Video Depth Anything's streaming mode, which its authors call experimental.
    """

    def __init__(self, module: VideoDepthAnything) -> None:
        self.module = module
        self.reset()

    def reset(self) -> None:
        """Forget all frames; the next one is the first of another film."""
        self._memories = [FrameMemory(self.module.config.frames) for _ in range(MEMORIES)]
        self._shape: tuple[int, ...] | None = None

    def predict(self, frame: Tensor) -> Tensor:
        """The next frame of b films, (b, 3, h, w) -> (b, h, w).

        Raises:
            InputError: another shape than that of the frames before.
        """
        shape = tuple(frame.shape)
        if self._shape not in (None, shape):
            raise InputError(
                f"a frame of shape {shape} follows frames of shape {self._shape}; one shape is "
                "needed. Resize it, or call reset() where another film begins."
            )
        depth = self.module.predict_clip(frame.unsqueeze(1), self._memories).squeeze(1)
        self._shape = shape
        return depth


def _in_parts(function: Callable[..., tuple[Tensor, ...]], *inputs: Tensor) -> tuple[Tensor, ...]:
    """``function`` of a few frames at a time: the same outputs in less memory."""
    if torch.compiler.is_compiling() or len(inputs[0]) <= _TOGETHER:
        return function(*inputs)
    parts = zip(*(x.split(_TOGETHER) for x in inputs), strict=True)
    return tuple(torch.cat(some) for some in zip(*(function(*p) for p in parts), strict=True))
