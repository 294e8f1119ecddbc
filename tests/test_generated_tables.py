"""Every number in a generated table is its JSON's at the printed precision."""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from benchmarks import results_page
from tools import figures, format_table

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MARKED = re.compile(r"<!-- table: (\w+) -->\n(.*?)\n<!-- /table -->", re.DOTALL)
NUMBER = re.compile(r"\d+\.?\d*")


def result(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def rows_of(text: str) -> list[list[str]]:
    """The cells of a Markdown table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def printed(value: float, like: str) -> str:
    """The value with as many decimals as the printed number has."""
    return f"{value:.{len(like.partition('.')[2])}f}"


def section(title: str) -> str:
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    return page.partition(f"## {title}\n")[2].partition("\n##")[0]


def test_the_results_page_is_made_from_its_json():
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert page == results_page.page(result("real_frames"))


def test_numbers_on_real_frames():
    cells = {(cell["set"], cell["model"]): cell for cell in result("real_frames")}
    checked = 0
    for (name, model), cell in cells.items():
        text = section(name)
        head = next(line for line in text.splitlines() if line.startswith("| model"))
        metrics = re.findall(r"\| (\w+) [↑↓]", head)
        row = next(row for row in rows_of(text) if row[0] == model)
        for metric, shown in zip(metrics, row[1:], strict=True):
            expected = [cell["mean"][metric], *cell["interval_95"][metric]]
            found = NUMBER.findall(shown)
            assert found == [printed(v, f) for v, f in zip(expected, found, strict=True)]
            checked += len(found)
    assert checked > 300


def test_mean_over_sets():
    cells = [cell for cell in result("real_frames") if cell["in_mean"]]
    rows = rows_of(section("Mean over sets"))
    assert len(rows) == 3
    for model, *shown in rows:
        for metric, found in zip(("abs_rel", "delta1", "ordinal"), shown, strict=True):
            mean = fmean(cell["mean"][metric] for cell in cells if cell["model"] == model)
            assert found == printed(mean, found)


@pytest.mark.parametrize(
    ("recipe", "label", "arm", "metric"),
    [
        ("supervised", "`fastdepth`, rooms", "fastdepth", "abs_rel"),
        ("supervised", "`densedepth-half`, rooms", "densedepth-half", "abs_rel"),
        ("supervised_roads", "`eigen14-kitti`, roads", "eigen14-kitti", "abs_rel"),
        ("stereo", "`stereo`: stereo pairs, no truth", "stereo-pictures", "abs_rel"),
        ("video", "`video`: film, no truth", "video-pictures", "abs_rel"),
        ("metric", "NK, rooms, metres", "metric NK", "room abs_rel"),
        ("metric", "NK, streets, metres", "metric NK", "street abs_rel"),
    ],
)
def test_numbers_of_recipes(recipe, label, arm, metric):
    arms = [each for each in result(f"recipe_{recipe}")["arms"] if each["name"] == arm]
    shown = next(row for row in rows_of(section("Do the recipes learn?")) if row[0] == label)[1]
    assert shown == f"{fmean(each['held_out'][metric] for each in arms):.3f}"


@pytest.mark.parametrize("document", ["README.md", "docs/models/lite.md"])
def test_numbers_of_the_embedded_model(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    table = next(body for name, body in MARKED.findall(text) if name == "lite_accuracy")
    models = [
        model for name, model in result("lite_accuracy").items() if name in figures.RECOMPUTED
    ]
    for index, (group, count, *shown) in enumerate(rows_of(table)):
        for cell, model in zip(shown, models, strict=True):
            last = index == len(model["groups"])
            score = model["mean"] if last else model["groups"][index]["score"]
            expected = [score[name] for name in ("abs_rel", "delta1", "ordinal")]
            assert NUMBER.findall(cell) == [f"{value:.3f}" for value in expected]
            if not last:
                assert group == model["groups"][index]["group"]
                assert int(count) == model["groups"][index]["frames"]


def test_marked_tables_are_made_from_their_json():
    found = 0
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for name, body in MARKED.findall(document.read_text(encoding="utf-8")):
            if (RESULTS / f"{name}.json").exists():
                assert body == figures.TABLES[name](result(name)), f"{document.name}: {name}"
                found += 1
    assert found > 10


def test_the_table_of_formats_is_the_code_s():
    page = format_table.PAGE.read_text(encoding="utf-8")
    assert page == format_table.fill(page)
    assert len(format_table.MARKED.findall(page)) == 1
