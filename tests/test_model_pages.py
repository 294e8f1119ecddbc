"""The page of every recent model says where it comes from, its traps, and its weights' terms."""

import re
from pathlib import Path

import pytest

from leadline.catalog.recent import RECENT
from leadline.spec import ModelSpec

DOCS = Path(__file__).parents[1] / "docs" / "models"
PAGES = {
    "da3": "depth-anything-3",
    "video": "video-depth-anything",
    "prompt": "prompt-depth-anything",
    "depth": "depth-pro",
    "moge": "moge",
    "metric3d": "metric3d",
    "unidepth": "unidepth",
}
"""First word of a name -> its page."""


def _read(name: str) -> str:
    """A page, and what its words with braces mean: `a-{b,c}` is a-b and a-c."""
    page = words = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    while found := re.search(r"([\w./-]*)\{([\w.,-]+)\}([\w./-]*)", words):
        before, options, after = found.groups()
        spelled = " ".join(before + option + after for option in options.split(","))
        words = words.replace(found[0], spelled)
    return f"{page}\n{words}"


@pytest.mark.parametrize("spec", RECENT, ids=lambda spec: spec.name)
def test_a_page_says_what_its_users_must_know(spec: ModelSpec) -> None:
    family = re.split(r"[-_]|(?<=da3)", spec.name)[0]
    page = _read(PAGES[family])
    identifier = re.search(r"arXiv:([\d.]+)", spec.paper)
    assert identifier is not None
    assert identifier[1] in page  # the paper
    assert re.search(r"^## .*(Traps|differ)", page, re.MULTILINE)
    assert f"../images/network-{PAGES[family]}.svg" in page
    assert re.search(r"commercial", page, re.IGNORECASE)
    for weights in spec.weights:
        assert weights.licence in page
        assert str(weights.repo).rpartition("/")[2] in page  # where they come from
    assert re.search(r"equal|Proof", page)  # against the authors' program
