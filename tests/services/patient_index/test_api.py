"""The RPCs, through real stubs and the real chain."""

import asyncio

import grpc
import pytest
from nhip.patient_index.v1 import resources_pb2, service_pb2
from nhip.types.v1 import types_pb2

from libs.thai.identifiers import CITIZEN_ID, Local, local
from tests.services.patient_index.calling import Index, an_index, refusal
from tests.services.patient_index.people import CLINIC, HOSPITAL_A, HOSPITAL_B, NOW, a_message, a_number

NUMBER = a_number(1)
CREATED = service_pb2.REGISTRATION_OUTCOME_CREATED
UPDATED = service_pb2.REGISTRATION_OUTCOME_UPDATED
UNCHANGED = service_pb2.REGISTRATION_OUTCOME_UNCHANGED


@pytest.fixture
async def index(database_url):
    async with an_index(database_url) as running:
        yield running


async def test_the_second_hospital_finds_the_person_of_the_first(index: Index):
    first = await index.register(number=NUMBER)
    second = await index.register(number=NUMBER, organization=HOSPITAL_B)
    assert (first.outcome, second.outcome) == (CREATED, CREATED)
    assert second.registration.person_id == first.registration.person_id
    (candidate,) = second.candidates
    assert (candidate.grade, candidate.rule) == (resources_pb2.MATCH_GRADE_CERTAIN, "citizen-id-and-birth-date")
    assert candidate.registration.registration_id == first.registration.registration_id
    assert {one.field: one.level for one in candidate.fields}["citizen_id"] == "same"
    person = await index.person(first.registration.person_id)
    assert [one.organization_id for one in person.registrations] == [HOSPITAL_A, HOSPITAL_B]


async def test_what_was_filed_comes_back_with_what_the_index_says(index: Index):
    message = a_message(number=NUMBER, roman=("Somchai", "Jaidee"))
    message.identifiers[0].system = "https://www.dopa.go.th"
    message.address.line = "99/1"
    message.source_updated_at.FromDatetime(NOW)
    answer = await index.stub.Register(service_pb2.RegisterRequest(registration=message), **index.hospital())
    request = service_pb2.GetRegistrationRequest(registration_id=answer.registration.registration_id)
    got = (await index.stub.GetRegistration(request, **index.hospital())).registration
    assert got == answer.registration
    assert (got.version, bool(got.person_id), got.recorded_at.seconds > 0) == (1, True, True)
    for name in ("registration_id", "person_id", "version", "recorded_at"):
        got.ClearField(name)
    message.identifiers[0].system = CITIZEN_ID
    message.source_updated_at.CopyFrom(got.source_updated_at)
    assert got == message


async def test_registering_again_announces_nothing_and_a_change_announces_a_newer_version(index: Index):
    await index.register(number=NUMBER)
    again = await index.register(number=NUMBER)
    changed = await index.register(number=NUMBER, phone="0898765432")
    assert (again.outcome, changed.outcome, changed.registration.version) == (UNCHANGED, UPDATED, 2)
    assert [one.version for one in await index.announced()] == [1, 2]


async def test_followers_learn_where_a_registration_stands_and_what_they_count_by(index: Index):
    answer = await index.register(number=NUMBER)
    (placed,) = await index.announced()
    assert (placed.person_id, placed.citizen_key) == (answer.registration.person_id, index.key_of(NUMBER))
    assert (placed.place_code, placed.birth_date, placed.sex, placed.nationality) == ("501203", "1984-02-29", 1, "099")
    assert await index.snapshot() == [placed]


async def test_a_retry_with_the_same_request_id_gets_the_same_answer(index: Index):
    first = await index.register(number=NUMBER, request_id="r1")
    assert await index.register(number=NUMBER, request_id="r1") == first
    assert len(await index.announced()) == 1


async def test_validate_only_matches_and_writes_nothing(index: Index):
    first = await index.register(number=NUMBER)
    tried = await index.register(number=NUMBER, organization=HOSPITAL_B, validate_only=True)
    assert tried.registration.person_id == first.registration.person_id
    person = await index.person(first.registration.person_id)
    assert len(person.registrations) == 1


REFUSED = [
    ({"number": "9000000000000"}, "INVALID_ARGUMENT", "CITIZEN_ID_INVALID", "registration.identifiers[0].value"),
    ({"born": "2527-01-01"}, "INVALID_ARGUMENT", "BIRTH_DATE_INVALID", "registration.birth_date"),
    ({"place": "509999"}, "INVALID_ARGUMENT", "PLACE_CODE_INVALID", "registration.address.place_code"),
    ({"born": "29/02/1984"}, "INVALID_ARGUMENT", "FIELD_INVALID", "registration.birth_date"),
]


@pytest.mark.parametrize(("told", "status", "reason", "field"), REFUSED)
async def test_bad_content_is_refused_at_its_field_without_repeating_it(index: Index, told, status, reason, field):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await index.register(**told)
    assert refusal(error.value) == (status, reason, [field])
    assert not any(value in error.value.details() for value in told.values())


async def test_nobody_registers_for_another_organisation(index: Index):
    request = service_pb2.RegisterRequest(registration=a_message(organization=HOSPITAL_A))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await index.stub.Register(request, **index.hospital(HOSPITAL_B))
    assert refusal(error.value)[:2] == ("PERMISSION_DENIED", "ORGANIZATION_FOREIGN")


async def test_a_batch_takes_what_is_sound_and_says_what_is_wrong_with_the_rest(index: Index):
    items = [
        a_message(number=NUMBER),
        a_message(number="9000000000000", local_number="2"),
        a_message(organization=HOSPITAL_B),
        a_message(local_number="x" * 65),
        a_message(number=NUMBER),
        a_message(number=NUMBER, local_number="5"),
    ]
    request = service_pb2.BatchRegisterRequest(registrations=items)
    results = (await index.stub.BatchRegister(request, **index.hospital())).results
    assert [(one.outcome, one.error_reason, one.error_field) for one in results] == [
        (CREATED, "", ""),
        (0, "CITIZEN_ID_INVALID", "identifiers[0].value"),
        (0, "ORGANIZATION_FOREIGN", "organization_id"),
        (0, "FIELD_INVALID", "local_number"),
        (UNCHANGED, "", ""),
        (CREATED, "", ""),
    ]
    assert results[5].person_id == results[0].person_id
    assert len(await index.announced()) == 2


async def test_eight_hospitals_that_register_one_person_at_once_end_with_one_person(index: Index):
    with_number = [index.register(number=NUMBER, organization=f"9910{one}") for one in range(8)]
    without = [index.register(given="อรุณี", prefix="นาง", sex=2, organization=f"9920{one}") for one in range(8)]
    answers = await asyncio.gather(*with_number, *without)
    for group in (answers[:8], answers[8:]):
        ((person_id, count),) = {
            (one.registration.person_id, len((await index.person(one.registration.person_id)).registrations))
            for one in group
        }
        assert (bool(person_id), count) == (True, 8)


async def test_unlink_separates_and_link_joins_exactly_as_before(index: Index):
    first = (await index.register(number=NUMBER)).registration
    second = (await index.register(number=NUMBER, organization=HOSPITAL_B)).registration
    parted = await index.unlink(second.registration_id)
    assert parted.registration.person_id not in ("", first.person_id)
    assert parted.decision.previous_person_id == first.person_id
    assert len((await index.person(first.person_id)).registrations) == 1
    # It stays apart, whatever is registered again.
    kept = await index.register(number=NUMBER, organization=HOSPITAL_B, phone="0898765432")
    assert kept.registration.person_id == parted.registration.person_id
    joined = await index.link(second.registration_id, first.person_id)
    assert len((await index.person(first.person_id)).registrations) == 2
    assert joined.registration.person_id == first.person_id
    again = await index.unlink(second.registration_id)
    assert again.registration.person_id == parted.registration.person_id
    versions = [one.version for one in await index.announced() if one.registration_id == second.registration_id]
    assert versions == sorted(set(versions))
    request = service_pb2.ListDecisionsRequest(registration_id=second.registration_id)
    decisions = (await index.stub.ListDecisions(request, **index.hospital())).decisions
    kinds = [resources_pb2.DecisionKind.Name(one.kind).removeprefix("DECISION_KIND_") for one in decisions]
    assert kinds == ["REGISTER", "LINK", "UNLINK", "LINK", "UNLINK"]
    assert [one.decided_by for one in decisions] == ["client/test", "index", *["client/test"] * 3]
    assert decisions[2].reason == "two people"


async def test_linking_where_it_stands_already_changes_nothing(index: Index):
    first = (await index.register(number=NUMBER)).registration
    answer = await index.link(first.registration_id, first.person_id)
    assert (answer.registration, answer.HasField("decision")) == (first, False)
    assert len(await index.announced()) == 1


async def test_what_cannot_be_linked_or_unlinked_says_why(index: Index):
    held = (await index.register(number=NUMBER)).registration
    nobody = "00000000-0000-7000-8000-000000000000"
    calls = [
        (index.link(nobody, held.person_id), ("NOT_FOUND", "REGISTRATION_UNKNOWN", [])),
        (index.link("no id", held.person_id), ("NOT_FOUND", "REGISTRATION_UNKNOWN", [])),
        (index.link(held.registration_id, nobody), ("NOT_FOUND", "PERSON_UNKNOWN", [])),
        (index.unlink(nobody), ("NOT_FOUND", "REGISTRATION_UNKNOWN", [])),
        (index.unlink(held.registration_id), ("FAILED_PRECONDITION", "REGISTRATION_ALONE", [])),
        (index.person(nobody), ("NOT_FOUND", "PERSON_UNKNOWN", [])),
    ]
    for call, expected in calls:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call
        assert refusal(error.value) == expected


async def test_a_disputed_number_opens_no_account_until_the_slip_is_corrected(index: Index):
    slip = {"given": "กิตติ", "family": "มั่งมีสุข", "born": "1991-01-01", "organization": HOSPITAL_B}
    await index.register(number=NUMBER)
    await index.register(number=NUMBER, **slip)
    await index.register(number=a_number(2), **slip)
    told = [(one.organization_id, one.version, one.citizen_key) for one in await index.announced()]
    mine, other = index.key_of(NUMBER), index.key_of(a_number(2))
    assert told[0] == (HOSPITAL_A, 1, mine)
    assert sorted(told[1:3]) == [(HOSPITAL_A, 2, ""), (HOSPITAL_B, 1, "")]
    assert sorted(told[3:]) == [(HOSPITAL_A, 3, mine), (HOSPITAL_B, 2, other)]


async def search(index: Index, call=None, **asked):
    request = service_pb2.SearchPersonsRequest(**asked)
    return await index.stub.SearchPersons(request, **(call or index.hospital()))


async def test_persons_are_found_by_identifier_by_name_and_birth_and_by_hospital_number(index: Index):
    held = (await index.register(number=NUMBER, roman=("Somchai", "Jaidee"), local_number="7")).registration
    await index.register(number=a_number(2), given="กิตติ", family="มั่งมีสุข", local_number="8")
    name = types_pb2.PersonName
    asked = [
        {"identifier": types_pb2.Identifier(system="https://www.dopa.go.th", value=NUMBER)},
        {"identifier": types_pb2.Identifier(system=local(HOSPITAL_A, Local.HN), value="7")},
        {"name": name(prefix="นาย", given="สมชาย", family="ใจดีงาม"), "birth_date": "1984-02-29"},
        {"name": name(given="SOMCHAI", family="Jaidee"), "birth_date": "1984-02-29"},
        {"name": name(family="ใจดีงาม"), "birth_date": "1984-02-29"},
        {"organization_id": HOSPITAL_A, "local_number": "7"},
    ]
    for criteria in asked:
        found = await search(index, **criteria)
        assert [one.person_id for one in found.persons] == [held.person_id], criteria
    nobody = [
        {"name": name(given="สมชาย", family="มั่งมีสุข"), "birth_date": "1984-02-29"},
        {"organization_id": HOSPITAL_A, "local_number": "9"},
        {
            "identifier": types_pb2.Identifier(system=CITIZEN_ID, value=NUMBER),
            "organization_id": HOSPITAL_A,
            "local_number": "8",
        },
    ]
    for criteria in nobody:
        assert not (await search(index, **criteria)).persons


@pytest.mark.parametrize(
    "asked",
    [{}, {"birth_date": "1984-02-29"}, {"organization_id": HOSPITAL_A}, {"name": types_pb2.PersonName(given="ก")}],
)
async def test_a_search_that_names_nobody_is_refused(index: Index, asked):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await search(index, **asked)
    assert refusal(error.value)[:2] == ("INVALID_ARGUMENT", "CRITERIA_MISSING")


async def test_a_search_comes_in_pages_that_belong_to_it(index: Index):
    for number in range(3):
        await index.register(number=a_number(number), given=f"{'กขค'[number]}นพล", local_number=str(number))
    asked = {"name": types_pb2.PersonName(family="ใจดีงาม"), "birth_date": "1984-02-29", "page_size": 2}
    first = await search(index, **asked)
    second = await search(index, **asked, page_token=first.next_page_token)
    assert (len(first.persons), len(second.persons), second.next_page_token) == (2, 1, "")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await search(index, page_token=first.next_page_token, organization_id=HOSPITAL_A, local_number="1")
    assert refusal(error.value)[1] == "PAGE_TOKEN_INVALID"


async def test_a_citizen_finds_and_reads_themself_alone_whatever_is_asked(index: Index):
    mine = (await index.register(number=NUMBER)).registration
    other = (await index.register(number=a_number(2), given="กิตติ", family="มั่งมีสุข", local_number="2")).registration
    for scopes in ("person.self", "person.self registrations.read"):
        me = index.citizen(NUMBER, scopes)
        found = await search(index, me, organization_id=HOSPITAL_A, local_number="2")
        assert [one.person_id for one in found.persons] == [mine.person_id]
        assert [one.person_id for one in (await search(index, me)).persons] == [mine.person_id]
        assert (await index.person(mine.person_id, **me)).person_id == mine.person_id
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await index.person(other.person_id, **me)
        assert refusal(error.value)[1] == "PERSON_UNKNOWN"
        request = service_pb2.GetRegistrationRequest(registration_id=other.registration_id)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await index.stub.GetRegistration(request, **me)
        assert refusal(error.value)[1] == "REGISTRATION_UNKNOWN"


async def test_a_citizen_without_a_key_finds_nobody(index: Index):
    await index.register(number="")
    assert not (await search(index, index.citizen(""))).persons


async def test_match_tells_who_may_be_meant_best_first_and_writes_nothing(index: Index):
    meant = (await index.register(number=NUMBER)).registration
    twin = (await index.register(given="ธนพล", local_number="2")).registration
    asked = a_message(organization="", local_number="", born="1984-02-29")
    answer = await index.stub.Match(service_pb2.MatchRequest(registration=asked), **index.hospital(CLINIC))
    assert [one.registration.registration_id for one in answer.candidates] == [
        meant.registration_id,
        twin.registration_id,
    ]
    best = answer.candidates[0]
    assert best.weight == pytest.approx(sum(one.weight for one in best.fields) - 19.93, abs=0.01)
    certain = service_pb2.MatchRequest(registration=asked, only_certain=True)
    assert len((await index.stub.Match(certain, **index.hospital())).candidates) == 1
    assert len(await index.announced()) == 2


async def test_who_is_probably_the_same_waits_for_review_until_somebody_decides(index: Index):
    told = {"prefix": "นางสาว", "given": "วรรณา", "sex": 2}
    maiden = (await index.register(**told)).registration
    married = (await index.register(**told, family="มั่งมีสุข", organization=HOSPITAL_B)).registration
    assert married.person_id != maiden.person_id
    request = service_pb2.ListReviewsRequest()
    (review,) = (await index.stub.ListReviews(request, **index.hospital())).reviews
    pair = {review.registration.registration_id, review.candidate.registration.registration_id}
    assert pair == {maiden.registration_id, married.registration_id}
    assert {one.field: one.level for one in review.candidate.fields}["family_name"] == "different"
    await index.link(married.registration_id, maiden.person_id)
    assert not (await index.stub.ListReviews(request, **index.hospital())).reviews


async def test_reviews_come_in_pages_the_likeliest_first(index: Index):
    for number, place in enumerate(("501203", "501203", "100101")):
        await index.register(given=f"{'กขค'[number]}นพลกิตติ", place=place, phone="", local_number=str(number))
        await index.register(
            given=f"{'กขค'[number]}นพลกิตติ", family="มั่งมีสุข", organization=HOSPITAL_B, phone="", local_number=str(number)
        )
    seen, token = [], ""
    while True:
        request = service_pb2.ListReviewsRequest(page_size=2, page_token=token)
        page = await index.stub.ListReviews(request, **index.hospital())
        seen += page.reviews
        token = page.next_page_token
        if not token:
            break
    weights = [one.candidate.weight for one in seen]
    assert weights == sorted(weights, reverse=True)
    pairs = {(one.registration.registration_id, one.candidate.registration.registration_id) for one in seen}
    assert len(pairs) == len(seen) >= 3


async def test_the_audit_log_learns_of_each_registration_that_a_call_shows_or_writes(index: Index):
    first = (await index.register(number=NUMBER)).registration
    second = (await index.register(number=NUMBER, organization=HOSPITAL_B)).registration
    await search(index, organization_id=HOSPITAL_A, local_number="1")
    await index.stub.Match(service_pb2.MatchRequest(registration=a_message()), **index.hospital())
    both = {first.registration_id, second.registration_id}
    told = [(one.method, set(one.registration_ids), set(one.person_ids)) for one in await index.accesses()]
    assert told == [
        ("Register", {first.registration_id}, {first.person_id}),
        ("Register", both, {first.person_id}),
        ("SearchPersons", both, {first.person_id}),
        ("Match", both, {first.person_id}),
    ]
