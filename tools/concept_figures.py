"""Make the drawings of docs/concepts/relative-and-metric.md.

    python -m tools.concept_figures

Pillow alone: curves in metres on a grid, one colour per case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from tools.pages import save_picture

SIZE, PAD = (760, 360), 44
TRUE, LOW, HIGH, BENT = (30, 30, 30), (200, 60, 40), (40, 90, 190), (130, 60, 160)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Points (n, 2) in metres, a colour, and what to write about it."""

    points: np.ndarray
    colour: tuple[int, int, int]
    label: str


def bent_clouds() -> None:
    """A level floor and a wall behind it, from disparities whose shift is not zero."""
    slope = np.concatenate([np.linspace(1.5 / 1.5, 1.5 / 8, 60), np.linspace(1.5 / 8, -0.25, 40)])
    disparity = np.maximum(slope / 1.5, 1 / 8)  # floor 1.5 m below the camera, wall at 8 m
    cases = (
        (0.0, TRUE, "right shift"),
        (0.06, LOW, "0.06 too much"),
        (-0.04, HIGH, "0.04 too little"),
    )
    curves = []
    for shift, colour, label in cases:
        z = 1 / (disparity + shift)
        curves.append(Curve(points=np.stack([z, -slope * z], 1), colour=colour, label=label))
    z = 9.5 - 12 * disparity  # straight through both ends of the floor
    bent = np.stack([z, -slope * z], 1)
    curves.append(Curve(points=bent, colour=BENT, label="taken as depth"))
    _draw(curves, "relative-and-metric-bent.png", (0, 17), (-3.2, 3.2), "metres ahead", "height")


def focal_lengths() -> None:
    """A corner of two walls from above, with the right and two wrong focal lengths."""
    angle = np.linspace(-0.55, 0.55, 81)  # x / z as the true camera sees it
    z = np.minimum(6 / (1 - np.minimum(angle, 0) * 1.0), 6 / (1 + np.maximum(angle, 0) * 1.0))
    cases = ((1.0, TRUE, "right focal length"), (0.6, LOW, "0.6 of it"), (1.6, HIGH, "1.6 of it"))
    curves = [
        Curve(points=np.stack([angle / f * z, z], 1), colour=colour, label=label)
        for f, colour, label in cases
    ]
    _draw(
        curves, "relative-and-metric-focal.png", (-6, 6), (2.2, 7), "metres to the right", "ahead"
    )


def _draw(
    curves: Sequence[Curve],
    name: str,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    x_label: str,
    y_label: str,
) -> None:
    picture = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(picture)
    low, high = np.array([x_range[0], y_range[0]]), np.array([x_range[1], y_range[1]])

    def place(points: np.ndarray) -> list[tuple[float, float]]:
        share = (points - low) / (high - low)
        inside = np.array(SIZE) - 2 * PAD
        return [(PAD + x * inside[0], SIZE[1] - PAD - y * inside[1]) for x, y in share]

    for x in range(int(x_range[0]), int(x_range[1]) + 1):
        line = place(np.array([[x, y_range[0]], [x, y_range[1]]]))
        pen.line(line, fill=(230, 230, 230))
        pen.text((line[0][0] - 6, line[0][1] + 4), str(x), fill=(120, 120, 120))
    for y in range(int(np.ceil(y_range[0])), int(y_range[1]) + 1):
        line = place(np.array([[x_range[0], y], [x_range[1], y]]))
        pen.line(line, fill=(230, 230, 230))
        pen.text((line[0][0] - 18, line[0][1] - 6), str(y), fill=(120, 120, 120))
    for row, curve in enumerate(curves):
        keep = np.all((curve.points >= low) & (curve.points <= high), axis=1)
        pen.line(place(curve.points[keep]), fill=curve.colour, width=3)
        pen.text((SIZE[0] - 170, PAD + 4 + 16 * row), curve.label, fill=curve.colour)
    pen.text((SIZE[0] // 2 - 40, SIZE[1] - 18), x_label, fill=(90, 90, 90))
    pen.text((6, 6), y_label, fill=(90, 90, 90))
    save_picture(picture, name, optimize=True)


def main() -> None:
    """Both drawings."""
    bent_clouds()
    focal_lengths()


if __name__ == "__main__":
    main()
