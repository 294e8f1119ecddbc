"""How much a map changes where the picture does not."""

from __future__ import annotations

from torch import Tensor


def edge_aware_gradients(disparity: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Absolute steps of ``disparity`` to the right and down, less where ``image`` has an edge.

    Args:
        disparity: (b, h, w).
        image: (b, c, h, w), in [0, 1].

    Returns:
        (b, h, w - 1) and (b, h - 1, w): ``|step| * exp(-mean over channels of |picture's step|)``.

    Source: Heise et al. 2013; Monodepth (Godard et al. 2017), equation 3.
    """
    step_x = (disparity[:, :, :-1] - disparity[:, :, 1:]).abs()
    step_y = (disparity[:, :-1] - disparity[:, 1:]).abs()
    edge_x = (image[..., :-1] - image[..., 1:]).abs().mean(1)
    edge_y = (image[..., :-1, :] - image[..., 1:, :]).abs().mean(1)
    return step_x * (-edge_x).exp(), step_y * (-edge_y).exp()
