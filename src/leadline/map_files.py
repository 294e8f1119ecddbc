"""Files of maps: :func:`write_map` writes every format of ``FORMATS``, :func:`read_map` reads.

What the numbers are in a format (depth, disparity, as they are) is up to the caller, who finds it
in the format's ``stores``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from leadline import viz
from leadline.errors import InputError, KindError, UnknownNameError
from leadline.io import (
    CHUNK,
    MAPS,
    StoredMap,
    encode_normals,
    encode_png,
    encode_png16,
    get_format,
    read_depth_map,
    read_exr_record,
    read_gdepth,
    read_heic_depth,
    read_npy,
    read_npz,
    read_pfm,
    read_png16,
    write_exr,
    write_gdepth,
    write_npz,
    write_pfm,
    write_png16,
)
from leadline.jobs import atomic_write
from leadline.kinds import DepthKind
from leadline.version import __version__

_BLENDER_FAR = 1e10
"""What Blender writes into its depth pass where there is nothing."""


def write_map(
    path: Path,
    stored: StoredMap,
    name: str,
    *,
    cmap: str = "inferno",
    legend: bool = False,
    control_side: int | None = None,
) -> None:
    """Write a map in the format ``name``, any but ``ply``, whole or not at all.

    Args:
        path: the file.
        stored: holds what the format's ``stores`` says.
        name: of the format.
        cmap: colour map of ``color`` and ``side``.
        legend: put a colour bar beside ``color`` and ``side``.
        control_side: see :func:`leadline.viz.near_white`.

    Raises:
        InputError: no photo, or no known value, where the format needs it.
        KindError: a kind that the format does not hold.
    """
    record, kind = _record(stored, name), DepthKind(stored.info["kind"])
    match name:
        case "npz":
            camera = "" if record["camera"] is None else json.dumps(record["camera"])
            maps = {part: array for part, array in _maps(stored).items() if array is not None}
            write_npz(path, {**record, "camera": camera, "values": stored.values, **maps})
        case "npy":
            with atomic_write(path) as file:
                np.save(file, _fill(stored, np.nan), allow_pickle=False)
        case "pfm":
            write_pfm(path, _fill(stored, np.inf))
        case "png16":
            write_png16(path, stored.values, valid=stored.valid, info=record)
        case "near16":
            data = encode_png16(stored.values, valid=stored.valid, info=record)
            with atomic_write(path) as file:
                file.write(data)
        case "exr" | "exr-half" | "exr-blender":
            _write_exr(path, stored, name, record)
        case "gdepth":
            _write_gdepth(path, stored, record)
        case "controlnet":
            near = viz.nearness(stored.values, kind)
            grey = viz.near_white(near, valid=stored.valid, side=control_side)
            _write_png(path, np.repeat(grey[..., None], 3, axis=2), record)
        case "normal" | "normal16" | "normal-directx" | "normal16-directx":
            bits = 16 if name.startswith("normal16") else 8
            convention = "directx" if name.endswith("directx") else "opengl"
            codes = encode_normals(stored.parts["normals"], bits=bits, convention=convention)
            _write_png(path, codes, record)
        case _:
            photo = _photo(path, stored, name) if name == "side" else None
            picture = viz.draw_map(
                stored.values, kind, valid=stored.valid, cmap=cmap, photo=photo, legend=legend
            )
            _write_png(path, picture, record)


def list_left_out(stored: StoredMap, name: str) -> tuple[str, ...]:
    """What ``stored`` holds beside its values and a file of the format ``name`` does not.

    Raises:
        UnknownNameError: no such format.
    """
    keeps = get_format(name).keeps
    held = {**_maps(stored), "camera": stored.info["camera"]}
    return tuple(part for part, it in held.items() if it is not None and part not in keeps)


def read_map(path: Path, *, kind: DepthKind | str | None = None) -> StoredMap:
    """Read what :func:`write_map` wrote, or the depth that a phone put into a photo.

    Args:
        path: the file.
        kind: what the values mean, where the file does not say.

    Raises:
        InputError: missing, damaged, or a file that does not say what it holds.
        KindError: the file says that its values mean something else.
        MissingDependencyError: EXR without OpenEXR, HEIC without pillow-heif.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path.")
    match suffix:
        case ".npz":
            found = _read_npz(path)
        case ".png":
            png = read_png16(path)
            found = StoredMap(values=png.values, valid=png.valid, info=png.info)
        case ".jpg" | ".jpeg":
            found = read_gdepth(path)
        case ".heic" | ".heif":
            found = read_heic_depth(path, kind=kind)
        case ".exr" if (record := read_exr_record(path)) is not None:
            found = _read_exr(path, record)
        case ".npy" | ".pfm" | ".exr":
            return _read_bare(path, kind)
        case _:
            raise InputError(
                f"{path}: {suffix or 'no suffix'}; .npz, .png, .exr, .jpg, .heic, .npy or .pfm is "
                "needed."
            )
    if not isinstance(found.info, Mapping) or "kind" not in found.info:
        raise InputError(f"{path} does not say what its values mean (no 'kind' in its record).")
    told = parse_kind(found.info["kind"])
    if kind is not None and parse_kind(kind) is not told:
        raise KindError(f"{path} says {told}, but kind={kind} was given; leave kind out.")
    return found


def parse_kind(kind: DepthKind | str) -> DepthKind:
    """The kind of a name.

    Raises:
        UnknownNameError: no such kind; the message lists all.
    """
    try:
        return DepthKind(kind)
    except ValueError:
        raise UnknownNameError("depth kind", kind, list(DepthKind)) from None


def _maps(stored: StoredMap) -> dict[str, np.ndarray | None]:
    return {"valid": stored.valid, **stored.parts}


def _record(stored: StoredMap, name: str) -> dict[str, Any]:
    left_out = list_left_out(stored, name)
    return {
        **({"left_out": list(left_out)} if left_out else {}),
        **stored.info,
        "version": __version__,
    }


def _fill(stored: StoredMap, missing: float) -> np.ndarray:
    return stored.values if stored.valid is None else np.where(stored.valid, stored.values, missing)


def _known(stored: StoredMap) -> np.ndarray:
    finite = np.isfinite(stored.values)
    return finite if stored.valid is None else finite & stored.valid


def _write_exr(path: Path, stored: StoredMap, name: str, record: dict[str, Any]) -> None:
    """Depth in a channel ``Z``, or a disparity, which no program takes for one, in ``Y``."""
    channel, missing = "Z", np.inf
    if name == "exr-blender":
        channel, missing = "ViewLayer.Depth.Z", _BLENDER_FAR
    elif DepthKind(record["kind"]).larger_is_nearer:
        channel, missing = "Y", 0.0
    known = _known(stored)
    if missing != np.inf and not known.all():
        record["no_value"] = missing
    values = np.where(known, stored.values, np.float32(missing))
    write_exr(path, values, channel=channel, half=name == "exr-half", info=record)


def _write_gdepth(path: Path, stored: StoredMap, record: dict[str, Any]) -> None:
    kind = DepthKind(record["kind"])
    if kind is DepthKind.AFFINE_DEPTH:
        raise KindError(
            "GDepth holds depth, and affine_depth has an unknown shift; use a model that "
            "predicts metric_depth or scaled_depth."
        )
    write_gdepth(
        path,
        _photo(path, stored, "gdepth"),
        stored.values,
        valid=_known(stored) & (stored.values > 0),
        metric=kind.is_metric,
        info=record,
    )


def _photo(path: Path, stored: StoredMap, name: str) -> np.ndarray:
    if stored.pixels is None:
        use = (
            "is a photo with depth in it"
            if name == "gdepth"
            else "shows the photo beside its depth"
        )
        raise InputError(
            f"{path}: format {name!r} {use}, and this prediction holds no photo (it was read "
            "from a file, say); use 'color'."
        )
    return stored.pixels


def _write_png(path: Path, picture: np.ndarray, record: dict[str, Any]) -> None:
    data = encode_png(picture, texts={CHUNK: json.dumps(record)})
    with atomic_write(path) as file:
        file.write(data)


def _read_bare(path: Path, kind: DepthKind | str | None) -> StoredMap:
    """A file that holds numbers and no word on what they mean."""
    if kind is None:
        raise InputError(
            f"{path}: {path.suffix} files do not tell what their values mean; say it with "
            f"read_prediction(path, kind=...), one of {', '.join(DepthKind)}."
        )
    readers = {".npy": read_npy, ".pfm": read_pfm, ".exr": read_depth_map}
    values = readers[path.suffix.lower()](path)
    if values.dtype.kind not in "fiu":
        raise InputError(f"{path} holds {values.dtype}; a map of numbers is needed.")
    return StoredMap(values=values, valid=np.isfinite(values), info={"kind": kind})


def _read_exr(path: Path, record: dict[str, Any]) -> StoredMap:
    values = read_depth_map(path).astype(np.float32)
    valid = np.isfinite(values)
    if isinstance(missing := record.get("no_value"), float):
        valid &= values != np.float32(missing)
    return StoredMap(values=values, valid=valid, info=record)


def _read_npz(path: Path) -> StoredMap:
    data = read_npz(path, needed=("values", "kind", "camera", "model"))
    record = {name: str(data[name]) for name in ("kind", "camera", "model")}
    try:
        camera = json.loads(record["camera"]) if record["camera"] else None
    except ValueError as error:
        raise InputError(f"{path}: its camera cannot be read ({error}).") from error
    return StoredMap(
        values=data["values"],
        valid=data.get("valid"),
        info={**record, "camera": camera},
        parts={name: data[name] for name in MAPS if name in data and name != "valid"},
    )
