"""What is measured comes from the series that the rules record, and what is not known is not made up."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from services.edge.status import measured
from services.edge.status.measured import NO_ANSWER, QUERY, WINDOWS, Measured, Prometheus, Promise, promises_of
from tools.observability.rules import recording
from tools.observability.rules.pace import DAY, HOUR


def a_series(name: str, value: str, **labels: str) -> dict:
    told = {"slo": "availability", "slo_class": "fast", **labels}
    return {"metric": {"__name__": name, **told}, "value": [1764300000.0, value]}


ALLOWED = a_series("nhip:slo_allowed:ratio", "0.001")


def of_records(name: str, value: str, **labels: str) -> dict:
    return a_series(name, value, job="records", namespace="health", **labels)


def test_the_series_are_those_that_the_rules_record():
    recorded = {recording.ratio(seconds) for seconds in (HOUR, DAY, recording.BUDGET_WINDOW)}
    assert set(measured._BAD) == recorded
    assert [*measured._BAD.values()] == [*WINDOWS]
    assert {measured._ALLOWED, measured._LEFT} == {recording.ALLOWED, recording.LEFT}
    assert all(name in QUERY for name in recorded)


def test_a_promise_is_put_together_from_what_is_told_of_it():
    found = promises_of(
        [
            ALLOWED,
            of_records("nhip:slo_bad:ratio1h", "0"),
            of_records("nhip:slo_bad:ratio30d", "0.0005"),
            of_records("nhip:slo_budget_left:ratio30d", "0.5"),
        ]
    )
    assert found == (Promise("records", "availability", "fast", 0.001, {"1h": 0.0, "30d": 0.0005}, 0.5),)


def test_the_ratio_of_nothing_is_no_measurement():
    assert promises_of([ALLOWED, of_records("nhip:slo_bad:ratio1h", "NaN")]) == ()


def test_of_two_that_tell_the_same_the_worse_counts():
    (found,) = promises_of(
        [
            ALLOWED,
            *(of_records("nhip:slo_bad:ratio1d", bad, replica=bad) for bad in ("0.1", "0.2")),
            *(of_records("nhip:slo_budget_left:ratio30d", left, replica=left) for left in ("-1", "0.9")),
        ]
    )
    assert (found.bad, found.left) == ({"1d": 0.2}, -1.0)


def test_another_platform_that_the_same_prometheus_watches_is_left_out():
    other = a_series("nhip:slo_bad:ratio1h", "1", job="records", namespace="elsewhere")
    found = promises_of([ALLOWED, other, of_records("nhip:slo_bad:ratio1h", "0.5")], "health")
    assert [promise.bad for promise in found] == [{"1h": 0.5}]


@pytest.mark.parametrize("url", ["prometheus:9090", "ftp://prometheus", "http://", ""])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ValueError, match="is no http"):
        Prometheus(url)


@asynccontextmanager
async def serving(answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]):
    """Somebody at an address, who answers each connection so."""
    talks: list[asyncio.Task] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        await answer(reader, writer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await asyncio.gather(*talks)


@asynccontextmanager
async def answering(status: int, body: bytes):
    """An HTTP server that answers so; the requests that came stand in the list."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().partition(" HTTP")[0])
        head = f"HTTP/1.1 {status} Said\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    async with serving(answer) as url:
        yield url, asked


def a_vector(*series: dict) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": [*series]}}).encode()


def patient(url: str) -> Prometheus:
    """Waits for as long as a machine may take that has other things to do."""
    return Prometheus(url, patience_seconds=60)


async def measured_by(url: str) -> Measured:
    prometheus = patient(url)
    try:
        return await prometheus.measured()
    finally:
        await prometheus.close()


async def test_nobody_waits_for_one_that_does_not_answer():
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(never) as url:
        prometheus = Prometheus(url, patience_seconds=0.1)
        assert await prometheus.measured() == NO_ANSWER
        await prometheus.close()


async def test_many_who_look_at_once_ask_once():
    async with answering(200, a_vector(ALLOWED, of_records("nhip:slo_bad:ratio1h", "0"))) as (url, asked):
        prometheus = patient(url)
        found = await asyncio.gather(*(prometheus.measured() for _ in range(20)))
        assert len(asked) == 1
        assert asked[0].startswith("GET /api/v1/query?query=")
        assert {one.silence for one in found} == {""}
        assert found[0].promises[0].service == "records"
        await prometheus.close()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b"overloaded"),
        (302, b""),
        (200, b"<html>"),
        (200, b'{"status": "success"}'),
        (200, a_vector({"metric": {"__name__": "nhip:slo_bad:ratio1h"}, "value": [0, "0"]})),
        (200, a_vector(of_records("nhip:slo_bad:ratio1h", "many"))),
    ],
)
async def test_what_is_no_answer_is_told_as_none(status, body):
    async with answering(status, body) as (url, _):
        assert await measured_by(url) == NO_ANSWER


async def test_nobody_there_is_told_as_no_answer():
    assert await measured_by("http://127.0.0.1:9") == NO_ANSWER


async def test_a_prometheus_that_has_nothing_to_tell_has_answered():
    async with answering(200, a_vector()) as (url, _):
        assert await measured_by(url) == Measured()
