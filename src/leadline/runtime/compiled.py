"""What OpenVINO made of a network the last time: read again, the first picture comes sooner.

Compiling takes most of the time to the first picture. The result is kept in the user's cache folder
under a name made of the model's files, the shapes, the processor and OpenVINO's version. A cache
never decides anything: what is missing, damaged, not ours or not to be written is compiled anew.
``LEADLINE_CACHE`` names another folder; ``off`` keeps nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from leadline.errors import InputError
from leadline.jobs import atomic_write

CACHE = "LEADLINE_CACHE"
"""Variable of the environment: a folder, or ``off``."""

_LARGEST = 256 << 20  # bytes of one entry; reading more takes longer than it is worth
_TOTAL = 1 << 30  # bytes of all entries; the oldest go first
_NEIGHBOURS = 256  # files beside a model that are looked at
_DIGEST = 32  # bytes
_WRITABLE_BY_OTHERS = 0o022


def cache_folder() -> Path | None:
    """Where compiled networks are kept; None where they are not."""
    asked = os.environ.get(CACHE)
    if asked is not None:
        return None if asked in ("", "off", "0") else Path(asked).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "leadline" / "compiled" if base else None


@dataclass(frozen=True)
class CompiledCache:
    """The entries of one network.

    Attributes:
        folder: of the entries.
        network: what they were made of, as one word.
    """

    folder: Path
    network: str

    @classmethod
    def of(cls, model: Path, *made_by: object) -> CompiledCache | None:
        """The entries of a model file; None where nothing can be kept.

        Args:
            model: ``.onnx`` or ``.xml``; the files beside it may hold its weights, so that all of
                them count: name, size and time of change.
            made_by: whatever else decides what compiling gives.
        """
        folder = cache_folder()
        try:
            if folder is None or not _is_ours(folder):
                return None
            files = sorted(entry for entry in model.resolve().parent.iterdir() if entry.is_file())
            if len(files) > _NEIGHBOURS:
                return None
            state = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
        except (OSError, RuntimeError):
            return None
        text = json.dumps([str(model.resolve()), state, [str(one) for one in made_by]])
        return cls(folder, _digest(text.encode()).hex()[:32])

    def read(self, what: object) -> bytes | None:
        """An entry, if it is there and whole."""
        file = self._file(what)
        with suppress(OSError):
            data = file.read_bytes()
            if data[:_DIGEST] == _digest(data[_DIGEST:]):
                os.utime(file)  # what is read stays longest
                return data[_DIGEST:]
        return None

    def write(self, what: object, data: bytes) -> None:
        """Keep an entry if that is possible; the oldest ones make room."""
        if len(data) > _LARGEST:
            return
        with suppress(OSError, InputError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with atomic_write(self._file(what)) as file:
                file.write(_digest(data) + data)
            _drop_oldest(self.folder)

    def _file(self, what: object) -> Path:
        name = _digest(str(what).encode()).hex()[:16]
        return self.folder / f"{self.network}-{name}.bin"


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()


def _is_ours(folder: Path) -> bool:
    """Whether nobody else can have put something there."""
    if not folder.exists() or not hasattr(os, "getuid"):
        return True
    state = folder.stat()
    return state.st_uid == os.getuid() and not state.st_mode & _WRITABLE_BY_OTHERS


def _drop_oldest(folder: Path) -> None:
    kept = 0
    for time, size, file in sorted(_entries(folder), reverse=True):
        kept += size
        if kept > _TOTAL and time:
            file.unlink(missing_ok=True)


def _entries(folder: Path) -> Iterator[tuple[int, int, Path]]:
    for file in folder.glob("*.bin"):
        state = file.stat()
        yield state.st_mtime_ns, state.st_size, file
