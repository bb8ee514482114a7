"""Carries notifications of subscriptions to their endpoints.

What is to be delivered, and what becomes of what is not, records decides: here nothing is kept, so that a process that dies
loses nothing. Each subscription is delivered by a task of its own, so that a receiver that is slow or dead keeps nobody
else waiting.
"""

import asyncio
import logging

import grpc
import httpx
from nhip.records.v1 import subscriptions_pb2
from prometheus_client import Counter

from libs.outbound import Outbound, OutboundError
from services.exchange.rules import backoff
from services.exchange.subscriptions import Subscriptions

log = logging.getLogger(__name__)

DELIVERED = Counter(
    "nhip_subscription_deliveries_total",
    "Attempts to deliver a notification to the endpoint of a subscription.",
    ["outcome"],
)
# So many receivers at once. One is held by the slowest for its own timeout, a minute at most.
RECEIVERS_AT_ONCE = 256
LOOK_SECONDS = 0.5
_OK = range(200, 300)
# What a receiver says by these does not pass by itself.
_FINAL = frozenset({400, 401, 403, 404, 405, 406, 410, 411, 413, 415, 422, 501})


class Deliverer:
    """The deliveries of one process."""

    def __init__(self, subscriptions: Subscriptions, outbound: Outbound) -> None:
        """`outbound` says where deliveries may go."""
        self._subscriptions = subscriptions
        self._outbound = outbound
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Works until cancelled."""
        failures = 0
        try:
            while True:
                try:
                    await self._begin()
                    failures = 0
                except grpc.aio.AioRpcError as error:
                    failures += 1
                    if failures & (failures - 1) == 0:
                        log.warning("records tells of no subscriptions (%s), %d times", error.code().name, failures)
                await asyncio.sleep(backoff(failures) if failures else LOOK_SECONDS)
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _begin(self) -> None:
        free = RECEIVERS_AT_ONCE - len(self._running)
        if free <= 0:
            return
        for subscription_id in await self._subscriptions.due(free):
            if subscription_id not in self._running:
                task = asyncio.create_task(self._deliver_all(subscription_id))
                self._running[subscription_id] = task

    async def _deliver_all(self, subscription_id: str) -> None:
        """One notification after the other, until there is none or one fails."""
        try:
            while (taken := await self._subscriptions.take(subscription_id)) is not None:
                settlement = await self.delivered(taken)
                await self._subscriptions.settle(settlement)
                if settlement.error:
                    return
        except grpc.aio.AioRpcError as error:
            # What was delivered and could not be settled is delivered again.
            log.warning("subscription %s is delivered to later: %s", subscription_id, error.code().name)
        finally:
            self._running.pop(subscription_id, None)

    async def delivered(self, taken: subscriptions_pb2.Notification) -> subscriptions_pb2.SettleNotificationRequest:
        """Delivers once; how it went, without a word of the receiver's own or of an address."""
        error, is_final = await self._attempted(taken)
        DELIVERED.labels("failed" if error else "delivered").inc()
        return subscriptions_pb2.SettleNotificationRequest(
            subscription_id=taken.subscription_id, lease=taken.lease, error=error, is_final=is_final
        )

    async def _attempted(self, taken: subscriptions_pb2.Notification) -> tuple[str, bool]:
        headers = [("content-type", taken.content_type)]
        for one in taken.headers:
            name, _, value = one.partition(":")
            headers.append((name, value.strip()))
        try:
            status = await self._outbound.post(taken.endpoint, headers, taken.bundle, float(taken.timeout_seconds))
        except OutboundError as error:
            return error.message, error.reason != "UNREACHABLE"
        except (httpx.InvalidURL, ValueError):
            # Such as a host that no name server could be asked for.
            return "the endpoint is no address that can be asked", True
        except TimeoutError:
            return f"the endpoint did not answer within {taken.timeout_seconds} s", False
        except httpx.HTTPError as error:
            return f"the endpoint could not be reached: {type(error).__name__}", False
        if status in _OK:
            return "", False
        return f"the endpoint answered {status}", status in _FINAL
