"""Pictures and tables of docs/concepts/dense-from-motion.md.

    python -m tools.dense_figures

tools/figures.py calls :func:`draw_all` and takes :data:`TABLES`. The pictures show procedural
rooms, so that the truth is known and nobody else's photo is shown.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from leadline import geometry, viz, world
from leadline.image import Image as Picture
from leadline.prediction import Prediction
from tools.pages import save_picture

SIZE = (240, 320)


def views(seed: int, moves: list[list[float]]) -> tuple[list[Picture], np.ndarray]:
    """A room from places moved by metres (right, down, forward), and the first one's depth."""
    scene = world.sample_scene(seed, "room")
    camera = world.sample_camera(scene, np.random.default_rng(seed), SIZE)
    pictures, depths = [], []
    height, width = SIZE
    for number, move in enumerate(moves):
        pose = np.array(camera.world_from_camera)
        pose[:3, 3] += pose[:3, :3] @ move
        # One seed is one sensor; another width gives every picture noise of its own.
        wider = replace(camera.moved(pose), width=width + number)
        view = world.render(scene, wider, (height, width + number), np.random.default_rng(1))
        pixels = np.ascontiguousarray(view.rgb[:, :width])
        pictures.append(Picture(pixels=pixels, camera=camera.moved(pose), name=f"view {number}"))
        depths.append(view.depth[:, :width])
    return pictures, depths[0]


def sweeps() -> None:
    """Picture, truth, plane sweep, confidence, and the sweep filled from its confident pixels."""
    moves = [[0.0, 0.0, 0.0], [-0.12, 0, 0], [0.12, 0, 0], [0, 0.1, 0.1], [0.05, -0.08, -0.1]]
    tiles = []
    for seed in (3, 21):
        (first, *others), depth = views(seed, moves)
        near, far = 0.8 * float(depth.min()), 1.5 * float(np.percentile(depth, 99))
        found = geometry.plane_sweep(first, others, near=near, far=far, refine=False)
        tiles += _row(first, depth, found)
    save_picture(
        viz.contact_sheet(tiles, columns=5, cell=(150, 200)),
        "dense-sweep.jpg",
        quality=85,
        optimize=True,
    )


def pairs() -> None:
    """The same for a pair side by side: what only one view shows is filled from behind."""
    tiles = []
    for seed in (3, 21):
        (left, right), depth = views(seed, [[0, 0, 0], [0.15, 0, 0]])
        found = geometry.stereo_disparity(left, right).to_depth(baseline_m=0.15)
        tiles += _row(left, depth, found)[:4]
    save_picture(
        viz.contact_sheet(tiles, columns=4, cell=(170, 227)),
        "dense-stereo.jpg",
        quality=85,
        optimize=True,
    )


def _row(image: Picture, depth: np.ndarray, found: Prediction) -> list[np.ndarray]:
    inverse = (1 / depth).astype(np.float32)
    limits = viz.value_range(inverse)
    sure = np.ones(found.size) if found.confidence is None else found.confidence
    return [
        image.pixels,
        viz.colorize(inverse, limits=limits),
        found.colorize(limits=limits),
        viz.colorize(sure.astype(np.float32), cmap="grey", limits=(0, 1)),
        geometry.fill(found).colorize(limits=limits),
    ]


def plane_sweep(results: dict[str, Any]) -> str:
    """Rows are ways to sweep, over all reference frames."""
    lines = [
        "| | AbsRel, all pixels | AbsRel, confident | confident | AUSE | gain over random |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in results["variants"].items():
        lines.append(
            f"| {name} | {row['abs_rel']:.3f} | **{row['abs_rel_confident']:.3f}** | "
            f"{row['confident']:.0%} | {row['ause']:.3f} | {row['aurg']:.3f} |"
        )
    return "\n".join(lines)


def stereo(results: dict[str, Any]) -> str:
    """Rows are pairs, columns methods: bad-2.0 in percent at full density."""
    pairs_ = results["pairs"]
    names = list(pairs_[0]["methods"])
    lines = [
        "| bad-2.0, % | " + " | ".join(names) + " | fewer |",
        "| --- |" + " ---: |" * (len(names) + 1),
    ]
    for pair in pairs_:
        cells = " | ".join(f"{100 * pair['methods'][name]['bad']:.1f}" for name in names)
        lines.append(f"| {pair['pair']} | {cells} | **{pair['fewer']:.0%}** |")
    return "\n".join(lines)


def metres_from_motion(results: dict[str, Any]) -> str:
    """Rows are ways to metres."""
    lines = ["| | AbsRel | worst frame |", "| --- | ---: | ---: |"]
    for name, row in results["methods"].items():
        value = f"{row['abs_rel']:.3f}"
        value = f"**{value}**" if name == "motion" else value
        lines.append(f"| {name} | {value} | {row['worst']:.2f} |")
    return "\n".join(lines)


TABLES = {"metres_from_motion": metres_from_motion, "plane_sweep": plane_sweep, "stereo": stereo}


def draw_all() -> None:
    """Both pictures."""
    sweeps()
    pairs()


if __name__ == "__main__":
    draw_all()
