"""A closed-loop load of HTTP/1.1 requests, lean enough to leave the cores to the server."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import httptools


@dataclass
class Load:
    """What came back."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    # The body of the first answer that was not expected.
    first_surprise: bytes = b""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """The latency below which this share of the answers lies, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def request_bytes(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """One request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    if body or method == "POST":
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Connection(asyncio.Protocol):
    """One connection, which carries one request at a time."""

    def __init__(self) -> None:
        self.is_open = False
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's."""
        self.is_open = True
        # uvloop's transports write without being asyncio's own class.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Asyncio's."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """The parser's."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The parser's."""
        self.is_open = self.is_open and self._parser.should_keep_alive()
        answer, body = self._answer, b"".join(self._body)
        self._answer, self._body = None, []
        status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        if answer is not None and not answer.done():
            answer.set_result((status, body))

    def connection_lost(self, exc: Exception | None) -> None:
        """Asyncio's."""
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the server closed the connection"))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Raises OSError when the connection breaks before it is whole."""
        assert self._transport is not None  # noqa: S101 the connection is made before it is asked
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Ends it."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()


async def load(
    url: str, next_request: Callable[[int], bytes], total: int, *, connections: int = 64, expected: int = 200
) -> Load:
    """Sends `total` requests over `connections` connections, each waiting for its answer before it sends the next."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    found = Load()
    numbers = iter(range(total))

    async def drive() -> None:
        _, connection = await loop.create_connection(Connection, parts.hostname or "127.0.0.1", parts.port or 80)
        for number in numbers:
            request = next_request(number)
            began = time.perf_counter()
            status, body = await connection.ask(request)
            found.latencies.append(time.perf_counter() - began)
            found.statuses[status] += 1
            if status != expected and not found.first_surprise:
                found.first_surprise = body[:2000]
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(drive() for _ in range(min(connections, total))))
    found.seconds = time.perf_counter() - began
    return found


async def closed_loop(act: Callable[[int], Any], total: int, concurrency: int) -> Load:
    """The same for anything that can be awaited."""
    found = Load()
    numbers = iter(range(total))

    async def drive() -> None:
        for number in numbers:
            began = time.perf_counter()
            await act(number)
            found.latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(drive() for _ in range(concurrency)))
    found.seconds = time.perf_counter() - began
    return found
