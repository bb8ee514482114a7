"""The pages that the edge shows people: where everything is, and the documentation.

Self-contained: no page asks the network for anything but this edge.
"""

from functools import cache
from importlib import resources
from types import MappingProxyType

from services.edge.asgi import Reply

_PAGES = MappingProxyType(
    {
        "/": ("index.html", b"text/html; charset=utf-8"),
        "/docs": ("docs.html", b"text/html; charset=utf-8"),
        "/docs/docs.css": ("docs.css", b"text/css; charset=utf-8"),
        "/docs/docs.js": ("docs.js", b"text/javascript; charset=utf-8"),
        "/docs/words.js": ("words.js", b"text/javascript; charset=utf-8"),
    }
)
# The pages run their own scripts and styles, and talk to their own origin.
_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
     b"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"max-age=60"),
)  # fmt: skip


def page(path: str) -> Reply | None:
    """The page at a path; None where there is none."""
    if path not in _PAGES:
        return None
    name, kind = _PAGES[path]
    return Reply(200, _content(name), kind, list(_HEADERS))


@cache
def _content(name: str) -> bytes:
    return resources.files(__package__).joinpath("static", name).read_bytes()
