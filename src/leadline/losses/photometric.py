"""Monodepth2's loss: depth and motion are right when neighbours explain the frame.

Each source frame is warped to the target by the predicted depth and motion. Of all sources, the one
that explains a pixel best counts (*minimum reprojection*: what one neighbour hides, another sees),
and pixels that an unwarped source explains better do not teach (*auto-mask*: a car at our own speed
would otherwise look infinitely far).

Source: Godard et al., Digging Into Self-Supervised Monocular Depth Estimation, ICCV 2019,
section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from leadline.errors import InputError
from leadline.losses.masking import masked_mean
from leadline.ops import backproject, edge_aware_gradients, project, sample, ssim_dissimilarity


@dataclass(frozen=True, kw_only=True)
class PhotometricConfig:
    """Weights and choices; the defaults are the paper's.

    Attributes:
        ssim_weight: share of SSIM in the photometric error, the rest is absolute difference; 0
            leaves SSIM out.
        smoothness: weight of the edge-aware smoothness, halved per scale.
        automask: leave out pixels that an unwarped source explains better.
        sources: ``minimum`` or ``mean`` over the source frames.
        scale: ``full``: every scale's disparity is brought to full size before warping; ``native``:
            each scale warps pictures of its own size, as Monodepth does.
        min_depth: depth at a sigmoid of 1.
        max_depth: depth at a sigmoid of 0.
        tie_noise: deviation of the noise that breaks ties between warped and unwarped.
        align_corners: False repeats the authors' code under torch 1.3 and later, which reads every
            warped pixel half a pixel off; see :func:`leadline.ops.sample`.
    """

    ssim_weight: float = 0.85
    smoothness: float = 1e-3
    automask: bool = True
    sources: Literal["minimum", "mean"] = "minimum"
    scale: Literal["full", "native"] = "full"
    min_depth: float = 0.1
    max_depth: float = 100.0
    tie_noise: float = 1e-5
    align_corners: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.ssim_weight <= 1:
            raise InputError(f"ssim_weight={self.ssim_weight}: a share from 0 to 1 is needed.")
        if self.sources not in ("minimum", "mean") or self.scale not in ("full", "native"):
            raise InputError(
                f"sources={self.sources!r}, scale={self.scale!r}: 'minimum' or 'mean', and 'full' "
                "or 'native' are needed."
            )
        if not 0 < self.min_depth < self.max_depth:
            raise InputError(
                f"min_depth={self.min_depth}, max_depth={self.max_depth}: 0 < min_depth < "
                "max_depth is needed."
            )


class PhotometricLoss(NamedTuple):
    """The loss and what it is made of.

    Attributes:
        total: scalar, the mean of ``scales``.
        scales: one scalar per disparity map, smoothness included.
        warped: per scale, the source pictures as seen from the target, (b, c, h, w) each.
        moving: per scale, (b, h, w) bool: True where a warped source won, so where the pixel
            teaches; all True without auto-mask.
    """

    total: Tensor
    scales: tuple[Tensor, ...]
    warped: tuple[tuple[Tensor, ...], ...]
    moving: tuple[Tensor, ...]


def photometric_error(pred: Tensor, target: Tensor, *, ssim_weight: float = 0.85) -> Tensor:
    """How different two pictures are, per pixel.

    Args:
        pred: (b, c, h, w), in [0, 1].
        target: (b, c, h, w).
        ssim_weight: share of (1 - SSIM) / 2; the rest is absolute difference.

    Returns:
        (b, h, w), the mean over channels.

    Source: Monodepth2, section 3.1, pe.
    """
    absolute = (pred - target).abs().mean(1)
    if ssim_weight == 0:
        return absolute
    structure = ssim_dissimilarity(pred, target).mean(1)
    return ssim_weight * structure + (1 - ssim_weight) * absolute


def edge_aware_smoothness(disparity: Tensor, image: Tensor) -> Tensor:
    """How much a disparity, divided by its mean, changes where the picture does not.

    Dividing by the mean keeps the loss from being lowered by shrinking all disparities.

    Args:
        disparity: (b, h, w), positive.
        image: (b, c, h, w).

    Returns:
        A scalar: the mean over places, steps to the right plus steps down.

    Source: Monodepth2, equation 3.
    """
    mean = disparity.mean(dim=(1, 2), keepdim=True)
    along_x, along_y = edge_aware_gradients(disparity / (mean + 1e-7), image)
    return along_x.mean() + along_y.mean()


def warp(
    source: Tensor,
    depth: Tensor,
    intrinsics: Tensor,
    source_from_target: Tensor,
    *,
    align_corners: bool = True,
) -> Tensor:
    """The source picture as the target's camera sees it.

    Args:
        source: (b, c, h, w).
        depth: (b, h, w) of the target, in the unit of the translation.
        intrinsics: (b, 4, 4) in pixels, of both.
        source_from_target: (b, 4, 4).
        align_corners: see :func:`leadline.ops.sample`.

    Returns:
        (b, c, h, w); what falls outside repeats the source's edge.
    """
    points = backproject(depth, torch.linalg.inv(intrinsics))
    places = project(points, intrinsics, source_from_target, (source.shape[2], source.shape[3]))
    return sample(source, places, outside="edge", align_corners=align_corners)


def monodepth2_loss(
    disparities: Sequence[Tensor],
    target: Sequence[Tensor],
    sources: Sequence[Sequence[Tensor]],
    intrinsics: Tensor,
    source_from_target: Sequence[Tensor],
    *,
    valid: Tensor | None = None,
    config: PhotometricConfig | None = None,
) -> PhotometricLoss:
    """Minimum reprojection with auto-mask and smoothness, over all scales.

    Args:
        disparities: per scale, the network's sigmoid (b, h / 2**s, w / 2**s), fine to coarse.
        target: per scale, the frame itself (b, 3, h / 2**s, w / 2**s) in [0, 1].
        sources: per source frame, a pyramid like ``target``. Only the full size is read unless
            ``config.scale`` is ``native``.
        intrinsics: (b, 4, 4), of the full size in pixels.
        source_from_target: per source frame, (b, 4, 4).
        valid: (b, h, w) bool, pixels of the target that count; None counts all.
        config: weights and choices.

    Returns:
        The loss, its scales, and what was warped.

    Raises:
        InputError: numbers of scales or sources that do not agree.
    """
    config = config or PhotometricConfig()
    if not sources or len(sources) != len(source_from_target) or len(disparities) > len(target):
        raise InputError(
            f"{len(sources)} sources with {len(source_from_target)} transforms, and "
            f"{len(disparities)} disparities for {len(target)} sizes of the target: one transform "
            "per source, at least one source, and a picture for each disparity are needed."
        )
    full = config.scale == "full"
    losses, warped, moving = [], [], []
    unmoved: Tensor | None = None
    for scale, disparity in enumerate(disparities):
        level = 0 if full else scale
        size = (target[level].shape[2], target[level].shape[3])
        depth = _depth(disparity, size, config)
        cameras = _scale_intrinsics(intrinsics, size, target[0])
        views = tuple(
            warp(pyramid[level], depth, cameras, transform, align_corners=config.align_corners)
            for pyramid, transform in zip(sources, source_from_target, strict=True)
        )
        if config.automask and (unmoved is None or not full):
            unmoved = _combine([pyramid[level] for pyramid in sources], target[level], config)
        error, teaches = _select(views, unmoved, target[level], config)
        counts = torch.ones_like(teaches) if valid is None else _resize_mask(valid, size)
        smooth = edge_aware_smoothness(disparity, target[scale])
        losses.append(masked_mean(error, counts) + config.smoothness / 2**scale * smooth)
        warped.append(views)
        moving.append(teaches)
    return PhotometricLoss(torch.stack(losses).mean(), tuple(losses), tuple(warped), tuple(moving))


def _select(
    warped: Sequence[Tensor], unmoved: Tensor | None, target: Tensor, config: PhotometricConfig
) -> tuple[Tensor, Tensor]:
    """The error that counts at each pixel, (b, h, w), and whether a warped source has it."""
    candidates = _combine(warped, target, config)
    if unmoved is None:
        lowest = candidates.min(dim=1).values
        return lowest, torch.ones_like(lowest, dtype=torch.bool)
    unmoved = unmoved + config.tie_noise * torch.randn_like(unmoved)
    lowest, which = torch.cat([unmoved, candidates], dim=1).min(dim=1)
    return lowest, which >= unmoved.shape[1]


def _combine(pictures: Sequence[Tensor], target: Tensor, config: PhotometricConfig) -> Tensor:
    """(b, n, h, w) errors of n sources, or (b, 1, h, w), their mean."""
    errors = torch.stack(
        [photometric_error(p, target, ssim_weight=config.ssim_weight) for p in pictures], dim=1
    )
    return errors if config.sources == "minimum" else errors.mean(dim=1, keepdim=True)


def _depth(disparity: Tensor, size: tuple[int, int], config: PhotometricConfig) -> Tensor:
    """Depth at ``size`` from the network's sigmoid."""
    grown = F.interpolate(disparity[:, None], size=size, mode="bilinear", align_corners=False)
    nearest, farthest = 1 / config.min_depth, 1 / config.max_depth
    return 1 / (farthest + (nearest - farthest) * grown.squeeze(1))


def _scale_intrinsics(intrinsics: Tensor, size: tuple[int, int], full: Tensor) -> Tensor:
    """Intrinsics of the full size for pictures of ``size``."""
    rows = torch.ones(4, 1, dtype=intrinsics.dtype, device=intrinsics.device)
    rows[0], rows[1] = size[1] / full.shape[3], size[0] / full.shape[2]
    return intrinsics * rows


def _resize_mask(valid: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(valid[:, None].float(), size=size, mode="nearest").squeeze(1) > 0.5
