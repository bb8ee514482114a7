"""Requests to addresses that somebody outside named: they go where the deployment lets them, and nowhere else.

A name is looked up once, each of its addresses is judged, and the connection goes to one that was judged: what a name
server says a moment later no longer matters. Redirects are not followed, proxies of the environment are not used.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httpx

_PORTS: Final = {"https": 443, "http": 80}
_CONNECT_SECONDS: Final = 10.0
# How long a sender may be silent.
_READ_SECONDS: Final = 60.0


class OutboundError(Exception):
    """A request is not made. `reason` is for programs; the message names neither addresses nor what answered."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a URL leads: scheme, host and port apart from the rest."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """As settings name it, with its port."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def host_header(self) -> str:
        """The port is part of Host only where it is not the scheme's own."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"

    def at(self, address: str) -> str:
        """The same place by an address of the host."""
        shown = f"[{address}]" if ":" in address else address
        return f"{self.scheme}://{shown}:{self.port}{self.path}"


class Outbound:
    """Where requests may go: to any public address by https, and to the origins that are named, whatever their address."""

    def __init__(self, origins: Iterable[str] = (), *, is_closed: bool = False) -> None:
        """`origins` such as `https://files.example.org` or `http://10.0.0.5:9000`; with `is_closed`, to no other.

        Raises ValueError for what is no origin.
        """
        self._named = frozenset(_origin(one) for one in origins)
        self._is_closed = is_closed

    @classmethod
    def of(cls, text: str) -> "Outbound":
        """From a setting: a comma list of origins; with the word `only` among them, no others. Raises ValueError."""
        words = [one.strip() for one in text.split(",") if one.strip()]
        return cls((one for one in words if one != "only"), is_closed="only" in words)

    def require_allowed(self, url: str) -> None:
        """Raises OutboundError, reasons URL_INVALID, URL_REFUSED: what can be told without asking a name server."""
        self._require_allowed(_target(url))

    @asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """A GET whose body is read as it comes. Raises OutboundError as above, UNREACHABLE; httpx.HTTPError."""
        target = _target(url)
        self._require_allowed(target)
        address = await self._address(target)
        timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
        async with (
            httpx.AsyncClient(verify=_trusted(), trust_env=False, follow_redirects=False, timeout=timeout) as client,
            client.stream(
                "GET",
                target.at(address),
                headers={**headers, "host": target.host_header},
                extensions={"sni_hostname": target.host},
            ) as response,
        ):
            yield response

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes, seconds: float) -> int:
        """A POST; the status of its answer, whose body is not read. Raises OutboundError, httpx.HTTPError, TimeoutError."""
        target = _target(url)
        self._require_allowed(target)
        async with asyncio.timeout(seconds):
            address = await self._address(target)
            async with (
                httpx.AsyncClient(
                    verify=_trusted(), trust_env=False, follow_redirects=False, timeout=seconds
                ) as client,
                client.stream(
                    "POST",
                    target.at(address),
                    headers=[*headers, ("host", target.host_header)],
                    content=body,
                    extensions={"sni_hostname": target.host},
                ) as response,
            ):
                return response.status_code

    def _require_allowed(self, target: _Target) -> None:
        if target.origin in self._named:
            return
        if self._is_closed:
            raise OutboundError("URL_REFUSED", "the platform takes nothing from this origin")
        if target.scheme != "https":
            raise OutboundError("URL_REFUSED", "the address must be https")
        if (literal := _literal(target.host)) is not None:
            _require_public(literal)

    async def _address(self, target: _Target) -> str:
        """An address of the host that may be connected to. Raises OutboundError."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except OSError:
            raise OutboundError("UNREACHABLE", "the host of the address is not known") from None
        addresses = [str(one[4][0]) for one in found]
        if target.origin not in self._named:
            # One private address among public ones is reason enough to go nowhere.
            for one in addresses:
                _require_public(ipaddress.ip_address(one.partition("%")[0]))
        return addresses[0]


@cache
def _trusted() -> ssl.SSLContext:
    """Made once: reading the authorities takes longer than many a request."""
    return httpx.create_ssl_context(trust_env=False)


def _target(url: str) -> _Target:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise OutboundError("URL_INVALID", "this is no address of a file") from None
    host = (parts.hostname or "").rstrip(".").lower()
    if parts.scheme not in _PORTS or not host or _has_login(parts) or not url.isascii() or not url.isprintable():
        raise OutboundError("URL_INVALID", "an absolute https address without a login belongs here")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(parts.scheme, host, port or _PORTS[parts.scheme], path)


def _has_login(parts: SplitResult) -> bool:
    return parts.username is not None or parts.password is not None


def _origin(text: str) -> str:
    try:
        target = _target(text)
    except OutboundError as error:
        raise ValueError(f"{text} is no origin such as https://files.example.org") from error
    if target.path != "/":
        raise ValueError(f"{text} is no origin: it has a path")
    return target.origin


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _require_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Raises OutboundError for what is not reachable by everybody: loopback, private, link-local, shared, reserved."""
    inner = address
    if isinstance(address, ipaddress.IPv6Address):
        # An IPv4 address may be dressed as one of IPv6: mapped, 6to4, or in the prefix of NAT64.
        inner = address.ipv4_mapped or address.sixtofour or _nat64(address) or address
    if not inner.is_global or inner.is_multicast or inner.is_reserved:
        raise OutboundError("URL_REFUSED", "the address is not a public one")


_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF) if address in _NAT64 else None
