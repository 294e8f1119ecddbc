"""Sky in Depth Anything 3's maps, and metres for its any-view network.

Source: Lin et al., Depth Anything 3, 2025 (arXiv:2511.10647); the rules of the authors' published
interface.

Maps are in groups, (g, ...): what lies in one group shares its quantiles and its scale.
"""

from __future__ import annotations

import torch
from torch import Tensor

from leadline.errors import InputError

CANONICAL_FOCAL_PX = 300.0
"""Focal length, in pixels of the network's input, of the camera in whose depths ``da3metric-large``
answers: metres = focal / 300 * output, with the mean of the picture's two focal lengths."""

SKY = 0.3
"""Sky scores from here on are sky when depths are filled or aligned."""

_FAR_PERCENT = 99  # of the ground's depths: what the sky is put at
_FEW = 10  # pixels that are too few to tell
_FARTHEST_M = 200.0  # that the sky of an aligned map is put at
_NEAREST_METRIC, _NEAREST_DEPTH = 0.01, 0.001  # below which a depth says nothing about the scale


def fill_sky(depth: Tensor, sky: Tensor) -> Tensor:
    """Put the sky at the 99th percentile of the other depths of its group.

    A group of whose pixels 10 or fewer are sky, or 10 or fewer are not, stays as it is. The authors
    take the percentile of 100,000 random pixels where there are more; here it is that of all.

    Args:
        depth: (g, n).
        sky: (g, n) scores; see :data:`SKY`.
    """
    ground = sky < SKY
    count = ground.sum(dim=1, keepdim=True)
    told = (count > _FEW) & (ground.shape[1] - count > _FEW)
    return torch.where(ground | ~told, depth, percentile(depth, ground, _FAR_PERCENT))


def align_to_metric(
    views: dict[str, Tensor], metric: Tensor, sky: Tensor, *, groups: int
) -> dict[str, Tensor]:
    """Scale an any-view network's outputs to metres by the metric network's maps.

    One factor a group: least squares between the depths where there is no sky, both are above a
    bound, and the any-view network is at least as sure as its median there. The sky then goes to
    the 99th percentile of the rest, 200 m at most, with confidence 1.

    Args:
        views: what :class:`~leadline.models.depth_anything_3.DepthAnything3` gives, with views;
            ``intrinsics`` are used, and
            ``depth``, the translation in ``extrinsics`` and the origins of ``rays`` scaled.
        metric: (b, v, h, w) of the metric network, its own sky filled.
        sky: (b, v, h, w) its sky scores.
        groups: 1: one factor for all; b: one for each of the batch.

    Returns:
        ``views`` with ``sky`` and ``metric_scale`` (b, v), by which they were multiplied, added.

    Raises:
        InputError: a group with 10 or fewer pixels that are not sky, or none to align by.
    """
    focal_px = (views["intrinsics"][..., 0, 0] + views["intrinsics"][..., 1, 1]) / 2  # (b, v)
    metres = (metric * (focal_px / CANONICAL_FOCAL_PX)[..., None, None]).reshape(groups, -1)
    depth, conf = (views[name].reshape(groups, -1) for name in ("depth", "depth_conf"))
    ground = sky.reshape(groups, -1) < SKY
    sure = ground & (conf >= percentile(conf, ground, 50))
    sure &= (metres > _NEAREST_METRIC) & (depth > _NEAREST_DEPTH)
    _check_ground(ground, sure)
    scale = (metres * depth * sure).sum(dim=1) / (depth * depth * sure).sum(dim=1)  # (groups,)
    depth = depth * scale[:, None]
    far = percentile(depth, ground, _FAR_PERCENT).clamp(max=_FARTHEST_M)
    b, v = sky.shape[:2]
    each = scale[:, None].expand(b, v)
    lengths = each[..., None, None]
    rotation, translation = views["extrinsics"].split([3, 1], dim=-1)
    direction, origin = views["rays"].split([3, 3], dim=2)
    return {
        **views,
        "depth": torch.where(ground, depth, far).reshape(sky.shape),
        "depth_conf": torch.where(ground, conf, 1.0).reshape(sky.shape),
        "extrinsics": torch.cat([rotation, translation * lengths], dim=-1),
        "rays": torch.cat([direction, origin * lengths[..., None]], dim=2),
        "sky": sky,
        "metric_scale": each,
    }


def percentile(values: Tensor, wanted: Tensor, percent: int) -> Tensor:
    """A percentile, linear between two values, of the wanted values of each group.

    Written with a sort and gathers, so that it traces; 0 where none is wanted.

    Args:
        values: (g, n).
        wanted: (g, n) booleans.
        percent: 0 to 100.

    Returns:
        (g, 1).
    """
    ordered = torch.where(wanted, values, torch.inf).sort(dim=1).values
    last = wanted.sum(dim=1, keepdim=True) - 1
    place = last.clamp(min=0) * percent
    low, high = (ordered.gather(1, i) for i in (place // 100, (place + 99) // 100))
    between = torch.lerp(low, high, (place % 100) / 100)
    return torch.where(last >= 0, between, 0.0)


def _check_ground(ground: Tensor, sure: Tensor) -> None:
    if torch.compiler.is_compiling() or ground.is_meta:
        return
    fewest = int(ground.sum(dim=1).min())
    if fewest <= _FEW or not sure.any(dim=1).all():
        raise InputError(
            f"a picture with {fewest} pixels that are not sky cannot be brought to metres; more "
            f"than {_FEW} are needed, some of them with a depth. Use 'da3-giant' for depths up to "
            "a scale."
        )
