"""Batches that come again: what the index holds just so is answered at once, and nothing else is."""

from datetime import UTC, datetime

import pytest
from nhip.patient_index.v1 import resources_pb2, service_pb2

from tests.services.patient_index.calling import Index, an_index
from tests.services.patient_index.people import HOSPITAL_A, a_message, a_number

CREATED = service_pb2.REGISTRATION_OUTCOME_CREATED
UPDATED = service_pb2.REGISTRATION_OUTCOME_UPDATED
UNCHANGED = service_pb2.REGISTRATION_OUTCOME_UNCHANGED


@pytest.fixture
async def index(database_url):
    async with an_index(database_url) as running:
        yield running


async def batch(index: Index, *messages: resources_pb2.Registration):
    request = service_pb2.BatchRegisterRequest(registrations=messages)
    return (await index.stub.BatchRegister(request, **index.hospital(HOSPITAL_A))).results


def outcomes(results) -> list[int]:
    return [one.outcome for one in results]


def written(day: int, **told) -> resources_pb2.Registration:
    message = a_message(**told)
    message.source_updated_at.FromDatetime(datetime(2026, 1, day, tzinfo=UTC))
    return message


async def test_what_is_known_just_so_is_answered_without_being_looked_into_and_is_on_record(index: Index, monkeypatch):
    people = [a_message(number=a_number(one), local_number=str(one)) for one in range(3)]
    first = await batch(index, *people)

    def refuse(*_):
        raise AssertionError("nothing of what is known is done again")

    monkeypatch.setattr("services.patient_index.api.registering.admit_item", refuse)
    again = await batch(index, *people)
    assert outcomes(again) == [UNCHANGED] * 3
    assert [(one.registration_id, one.person_id) for one in again] == [
        (one.registration_id, one.person_id) for one in first
    ]
    access = (await index.accesses())[-1]
    assert set(access.registration_ids) == {one.registration_id for one in first}
    assert set(access.person_ids) == {one.person_id for one in first}


async def test_a_number_written_otherwise_is_the_same_content(index: Index):
    number = a_number(1)
    await batch(index, a_message(number=number))
    dressed = f"{number[0]}-{number[1:5]}-{number[5:10]}-{number[10:12]}-{number[12]}"
    assert outcomes(await batch(index, a_message(number=dressed))) == [UNCHANGED]


async def test_what_changes_and_changes_back_in_one_batch_is_placed_each_time(index: Index):
    await batch(index, a_message())
    results = await batch(index, a_message(), a_message(phone="0898765432"), a_message())
    assert outcomes(results) == [UNCHANGED, UPDATED, UPDATED]
    assert [one.version for one in await index.announced()] == [1, 3]


async def test_the_same_written_later_is_noted_so_that_what_is_older_does_not_replace_it(index: Index):
    assert outcomes(await batch(index, written(1))) == [CREATED]
    assert outcomes(await batch(index, written(1), a_message(local_number="2"))) == [UNCHANGED, CREATED]
    assert outcomes(await batch(index, written(5))) == [UNCHANGED]
    assert outcomes(await batch(index, written(3, phone="0898765432"))) == [UNCHANGED]
    assert outcomes(await batch(index, written(6, phone="0898765432"))) == [UPDATED]


async def test_twenty_who_all_show_other_numbers_than_before_are_placed_at_once(index: Index):
    people = [(a_number(one), a_number(one + 100), str(one)) for one in range(20)]
    await batch(index, *(a_message(number=before, local_number=place) for before, _, place in people))
    results = await batch(index, *(a_message(number=after, local_number=place) for _, after, place in people))
    assert outcomes(results) == [UPDATED] * 20
    assert {one.citizen_key for one in (await index.announced())[-20:]} == {
        index.key_of(after) for _, after, _ in people
    }
