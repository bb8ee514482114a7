"""The locator: who knows a person, for whom the citizen lets know, and for anybody else as if nobody did."""

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from nhip.identity.v1.resources_pb2 import (
    CONSENT_CATEGORY_SENSITIVE,
    CONSENT_DECISION_DENY,
    CONSENT_DECISION_PERMIT,
)
from nhip.patient_index.v1 import decisions_pb2, viewing_pb2

from libs.access.caller import EMERGENCY, OPERATIONS, PAYMENT, TREATMENT
from libs.ids import new_id
from services.patient_index import followers
from tests.services.patient_index.calling import Index, an_index, refusal
from tests.services.patient_index.people import CLINIC, HOSPITAL_A, HOSPITAL_B, a_number
from tests.services.patient_index.test_viewing import file

NUMBER = a_number(1)
DENY, PERMIT = CONSENT_DECISION_DENY, CONSENT_DECISION_PERMIT
EVERYBODY = ""


@pytest.fixture
async def index(database_url):
    async with an_index(database_url) as running:
        await running.hear_identity()
        yield running


async def located(index: Index, person_id: str, **call: Any) -> viewing_pb2.LocateFacilitiesResponse:
    return await index.stub.LocateFacilities(viewing_pb2.LocateFacilitiesRequest(person_id=person_id), **call)


async def knowing(index: Index, person_id: str, **call: Any) -> list[str]:
    return [one.organization_id for one in (await located(index, person_id, **call)).facilities]


async def refused(index: Index, person_id: str, **call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await located(index, person_id, **call)
    return caught.value


def calling(index: Index, organization: str, purpose: int, **more: Any) -> dict[str, Any]:
    token = index.running.token(scopes="registrations.read", organization=organization, purpose=purpose, **more)
    return {"metadata": token, "timeout": 20}


async def test_the_locator_names_who_knows_the_person_the_newest_first_and_nothing_else(index: Index):
    first = await file(index, number=NUMBER, days_ago=9)
    second = await file(index, number=NUMBER, organization=HOSPITAL_B, days_ago=1)
    third = await file(index, number=NUMBER, local_number="2", days_ago=3)
    for call in (index.hospital(CLINIC), index.citizen(NUMBER)):
        found = (await located(index, first.person_id, **call)).facilities
        assert [(one.organization_id, sorted(one.registration_ids)) for one in found] == [
            (HOSPITAL_B, [second.registration_id]),
            (HOSPITAL_A, sorted([first.registration_id, third.registration_id])),
        ]
        assert found[1].written_at == third.source_updated_at
    told = [one for one in await index.accesses() if one.method == "LocateFacilities"]
    assert [set(one.person_ids) for one in told] == [{first.person_id}] * 2


async def test_the_locator_tells_neither_payers_nor_other_citizens(index: Index):
    held = await file(index, number=NUMBER)
    for purpose in (PAYMENT, OPERATIONS):
        error = await refused(index, held.person_id, **calling(index, "nhso", purpose))
        assert refusal(error)[:2] == ("PERMISSION_DENIED", "PURPOSE_REFUSED")
    error = await refused(index, held.person_id, **index.citizen(a_number(2)))
    assert refusal(error)[1] == "PERSON_UNKNOWN"


async def test_whom_the_citizen_refused_is_told_of_their_own_facility_alone(index: Index):
    held = await file(index, number=NUMBER)
    await file(index, number=NUMBER, organization=HOSPITAL_B)
    await index.consent(NUMBER, HOSPITAL_B, DENY)
    assert await knowing(index, held.person_id, **index.hospital(HOSPITAL_B)) == [HOSPITAL_B]
    assert sorted(await knowing(index, held.person_id, **index.hospital(CLINIC))) == [HOSPITAL_A, HOSPITAL_B]
    told = [one for one in await index.accesses() if one.method == "LocateFacilities"]
    assert held.registration_id not in told[0].registration_ids
    assert held.registration_id in told[1].registration_ids


async def test_one_who_knows_the_person_by_refused_facilities_alone_is_answered_as_if_there_were_nobody(index: Index):
    held = await file(index, number=NUMBER)
    await index.consent(NUMBER, CLINIC, DENY)
    hidden = await refused(index, held.person_id, **index.hospital(CLINIC))
    nobody = await refused(index, new_id(), **index.hospital(CLINIC))
    assert refusal(hidden)[:2] == ("NOT_FOUND", "PERSON_UNKNOWN")
    assert (hidden.details(), dict(hidden.trailing_metadata())) == (nobody.details(), dict(nobody.trailing_metadata()))


async def test_an_emergency_and_the_citizen_themself_see_beyond_a_refusal(index: Index):
    held = await file(index, number=NUMBER)
    await index.consent(NUMBER, EVERYBODY, DENY)
    emergency = calling(index, CLINIC, EMERGENCY, reason="unconscious")
    for call in (emergency, index.citizen(NUMBER)):
        assert await knowing(index, held.person_id, **call) == [HOSPITAL_A]


async def test_a_word_about_one_organisation_stands_above_one_about_all_and_sensitive_is_another_matter(index: Index):
    held = await file(index, number=NUMBER)
    await index.consent(NUMBER, EVERYBODY, DENY)
    await index.consent(NUMBER, CLINIC, PERMIT)
    await index.consent(NUMBER, CLINIC, DENY, category=CONSENT_CATEGORY_SENSITIVE)
    assert await knowing(index, held.person_id, **index.hospital(CLINIC)) == [HOSPITAL_A]
    assert refusal(await refused(index, held.person_id, **index.hospital(HOSPITAL_B)))[1] == "PERSON_UNKNOWN"


async def test_a_refusal_ends_when_its_time_is_over_or_the_citizen_says_otherwise_and_an_old_word_changes_nothing(
    index: Index,
):
    held = await file(index, number=NUMBER)
    now = datetime.now(UTC)
    await index.consent(NUMBER, CLINIC, DENY, version=2, expires_at=now - timedelta(seconds=1))
    assert await knowing(index, held.person_id, **index.hospital(CLINIC)) == [HOSPITAL_A]
    await index.consent(NUMBER, CLINIC, DENY, version=3, expires_at=now + timedelta(days=1))
    await refused(index, held.person_id, **index.hospital(CLINIC))
    await index.consent(NUMBER, CLINIC, PERMIT, version=2)
    await refused(index, held.person_id, **index.hospital(CLINIC))
    await index.consent(NUMBER, CLINIC, PERMIT, version=4)
    assert await knowing(index, held.person_id, **index.hospital(CLINIC)) == [HOSPITAL_A]


async def test_a_refusal_covers_registrations_that_carry_no_number_and_goes_with_the_person(index: Index):
    held = await file(index, number=NUMBER)
    other = await file(index, given="กิตติ", family="เจริญพร", born="1970-05-05", phone="", organization=HOSPITAL_B)
    await index.consent(NUMBER, CLINIC, DENY)
    assert await knowing(index, other.person_id, **index.hospital(CLINIC)) == [HOSPITAL_B]
    merge = decisions_pb2.MergePersonsRequest(person_id=other.person_id, from_person_id=held.person_id, reason="one")
    await index.stub.MergePersons(merge, **index.hospital())
    # The person that was left is not told to have been merged either: it would tell that there is somebody.
    for person_id in (other.person_id, held.person_id):
        assert refusal(await refused(index, person_id, **index.hospital(CLINIC)))[1] == "PERSON_UNKNOWN"
    error = await refused(index, held.person_id, **index.hospital(HOSPITAL_B))
    assert refusal(error)[:2] == ("NOT_FOUND", "PERSON_MERGED")


async def test_until_refusals_were_heard_nothing_is_told_for_treatment(database_url):
    async with an_index(database_url) as index:
        held = await file(index, number=NUMBER)
        for person_id in (held.person_id, new_id()):
            error = await refused(index, person_id, **index.hospital(HOSPITAL_A))
            assert refusal(error)[:2] == ("UNAVAILABLE", "CONSENTS_UNKNOWN")
        emergency = calling(index, CLINIC, EMERGENCY, reason="unconscious")
        assert await knowing(index, held.person_id, **emergency) == [HOSPITAL_A]
        assert await knowing(index, held.person_id, **index.citizen(NUMBER)) == [HOSPITAL_A]


async def test_a_caller_without_an_organisation_learns_of_nobody(index: Index):
    held = await file(index, number=NUMBER)
    assert refusal(await refused(index, held.person_id, **calling(index, "", TREATMENT)))[1] == "PERSON_UNKNOWN"


async def test_a_projection_that_is_begun_anew_holds_what_the_snapshot_says(index: Index):
    held = await file(index, number=NUMBER)
    await index.consent(NUMBER, CLINIC, DENY)
    async with index.running.database.writing() as writer:
        await followers.reset_identity(writer)
    assert await knowing(index, held.person_id, **index.hospital(CLINIC)) == [HOSPITAL_A]
    await index.consent(NUMBER, CLINIC, DENY)
    await refused(index, held.person_id, **index.hospital(CLINIC))
