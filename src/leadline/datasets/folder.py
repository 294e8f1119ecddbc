"""Any folder of pictures and depth files: the data sets that nobody has written a reader for."""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.datasets.frame import (
    INTRINSICS,
    Frame,
    FrameRef,
    read_intrinsics,
    read_json,
    set_intrinsics,
    zero_unknown,
)
from leadline.errors import InputError, LeadlineError, LeadlineWarning
from leadline.io import DEPTH_SUFFIXES, Hole, find_holes, hole_mask, read_depth_map, read_image
from leadline.io.images import IMAGE_SUFFIXES, list_files
from leadline.kinds import DepthKind

if TYPE_CHECKING:
    from jaxtyping import Float, Num

PICTURES = ("rgb", "image", "images", "color", "colour", "image_02", "img", "left")
"""Names of folders that hold pictures."""
DEPTHS = ("depth", "depths", "groundtruth", "gt", "depth_gt")
"""Names of folders that hold their depth."""

IN_METRES = (".npy", ".npz", ".pfm", ".dpt")
"""Suffixes of depth files whose floats are metres where nothing says otherwise."""

PLAUSIBLE_M = (0.05, 300.0)
"""Medians of depth, in metres, whatever the camera sees."""

SCALES = {256: "KITTI", 1000: "millimetres", 5000: "TUM"}
"""Codes per metre of integers -> who writes them."""

_SAMPLE = 8  # files that are looked at when a folder is opened
_KITTI, _ROOM_MM, _DENSE = 256, 10_000, 0.5  # see _doubt_kitti
_ROLE = re.compile(
    rf"(?<![a-z])(?:{'|'.join((*PICTURES, *DEPTHS, 'sync', 'disp'))})(?![a-z])[-_. ]*", re.I
)


@dataclass(frozen=True, kw_only=True)
class DepthUnits:
    """What turns the numbers of a folder's depth files into metres.

    Attributes:
        per_metre: numbers per metre of every file, or None.
        png_per_metre: of all but floats in files of :data:`IN_METRES`, or None.
        holes: codes that stand for "nothing is known"; None: nobody said which.
    """

    per_metre: float | None = None
    png_per_metre: float | None = None
    holes: tuple[float, ...] | None = None

    def scale_of(self, path: Path, values: np.ndarray) -> float | None:
        """Numbers per metre of a file's values, or None where nothing says it."""
        floats = values.dtype.kind == "f" and path.suffix.lower() in IN_METRES
        return self.per_metre or (1.0 if floats else self.png_per_metre)

    def read(self, path: Path) -> Float[np.ndarray, "h w"]:
        """Depth of a file in metres, float32, 0 where unknown.

        Raises:
            InputError: missing, damaged, negative, of 8 bits, or of an unknown scale or hole.
        """
        values = read_depth_map(path)
        if values.dtype.itemsize == 1:
            raise InputError(
                f"{path} is an 8-bit picture where 16-bit depth is meant; take the original file, "
                "or export it again with 16 bits."
            )
        if self.holes is None and (codes := _sure_holes(values)):
            raise InputError(ask_holes(path, codes))
        scale = self.scale_of(path, values)
        if scale is None:
            raise InputError(ask_scale(path, values, self.holes))
        unknown = hole_mask(values, self.holes or ())
        negative = np.count_nonzero(np.isfinite(values) & (values < 0) & ~unknown)
        if negative:
            raise InputError(
                f"{path} holds {negative} negative values; depths in metres are positive, 0 where "
                "unknown. Is it a disparity, or in another unit? If they mean no value, say so "
                "with --hole CODE."
            )
        return zero_unknown(np.divide(values, np.float32(scale), dtype=np.float32), ~unknown)


def folder_refs(
    root: Path,
    *,
    per_metre: float | None = None,
    max_depth: float = 80.0,
    kind: DepthKind | str = DepthKind.METRIC_DEPTH,
    holes: Sequence[float] | None = None,
    intrinsics: Mapping[str, float] | None = None,
) -> list[FrameRef]:
    """Pictures and depth files that belong together, in two folders below ``root``.

    Folders are looked for by name: :data:`PICTURES` and :data:`DEPTHS`; how files are paired, see
    :func:`pair_files`. ``camera.json`` may hold ``fx, fy, cx, cy`` in pixels, the scale
    (``depth_per_metre`` of every file, or ``depth_png_per_metre`` of all but float arrays),
    ``holes``, ``max_depth`` and ``kind``.

    Args:
        root: the folder.
        per_metre: numbers per metre of the depth files; needed for integers, float TIFF and EXR,
            unless camera.json holds it.
        max_depth: metres up to which depths count.
        kind: what the files hold, ``metric_depth``; others cannot be a target.
        holes: codes that stand for "nothing is known"; empty: none does. NaN, infinities and 0
            always do.
        intrinsics: ``fx, fy, cx, cy`` in pixels, in place of camera.json's.

    Raises:
        InputError: no such folders, no pair, an unknown or impossible scale, a scale that
            camera.json contradicts, or codes that may be holes and that nobody spoke about.
    """
    record = read_record(root)
    kind = _kind(record.get("kind", kind), root)
    if kind is not DepthKind.METRIC_DEPTH:
        raise InputError(
            f"{root}: depth files of kind {kind}; a truth in metres is needed to measure against. "
            "Convert the files first (1 / disparity with focal length and baseline)."
        )
    units = find_units(root, record, per_metre, holes)
    pairs = pair_files(root)
    _check_sample(root, [depth for _, depth in pairs.values() if depth], units, given=per_metre)
    limit = record.get("max_depth")
    if intrinsics is None and set(INTRINSICS) <= set(record):
        intrinsics = read_intrinsics(root / "camera.json")
    read = partial(
        _frame,
        group=Path(root).name,
        units=units,
        max_depth=max_depth if limit is None else positive(limit, "max_depth", root),
        intrinsics=intrinsics or {},
    )
    return [FrameRef(name=name, read=partial(read, name, *pair)) for name, pair in pairs.items()]


def pair_files(root: Path) -> dict[str, tuple[Path, Path | None]]:
    """Name -> picture and its depth file (None: it has none), in natural order.

    The name is the picture's path below its folder without suffix. Its depth file has the same
    one, or one that differs in words such as ``rgb`` and ``depth`` only: ``rgb_0001``,
    ``depth_0001``; ``7.color``, ``7.depth``.

    Raises:
        InputError: no such folders, two files of one name, or no pair at all.
    """
    pictures, depths = picture_files(root), depth_files(root)
    cores = {name: strip_role(name) for name in (*pictures, *depths)}
    alone = Counter(cores[name] for name in pictures), Counter(cores[name] for name in depths)
    by_core = {cores[name]: depth for name, depth in depths.items()}
    pairs: dict[str, tuple[Path, Path | None]] = {}
    for name, picture in pictures.items():
        core = cores[name]
        fits = by_core[core] if all(count[core] == 1 for count in alone) else None
        pairs[name] = picture, depths.get(name) or fits
    if pairs and not any(depth for _, depth in pairs.values()):
        first = next(iter(depths.values()), None)
        raise InputError(
            f"{root}: none of {len(pairs)} pictures has a depth file of its name, "
            f"{next(iter(pictures.values()))} say; the depth files are "
            f"{'none' if first is None else f'{first} and so on'}. Name both alike; only words "
            "such as rgb and depth may differ (rgb_0001, depth_0001)."
        )
    return pairs


def strip_role(name: str) -> str:
    """A name without the words that tell pictures from depth: ``rgb_0001`` -> ``0001``."""
    folder, slash, last = name.rpartition("/")
    return folder + slash + _ROLE.sub("", last).strip("-_. ")


def picture_files(root: Path) -> dict[str, Path]:
    """Path without suffix -> picture, in natural order, below the folder of pictures in ``root``.

    Raises:
        InputError: no such folder, or two pictures of one name.
    """
    return _by_name(_one_of(root, PICTURES, "pictures"), IMAGE_SUFFIXES)


def depth_files(root: Path) -> dict[str, Path]:
    """The same of the folder of depth; files of other formats are passed."""
    return _by_name(_one_of(root, DEPTHS, "depth"), DEPTH_SUFFIXES)


def read_record(root: Path) -> dict[str, Any]:
    """What ``camera.json`` says; empty without one."""
    file = root / "camera.json"
    record = read_json(file) if file.is_file() else {}
    if not isinstance(record, dict):
        raise InputError(f"{file} holds no table; one of fx, fy, cx, cy and so on is needed.")
    return record


def find_units(
    root: Path,
    record: Mapping[str, Any],
    per_metre: float | None,
    holes: Sequence[float] | None,
) -> DepthUnits:
    """What the caller and camera.json say about the numbers.

    Raises:
        InputError: they contradict each other, or say what cannot be.
    """
    said = {
        key: positive(record[key], key, root)
        for key in ("depth_per_metre", "depth_png_per_metre")
        if record.get(key) is not None
    }
    if per_metre is not None:
        positive(per_metre, "--per-metre", root)
        for key, value in said.items():
            if value != per_metre:
                raise InputError(
                    f"--per-metre {per_metre:g}, and {root / 'camera.json'} says {key} {value:g}; "
                    "one scale is needed. Leave --per-metre out, or mend camera.json."
                )
    if holes is None and (codes := record.get("holes")) is not None:
        try:
            holes = [float(code) for code in codes]
        except (TypeError, ValueError) as error:
            raise InputError(
                f"{root / 'camera.json'}: holes {codes!r}; a list of numbers is needed."
            ) from error
    return DepthUnits(
        per_metre=per_metre or said.get("depth_per_metre"),
        png_per_metre=said.get("depth_png_per_metre"),
        holes=None if holes is None else tuple(holes),
    )


def positive(value: Any, name: str, root: Path) -> float:
    """``value`` as a number above 0.

    Raises:
        InputError: it is none; the message names what it is of.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise InputError(f"{root}: {name} {value!r}; a number above 0 is needed.")
    return float(value)


def check_median(root: Path, median: float, per_metre: float | None) -> None:
    """Raise InputError for a median depth (metres) that no usual scene has."""
    low, high = PLAUSIBLE_M
    if low <= median <= high:
        return
    if per_metre:
        others = {n: median * per_metre / n for n in (1, *SCALES)}
        fits = [f"{n} ({m:.3g} m)" for n, m in others.items() if n != per_metre and low < m < high]
        advice = f"{per_metre:g} per metre is not its scale; usual are {', '.join(fits) or 'none'}."
    elif median > high:
        advice = "If these are millimetres, say --per-metre 1000."
    else:
        advice = "Are these disparities, normalised maps, or kilometres? Metres are needed."
    raise InputError(
        f"{root}: the median depth would be {median:.4g} m, which no usual scene has. {advice}"
    )


def ask_scale(path: Path, values: np.ndarray, holes: Sequence[float] | None = None) -> str:
    """The question what the numbers of a file are in, with the median for every usual answer."""
    known = values[np.isfinite(values) & (values > 0) & ~hole_mask(values, holes or ())]
    middle = float(np.median(known)) if known.size else math.nan
    floats = values.dtype.kind == "f"
    scales = {1: "metres", 1000: "millimetres"} if floats else SCALES
    options = ", ".join(f"{n} for {who} ({middle / n:.3g} m)" for n, who in scales.items())
    return (
        f"{path} holds {'floats' if floats else 'integers'} of unknown scale, their median is "
        f"{middle:.4g}. Say how many are a metre with --per-metre, or as depth_png_per_metre in "
        f"camera.json; the median would be, with {options}."
    )


def ask_holes(path: Path, found: Sequence[Hole]) -> str:
    """The question whether codes stand for "nothing is known"."""
    seen = "; ".join(
        f"{hole.code:g} in {hole.share:.1%} of its pixels ({hole.why})" for hole in found
    )
    codes = ",".join(f"{hole.code:g}" for hole in found)
    return (
        f"{path} holds {seen}, and nothing says whether that is depth. If it means that nothing is "
        f'known, say --hole {codes}, or put {{"holes": [{codes}]}} into camera.json; if it is '
        "depth, --hole none (an empty list)."
    )


def _check_sample(
    root: Path, files: Sequence[Path], units: DepthUnits, *, given: float | None
) -> None:
    """Look at a few files before anything is done: their scale, their holes, their median."""
    chosen = np.linspace(0, len(files) - 1, min(_SAMPLE, len(files))).round().astype(int)
    medians: list[float] = []
    codes: list[np.ndarray] = []
    planes: Counter[float] = Counter()
    for path in (files[n] for n in chosen):
        try:
            values = read_depth_map(path)
        except LeadlineError:
            continue  # whoever reads the frame says what is wrong
        planes.update(hole.code for hole in find_holes(values) if hole.code > 0)
        try:
            depth = units.read(path)
        except InputError:
            if values.dtype.itemsize == 1:
                continue
            raise
        if units.holes is None and (plane := _shared_plane(values, planes, len(chosen))):
            raise InputError(ask_holes(path, [plane]))
        medians += [float(np.median(depth[depth > 0]))] if (depth > 0).any() else []
        if values.dtype.kind in "iu" and units.scale_of(path, values) == _KITTI:
            codes.append(np.where(depth > 0, values, 0)[::4, ::4].ravel())
    if codes:
        _doubt_kitti(root, np.concatenate(codes))
    if given and medians:
        check_median(root, float(np.median(medians)), given)


def _doubt_kitti(root: Path, codes: np.ndarray) -> None:
    """Warn where what is said to be 256 per metre looks like the millimetres of a room.

    Rooms measured by depth cameras end at 10 m and have hardly a gap; streets measured by LiDAR go
    beyond 39 m (code 10,000 at 256 per metre) and have a value in every third pixel at most.
    Neither is sure, so it is said and not decided.
    """
    known = codes[codes > 0]
    far = float(np.percentile(known, 99)) if known.size else 0.0
    if known.size < _DENSE * codes.size or not far >= 500 or known.max() > _ROOM_MM:
        return
    warnings.warn(
        f"{root}: at 256 per metre 99 % of the depths are within {far / 256:.1f} m; the same "
        f"numbers as millimetres are a room of {far / 1000:.1f} m, and maps as dense as these "
        "mostly are. If so, say --per-metre 1000.",
        LeadlineWarning,
        stacklevel=2,
    )


def _shared_plane(values: np.ndarray, planes: Counter[float], files: int) -> Hole | None:
    """The far plane of a file, if most files end at the same one."""
    holes = (hole for hole in find_holes(values) if 0 < hole.code < math.inf)
    return next((hole for hole in holes if files > 2 and 2 * planes[hole.code] > files), None)


def _sure_holes(values: Num[np.ndarray, "h w"]) -> list[Hole]:
    """Codes that are hardly depth: one negative value, the largest of the integer type."""
    full = np.iinfo(values.dtype).max if values.dtype.kind in "iu" else None
    return [
        hole
        for hole in find_holes(values)
        if (-math.inf < hole.code < 0 and hole.share < 1) or hole.code == full
    ]


def _by_name(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in list_files(folder, suffixes):
        other = found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
        if other is not path:
            raise InputError(
                f"{other} and {path.name} have the same stem, so it is not known which is meant; "
                "one file of each stem is needed: move the other away."
            )
    return found


def _one_of(root: Path, names: tuple[str, ...], what: str) -> Path:
    found = next((root / name for name in names if (root / name).is_dir()), None)
    if found is None:
        raise InputError(
            f"{root} holds no folder of {what}; one of {', '.join(names)} is needed. Rename yours."
        )
    return found


def _kind(value: Any, root: Path) -> DepthKind:
    try:
        return DepthKind(value)
    except ValueError as error:
        raise InputError(
            f"{root / 'camera.json'}: kind {value!r}; one of {', '.join(DepthKind)} is needed."
        ) from error


def _frame(
    name: str,
    picture: Path,
    target: Path | None,
    *,
    group: str,
    units: DepthUnits,
    max_depth: float,
    intrinsics: Mapping[str, float],
) -> Frame:
    if target is None:
        raise InputError(
            f"{picture} has no depth file of the same stem ({', '.join(DEPTH_SUFFIXES)}); add it, "
            "or take the picture out."
        )
    depth = units.read(target)
    image = read_image(picture)
    if intrinsics:
        image = set_intrinsics(image, **intrinsics)
    if depth.shape != image.size:
        raise InputError(
            f"{target} is a map of {depth.shape} for a picture of {image.size} ({picture.name}); "
            "the same size is needed: resize the picture to the depth."
        )
    return Frame(image=image, depth=depth, max_depth=max_depth, group=group, name=name)
