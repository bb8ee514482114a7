"""GET /status: for everybody, without a token."""

from datetime import UTC, datetime

from services.edge.asgi import Reply, Request
from services.edge.health import Health
from services.edge.status.measured import NOT_CONNECTED, Prometheus
from services.edge.status.page import html

_SERVING = "SERVING"
_HEADERS = (
    (b"content-security-policy", b"default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
     b"frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"public, max-age=15"),
)  # fmt: skip


class Status:
    """The page, from what the services say of themselves and what Prometheus measured."""

    def __init__(self, health: Health, prometheus: Prometheus | None) -> None:
        self._health = health
        self._prometheus = prometheus

    async def answer(self, _: Request) -> Reply:
        """200 whatever it says: that there is a page says that this door works."""
        said = await self._health.services()
        states = {"edge": self._health.is_serving, **{name: state == _SERVING for name, state in said.items()}}
        measured = await self._prometheus.measured() if self._prometheus else NOT_CONNECTED
        body = html(states, measured, datetime.now(UTC)).encode()
        return Reply(200, body, b"text/html; charset=utf-8", list(_HEADERS))
