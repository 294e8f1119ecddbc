"""Terms of weights: whether they may be used commercially.

A reading aid for the licences that the catalogue names, no legal advice; the text of a licence is
what counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a licence allows.

    Attributes:
        commercial: whether commercial use is allowed; ``see``: the text has to be read.
        url: where the text is; empty when nobody knows.
    """

    commercial: Literal["yes", "no", "see"]
    url: str = ""


TERMS: Mapping[str, Terms] = MappingProxyType(
    {
        "Apache-2.0": Terms(commercial="yes", url="https://www.apache.org/licenses/LICENSE-2.0"),
        "MIT": Terms(commercial="yes", url="https://opensource.org/license/mit"),
        "BSD-2-Clause": Terms(commercial="yes", url="https://opensource.org/license/bsd-2-clause"),
        "CC-BY-NC-4.0": Terms(
            commercial="no", url="https://creativecommons.org/licenses/by-nc/4.0/"
        ),
        "apple-amlr": Terms(commercial="no", url="https://huggingface.co/apple/DepthPro"),
    }
)
"""Licence, as :class:`~leadline.spec.WeightsFile` names it -> its terms."""


def find_terms(licence: str) -> Terms:
    """The terms of a licence; those of one that is not listed say ``see``."""
    return TERMS.get(licence, Terms(commercial="see"))


def spell_licence(name: str) -> str:
    """A licence as :data:`TERMS` spells it, from the hub's small letters; others as they are."""
    return next((known for known in TERMS if known.lower() == name.lower()), name)


def describe_use(licence: str) -> str:
    """What to add to the name of a licence that does not allow every use; else nothing."""
    say = {"yes": "", "no": " (no commercial use)", "see": " (read it before commercial use)"}
    return say[find_terms(licence).commercial]
