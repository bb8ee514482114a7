"""`python -m tools.probe --edge http://edge --client <file>`: exit code 0 when every step did what it should, else 1."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.probe.course import Walk, steps
from tools.probe.edge import Edge, ProbeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Walks the course and prints each step with its time."""
    parser = argparse.ArgumentParser(prog="python -m tools.probe", description=__doc__)
    parser.add_argument("--edge", required=True, help="URL of the edge")
    parser.add_argument(
        "--client", required=True, type=Path, help="file with client_id and client_secret of the first administrator"
    )
    parser.add_argument("--patience", type=float, default=60.0, help="seconds to wait for a platform that comes up")
    options = parser.parse_args(arguments)
    try:
        walk = Walk(Edge(options.edge, options.patience), *_credentials(options.client))
        for name, deed in steps(walk):
            begin = time.monotonic()
            try:
                seen = deed()
            except ProbeError as error:
                raise ProbeError(f"{name}: {error}") from error
            print(f"ok    {time.monotonic() - begin:6.2f} s  {name}: {seen}", flush=True)
    except ProbeError as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    return 0


def _credentials(path: Path) -> tuple[str, str]:
    try:
        secret = json.loads(path.read_text(encoding="utf-8"))
        return str(secret["client_id"]), str(secret["client_secret"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProbeError(f"{path} does not hold client_id and client_secret: {type(error).__name__}") from error


if __name__ == "__main__":
    raise SystemExit(main())
