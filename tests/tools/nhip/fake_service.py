"""A service of the least kind, for tests of the supervisor: it is healthy, and ends when asked to.

`python -m tests.tools.nhip.fake_service serve`, with the environment that real services get. A service named `edge`
speaks HTTP, one named `broken` dies at once.
"""

import http.server
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc


class _Healthz(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answers 200 for everything."""
        self.send_response(200)
        self.end_headers()


def say(line: str) -> None:
    """Writes a line to the log."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Serves until SIGTERM."""
    say(f"speaking as {os.environ['NHIP_SERVICE']} with peers {os.environ['NHIP_PEERS']}")
    if os.environ["NHIP_SERVICE"] == "broken":
        say("the reason why it is broken")
        return 1
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    if "NHIP_EDGE_LISTEN" in os.environ:
        host, _, port = os.environ["NHIP_EDGE_LISTEN"].rpartition(":")
        edge = http.server.ThreadingHTTPServer((host, int(port)), _Healthz)
        threading.Thread(target=edge.serve_forever, daemon=True).start()
        ended.wait()
        edge.shutdown()
    else:
        server = grpc.server(ThreadPoolExecutor(2))
        servicer = health.HealthServicer()
        servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        server.add_insecure_port(os.environ["NHIP_LISTEN"])
        server.start()
        ended.wait()
        server.stop(None).wait()
    say("ended in order")
    return 0


if __name__ == "__main__":
    sys.exit(main())
