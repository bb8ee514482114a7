"""Records every access to a person's data, refused ones too, before the answer leaves."""

import asyncio
import contextlib

from google.protobuf.message import Message
from nhip.audit.v1 import events_pb2

from libs.database.engine import Database
from libs.errors import NhipError, PermissionDeniedError, UnauthenticatedError
from libs.runtime.call import ACCESS_FEED, OUTCOME, Call
from libs.runtime.interceptors import Handler
from libs.runtime.policy import Method

# So many events share one INSERT and one commit at most.
MAX_BATCH = 500


class AccessLog:
    """Appends access events to the feed; those that wait at the same time share one commit."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[tuple[events_pb2.AccessEvent, ...], asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins to append."""
        self._task = asyncio.create_task(self._write())

    async def stop(self) -> None:
        """Appends what waits, and stops."""
        await asyncio.gather(*(done for _, done in self._waiting), return_exceptions=True)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def append(self, *events: events_pb2.AccessEvent) -> None:
        """Returns when the events are committed; raises what the database raised."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((events, done))
        self._wake.set()
        await done

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            if not self._waiting:
                self._wake.clear()
            if not batch:
                continue
            error = await self._append_all([event for events, _ in batch for event in events])
            for _, done in batch:
                if done.done():
                    continue
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)

    async def _append_all(self, events: list[events_pb2.AccessEvent]) -> Exception | None:
        try:
            async with self._database.writing() as writer:
                for event in events:
                    writer.announce(ACCESS_FEED, event.event_id, event, is_new=True)
        except Exception as error:  # noqa: BLE001 every waiting call learns of it and fails
            return error
        return None


class Audit:
    """A read is answered only when its record is durable; a write's record commits with the write itself."""

    def __init__(self, access_log: AccessLog) -> None:
        self._access_log = access_log

    def wrap(self, method: Method, handler: Handler) -> Handler:
        """See the module."""
        if not method.is_audited:
            return handler

        async def recorded(call: Call) -> Message | None:
            try:
                response = await handler(call)
            except UnauthenticatedError:
                # Nobody is known to have asked; metrics count it.
                raise
            except NhipError as error:
                refused = error.is_refusal or isinstance(error, PermissionDeniedError)
                outcome = OUTCOME.ACCESS_OUTCOME_REFUSED if refused else OUTCOME.ACCESS_OUTCOME_FAILED
                await self._access_log.append(*call.access_events(outcome, error.reason))
                raise
            if not call.is_recorded:
                await self._access_log.append(*call.access_events(OUTCOME.ACCESS_OUTCOME_GRANTED))
            return response

        return recorded
