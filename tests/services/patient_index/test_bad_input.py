"""What hospitals really send: dummy numbers, placeholders, storms of one name, streams that break. Each ends clearly."""

import asyncio

import grpc
import pytest
from nhip.patient_index.v1 import resources_pb2, service_pb2

from libs.thai import citizen_id
from libs.thai.identifiers import WORK_PERMIT, Local, local
from services.patient_index.model import Identifier
from services.patient_index.rules.blocking import MAX_BLOCK, MAX_CANDIDATES, scope_of
from services.patient_index.rules.identifying import IdentifierClass, class_of, what_is_wrong
from services.patient_index.rules.placing import further_keys
from services.patient_index.store.loading import load, load_blocks
from tests.services.patient_index.calling import Index, an_index, refusal
from tests.services.patient_index.people import (
    CLINIC,
    HOSPITAL_A,
    HOSPITAL_B,
    PASSPORT,
    a_message,
    a_number,
    an_incoming,
)

NUMBER = a_number(1)


@pytest.fixture
async def index(database_url):
    async with an_index(database_url) as running:
        yield running


async def batch(index: Index, messages, organization: str = HOSPITAL_A):
    request = service_pb2.BatchRegisterRequest(registrations=messages)
    return (await index.stub.BatchRegister(request, **index.hospital(organization))).results


async def stream(index: Index, messages, organization: str = HOSPITAL_A):
    requests = (service_pb2.StreamRegistrationsRequest(registration=one) for one in messages)
    return await index.stub.StreamRegistrations(iter(requests), **index.hospital(organization))


CLASSES = [
    (Identifier("https://terms.sil-th.org/id/th-cid", citizen_id.make("100000000001")), IdentifierClass.CITIZEN),
    (Identifier("https://terms.sil-th.org/id/th-cid", citizen_id.make("500000000001")), IdentifierClass.CITIZEN),
    (Identifier("https://terms.sil-th.org/id/th-cid", citizen_id.make("800000000001")), IdentifierClass.NATURALIZED),
    (Identifier("https://terms.sil-th.org/id/th-cid", citizen_id.make("600000000001")), IdentifierClass.TEMPORARY),
    (Identifier("https://terms.sil-th.org/id/th-cid", citizen_id.make("700000000001")), IdentifierClass.TEMPORARY),
    (Identifier("https://terms.sil-th.org/id/th-cid", citizen_id.make("000000000001")), IdentifierClass.UNREGISTERED),
    (Identifier("https://terms.sil-th.org/id/th-cid", NUMBER), IdentifierClass.SYNTHETIC),
    (Identifier(PASSPORT, "MC123456"), IdentifierClass.PASSPORT),
    (Identifier(WORK_PERMIT, "1234567890123"), IdentifierClass.WORK_PERMIT),
    (Identifier(local("10661", Local.HN), "7"), IdentifierClass.FACILITY),
    (Identifier(local("10661", Local.PID), "7"), IdentifierClass.FACILITY),
    (Identifier("urn:oid:1.2.3", "7"), IdentifierClass.OTHER),
]


@pytest.mark.parametrize(("identifier", "expected"), CLASSES)
def test_numbers_are_of_a_class_and_sound(identifier, expected):
    assert class_of(identifier) is expected
    assert what_is_wrong(identifier) == ""


WRONG = [
    Identifier("http://hl7.org/fhir/sid/passport-", "MC123456"),
    Identifier("http://hl7.org/fhir/sid/passport-mm", "MC123456"),
    Identifier(PASSPORT, "??"),
    Identifier(PASSPORT, "A" * 21),
    Identifier(WORK_PERMIT, "-"),
    Identifier("https://terms.sil-th.org/hcode/5/106/HN", "7"),
    Identifier("https://terms.sil-th.org/hcode/5/10661/Shoe", "7"),
]


@pytest.mark.parametrize("identifier", WRONG)
async def test_what_cannot_be_such_a_number_is_refused_at_its_place(index: Index, identifier):
    message = a_message()
    message.identifiers.add(system=identifier.system, value=identifier.value)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await index.stub.Register(service_pb2.RegisterRequest(registration=message), **index.hospital())
    assert refusal(error.value) == ("INVALID_ARGUMENT", "IDENTIFIER_INVALID", ["registration.identifiers[0].value"])


async def test_registering_tells_what_sorts_of_numbers_were_shown(index: Index):
    answer = await index.register(number=NUMBER, passport="MC123456")
    assert list(answer.identifier_classes) == [
        resources_pb2.IDENTIFIER_CLASS_SYNTHETIC,
        resources_pb2.IDENTIFIER_CLASS_PASSPORT,
    ]


async def test_names_and_numbers_of_before_are_kept_with_their_moments(index: Index):
    first = await index.register(number=NUMBER)
    await index.register(number=a_number(2), family="มั่งมีสุข")
    await index.register(number=a_number(2), family="มั่งมีสุข", phone="0898765432")
    request = service_pb2.ListRegistrationVersionsRequest(registration_id=first.registration.registration_id)
    versions = (await index.stub.ListRegistrationVersions(request, **index.hospital())).versions
    assert [list(one.changed_fields) for one in versions[:2]] == [["phone"], ["identifiers", "names"]]
    assert [one.registration.names[0].family for one in versions] == ["มั่งมีสุข", "มั่งมีสุข", "ใจดีงาม"]
    assert [one.registration.identifiers[0].value for one in versions] == [a_number(2), a_number(2), NUMBER]
    assert not versions[0].HasField("superseded_at")
    assert versions[2].superseded_at.ToDatetime() <= versions[1].superseded_at.ToDatetime()
    own = await index.stub.ListRegistrationVersions(request, **index.citizen(a_number(2)))
    assert len(own.versions) == 3
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await index.stub.ListRegistrationVersions(request, **index.citizen(a_number(3)))
    assert refusal(error.value)[1] == "REGISTRATION_UNKNOWN"


async def test_a_stream_keeps_what_is_sound_and_says_where_the_rest_is_wrong(index: Index, monkeypatch):
    monkeypatch.setattr("services.patient_index.api.registering.STREAMED_AT_ONCE", 4)
    messages = [
        a_message(number=a_number(one), given=f"{'กขคงจ'[one % 5]}าพร", local_number=str(one)) for one in range(10)
    ]
    messages[3] = a_message(number="9000000000000", local_number="3")
    messages[8] = a_message(organization=HOSPITAL_B)
    told = await stream(index, messages)
    assert (told.received, told.created, told.rejected) == (10, 8, 2)
    assert [(one.number, one.error_reason, one.error_field) for one in told.rejections] == [
        (4, "CITIZEN_ID_INVALID", "identifiers[0].value"),
        (9, "ORGANIZATION_FOREIGN", "organization_id"),
    ]
    again = await stream(index, messages)
    assert (again.created, again.unchanged) == (0, 8)
    assert len(await index.announced()) == 8
    # Each group is on record with the transaction that kept it.
    recorded = [one for one in await index.accesses() if one.method == "StreamRegistrations"]
    assert [len(one.registration_ids) for one in recorded[:3]] == [3, 4, 1]


async def test_a_stream_that_breaks_keeps_its_whole_groups_and_sending_it_again_completes_it(index: Index, monkeypatch):
    monkeypatch.setattr("services.patient_index.api.registering.STREAMED_AT_ONCE", 4)
    messages = [
        a_message(number=a_number(one), given=f"{'กขคงจ'[one % 5]}าพร", local_number=str(one)) for one in range(6)
    ]
    kept = asyncio.Event()

    async def breaking():
        for one in messages:
            yield service_pb2.StreamRegistrationsRequest(registration=one)
        await kept.wait()

    call = index.stub.StreamRegistrations(breaking(), **index.hospital())
    async with asyncio.timeout(10):
        while len(await index.announced()) < 4:
            await asyncio.sleep(0.02)
    call.cancel()
    assert len(await index.announced()) == 4
    told = await stream(index, messages)
    assert (told.unchanged, told.created) == (4, 2)


async def test_a_village_with_one_number_stays_a_village(index: Index):
    messages = [
        a_message(
            number=NUMBER,
            given=f"{'กขคงจฉชซดต'[one % 10]}{'าีูเโ'[one // 10 % 5]}พร",
            family=f"{'ปผพฟมยรลวส'[one % 7]}ีสุข{'กขค'[one % 3]}าม",
            born=f"{1930 + one}-0{1 + one % 9}-11",
            phone="",
            local_number=str(one),
        )
        for one in range(MAX_BLOCK + 12)
    ]
    results = await batch(index, messages)
    assert len({one.person_id for one in results}) == len(messages)
    # Nobody's account opens by it.
    newest = {one.registration_id: one.citizen_key for one in await index.announced()}
    assert set(newest.values()) == {""}


@pytest.mark.parametrize("given", ["ไม่ทราบ", "-", "ชายไม่ทราบชื่อ", "หญิงไม่ทราบชื่อ", "...", "บุตรนางสาวสมหญิง"])
async def test_unknown_people_at_one_hospital_are_never_one_person(index: Index, given):
    told = {"given": given, "family": "-", "prefix": "", "phone": "", "born": ""}
    results = await batch(index, [a_message(**told, local_number=str(one)) for one in range(20)])
    assert len({one.person_id for one in results}) == 20


async def test_a_storm_of_one_name_loads_no_more_for_the_last_than_for_the_first(index: Index):
    storm = [
        a_message(
            born=f"{1940 + one % 60}-{1 + one % 12:02d}-{1 + one % 28:02d}", place="", phone="", local_number=str(one)
        )
        for one in range(2000)
    ]
    results = await batch(index, storm)
    assert not [one for one in results if one.error_reason]
    incoming = an_incoming(born="1955-03-07", place="", phone="", organization=CLINIC)
    async with index.running.database.reading() as reader:
        loaded = await load(reader, scope_of([incoming]), MAX_BLOCK)
        loaded = await load_blocks(reader, loaded, further_keys([incoming], loaded), MAX_BLOCK)
    # The block of the name alone is cut: only those born on the day, or in the year, are looked at.
    assert loaded.cut
    assert len(loaded.held) <= MAX_CANDIDATES + MAX_BLOCK


async def test_forty_at_once_who_are_one_person_end_as_one(index: Index):
    told = {"number": NUMBER}
    calls = [index.register(**told, organization=f"99{100 + one}", local_number="1") for one in range(40)]
    answers = await asyncio.gather(*calls)
    persons = {one.registration.person_id for one in answers}
    found = {person: len((await index.person(person)).registrations) for person in persons}
    assert sorted(found.values()) == [40]


@pytest.mark.parametrize("born", ["2023-02-30", "1849-12-31", "2570-01-01", "1984-13-01"])
async def test_impossible_dates_are_refused(index: Index, born):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await index.register(born=born)
    assert refusal(error.value)[1:] == ("BIRTH_DATE_INVALID", ["registration.birth_date"])
