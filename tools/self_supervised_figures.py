"""Pictures and tables of docs/training-self-supervised.md.

    python -m tools.self_supervised_figures

Charts are made from benchmarks/results/recipe_{stereo,video,noisy}.json; pictures of trained
networks from the runs that `python benchmarks/recipes.py stereo` (video, noisy) leaves under
runs/recipes, and of the film from runs/film; what has no run here stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

from leadline import viz
from tools.pages import RESULTS, ROOT, save_picture

RUNS = ROOT / "runs" / "recipes" / "arms"
SIZE, PAD = (760, 330), 48
BLACK, RED, BLUE, GREY = (30, 30, 30), (200, 60, 40), (40, 90, 190), (120, 120, 120)
KITTI_FOCAL_PX, KITTI_BASELINE_M = 721.5377, 0.54

WORDS = {
    "pictures": "pictures alone, no truth",
    "truth": "exact ground truth",
    "scan": "truth with errors like KITTI's scans",
    "bad-scan": "truth with a bad scan's errors",
}


SHOWN = {
    "noisy": ("AbsRel by quality of the truth", "noisy-truth.png"),
    "video": (
        "Held-out streets, their disparity, stereo pairs without and with truth, film without and "
        "with truth",
        "self-supervised.jpg",
    ),
}
"""Benchmark -> the picture below its table: what it shows, and its file."""


def arms_table(results: dict[str, Any]) -> str:
    """One line per arm: means over seeds."""
    lines = [
        "| learns from | AbsRel | RMSE (m) | δ < 1.25 | AbsRel, whole picture | steps | seeds |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    rows: dict[str, list[dict[str, Any]]] = {}
    for arm in results["arms"]:
        rows.setdefault(arm["name"], []).append(arm)
    guess = results["baseline"]["held_out"]
    lines.append(f"| (the mean depth map) | {_cells([guess])} | | |")
    for name, arms in rows.items():
        found = [arm["held_out"] for arm in arms]
        word = WORDS[name.partition("-")[2]]
        lines.append(f"| {word} | {_cells(found)} | {arms[0]['steps']} | {len(arms)} |")
    verdict = results["verdict"]
    lines.append("")
    if results["benchmark"] in SHOWN:
        alt, name = SHOWN[results["benchmark"]]
        lines += [f"![{alt}](images/{name})", ""]
    lines.append(
        f"Ratio of pictures alone to exact truth: **{verdict['ratio']:.2f}** "
        f"(aim: at most {verdict['needed']}). {results['frames']} held-out frames, protocol "
        f"`{results['protocol']}`, {results['pictures']} frames to learn from."
    )
    return "\n".join(lines)


TABLES = dict.fromkeys(("recipe_stereo", "recipe_video", "recipe_noisy"), arms_table)


def disparity_falls() -> None:
    """Disparity against depth for KITTI's rig, and what one pixel of error does to depth."""
    share = KITTI_FOCAL_PX * KITTI_BASELINE_M
    depth = np.linspace(4, 80, 300)
    disparity = share / depth
    picture = Image.new("RGB", (SIZE[0] * 2, SIZE[1]), "white")
    left, right = _Axes((0, 80, 10), (0, 100, 20)), _Axes((0, 80, 10), (0, 120, 20))
    left.line(depth, disparity, BLACK)
    left.text("disparity in pixels: large is NEAR", "metres ahead")
    right.line(depth, depth, BLACK)
    for error, colour in ((1.0, RED), (-1.0, BLUE)):
        right.line(depth, share / (disparity + error), colour)
    right.text("depth (m) from disparity, and with +1 (red) or -1 pixel (blue)", "metres ahead")
    picture.paste(left.picture, (0, 0))
    picture.paste(right.picture, (SIZE[0], 0))
    save_picture(picture, "disparity-falls.png", quality=88, optimize=True)


def noisy_truth() -> None:
    """AbsRel against truth of falling quality, and without any."""
    path = RESULTS / "recipe_noisy.json"
    if not path.exists():
        return
    results = json.loads(path.read_text(encoding="utf-8"))
    scores: dict[str, list[float]] = {}
    for arm in results["arms"]:
        scores.setdefault(arm["name"].partition("-")[2], []).append(arm["held_out"]["abs_rel"])
    names = [name for name in WORDS if name in scores]
    values = [float(np.mean(scores[name])) for name in names]
    guess = results["baseline"]["held_out"]["abs_rel"]
    top = 1.15 * max(*values, guess)
    picture = Image.new("RGB", (SIZE[0], 60 + 46 * (len(names) + 1)), "white")
    pen = ImageDraw.Draw(picture)
    pen.text((12, 10), "AbsRel on held-out streets, metres, nothing aligned", fill=GREY)
    shown = [*zip(names, values, strict=True), ("", guess)]
    for row, (name, value) in enumerate(shown):
        y = 40 + 46 * row
        length = int(value / top * (SIZE[0] - 330))
        colour = BLUE if name == "pictures" else GREY if not name else RED
        pen.text((12, y + 8), WORDS.get(name, "the mean depth map"), fill=BLACK)
        pen.rectangle((260, y, 260 + length, y + 26), fill=colour)
        pen.text((268 + length, y + 8), f"{value:.3f}", fill=BLACK)
    save_picture(picture, "noisy-truth.png", quality=88, optimize=True)


def what_they_see(count: int = 5) -> None:
    """Held-out streets: the picture, the truth, and what each trained network makes of it."""
    import torch

    import leadline
    from benchmarks.recipe_self_supervised import drives

    arms = ("stereo-pictures", "stereo-truth", "video-pictures", "video-truth")
    runs = [
        sorted(file.parent for file in RUNS.glob(f"{arm}-0-*/model.safetensors")) for arm in arms
    ]
    if not all(runs):
        return
    pictures, depths = drives()
    columns = []
    for n in np.linspace(1, len(pictures) - 1, count).astype(int):
        truth = np.asarray(depths[n], np.float32)
        near = np.where(np.isfinite(truth), 1 / truth, 0).astype(np.float32)
        columns += [pictures[n], viz.colorize(near)]
        for found in runs:
            with torch.no_grad():
                depth = leadline.load(found[-1]).predict(pictures[n]).values
            columns.append(viz.colorize((1 / depth).astype(np.float32)))
    save_picture(
        viz.contact_sheet(columns, columns=2 + len(arms), cell=(96, 192)),
        "self-supervised.jpg",
        quality=88,
        optimize=True,
    )


def film(count: int = 8) -> None:
    """Frames of the overhead film in which most is near, and their disparity on one scale."""
    run = ROOT / "runs" / "film"
    if not (run / "model.safetensors").exists():
        return
    import leadline

    network, seen = leadline.load(run), []
    for file in sorted((run / "rectified" / "left").glob("*.png"))[::4]:
        picture = np.asarray(Image.open(file).convert("RGB"))
        disparity = (1 / network.predict(picture).values).astype(np.float32)
        inner = disparity[40:-40, 60:-60]
        seen.append((float(np.quantile(inner, 0.97)), file.stem, picture, disparity))
    shown = sorted(sorted(seen, key=lambda row: -row[0])[:count], key=lambda row: row[1])
    near = np.stack([disparity for _, _, _, disparity in shown])
    limits = (float(np.quantile(near, 0.05)), float(np.quantile(near, 0.99)))
    tiles = []
    for _, _, picture, disparity in shown:
        tiles += [picture, viz.colorize(disparity, limits=limits)]
    save_picture(
        viz.contact_sheet(tiles, columns=4, cell=(150, 240)),
        "stereo-film.jpg",
        quality=88,
        optimize=True,
    )


class _Axes:
    """A small chart: ranges are (low, high, step)."""

    def __init__(self, x: tuple[int, int, int], y: tuple[int, int, int]) -> None:
        self.picture = Image.new("RGB", SIZE, "white")
        self.pen = ImageDraw.Draw(self.picture)
        self.x, self.y = x, y
        for value in range(x[0], x[1] + 1, x[2]):
            self.pen.line(self._place([value, value], [y[0], y[1]]), fill=(230, 230, 230))
            at = self._place([value], [y[0]])[0]
            self.pen.text((at[0] - 6, at[1] + 5), str(value), fill=GREY)
        for value in range(y[0], y[1] + 1, y[2]):
            self.pen.line(self._place([x[0], x[1]], [value, value]), fill=(230, 230, 230))
            at = self._place([x[0]], [value])[0]
            self.pen.text((at[0] - 26, at[1] - 6), str(value), fill=GREY)

    def line(self, xs: np.ndarray, ys: np.ndarray, colour: tuple[int, int, int]) -> None:
        """A curve; what leaves the chart is cut."""
        keep = (ys >= self.y[0]) & (ys <= self.y[1])
        self.pen.line(self._place(xs[keep], ys[keep]), fill=colour, width=3)

    def text(self, above: str, below: str) -> None:
        """Labels of the chart and of the x axis."""
        self.pen.text((PAD, 8), above, fill=BLACK)
        self.pen.text((SIZE[0] // 2 - 30, SIZE[1] - 18), below, fill=GREY)

    def _place(self, xs: ArrayLike, ys: ArrayLike) -> list[tuple[float, float]]:
        across = (np.asarray(xs) - self.x[0]) / (self.x[1] - self.x[0])
        up = (np.asarray(ys) - self.y[0]) / (self.y[1] - self.y[0])
        wide, tall = SIZE[0] - 2 * PAD, SIZE[1] - 2 * PAD
        return [(PAD + a * wide, SIZE[1] - PAD - b * tall) for a, b in zip(across, up, strict=True)]


def _cells(found: Sequence[dict[str, float]]) -> str:
    names = ("abs_rel", "rmse", "delta1", "abs_rel_whole")
    means = [float(np.mean([each[name] for each in found])) for name in names]
    return f"{means[0]:.3f} | {means[1]:.2f} | {means[2]:.3f} | {means[3]:.3f}"


def draw_all() -> None:
    """Every picture that can be made here."""
    disparity_falls()
    noisy_truth()
    film()
    what_they_see()


if __name__ == "__main__":
    draw_all()
