"""`supervised`: each classic, small, against the mean depth map of what it learned from."""

from __future__ import annotations

from typing import Any

from benchmarks.harness import (
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
SHORT = {"optimizer": "adamw", "schedule": "cosine", "warmup": 20, "ema": 0.98, "clip": 1.0}
"""What a few minutes from random weights need in place of the authors' days."""
ARMS: dict[str, dict[str, Any]] = {
    "fastdepth": {
        "steps": 900,
        "sizes": [[96, 128]],
        "lr": 2e-3,
        "encoder_lr": 2e-3,
        "augment.colours": "strong",
    },
    "densedepth-half": {
        "steps": 360,
        "sizes": [[96, 128]],
        "batch": 8,
        "lr": 3e-4,
        "encoder_lr": 3e-4,
    },
    "eigen14-nyu": {
        "steps": 500,
        "sizes": [[128, 172]],
        "model_options.size": [128, 172],
        "batch": 16,
        "lr": 3e-4,
        "encoder_lr": 3e-4,
        "options.own_rates": False,
        "options.coarse_share": 0.7,
    },
}
"""Preset -> what is changed in it, to be small and quick: at most 8 minutes on two cores."""


def supervised(settings: Settings) -> dict[str, Any]:
    """Train every arm on rendered rooms; AbsRel in metres, nothing aligned."""
    arms = []
    for seed in range(settings.seeds):
        for name in ARMS:
            config = arm_config(name, settings)
            if settings.steps or settings.minutes < 8:
                config = config.updated({"steps": steps_for(config, settings)})
            arm, delivered = run_arm(name, config, seed=seed)
            predict = predictor(delivered)
            arm.held_out.update(score(predict, frames("room"), PROTOCOL))
            arm.real.update(real_scores(predict))
            arms.append(arm)
    guess = mean_depth(arm_config("fastdepth", settings))
    baseline = score(guess, frames("room"), PROTOCOL)
    better = {
        name: round(1 - value / baseline["abs_rel"], 3) for name, value in mean_of(arms).items()
    }
    return {
        "frames": len(frames("room")),
        "pictures": settings.pictures,
        "protocol": PROTOCOL,
        "baseline": {"name": "mean depth map", "held_out": baseline, "real": real_scores(guess)},
        "arms": plain(arms),
        "verdict": {"abs_rel_below_baseline": better, "needed": 0.4},
    }


def arm_config(name: str, settings: Settings) -> TrainConfig:
    """The preset, small, on the shared set of rooms."""
    shared = shared_world(settings) | {"device": settings.device, "threads": settings.threads}
    never = {"validate_every": -1}
    return TrainConfig.from_toml(name).updated({**SHORT, **ARMS[name], **shared, **never})
