"""How far a projection has come, and who waits for it to come further."""

import asyncio
from heapq import heappop, heappush
from itertools import count

from libs.feed.log import Cursor


class Progress:
    """Of one group of a feed, as far as this process knows."""

    def __init__(self) -> None:
        self.cursor = Cursor()
        # Whether this process applies the feed; else another replica does, and its cursor stands in the database.
        self.is_ours = False
        self._numbers = count()
        self._waiting: list[tuple[Cursor, int, asyncio.Future[None]]] = []

    @property
    def is_awaited(self) -> bool:
        """True while anybody waits."""
        while self._waiting and self._waiting[0][2].done():
            heappop(self._waiting)
        return bool(self._waiting)

    def advance(self, cursor: Cursor) -> None:
        """The projection now stands here; wakes those who waited for no more than this."""
        self.cursor = max(self.cursor, cursor)
        while self._waiting and self._waiting[0][0] <= self.cursor:
            arrived = heappop(self._waiting)[2]
            if not arrived.done():
                arrived.set_result(None)

    def reached(self, cursor: Cursor) -> asyncio.Future[None]:
        """Done when it is known to stand at or after the cursor."""
        arrived = asyncio.get_running_loop().create_future()
        if self.cursor >= cursor:
            arrived.set_result(None)
        else:
            heappush(self._waiting, (cursor, next(self._numbers), arrived))
        return arrived
