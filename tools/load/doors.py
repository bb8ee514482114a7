"""The edges of a platform as a load balancer sees them: asked by /readyz, in turn, over connections that are kept."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tools.measure.http import Connection, request_bytes

LOOK_SECONDS = 0.1
# Longer than any deadline of the edge's own but that of streams, so that its answer is what counts.
PATIENCE_SECONDS = 75.0
_OK = 200


class DoorError(Exception):
    """No answer came: the connection was refused or broke, or nothing was said in time."""


@dataclass
class Door:
    """One edge."""

    url: str
    is_ready: bool = True
    idle: list[Connection] = field(default_factory=list)

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Raises DoorError."""
        connection = None
        while self.idle and connection is None:
            kept = self.idle.pop()
            connection = kept if kept.is_open else None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = await (connection := connection or await self._connect()).ask(request)
        except (OSError, TimeoutError) as error:
            if connection is not None:
                connection.close()
            raise DoorError(f"{type(error).__name__}: {error}") from error
        if connection.is_open:
            self.idle.append(connection)
        return answer

    async def _connect(self) -> Connection:
        parts = urlsplit(self.url)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, parts.hostname or "127.0.0.1", parts.port or 80)
        return connection

    def close(self) -> None:
        """Closes what is kept."""
        for connection in self.idle:
            connection.close()
        self.idle.clear()


class Doors:
    """All edges of one platform."""

    def __init__(self, urls: Sequence[str]) -> None:
        """`urls` by http, such as http://127.0.0.1:8080."""
        self._doors = [Door(url) for url in urls]
        self._turn = 0
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Looks from now on which are ready."""
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes every connection."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        for door in self._doors:
            door.close()

    async def ask(self, verb: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> tuple[int, bytes]:
        """Asks the next edge that is ready, once, or the next of all where none is. Raises DoorError."""
        ready = [door for door in self._doors if door.is_ready] or self._doors
        self._turn += 1
        return await ready[self._turn % len(ready)].ask(request_bytes(verb, path, headers, body))

    async def _watch(self) -> None:
        while True:
            await asyncio.gather(*map(self._look, self._doors))
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, door: Door) -> None:
        # Over a connection of its own: one that is kept may be to a process that has gone.
        looking = Door(door.url)
        with contextlib.suppress(DoorError):
            status, _ = await looking.ask(request_bytes("GET", "/readyz", {"connection": "close"}))
            door.is_ready = status == _OK
            looking.close()
            return
        door.is_ready = False
