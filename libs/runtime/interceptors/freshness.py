"""Lets a caller ask for projections at least as fresh as a position, and tells the position of what it wrote.

A position is `service/feed@transaction.position`; several stand with commas between. The header is `nhip-position`.
"""

from collections.abc import Sequence

from google.protobuf.message import Message

from libs.errors import UnavailableError
from libs.feed.follower import Follower
from libs.feed.log import Cursor
from libs.runtime.call import ACCESS_FEED, Call
from libs.runtime.interceptors import Handler
from libs.runtime.policy import Method

HEADER = "nhip-position"
# Longer than a follower lags in health; a caller who needs longer tries again.
WAIT_SECONDS = 5.0
MAX_POSITIONS = 16


class Freshness:
    """Positions of feeds that this service does not follow are passed over: nothing here rests on them."""

    def __init__(self, service: str, followers: Sequence[Follower]) -> None:
        self._service = service
        self._followers = {follower.name: follower for follower in followers}

    def wrap(self, method: Method, handler: Handler) -> Handler:
        """See the module."""
        del method

        async def fresh(call: Call) -> Message | None:
            wanted = call.metadata.get(HEADER, "")
            if wanted and self._followers:
                await self._wait(wanted)
            response = await handler(call)
            positions = positions_text(self._service, call.positions)
            if positions:
                call.context.set_trailing_metadata(((HEADER, positions),))
            return response

        return fresh

    async def _wait(self, wanted: str) -> None:
        for part in wanted.split(",")[:MAX_POSITIONS]:
            name, _, place = part.strip().partition("@")
            follower = self._followers.get(name)
            try:
                cursor = Cursor.parse(place)
            except ValueError:
                continue
            if follower is None:
                continue
            if not await follower.reached(cursor, WAIT_SECONDS):
                raise UnavailableError(
                    "PROJECTION_BEHIND",
                    f"{self._service} has not yet applied what {name} announced; try again",
                    retry_after_seconds=1,
                )


def positions_text(service: str, positions: dict[str, tuple[int, int]]) -> str:
    """Positions as the header carries them; the access feed is nobody's projection."""
    return ",".join(
        f"{service}/{feed}@{Cursor(*place)}" for feed, place in sorted(positions.items()) if feed != ACCESS_FEED
    )
