"""`supervised`: each classic, small, against the mean depth map of what it learned from.

In rooms, seen by any lens (``supervised``), and on roads, seen by KITTI's camera from a car
(``supervised-roads``): the classics were trained on data sets that have one camera each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import (
    INDOOR,
    ROADS,
    Settings,
    frames,
    mean_depth,
    mean_of,
    plain,
    predictor,
    real_scores,
    run_arm,
    score,
    shared_world,
    steps_for,
)
from leadline.training import TrainConfig

PROTOCOL = "depth-anything-v2-metric"
SHORT = {
    "optimizer": "adamw",
    "schedule": "cosine",
    "warmup": 20,
    "ema": 0.98,
    "clip": 1.0,
    "validate_every": -1,
}
"""What a few minutes from random weights need in place of the authors' days."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """Scenes that networks learn and are measured on.

    Attributes:
        kind, mount: of the scenes and of the camera.
        size: (height, width) of the rendered pictures.
        views: pictures of a scene.
        real: sets of real frames to try the networks on.
        arms: preset -> what is changed in it, to be small and quick.
    """

    kind: str
    mount: str
    size: tuple[int, int]
    views: int
    real: tuple[str, ...]
    arms: Mapping[str, dict[str, Any]]

    def world(self, settings: Settings) -> dict[str, Any]:
        """Settings of a run that make it learn from the domain's shared set."""
        return shared_world(
            settings,
            kinds=(self.kind,),
            name=f"world-{self.mount or self.kind}",
            mount=self.mount,
            size=list(self.size),
            views=self.views,
        )

    def config(self, name: str, settings: Settings) -> TrainConfig:
        """The preset, small, on the shared set."""
        where = {"device": settings.device, "threads": settings.threads}
        changes = {**SHORT, **self.arms[name], **self.world(settings), **where}
        return TrainConfig.from_toml(name).updated(changes)


_FASTDEPTH = {"steps": 900, "lr": 2e-3, "encoder_lr": 2e-3, "augment.colours": "strong"}
_DENSEDEPTH = {"steps": 360, "batch": 8, "lr": 3e-4, "encoder_lr": 3e-4}
_EIGEN = {
    "steps": 500,
    "batch": 16,
    "lr": 3e-4,
    "encoder_lr": 3e-4,
    "options.own_rates": False,
    "options.coarse_share": 0.7,
}
_FAR = {"options.max_depth": 80.0, "options.min_depth": 1.0, "options.zoom_is_near": False}

DOMAINS: Mapping[str, Domain] = {
    "rooms": Domain(
        kind="room",
        mount="",
        size=(192, 256),
        views=3,
        real=INDOOR,
        arms={
            "fastdepth": {**_FASTDEPTH, "sizes": [[96, 128]]},
            "densedepth-half": {**_DENSEDEPTH, "sizes": [[96, 128]]},
            "eigen14-nyu": {**_EIGEN, "sizes": [[128, 172]], "model_options.size": [128, 172]},
        },
    ),
    "roads": Domain(
        kind="street",
        mount="kitti",
        size=(96, 320),
        views=8,
        real=ROADS,
        arms={
            "fastdepth": {
                **_FASTDEPTH,
                **_FAR,
                "steps": 600,
                "sizes": [[64, 224]],
                "augment.rotate_deg": 0.0,
                "options.loss": "silog-depth-anything-v2",  # of metres, far things would be all
                "options.aspect": 0.0,
                "options.start_share": 0.15,
            },
            "densedepth-half": {
                **_DENSEDEPTH,
                **_FAR,
                "steps": 800,
                "lr": 1e-3,
                "encoder_lr": 1e-3,
                "amp": "bf16",  # half the time on a processor that multiplies it (AMX)
                "sizes": [[64, 224]],
            },
            "eigen14-kitti": {
                **_EIGEN,
                "steps": 1150,
                "lr": 6e-4,
                "encoder_lr": 6e-4,
                "options.coarse_share": 0.85,
                "options.repeat_coarse": True,
                "sizes": [
                    [128, 192]
                ],  # wide pictures, stretched: the network's least height is 128
                "options.aspect": 10 / 3,
                "model_options.size": [128, 192],
                "model_options.fine_rows": [0, 30],
            },
        },
    ),
}


def supervised(settings: Settings, *, where: str = "rooms") -> dict[str, Any]:
    """Train every arm on rendered scenes; AbsRel in metres, nothing aligned."""
    domain = DOMAINS[where]
    held_out = frames(domain.kind, size=domain.size, mount=domain.mount)
    arms = []
    for seed in range(settings.seeds):
        for name in domain.arms:
            config = domain.config(name, settings)
            if settings.steps or settings.minutes < 8:
                config = config.updated({"steps": steps_for(config, settings)})
            arm, delivery = run_arm(name, config, seed=seed, group=where)
            predict = predictor(delivery)
            arm.held_out.update(score(predict, held_out, PROTOCOL))
            arm.real.update(real_scores(predict, sets=domain.real))
            arms.append(arm)
    config = domain.config("fastdepth", settings)
    guess = mean_depth(config, farthest=config.options.max_depth)
    baseline = score(guess, held_out, PROTOCOL)
    better = {
        name: round(1 - value / baseline["abs_rel"], 3) for name, value in mean_of(arms).items()
    }
    return {
        "where": where,
        "frames": len(held_out),
        "pictures": settings.pictures,
        "protocol": PROTOCOL,
        "baseline": {
            "name": "mean depth map",
            "held_out": baseline,
            "real": real_scores(guess, sets=domain.real),
        },
        "arms": plain(arms),
        "verdict": {"abs_rel_below_baseline": better, "needed": 0.4},
    }
