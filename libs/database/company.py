"""Calls that share a transaction: each repeats, records and learns what it would have alone."""

import asyncio
from collections.abc import Iterable
from contextvars import Context, copy_context

from google.protobuf.message import Message

from libs.database.transactions import Committing, Writer


class Accompanied:
    """A call with the context in which it came, so that what is recorded of it carries the trace of its own caller."""

    def __init__(self, call: Committing) -> None:
        self._call = call
        self._context: Context = copy_context()

    async def opened(self, writer: Writer) -> None:
        """Answers a repeated request."""
        await self._call.opened(writer)

    async def committing(self, writer: Writer) -> None:
        """Records the access, in the call's own context."""
        await asyncio.create_task(self._call.committing(writer), context=self._context)

    def committed(self, positions: dict[str, tuple[int, int]]) -> None:
        """Learns where the feeds stand."""
        self._call.committed(positions)

    async def remember(self, writer: Writer, response: Message) -> None:
        """Stores the call's own answer."""
        await self._call.remember(writer, response)


class Company:
    """What several calls do around the transaction that they share. Its calls' answers are remembered one by one."""

    def __init__(self, calls: Iterable[Committing]) -> None:
        self._calls = list(calls)

    def leave(self, call: Committing) -> None:
        """The call has no part in what is committed."""
        self._calls.remove(call)

    async def opened(self, writer: Writer) -> None:
        """Each in turn; one that was carried out before ends the transaction for all."""
        for call in self._calls:
            await call.opened(writer)

    async def committing(self, writer: Writer) -> None:
        """Each announces its own access."""
        for call in self._calls:
            await call.committing(writer)

    def committed(self, positions: dict[str, tuple[int, int]]) -> None:
        """Each learns where the feeds stand."""
        for call in self._calls:
            call.committed(positions)

    async def remember(self, writer: Writer, response: Message) -> None:
        """The one answer of all."""
        for call in self._calls:
            await call.remember(writer, response)
