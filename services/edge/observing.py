"""What is known of each request afterwards: a span, metrics by route, one line in the access log.

Paths, queries and headers stay out of all three: a path may hold a number that somebody took for an id. A request is
known by its route's template.
"""

import asyncio
import re
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import BinaryIO

import orjson
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from prometheus_client import Counter, Gauge, Histogram

from services.edge.asgi import Request, Scope

REQUESTS = Counter("http_server_requests_total", "Requests answered.", ["method", "route", "status"])
SECONDS = Histogram(
    "http_server_request_duration_seconds",
    "Time from the request's headers to the end of its answer.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
IN_FLIGHT = Gauge("http_server_in_flight", "Requests in progress.")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Lines wait so long for others, and so many at most: one write for many requests.
FLUSH_SECONDS = 0.2
FLUSH_LINES = 256
_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
tracer = trace.get_tracer("nhip.http")


class AccessLog:
    """JSON lines to standard error, several in one write."""

    def __init__(self, stream: BinaryIO | None = None) -> None:
        """Writes to standard error unless told otherwise."""
        self._stream = stream if stream is not None else sys.stderr.buffer
        self._lines: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    def note(self, request: Request, status: int, sent_bytes: int, seconds: float) -> None:
        """Notes one answered request."""
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": "INFO",
            "service": "edge",
            "logger": "nhip.access",
            "message": f"{request.method} {request.route} {status}",
            "method": request.method,
            "route": request.route,
            "status": status,
            "bytes": sent_bytes,
            "ms": round(seconds * 1000, 2),
            "trace_id": request.trace_id,
        }
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        if len(self._lines) >= FLUSH_LINES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Writes what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            self._stream.write(b"".join(self._lines))
            self._stream.flush()
            self._lines.clear()


class Observation:
    """One request from its headers to the end of its answer."""

    __slots__ = ("_attached", "_begin", "_span", "trace_id", "traceparent")

    def __init__(self, scope: Scope) -> None:
        """Continues the caller's trace (W3C Trace Context) or begins one."""
        self._begin = time.perf_counter()
        parent = _parent_of(scope)
        self._span: Span = tracer.start_span("HTTP", context=parent, kind=SpanKind.SERVER)
        self._attached = context.attach(trace.set_span_in_context(self._span))
        place = self._span.get_span_context()
        # Without a tracer there are no ids; an error still needs one to be asked about.
        number = place.trace_id or secrets.randbits(127) + 1
        self.trace_id = f"{number:032x}"
        self.traceparent = (
            f"00-{self.trace_id}-{place.span_id or secrets.randbits(63) + 1:016x}-{place.trace_flags:02x}"
        )
        IN_FLIGHT.inc()

    def finish(self, request: Request, status: int, sent_bytes: int, log: AccessLog) -> None:
        """Counts, times, logs and ends the span."""
        seconds = time.perf_counter() - self._begin
        method = request.method if request.method in METHODS else "OTHER"
        # prometheus_client keeps a child per label set, behind a lock and a dict: about a microsecond each.
        REQUESTS.labels(method, request.route, str(status)).inc()
        SECONDS.labels(method, request.route).observe(seconds)
        IN_FLIGHT.dec()
        log.note(request, status, sent_bytes, seconds)
        if self._span.is_recording():
            self._span.update_name(f"{method} {request.route}")
            self._span.set_attributes(
                {"http.request.method": method, "http.route": request.route, "http.response.status_code": status}
            )
        self._span.end()
        context.detach(self._attached)


def _parent_of(scope: Scope) -> context.Context | None:
    for name, value in scope["headers"]:
        if name == b"traceparent":
            match = _TRACEPARENT.fullmatch(value)
            if match is None:
                return None
            place = SpanContext(int(match[1], 16), int(match[2], 16), True, TraceFlags(int(match[3], 16)))
            # An all-zero id is no trace, says the standard.
            return trace.set_span_in_context(NonRecordingSpan(place)) if place.is_valid else None
    return None
