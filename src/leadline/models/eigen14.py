"""Eigen 2014: the first deep network for depth from one picture, in two stacks.

Source: Eigen, Puhrsch, Fergus, Depth Map Prediction from a Single Image using a Multi-Scale Deep
Network, NIPS 2014; layer details from the authors' released description of the network.

The coarse stack sees the whole picture through fully connected layers: it knows where the floor,
the vanishing point and the large objects are, and draws a blurred map. The fine stack sees 9x9
pixels at a time; the coarse map *replaces the first of its 64 channels*, and the fine stack moves
its edges to where the picture has them. Depth is predicted as a logarithm, so an error of 10 %
costs the same near and far.

Input: RGB in [0, 1], exactly 228x304 (NYU) or 172x576 (KITTI); each stack normalises in its own
way. Output: metres, one value per 4x4 pixels of the part of the picture that the map covers:
(b, 55, 74) or (b, 27, 142).

Where the sources disagree:

- Pooling. The paper says 2x2; the released description has 3x3 with stride 2, and only that gives
  the paper's sizes (27x37, 13x18, 6x8). It is 3x3 here.
- KITTI's rows. The paper's table gives the fine stack 27 rows; its arithmetic gives 41. The 27 are
  the 14th to the 40th: at 4 pixels each they cover rows 61 to 169 of the 184 of a halved KITTI
  frame (the 172 used are its middle), and the published evaluation crop, 0.332 to 0.914 of the
  height, is rows 61 to 168. Columns agree in the same way (142 of 142). So the fine stack is
  cropped after its first layer, where the coarse map joins.
- The logarithm's scale. The network predicts log(depth in metres) / std with the std of NYU's
  training set. KITTI's was not published; the numbers here are round ones, to be set from data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.errors import InputError
from leadline.models.base import DepthModule
from leadline.ops import sample


@dataclass(frozen=True, kw_only=True)
class Eigen14Config:
    """One variant of the network.

    Attributes:
        size: (height, width) of the input.
        fine_rows: which rows of the fine stack's first layer are kept, first and past the last;
            None keeps all.
        log_depth_mean, log_depth_std: of the natural logarithm of metres over the training set;
            the network's output times the std is log depth, and an untrained network predicts
            the mean.
        output: what calling the module gives: metres, or their natural logarithm.
        full_frame: spread the map over the whole input at a quarter of its size, with NaN where
            the network says nothing. Off, the map has the paper's size and covers less than the
            picture.
    """

    size: tuple[int, int] = (228, 304)
    fine_rows: tuple[int, int] | None = None
    log_depth_mean: float = 0.82473954
    log_depth_std: float = 0.45723134
    output: Literal["depth", "log_depth"] = "depth"
    full_frame: bool = False

    def __post_init__(self) -> None:
        if self.output not in ("depth", "log_depth"):
            raise InputError(f"output={self.output!r}: 'depth' or 'log_depth' is needed.")
        if not self.log_depth_std > 0:
            raise InputError(
                f"log_depth_std={self.log_depth_std}: a positive number is needed; it is the "
                "standard deviation of log(metres) over the training set."
            )
        if min(self.size) < 128:
            raise InputError(
                f"size={self.size}: at least 128 pixels on each side are needed for the coarse "
                "stack's three poolings."
            )


CONFIGS: dict[str, Eigen14Config] = {
    "eigen14-nyu": Eigen14Config(),
    "eigen14-kitti": Eigen14Config(
        size=(172, 576), fine_rows=(13, 40), log_depth_mean=2.6, log_depth_std=0.7
    ),
}


class Eigen14Outputs(NamedTuple):
    """Everything the network gives, at the paper's size.

    Attributes:
        log_depth: (b, h, w), natural logarithm of metres, after the fine stack.
        coarse_log_depth: (b, h, w), of the coarse stack alone: the first stage of training.
        depth: (b, h, w) metres.
    """

    log_depth: Tensor
    coarse_log_depth: Tensor
    depth: Tensor


class Eigen14(DepthModule):
    """Coarse and fine stack."""

    def __init__(self, config: Eigen14Config) -> None:
        super().__init__()
        self.config = config
        rows, columns = _fine_size(config.size)
        first, past = config.fine_rows or (0, rows)
        if not 0 <= first < past <= rows:
            raise InputError(
                f"fine_rows={config.fine_rows}: rows within 0 to {rows} are needed for an input "
                f"of {config.size[0]}x{config.size[1]} pixels."
            )
        self.rows = slice(first, past)
        self.map_size = (past - first, columns)
        self.only_size = config.size
        self.coarse = CoarseStack(config.size, self.map_size)
        self.fine = FineStack(config.size)
        self._initialise()

    def forward(self, batch: Tensor) -> Tensor:
        """(b, 3, h, w) RGB in [0, 1] -> (b, h', w') metres or log metres; see ``full_frame``."""
        outputs = self.forward_all(batch)
        result = outputs.log_depth if self.config.output == "log_depth" else outputs.depth
        return self._over_whole_frame(result) if self.config.full_frame else result

    def forward_all(self, batch: Tensor) -> Eigen14Outputs:
        """Both stacks' maps."""
        self.check_batch(batch)
        pixels = batch * 255
        coarse = self.coarse(pixels - 128)  # (b, 1, 55, 74)
        fine = self.fine((pixels - 109.31410628) / 76.18328376, coarse, self.rows)
        std = self.config.log_depth_std
        log_depth, coarse_log_depth = fine.squeeze(1) * std, coarse.squeeze(1) * std
        return Eigen14Outputs(log_depth, coarse_log_depth, log_depth.exp())

    def freeze_coarse(self, frozen: bool = True) -> None:
        """The second stage of training, in which only the fine stack learns; False: the first."""
        self.coarse.requires_grad_(not frozen)
        self.coarse.train(not frozen)

    def parameter_groups(self, rate: float = 1.0) -> list[dict[str, Any]]:
        """Groups for ``torch.optim.SGD(..., momentum=0.9)`` with the paper's rates and decays.

        Args:
            rate: one factor on all rates, which the authors tuned within a factor of 5.

        Source: the paper, section 3.4; weight decay from the released description.
        """
        coarse, fine = self.coarse, self.fine
        convolutions = [coarse.conv1, coarse.conv2, coarse.conv3, coarse.conv4, coarse.conv5]
        groups = (
            (convolutions, 1e-3, 5e-4),
            ([coarse.full1, coarse.full2], 1e-1, 1e-4),
            ([fine.conv1, fine.conv3], 1e-3, 1e-4),
            ([fine.conv2], 1e-2, 1e-4),
        )
        return [
            {
                "params": [p for layer in layers for p in layer.parameters()],
                "lr": rate * lr,
                "weight_decay": decay,
            }
            for layers, lr, decay in groups
        ]

    def check_size(self, height: int, width: int) -> None:
        """Fully connected layers fix the size."""
        if (height, width) != self.config.size:
            needed = f"{self.config.size[0]}x{self.config.size[1]}"
            raise InputError(
                f"{self.name or 'Eigen14'} was given pictures of {height}x{width} pixels (height x "
                f"width); its fully connected layers need exactly {needed}. Resize, or use the "
                "model's own preprocessing."
            )

    def _over_whole_frame(self, values: Tensor) -> Tensor:
        """(b, h', w') -> (b, h / 4, w / 4) over the whole input; NaN outside the map.

        Cell i of the fine stack looks at pixel 4 i + 5, as the training targets do.
        """
        height, width = self.config.size
        rows = _cells(height, values) - self.rows.start
        columns = _cells(width, values)
        h, w = self.map_size
        y, x = torch.meshgrid(2 * rows / (h - 1) - 1, 2 * columns / (w - 1) - 1, indexing="ij")
        places = torch.stack([x, y], dim=-1).expand(values.shape[0], -1, -1, -1)
        spread = sample(values[:, None], places, outside="edge").squeeze(1)
        known_y = (rows > -1) & (rows < h)  # the outer half of the last cells, and a little more
        known_x = (columns > -1) & (columns < w)
        known = known_y[:, None] & known_x[None, :]
        return torch.where(known, spread, torch.full_like(spread, torch.nan))

    def _initialise(self) -> None:
        nn.init.normal_(self.coarse.full1.weight, std=0.01)
        nn.init.uniform_(self.coarse.full2.weight, -0.005, 0.005)
        nn.init.normal_(self.fine.conv1.weight, std=0.001)
        start = self.config.log_depth_mean / self.config.log_depth_std
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                last = name in ("coarse.full2.bias", "fine.conv3.bias")
                nn.init.constant_(parameter, start if last else 0.0)


class CoarseStack(nn.Module):
    """AlexNet's convolutions and two fully connected layers: the whole picture to one map.

    ``conv1`` to ``conv5`` start from an ImageNet classifier in the paper.
    """

    def __init__(self, size: tuple[int, int], map_size: tuple[int, int]) -> None:
        super().__init__()
        self.map_size = map_size
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4, padding=_paddings(size, 11, 4))
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1)
        h, w = (_pooled(_pooled(_pooled(side))) for side in _strided(size, 11, 4))  # 6, 8
        self.full1 = nn.Linear(256 * h * w, 4096)
        self.dropout = nn.Dropout(0.5)
        self.full2 = nn.Linear(4096, map_size[0] * map_size[1])

    def forward(self, x: Tensor) -> Tensor:
        """(b, 3, h, w), 0..255 minus 128 -> (b, 1, h', w') log depth over its std."""
        x = _normalise_across(F.relu(_pool(self.conv1(x))))  # (b, 96, 27, 37)
        x = _normalise_across(F.relu(_pool(self.conv2(x))))  # (b, 256, 13, 18)
        x = F.relu(self.conv3(x))
        x = F.relu(self.conv4(x))
        x = F.relu(_pool(self.conv5(x)))  # (b, 256, 6, 8)
        x = F.relu(self.full1(0.01 * x.flatten(1)))
        x = self.full2(self.dropout(x))
        return x.reshape(-1, 1, *self.map_size)


class FineStack(nn.Module):
    """Three convolutions at a quarter of the picture's size; the coarse map is their channel 0."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 9, stride=2, padding=_paddings(size, 9, 2))
        self.conv2 = nn.Conv2d(64, 64, 5, padding=2)
        self.conv3 = nn.Conv2d(64, 1, 5, padding=2)

    def forward(self, x: Tensor, coarse: Tensor, rows: slice) -> Tensor:
        """Normalised picture and (b, 1, h', w') coarse map -> (b, 1, h', w')."""
        x = _pool(F.relu(self.conv1(x)))[:, :, rows]  # (b, 64, 55, 74)
        x = torch.cat([coarse, x[:, 1:]], dim=1)  # its first channel is thrown away
        return self.conv3(F.relu(self.conv2(x)))

    def repeat_coarse(self) -> None:
        """Weights that give the coarse map as it is, where it is above 1 m, until they learn.

        With random ones the stack first has to find again what the coarse one knows.
        """
        with torch.no_grad():
            self.conv2.weight[0] = 0
            self.conv3.weight.zero_()
            for layer in (self.conv2, self.conv3):
                layer.weight[0, 0, 2, 2] = 1
                if layer.bias is not None:
                    layer.bias.zero_()


def _normalise_across(x: Tensor) -> Tensor:
    """Local response normalisation over 5 channels: x * (2 + 1e-4 * sum of squares)**-0.75."""
    squares = F.pad(x.square(), (0, 0, 0, 0, 2, 2))
    channels = x.shape[1]
    total = sum(squares[:, i : i + channels] for i in range(5))
    return x * (2 + 1e-4 * total) ** -0.75


def _pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=2)


def _pooled(side: int) -> int:
    return (side - 3) // 2 + 1


def _padding(side: int, kernel: int, stride: int) -> int:
    """The original's rule for strided layers: half of what the last window lacks, rounded up."""
    lacking = -(-(side - kernel) // stride) * stride + kernel - side
    return -(-lacking // 2)


def _paddings(size: tuple[int, int], kernel: int, stride: int) -> tuple[int, int]:
    return _padding(size[0], kernel, stride), _padding(size[1], kernel, stride)


def _strided(size: tuple[int, int], kernel: int, stride: int) -> tuple[int, int]:
    pad_h, pad_w = _paddings(size, kernel, stride)
    return (
        (size[0] + 2 * pad_h - kernel) // stride + 1,
        (size[1] + 2 * pad_w - kernel) // stride + 1,
    )


def _fine_size(size: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of the fine stack's first layer."""
    h, w = _strided(size, 9, 2)
    return _pooled(h), _pooled(w)


def _cells(side: int, like: Tensor) -> Tensor:
    """Fine-stack coordinates of the centres of the blocks of 4 pixels along ``side`` pixels."""
    pixels = 4 * torch.arange(side // 4, dtype=like.dtype, device=like.device) + 1.5
    first = 6 - _padding(side, 9, 2)  # the pixel that cell 0 is centred on: 9x9, then 3x3 at half
    return (pixels - first) / 4
