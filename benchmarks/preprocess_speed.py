"""Speed of reading, resizing and restoring pictures: everything on the main path but the network.

    python benchmarks/preprocess_speed.py [--json FILE] [--rounds 30]

Prints the median and the interquartile range in milliseconds after a warm-up, on seeded noise,
beside OpenCV where it is installed. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from leadline.image import Image
from leadline.preprocess import Preprocess
from leadline.resample import resize
from leadline.spec import PreprocessSpec

SPECS = {
    "lite 192": PreprocessSpec(
        size=(192, 192), resize="short_side", multiple_of=32, interpolation="area_linear"
    ),
    "Depth Anything 518": PreprocessSpec(size=(518, 518), multiple_of=14),
}
PICTURES = ((480, 640), (1080, 1920), (3000, 4000))


def measure(work: Callable[[], object], rounds: int) -> dict[str, float]:
    """Median and interquartile range in milliseconds, after three rounds of warm-up."""
    for _ in range(3):
        work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    low, middle, high = np.percentile(times, (25, 50, 75))
    return {"median_ms": float(middle), "iqr_ms": float(high - low)}


def cases() -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    rng = np.random.default_rng(0)
    found: dict[str, Callable[[], object]] = {}
    for height, width in PICTURES:
        image = Image(pixels=rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for name, spec in SPECS.items():
            preprocess = Preprocess(spec)
            prepared = preprocess(image)
            outputs = {"depth": rng.random((1, *prepared.input_size), dtype=np.float32)}

            def prepare(preprocess: Preprocess = preprocess, image: Image = image) -> object:
                return preprocess(image)

            def restore(preprocess=preprocess, outputs=outputs, prepared=prepared) -> object:
                return preprocess.restore(outputs, prepared)

            found[f"prepare {width}x{height} for {name}"] = prepare
            found[f"restore {width}x{height} from {name}"] = restore
    small = rng.integers(0, 256, (480, 640, 3), dtype=np.uint8)
    found["cubic 640x480x3 to 686x518"] = lambda: resize(small, (518, 686), "cubic")
    found |= opencv_cases(small)
    return found


def opencv_cases(small: np.ndarray) -> dict[str, Callable[[], object]]:
    """The same by OpenCV, or nothing when it is not installed."""
    try:
        import cv2
    except ImportError:
        return {}
    return {
        "cubic 640x480x3 to 686x518, OpenCV in float64 as the originals do": lambda: cv2.resize(
            small / 255.0, (686, 518), interpolation=cv2.INTER_CUBIC
        )
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path, default=None, help="also write the numbers here")
    arguments = parser.parse_args()
    results = {}
    for name, work in cases().items():
        results[name] = measure(work, arguments.rounds)
        print(f"{name:68}{results[name]['median_ms']:9.2f} ms  (IQR {results[name]['iqr_ms']:.2f})")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
