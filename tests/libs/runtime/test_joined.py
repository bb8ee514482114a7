"""Calls that come in one message are each what they would be alone."""

import asyncio
import time

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from nhip.calls.v1 import service_pb2
from prometheus_client import REGISTRY

from libs.access.caller import TREATMENT
from libs.runtime.joining import JOIN, Answered, Joiner, Outgoing
from libs.runtime.server import new_server
from tests.support.served import NOTES, reason_of, refused, running, token
from tests.support.testing import thing

SERVICE = "/nhip.testing.v1.TestingService"


def outgoing(method, request, metadata=(), timeout=5.0):
    return Outgoing(f"{SERVICE}/{method}", request.SerializeToString(), metadata, timeout)


async def never():
    raise AssertionError("the call was to go with others")


async def together(channel, *calls):
    """The answers, or the errors, of calls that go out as one."""
    joiner = Joiner(channel)
    return await asyncio.gather(*(joiner.call(call, never) for call in calls), return_exceptions=True)


def name_of(answered):
    assert isinstance(answered, Answered), answered
    return type(thing()).FromString(answered.response).name


async def test_every_call_is_answered_with_its_own_answer(postgres):
    async with running(postgres) as service:
        writer, reader = token("things.write"), token("user/Observation.rs")
        written, read, unknown = await together(
            service.channel,
            outgoing("Write", thing(name="a"), writer),
            outgoing("ReadFhir", thing(type="Observation"), reader),
            Outgoing("/nhip.testing.v1.TestingService/Nothing", b"", (), 5.0),
        )
        assert (name_of(written), name_of(read)) == ("a", "fhir")
        assert unknown.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("method", "request_", "metadata"),
    [
        ("Open", {"name": "Not Lower"}, ()),
        ("Open", {"wish": "crash"}, ()),
        ("Read", {}, ()),
        ("Read", {}, token("things.write", TREATMENT)),
        ("Read", {"wish": "refuse"}, token("things.read", TREATMENT)),
        ("Write", {"name": "a", "wish": "fail"}, token("things.write")),
        ("Write", {}, token("things.write", now=time.time() - 60, seconds=30)),
    ],
)
async def test_what_is_refused_alone_is_refused_with_the_same_words_among_others(postgres, method, request_, metadata):
    async with running(postgres) as service:
        code, _, alone = await refused(service.call(method, thing(**request_), metadata=metadata))
        joined, _ = await together(
            service.channel, outgoing(method, thing(**request_), metadata), outgoing("Open", thing(name="other"))
        )
        assert (joined.code(), joined.details()) == (code, alone.details())
        assert rpc_status.from_call(joined) == rpc_status.from_call(alone)


async def test_the_details_of_an_error_arrive(postgres):
    async with running(postgres) as service:
        failed, _ = await together(
            service.channel,
            outgoing("Write", thing(name="a", wish="fail"), token("things.write")),
            outgoing("Open", thing(name="b")),
        )
        assert reason_of(failed) == "NOT_NOW"
        bad = error_details_pb2.BadRequest()
        assert rpc_status.from_call(failed).details[1].Unpack(bad)
        assert bad.field_violations[0].field == "wish"


async def test_each_has_its_own_deadline_and_none_waits_for_the_slowest(postgres):
    async with running(postgres) as service:
        joiner = Joiner(service.channel)
        slow = asyncio.ensure_future(joiner.call(outgoing("Open", thing(wish="wait"), timeout=1.0), never))
        quick = asyncio.ensure_future(joiner.call(outgoing("Open", thing(name="quick")), never))
        await quick
        assert not slow.done()
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await slow
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_each_is_recorded_for_itself_and_counted_by_its_method(postgres):
    async with running(postgres) as service:
        reader = token("things.read", TREATMENT)
        labels = {"grpc_service": "nhip.testing.v1.TestingService", "grpc_method": "Read"}
        before = REGISTRY.get_sample_value("grpc_server_started_total", labels) or 0
        calls = [outgoing("Read", thing(wish=wish), reader) for wish in ("", "refuse", "")]
        await together(service.channel, *calls)
        assert sorted(event.reason for event in await service.accesses()) == ["", "", "CONSENT_REFUSED"]
        assert REGISTRY.get_sample_value("grpc_server_started_total", labels) == before + 3


async def test_one_that_fails_undoes_nothing_of_another(postgres):
    async with running(postgres) as service:
        writer = token("things.write")
        calls = [
            outgoing("Write", thing(name="abcdef"[number], wish="fail" if number % 2 else ""), writer)
            for number in range(6)
        ]
        answers = await together(service.channel, *calls)
        assert [isinstance(one, Answered) for one in answers] == [True, False] * 3
        async with service.database.reading() as reader:
            assert await reader.fetch_value(NOTES) == 3


async def test_a_call_that_is_alone_or_large_goes_by_itself(postgres):
    async with running(postgres) as service:
        joiner = Joiner(service.channel)
        gone = []

        async def alone():
            gone.append(len(gone))
            return Answered(b"", {})

        await joiner.call(outgoing("Open", thing(name="alone")), alone)
        large = outgoing("Open", thing(wish="x" * 100_000))
        await asyncio.gather(joiner.call(large, alone), joiner.call(large, alone))
        assert gone == [0, 1, 2]


async def test_whoever_goes_away_ends_the_call_that_went_alone():
    joiner = Joiner(grpc.aio.insecure_channel("127.0.0.1:1"))
    ended = asyncio.Event()

    async def alone():
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await joiner.call(outgoing("Open", thing()), alone)
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_service_of_the_release_before_gets_the_calls_one_by_one():
    server = new_server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        joiner = Joiner(channel)

        async def alone():
            return Answered(b"alone", {})

        answers = await asyncio.gather(*(joiner.call(outgoing("Open", thing()), alone) for _ in range(3)))
        assert [one.response for one in answers] == [b"alone"] * 3
    await server.stop(0)


async def test_a_way_that_breaks_fails_what_was_not_answered(postgres):
    async with running(postgres) as service:
        joiner = Joiner(service.channel)
        waiting = [
            asyncio.ensure_future(joiner.call(outgoing("Open", thing(wish="wait"), timeout=30), never))
            for _ in range(2)
        ]
        await asyncio.sleep(0.3)
        await service.channel.close()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert {one.code() for one in answers} <= {grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}


async def test_a_message_of_too_many_calls_is_refused(postgres):
    async with running(postgres) as service:
        join = service.channel.unary_stream(
            JOIN,
            request_serializer=service_pb2.JoinRequest.SerializeToString,
            response_deserializer=service_pb2.JoinResponse.FromString,
        )
        calls = [service_pb2.JoinedCall(method=f"{SERVICE}/Open", timeout_milliseconds=1000)] * 257
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in join(service_pb2.JoinRequest(calls=calls), timeout=5):
                pass
        assert reason_of(caught.value) == "FIELD_INVALID"
