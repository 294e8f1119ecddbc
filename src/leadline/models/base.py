"""DepthModule: what every network of Leadline is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from leadline.errors import InputError


class DepthModule(nn.Module):
    """A network from a normalised picture batch to one map per picture. Abstract.

    Attributes:
        name: what it was built as; set by ``leadline.models.build``.
        multiple_of: the height and width of a batch are multiples of this.
        only_size: (height, width) of every batch, for networks that take no other.
        encoder_names: of the submodules that extract features, usually pretrained.
    """

    name: str = ""
    multiple_of: ClassVar[int] = 1
    only_size: tuple[int, int] | None = None
    encoder_names: ClassVar[tuple[str, ...]] = ()

    def forward(self, batch: Tensor) -> Tensor:
        """Predict one map per picture.

        Args:
            batch: (b, 3, h, w) float, normalised as the model's PreprocessSpec says.

        Returns:
            (b, h, w) float; what the values mean is the catalogue's DepthKind.
        """
        raise NotImplementedError

    def outputs(self, image: Tensor) -> dict[str, Tensor]:
        """Return every output by name; see ``ModelSpec.outputs``. The default gives ``depth``."""
        return {"depth": self(image)}

    def convert_state_dict(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Rename the tensors of a known foreign layout to this module's names.

        Called by ``load_weights`` with unwrapped tensors. The default returns them as they are; a
        layout that is not recognised is returned as it is too.
        """
        return state_dict

    def read_foreign(self, path: Path) -> Mapping[str, Tensor] | None:
        """Read a file or folder in a layout that only this model's authors use.

        Called by ``load_weights`` before the usual formats. What is returned still goes through
        :meth:`convert_state_dict`. The default, None, means that the layout is not recognised.
        """
        return None

    def check_batch(self, batch: Tensor) -> None:
        """Raise InputError unless ``batch`` is (b, 3, h, w) with sides that the network takes."""
        if batch.ndim != 4 or batch.shape[1] != 3:
            raise InputError(
                f"{type(self).__name__} was given a batch of shape {tuple(batch.shape)}; a "
                "(b, 3, h, w) batch of RGB pictures is needed; add the first axis with x[None]."
            )
        self.check_size(batch.shape[2], batch.shape[3])

    def encoder_parts(self) -> tuple[nn.Module, ...]:
        """The submodules of ``encoder_names``; training gives them a rate of their own."""
        return tuple(self.get_submodule(name) for name in self.encoder_names)

    def start_from_imagenet(self) -> None:
        """Put ImageNet weights into the encoder.

        Raises:
            InputError: this network has no such start.
        """
        raise InputError(
            f"{type(self).__name__} has no ImageNet start; train it with imagenet = false."
        )

    def check_size(self, height: int, width: int) -> None:
        """Raise InputError unless both sides are multiples of ``multiple_of``."""
        m = self.multiple_of
        if height % m or width % m:
            raise InputError(
                f"{type(self).__name__} was given pictures of {height}x{width} pixels (height x "
                f"width); both sides need to be multiples of {m}. Resize to "
                f"{_nearest(height, m)}x{_nearest(width, m)}, or use the model's own preprocessing."
            )

    if TYPE_CHECKING:

        def __call__(self, batch: Tensor) -> Tensor:  # noqa: D102
            ...


def _nearest(side: int, multiple: int) -> int:
    return max(multiple, round(side / multiple) * multiple)
