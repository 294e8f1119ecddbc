"""Pictures per second of the procedural world: numpy, one by one, against torch, many at once.

    python benchmarks/world_rendering.py [--device cpu] [--pictures 48] [--rounds 3] [--json FILE]

One process, the usual mix of scenes, three views of each, 256x320. Every round makes new scenes and
renders the same pictures both ways, in turns; the first round warms up and is not counted. Scenes,
cameras and the sensor are numpy's in both. Beside the time on the wall stands the processor's,
which tells more on a busy machine, but nothing of a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from leadline import world
from leadline.camera import Camera
from leadline.world.batch import linear_views
from leadline.world.render import develop, draw_factor, radiance
from leadline.world.shading import pose_of

SIZE = (256, 320)
VIEWS = 3
Pictures = tuple[list[world.Scene], list[Camera], list[int]]


class Clock:
    """Seconds of each part of the work, one number for each round."""

    def __init__(self) -> None:
        self.spent: dict[str, list[tuple[float, float]]] = {}

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        """Do the work and write down how long it took."""
        start, busy = time.perf_counter(), time.process_time()
        result = work()
        took = time.perf_counter() - start, time.process_time() - busy
        self.spent.setdefault(name, []).append(took)
        return result

    def per_picture(self, count: int, which: int) -> dict[str, float]:
        """Milliseconds of each part in the median round after the first; 0: wall, 1: processor."""
        return {
            name: round(1e3 * float(np.median([took[which] for took in rounds[1:]])) / count, 2)
            for name, rounds in self.spent.items()
        }


def by_numpy(pictures: Pictures) -> dict[int, Any]:
    """Linear colour and truth of each picture."""
    found = {}
    for n, (scene, camera, factor) in enumerate(zip(*pictures, strict=True)):
        linear, depth, ids, normals = radiance(scene, camera, factor)
        normals = normals @ pose_of(camera)[:3, :3].astype(np.float32)
        labels = np.where(ids >= 0, scene.labels[ids], np.int16(-1))
        found[n] = linear, (depth, normals, labels)
    return found


def by_torch(pictures: Pictures, device: str) -> dict[int, Any]:
    """The same on the device."""
    return {n: (linear, truth) for n, linear, truth in linear_views(*pictures, device)}


def one_round(clock: Clock, number: int, count: int, device: str) -> None:
    """New scenes, both ways of rendering in an order that changes, and the sensor."""
    seeds = [1000 * number + k for k in range(-(-count // VIEWS))]
    scenes = clock.run("scene", lambda: [world.sample_scene(seed) for seed in seeds])
    seen = [scenes[k // VIEWS] for k in range(count)]
    rngs = [np.random.default_rng([number, k]) for k in range(count)]
    cameras = clock.run(
        "camera",
        lambda: [world.sample_camera(s, rng, SIZE) for s, rng in zip(seen, rngs, strict=True)],
    )
    factors = [draw_factor(scene, rng) for scene, rng in zip(seen, rngs, strict=True)]
    pictures = (seen, cameras, factors)
    ways = {"numpy": lambda: by_numpy(pictures), "torch": lambda: by_torch(pictures, device)}
    for name in sorted(ways, reverse=bool(number % 2)):
        found = clock.run(name, ways[name])
    clock.run(
        "sensor",
        lambda: [develop(seen[n], cameras[n], rngs[n], *found[n]) for n in range(count)],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--pictures", type=int, default=48, help="at once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    clock = Clock()
    for number in range(given.rounds + 1):
        one_round(clock, number, given.pictures, given.device)
    parts = clock.per_picture(given.pictures, 0)
    shared = parts["scene"] + parts["camera"] + parts["sensor"]
    cuda = given.device.startswith("cuda")
    record = {
        "ms_per_picture": parts,
        "processor_ms_per_picture": clock.per_picture(given.pictures, 1),
        "pictures_per_second": {
            way: round(1e3 / (shared + parts[way]), 1) for way in ("numpy", "torch")
        },
        "device": torch.cuda.get_device_name(given.device) if cuda else given.device,
        "pictures": given.pictures,
        "rounds": given.rounds,
        "size": list(SIZE),
        "load_per_core": round(os.getloadavg()[0] / (os.cpu_count() or 1), 1),
        "quiet": os.getloadavg()[0] < 1.5,
    }
    text = json.dumps(record, indent=2)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
