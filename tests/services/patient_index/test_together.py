"""Registrations that come at once share a transaction, and nothing of it shows but the time it takes."""

import asyncio
from contextvars import ContextVar
from dataclasses import replace

import pytest
from nhip.patient_index.v1 import service_pb2
from sqlalchemy import text

from libs.database.engine import Database
from libs.database.statements import Statement
from libs.errors import InvalidArgumentError
from services.patient_index import wire
from services.patient_index.api.together import Together
from services.patient_index.api.transaction import Change, Index
from services.patient_index.rules.blocking import scope_of
from services.patient_index.rules.placing import place
from tests.services.patient_index.calling import an_index
from tests.services.patient_index.people import NOW, a_filing, a_message, a_number, an_incoming, key_of

CAME_AS: ContextVar[str] = ContextVar("came_as")
TRANSACTIONS = Statement(
    "test.transactions", text("SELECT count(DISTINCT transaction) FROM changes WHERE feed = 'patient_index'")
)


@pytest.fixture
async def database(database_url):
    opened = await Database.connect(database_url("patient_index"), name="test", max_size=4)
    yield opened
    await opened.close()


@pytest.fixture
def together(database: Database) -> Together:
    return Together(Index(database, key_of, wire.event_of, dict))


def registering(**told) -> Change[service_pb2.RegisterResponse]:
    filed = a_filing(**told)
    incoming = replace(an_incoming(**told), content=wire.content_of(a_message(filed), filed.identifiers))

    def decide(world):
        placement = place(world, incoming, "client/test", NOW)
        return service_pb2.RegisterResponse(registration=wire.registration_of(placement.held))

    return Change(None, scope_of([incoming]), decide, NOW)


async def transactions(database: Database) -> int:
    async with database.reading() as reader:
        return await reader.fetch_value(TRANSACTIONS)


async def test_those_of_one_moment_are_one_transaction_and_one_person(together: Together, database: Database):
    same = [registering(number=a_number(1), organization=f"9910{one}") for one in range(8)]
    answers = await asyncio.gather(*map(together.change, same))
    assert [one.registration.organization_id for one in answers] == [f"9910{one}" for one in range(8)]
    assert len({one.registration.person_id for one in answers}) == 1
    assert await transactions(database) == 1


async def test_what_is_wrong_with_one_fails_that_one_alone(together: Together, database: Database):
    def refuse(_):
        raise InvalidArgumentError("WRONG", "this one is wrong")

    wrong = replace(registering(local_number="2"), decide=refuse)
    changes = [registering(local_number="1"), wrong, registering(local_number="3")]
    first, second, third = await asyncio.gather(*map(together.change, changes), return_exceptions=True)
    assert isinstance(second, InvalidArgumentError)
    assert [one.registration.local_number for one in (first, third)] == ["1", "3"]
    assert await transactions(database) == 2


class Recorder:
    """A call that notes in whose context its access is recorded."""

    def __init__(self) -> None:
        self.recorded: list[str] = []

    async def opened(self, writer):
        """Nothing was asked before."""

    async def committing(self, writer):
        self.recorded.append(CAME_AS.get())

    def committed(self, positions):
        assert positions["patient_index"]

    async def remember(self, writer, response):
        """Nothing is remembered."""


async def test_what_is_recorded_of_each_carries_the_context_that_it_came_in(together: Together):
    async def come(name: str, call: Recorder) -> None:
        CAME_AS.set(name)
        await together.change(replace(registering(local_number=name), call=call))

    first, second = Recorder(), Recorder()
    await asyncio.gather(come("first", first), come("second", second))
    assert (first.recorded, second.recorded) == (["first"], ["second"])


async def test_who_went_away_before_it_began_registers_nobody(together: Together, database: Database):
    gone = asyncio.ensure_future(together.change(registering(local_number="1")))
    stays = asyncio.ensure_future(together.change(registering(local_number="2")))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await stays).registration.local_number == "2"
    async with database.reading() as reader:
        count = Statement("test.count", text("SELECT count(*) FROM registrations"))
        assert await reader.fetch_value(count) == 1


async def test_each_is_recorded_and_remembered_by_itself_whatever_it_came_with(database_url):
    async with an_index(database_url) as index:
        calls = [index.register(number=a_number(one), local_number=str(one), request_id=f"r{one}") for one in range(5)]
        answers = await asyncio.gather(*calls)
        again = [index.register(number=a_number(one), local_number=str(one), request_id=f"r{one}") for one in range(5)]
        fresh = index.register(number=a_number(9), local_number="9", request_id="r9")
        *repeated, new = await asyncio.gather(*again, fresh)
        assert repeated == answers
        assert new.registration.local_number == "9"
        told = [one for one in await index.accesses() if one.method == "Register"]
        written = [one.registration_ids[0] for one in told if one.registration_ids]
        expected = {one.registration.registration_id for one in (*answers, new)}
        assert set(written) == expected
        assert len(await index.announced()) == 6
