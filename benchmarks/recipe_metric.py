"""`metric`: one network for rooms and roads against one for each.

All start from the embedded relative network. The network of both domains takes twice the steps, so
that it sees as many pictures of each domain as the network of that domain alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.harness import (
    Arm,
    Settings,
    frames,
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
ROOMS, ROADS = ["indoor", 10.0], ["outdoor", 80.0]
ARMS: dict[str, dict[str, Any]] = {
    "N": {"kinds": ("room",), "domains": [ROOMS]},
    "K": {"kinds": ("street",), "domains": [ROADS]},
    "NK": {"kinds": ("room", "street"), "domains": [ROOMS, ROADS]},
    "NK sigmoid": {"kinds": ("room", "street"), "domains": [ROOMS, ROADS], "head": "sigmoid"},
}
REAL = {"room": ("NYU", "7-Scenes kitchen", "Kinect with poses"), "street": ("KITTI annotated",)}


def metric(settings: Settings) -> dict[str, Any]:
    """Train the arms for every seed; AbsRel in metres, nothing aligned."""
    arms = []
    for seed in range(settings.seeds):
        for name, choice in ARMS.items():
            config = arm_config(name, settings)
            steps = steps_for(config, settings) * len(choice["kinds"])
            arm, delivery = run_arm(f"metric {name}", config.updated({"steps": steps}), seed=seed)
            predict = predictor(delivery)
            for kind in choice["kinds"]:
                found = score(predict, frames(kind), PROTOCOL)
                keys = ("abs_rel", "delta1", "rmse")
                arm.held_out.update({f"{kind} {key}": found[key] for key in keys})
                arm.real.update(real_scores(predict, sets=REAL[kind]))
            arms.append(arm)
    return {
        "frames": {kind: len(frames(kind)) for kind in ("room", "street")},
        "pictures": settings.pictures,
        "protocol": PROTOCOL,
        "arms": plain(arms),
        "verdict": verdict(arms),
    }


def arm_config(name: str, settings: Settings) -> TrainConfig:
    """The preset, small, on the shared sets of its kinds."""
    choice = ARMS[name]
    options: dict[str, Any] = {"encoder": "lite", "domains": choice["domains"]}
    if "head" in choice:
        options["head"] = choice["head"]
    own = {
        "sizes": [[96, 128]],
        "batch": 8,
        "model_options": options,
        "device": settings.device,
        "threads": settings.threads,
        "validate_every": -1,
        "ema": 0.98,
        "options.max_depth": max(domain[1] for domain in choice["domains"]),
    }
    shared = shared_world(settings, kinds=choice["kinds"])
    return TrainConfig.from_toml("metric").updated(own | shared)


def verdict(arms: list[Arm]) -> dict[str, Any]:
    """AbsRel of the network of both domains over that of the network of each."""
    found: dict[str, Any] = {"needed": 1.1}
    for kind, single in (("room", "N"), ("street", "K")):
        alone = mean_abs_rel(arms, single, kind)
        found[kind] = {single: round(alone, 4)}
        for both in ("NK", "NK sigmoid"):
            value = mean_abs_rel(arms, both, kind)
            found[kind] |= {both: round(value, 4), f"{both} over {single}": round(value / alone, 3)}
    return found


def mean_abs_rel(arms: list[Arm], name: str, kind: str) -> float:
    """Over seeds, on held-out scenes of a kind."""
    own = [arm.held_out[f"{kind} abs_rel"] for arm in arms if arm.name == f"metric {name}"]
    return float(np.mean(own))
