"""The ASGI application: /fhir/R4, /v1, OAuth, documentation, health and metrics behind one callable."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from services.edge import oauth
from services.edge.asgi import Receive, Reply, Request, Scope, Send, send_reply
from services.edge.cds import service as cds
from services.edge.cors import is_preflight, preflight, told_to_pages
from services.edge.faults import Refusal, fault_of, unexpected
from services.edge.fhir.outcome import refusal
from services.edge.fhir.service import Fhir
from services.edge.fhir.subscriptions.operations import WEBSOCKET_PATH
from services.edge.fhir.subscriptions.websocket import converse
from services.edge.health import Health
from services.edge.observing import AccessLog, Observation
from services.edge.openapi.document import openapi_document, scopes_of
from services.edge.pages import page
from services.edge.problems import problem
from services.edge.routes import Router, routes_of
from services.edge.status.measured import Prometheus
from services.edge.status.service import Status
from services.edge.transcode import Transcoder
from services.edge.upstream import SERVICES, Upstream, served_by

log = logging.getLogger(__name__)
FHIR = "/fhir/R4"
SMART = "/.well-known/smart-configuration"
Handler = Callable[[Request], Awaitable[Reply]]


class Edge:
    """The whole edge over its upstream."""

    def __init__(
        self,
        upstream: Upstream,
        access_log: AccessLog,
        prometheus: Prometheus | None = None,
        fhir_policy: frozenset[str] = frozenset(),
    ) -> None:
        """`prometheus` tells the status page what was measured, `fhir_policy` the capabilities what records allow.

        Raises RouteError for a route that cannot be served.
        """
        routes = routes_of(one for name in SERVICES for one in served_by(name))
        self.health = Health(dict(upstream.channels))
        self._upstream = upstream
        status = Status(self.health, prometheus)
        self._transcoder = Transcoder(Router(routes), upstream)
        self._fhir = Fhir(upstream, fhir_policy)
        self._access_log = access_log
        self._scopes = scopes_of(routes)
        self._openapi = openapi_document(routes)
        # Verb and handler of each path that is no pattern.
        self._fixed: Mapping[str, tuple[str, Handler]] = {
            "/oauth2/token": ("POST", lambda request: oauth.token(upstream, request)),
            "/.well-known/jwks.json": ("GET", lambda request: oauth.jwks(upstream, request)),
            SMART: ("GET", self._smart),
            FHIR + SMART: ("GET", self._smart),
            "/openapi.json": ("GET", self._describe),
            "/metrics": ("GET", _metrics),
            "/status": ("GET", status.answer),
            "/healthz": ("GET", lambda _: self.health.healthz()),
            "/readyz": ("GET", lambda _: self.health.readyz()),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await self._websocket(scope, receive, send)
            return
        seen = Observation(scope)
        request = Request(scope, receive, seen.trace_id, seen.traceparent)
        status, size = 499, 0
        try:
            reply = preflight(request) if is_preflight(request) else await self._answer(request)
            told_to_pages(request, reply)
            status, size = reply.status, len(reply.body)
            if not self.health.is_serving:
                # Whoever calls again comes by another connection, and that leads elsewhere: none is cut off at the end.
                reply.headers.append((b"connection", b"close"))
            await send_reply(request, reply, send)
        finally:
            seen.finish(request, status, size, self._access_log)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == WEBSOCKET_PATH:
            await converse(self._upstream, scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, request: Request) -> Reply:
        path: str = request.scope["path"]
        is_fhir = path.startswith(FHIR) and path[len(FHIR) : len(FHIR) + 1] in {"", "/"}
        is_cds = path == cds.PATH or path.startswith(f"{cds.PATH}/")
        try:
            if is_fhir and path != FHIR + SMART:
                return await self._fhir.answer(request)
            if is_cds:
                return await cds.answer(self._upstream, request, request.segments[1:])
            if path.startswith("/v1/"):
                return await self._transcoder.handle(request)
            return await self._other(request, path)
        except Exception as error:
            fault = fault_of(error)
            if fault is None:
                log.exception("%s %s failed for an unknown reason", request.method, request.route)
                fault = unexpected()
            reply = refusal(fault) if is_fhir else problem(fault, request.trace_id)
            if is_cds:
                # A browser shows a page an answer only with these, and an error is one.
                reply.headers.extend(cds.CORS)
            return reply

    async def _other(self, request: Request, path: str) -> Reply:
        verb = "GET" if request.method == "HEAD" else request.method
        wanted, handler = self._fixed.get(path, ("GET", None))
        found = page(unquote(path)) if handler is None else None
        if handler is None and found is None:
            raise Refusal("NOT_FOUND", "ROUTE_UNKNOWN", "there is nothing at this path", status=404)
        request.route = path
        if verb != wanted:
            allowed = ((b"allow", wanted.encode()),)
            raise Refusal(
                "INVALID_ARGUMENT", "METHOD_NOT_ALLOWED", f"this path takes {wanted}", status=405, headers=allowed
            )
        if handler is not None:
            return await handler(request)
        if found is None:
            raise AssertionError("a page was found or refused above")
        return found

    async def _smart(self, request: Request) -> Reply:
        return oauth.smart_configuration(request, self._scopes)

    async def _describe(self, _: Request) -> Reply:
        return Reply(200, self._openapi, b"application/json", [(b"cache-control", b"max-age=60")])


async def _metrics(_: Request) -> Reply:
    return Reply(200, generate_latest(REGISTRY), CONTENT_TYPE_LATEST.encode(), [(b"cache-control", b"no-store")])
