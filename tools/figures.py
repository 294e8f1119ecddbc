"""Make the pictures and tables that the documents show.

    python -m tools.figures

Pictures go to docs/images. Tables are made from benchmarks/results/*.json and replace what stands
between `<!-- table: NAME -->` and `<!-- /table -->` in the documents.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
from PIL import Image

import leadline
from leadline import viz, world
from tools import (
    dense_figures,
    effects_figures,
    film_figures,
    format_table,
    geometry_figures,
    hero_figure,
    network_drawings,
    recipe_figures,
    self_supervised_figures,
    superpixel_figures,
)
from tools.pages import DOCS, RESULTS, ROOT, save_picture
from tools.scale_table import scale


def lite_examples() -> None:
    """The example pictures beside what `lite` makes of them: two that work, one that does not."""
    estimator = leadline.load()
    rows = []
    for name in ("coffee", "room", "cat"):
        prediction = estimator.predict(ROOT / "examples" / f"{name}.jpg")
        picture = np.asarray(Image.open(ROOT / "examples" / f"{name}.jpg"))
        rows.append(viz.side_by_side(picture, prediction.colorize()))
    save_picture(viz.contact_sheet(rows[:2], columns=2, cell=(260, 740)), "lite.jpg", quality=88)
    save_picture(rows[2], "lite-fails.jpg", quality=88)


def lite_photos() -> None:
    """Twenty photographs beside what `lite` makes of them, none left out."""
    estimator = leadline.load()
    tiles = []
    for path in sorted([*(ROOT / "examples").glob("*.jpg"), *(ROOT / "examples/photos").iterdir()]):
        picture = np.asarray(Image.open(path))
        tiles.append(viz.side_by_side(picture, estimator.predict(path).colorize(), gap=2))
    save_picture(
        viz.contact_sheet(tiles, columns=4, cell=(170, 400)), "lite-photos.jpg", quality=88
    )


def world_sheet() -> None:
    """Pictures of the procedural world beside their disparity."""
    tiles = []
    for kind in world.KINDS:
        for seed in range(4):
            view = world.sample_view(world.sample_scene(900 + seed, kind), seed, size=(144, 192))
            disparity = (1 / np.maximum(view.depth, 0.05)).astype(np.float32)
            tiles.append(viz.side_by_side(view.rgb, viz.colorize(disparity), gap=2))
    save_picture(viz.contact_sheet(tiles, columns=4), "world.jpg", quality=88)


RECOMPUTED = ("constant", "vertical ramp", "lite")
"""Models of lite_accuracy.json whose weights the repository holds."""


def lite_accuracy(results: dict[str, Any]) -> str:
    """Accuracy on real frames: rows are folders of frames, cells AbsRel / delta1 / ordinal.

    Of the models that anyone can run from this repository; the JSON keeps the others.
    """
    names = [name for name in results if name in RECOMPUTED]
    lines = ["| frames | n | " + " | ".join(names) + " |", "| --- " * (len(names) + 2) + "|"]
    for rows in zip(*(results[name]["groups"] for name in names), strict=True):
        cells = " | ".join(_score(row["score"]) for row in rows)
        lines.append(f"| {rows[0]['group']} | {rows[0]['frames']} | {cells} |")
    means = " | ".join(f"**{_score(results[name]['mean'])}**" for name in names)
    lines.append(f"| mean over folders | | {means} |")
    return "\n".join(lines)


def model_costs(results: dict[str, Any]) -> str:
    """What a picture costs, model by model; the time only when it was measured."""
    timed = any(row["latency_ms"] is not None for row in results["models"])
    lines = [
        "| model | million parameters | input, height x width | GFLOP |" + " ms |" * timed,
        "| --- | ---: | ---: | ---: |" + " ---: |" * timed,
    ]
    for row in results["models"]:
        height, width = row["input_size"]
        digits = 1 if row["gflop"] > 20 else 2
        line = f"| `{row['name']}` | {row['parameters'] / 1e6:.2f} | {height}x{width} | "
        line += f"{row['gflop']:,.{digits}f} |"
        if timed:
            line += " - |" if row["latency_ms"] is None else f" {row['latency_ms']:.0f} |"
        lines.append(line)
    return "\n".join(lines)


def rotated_digits(results: dict[str, Any]) -> str:
    """Accuracy by angle and steps, of both networks of examples/rotated_digits.py."""
    names = list(results["parameters"])
    lines = [
        "| steps | network | parameters | " + " | ".join(f"{a}°" for a in results["angles"]) + " |",
        "| ---: | --- | ---: |" + " ---: |" * len(results["angles"]),
    ]
    for report in results["reports"]:
        for name in names:
            cells = " | ".join(f"{100 * share:.1f} %" for share in report[name])
            lines.append(
                f"| {report['step']} | {name} | {results['parameters'][name]:,} | {cells} |"
            )
    return "\n".join(lines)


def evaluation_speed(results: dict[str, Any]) -> str:
    """How many times faster than plain ways to the same numbers, and what bounds reading."""
    rows = {
        "evaluate": "652 KITTI-size maps, against whole frames one by one, our own resize",
        "evaluate_cv2": "the same, against whole frames resized by OpenCV",
        "velodyne": "a scan projected, against a loop over its points",
    }
    lines = ["| what | ms | plain ms | times faster | quartiles |", "| --- " + "| ---: " * 4 + "|"]
    for key, text in rows.items():
        if key in results:
            row = results[key]
            low, high = row["ratio_iqr"]
            lines.append(
                f"| {text} | {1e3 * row['ours_s']:.0f} | {1e3 * row['theirs_s']:.0f} | "
                f"{row['ratio']:.1f} | {low:.1f}-{high:.1f} |"
            )
    read = results["read"]
    share = f"decoding the PNG is {100 * read['decode_share']:.0f} % of it"
    lines.append(f"| reading one depth file ({share}) | {read['read_ms']:.1f} | | | |")
    return "\n".join(lines)


TABLES = {
    "evaluation_speed_cpu": evaluation_speed,
    "label_throughput": scale,
    "lite_accuracy": lite_accuracy,
    "model_costs": model_costs,
    "rotated_digits": rotated_digits,
    "superpixel": superpixel_figures.table,
    **dense_figures.TABLES,
    **self_supervised_figures.TABLES,
    **geometry_figures.TABLES,
    **recipe_figures.TABLES,
}


def tables() -> None:
    """Fill every marked table of the documents from its JSON."""
    pattern = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- /table -->)", re.DOTALL)

    def fill(match: re.Match[str]) -> str:
        path = RESULTS / f"{match[2]}.json"
        if not path.exists():
            return match[0]  # not measured yet
        results = json.loads(path.read_text(encoding="utf-8"))
        return f"{match[1]}{TABLES[match[2]](results)}\n{match[3]}"

    for document in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        text = document.read_text(encoding="utf-8")
        filled = pattern.sub(fill, text)
        if filled != text:
            document.write_text(filled, encoding="utf-8")
    format_table.write_page()


def _score(score: dict[str, Any]) -> str:
    return f"{score['abs_rel']:.3f} / {score['delta1']:.3f} / {score['ordinal']:.3f}"


def main() -> None:
    """Tables, then pictures."""
    tables()
    network_drawings.draw_all()
    world_sheet()
    hero_figure.hero()
    film_figures.film()
    lite_examples()
    lite_photos()
    superpixel_figures.draw_all()
    geometry_figures.draw_all()
    recipe_figures.draw_all()
    dense_figures.draw_all()
    effects_figures.draw_all()
    self_supervised_figures.draw_all()


if __name__ == "__main__":
    main()
