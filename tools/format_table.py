"""The table of formats in docs/outputs.md, out of the code's own."""

from __future__ import annotations

import re

from leadline.io import FORMATS, MAPS
from tools.pages import DOCS

PAGE = DOCS / "outputs.md"
MARKED = re.compile(r"(<!-- formats -->\n).*?(<!-- /formats -->)", re.DOTALL)


def format_table() -> str:
    """A row a format: its file, what it keeps and what it leaves out."""
    lines = [
        "| `--format` | file | values | also kept | left out | nothing known | read back | for |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, one in FORMATS.items():
        word = f".{one.word}" if one.word else ""
        left = [part for part in (*MAPS, "camera") if part not in one.keeps]
        cells = (
            f"`{name}`",
            f"`NAME{word}{one.suffix}`",
            one.values,
            ", ".join(one.keeps) or "nothing",
            ", ".join(left) or "nothing",
            one.holes,
            one.readable,
            one.opens_in,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def fill(text: str) -> str:
    """The page with the table as it is now."""
    return MARKED.sub(lambda match: f"{match[1]}{format_table()}\n{match[2]}", text)


def write_page() -> None:
    """Bring docs/outputs.md up to date."""
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
