"""Whatever path, query, header or body arrives: never a 500, never a silent crash."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.runtime.policy import methods_of
from services.edge.app import Edge
from services.edge.observing import AccessLog
from services.edge.routes import routes_of
from services.edge.upstream import SERVICES, Upstream
from tests.services.edge.fakes import Lines

METHODS = {method.label: method for descriptor in SERVICES.values() for method in methods_of(descriptor)}
TEMPLATES = sorted({route.template for route in routes_of(SERVICES.values())})
FHIR = ["/fhir/R4/", "/fhir/R4/Patient/", "/fhir/R4/Patient/1/_history/"]
STARTS = ["/", "/v1/", "/v1/persons/", "/oauth2/token", "/docs/", *FHIR, *TEMPLATES]
ODD = [*"/:;?#$*ก漢\\\"'<>&=|", "%00", "%2F", "..", "//", "%ff", "%c3%28", "%F0%9F%98%80", "{id}", "$match", "_search"]
HEADERS = [
    *(b"authorization", b"if-match", b"if-none-match", b"prefer", b"accept", b"content-type", b"host"),
    *(b"traceparent", b"nhip-position", b"idempotency-key", b"x-forwarded-host"),
]
VALUES = [b'W/"1"', b"return=minimal", b"application/fhir+json", b"application/json", b"Bearer a.b.c", b"Basic YTpi"]
QUERIES = [b"_count=1", b"_format=json", b"pageSize=1", b"a=b&a=c", b"x.y.z=1"]
BODIES = [b"{}", b'{"resourceType":"Patient"}', b'{"resourceType":"Bundle","type":"batch","entry":[{}]}']


class _Answering:
    """A stub of every RPC that answers an empty message, so that thousands of requests cost little."""

    def __init__(self, method):
        self.method = method

    async def __call__(self, message, request):
        message.SerializeToString()
        assert all(key and value.isprintable() and value.isascii() for key, value in request.metadata)
        return self.method.response_class()

    async def stream(self, messages, request):
        async for message in messages:
            message.SerializeToString()
        return self.method.response_class()


class _Upstream(Upstream):
    def __init__(self):
        self.channels = {}

    def __getitem__(self, label):
        return _Answering(METHODS[label])


EDGE = Edge(_Upstream(), AccessLog(Lines()))


async def _send(method, path, query, headers, body):
    sent = []
    pieces = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return pieces.pop(0) if pieces else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path.decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "headers": headers,
        "scheme": "http",
        "server": ("127.0.0.1", 80),
    }
    await EDGE(scope, receive, send)
    return sent[0]["status"]


_path = st.builds(
    lambda start, parts, tail: (start + "".join(parts) + tail).encode(),
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(ODD) | st.text(max_size=4), max_size=4),
    st.sampled_from(["", ":link", ":search", ":", "/", "/$validate"]),
)
_value = st.binary(max_size=12) | st.sampled_from(VALUES)


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"]),
    _path,
    st.binary(max_size=16) | st.sampled_from(QUERIES),
    st.lists(st.tuples(st.sampled_from(HEADERS), _value), max_size=4),
    st.binary(max_size=30) | st.sampled_from(BODIES),
)
def test_nothing_that_arrives_is_a_defect(method, path, query, headers, body):
    status = asyncio.run(_send(method, path, query, headers, body))
    assert status < 500, (status, method, path)
