"""Work that comes piece by piece and is cheaper done together: rows for one statement, calls for one message.

A piece that comes alone is done at once. Only while earlier work is under way do pieces wait for each other: until some of
it ends, and no longer than a moment. What is slow by itself so holds nobody up, and what is fast gathers under load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Piece = TypeVar("Piece")
Release = Callable[[], None]


class Gathering(Generic[Piece]):
    """Hands pieces on in the order in which they came, as many at a time as have gathered."""

    def __init__(
        self,
        work: Callable[[list[Piece], Release], Awaitable[None]],
        *,
        lanes: int = 2,
        patience: float = 0.02,
        most: int = 128,
    ) -> None:
        """`work` does pieces and raises nothing; it may call its second argument when the next may begin, before it ends.

        So many `lanes` are under way before pieces wait, for `patience` seconds at most; `most` pieces go together.
        """
        self._work = work
        self._lanes = lanes
        self._patience = patience
        self._most = most
        self._waiting: list[Piece] = []
        self._busy = 0
        self._is_called = False
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, piece: Piece) -> None:
        """Adds a piece; it is done with all that come before the event loop's next round."""
        self._waiting.append(piece)
        self._call()

    @property
    def is_busy(self) -> bool:
        """True while any work is under way."""
        return bool(self._tasks)

    def _call(self) -> None:
        if not self._is_called and self._waiting and self._busy < self._lanes:
            self._is_called = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._is_called = False
        pieces, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        if not pieces:
            return
        self._busy += 1
        lane = _Lane(self._free)
        timer = asyncio.get_running_loop().call_later(self._patience, lane.release)
        task = asyncio.create_task(self._do(pieces, lane, timer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._call()

    async def _do(self, pieces: list[Piece], lane: _Lane, timer: asyncio.TimerHandle) -> None:
        try:
            await self._work(pieces, lane.release)
        finally:
            timer.cancel()
            lane.release()

    def _free(self) -> None:
        self._busy -= 1
        self._call()


class _Lane:
    """Set free once, by whichever comes first: the work's end, the work itself, the end of patience."""

    __slots__ = ("_free",)

    def __init__(self, free: Release) -> None:
        self._free: Release | None = free

    def release(self) -> None:
        free, self._free = self._free, None
        if free is not None:
            free()
