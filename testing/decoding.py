"""From a network's outputs to a Prediction without an estimator, and a network of many outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from leadline.decode import decode
from leadline.errors import InputError
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from leadline.prepared import Prepared
from leadline.preprocess import Preprocess
from leadline.spec import ModelSpec, PreprocessSpec, name_outputs

MANY = ModelSpec(
    name="many",
    kind=DepthKind.METRIC_DEPTH,
    preprocess=PreprocessSpec(size=(24, 32), resize="exact", mean=(0, 0, 0), std=(1, 1, 1)),
    inputs=("image", "focal_px"),
    outputs=name_outputs("depth", "confidence", "normal", "points", "sky", "focal_px"),
)
"""A model with one output of nearly every role, which asks for the focal length."""


def build_many() -> Any:
    """A network of MANY's outputs that is not symmetric, so that mirroring shows."""
    import torch

    from leadline.models.base import DepthModule

    class Many(DepthModule):
        def __init__(self) -> None:
            super().__init__()
            self.mix = torch.nn.Conv2d(3, 7, 3, padding=1)
            with torch.no_grad():
                for number, parameter in enumerate(self.mix.parameters()):
                    values = np.random.default_rng(number).standard_normal(parameter.shape)
                    parameter.copy_(torch.from_numpy(values.astype(np.float32)))

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return 1 + torch.sigmoid(self.mix(batch)[:, 0])

        def outputs(
            self, image: torch.Tensor, focal_px: torch.Tensor | None = None
        ) -> dict[str, torch.Tensor]:
            if focal_px is None:
                raise InputError("the image alone was given; focal_px is needed too.")
            maps = self.mix(image)
            depth = (1 + torch.sigmoid(maps[:, 0])) * focal_px[:, None, None] / 30
            normal = torch.nn.functional.normalize(maps[:, 1:4], dim=1)
            return {
                "depth": depth,
                "confidence": torch.sigmoid(maps[:, 4]),
                "normal": normal,
                "points": torch.stack([maps[:, 5] * depth, maps[:, 6] * depth, depth], dim=1),
                "sky": torch.sigmoid(10 * maps[:, 5]),
                "focal_px": 20 + maps[:, 6].mean(dim=(1, 2)),
            }

    return Many().eval()


def decode_restored(
    preprocess: Preprocess,
    outputs: Mapping[str, np.ndarray],
    prepared: Prepared,
    *,
    kind: DepthKind,
    index: int = 0,
    resized: bool = True,
    **fields: Any,
) -> Prediction:
    """Restore a network's outputs and decode them, as an estimator of such a model does."""
    arrays = preprocess.restore(outputs, prepared, index=index, resized=resized)
    described: dict[str, Any] = {
        "name": "",
        "preprocess": preprocess.spec,
        "outputs": preprocess.outputs,
    }
    return decode(arrays, ModelSpec(kind=kind, **(described | fields)), prepared)
