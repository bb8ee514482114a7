"""What the index announces to those who begin anew: where every registration stands."""

from collections.abc import AsyncIterator

from google.protobuf.message import Message

from libs.database.transactions import Reader
from services.patient_index import wire
from services.patient_index.store import reading


async def snapshot(reader: Reader) -> AsyncIterator[tuple[str, Message]]:
    """(registration_id, event) of every registration."""
    async for held in reading.scan(reader):
        yield held.registration_id, wire.event_of(held)
