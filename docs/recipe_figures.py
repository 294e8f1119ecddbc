"""Table and chart of what `python benchmarks/recipes.py supervised` measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]
IMAGES, RESULTS = ROOT / "docs" / "images", ROOT / "benchmarks" / "results"
SIZE, PAD = (760, 300), 44
COLOURS = ((200, 60, 40), (40, 90, 190), (50, 140, 70), (150, 90, 170))
GREY = (120, 120, 120)


def supervised_table(results: dict[str, Any]) -> str:
    """One line per network, means over seeds; below it the curves."""
    sets = sorted({name for arm in results["arms"] for name in arm["real"]})
    lines = [
        "| network | held-out rooms: AbsRel | RMSE (m) | δ < 1.25 | "
        + "".join(f"{name}: AbsRel | " for name in sets)
        + "steps | seeds |",
        "| --- |" + " ---: |" * (5 + len(sets)),
    ]
    rows: dict[str, list[dict[str, Any]]] = {}
    for arm in results["arms"]:
        rows.setdefault(arm["name"], []).append(arm)
    lines.append(_line("mean depth map", [results["baseline"]], sets, "| |"))
    for name, arms in rows.items():
        lines.append(_line(f"`{name}`", arms, sets, f"| {arms[0]['steps']} | {len(arms)} |"))
    better = results["verdict"]["abs_rel_below_baseline"]
    words = ", ".join(f"{name} {100 * share:.0f} %" for name, share in better.items())
    lines += [
        "",
        f"AbsRel below that of the mean depth map: {words} "
        f"(aim: {results['verdict']['needed']:.0%}). "
        f"{results['frames']} held-out frames in metres, nothing aligned, protocol "
        f"`{results['protocol']}`; {results['pictures']} rendered pictures to learn from. Real "
        "frames after a fit of scale and shift, with 95 % intervals over frames.",
        "",
        "![Loss over the run, each relative to its first value](images/supervised-curves.png)",
    ]
    return "\n".join(lines)


def _line(title: str, found: list[dict[str, Any]], sets: list[str], end: str) -> str:
    means = [
        float(np.mean([each["held_out"][name] for each in found]))
        for name in ("abs_rel", "rmse", "delta1")
    ]
    cells = [f"{means[0]:.3f}", f"{means[1]:.2f}", f"{means[2]:.3f}"]
    for name in sets:
        value, low, high = np.mean([each["real"][name]["abs_rel"] for each in found], axis=0)
        cells.append(f"{value:.3f} ({low:.3f} to {high:.3f})")
    return f"| {title} | {' | '.join(cells)} {end}"


def draw_all() -> None:
    """The curves of every run; nothing where nothing was measured."""
    path = RESULTS / "recipe_supervised.json"
    if not path.exists():
        return
    arms = json.loads(path.read_text(encoding="utf-8"))["arms"]
    picture = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(picture)
    names = list(dict.fromkeys(arm["name"] for arm in arms))
    top = max(loss / arm["curve"][0][1] for arm in arms for _, loss in arm["curve"])
    for share in np.linspace(0, 1, 6):
        y = SIZE[1] - PAD - share * (SIZE[1] - 2 * PAD)
        pen.line([(PAD, y), (SIZE[0] - PAD, y)], fill=(230, 230, 230))
        pen.text((8, y - 6), f"{share * top:.2f}", fill=GREY)
    for arm in arms:
        points = [
            (
                PAD + step / arm["steps"] * (SIZE[0] - 2 * PAD),
                SIZE[1] - PAD - loss / arm["curve"][0][1] / top * (SIZE[1] - 2 * PAD),
            )
            for step, loss in arm["curve"]
        ]
        pen.line(points, fill=COLOURS[names.index(arm["name"]) % len(COLOURS)], width=2)
    for n, name in enumerate(names):
        pen.text((PAD + 170 * n, 12), name, fill=COLOURS[n % len(COLOURS)])
    pen.text((SIZE[0] // 2 - 60, SIZE[1] - 22), "share of the run's steps", fill=GREY)
    IMAGES.mkdir(exist_ok=True)
    picture.save(IMAGES / "supervised-curves.png", optimize=True)


TABLES = {"recipe_supervised": supervised_table}
