"""Prompt Depth Anything: Depth Anything V2 whose decoder reads a coarse metric depth map.

Source: Lin et al., Prompting Depth Anything for 4K Resolution Accurate Metric Depth Estimation,
CVPR 2025, section 3.

The network is Depth Anything V2 with a small convolutional branch in each fusion block. The prompt,
such as a phone's LiDAR map, is scaled to its own range, and so is the result, so that every depth
lies within the prompt's nearest and farthest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from leadline.errors import InputError
from leadline.models.base import DepthModule
from leadline.models.depth_anything import HEADS, EncoderHeadConfig
from leadline.models.depth_anything_names import from_transformers
from leadline.models.dinov2 import ENCODERS, DinoV2, Positional
from leadline.models.dpt import DPTHead

_MARK = "pretrained.cls_token"


@dataclass(frozen=True, kw_only=True)
class PromptDepthAnythingConfig(EncoderHeadConfig):
    """One variant of the network.

    Attributes:
        bounded: end in a sigmoid, as all published models do, in place of a ReLU.
        positional: see :data:`leadline.models.dinov2.Positional`. The default is transformers'
            rule, since the published files in its layout come with its preprocessing; ``scale`` is
            the original code's.
    """

    bounded: bool = True
    positional: Positional = "size"


CONFIGS: dict[str, PromptDepthAnythingConfig] = {
    f"prompt-depth-anything-{size}": PromptDepthAnythingConfig(encoder=size, **HEADS[size])
    for size in ("vits", "vitl")
}


class PromptDepthAnything(DepthModule):
    """Prompt Depth Anything: metres that follow a picture's edges and a coarse map's values."""

    multiple_of: ClassVar[int] = 14

    def __init__(self, config: PromptDepthAnythingConfig) -> None:
        super().__init__()
        self.config = config
        encoder = ENCODERS[config.encoder]
        self.pretrained = DinoV2(encoder, positional=config.positional)
        self.depth_head = DPTHead(
            encoder.width,
            features=config.features,
            out_channels=config.out_channels,
            bounded=config.bounded,
            prompted=True,
        )

    def forward(self, batch: Tensor) -> Tensor:
        """The network without a prompt: (b, 3, h, w), sides multiples of 14 -> (b, h, w).

        Numbers from 0 to 1 of no defined unit, as transformers gives them; the original code
        refuses. Use :meth:`outputs` for metres.
        """
        return self._predict(batch, None)

    def outputs(self, image: Tensor, prompt_depth: Tensor | None = None) -> dict[str, Tensor]:
        """Return every output by name.

        Args:
            image: (b, 3, h, w), normalised; sides multiples of 14.
            prompt_depth: (b, h', w') or (b, 1, h', w'), metres, without holes, at any size; it
                covers the picture. None: see :meth:`forward`.

        Returns:
            ``depth``: (b, h, w), metres within each prompt's own range.

        Raises:
            InputError: the prompt does not belong to this batch.
        """
        if prompt_depth is None:
            return {"depth": self(image)}
        prompt = self._check_prompt(prompt_depth, image.shape[0])
        nearest, farthest = torch.aminmax(prompt.flatten(1), dim=1)
        nearest, span = nearest[:, None, None], (farthest - nearest)[:, None, None]
        divisor = torch.where(span > 0, span, 1)  # of a constant prompt: the result is constant
        depth = self._predict(image, ((prompt - nearest) / divisor)[:, None])
        return {"depth": depth * span + nearest}

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename transformers' tensors, and take the training wrapper's name off the originals'."""
        prefix = next((n[: -len(_MARK)] for n in state_dict if n.endswith(_MARK)), "")
        if prefix and all(name.startswith(prefix) for name in state_dict):
            return {name[len(prefix) :]: tensor for name, tensor in state_dict.items()}
        return from_transformers(state_dict)

    def _predict(self, batch: Tensor, prompt: Tensor | None) -> Tensor:
        """(b, 3, h, w), and (b, 1, h', w') from 0 to 1 or None -> (b, h, w)."""
        self.check_batch(batch)
        h, w = batch.shape[-2:]
        head = self.depth_head
        tokens = self.pretrained(batch, self.config.taps)
        pyramid = head.scratch.fuse(head.reassemble(tokens, (h // 14, w // 14)), prompt)
        features = head.scratch.last_features(head.scratch.output_conv1(pyramid.paths[-1]), (h, w))
        return head.scratch.predict(features).squeeze(1)

    def _check_prompt(self, prompt: Tensor, pictures: int) -> Tensor:
        if prompt.ndim == 4 and prompt.shape[1] == 1:
            prompt = prompt.squeeze(1)
        if prompt.ndim != 3 or prompt.shape[0] != pictures:
            raise InputError(
                f"{self.name or 'Prompt Depth Anything'} was given a prompt of shape "
                f"{tuple(prompt.shape)} for {pictures} pictures; (b, h, w) metres, one map for "
                "each picture, are needed. The map may have any size."
            )
        return prompt
