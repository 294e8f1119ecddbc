"""LoadOptions: how a model is opened, in one place for the library and every command."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Literal

from leadline.estimator import DepthEstimator, Policy, load
from leadline.runtime import DeviceName, Precision, RuntimeName


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How a model is opened; the fields are the options of :func:`leadline.load`."""

    model: str | os.PathLike[str] | None = None
    weights: str | os.PathLike[str] | None = None
    runtime: RuntimeName | Literal["auto"] = "auto"
    device: DeviceName | Literal["auto"] = "auto"
    precision: Precision | Literal["auto"] = "auto"
    policy: Policy = "single"
    tiles: int = 1
    size: int | None = None
    max_depth: float | None = None
    threads: int | None = None

    def open(self) -> DepthEstimator:
        """Make the model ready to predict."""
        return load(**asdict(self))
