"""Rewrite the tables of docs/performance.md from the results under benchmarks/results.

    leadline benchmark --policies --out benchmarks/results/depth-anything-v2-vits_cpu.json
    python benchmarks/performance_tables.py [--check]

A table stands between ``<!-- table: RESULT PART -->`` and ``<!-- end -->``; PART is ``contenders``,
``prediction`` or ``policies``. With ``--check`` nothing is written; a page that is out of date ends
with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from leadline.speed import as_markdown
from leadline.speed.report import contender_rows, policy_rows, prediction_rows

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = Path(__file__).parent / "results"
PARTS = {"contenders": contender_rows, "prediction": prediction_rows, "policies": policy_rows}
_TABLE = re.compile(r"(<!-- table: (\S+) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """The page with its tables made anew."""

    def table(match: re.Match[str]) -> str:
        result = json.loads((RESULTS / f"{match[2]}.json").read_text(encoding="utf-8"))
        return f"{match[1]}{as_markdown(PARTS[match[3]](result))}\n{match[4]}"

    return _TABLE.sub(table, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only tell whether they are current")
    check = parser.parse_args().check
    old = PAGE.read_text(encoding="utf-8")
    new = filled(old)
    if check:
        sys.exit(0 if new == old else "docs/performance.md is out of date; run this script.")
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
