"""Where pictures come from: files, folders, object stores (fsspec addresses), WebDataset shards."""

from __future__ import annotations

import os
import re
import tarfile
import tempfile
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from leadline.errors import InputError
from leadline.io import is_map, list_images, read_image
from leadline.io.boundary import reading
from leadline.io.images import IMAGE_SUFFIXES, natural_key
from leadline.jobs import atomic_write

SHARD_SUFFIX = ".tar"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture, not read yet.

    Attributes:
        key: its name in the shard that is written; no dots.
        source: its address; ``shard.tar#member`` inside a shard.
        path: the file that holds it, on this machine or at an address.
        offset, length: where in that file; length None means all of it.
    """

    key: str
    source: str
    path: str
    offset: int = 0
    length: int | None = None

    @property
    def suffix(self) -> str:
        """Of the file, lower case, with its dot."""
        return PurePosixPath(self.source).suffix.lower()

    def read(self) -> bytes:
        """The file's bytes.

        Raises:
            InputError: it cannot be read.
        """
        try:
            if self.length is None:
                return read_bytes(self.path)
            with Path(self.path).open("rb") as file:
                file.seek(self.offset)
                return file.read(self.length)
        except OSError as error:
            raise InputError(f"{self.source}: {error.strerror or error}.") from error


def is_readable(picture: Picture) -> bool:
    """Whether the picture can be read now."""
    try:
        read_image(picture.read())
    except InputError:
        return False
    return True


def filesystem(address: str) -> tuple[Any, str]:
    """The fsspec file system of ``address`` and the path in it.

    Raises:
        InputError: no such kind of address, or the package that reads it is missing.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise InputError(f"{address} cannot be reached: {error}") from error


def is_address(text: str) -> bool:
    """Whether ``text`` is an address such as ``s3://bucket/folder`` and not a path."""
    return re.match(r"\w{2,}://", text) is not None


def list_sources(inputs: Iterable[str | os.PathLike[str]], *, recursive: bool = True) -> list[str]:
    """Pictures and WebDataset shards (``.tar``) of files, folders, patterns and addresses.

    Local paths are made absolute, because other machines know nothing of this folder.

    Raises:
        InputError: nothing was found.
    """
    found: dict[str, None] = {}
    for entry in inputs:
        text = os.fspath(entry)
        found.update(dict.fromkeys(_remote(text) if is_address(text) else _local(text, recursive)))
    if not found:
        raise InputError("no INPUT was given; give pictures, folders, shards or addresses.")
    return list(found)


def _local(entry: str, recursive: bool) -> list[str]:
    path = Path(entry)
    if path.is_dir():
        walk = path.rglob("*") if recursive else path.glob("*")
        shards = sorted((p for p in walk if p.suffix == SHARD_SUFFIX), key=natural_key)
        if shards:
            return [os.path.abspath(shard) for shard in shards]  # noqa: PTH100 - keeps links
    found = list_images(entry, recursive=recursive)
    if found == [path] and not path.is_file():
        raise InputError(f"{entry} is no file and holds no pictures; check the path.")
    pictures = (picture for picture in found if picture == path or not is_map(picture))
    return [os.path.abspath(picture) for picture in pictures]  # noqa: PTH100


def _remote(address: str) -> list[str]:
    store, path = filesystem(address)
    try:
        names = store.glob(path) if re.search(r"[*?\[]", path) else store.find(path)
    except OSError as error:
        raise InputError(f"{address} cannot be listed: {error}.") from error
    wanted = [
        n for n in names if PurePosixPath(n).suffix.lower() in (*IMAGE_SUFFIXES, SHARD_SUFFIX)
    ]
    if not wanted:
        raise InputError(f"{address} holds no pictures and no {SHARD_SUFFIX} shards.")
    return [store.unstrip_protocol(name) for name in sorted(wanted, key=natural_key)]


def read_bytes(address: str) -> bytes:
    """A file's bytes, local or at an address."""
    if not is_address(address):
        return Path(address).read_bytes()
    store, path = filesystem(address)
    return store.cat_file(path)


def write_bytes(address: str, data: bytes) -> None:
    """Write a file, whole or not at all; object stores take an object as a whole by nature."""
    if not is_address(address):
        with atomic_write(address) as file:
            file.write(data)
        return
    store, path = filesystem(address)
    store.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
    store.pipe_file(path, data)


def names_in(folder: str) -> set[str]:
    """Names of the files in a folder, local or at an address; none when it is not there."""
    store, path = filesystem(folder)
    store.invalidate_cache()  # other machines write there too
    try:
        return {PurePosixPath(name).name for name in store.ls(path, detail=False)}
    except FileNotFoundError:
        return set()


def inside(folder: str, name: str) -> str:
    """The address of ``name`` in ``folder``."""
    return f"{folder.rstrip('/')}/{name}"


@contextmanager
def pictures_of(sources: Sequence[str], index: int) -> Generator[list[Picture]]:
    """The pictures of a part: those of its one shard, or its files.

    A shard at an address is brought here for as long as the block lasts.
    """
    if len(sources) == 1 and sources[0].endswith(SHARD_SUFFIX):
        with _on_this_machine(sources[0]) as path:
            yield _members(path, sources[0])
        return
    yield [
        Picture(key=f"{index:06d}_{number:06d}", source=source, path=source)
        for number, source in enumerate(sources)
    ]


@contextmanager
def _on_this_machine(address: str) -> Generator[str]:
    if not is_address(address):
        yield address
        return
    store, path = filesystem(address)
    with tempfile.TemporaryDirectory(prefix="leadline-") as folder:
        local = f"{folder}/shard{SHARD_SUFFIX}"
        store.get_file(path, local)
        yield local


def _members(path: str, name: str) -> list[Picture]:
    """Pictures of a WebDataset shard; the key is a member's name up to its first dot."""
    with (
        reading(name, "a plain tar file is needed: write it again."),
        tarfile.open(path, "r:") as shard,
    ):
        members = [member for member in shard if member.isfile()]
    found = []
    for member in members:
        inner = PurePosixPath(member.name)
        stem, _, _ = inner.name.partition(".")
        if inner.suffix.lower() in IMAGE_SUFFIXES and not inner.name.endswith(".depth.png"):
            found.append(
                Picture(
                    key=_key(inner.with_name(stem)),
                    source=f"{name}#{member.name}",
                    path=path,
                    offset=member.offset_data,
                    length=member.size,
                )
            )
    return found


def _key(name: PurePosixPath) -> str:
    """A member's name without what would lead whoever unpacks the new shard out of his folder."""
    parts = ("_" if part == ".." else part for part in name.parts if part != "/")
    return str(PurePosixPath(*parts))
