"""The networks' pictures: true to the networks, and readable."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip("torch")

DOCS = Path(__file__).parents[2] / "docs"

from tools import network_drawings  # noqa: E402
from tools.networks import DRAWINGS  # noqa: E402

LIGHT = ("eigen14", "stn")
BY_NAME = {drawing.name: drawing for drawing in DRAWINGS}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in LIGHT else pytest.mark.slow) for n in BY_NAME]
)
def test_the_committed_picture_is_of_this_network(name: str):
    drawing = BY_NAME[name]
    text = network_drawings.svg(drawing, network_drawings.shapes_of(drawing))
    committed = DOCS / "images" / f"network-{name}.svg"
    assert committed.read_text(encoding="utf-8") == text, "run python -m tools.figures"


def test_every_page_shows_its_network():
    pages = {path.stem for path in (DOCS / "models").glob("*.md")} - {
        "README",
        "superpixel",
    }  # which is no network
    assert pages == set(BY_NAME)
    for name in BY_NAME:
        page = (DOCS / "models" / f"{name}.md").read_text(encoding="utf-8")
        assert f"../images/network-{name}.svg" in page


@pytest.mark.parametrize("name", BY_NAME)
def test_texts_and_boxes_keep_apart(name: str):
    text = (DOCS / "images" / f"network-{name}.svg").read_text(encoding="utf-8")
    texts = re.findall(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]+)<', text)
    by_line: dict[float, list[tuple[float, float]]] = {}
    for x, y, words in texts:
        half = len(words) * network_drawings.CHARACTER_PX / 2
        by_line.setdefault(float(y), []).append((float(x) - half, float(x) + half))
    assert texts
    for spans in by_line.values():
        spans.sort()
        assert all(left[1] < right[0] for left, right in pairwise(spans))
    lines = sorted(by_line)
    assert all(below - above > network_drawings.FONT_PX for above, below in pairwise(lines))
    boxes = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', text)
    assert len(boxes) == len(BY_NAME[name].stages)
    for x, y, width, height in boxes:
        low, high = float(x), float(x) + float(width)
        for line, spans in by_line.items():
            if float(y) < line < float(y) + float(height):
                assert all(end < low or start > high for start, end in spans)


def test_shapes_are_those_of_the_papers():
    shapes = network_drawings.shapes_of(BY_NAME["eigen14"])
    assert shapes["coarse"] == (1, 55, 74)
    assert shapes["fine.conv1"] == (64, 111, 149)
