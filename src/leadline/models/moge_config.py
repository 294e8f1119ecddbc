"""What MoGe-1's and MoGe-2's configurations share, and the authors' files that hold one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args
from zipfile import is_zipfile

from torch import Tensor

from leadline.errors import InputError, UnknownNameError, WeightsError
from leadline.models.dinov2 import ENCODERS
from leadline.models.weights import read_torch, unwrap

PointRemap = Literal["exp", "linear", "sinh", "sinh_exp"]
"""From a head's three channels to a point: ``exp`` (x e^z, y e^z, e^z), ``linear`` as they are,
``sinh`` of all three, ``sinh_exp`` (sinh x, sinh y, e^z)."""

PATCH = 14
_FINEST_LEVEL = 9


@dataclass(frozen=True, kw_only=True)
class TokenCount:
    """How many patches a picture becomes. Abstract: the part that MoGe's configs share.

    Attributes:
        encoder: key of :data:`leadline.models.dinov2.ENCODERS`.
        remap_output: see :data:`PointRemap`.
        num_tokens_range: patches at resolution levels 0 and 9.
        resolution_level: 0 to 9, coarse to fine.
        num_tokens: patches; None: as ``resolution_level`` says.
    """

    encoder: str
    remap_output: PointRemap = "exp"
    num_tokens_range: tuple[int, int]
    resolution_level: int = _FINEST_LEVEL
    num_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise UnknownNameError("encoder", self.encoder, ENCODERS)
        if self.remap_output not in get_args(PointRemap):
            raise UnknownNameError("remap_output", self.remap_output, get_args(PointRemap))
        object.__setattr__(self, "num_tokens_range", tuple(self.num_tokens_range))
        low, high = self.num_tokens_range
        if not 0 < low <= high or not 0 <= self.resolution_level <= _FINEST_LEVEL:
            raise InputError(
                f"num_tokens_range={self.num_tokens_range}, resolution_level="
                f"{self.resolution_level}: positive, increasing counts and a level from 0 to "
                f"{_FINEST_LEVEL} are needed."
            )
        if self.num_tokens is not None and self.num_tokens < 1:
            raise InputError(f"num_tokens={self.num_tokens}: at least 1 patch is needed, or None.")

    @property
    def layers(self) -> str:
        """The layers, in words: what state dicts differ in."""
        raise NotImplementedError

    @property
    def tokens(self) -> int:
        """Patches that a picture becomes, about."""
        low, high = self.num_tokens_range
        of_level = int(low + self.resolution_level / _FINEST_LEVEL * (high - low))
        return self.num_tokens or of_level


Config = TypeVar("Config", bound=TokenCount)


def read_published(
    path: Path, config: Config, describe: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> tuple[dict[str, Tensor], Config] | None:
    """Read the authors' ``model.pt``, which holds the configuration beside the tensors.

    Args:
        path: the file, or its folder.
        config: of the module that is to be filled.
        describe: from the file's ``model_config`` to fields of ``config``.

    Returns:
        The tensors, and ``config`` with what no tensor says as the file has it (which blocks are
        read, the range of patches); None for a file without a configuration.

    Raises:
        WeightsError: the file is of a network with other layers.
    """
    path = path / "model.pt" if path.is_dir() else path
    if not path.is_file() or not is_zipfile(path):
        return None
    raw = read_torch(path)
    if not isinstance(raw.get("model_config"), Mapping):
        return None
    described = replace(config, **describe(raw["model_config"]))
    tensors = unwrap(raw, label=path.name)
    if config.layers != described.layers:
        changed = ", ".join(
            f"{name}={value!r}"
            for name, value in vars(described).items()
            if value != getattr(config, name)
        )
        raise WeightsError(
            f"{path.name} holds a network of {described.layers}; the one that was built has "
            f"{config.layers}. Build the published name that fits, or pass {changed}."
        )
    return tensors, described


def read_encoder_name(backbone: str) -> str:
    """``vits`` of ``dinov2_vits14``."""
    return backbone.removeprefix("dinov2_").removesuffix(str(PATCH))


def refuse_newer(state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The state dict itself, unless it is of MoGe-3.

    Raises:
        WeightsError: it has a refiner, so it is of MoGe-3.
    """
    if any(name.startswith("refiner.") for name in state_dict):
        raise WeightsError(
            "this state dict has a refiner, so it is of MoGe-3, which Leadline does not have. "
            "MoGe-1 and MoGe-2 load: see leadline.models.names()."
        )
    return state_dict
