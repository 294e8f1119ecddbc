"""Files that are whole or absent, whatever ends the process that writes them.

What is being written lies beside its place under a name of its own, locked. A killed process leaves
it there unlocked; whoever writes into the folder next takes such remains away.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from leadline.errors import InputError

try:
    import fcntl
except ImportError:  # Windows: remains of killed processes stay
    fcntl = None

_PART = re.compile(r"\..*\.[0-9a-f]{12}\.part", re.DOTALL)
_swept: set[str] = set()


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Generator[BinaryIO]:
    """Open ``path`` for writing bytes so that it is replaced as a whole or not at all.

    The bytes go to a new file in the same folder (made when missing), reach the disk, and take the
    name at the end of the ``with`` block. An exception inside the block removes them.

    Raises:
        InputError: the folder cannot be written to.
    """
    target = Path(path)
    with _refusing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent)
        temporary, file = _open_part(target)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            _count.add(file.tell())
            if fcntl is not None:  # while it is locked
                temporary.replace(target)
        if fcntl is None:  # which renames no open file
            temporary.replace(target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename is None:
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise
    _sync_folder(target.parent)


class _Count:
    def __init__(self) -> None:
        self.total = 0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self.total += count


_count = _Count()


def bytes_written() -> int:
    """Bytes of all files that this process wrote as a whole."""
    return _count.total


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, whole or not at all; odd bytes of names stay."""
    with atomic_write(path) as file:
        file.write(text.encode(errors="surrogateescape"))


@contextmanager
def working_folder(place: str | os.PathLike[str]) -> Generator[Path]:
    """A new folder inside ``place`` for files that are to be moved there when all are whole.

    For libraries that write files by name. The folder is gone at the end of the block; a killed
    process leaves it to the next that writes into ``place``.

    Raises:
        InputError: ``place`` cannot be written to.
    """
    folder = Path(place)
    with _refusing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        made = _name_part(folder / "files")
        made.mkdir()
    handle = os.open(made, os.O_RDONLY) if fcntl is not None else None
    try:
        if handle is not None:
            _lock(handle)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def move_files(source: Path, target: Path) -> None:
    """Move files to their place from a working folder, sidecars last: they seal the rest."""
    files = sorted(source.iterdir(), key=lambda file: file.suffix == ".json")
    for file in files:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
        _count.add(file.stat().st_size)
        file.replace(target / file.name)
    _sync_folder(target)


def sweep(folder: Path) -> None:
    """Remove what killed processes left in ``folder``; each process looks once."""
    if fcntl is None or str(folder) in _swept:
        return
    _swept.add(str(folder))
    with os.scandir(folder) as entries:
        found = [entry.path for entry in entries if _PART.fullmatch(entry.name)]
    for path in found:
        with suppress(OSError):
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if _lock(handle):
                    _remove(Path(path))
            finally:
                os.close(handle)


def is_disk_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind an exception, as itself or as what it was raised from."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _refusing(target: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"cannot write {target}: {error.strerror or error}. A folder that may be written to is "
            "needed; give another one."
        ) from error


def _name_part(target: Path) -> Path:
    begin = os.fsencode(target.name)[:80].decode(errors="ignore")  # names are limited in bytes
    return target.with_name(f".{begin}.{secrets.token_hex(6)}.part")


def _open_part(target: Path) -> tuple[Path, BinaryIO]:
    """A new file beside ``target``, locked."""
    while True:
        temporary = _name_part(target)
        file = temporary.open("xb")
        if fcntl is None or (_lock(file.fileno()) and temporary.exists()):
            return temporary, file
        file.close()  # another process swept it before it was locked
        temporary.unlink(missing_ok=True)


def _lock(handle: int) -> bool:
    """Lock an open file or folder; False when another process holds it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable where the system allows opening folders."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
