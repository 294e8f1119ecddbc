"""Licences of what Leadline depends on, and its bill of materials."""

from __future__ import annotations

import pytest

pytest.importorskip("packaging")

from tools.dependencies import Package, find_packages, make_sbom


def test_every_dependency_of_the_base_has_an_allowed_licence() -> None:
    packages = find_packages()
    names = {package.name for package in packages}
    assert {"numpy", "openvino", "pillow", "huggingface-hub"} <= names
    assert "torch" not in names
    assert not [package for package in packages if not package.allowed]
    direct = {package.name for package in packages if package.direct}
    assert "numpy" in direct
    assert "idna" not in direct


def test_every_dependency_of_every_extra_has_an_allowed_licence() -> None:
    assert not [package for package in find_packages(frozenset({"all"})) if not package.allowed]


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("BSD-3-Clause AND MIT", True),
        ("GPL-3.0-only", False),
        ("AGPL-3.0", False),
        ("GPL-2.0 OR MIT", True),
        ("GNU Lesser General Public License v3", True),
        ("GNU General Public License v3 (GPLv3)", False),
        ("CC-BY-NC-4.0, non-commercial", False),
        ("", False),
    ],
)
def test_which_licences_are_allowed(licence: str, allowed: bool) -> None:
    package = Package(name="a", version="1", licence=licence, direct=True)
    assert package.allowed is allowed


def test_the_bill_of_materials_names_every_package_once() -> None:
    packages = find_packages()
    sbom = make_sbom(packages)
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.5")
    addresses = [component["purl"] for component in sbom["components"]]
    assert len(set(addresses)) == len(packages)
    assert all(address.startswith("pkg:pypi/") for address in addresses)
