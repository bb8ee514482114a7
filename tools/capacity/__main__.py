"""Writes docs/operations/capacity.md: `python -m tools.capacity [--measure | --check]`.

With --measure, costs are measured first, on a platform of its own, and kept in tools/capacity/measured.json. With --check nothing
is written; the exit code is 1 when the page is not what the measurement says.
"""

import argparse
import sys
from pathlib import Path

from tools.capacity.measuring import Measured, measure
from tools.capacity.page import page

MEASURED = Path(__file__).with_name("measured.json")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations" / "capacity.md"


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--measure", action="store_true", help="measure first")
    what.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is not current")
    asked = parser.parse_args()
    if asked.measure:
        MEASURED.write_text(measure(print).text(), encoding="utf-8")
    wanted = page(Measured.of(MEASURED.read_text(encoding="utf-8")))
    if asked.check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != wanted:
            sys.stderr.write("docs/operations/capacity.md is not current: run python -m tools.capacity\n")
            return 1
        return 0
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
