"""A channel that goes on over a change of certificates: new calls take a new connection, those in flight finish on the old.

gRPC's credentials of a channel are fixed when it is opened. So each change opens another channel behind this one.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc

# A call that began before the change goes on: as long as a server lets one.
GRACE_SECONDS = 620.0


class RenewingChannel(grpc.aio.Channel):
    """A channel whose `renew` puts a new one behind it. Stubs that were made before use the new one."""

    def __init__(self, open_one: Callable[[], grpc.aio.Channel]) -> None:
        """`open_one` opens a channel with the certificates of now."""
        self._open_one = open_one
        self._current = open_one()
        self._leaving: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def current(self) -> grpc.aio.Channel:
        """The channel that new calls take."""
        return self._current

    def renew(self) -> None:
        """Opens another channel for new calls; the one before closes when its calls have ended."""
        if self._is_closed:
            return
        before, self._current = self._current, self._open_one()
        leaving = asyncio.get_running_loop().create_task(before.close(GRACE_SECONDS))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def close(self, grace: float | None = None) -> None:
        """Closes what is open; calls in flight are given `grace` seconds."""
        self._is_closed = True
        if self._leaving and grace:
            await asyncio.wait(self._leaving, timeout=grace)
        for leaving in self._leaving:
            leaving.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        await self._current.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 gRPC's interface
        """The state of the current channel."""
        return self._current.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Waits on the channel that is current now."""
        await self._current.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Waits on the channel that is current now."""
        await self._current.channel_ready()

    def unary_unary(self, method: str, *arguments: Any, **named: Any) -> Any:
        """See grpc.aio.Channel."""
        return _Renewed(self, "unary_unary", method, arguments, named)

    def unary_stream(self, method: str, *arguments: Any, **named: Any) -> Any:
        """See grpc.aio.Channel."""
        return _Renewed(self, "unary_stream", method, arguments, named)

    def stream_unary(self, method: str, *arguments: Any, **named: Any) -> Any:
        """See grpc.aio.Channel."""
        return _Renewed(self, "stream_unary", method, arguments, named)

    def stream_stream(self, method: str, *arguments: Any, **named: Any) -> Any:
        """See grpc.aio.Channel."""
        return _Renewed(self, "stream_stream", method, arguments, named)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Renewed:
    """One RPC, on whichever channel is current."""

    def __init__(
        self, channel: RenewingChannel, kind: str, method: str, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        self._channel = channel
        self._make: Callable[[grpc.aio.Channel], Any] = lambda on: getattr(on, kind)(method, *arguments, **named)
        self._on = channel.current
        self._call = self._make(self._on)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if self._on is not self._channel.current:
            self._on = self._channel.current
            self._call = self._make(self._on)
        return self._call(*arguments, **named)
