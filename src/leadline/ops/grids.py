"""Grid generators: where each output pixel looks in the input, by a few parameters.

Coordinates are those of :func:`leadline.ops.sample`: (x, y), -1 to 1 from the first pixel's centre
to the last one's. Parameters say where an *output* place comes from in the *input*: a picture
sampled at half-size coordinates appears enlarged.

Source: Jaderberg et al., Spatial Transformer Networks, NIPS 2015, section 3.2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from leadline.errors import InputError


def identity_coordinates(height: int, width: int, like: Tensor) -> Tensor:
    """(height, width, 2): each output pixel looks at the same place of the input.

    Args:
        height: of the output.
        width: of the output.
        like: its dtype and device are taken.
    """
    y = _axis(height, like)
    x = _axis(width, like)
    grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([grid_x, grid_y], dim=-1)


def affine_coordinates(theta: Tensor, height: int, width: int) -> Tensor:
    """Coordinates under an affine map.

    Args:
        theta: (b, 2, 3); ``theta @ (x, y, 1)`` of an output place is its input place.
        height: of the output.
        width: of the output.

    Returns:
        (b, height, width, 2).

    Source: Spatial Transformer Networks, equation 1.
    """
    _check_shape(theta, (2, 3), "affine")
    places = _homogeneous(height, width, theta)  # (hw, 3)
    moved = places @ theta.transpose(1, 2)  # (b, hw, 2)
    return moved.reshape(-1, height, width, 2)


def homography_coordinates(theta: Tensor, height: int, width: int) -> Tensor:
    """Coordinates under a projective map, divided by the third component.

    Args:
        theta: (b, 3, 3), with its last entry usually 1. Places whose third component is not
            positive lie behind the picture and come out far outside it.
        height: of the output.
        width: of the output.

    Returns:
        (b, height, width, 2).
    """
    _check_shape(theta, (3, 3), "projective")
    places = _homogeneous(height, width, theta)
    moved = places @ theta.transpose(1, 2)  # (b, hw, 3)
    third = moved[..., 2:]
    inside = third > 1e-6
    divided = moved[..., :2] / torch.where(inside, third, torch.ones_like(third))
    outside = torch.full_like(divided, 1e3)
    return torch.where(inside, divided, outside).reshape(-1, height, width, 2)


def thin_plate_coordinates(control: Tensor, moved: Tensor, height: int, width: int) -> Tensor:
    """Coordinates under the thin-plate spline that takes ``control`` to ``moved``.

    Args:
        control: (n, 2) fixed places in the output, not all on one line, n at least 3.
        moved: (b, n, 2) where each of them looks in the input.
        height: of the output.
        width: of the output.

    Returns:
        (b, height, width, 2): the interpolation with the least bending.

    Source: Bookstein, Principal Warps, PAMI 1989; Spatial Transformer Networks, section 3.2.
    """
    n = control.shape[0]
    if control.shape != (n, 2) or n < 3 or moved.shape[1:] != (n, 2):
        raise InputError(
            f"control {tuple(control.shape)} and moved {tuple(moved.shape)}: (n, 2) with n >= 3 "
            "and (b, n, 2) are needed."
        )
    control = control.to(moved)
    ones = torch.ones_like(control[:, :1])
    affine = torch.cat([ones, control], dim=1)  # (n, 3)
    system = torch.cat(
        [
            torch.cat([_bending(control, control), affine], dim=1),
            torch.cat([affine.T, affine.new_zeros(3, 3)], dim=1),
        ]
    )  # (n + 3, n + 3)
    # Solving once for unit moves gives a matrix that does not depend on the batch.
    unit = torch.cat([torch.eye(n).to(control), control.new_zeros(3, n)])
    weights = torch.linalg.solve(system, unit)  # (n + 3, n)
    places = identity_coordinates(height, width, moved).reshape(-1, 2)  # (hw, 2)
    basis = torch.cat(
        [_bending(places, control), torch.ones_like(places[:, :1]), places], dim=1
    )  # (hw, n + 3)
    return (basis @ weights @ moved).reshape(-1, height, width, 2)


def _axis(length: int, like: Tensor) -> Tensor:
    if length == 1:
        return torch.zeros(1, dtype=like.dtype, device=like.device)
    return torch.linspace(-1, 1, length, dtype=like.dtype, device=like.device)


def _homogeneous(height: int, width: int, like: Tensor) -> Tensor:
    """(hw, 3): x, y, 1 of every output place."""
    places = identity_coordinates(height, width, like).reshape(-1, 2)
    return torch.cat([places, torch.ones_like(places[:, :1])], dim=1)


def _bending(a: Tensor, b: Tensor) -> Tensor:
    """r^2 log r^2 between (n, 2) and (m, 2) places: (n, m)."""
    squared = (a[:, None] - b[None]).square().sum(-1)
    return squared * squared.clamp(min=1e-12).log()


def _check_shape(theta: Tensor, shape: tuple[int, int], what: str) -> None:
    if theta.ndim != 3 or tuple(theta.shape[1:]) != shape:
        raise InputError(
            f"theta of shape {tuple(theta.shape)}: {what} parameters need to be (b, {shape[0]}, "
            f"{shape[1]}); reshape the localisation network's output."
        )
