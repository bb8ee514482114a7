"""`python -m tools.bench.linkage`."""

import sys

from tools.bench.linkage import main

sys.exit(main())
