"""W3C Trace Context (https://www.w3.org/TR/trace-context/) of those requests, nearly all, that nobody traces.

Whoever begins a trace decides whether it is recorded, and those after it keep to that. Of what is not recorded only the ids
live on, in logs and in the audit log; for them the machinery that makes spans costs as much as the rest of a call's stages.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext

# Of version 00: with the last bit of the flags unset, a trace that is not recorded.
_UNRECORDED = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f][02468ace]")


def unrecorded(traceparent: str) -> SpanContext | None:
    """The place of a request in a trace that is not recorded; None for one that is, or for what names no trace."""
    match = _UNRECORDED.fullmatch(traceparent)
    return SpanContext(int(match[1], 16), int(match[2], 16), is_remote=True) if match is not None else None


@contextmanager
def standing_at(place: SpanContext) -> Iterator[None]:
    """Logs and calls within carry the trace."""
    token = context.attach(trace.set_span_in_context(NonRecordingSpan(place)))
    try:
        yield
    finally:
        context.detach(token)
