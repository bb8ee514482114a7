"""Pages of other origins may ask, and read what is answered (https://fetch.spec.whatwg.org/#http-cors-protocol).

SMART apps run in browsers. Whoever calls shows a token that they hold, and no cookie that a browser adds by itself, so which page
asks says nothing, and every one may.
"""

from services.edge.asgi import Header, Reply, Request

# CDS Hooks answers for itself; pages, metrics and health are nothing that another page reads.
_OPEN = ("/fhir/R4", "/v1/", "/oauth2/", "/.well-known/")
_ASKED = (
    *("accept", "authorization", "content-type", "idempotency-key", "if-match", "if-modified-since", "if-none-exist"),
    *("if-none-match", "nhip-position", "prefer", "traceparent", "x-requested-with"),
)
_TOLD = (
    *("accept-patch", "allow", "content-location", "etag", "last-modified", "location", "nhip-position", "retry-after"),
    *("www-authenticate", "x-progress"),
)
_ORIGIN: Header = (b"access-control-allow-origin", b"*")
_EXPOSED: Header = (b"access-control-expose-headers", ", ".join(_TOLD).encode())
_DAY = b"86400"


def is_preflight(request: Request) -> bool:
    """True where a browser asks whether a page may call."""
    headers = request.headers
    is_asked = request.method == "OPTIONS" and b"origin" in headers and b"access-control-request-method" in headers
    return is_asked and _is_open(request)


def preflight(request: Request) -> Reply:
    """Yes, by every method and with the headers that are understood here."""
    request.route = "preflight"
    return Reply(
        204,
        headers=[
            (b"access-control-allow-methods", b"DELETE, GET, HEAD, PATCH, POST, PUT"),
            (b"access-control-allow-headers", ", ".join(_ASKED).encode()),
            (b"access-control-max-age", _DAY),
        ],
    )


def told_to_pages(request: Request, reply: Reply) -> Reply:
    """The reply, readable for the page that asked, if one did."""
    if b"origin" in request.headers and _is_open(request):
        reply.headers += [_ORIGIN, _EXPOSED]
    return reply


def _is_open(request: Request) -> bool:
    path: str = request.scope["path"]
    return path.startswith(_OPEN)
