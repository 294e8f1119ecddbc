"""``leadline doctor``: versions, processor, runtimes, and what would run which model."""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import typer

from leadline.cli.options import Json

PACKAGES = (
    *("numpy", "pillow", "openvino", "typer", "rich", "huggingface-hub"),
    *(
        "torch",
        "torchvision",
        "timm",
        "safetensors",
        "onnx",
        "onnxruntime",
        "opencv-python-headless",
    ),
)
CPU_FLAGS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_bf16": "AMX BF16",
    "amx_int8": "AMX INT8",
    "asimd": "NEON",
    "bf16": "BF16",
    "i8mm": "I8MM",
}
"""Flag of ``/proc/cpuinfo`` -> the name that people know."""


def doctor(
    as_json: Json = False,
) -> None:
    """Show versions, devices, processor features, and which runtime would be chosen and why."""
    found = examine()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for title, section in found.items():
        if not isinstance(section, dict):
            typer.echo(f"{title}: {section}")
            continue
        typer.echo(f"{title}:")
        for name, value in section.items():
            typer.echo(f"  {name:<24} {', '.join(value) if isinstance(value, list) else value}")


def examine() -> dict[str, Any]:
    """The whole report as plain data."""
    from leadline.runtime import RUNTIMES, devices
    from leadline.version import __version__

    return {
        "leadline": __version__,
        "python": f"{platform.python_version()} on {platform.platform()}",
        "packages": {name: _version(name) for name in PACKAGES},
        "processor": {
            "name": _processor(),
            "logical cores": os.cpu_count(),
            "features": cpu_features(),
            "OpenVINO computes in": _openvino_precisions(),
        },
        "runtimes": {name: list(devices(name)) or "not installed" for name in RUNTIMES},
        "would run": {
            "the embedded model": _choice("lite", "lite.onnx"),
            "an exported network": _choice("depth-anything-v2-vits", "model.onnx"),
            "a torch checkpoint": _choice("depth-anything-v2-vits", "model.safetensors"),
        },
        "hub": _hub(),
    }


def cpu_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Instruction sets that matter for networks; ``unknown`` where the system does not tell."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ["unknown"]
    lines = (line for line in text.splitlines() if line.lower().startswith(("flags", "features")))
    flags = set(next(lines, "").split())
    return [title for flag, title in CPU_FLAGS.items() if flag in flags] or ["none of interest"]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    from leadline.runtime.openvino import processor_name

    return processor_name()


def _openvino_precisions() -> list[str]:
    from leadline.runtime.openvino import precisions

    return list(precisions())


def _choice(name: str, file: str) -> str:
    from leadline import catalog
    from leadline.errors import LeadlineError
    from leadline.runtime import select

    try:
        return str(select(Path(file), fastest_safe=catalog.get(name).precision))
    except LeadlineError as error:
        return str(error)


def _hub() -> dict[str, str]:
    from huggingface_hub import constants

    return {
        "address": constants.ENDPOINT,
        "cache": constants.HF_HUB_CACHE,
        "offline": "yes" if constants.HF_HUB_OFFLINE else "no",
    }
