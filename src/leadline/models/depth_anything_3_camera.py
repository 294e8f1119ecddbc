"""Depth Anything 3's cameras: nine numbers a view, read from a token or made into one.

Source: Lin et al., Depth Anything 3, 2025 (arXiv:2511.10647), section 3 (camera head, camera
condition).

The nine numbers are the translation of ``world_from_camera``, its rotation as a quaternion
(x, y, z, w), and the vertical and horizontal field of view in radians. Extrinsics are
``camera_from_world``, as the authors' interface has them (OpenCV axes, like COLMAP); intrinsics are
in pixels, with the picture's corner, not its first pixel's centre, at (0, 0).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from leadline.models.dinov2 import Block, EncoderConfig

_HEADS, _BLOCKS, _NUMBERS = 16, 4, 9
_EPS = 1e-5


class CameraDecoder(nn.Module):
    """The camera head: a view's token -> nine numbers; the fields of view are never negative."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.fc_t = nn.Linear(width, 3)
        self.fc_qvec = nn.Linear(width, 4)
        self.fc_fov = nn.Sequential(nn.Linear(width, 2), nn.ReLU())

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, v, c) -> (b, v, 9)."""
        x = self.backbone(tokens)
        return torch.cat([self.fc_t(x), self.fc_qvec(x), self.fc_fov(x)], dim=-1)


class PoseBranch(nn.Module):
    """Nine numbers -> a token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(_NUMBERS, width // 2)
        self.fc2 = nn.Linear(width // 2, width)

    def forward(self, pose: Tensor) -> Tensor:
        """(b, v, 9) -> (b, v, c)."""
        return self.fc2(F.gelu(self.fc1(pose)))


class CameraEncoder(nn.Module):
    """Given cameras -> the tokens that take the place of the learned camera tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        size = EncoderConfig(width=width, depth=_BLOCKS, heads=_HEADS, norm_eps=_EPS)
        self.pose_branch = PoseBranch(width)
        self.token_norm = nn.LayerNorm(width, eps=_EPS)
        self.trunk = nn.Sequential(*(Block(size) for _ in range(_BLOCKS)))
        self.trunk_norm = nn.LayerNorm(width, eps=_EPS)

    def forward(self, pose: Tensor) -> Tensor:
        """(b, v, 9) -> (b, v, c)."""
        return self.trunk_norm(self.trunk(self.token_norm(self.pose_branch(pose))))


def encode_pose(extrinsics: Tensor, intrinsics: Tensor, size: tuple[int, int]) -> Tensor:
    """The nine numbers of given cameras; the principal point does not enter.

    Args:
        extrinsics: (..., 3 or 4, 4) ``camera_from_world``.
        intrinsics: (..., 3, 3) pixels.
        size: (h, w) of the pictures.

    Returns:
        (..., 9), the quaternion of unit length and w >= 0.
    """
    world_from_camera = invert_rigid(extrinsics)
    sides = torch.tensor(size, dtype=intrinsics.dtype, device=intrinsics.device)
    focal = torch.stack([intrinsics[..., 1, 1], intrinsics[..., 0, 0]], dim=-1)
    fov = 2 * torch.atan(sides / 2 / focal)
    quaternion = quaternion_from_rotation(world_from_camera[..., :3])
    return torch.cat([world_from_camera[..., 3], quaternion, fov], dim=-1)


def decode_pose(pose: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Extrinsics (..., 3, 4), ``camera_from_world``, and intrinsics (..., 3, 3) of nine numbers.

    Args:
        pose: (..., 9); the quaternion may have any length but zero.
        size: (h, w) of the pictures that the intrinsics are for.
    """
    rotation = rotation_from_quaternion(pose[..., 3:7])
    extrinsics = invert_rigid(torch.cat([rotation, pose[..., :3, None]], dim=-1))
    h, w = size
    tangent = torch.tan(pose[..., 7:] / 2).clamp(min=1e-6)
    fy, fx = h / 2 / tangent[..., 0], w / 2 / tangent[..., 1]
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    rows = [fx, zero, one * (w / 2), zero, fy, one * (h / 2), zero, zero, one]
    return extrinsics, torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def invert_rigid(transform: Tensor) -> Tensor:
    """The inverse of a rotation and translation. (..., 3 or 4, 4) -> (..., 3, 4)."""
    back = transform[..., :3, :3].transpose(-2, -1)
    return torch.cat([back, -back @ transform[..., :3, 3:]], dim=-1)


def rotation_from_quaternion(quaternion: Tensor) -> Tensor:
    """(..., 4) x, y, z, w of any length but zero -> (..., 3, 3)."""
    x, y, z, w = quaternion.unbind(-1)
    s = 2 / quaternion.square().sum(-1)
    rows = [
        *(1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)),
        *(s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)),
        *(s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)),
    ]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def quaternion_from_rotation(rotation: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 4) x, y, z, w of length 1 with w >= 0.

    Each component gives the others by division; the largest one is taken, so that none is small.
    """
    m = rotation
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    xy, xz, yz = (
        m[..., 1, 0] + m[..., 0, 1],
        m[..., 0, 2] + m[..., 2, 0],
        m[..., 1, 2] + m[..., 2, 1],
    )
    xw, yw, zw = (
        m[..., 2, 1] - m[..., 1, 2],
        m[..., 0, 2] - m[..., 2, 0],
        m[..., 1, 0] - m[..., 0, 1],
    )
    rows = [
        *(1 + xx - yy - zz, xy, xz, xw),
        *(xy, 1 - xx + yy - zz, yz, yw),
        *(xz, yz, 1 - xx - yy + zz, zw),
        *(xw, yw, zw, 1 + xx + yy + zz),
    ]
    outer = torch.stack(rows, dim=-1).unflatten(
        -1, (4, 4)
    )  # 4 times the quaternion's outer product
    largest = outer.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)
    row = outer.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4)).squeeze(-2)
    unit = F.normalize(row, dim=-1)
    return torch.where(unit[..., 3:] < 0, -unit, unit)
