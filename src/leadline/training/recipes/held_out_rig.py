"""Validation of the recipes that learn from a rig, which stereo and video share.

A rig in the world is measured on held-out scenes that the same rig sees; a data set, only where
``validate_data`` names frames with depth, by the protocol as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from leadline.training import validate
from leadline.training.data import seeds
from leadline.training.data.stereo_pairs import only_source

if TYPE_CHECKING:
    from leadline.training.config import TrainConfig
    from leadline.training.network import Delivery


@dataclass(frozen=True, kw_only=True)
class HeldOutRig:
    """Held-out scenes of a recipe's rig.

    Attributes:
        config: of the run.
        render: (generator, size, count, rig=...) -> named arrays.
        picture, depth: which of them are what the network sees, and its depth.
    """

    config: TrainConfig
    render: Callable[..., dict[str, np.ndarray]]
    picture: str
    depth: str

    def validate(self, delivery: Delivery, *, rig: str, data: str) -> dict[str, float]:
        """Mean metrics; {} for a data set without ``validate_data``.

        Args:
            delivery: the network.
            rig: protocol for the world's rig.
            data: protocol for ``validate_data``.
        """
        if self.config.validate_data:
            return validate.validate(delivery, self.config, data)
        if only_source(self.config).name != "world":
            return {}
        pictures, depths = self._scenes
        return validate.score_pictures(
            delivery.module,
            pictures,
            depths,
            protocol=rig,
            max_depth=self.config.options.max_depth,
        )

    def rehearse(self, delivery: Delivery, *, data: str) -> None:
        """Only what is validated by the protocol has frames of its own to be read."""
        if self.config.validate_data:
            validate.rehearse(delivery.spec, self.config, data)

    @cached_property
    def _scenes(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seeds.HELD_OUT_RIG)
        count, size = self.config.validate_frames, self.config.sizes[0]
        made = self.render(rng, size, count, rig=self.config.options.rig)
        return made[self.picture], made[self.depth]
