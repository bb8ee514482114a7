"""Spans, and the fields of log lines. Neither holds anything of a request but which RPC or route it was."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpanKindOf:
    """One kind of span."""

    tracer: str
    name: str
    services: str
    meaning: str
    # Attribute → what stands there.
    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class LogField:
    """One field of a line in JSON."""

    name: str
    kinds: tuple[type, ...]
    meaning: str
    # Only in the edge's access log, one line for each request.
    is_of_access_log: bool = False
    is_always_there: bool = True


SPANS = (
    SpanKindOf(
        "nhip.http",
        "{http.request.method} {http.route}",
        "edge",
        "A request at the edge; continues the caller's W3C traceparent.",
        {
            "http.request.method": "the HTTP method, OTHER for an unknown one",
            "http.route": "the route's template",
            "http.response.status_code": "the status",
        },
    ),
    SpanKindOf(
        "nhip.rpc",
        "{rpc.service}/{rpc.method}",
        "all with a database",
        "An RPC at its service; a child of the edge's span, or of the importing job's.",
        {"rpc.system": "always grpc", "rpc.service": "full name of the gRPC service", "rpc.method": "the RPC"},
    ),
)
RESOURCE = {
    "service.namespace": "always nhip",
    "service.name": "the service",
    "service.instance.id": "the replica, as NHIP_INSTANCE names it",
}
LOG_FIELDS = (
    LogField("time", (str,), "when, in UTC, to the millisecond"),
    LogField("level", (str,), "DEBUG to CRITICAL"),
    LogField("service", (str,), "the service"),
    LogField("logger", (str,), "the module that speaks; nhip.access for the access log"),
    LogField("message", (str,), "a sentence with reasons, counts and names of RPCs; never a value of a request"),
    LogField("trace_id", (str,), "the trace that the line belongs to", is_always_there=False),
    LogField(
        "exception", (list,), "types and places of an exception and its causes; not its text", is_always_there=False
    ),
    LogField("method", (str,), "the HTTP method", is_of_access_log=True),
    LogField("route", (str,), "the route's template", is_of_access_log=True),
    LogField("status", (int,), "the HTTP status", is_of_access_log=True),
    LogField("bytes", (int,), "length of the answer's body", is_of_access_log=True),
    LogField("ms", (float, int), "time from the headers to the end of the answer", is_of_access_log=True),
)
