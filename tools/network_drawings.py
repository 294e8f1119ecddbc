"""Draw the networks of docs/models: one SVG a page, from the shapes that really come out.

    python -m tools.network_drawings

Each network is built and run without weights (on the meta device); a box is what a module gave, as
tall as its map and as wide as its channels (both in powers of two), with resolution and channels
below. Lines above the boxes are connections that skip what lies between. networks.py says which
modules are drawn; tools/figures.py calls :func:`draw_all`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tools.networks import DRAWINGS, Drawing, Stage
from tools.pages import IMAGES

COLOURS = {
    "picture": "#d9d9d9",
    "encoder": "#9ecae1",
    "decoder": "#a1d99b",
    "head": "#fdae6b",
    "map": "#fdd49e",
}
FONT_PX, LINE_PX, CHARACTER_PX = 12, 15, 7.8
LEVEL_PX, TOP_PX, TALLEST_PX = 13, 14, 130


def shapes_of(drawing: Drawing) -> dict[str, tuple[int, ...]]:
    """Source of every stage and note -> the shape that came out, without the batch's axis."""
    import torch

    module, batch = _network(drawing.model)
    sources = {s.source for s in drawing.stages} | {
        s.note.partition("@")[2] for s in drawing.stages
    }
    wanted = {source.partition("#")[0] for source in sources} - {"", "in", "out"}
    seen: dict[str, Any] = {"in": batch}
    for name, part in module.named_modules():
        if name in wanted:
            part.register_forward_hook(
                lambda _part, _given, result, name=name: seen.__setitem__(name, result)
            )
    with torch.no_grad():
        seen["out"] = module.forward_all(batch) if drawing.model == "stn" else module(batch)
    return {source: tuple(_part(seen, source).shape[1:]) for source in sources - {""}}


def _network(model: str) -> tuple[Any, Any]:
    """The network without weights, and an input of its paper's size."""
    import torch

    from leadline import catalog, models
    from leadline.preprocess import Preprocess

    if model in models.PARTS:
        return models.build(model, channels=1), torch.zeros(1, 1, 40, 40)
    spec = catalog.get(model)
    size = Preprocess(spec.preprocess).input_size(*spec.preprocess.size)
    with torch.device("meta"):
        return models.build(str(spec.architecture), **spec.options), torch.zeros(1, 3, *size)


def _part(seen: dict[str, Any], source: str) -> Any:
    name, _, path = source.partition("#")
    value = seen[name]
    for index in path.split(".") if path else ():
        value = value[int(index)]
    return value


@dataclass(frozen=True, kw_only=True)
class Box:
    """A stage on the paper, pixels; ``middle`` is its row's axis."""

    stage: Stage
    lines: tuple[str, ...]
    x: float
    middle: float
    width: float
    height: float

    @property
    def top(self) -> float:
        """Upper edge."""
        return self.middle - self.height / 2

    @property
    def text_top(self) -> float:
        """First line's upper edge: below the tallest box of the row."""
        return self.middle + TALLEST_PX / 2 + 4


def boxes_of(drawing: Drawing, shapes: dict[str, tuple[int, ...]]) -> list[Box]:
    """Every stage's box; columns are as wide as the longest text needs."""
    texts = {stage: _lines(stage, shapes) for stage in drawing.stages}
    pitch = 14 + CHARACTER_PX * max(len(line) for lines in texts.values() for line in lines)
    levels = _levels(drawing)
    found, top = [], 0.0
    for row in drawing.rows:
        labels = {stage.label for stage in row}
        above = max([level for skip, level in levels.items() if skip[1] in labels], default=0)
        middle = top + TOP_PX + LEVEL_PX * above + TALLEST_PX / 2
        for column, stage in enumerate(row):
            channels, (height, width) = _map(stage, shapes[stage.source])
            found.append(
                Box(
                    stage=stage,
                    lines=texts[stage],
                    x=pitch * (column + 0.5),
                    middle=middle,
                    width=min(pitch - 14, 6 + 5 * math.log2(channels)),
                    height=min(TALLEST_PX, 8 + 13.5 * max(0, math.log2(height * width) / 2 - 1)),
                )
            )
        top = middle + TALLEST_PX / 2 + LINE_PX * max(len(texts[stage]) for stage in row) + 10
    return found


def svg(drawing: Drawing, shapes: dict[str, tuple[int, ...]]) -> str:
    """The drawing as text."""
    boxes = boxes_of(drawing, shapes)
    pitch = min(b.x for b in boxes) * 2
    width = max(b.x for b in boxes) + pitch / 2
    height = max(b.text_top + LINE_PX * len(b.lines) for b in boxes) + 6
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="DejaVu Sans, Verdana, sans-serif" '
        f'font-size="{FONT_PX}" text-anchor="middle">',
        '<defs><marker id="a" viewBox="0 0 6 6" refX="5.5" refY="3" markerWidth="6" '
        'markerHeight="6" orient="auto"><path d="M0,0 L6,3 L0,6 z" fill="#555"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
        *_arrows(drawing, boxes),
        *_skips(drawing, boxes),
    ]
    for box in boxes:
        parts.append(
            f'<rect x="{box.x - box.width / 2:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" '
            f'height="{box.height:.1f}" fill="{COLOURS[box.stage.role]}" stroke="#444"/>'
        )
        for number, line in enumerate(box.lines):
            style = ' font-weight="bold"' if number == 0 else ' fill="#333"'
            y = box.text_top + LINE_PX * (number + 1) - 3
            parts.append(f'<text x="{box.x:.1f}" y="{y:.1f}"{style}>{line}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def draw_all(folder: Path = IMAGES) -> None:
    """Write every network's picture."""
    folder.mkdir(exist_ok=True)
    for drawing in DRAWINGS:
        text = svg(drawing, shapes_of(drawing))
        (folder / f"network-{drawing.name}.svg").write_text(text, encoding="utf-8")


def _lines(stage: Stage, shapes: dict[str, tuple[int, ...]]) -> tuple[str, ...]:
    shape = shapes[stage.source]
    channels, (height, width) = _map(stage, shape)
    if len(shape) == 1:
        size = "numbers"
    elif len(shape) == 2 and stage.role == "encoder":
        size = f"{height} tokens"
    else:
        size = f"{height}×{width}"
    text, _, module = stage.note.partition("@")
    note = text + (
        "×".join(str(n) for n in (*shapes[module][1:], shapes[module][0])) if module else ""
    )
    return tuple(line for line in (stage.label, size, str(channels), note) if line)


def _map(stage: Stage, shape: tuple[int, ...]) -> tuple[int, tuple[int, int]]:
    """Channels and (height, width); a vector is 1x1, tokens are n x 1."""
    if stage.channels_last:
        return shape[2], (shape[0], shape[1])
    if len(shape) == 3:
        return shape[0], (shape[1], shape[2])
    if len(shape) == 1:
        return shape[0], (1, 1)
    return (shape[1], (shape[0], 1)) if stage.role == "encoder" else (1, (shape[0], shape[1]))


def _levels(drawing: Drawing) -> dict[tuple[str, str], int]:
    """How high above the boxes every skip runs: above all that it spans."""
    place = {
        stage.label: (row, column)
        for row, stages in enumerate(drawing.rows)
        for column, stage in enumerate(stages)
    }

    def span(skip: tuple[str, str]) -> tuple[int, int, int]:
        (row, start), (target_row, end) = place[skip[0]], place[skip[1]]
        return target_row, (end if row != target_row else start), end

    levels: dict[tuple[str, str], int] = {}
    for skip in sorted(drawing.skips, key=lambda s: span(s)[2] - span(s)[1]):
        row, start, end = span(skip)
        under = [
            level
            for other, level in levels.items()
            if span(other)[0] == row and span(other)[1] < end and start < span(other)[2]
        ]
        levels[skip] = 1 + max(under, default=0)
    return levels


def _arrows(drawing: Drawing, boxes: Sequence[Box]) -> Iterator[str]:
    """From every box to the next of its row."""
    by_label = {box.stage.label: box for box in boxes}
    for row in drawing.rows:
        for left, right in pairwise(row):
            a, b = by_label[left.label], by_label[right.label]
            yield _line([(a.x + a.width / 2, a.middle), (b.x - b.width / 2 - 1, b.middle)])


def _skips(drawing: Drawing, boxes: Sequence[Box]) -> Iterator[str]:
    """Over the boxes of a row; from the end of a row through the gap above the next."""
    by_label, levels = {box.stage.label: box for box in boxes}, _levels(drawing)
    for skip, level in levels.items():
        a, b = by_label[skip[0]], by_label[skip[1]]
        y = b.middle - TALLEST_PX / 2 - LEVEL_PX * level + 4
        if a.middle == b.middle:
            leaving = sum(other[0] == skip[0] and levels[other] < level for other in levels)
            x = a.x + 4 - 4 * leaving
            yield _line([(x, a.top), (x, y), (b.x - 4, y), (b.x - 4, b.top - 1)])
        else:
            right = max(box.x for box in boxes) + min(box.x for box in boxes) - 5
            start = (a.x + a.width / 2, a.middle)
            yield _line([start, (right, a.middle), (right, y), (b.x, y), (b.x, b.top - 1)])


def _line(points: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="#555" marker-end="url(#a)"/>'


if __name__ == "__main__":
    draw_all()
