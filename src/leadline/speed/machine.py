"""The machine under a benchmark: its facts, and who else is using it.

Timings from a busy machine are wrong by unequal factors (measured: up to 4.5 for one library and
1.3 for another), so the share that other processes take is measured before and during a run.
Linux reports it in ``/proc``; elsewhere it is unknown, and the result says so.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    *("numpy", "openvino", "onnxruntime", "onnx", "torch", "transformers", "timm"),
    "huggingface-hub",
)
"""Packages whose versions go into a result."""

_PROC = Path("/proc")
_INSTRUCTIONS = ("avx", "amx", "fma", "asimd", "bf16", "i8mm", "sve")


@dataclass(frozen=True, kw_only=True)
class Ticks:
    """CPU time since the machine started, in clock ticks.

    Attributes:
        busy: of every process and of the kernel.
        total: ``busy`` and idle time, over all cores.
        by_process: process id -> its own.
    """

    busy: int
    total: int
    by_process: dict[int, int]


@dataclass(frozen=True, kw_only=True)
class Load:
    """What other processes took of the machine over some seconds.

    Attributes:
        others: share of all cores, 0 to 1; None where the system does not report it.
        busiest: (name, share of all cores) of the largest, largest first.
    """

    others: float | None
    busiest: tuple[tuple[str, float], ...] = ()

    def __str__(self) -> str:
        if self.others is None:
            return "unknown"
        names = ", ".join(f"{name} {share:.0%}" for name, share in self.busiest)
        return f"{self.others:.0%} of the processor" + (f" ({names})" if names else "")


def ticks() -> Ticks | None:
    """CPU time up to now, or None off Linux."""
    try:
        lines = (_PROC / "stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    fields = [int(word) for word in lines[0].split()[1:9]]  # guests are part of the others
    idle = fields[3] + fields[4]
    return Ticks(busy=sum(fields) - idle, total=sum(fields), by_process=_by_process())


def load_between(before: Ticks | None, after: Ticks | None, own: Iterable[int] = ()) -> Load:
    """The share that processes other than this one and ``own`` took between two readings."""
    if before is None or after is None or after.total <= before.total:
        return Load(others=None)
    total = after.total - before.total
    taken = {
        process: spent - before.by_process.get(process, 0)
        for process, spent in after.by_process.items()
    }
    ours = {os.getpid(), *own}
    mine = sum(taken.get(process, 0) for process in ours)
    others = max(0, after.busy - before.busy - mine) / total
    rest = sorted(((s, p) for p, s in taken.items() if p not in ours and s > 0), reverse=True)
    busiest = tuple((_name(process), spent / total) for spent, process in rest[:3])
    return Load(others=others, busiest=busiest)


def load_over(seconds: float) -> Load:
    """Wait, and return what other processes took meanwhile."""
    before = ticks()
    time.sleep(seconds)
    return load_between(before, ticks())


def facts(threads: int | None = None) -> dict[str, Any]:
    """Processor, cores, instruction sets, memory, system and versions, as plain data."""
    from leadline.runtime.openvino import precisions, processor_name
    from leadline.version import __version__

    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": threads or "each library's default",
        "instructions": _instructions(),
        "openvino_precisions": list(precisions()),
        "memory_gb": _memory_gb(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "leadline": __version__,
        **{name: _version(name) for name in PACKAGES},
    }


def peak_memory_mb() -> float | None:
    """The most memory that this process has held, in 10^6 bytes; None where unknown."""
    try:
        text = (_PROC / "self" / "status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith("VmHWM:")), None)
    return None if line is None else int(line.split()[1]) * 1024 / 1e6


def _by_process() -> dict[int, int]:
    found = {}
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it ended meanwhile
        fields = text.rpartition(")")[2].split()
        found[int(entry.name)] = int(fields[11]) + int(fields[12])
    return found


def _name(process: int) -> str:
    try:
        return (_PROC / str(process) / "comm").read_text(errors="replace").strip()
    except OSError:
        return str(process)


def _instructions() -> list[str]:
    try:
        text = (_PROC / "cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    lines = (line for line in text.splitlines() if line.lower().startswith(("flags", "features")))
    return [word for word in next(lines, "").split() if word.startswith(_INSTRUCTIONS)]


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (OSError, ValueError, AttributeError):
        return None


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
