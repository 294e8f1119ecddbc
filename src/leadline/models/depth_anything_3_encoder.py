"""Depth Anything 3's encoder: DINOv2 whose later blocks look by turns at one view and at all.

Source: Lin et al., Depth Anything 3: Recovering the Visual Space from Any Views, 2025
(arXiv:2511.10647), section 3; Su et al., RoFormer, 2021 (rotary positions, here in two dimensions);
Henry et al., Query-Key Normalization for Transformers, 2020.

Tensors of tokens are (b, v, 1 + n, c): batch, views, the class or camera token and the patches of a
view, channels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.models.dinov2 import Attention, Block, DinoV2, EncoderConfig, attend

if TYPE_CHECKING:
    from collections.abc import Sequence

RefViewStrategy = Literal["saddle_balanced", "saddle_sim_range", "first", "middle"]
"""Which of three or more views without poses the others are placed against:

- ``saddle_balanced``: the one in the middle of three scores of its class token (the published
  rule);
- ``saddle_sim_range``: the one whose similarities to the others spread most;
- ``first``, ``middle``: by its place in the order.
"""

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines, (n, head channels)."""

_BASE = 100.0  # of the rotary frequencies
_SELECT_FROM = 3  # views; with fewer the order is kept


class ViewTokens(NamedTuple):
    """What the heads read from the encoder, in the order in which the views were given.

    Attributes:
        taps: one (b, v, 1 + n, 2c) a tapped block: the latest output of a block that looked at one
            view, and the current output after the final norm.
        camera: (b, v, 2c) the same of the first token at the last tap, without any norm.
        features: block -> (b, v, 1 + n, c) after the final norm.
    """

    taps: list[Tensor]
    camera: Tensor
    features: dict[int, Tensor]


class RotaryAttention(Attention):
    """Self-attention with normalised queries and keys that are rotated by their positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.q_norm = nn.LayerNorm(width // heads, eps=1e-5)
        self.k_norm = nn.LayerNorm(width // heads, eps=1e-5)

    def forward(self, x: Tensor, rotation: Rotation | None = None) -> Tensor:
        """(b, n, c), rotations of the n positions -> (b, n, c)."""
        q, k, v = self.split(x)
        q, k = self.q_norm(q), self.k_norm(k)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        return self.merge(attend(q, k, v))


class RotaryBlock(Block):
    """A block with :class:`RotaryAttention`."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.attn = RotaryAttention(config.width, config.heads)

    def forward(self, x: Tensor, rotation: Rotation | None = None) -> Tensor:
        """(b, n, c), rotations of the n positions -> (b, n, c)."""
        x = x + self.ls1(self.attn(self.norm1(x), rotation))
        return x + self.ls2(self.mlp(self.norm2(x)))


class ViewEncoder(DinoV2):
    """DINOv2 for several views.

    Blocks before ``alternate_from`` are plain and see one view each. From there on odd blocks see
    the tokens of all views at once, even ones those of one view, and the class token is replaced by
    a camera token: a learned one for the reference view, another for the others, or what the camera
    encoder makes of given poses.

    Args:
        config: its size.
        alternate_from: the first such block.
    """

    def __init__(self, config: EncoderConfig, *, alternate_from: int) -> None:
        super().__init__(replace(config, mask_token=False), final_eps=1e-5)
        self.alternate_from = alternate_from
        self.camera_token = nn.Parameter(torch.zeros(1, 2, config.width))
        for index in range(alternate_from, config.depth):
            self.blocks[index] = RotaryBlock(config)
        nn.init.normal_(self.camera_token, std=1e-6)

    def encode_views(
        self,
        views: Tensor,
        taps: Sequence[int],
        *,
        camera_tokens: Tensor | None = None,
        strategy: RefViewStrategy = "saddle_balanced",
        features: Sequence[int] = (),
    ) -> ViewTokens:
        """Tokens after the blocks ``taps``.

        Args:
            views: (b, v, 3, h, w), sides multiples of the patch.
            taps: block numbers from 0, increasing. Blocks after the last are not run.
            camera_tokens: (b, v, c) of given poses; the first view is then the reference.
            strategy: see :data:`RefViewStrategy`.
            features: blocks whose outputs are wanted too.
        """
        b, v, _, h, w = views.shape
        x = self.embed(views.flatten(0, 1)).unflatten(0, (b, v))
        rotations = self._rotations(h // self.config.patch, w // self.config.patch, views)
        choose = v >= _SELECT_FROM and camera_tokens is None
        order = local = None
        taken: list[tuple[Tensor, Tensor]] = []
        wanted: dict[int, Tensor] = {}
        for index, block in enumerate(self.blocks[: max([*taps, *features]) + 1]):
            if choose and index == self.alternate_from - 1:
                order = order_views(choose_reference(x[:, :, 0], strategy), v)
                x = _take_views(x, order)
            if index == self.alternate_from:
                x = torch.cat([self._camera_tokens(b, v, camera_tokens), x[:, :, 1:]], dim=2)
            x = self._run(block, index, x, rotations)
            if index < self.alternate_from or index % 2 == 0:
                local = x
            if index in taps:
                taken.append((x if local is None else local, x))
            if index in features:
                wanted[index] = self.norm(x)
        return self._collect(taken, wanted, order)

    def _collect(
        self,
        taken: list[tuple[Tensor, Tensor]],
        features: dict[int, Tensor],
        order: Tensor | None,
    ) -> ViewTokens:
        """Put the views back into the order in which they were given; join the halves."""
        if order is not None:
            back = order.argsort(dim=1)
            taken = [(_take_views(a, back), _take_views(z, back)) for a, z in taken]
            features = {
                index: _take_views(x, back) if index >= self.alternate_from - 1 else x
                for index, x in features.items()
            }
        taps = [torch.cat([local, self.norm(x)], dim=-1) for local, x in taken]
        camera = torch.cat([x[:, :, 0] for x in taken[-1]], dim=-1)
        return ViewTokens(taps, camera, features)

    def _camera_tokens(self, b: int, v: int, given: Tensor | None) -> Tensor:
        """(b, v, 1, c)."""
        if given is not None:
            return given.unsqueeze(2)
        first, other = self.camera_token[:, :1], self.camera_token[:, 1:]
        return torch.cat([first, other.expand(-1, v - 1, -1)], dim=1).expand(b, -1, -1).unsqueeze(2)

    def _run(
        self, block: nn.Module, index: int, x: Tensor, rotations: tuple[Rotation, Rotation]
    ) -> Tensor:
        """One block: within each view, or over all."""
        b, v, n, _ = x.shape
        if index < self.alternate_from:
            return block(x.flatten(0, 1)).unflatten(0, (b, v))
        within, across = rotations
        if index % 2 == 0:
            return block(x.flatten(0, 1), within).unflatten(0, (b, v))
        everywhere = (across[0].repeat(v, 1), across[1].repeat(v, 1))
        return block(x.flatten(1, 2), everywhere).unflatten(1, (v, n))

    def _rotations(self, rows: int, columns: int, like: Tensor) -> tuple[Rotation, Rotation]:
        """Within a view by row and column, from 1; across views the same for every patch.

        The camera token stands at (0, 0) in both.
        """
        row = torch.arange(1, rows + 1, device=like.device)
        column = torch.arange(1, columns + 1, device=like.device)
        places = torch.stack(torch.meshgrid(row, column, indexing="ij"), dim=-1).flatten(0, 1)
        head = self.config.width // self.config.heads

        def with_camera(patches: Tensor) -> Rotation:
            return rotation_of(F.pad(patches, (0, 0, 1, 0)), head, like)

        return with_camera(places), with_camera(torch.ones_like(places))


def rotation_of(positions: Tensor, channels: int, like: Tensor) -> Rotation:
    """Cosines and sines that turn a head's channels by two coordinates.

    The first half of the channels turns by the row, the second by the column; within a half,
    channel j and channel j + channels / 4 turn together by ``coordinate * 100^(-4 j / channels)``.

    Args:
        positions: (n, 2) row and column.
        channels: of a head.
        like: gives the type and the device.

    Returns:
        Two (n, channels).
    """
    pairs = channels // 4
    exponents = torch.arange(pairs, device=like.device, dtype=torch.float32) / pairs
    angles = positions.float().unsqueeze(-1) * _BASE**-exponents  # (n, 2, pairs)
    angles = torch.cat([angles, angles], dim=-1).flatten(1)
    return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn (..., n, channels) by :func:`rotation_of`'s angles."""
    cos, sin = rotation
    first, second = x.unflatten(-1, (2, 2, -1)).unbind(-2)  # (..., n, 2, channels / 4)
    turned = torch.stack([-second, first], dim=-2).flatten(-3)
    return x * cos + turned * sin


def choose_reference(tokens: Tensor, strategy: RefViewStrategy) -> Tensor:
    """The view that the others are placed against.

    Args:
        tokens: (b, v, c) class tokens.
        strategy: see :data:`RefViewStrategy`.

    Returns:
        (b,) indices of views.
    """
    b, v, _ = tokens.shape
    if strategy in ("first", "middle"):
        return torch.full((b,), 0 if strategy == "first" else v // 2, device=tokens.device)
    unit = F.normalize(tokens, dim=-1)
    others = 1 - torch.eye(v, device=tokens.device, dtype=tokens.dtype)
    similarity = unit @ unit.transpose(1, 2) * others  # (b, v, v), a view with itself: 0
    if strategy == "saddle_sim_range":
        return (similarity.amax(dim=-1) - similarity.amin(dim=-1)).argmax(dim=-1)
    scores = torch.stack(
        [similarity.sum(dim=-1) / (v - 1), tokens.norm(dim=-1), unit.var(dim=-1)], dim=-1
    )  # (b, v, 3)
    low, high = scores.amin(dim=1, keepdim=True), scores.amax(dim=1, keepdim=True)
    scaled = (scores - low) / (high - low + 1e-8)
    return (scaled - 0.5).abs().sum(dim=-1).argmin(dim=-1)


def order_views(reference: Tensor, count: int) -> Tensor:
    """The reference first, the others as they are. (b,) -> (b, count) indices of views."""
    places = torch.arange(count, device=reference.device).expand(len(reference), -1)
    return torch.where(places == reference[:, None], -1, places).argsort(dim=1)


def _take_views(x: Tensor, order: Tensor) -> Tensor:
    """(b, v, n, c) with its views in ``order`` (b, v)."""
    return x.gather(1, order[:, :, None, None].expand_as(x))
