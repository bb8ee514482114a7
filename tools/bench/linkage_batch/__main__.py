"""`python -m tools.bench.linkage_batch`: the suite. With `ours` or `plain` and paths, one run, which the suite starts."""

import sys

from tools.bench.linkage_batch import main, run_one

if __name__ == "__main__":
    raise SystemExit(run_one(sys.argv[1:]) if len(sys.argv) > 1 else main())
