"""The table of docs/scale.md: 62 million labels, computed from measured rates."""

from __future__ import annotations

from typing import Any

PICTURES = 62_000_000
PER_SHARD = 1000
PRICE_PER_HOUR = {"cpu": 0.05, "cuda": 2.00}
"""Assumed price in US dollars of an hour of one worker: a processor core, a data-centre GPU."""


def scale(results: dict[str, Any]) -> str:
    """One row per measured model and device."""
    lines = [
        "| model | labels of | worker | labels/s of a worker | worker-hours | dollars "
        f"| pictures | labels | a shard of {PER_SHARD} | cluster over one process |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for run in results["runs"]:
        rate = run["cluster"]["pictures_per_s"] / run["workers"]
        hours = PICTURES / rate / 3600
        label = run["cluster"]["bytes_per_label"]
        worker = "1 core" if run["device"] == "cpu" else f"1 {run['device']} device"
        mark = "" if run.get("quiet_machine") else " *"
        lines.append(
            f"| {run['model']} | {label_size(run)} | {worker} | {rate:.2f}{mark} | {hours:,.0f} | "
            f"{hours * PRICE_PER_HOUR.get(run['device'], 2.0):,.0f} | "
            f"{PICTURES * run['bytes_per_picture'] / 1e12:.1f} TB | "
            f"{PICTURES * label / 1e12:.1f} TB | {PER_SHARD * label / 1e6:.0f} MB | "
            f"{run['ratio']:.2f} with {run['workers']} workers |"
        )
    if not all(run.get("quiet_machine") for run in results["runs"]):
        lines += [
            "",
            "\\* measured on a machine busy with other work: rates are lower bounds, "
            "ratios mean little.",
        ]
    return "\n".join(lines)


def label_size(run: dict[str, Any]) -> str:
    """The labels' size in words."""
    side = run.get("side")
    return "640x480" if side is None else f"{round(side * 4 / 3)}x{side}"
