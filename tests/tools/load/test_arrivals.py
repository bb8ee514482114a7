"""Visits come at their time: a platform that stands still is not spared, and what waits for it is seen in the figures."""

import asyncio
import time
from random import Random

import orjson
import pytest

from libs.thai import citizen_id
from tools.load.arrivals import Load, times
from tools.load.doors import DoorError, Doors
from tools.load.profiles import ANYWHERE, CLINIC_MORNING, OUTBREAK, PROFILES, visits
from tools.load.visits import CLINIC, ELSEWHERE, FEVER, Asked, Citizen, visit

STALL_SECONDS = 0.6


def draws(seed: int) -> Random:
    return Random(seed)  # noqa: S311 what is drawn is drawn again


class Caller:
    facilities = ("99001",)

    async def headers(self, asked):
        return {}


class Door:
    """Answers each request with an id, and stands still while the first ten wait."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def ask(self, verb, path, headers, body=b""):
        self.asked.append(path)
        if len(self.asked) <= 10:
            await asyncio.sleep(STALL_SECONDS)
        return 201, orjson.dumps({"id": str(len(self.asked)), "claim": {"claimId": "c"}})


def one_request():
    while True:
        yield (asked for asked in [Asked("read", "GET", "/thing")])


def test_arrivals_are_as_many_as_was_asked_for_and_the_same_from_the_same_seed():
    found = list(times(50, 100, draws(1)))
    assert found == list(times(50, 100, draws(1)))
    assert found == sorted(found)
    # Three standard deviations of a Poisson count of 5,000.
    assert abs(len(found) - 5000) < 3 * 5000**0.5


async def test_a_request_that_fell_due_while_the_platform_stood_still_is_sent_all_the_same_and_counts_its_wait():
    door = Door()
    load = Load(door, Caller())
    tally = await load.run(one_request(), 100, 0.3, draws(3))
    assert tally.visits == len(door.asked) > 10
    assert sorted(tally.latencies["read"])[-10] >= STALL_SECONDS


async def test_latency_counts_from_when_a_request_was_due_not_from_when_it_could_be_sent():
    load = Load(Door(), Caller())
    await load.walk(next(one_request()), time.monotonic() - 5)
    assert load.tally.latencies["read"][0] >= 5


async def test_a_visit_whose_request_fails_ends_there():
    class Refusing(Door):
        async def ask(self, verb, path, headers, body=b""):
            if path.endswith("/Encounter"):
                raise DoorError("refused")
            return await super().ask(verb, path, headers, body)

    load = Load(Refusing(), Caller())
    assert not await load.walk(visit(CLINIC, Citizen(1), "99001", "V1"), time.monotonic())
    assert (load.tally.visits, load.tally.unfinished, load.tally.failed) == (1, 1, 1)
    assert load.tally.failures["create_encounter"] == {"DoorError": 1}


def asked_in(course) -> list[str]:
    """The kinds of all requests of a visit."""
    coming, kinds, said = visit(course, Citizen(7), "99001", "V1"), [], None
    while True:
        try:
            asked = coming.send(said)
        except StopIteration:
            return kinds
        kinds.append(asked.kind)
        said = {"id": "1", "persons": [{"personId": "p"}], "claim": {"claimId": "c"}}


def test_a_visit_elsewhere_looks_for_the_person_first_and_fever_is_watched():
    assert asked_in(CLINIC)[0] == "create_patient"
    assert asked_in(CLINIC)[-1] == "create_claim"
    assert asked_in(ELSEWHERE)[:3] == ["find_person", "read_summary", "create_patient"]
    assert asked_in(FEVER)[-1] == "read_series"


@pytest.mark.parametrize("number", [0, 1, 99_999_999_999])
def test_everybody_is_nobody(number):
    assert citizen_id.is_valid(Citizen(number).citizen_id)
    assert citizen_id.is_synthetic(Citizen(number).citizen_id)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_the_shares_of_a_profile_are_whole(profile):
    assert sum(profile.shares.values()) == pytest.approx(1.0)
    coming = visits(profile, ["99001"], 10, "run", draws(1))
    assert next(next(coming)).kind in {"create_patient", "find_person"}


def test_profiles_differ_in_what_comes():
    assert {CLINIC_MORNING.name, ANYWHERE.name, OUTBREAK.name} == {profile.name for profile in PROFILES}
    assert ELSEWHERE in ANYWHERE.shares
    assert FEVER in OUTBREAK.shares


async def test_an_edge_that_is_not_there_is_an_error_and_another_is_asked_instead():
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    there = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        async with Doors(["http://127.0.0.1:9", there]) as doors:
            while doors._doors[0].is_ready:
                await asyncio.sleep(0.01)
            assert [await doors.ask("GET", "/", {}) for _ in range(3)] == [(200, b"ok")] * 3
        with pytest.raises(DoorError):
            await Doors(["http://127.0.0.1:9"]).ask("GET", "/", {})
    finally:
        server.close()
        await server.wait_closed()
