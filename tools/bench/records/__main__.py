"""Runs the suite: python -m tools.bench.records."""

import sys

from tools.bench.records import arguments, main

if __name__ == "__main__":
    raise SystemExit(main(**arguments(sys.argv[1:])))
