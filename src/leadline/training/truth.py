"""Learning from depth beside learning from pictures: one term, at every scale a network gives.

With the self-supervised terms at weight 0 it is the control of an experiment, the same network with
ground truth; with both it is semi-supervised training from sparse scans.

Source: Kuznietsov et al., Semi-Supervised Deep Learning for Monocular Depth Map Prediction, CVPR
2017 (the mixture).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from leadline.evaluation import protocols
from leadline.losses import masked_mean

if TYPE_CHECKING:
    from torch import Tensor

    from leadline.models.base import DepthModule


def log_depth_error(inverse_depths: Sequence[Tensor], depth: Tensor, max_depth: float) -> Tensor:
    """Mean absolute difference of log depth where it is known, the mean over scales.

    Args:
        inverse_depths: per scale, (b, h / 2**s, w / 2**s), 1/m; brought to full size first.
        depth: (b, h, w) metres, 0 where unknown.
        max_depth: metres; what is farther does not count.
    """
    valid = (depth > 1e-3) & (depth < max_depth)
    target = depth.clamp(min=1e-3).log()
    terms = []
    for inverse in inverse_depths:
        grown = F.interpolate(
            inverse[:, None], size=depth.shape[1:], mode="bilinear", align_corners=False
        ).squeeze(1)
        terms.append(masked_mean((grown.clamp(min=1e-6).log() + target).abs(), valid))
    return torch.stack(terms).mean()


@torch.no_grad()
def held_out_score(
    network: DepthModule,
    pictures: np.ndarray,
    depths: np.ndarray,
    *,
    protocol: str,
    max_depth: float = 80.0,
) -> dict[str, float]:
    """Depth metrics over pictures of a rig, each counting the same.

    Args:
        network: gives depth.
        pictures: (n, h, w, 3) uint8.
        depths: (n, h, w) metres, 0 or inf where unknown.
        protocol: a name of :mod:`leadline.evaluation.protocols`.
        max_depth: metres; what is farther does not count.
    """
    chosen = protocols.get(protocol)
    device = next(network.parameters()).device
    rows = []
    for picture, depth in zip(pictures, depths, strict=True):
        batch = torch.from_numpy(picture).permute(2, 0, 1)[None].float().div(255).to(device)
        pred = network(batch).float()[0].cpu().numpy()
        truth = np.asarray(depth, np.float32)
        truth = np.where(np.isfinite(truth) & (truth < max_depth), truth, np.float32(0))
        rows.append(chosen.score(pred, truth))
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
