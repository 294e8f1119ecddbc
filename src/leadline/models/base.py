"""DepthModule: what every network of Leadline is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from leadline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping


class DepthModule(nn.Module):
    """A network from a normalised picture batch to one map per picture. Abstract.

    Attributes:
        multiple_of: the height and width of a batch are multiples of this.
    """

    multiple_of: ClassVar[int] = 1

    def forward(self, batch: Tensor) -> Tensor:
        """Predict one map per picture.

        Args:
            batch: (b, 3, h, w) float, normalised as the model's PreprocessSpec says.

        Returns:
            (b, h, w) float; what the values mean is the catalogue's DepthKind.
        """
        raise NotImplementedError

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename the tensors of a known foreign layout to this module's names.

        Called by ``load_weights`` with unwrapped tensors. The default returns them as they are; a
        layout that is not recognised is returned as it is too.
        """
        return state_dict

    def check_size(self, height: int, width: int) -> None:
        """Raise InputError unless both sides are positive multiples of ``multiple_of``."""
        m = self.multiple_of
        if height % m or width % m:
            raise InputError(
                f"{type(self).__name__} was given a batch of {height}x{width} pixels (height x "
                f"width); both sides need to be multiples of {m}. Resize to "
                f"{max(m, round(height / m) * m)}x{max(m, round(width / m) * m)}, or let the "
                "model's own preprocessing do it."
            )

    if TYPE_CHECKING:

        def __call__(self, batch: Tensor) -> Tensor:  # noqa: D102
            ...
