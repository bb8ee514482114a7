"""`python -m tools.probe --edge http://edge --client <file>`: exit code 0 when every step did what it should, else 1.

With `--every 60 --metrics 0.0.0.0:9464` it walks each minute until SIGTERM, and tells by metrics what came of it.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import start_http_server

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
    parser.add_argument("--every", type=float, default=0.0, help="seconds from walk to walk; 0 walks once")
    parser.add_argument(
        "--metrics", default="127.0.0.1:0", help="host:port of /metrics, where it walks again and again"
    )
    options = parser.parse_args(arguments)
    if options.every:
        return _watch(options)
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


def _watch(options: argparse.Namespace) -> int:
    """Until SIGTERM, which comes as SystemExit between two walks or in the midst of one."""
    host, _, port = options.metrics.rpartition(":")
    if not (host and port.isdigit()):
        print(f"FAILED  --metrics is host:port, not {options.metrics}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Imported where it is needed: the walk by itself does without.
    from tools.probe.watch import Watch  # noqa: PLC0415

    server, _ = start_http_server(int(port), host)
    print(f"metrics at {host}:{server.server_port}", flush=True)
    watch = Watch(lambda: Walk(Edge(options.edge, options.patience), *_credentials(options.client)))
    due = time.monotonic()
    while True:
        try:
            broken = watch.once()
        except ProbeError as error:
            print(f"FAILED  {error}", file=sys.stderr)
            return 1
        print(f"BROKEN  {broken}" if broken else "held", file=sys.stderr if broken else sys.stdout, flush=True)
        due = max(due + options.every, time.monotonic())
        time.sleep(due - time.monotonic() if due > time.monotonic() else 0)


def _credentials(path: Path) -> tuple[str, str]:
    try:
        secret = json.loads(path.read_text(encoding="utf-8"))
        return str(secret["client_id"]), str(secret["client_secret"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProbeError(f"{path} does not hold client_id and client_secret: {type(error).__name__}") from error


if __name__ == "__main__":
    raise SystemExit(main())
