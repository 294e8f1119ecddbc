"""Pictures of every stage and the table of docs/models/superpixel.md.

    python -m tools.superpixel_figures

tools/figures.py calls :func:`draw_all` and :func:`table`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from leadline import catalog, hub, viz, world
from leadline.io import read_image
from leadline.kinds import DepthKind
from leadline.resample import resize
from leadline.superpixel import HeightPrior, Stages, SuperpixelModel, draw_outlines, open_model
from leadline.superpixel.features import FILTER_NAMES, filter_responses
from tools.pages import ROOT, save_picture

CELL = (140, 187)


def draw_all() -> None:
    """Both sheets."""
    model = open_model(hub.fetch(catalog.get("superpixel").weights[0]))
    if not isinstance(model, SuperpixelModel):
        raise SystemExit("the shipped parameters are not those of the learned model.")
    pictures = [_photograph("room"), _street(), _photograph("coffee")]
    rows = [tile for picture in pictures for tile in stages_of(model, picture)]
    save_picture(viz.contact_sheet(rows, columns=4, cell=CELL), "superpixel-stages.jpg", quality=76)
    save_picture(filters_of(pictures[0]), "superpixel-filters.jpg", quality=76)


def table(results: dict[str, Any]) -> str:
    """delta1 by group, the difference with its interval, and what the parts cost."""
    scores = results["accuracy"]
    names = list(scores["mean"])
    lines = ["| frames | n | " + " | ".join(names) + " |", "| --- " * (len(names) + 2) + "|"]
    for group, row in scores["groups"].items():
        cells = " | ".join(f"{row[name]:.3f}" for name in names)
        lines.append(f"| {group} | {row['frames']} | {cells} |")
    means = " | ".join(f"**{scores['mean'][name]:.3f}**" for name in names)
    lines.append(f"| mean over folders | | {means} |")
    gain, parts, planes = scores["difference"], results["features"], results["planes"]
    lines += [
        "",
        f"Above the ramp by {gain['mean']:.3f}, 95 % interval {gain['low']:.3f} to "
        f"{gain['high']:.3f} (paired bootstrap, frames inside their folders).",
        "",
        f"One picture of 640x480: {results['seconds of 640x480']['median']:.1f} s on "
        f"{results['machine']['cores']} cores. Statistics and shapes of "
        f"{parts['segments']} segments: {parts['times faster']:.0f} times faster than a loop over "
        f"them. Objective of the planes over that of HiGHS, worst of six small pictures: "
        f"{planes['worst ratio']:.4f}.",
    ]
    return "\n".join(lines)


def stages_of(model: SuperpixelModel, picture: np.ndarray) -> list[np.ndarray]:
    """Eight tiles: from the picture to the map, its confidence, and the prior."""
    stages = model.explain(picture.astype(np.float32) / 255)
    prior = HeightPrior().predict(stages.rgb)[0]
    size = stages.segments.size
    regression = resize(stages.log_depth.astype(np.float32), size, "nearest")
    near = viz.nearness(np.exp(regression), DepthKind.SCALED_DEPTH)
    return [
        picture,
        draw_outlines(picture, stages.segments),
        classes(picture, stages),
        viz.colorize(near),
        borders(picture, stages),
        viz.colorize(stages.disparity),
        viz.colorize(stages.confidence, cmap="viridis"),
        viz.colorize(prior),
    ]


def classes(picture: np.ndarray, stages: Stages) -> np.ndarray:
    """Ground in green, sky in blue, the horizon in white where it lies in the picture."""
    size = stages.segments.size
    ground, sky = (
        resize(cells.astype(np.float32), size, "linear") for cells in (stages.ground, stages.sky)
    )
    grey = picture.mean(axis=2) * 0.5
    drawn = np.stack([grey, grey + 120 * ground, grey + 120 * sky], axis=2)
    row = round((stages.horizon + 1) / 2 * size[0])
    if 0 <= row < size[0]:
        drawn[row] = 255
    return np.clip(drawn, 0, 255).astype(np.uint8)


def borders(picture: np.ndarray, stages: Stages) -> np.ndarray:
    """Borders between segments: red where the surface ends, green where it goes on."""
    labels = stages.segments.labels.astype(np.int64)
    pairs, _ = stages.segments.touching
    chance = dict(zip(map(tuple, pairs.tolist()), stages.together.tolist(), strict=True))
    drawn = np.repeat(picture.mean(axis=2, keepdims=True) * 0.4, 3, axis=2)
    for down, right in ((0, 1), (1, 0)):
        a = labels[: labels.shape[0] - down, : labels.shape[1] - right]
        b = labels[down:, right:]
        for y, x in zip(*np.nonzero(a != b), strict=True):
            low, high = sorted((int(a[y, x]), int(b[y, x])))
            goes_on = chance[low, high]
            drawn[y, x] = (255 * (1 - goes_on), 255 * goes_on, 40)
    return np.clip(drawn, 0, 255).astype(np.uint8)


def filters_of(picture: np.ndarray) -> np.ndarray:
    """The responses of the 17 filters, each from 0 to its 99th percentile."""
    responses = filter_responses(picture.astype(np.float32) / 255)
    tiles = []
    for number in range(len(FILTER_NAMES)):
        plane = responses[..., number]
        limits = 0.0, float(np.percentile(plane, 99))
        tiles.append(viz.colorize(plane, cmap="grey", limits=limits))
    return viz.contact_sheet(tiles, columns=6, cell=(120, 160))


def _photograph(name: str) -> np.ndarray:
    pixels = read_image(ROOT / "examples" / f"{name}.jpg").pixels
    size = 240, round(pixels.shape[1] * 240 / pixels.shape[0])
    return np.clip(np.rint(resize(pixels, size, "area_linear")), 0, 255).astype(np.uint8)


def _street() -> np.ndarray:
    """A street that training did not see."""
    return world.sample_view(world.sample_scene(911, "street"), 3, (240, 320)).rgb


if __name__ == "__main__":
    draw_all()
