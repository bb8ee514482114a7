"""Requests and replies over plain ASGI, with what a translator needs of them and no more.

Paths split before they are decoded, bodies read no faster than they are passed on, refusals in the middle of an upload
that the sender still sees: each is easier said without a framework than through one. (It is no question of speed: of the
250 µs that the edge spends on a read, the gRPC call takes 200 and the socket 40.)
"""

import asyncio
import contextlib
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from libs.errors import FieldViolation, InvalidArgumentError
from services.edge.faults import Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

# The largest document that is taken whole; files go through the import's stream.
MAX_BODY_BYTES = 16 * 1024 * 1024
# gRPC refuses metadata above 8 KiB in all; a token of ours has about 600 bytes.
MAX_HEADER_BYTES = 4096
MAX_QUERY_FIELDS = 1000
# How much of a refused body is still read, and how long, so that the sender sees the refusal instead of a reset.
DRAIN_BYTES = 64 * 1024 * 1024
DRAIN_SECONDS = 5.0
_HOST = re.compile(r"[A-Za-z0-9.\-_]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
# What a compressed body is unpacked by at once, so that no small one becomes a large one before its size is looked at.
_UNPACKED_BYTES = 256 * 1024
_GZIP = 31  # zlib's number for a gzip header and the largest window
_PRINTABLE = re.compile(rb"[\x20-\x7e]*")
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class Request:
    """One request, its place in a trace, and what the services answered about their positions."""

    __slots__ = (
        "_metadata",
        "_receive",
        "content_read",
        "headers",
        "method",
        "positions",
        "route",
        "scope",
        "trace_id",
        "traceparent",
    )

    def __init__(self, scope: Scope, receive: Receive, trace_id: str, traceparent: str) -> None:
        """`trace_id` is 32 hex digits; `traceparent` is what the services are sent."""
        self.scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        # Of a repeated header the last counts.
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.trace_id = trace_id
        self.traceparent = traceparent
        # The template that metrics and logs know the request by; never the path.
        self.route = "unknown"
        self.positions: list[str] = []
        self.content_read = self.method not in WITH_BODY
        self._metadata: tuple[tuple[str, str], ...] | None = None

    def header(self, name: bytes) -> str:
        """A header's text, without what lies outside of ASCII; empty when absent. Raises Refusal when oversize."""
        value = self.headers.get(name)
        if value is None:
            return ""
        if len(value) > MAX_HEADER_BYTES:
            raise Refusal("INVALID_ARGUMENT", "HEADER_TOO_LARGE", f"the header {name.decode()} is too long", status=431)
        if _PRINTABLE.fullmatch(value) is None:
            raise InvalidArgumentError(
                "HEADER_MALFORMED", f"the header {name.decode()} holds more than printable ASCII"
            )
        return value.decode("ascii")

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes on to the services: who calls, in which trace, and how fresh the answer must be."""
        if self._metadata is None:
            pairs = [("traceparent", self.traceparent)]
            if authorization := self.header(b"authorization"):
                pairs.append(("authorization", authorization))
            if state := self.header(b"tracestate"):
                pairs.append(("tracestate", state))
            wanted = [self.header(b"nhip-position"), *self.positions]
            if position := ",".join(part for part in wanted if part):
                pairs.append(("nhip-position", position))
            self._metadata = tuple(pairs)
        return self._metadata

    def stand_at(self, position: str) -> None:
        """Notes where a service stood after its write: later calls of this request, and its answer, carry it."""
        if position not in self.positions:
            self.positions.append(position)
            self._metadata = None

    @property
    def raw_segments(self) -> list[str]:
        """The path's segments as they were sent, percent signs and all."""
        raw: bytes = self.scope.get("raw_path") or self.scope["path"].encode()
        return raw.decode("ascii", "replace").split("/")[1:]

    @property
    def segments(self) -> list[str]:
        """The path's segments, each decoded by itself, so that an encoded slash stays within one.

        Raises InvalidArgumentError, reason PATH_MALFORMED.
        """
        return decoded(self.raw_segments)

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query's pairs in their order. Raises InvalidArgumentError, reason QUERY_MALFORMED."""
        return form_pairs(self.scope.get("query_string", b""), "query")

    @property
    def root_url(self) -> str:
        """`https://host` as the caller sees it, also behind a proxy that says so."""
        forwarded = self.headers.get(b"x-forwarded-proto", b"").split(b",")[0].strip().decode("latin-1")
        scheme = forwarded if forwarded in {"http", "https"} else self.scope.get("scheme", "http")
        for name in (b"x-forwarded-host", b"host"):
            host = self.headers.get(name, b"").split(b",")[0].strip().decode("latin-1")
            if host and _HOST.fullmatch(host):
                return f"{scheme}://{host}"
        server = self.scope.get("server") or ("localhost", None)
        return f"{scheme}://{server[0]}" + (f":{server[1]}" if server[1] else "")

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, unpacked where Content-Encoding says gzip.

        Nothing more is read from the socket until the next piece is asked for. Raises Refusal when the sender goes away, for
        another encoding (415), and for what is no gzip (400).
        """
        encoding = self.headers.get(b"content-encoding", b"").strip().lower()
        if encoding in {b"", b"identity"}:
            async for piece in self._pieces():
                yield piece
        elif encoding in {b"gzip", b"x-gzip"}:
            async for piece in self._unpacked():
                yield piece
        else:
            accepted = ((b"accept-encoding", b"gzip, identity"),)
            text = "a body comes as it is, or packed by gzip"
            raise Refusal("INVALID_ARGUMENT", "CONTENT_ENCODING_UNSUPPORTED", text, status=415, headers=accepted)

    async def _unpacked(self) -> AsyncIterator[bytes]:
        unpacker = zlib.decompressobj(_GZIP)
        async for piece in self._pieces():
            packed, is_full = piece, False
            while (packed or is_full) and not unpacker.eof:
                try:
                    found = unpacker.decompress(packed, _UNPACKED_BYTES)
                except zlib.error:
                    raise _no_gzip() from None
                # What filled the room may have left more behind within the unpacker.
                packed, is_full = unpacker.unconsumed_tail, len(found) == _UNPACKED_BYTES
                if found:
                    yield found
            if unpacker.eof and (packed or unpacker.unused_data):
                raise _no_gzip()
        if not unpacker.eof:
            raise _no_gzip()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while not self.content_read:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.content_read = True
                raise Refusal("CANCELLED", "REQUEST_INCOMPLETE", "the request ended before its body did", status=400)
            self.content_read = not message.get("more_body", False)
            if piece := message.get("body", b""):
                yield piece

    async def body(self, limit: int = MAX_BODY_BYTES) -> bytes:
        """The whole body. Raises Refusal, reason BODY_TOO_LARGE, above `limit`."""
        declared = self.headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > limit:
            raise _too_large(limit)
        pieces = []
        size = 0
        async for piece in self.chunks():
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def drain(self) -> None:
        """Reads on for a while and drops what comes."""
        read = 0
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                async for piece in self._pieces():
                    read += len(piece)
                    if read > DRAIN_BYTES:
                        return
        except (TimeoutError, Refusal):
            return


class Reply:
    """What is sent back: a body that is whole, or pieces as they come."""

    __slots__ = ("body", "headers", "pieces", "status")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        content_type: bytes = b"",
        headers: list[Header] | None = None,
        pieces: AsyncGenerator[bytes] | None = None,
    ) -> None:
        """`headers` come after content-type and content-length; with `pieces` they tell the length where it is known."""
        self.status = status
        self.body = body
        self.pieces = pieces
        self.headers: list[Header] = []
        if content_type:
            self.headers.append((b"content-type", content_type))
        if headers:
            self.headers.extend(headers)


async def send_reply(request: Request, reply: Reply, send: Send) -> None:
    """Sends a reply. A body that nobody read is drained for a while, then the connection closes."""
    headers = reply.headers
    if reply.pieces is not None:
        await _send_pieces(request, reply, reply.pieces, send)
        return
    if reply.status not in {204, 304}:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    if request.positions:
        headers.append((b"nhip-position", ",".join(request.positions).encode()))
    if request.content_read:
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
        return
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": True})
    await request.drain()
    await send({"type": "http.response.body", "body": b""})


async def _send_pieces(request: Request, reply: Reply, pieces: AsyncGenerator[bytes], send: Send) -> None:
    """No faster than they are taken. A failure in between ends the connection, so that nobody takes it for the whole."""
    async with contextlib.aclosing(pieces):
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        if request.method != "HEAD":
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def decoded(segments: list[str]) -> list[str]:
    """Path segments without their percent signs. Raises InvalidArgumentError, reason PATH_MALFORMED."""
    try:
        return [unquote(part, errors="strict") if "%" in part else part for part in segments]
    except UnicodeDecodeError:
        raise InvalidArgumentError("PATH_MALFORMED", "the path is not UTF-8") from None


def form_pairs(text: bytes, place: str) -> list[tuple[str, str]]:
    """Decodes `a=b&c=d`. Raises InvalidArgumentError, reason QUERY_MALFORMED or CHARACTER_REFUSED."""
    if not text:
        return []
    if text.count(b"&") >= MAX_QUERY_FIELDS:
        raise InvalidArgumentError("QUERY_MALFORMED", f"the {place} has more than {MAX_QUERY_FIELDS} parameters")
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise InvalidArgumentError("QUERY_MALFORMED", f"the {place} is not a list of name=value in UTF-8") from None
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            violation = FieldViolation(name.replace("\0", ""), "CHARACTER_REFUSED", "the character U+0000 is not text")
            raise InvalidArgumentError(
                "CHARACTER_REFUSED", f"the {place} holds the character U+0000", fields=[violation]
            )
    return pairs


def media_type(request: Request) -> str:
    """The content type without its parameters, in lower case. Raises Refusal for a charset that is not UTF-8."""
    kind, _, parameters = request.header(b"content-type").lower().partition(";")
    charset = parameters.partition("charset=")[2].split(";")[0].strip().strip('"')
    if charset and charset not in {"utf-8", "utf8", "us-ascii"}:
        raise Refusal("INVALID_ARGUMENT", "CONTENT_TYPE_UNSUPPORTED", "bodies are UTF-8", status=415)
    return kind.strip()


def _no_gzip() -> Refusal:
    return Refusal("INVALID_ARGUMENT", "CONTENT_MALFORMED", "the body is no whole gzip, as Content-Encoding says")


def _too_large(limit: int) -> Refusal:
    return Refusal("RESOURCE_EXHAUSTED", "BODY_TOO_LARGE", f"the body is larger than {limit} bytes", status=413)
