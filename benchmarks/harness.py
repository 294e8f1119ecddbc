"""What the proofs of the recipes share: rendered sets, baselines, training, measuring.

A training set of the world is rendered once into ``runs/recipes`` and shared by every arm, seed
and benchmark that asks for the same pictures; so are the held-out frames. An arm is one training
run with its numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt

from leadline.camera import Camera
from leadline.datasets import Frame, open_dataset
from leadline.evaluation import evaluate, protocols
from leadline.evaluation.leaderboard import read_entries
from leadline.image import Image
from leadline.kinds import DepthKind
from leadline.prediction import Prediction
from leadline.resample import resize
from leadline.training import TrainConfig, train
from leadline.training.devices import choose_device
from leadline.training.engine.dry_run import seconds_per_step
from leadline.training.engine.loop import Run
from leadline.training.engine.parallel import Place
from leadline.training.network import Delivery
from leadline.training.validate import estimator_of, measure, render_held_out

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "runs" / "recipes"
RESULTS = ROOT / "benchmarks" / "results"
REAL = ROOT / "benchmarks" / "real_frames.toml"
INDOOR = ("NYU", "7-Scenes kitchen", "Kinect with poses")
"""Sets of real frames, of ``real_frames.toml``, that networks trained on rooms are tried on."""
ROADS = ("KITTI annotated", "KITTI raw", "KITTI object")
"""Those for networks trained on streets."""

Predict = Callable[[Frame], Prediction]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How much a benchmark may take.

    Attributes:
        seeds: runs of every arm, from seed 0.
        minutes: of training per arm; the number of steps follows from the speed here.
        steps: of training per arm; in place of ``minutes``.
        device: as of a run.
        threads: torch threads; 0: all.
        pictures: size of the rendered training set.
    """

    seeds: int = 1
    minutes: float = 8.0
    steps: int = 0
    device: str = "auto"
    threads: int = 0
    pictures: int = 1536


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One training run and what came of it.

    Attributes:
        name, seed: which.
        steps, batch, seconds: how long it learned, resumed or not.
        curve: (step, loss) as logged.
        held_out: mean metrics on held-out frames of the world.
        real: set -> metric -> [mean, low, high], 95 % intervals over frames.
    """

    name: str
    seed: int
    steps: int
    batch: int
    seconds: float
    curve: list[tuple[int, float]] = field(default_factory=list)
    held_out: dict[str, float] = field(default_factory=dict)
    real: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def shared_world(
    settings: Settings, *, kinds: tuple[str, ...] = ("room",), name: str = "", **changes: Any
) -> dict[str, Any]:
    """Settings of a run that make it learn from the shared training set of ``kinds``.

    Args:
        settings: of the benchmark.
        kinds: of scenes.
        name: of the set; recipes that render something else than single pictures give their own.
        changes: more settings of the table ``world``.
    """
    shard = 96
    world = {
        "kinds": list(kinds),
        "size": [192, 256],
        "margin": 1.0,
        "shard": shard,
        "shards": max(1, settings.pictures // shard),
        "seed": 0,
        "folder": str(CACHE / (name or f"world-{'-'.join(kinds)}")),
    } | changes
    return {f"world.{key}": value for key, value in world.items()}


def frames(
    kind: str = "room", count: int = 60, *, size: tuple[int, int] = (192, 256), mount: str = ""
) -> tuple[Frame, ...]:
    """Held-out frames of the world, rendered once."""
    path = CACHE / f"held-out-{mount or kind}-{count}-{size[0]}x{size[1]}.npz"
    if not path.exists():
        made = render_held_out(count, kinds=(kind,), size=size, mount=mount)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            path,
            rgb=np.stack([frame.image.pixels for frame in made]),
            depth=np.stack([frame.depth for frame in made]),
            fx=np.array([_camera(frame).fx for frame in made]),
            cap=np.array([frame.max_depth for frame in made]),
        )
    stored = np.load(path)
    h, w = stored["depth"].shape[1:]
    return tuple(
        Frame(
            image=Image(
                pixels=stored["rgb"][n],
                camera=Camera(
                    width=w, height=h, fx=fx, fy=fx, cx=(w - 1) / 2, cy=(h - 1) / 2, source="world"
                ),
            ),
            depth=stored["depth"][n],
            max_depth=float(stored["cap"][n]),
            group="world",
            name=f"{kind}-{n:03d}",
        )
        for n, fx in enumerate(stored["fx"])
    )


def steps_for(config: TrainConfig, settings: Settings) -> int:
    """Steps that fit into the settings' minutes on this machine."""
    if settings.steps:
        return settings.steps
    return max(50, round(60 * settings.minutes / seconds_per_step(config)))


def run_arm(
    name: str, config: TrainConfig, *, seed: int = 0, group: str = ""
) -> tuple[Arm, Delivery]:
    """Train, or take up, the run ``name`` of a group; a finished one is not repeated."""
    config = config.updated({"seed": seed, "log_every": max(1, config.steps // 40)})
    out = CACHE / "arms" / group / f"{name}-{seed}-{config.steps}"
    train(config, out, resume=True, report=lambda line: print(f"{name} {seed}: {line}"))
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    speeds = [line["samples_per_s"] for line in lines if "samples_per_s" in line]
    run = Run(config, Place(device=choose_device(config.device)))
    run.resume(out)
    arm = Arm(
        name=name,
        seed=seed,
        steps=config.steps,
        batch=config.batch,
        seconds=round(config.steps * config.batch / float(np.mean(speeds)), 1),
        curve=[(line["step"], line["loss"]) for line in lines if "loss" in line],
    )
    return arm, run.deliver()


def score(predict: Predict, held_out: Iterable[Frame], protocol: str) -> dict[str, float]:
    """Mean metrics over frames of the world."""
    return measure(predict, held_out, protocols.get(protocol))


def predictor(delivery: Delivery) -> Predict:
    """The network behind its own preprocessing."""
    network = estimator_of(delivery)
    return lambda frame: network.predict(frame.image)


def real_scores(
    predict: Predict, *, sets: tuple[str, ...] = INDOOR, protocol: str = ""
) -> dict[str, dict[str, list[float]]]:
    """Metrics with 95 % intervals on the real frames that are here; {} where none are."""
    found = {}
    for entry in read_entries(REAL):
        root = REAL.parent / entry.root
        if entry.name not in sets or not root.exists():
            continue
        refs = open_dataset(entry.dataset, root, entry.options)
        chosen = protocols.get(protocol or entry.protocol)
        report = evaluate(
            lambda frame: filled(predict(frame)), refs, chosen, skip_bad=True
        ).to_dict()
        found[entry.name] = {
            metric: [report["mean"][metric], *report["interval_95"][metric]]
            for metric in ("abs_rel", "delta1", "rmse")
            if metric in report["mean"]
        }
    return found


def filled(pred: Prediction) -> Prediction:
    """The map with the nearest value where the network says nothing (Eigen's, near the border)."""
    if pred.known.all():
        return pred
    nearest = distance_transform_edt(~pred.known, return_distances=False, return_indices=True)
    return replace(pred, values=pred.values[tuple(nearest)], valid=None)


def mean_depth(config: TrainConfig, *, farthest: float = 1e3, shards: int = 4) -> Predict:
    """The mean depth map of the training set: what a metric network has to beat.

    Args:
        config: of a run on the set.
        farthest: metres up to which depths count; far hills would spoil the mean.
        shards: of the set, to look at.
    """
    folder = Path(config.world.folder)
    total, count = np.zeros(config.world.size), np.zeros(config.world.size)
    for index in range(min(shards, config.world.shards)):
        near = np.load(folder / f"shard-{index:05d}.disparity.npy").astype(np.float32)
        known = near > 1 / farthest
        total += np.where(known, 1 / np.where(known, near, 1), 0).sum(0)
        count += known.sum(0)
    values = (total / np.maximum(count, 1)).astype(np.float32)

    def predict(frame: Frame) -> Prediction:
        sized = resize(values, frame.image.size, "linear")
        return Prediction(values=sized, kind=DepthKind.METRIC_DEPTH)

    return predict


def mean_of(arms: Iterable[Arm], metric: str = "abs_rel") -> dict[str, float]:
    """Mean and standard deviation over seeds of a held-out metric, by arm."""
    values: dict[str, list[float]] = {}
    for arm in arms:
        values.setdefault(arm.name, []).append(arm.held_out[metric])
    return {name: float(np.mean(found)) for name, found in values.items()}


def plain(arms: Iterable[Arm]) -> list[dict[str, Any]]:
    """Arms for JSON."""
    return [asdict(arm) for arm in arms]


def machine(settings: Settings) -> dict[str, Any]:
    """Where the numbers come from."""
    device = choose_device(settings.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    return {"device": name, "torch": torch.__version__, "threads": torch.get_num_threads()}


def _camera(frame: Frame) -> Camera:
    if frame.image.camera is None:
        raise ValueError(f"{frame.name} has no camera")
    return frame.image.camera
