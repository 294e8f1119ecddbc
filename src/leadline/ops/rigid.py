"""Rigid motion and the pinhole camera, batched and differentiable.

Frames: camera coordinates have x right, y down, z forward. A transform ``a_from_b`` is (b, 4, 4)
and takes homogeneous points of frame b to frame a. Intrinsics are (b, 4, 4), in pixels, with the
last row and column of the identity.
"""

from __future__ import annotations

import torch
from torch import Tensor

from leadline.errors import InputError


def rotation_from_axis_angle(axis_angle: Tensor) -> Tensor:
    """Rotation matrices from rotation vectors.

    Args:
        axis_angle: (b, 3): the axis times the angle in radians.

    Returns:
        (b, 4, 4). The zero vector gives the identity, with a finite gradient.

    Source: Rodrigues' formula; as in Monodepth2 (Godard et al. 2019).
    """
    if axis_angle.ndim != 2 or axis_angle.shape[1] != 3:
        raise InputError(
            f"axis_angle of shape {tuple(axis_angle.shape)}: (b, 3) is needed; take one frame's "
            "vector of a pose network's output."
        )
    angle = torch.linalg.vector_norm(axis_angle, dim=1, keepdim=True)  # (b, 1)
    axis = axis_angle / (angle + 1e-7)
    cross = _cross_matrix(axis)  # (b, 3, 3)
    cos, sin = angle.cos()[..., None], angle.sin()[..., None]
    outer = axis[:, :, None] * axis[:, None, :]
    identity = torch.eye(3, dtype=axis.dtype, device=axis.device)
    rotation = cos * identity + sin * cross + (1 - cos) * outer
    return _homogeneous(rotation, torch.zeros_like(axis))


def rigid_transform(axis_angle: Tensor, translation: Tensor, *, inverse: bool = False) -> Tensor:
    """The transform that rotates and then translates, or its inverse.

    Monodepth2's pose network sees two frames in the order of time. For a later source frame its
    output is ``source_from_target``; for an earlier one it is ``target_from_source`` and
    ``inverse=True`` gives ``source_from_target``.

    Args:
        axis_angle: (b, 3) radians.
        translation: (b, 3), in the unit of the depths.
        inverse: return the inverse transform.

    Returns:
        (b, 4, 4).
    """
    rotation = rotation_from_axis_angle(axis_angle)
    if not inverse:
        return _homogeneous(rotation[:, :3, :3], translation)
    turned_back = rotation[:, :3, :3].transpose(1, 2)
    return _homogeneous(turned_back, -(turned_back @ translation[:, :, None]).squeeze(2))


def backproject(depth: Tensor, inverse_intrinsics: Tensor) -> Tensor:
    """Points in camera coordinates for every pixel of a depth map.

    Args:
        depth: (b, h, w), along the optical axis.
        inverse_intrinsics: (b, 4, 4) or (b, 3, 3).

    Returns:
        (b, 4, h * w) homogeneous points, row by row.
    """
    b, h, w = depth.shape
    v, u = torch.meshgrid(
        torch.arange(h, dtype=depth.dtype, device=depth.device),
        torch.arange(w, dtype=depth.dtype, device=depth.device),
        indexing="ij",
    )
    pixels = torch.stack([u.flatten(), v.flatten(), torch.ones_like(u).flatten()])  # (3, hw)
    rays = inverse_intrinsics[:, :3, :3] @ pixels  # (b, 3, hw)
    points = depth.reshape(b, 1, h * w) * rays
    return torch.cat([points, torch.ones_like(points[:, :1])], dim=1)


def project(
    points: Tensor, intrinsics: Tensor, source_from_target: Tensor, size: tuple[int, int]
) -> Tensor:
    """Where points of one camera fall in another camera's picture.

    Args:
        points: (b, 4, h * w) from :func:`backproject`.
        intrinsics: (b, 4, 4) of the other camera.
        source_from_target: (b, 4, 4), from the points' frame to the other camera's.
        size: (h, w) of both pictures.

    Returns:
        (b, h, w, 2) coordinates for :func:`leadline.ops.sample`.

    Source: Monodepth2 (Godard et al. 2019), section 3.1.
    """
    h, w = size
    seen = (intrinsics @ source_from_target)[:, :3] @ points  # (b, 3, hw)
    pixels = seen[:, :2] / (seen[:, 2:] + 1e-7)  # (b, 2, hw)
    last = torch.tensor([w - 1, h - 1], dtype=pixels.dtype, device=pixels.device)
    normalised = (pixels / last[:, None] - 0.5) * 2
    return normalised.reshape(-1, 2, h, w).permute(0, 2, 3, 1)


def _cross_matrix(axis: Tensor) -> Tensor:
    x, y, z = axis.unbind(1)
    zero = torch.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return torch.stack(rows, dim=1).reshape(-1, 3, 3)


def _homogeneous(rotation: Tensor, translation: Tensor) -> Tensor:
    """(b, 3, 3) and (b, 3) -> (b, 4, 4)."""
    upper = torch.cat([rotation, translation[:, :, None]], dim=2)
    last = upper.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(upper.shape[0], 1, 4)
    return torch.cat([upper, last], dim=1)
