"""What this machine multiplies per second, and what parts of a prediction cost.

These run inside a worker of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from leadline.decode import decode
from leadline.image import Image
from leadline.runtime.openvino import precisions
from leadline.speed.inputs import Setup

PICTURES = ((480, 640), (1080, 1920), (3000, 4000))
"""(height, width) of the photographs that go in."""


SIDE, REPEATS = 2048, 12
"""Of the square matrix products."""


def matmul_gflops(setup: Setup) -> dict[str, float]:
    """10^9 operations per second in square matrix products, the best of some.

    In f32 of PyTorch and numpy, whose libraries differ much on some processors; in bf16 where it is
    native, since PyTorch emulates it elsewhere at a thousandth of the rate.
    """
    import torch

    if setup.threads is not None:
        torch.set_num_threads(setup.threads)
    rates, kinds = {}, {"f32": torch.float32}
    if setup.device != "cpu" or "bf16" in precisions():
        kinds["bf16"] = torch.bfloat16
    for name, kind in kinds.items():
        a = torch.randn(SIDE, SIDE, device=setup.device).to(kind)
        b = torch.randn(SIDE, SIDE, device=setup.device).to(kind)

        def product(a: Any = a, b: Any = b) -> None:
            (a @ b).flatten()[-1].item()  # waits for a GPU

        rates[name] = 2 * SIDE**3 / min(_times(product, REPEATS)) / 1e9
    if setup.device == "cpu" and setup.threads is None:
        left = np.random.default_rng(0).standard_normal((SIDE, SIDE), dtype=np.float32)
        fastest = min(_times(lambda: left @ left, REPEATS))
        rates["f32"] = max(rates["f32"], 2 * SIDE**3 / fastest / 1e9)
    return rates


def steps_of_a_prediction(setup: Setup, repeats: int) -> list[dict[str, Any]]:
    """Seconds before, in and after the network for pictures of several sizes.

    Through a DepthEstimator as users have it: array of a decoded picture in, Prediction out.
    """
    from leadline.load_options import load

    estimator = load(setup.folder / "any.xml", runtime="openvino", threads=setup.threads)
    found = []
    for picture in _photographs(setup.seed):
        prepared = estimator.preprocess(picture)
        outputs = estimator.runtime.run(prepared.arrays)
        for _ in range(2):
            estimator.predict(picture)
        rounds = [_steps(estimator, picture) for _ in range(repeats)]
        before, network, after = (float(np.median(part)) for part in zip(*rounds, strict=True))
        shape = outputs["depth"].shape
        found.append(
            {
                "picture": list(picture.size),
                "network_input": list(shape[1:]),
                "before_s": before,
                "network_s": network,
                "after_s": after,
                "outside_share": (before + after) / (before + network + after),
            }
        )
    return found


def policies(setup: Setup, repeats: int) -> list[dict[str, Any]]:
    """Seconds per picture of 640x480 pixels for every way to look at it."""
    from leadline.estimator import DepthEstimator
    from leadline.load_options import load, resize_input

    base = load(setup.folder / "any.xml", runtime="openvino", threads=setup.threads)
    short = min(base.spec.preprocess.size)
    larger = replace(base.spec, preprocess=resize_input(base.spec.preprocess, short * 3 // 2))
    ways = {
        "single": base,
        "--flip": DepthEstimator(base.runtime, base.spec, policy="flip"),
        "--tiles 2": DepthEstimator(base.runtime, base.spec, tiles=2),
        f"--size {short * 3 // 2}": DepthEstimator(base.runtime, larger),
    }
    picture = _photographs(setup.seed)[0]
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(repeats + 1):
        for name, estimator in ways.items():
            start = time.perf_counter()
            estimator.predict(picture)
            if number:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    single = float(np.median(times["single"]))
    return [
        {"policy": name, "seconds": float(np.median(t)), "cost": float(np.median(t)) / single}
        for name, t in times.items()
    ]


def _steps(estimator: Any, picture: Image) -> tuple[float, float, float]:
    start = time.perf_counter()
    prepared = estimator.prepare(picture)
    ready = time.perf_counter()
    outputs = estimator.runtime.run(prepared.arrays)
    done = time.perf_counter()
    decode(estimator.preprocess.restore(outputs, prepared), estimator.spec, prepared)
    return ready - start, done - ready, time.perf_counter() - done


def _photographs(seed: int) -> list[Image]:
    rng = np.random.default_rng(seed)
    return [
        Image(pixels=rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for height, width in PICTURES
    ]


def _times(work: Callable[[], object], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times
