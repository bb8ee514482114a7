"""What records tells followers that begin anew."""

from collections.abc import AsyncIterator

import orjson
from google.protobuf.message import Message

from libs.database.transactions import Reader
from services.records import wire
from services.records.store import histories


async def records_snapshot(reader: Reader) -> AsyncIterator[tuple[str, Message]]:
    """An event for each resource as it is now; a deletion is a state too."""
    async for stored in histories.state(reader):
        body = orjson.loads(stored.body) if stored.body else None
        yield stored.key, wire.event_of_stored(stored, body)
