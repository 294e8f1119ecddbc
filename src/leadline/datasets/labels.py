"""Pseudo labels as a data set: pictures and the maps that a teacher made of them.

A folder that ``leadline label`` wrote, as single files or as WebDataset shards. Its manifest says
what the maps are; most are affine disparities, which train a student but measure nobody.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leadline.datasets.frame import read_json
from leadline.errors import InputError
from leadline.image import Image
from leadline.io import decode_png16, read_image, read_png16_record
from leadline.io.boundary import open_file, reading
from leadline.kinds import DepthKind
from leadline.resample import resize

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Bool, Float

_MAP = ".depth.png"


@dataclass(frozen=True, kw_only=True, eq=False)
class Label:
    """A picture and a teacher's map of it.

    Attributes:
        image: the picture, at the label's size where labels were made smaller.
        values: (h, w) float32; ``kind`` says what they mean; 0 where there is no value.
        valid: (h, w) bool.
        kind: of the values.
        name: of the label.
    """

    image: Image
    values: Float[np.ndarray, "h w"]
    valid: Bool[np.ndarray, "h w"]
    kind: DepthKind
    name: str


@dataclass(frozen=True, kw_only=True)
class LabelRef:
    """A label by name; ``read`` reads it and its picture from their files."""

    name: str
    read: Callable[[], Label]


_AGAIN = "what `leadline label` wrote is needed; delete it and label again."


def open_labels(
    folder: str | Path, *, pictures: str | Path | None = None
) -> tuple[DepthKind, list[LabelRef]]:
    """The labels in ``folder``, not read yet, and what their values mean.

    Args:
        folder: what ``leadline label`` wrote.
        pictures: where the pictures are now, if they were moved; looked for by file name.

    Raises:
        InputError: no manifest, an unfinished or empty folder, or Parquet shards, which are for
            other programs.
    """
    root = Path(folder)
    manifest = root / "manifest.json"
    if not manifest.is_file():
        raise InputError(
            f"{root} holds no manifest.json; give a folder that `leadline label` wrote."
        )
    record = read_json(manifest)
    if record.get("layout") == "parquet":
        raise InputError(
            f"{root} holds Parquet shards, which are not read here; label with --layout webdataset."
        )
    moved = None if pictures is None else Path(pictures)
    if record.get("layout") == "folder":
        refs = [
            LabelRef(name=path.stem, read=partial(_read_file, path, moved))
            for path in sorted((root / "depth").glob("*.png"))
        ]
    else:
        refs = [ref for shard in sorted(root.glob("shard-*.tar")) for ref in _shard(shard, moved)]
    if not refs:
        raise InputError(f"{root} holds no labels yet; run `leadline label` to its end.")
    with reading(str(manifest), _AGAIN):
        return DepthKind(record["kind"]), refs


def _read_file(path: Path, moved: Path | None) -> Label:
    source = str(read_png16_record(path).get("source", ""))
    with reading(str(path), _AGAIN):
        return _label(path.read_bytes(), str(path), _picture(source, moved), path.stem)


def _shard(path: Path, moved: Path | None) -> list[LabelRef]:
    """The labels of a shard; its table of contents is read once."""
    with reading(str(path), _AGAIN), tarfile.open(path, "r:") as shard:
        members = {m.name: (m.offset_data, m.size) for m in shard if m.isfile()}
    by_key: dict[str, dict[str, tuple[int, int]]] = {}
    for name, place in members.items():
        head, _, base = name.rpartition("/")
        stem, _, extension = base.partition(".")
        by_key.setdefault(f"{head}/{stem}" if head else stem, {})[extension] = place
    return [
        LabelRef(name=key, read=partial(_read_member, path, key, places, moved))
        for key, places in by_key.items()
        if _MAP[1:] in places
    ]


def _read_member(
    path: Path, key: str, places: dict[str, tuple[int, int]], moved: Path | None
) -> Label:
    own = [extension for extension in places if extension not in (_MAP[1:], "json")]
    with open_file(path, _AGAIN) as file:
        data = _slice(file, places[_MAP[1:]])
        picture = read_image(_slice(file, places[own[0]])) if own else None
        if picture is None:
            record = decode_png16(data, name=f"{path}#{key}").info
            picture = _picture(str(record.get("source", "")), moved)
        return _label(data, f"{path}#{key}", picture, key)


def _slice(file: Any, place: tuple[int, int]) -> bytes:
    file.seek(place[0])
    return file.read(place[1])


def _picture(source: str, moved: Path | None) -> Image:
    path = Path(source) if moved is None else moved / Path(source).name
    if "#" in source or not path.is_file():
        raise InputError(
            f"{path}: the picture of this label is not here. Say where the pictures are now "
            "(pictures=), or label with --with-pictures, which puts them into the shards."
        )
    return read_image(path)


def _label(data: bytes, where: str, image: Image, name: str) -> Label:
    png = decode_png16(data, name=where)
    labelled = tuple(png.info.get("picture_size", png.values.shape))
    if labelled != image.size:
        raise InputError(
            f"{where} is of a picture of {labelled}, and the picture has {image.size}; it was "
            "changed since. Label it again."
        )
    if png.values.shape != image.size:  # labels that were made smaller
        pixels = resize(image.pixels, png.values.shape, "area_linear")
        image = Image(pixels=np.clip(np.rint(pixels), 0, 255).astype(np.uint8), name=image.name)
    return Label(
        image=image,
        values=np.where(png.valid, png.values, 0).astype(np.float32),
        valid=png.valid,
        kind=DepthKind(png.info["kind"]),
        name=name,
    )
