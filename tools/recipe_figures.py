"""Tables and chart of the proofs `supervised`, `depth-anything` and `metric`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tools.pages import RESULTS, save_picture

SIZE, PAD = (760, 300), 44
COLOURS = ((200, 60, 40), (40, 90, 190), (50, 140, 70), (150, 90, 170))
GREY = (120, 120, 120)


def supervised_table(results: dict[str, Any]) -> str:
    """One line per network, means over seeds; below it the curves."""
    sets = sorted({name for arm in results["arms"] for name in arm["real"]})
    lines = [
        f"| network | held-out {results.get('where', 'rooms')}: AbsRel | RMSE (m) | δ < 1.25 | "
        + "".join(f"{name}: AbsRel | " for name in sets)
        + "steps | seeds |",
        "| --- |" + " ---: |" * (5 + len(sets)),
    ]
    rows = _by_name(results)
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
        f"![Loss over the run, each relative to its first value](images/{_curves(results)})",
    ]
    return "\n".join(lines)


def _curves(results: dict[str, Any]) -> str:
    """Name of the picture of the runs' losses."""
    where = results.get("where", "rooms")
    return "supervised-curves.png" if where == "rooms" else f"supervised-{where}-curves.png"


def ablation_table(results: dict[str, Any]) -> str:
    """One line per student: AbsRel by kind of scene and on real frames, means over seeds."""
    rows = _by_name(results)
    kinds = list(results["frames"])
    sets = sorted(next(iter(rows.values()))[0]["real"])
    lines = [
        "| student | all | change | verdict | "
        + " | ".join(kinds)
        + " | "
        + "".join(f"{name} | " for name in sets)
        + "seeds |",
        "| --- | ---: | ---: | --- |" + " ---: |" * (len(kinds) + len(sets) + 1),
    ]
    for name, verdict in results["verdict"].items():
        arms = rows[f"depth-anything {name}"]
        change = f"{verdict['change']:+.4f}" if "change" in verdict else ""
        cells = [f"{verdict['abs_rel']:.4f}", change, verdict.get("verdict", "")]
        cells += [f"{_mean(arms, f'{kind} abs_rel'):.3f}" for kind in kinds]
        cells += [_interval(arms, each) for each in sets]
        lines.append(f"| {name} | {' | '.join(cells)} | {len(arms)} |")
    first = results["arms"][0]
    lines += [
        "",
        f"AbsRel after a fit of scale and shift, protocol `{results['protocol']}`: held-out "
        f"scenes, {sum(results['frames'].values())} frames, decide; real frames with 95 % "
        f"intervals. {results['labelled_pictures']} labelled rooms, "
        f"{results['unlabelled_pictures']} pictures without labels, {first['steps']} "
        f"steps of {first['batch']}.",
    ]
    return "\n".join(lines)


def metric_table(results: dict[str, Any]) -> str:
    """One line per network: AbsRel in metres on rooms and roads, means over seeds."""
    sets = sorted({name for arm in results["arms"] for name in arm["real"]})
    lines = [
        "| network | rooms: AbsRel | δ < 1.25 | roads: AbsRel | δ < 1.25 | "
        + "".join(f"{name} | " for name in sets)
        + "steps | seeds |",
        "| --- |" + " ---: |" * (6 + len(sets)),
    ]
    for name, arms in _by_name(results).items():
        cells = [
            f"{_mean(arms, key):.3f}" if key in arms[0]["held_out"] else ""
            for key in ("room abs_rel", "room delta1", "street abs_rel", "street delta1")
        ]
        cells += [_interval(arms, each) if each in arms[0]["real"] else "" for each in sets]
        title = name.removeprefix("metric ")
        lines.append(f"| {title} | {' | '.join(cells)} | {arms[0]['steps']} | {len(arms)} |")
    verdict = results["verdict"]
    ratios = "; ".join(
        f"{word} {verdict[kind][f'NK over {single}']:.2f} (sigmoid "
        f"{verdict[kind][f'NK sigmoid over {single}']:.2f})"
        for word, kind, single in (("rooms", "room", "N"), ("roads", "street", "K"))
    )
    frames = ", ".join(f"{count} of {kind}s" for kind, count in results["frames"].items())
    lines += [
        "",
        f"AbsRel of both domains' network over that of one domain's: {ratios}; aim: at most "
        f"{verdict['needed']}. Held-out frames of the world ({frames}) in metres, nothing aligned, "
        f"protocol `{results['protocol']}`; real frames by their own protocol, 95 % intervals.",
    ]
    return "\n".join(lines)


def photos_table(results: dict[str, Any]) -> str:
    """One line per arm of the ablation of self-training: its photographs, and the mean scores."""
    lines = [
        "| student | photographs | AbsRel | δ < 1.25 | ordinal |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, score in results["mean"].items():
        count = results["pictures"].get(name.rpartition(" ")[0], 0)
        cells = [f"{score[key]:.4f}" for key in ("abs_rel", "delta1", "ordinal")]
        lines.append(f"| {name} | {count or ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _by_name(results: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for arm in results["arms"]:
        rows.setdefault(arm["name"], []).append(arm)
    return rows


def _mean(arms: list[dict[str, Any]], metric: str) -> float:
    return float(np.mean([arm["held_out"][metric] for arm in arms]))


def _interval(arms: list[dict[str, Any]], name: str) -> str:
    """Mean over seeds of a real set's AbsRel and of its interval."""
    value, low, high = np.mean([arm["real"][name]["abs_rel"] for arm in arms], axis=0)
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _line(title: str, found: list[dict[str, Any]], sets: list[str], end: str) -> str:
    means = [_mean(found, name) for name in ("abs_rel", "rmse", "delta1")]
    cells = [f"{means[0]:.3f}", f"{means[1]:.2f}", f"{means[2]:.3f}"]
    cells += [_interval(found, name) for name in sets]
    return f"| {title} | {' | '.join(cells)} {end}"


def draw_all() -> None:
    """The curves of the supervised runs."""
    for path in sorted(RESULTS.glob("recipe_supervised*.json")):
        _draw_curves(json.loads(path.read_text(encoding="utf-8")))


def _draw_curves(results: dict[str, Any]) -> None:
    arms = results["arms"]
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
    save_picture(picture, _curves(results), optimize=True)


TABLES = {
    "lite_photos": photos_table,
    "recipe_depth_anything": ablation_table,
    "recipe_metric": metric_table,
    "recipe_supervised": supervised_table,
    "recipe_supervised_roads": supervised_table,
}
