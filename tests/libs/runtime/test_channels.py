"""Channels send nothing new to a replica that drains, and find the new ones of a rolling upgrade at once."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.access.caller import CallerKind
from libs.access.tokens import TokenVerifier
from libs.errors import UnauthenticatedError
from libs.runtime.channels import ServiceCredentials, open_channel, target_of
from libs.runtime.health import NOT_SERVING, SERVING, Health

ASK = "/nhip.testing.v1.Echo/Ask"


class Replica:
    """A server with the platform's health, which says who it is."""

    def __init__(self, name: str) -> None:
        self.name, self.health, self.port = name, Health(), 0
        self.server = grpc.aio.server()

        async def answer(request, context):
            return self.name.encode()

        handler = grpc.unary_unary_rpc_method_handler(answer)
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("nhip.testing.v1.Echo", {"Ask": handler}),)
        )
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)

    async def start(self, port: int = 0) -> None:
        self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        await self.server.start()

    async def stop(self) -> None:
        self.health.end_watches()
        await self.server.stop(30)


@asynccontextmanager
async def replicas(*names: str):
    found = [Replica(name) for name in names]
    for one in found:
        await one.start()
        await one.health.set("", SERVING)
    try:
        yield found
    finally:
        await asyncio.gather(*(one.stop() for one in found))


async def ask(channel) -> str:
    return (await channel.unary_unary(ASK)(b"", timeout=20, wait_for_ready=True)).decode()


async def until_only(channel, name: str) -> None:
    """Returns when ten calls in a row were answered by this replica."""
    in_a_row = 0
    while in_a_row < 10:
        in_a_row = in_a_row + 1 if await ask(channel) == name else 0


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("dns:///nhip-records:50051", "dns:///nhip-records:50051"),
        ("10.0.0.1:5000|10.0.0.2:5000", "ipv4:10.0.0.1:5000,10.0.0.2:5000"),
    ],
)
def test_addresses_of_replicas_stand_between_bars(address, target):
    assert target_of(address) == target


async def test_calls_are_spread_over_the_replicas_that_an_address_names():
    async with replicas("one", "two") as both:
        channel = open_channel("|".join(f"127.0.0.1:{one.port}" for one in both))
        try:
            while {await ask(channel) for _ in range(2)} != {"one", "two"}:
                pass
            answers = Counter([await ask(channel) for _ in range(10)])
        finally:
            await channel.close()
    assert answers == {"one": 5, "two": 5}


async def test_a_replica_that_drains_is_sent_nothing_new_while_it_still_answers():
    async with replicas("one", "two") as both:
        channel = open_channel("|".join(f"127.0.0.1:{one.port}" for one in both))
        direct = grpc.aio.insecure_channel(f"127.0.0.1:{both[0].port}")
        try:
            await both[0].health.enter_graceful_shutdown()
            await until_only(channel, "two")
            # Whoever still has a call for it is answered.
            assert await ask(direct) == "one"
        finally:
            await channel.close()
            await direct.close()


async def test_a_call_waits_for_a_replica_that_has_started_and_does_not_serve_yet():
    replica = Replica("late")
    await replica.start()
    channel = open_channel(f"127.0.0.1:{replica.port}")
    try:
        asked = asyncio.create_task(ask(channel))
        done, _ = await asyncio.wait({asked}, timeout=0.5)
        assert not done
        await replica.health.set("", SERVING)
        assert await asked == "late"
    finally:
        await channel.close()
        await replica.stop()


async def test_watches_do_not_hold_up_the_end_of_a_server():
    replica = Replica("one")
    await replica.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{replica.port}") as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == NOT_SERVING
        await replica.health.set("", SERVING)
        assert (await watch.read()).status == SERVING
        # `stop` lets calls in flight go on for 30 s.
        await asyncio.wait_for(replica.stop(), 10)
        assert await watch.read() is grpc.aio.EOF


@pytest.mark.parametrize("hours", [1, -1])
def test_a_service_whose_clock_was_wrong_shows_a_sound_token_as_soon_as_it_is_right(hours):
    platform_key, wrong = b"k" * 32, timedelta(hours=hours)
    credentials = ServiceCredentials(platform_key, "audit", lambda: datetime.now(UTC) + wrong)
    verifier = TokenVerifier(dict, platform_key)

    def shown() -> str:
        return dict(credentials())["authorization"].removeprefix("Bearer ")

    with pytest.raises(UnauthenticatedError):
        verifier.verify(shown())
    wrong = timedelta(0)
    token = shown()
    assert verifier.verify(token).kind is CallerKind.SERVICE
    # It is the same until it is half as old as it may become.
    wrong = timedelta(seconds=140)
    assert shown() == token
    wrong = timedelta(seconds=160)
    assert shown() != token
