"""Continues the caller's trace (W3C Trace Context) with a span per call."""

from google.protobuf.message import Message
from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind

from libs.runtime.call import Call
from libs.runtime.interceptors import Handler
from libs.runtime.policy import Method
from libs.runtime.tracecontext import standing_at, unrecorded

tracer = trace.get_tracer("nhip.rpc")


class Tracing:
    """Names the span after the method; the attributes are the method's, never the request's. What is not traced has none."""

    def wrap(self, method: Method, handler: Handler) -> Handler:
        """See the module."""
        name = method.path[1:]
        attributes = {"rpc.system": "grpc", "rpc.service": method.path[1:].partition("/")[0], "rpc.method": method.name}

        async def traced(call: Call) -> Message | None:
            place = unrecorded(call.metadata.get("traceparent", ""))
            if place is not None:
                with standing_at(place):
                    return await handler(call)
            parent = extract(call.metadata)
            with tracer.start_as_current_span(
                name, context=parent, kind=SpanKind.SERVER, attributes=attributes, record_exception=False
            ):
                return await handler(call)

        return traced
