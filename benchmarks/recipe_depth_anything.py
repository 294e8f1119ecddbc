"""`depth-anything`: what each part of the student's training is worth at this size.

Labels are scarce and of rooms alone; unlabelled pictures are of rooms, streets, nature and objects.
A teacher learns from the labels and labels the rest; then three students start anew, each with one
part more. They all take the same steps, so the teacher is also the first row of the ablation.
Held-out scenes of all four kinds decide; real frames are reported.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.harness import (
    CACHE,
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
from leadline.io import list_images
from leadline.load_options import LoadOptions
from leadline.shards import BulkJob, label_files
from leadline.training import TrainConfig
from leadline.training.data.pseudo_labels import render_pictures

PROTOCOL = "depth-anything-zero-shot"
KINDS = ("room", "street", "nature", "objects")
REAL = ("NYU", "7-Scenes kitchen", "Kinect with poses", "KITTI annotated")
SIZE = [96, 128]
PLAIN = {"colours": False, "cutmix": 0.0, "feature_weight": 0.0}
TEACHER = "labelled only"
ARMS: dict[str, dict[str, Any]] = {
    TEACHER: {**PLAIN, "pseudo_share": 0.0},
    "+ pseudo labels": PLAIN,
    "+ perturbations": {"feature_weight": 0.0},
    "+ feature alignment": {},
}


def depth_anything(settings: Settings) -> dict[str, Any]:
    """Teacher, labels, and the students, for every seed."""
    arms: list[Arm] = []
    config = student(settings)
    config = config.updated({"steps": steps_for(config, settings)})
    for seed in range(settings.seeds):
        labels = ""
        for name, options in ARMS.items():
            own = {f"options.{key}": value for key, value in options.items()}
            arm, delivery = run_arm(
                f"depth-anything {name}",
                config.updated({**own, "options.labels": labels}),
                seed=seed,
            )
            arms.append(measured(arm, delivery))
            if name == TEACHER:
                labels = labels_by(f"depth-anything {name}-{seed}-{config.steps}", settings)
    return {
        "frames": {kind: len(frames(kind, 24)) for kind in KINDS},
        "labelled_pictures": config.world.shards * config.world.shard,
        "unlabelled_pictures": unlabelled(settings),
        "protocol": PROTOCOL,
        "arms": plain(arms),
        "verdict": verdict(arms),
    }


def student(settings: Settings) -> TrainConfig:
    """What all students share: few labelled rooms, the same steps and batch."""
    shared = shared_world(settings) | {"world.shards": 2}
    own = {
        "sizes": [SIZE],
        "batch": 12,
        "device": settings.device,
        "threads": settings.threads,
        "validate_every": -1,
        "options.settle": 20,
        "warmup": 20,
        "ema": 0.98,
    }
    return TrainConfig.from_toml("depth-anything").updated(own | shared)


def unlabelled(settings: Settings) -> int:
    """How many unlabelled pictures."""
    return max(96, settings.pictures // 3)


def labels_by(run: str, settings: Settings) -> str:
    """Labels of the unlabelled pictures by a finished run; made once."""
    count = unlabelled(settings)
    pictures = CACHE / f"unlabelled-{count}"
    render_pictures(pictures, count=count, size=(116, 154))
    out = CACHE / "labels" / f"{run}-{count}"
    choice = LoadOptions(model=str(CACHE / "arms" / run), runtime="torch", device=settings.device)
    job = BulkJob(model=choice, out=str(out), disparity=True)
    files = {path: out / "depth" / f"{path.stem}.png" for path in list_images(pictures)}
    label_files(job, files).raise_failures()
    return str(out)


def measured(arm: Arm, delivery: Any) -> Arm:
    """The arm with its numbers: per kind of scene, and their mean."""
    predict = predictor(delivery)
    for kind in KINDS:
        found = score(predict, frames(kind, 24), PROTOCOL)
        arm.held_out.update({f"{kind} {name}": found[name] for name in ("abs_rel", "delta1")})
    for name in ("abs_rel", "delta1"):
        arm.held_out[name] = float(np.mean([arm.held_out[f"{kind} {name}"] for kind in KINDS]))
    arm.real.update(real_scores(predict, sets=REAL, protocol=PROTOCOL))
    return arm


def verdict(arms: list[Arm]) -> dict[str, Any]:
    """AbsRel of each step of the ablation, and whether it beat the step before.

    A step helps (or harms) when the mean difference over seeds is more than twice its standard
    error; with one seed nothing is decided.
    """
    values = {
        name: [arm.held_out["abs_rel"] for arm in arms if arm.name == f"depth-anything {name}"]
        for name in ARMS
    }
    found: dict[str, Any] = {}
    before: list[float] = []
    for name, own in values.items():
        found[name] = {"abs_rel": round(float(np.mean(own)), 4), "seeds": len(own)}
        if before:
            difference = np.array(own) - np.array(before)
            found[name]["change"] = round(float(difference.mean()), 4)
            found[name]["verdict"] = decided(difference)
        before = own
    return found


def decided(difference: np.ndarray) -> str:
    """``helps``, ``harms`` or ``not decided``, from paired differences over seeds."""
    if difference.size < 2:
        return "not decided: one seed"
    error = float(difference.std(ddof=1)) / math.sqrt(difference.size)
    if abs(difference.mean()) <= 2 * error:
        return "not decided"
    return "helps" if difference.mean() < 0 else "harms"
