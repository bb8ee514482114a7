"""`python -m tools.bench.index [SIZE]…`: the index at these sizes; 100 thousand and 1 million if none is given."""

import sys

from tools.bench.index import SIZES, main

if __name__ == "__main__":
    raise SystemExit(main(tuple(map(int, sys.argv[1:])) or SIZES))
