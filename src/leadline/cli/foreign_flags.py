"""Flags that are not ours (any more), answered with what does the same.

Those of before 0.2 are in :data:`RENAMED`; those of the original Depth Anything scripts are
answered with the equivalent command.

Source: ``run.py`` of Depth-Anything (V1: --img-path --outdir --encoder --pred-only --grayscale),
of Depth-Anything-V2 (+ --input-size) and of its metric_depth folder (+ --load-from --max-depth
--save-numpy).
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

_WITH_VALUE = (
    "--encoder",
    "--img-path",
    "--outdir",
    "--input-size",
    "--load-from",
    "--max-depth",
    "--video-path",
)
_ALONE = ("--pred-only", "--grayscale", "--save-numpy")
_TELLING = {"--encoder", "--img-path", "--outdir", "--pred-only", "--grayscale", "--save-numpy"}
"""Flags that no command of ours has."""


RENAMED = {
    ("triangulate", "--baseline"): "--baseline-m",
    ("triangulate", "--camera-height"): "--camera-height-m",
    ("leaderboard", "--models"): "--model",
    ("segment", "--fill"): "--paint",
    ("segment", "--size"): "--max-side",
}
"""(command, flag of before 0.2) -> its name of today."""

_SIZED = ("export", "benchmark")  # their --size took HEIGHTxWIDTH, too


def answer_to(arguments: Sequence[str]) -> str | None:
    """What to say to flags of before and of the original scripts; None when there are none."""
    return _name_renamed(arguments) or _translate(arguments)


def _name_renamed(arguments: Sequence[str]) -> str | None:
    command, *words = [*arguments] or [""]
    for word, following in zip(words, [*words[1:], ""], strict=False):
        name, _, value = word.partition("=")
        today = RENAMED.get((command, name))
        if command in _SIZED and name == "--size" and "x" in (value or following):
            today = "--fixed-size"
        if today is not None:
            return f"{command} {name} is {today} since 0.2; the rest of the command stays as it is."
    return None


def _translate(arguments: Sequence[str]) -> str | None:
    if not arguments or not (arguments[0] == "predict" or arguments[0].startswith("-")):
        return None
    flags = _parse(arguments)
    if not _TELLING.intersection(flags):
        return None
    return (
        "these are flags of the original Depth Anything scripts. The same with Leadline: "
        f"{equivalent(flags)}"
    )


def equivalent(flags: dict[str, str]) -> str:
    """The ``leadline predict`` command that does what the original flags ask for."""
    encoder = flags.get("--encoder", "vitl")
    metric = "--max-depth" in flags or "--load-from" in flags or "--save-numpy" in flags
    max_depth = flags.get("--max-depth", "20")
    place = "outdoor" if _number(max_depth) > 40 else "indoor"
    name = (
        f"depth-anything-v2-metric-{place}-{encoder}" if metric else f"depth-anything-v2-{encoder}"
    )
    words = ["leadline", "predict", flags.get("--img-path") or "INPUT"]
    words += ["--out", flags.get("--outdir") or "./vis_depth", "--model", name]
    if "--load-from" in flags:
        words += ["--weights", flags["--load-from"]]
    if metric and _number(max_depth) not in (20, 80):
        words += ["--max-depth", max_depth]
    formats = ["color" if "--pred-only" in flags else "side"]
    if "--save-numpy" in flags:
        formats.append("npy")
    words += ["--format", ",".join(formats)]
    if "--grayscale" in flags:
        words += ["--cmap", "grey"]
    if "--input-size" in flags:
        words += ["--size", flags["--input-size"]]
    return shlex.join(words)


def _parse(arguments: Sequence[str]) -> dict[str, str]:
    flags: dict[str, str] = {}
    words = list(arguments)
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in _ALONE:
            flags[name] = ""
        elif name in _WITH_VALUE:
            following = words[index + 1] if index + 1 < len(words) else ""
            flags[name] = value if equals else "" if following.startswith("--") else following
    return flags


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
