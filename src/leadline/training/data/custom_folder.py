"""A folder of pictures and depth, looked through before anything learns from it, and divided."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.datasets import FrameRef
from leadline.datasets.folder import check_median, folder_refs, pair_files, read_record
from leadline.errors import InputError
from leadline.io.images import natural_key
from leadline.jobs import run_job, write_text

if TYPE_CHECKING:
    from leadline.prediction import Prediction

_LEAST = 4  # pictures, two of them to measure with


@dataclass(frozen=True, kw_only=True)
class FolderFacts:
    """What a folder holds.

    Attributes:
        pictures: how many have depth.
        size: (height, width) of most pictures.
        known: share of pixels with a depth.
        median_m: median of all depths that were looked at.
        reach_m: metres that a network has to reach: ``max_depth`` of camera.json, or a little more
            than 99.5 % of the depths.
        per_metre: numbers per metre of the depth files that were stated, or None.
        lens: whether the camera of every picture is known.
    """

    pictures: int
    size: tuple[int, int]
    known: float
    median_m: float
    reach_m: float
    per_metre: float | None
    lens: bool


def examine(
    root: Path,
    *,
    per_metre: float | None = None,
    holes: Sequence[float] | None = None,
    intrinsics: Mapping[str, float] | None = None,
) -> tuple[FolderFacts, list[FrameRef]]:
    """Read every frame and say what they hold; refuse what cannot be learned from.

    Args:
        root: see :func:`leadline.datasets.folder.folder_refs`.
        per_metre: numbers per metre of the depth files.
        holes: codes that stand for "nothing is known"; see there.
        intrinsics: of all pictures, in place of camera.json's; see there.

    Raises:
        InputError: too few pairs, an unknown scale, codes that may be holes, a file that cannot be
            used, empty maps, or depths in no plausible unit.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; one that holds rgb/ and depth/ is needed.")
    refs = folder_refs(
        root, per_metre=per_metre, holes=holes, intrinsics=intrinsics, max_depth=float("inf")
    )
    if len(refs) < _LEAST:
        raise InputError(
            f"{root} holds {len(refs)} pictures with depth; at least {_LEAST} are needed, and some "
            "hundreds to be worth it."
        )
    seen = _look_through(root, refs)
    everything = np.concatenate([one.depths for one in seen])
    median = float(np.median(everything))
    check_median(root, median, per_metre)
    sizes = [one.size for one in seen]
    cap = read_record(root).get("max_depth")
    facts = FolderFacts(
        pictures=len(refs),
        size=max(set(sizes), key=sizes.count),
        known=float(np.mean([one.known for one in seen])),
        median_m=median,
        reach_m=float(cap) if cap else round_up(1.05 * float(np.percentile(everything, 99.5))),
        per_metre=per_metre,
        lens=all(one.lens for one in seen),
    )
    return facts, refs


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What one frame holds: some of its depths, the share of pixels that have one, its camera."""

    size: tuple[int, int]
    depths: np.ndarray
    known: float
    lens: bool


def _look_through(root: Path, refs: Sequence[FrameRef]) -> list[_Seen]:
    most = min(20_000, max(500, 4_000_000 // len(refs)))  # depths of a frame to keep

    def look(ref: FrameRef) -> _Seen:
        frame = ref.read()
        depths = frame.depth[frame.depth > 0]
        if not depths.size:
            raise InputError(
                f"{frame.name}: no depth is above 0, and 0 means unknown. Write metres (npy, pfm) "
                "or 16-bit codes, or take the picture out."
            )
        return _Seen(
            size=frame.image.size,
            depths=depths[:: max(1, depths.size // most)],
            known=depths.size / frame.depth.size,
            lens=frame.image.camera is not None,
        )

    report = run_job(refs, prepare=look, work=lambda _, seen: seen, finish=lambda _, seen: seen)
    if report.failures:
        raise InputError(
            f"{root}: {len(report.failures)} of {len(refs)} pictures cannot be learned from; the "
            f"first: {report.failures[0].error}"
        )
    return [seen for _, seen in report.results]


def round_up(metres: float) -> float:
    """To two digits: 9.71 -> 9.8, 83.2 -> 84."""
    step = 10.0 ** (math.floor(math.log10(metres)) - 1)
    return round(math.ceil(metres / step - 1e-9) * step, 6)


def check_direction(refs: Sequence[FrameRef], predict: Any, *, look_at: int = 8) -> float:
    """Whether larger values are farther, by a network that knows near from far roughly.

    Args:
        refs: of the folder.
        predict: picture -> Prediction of any kind.
        look_at: frames, evenly spread.

    Returns:
        Mean rank correlation of the files with the network's nearness, negated: 1 where they
        agree fully on what is far, -1 where the files are upside down.

    Raises:
        InputError: the files look like disparities.
    """
    chosen = np.linspace(0, len(refs) - 1, min(look_at, len(refs))).round().astype(int)
    found = []
    for n in chosen:
        frame = refs[n].read()
        prediction: Prediction = predict(frame.image)
        known = (frame.depth > 0) & prediction.known
        sign = -1 if prediction.kind.larger_is_nearer else 1
        if known.sum() > 100:
            found.append(_rank_correlation(frame.depth[known], sign * prediction.values[known]))
    agreement = float(np.mean(found)) if found else 0.0
    if agreement < -0.3:
        raise InputError(
            f"the depth files are large where a trained network sees things near (rank correlation "
            f"{agreement:.2f} with its depth): they look like disparity or inverse depth. Convert "
            "them to metres along the optical axis, or say --trust if they are right."
        )
    return agreement


def divide(refs: Sequence[FrameRef], share: float) -> tuple[list[str], list[str]]:
    """Names to learn from and to measure with, groups of pictures kept together.

    A group is what is left of the names without their last number: frames of one film, which look
    alike, never stand on both sides. A folder of one group gives its last part, less a gap.

    Args:
        refs: of the folder.
        share: of the pictures to measure with.

    Raises:
        InputError: a share that leaves nothing on one side.
    """
    if not 0 < share < 1:
        raise InputError(f"share={share}: a share between 0 and 1 is needed to measure with.")
    names = sorted((ref.name for ref in refs), key=natural_key)
    wanted = min(len(names) - 2, max(2, round(share * len(names))))
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(group_of(name), []).append(name)
    if len(groups) < 3:
        gap = min(round(0.05 * len(names)), len(names) - wanted - 2)
        return names[: len(names) - wanted - gap], names[len(names) - wanted :]
    held_out: list[str] = []
    for group in np.random.default_rng(0).permutation(sorted(groups)):
        members = groups[str(group)]
        if held_out and len(held_out) + len(members) > 1.5 * wanted:
            continue
        held_out += members
        if len(held_out) >= wanted:
            break
    inside = set(held_out)
    learn = [name for name in names if name not in inside]
    if not learn:
        learn, held_out = names[:-wanted], names[-wanted:]
    return learn, sorted(held_out, key=natural_key)


def group_of(name: str) -> str:
    """A name without its last number: ``kitchen_0012`` -> ``kitchen``."""
    return re.sub(r"[-_. ]*\d+$", "", name)


def write_split(
    root: Path, out: Path, parts: Mapping[str, Sequence[str]], record: Mapping[str, Any]
) -> dict[str, Path]:
    """Make a folder of links to the files of each part, as ``folder`` data sets are read.

    Args:
        root: the user's folder; it is only read.
        out: where to; a folder per part.
        parts: name of the part -> names of its frames.
        record: what ``camera.json`` says beside what ``root``'s says.
    """
    pairs, told = pair_files(root), read_record(root)
    folders = {}
    for part, names in parts.items():
        folder = out / part
        shutil.rmtree(folder, ignore_errors=True)
        for name in names:
            for file, place in zip(pairs[name], ("rgb", "depth"), strict=True):
                if file is not None:
                    _link(file, folder / place / f"{name}{file.suffix}")
        write_text(folder / "camera.json", json.dumps({**told, **record}, indent=2) + "\n")
        folders[part] = folder
    return folders


def _link(file: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    try:
        link.symlink_to(file.absolute())
    except OSError:  # a system without links
        shutil.copyfile(file, link)


def _rank_correlation(a: np.ndarray, b: np.ndarray, *, most: int = 20_000) -> float:
    step = max(1, a.size // most)
    first, second = (np.argsort(np.argsort(v[::step])).astype(np.float64) for v in (a, b))
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
