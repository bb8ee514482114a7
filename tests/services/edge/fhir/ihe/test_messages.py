"""Mobile Patient Identity Feed [ITI-93], over the real index and records."""

import pytest

from tests.services.edge.conftest import SCOPES
from tests.services.edge.fhir.stored import CID, CITIZEN, HN, a_patient

FHIR_JSON = {"content-type": "application/fhir+json"}
FEED = "/fhir/R4/$process-message"


def entry(method, url, resource=None):
    found = {"request": {"method": method, "url": url}, "response": {"status": "200"}}
    return {**found, "fullUrl": f"http://source.test/{url}", "resource": resource} if resource else found


def a_message(*entries, header=None, kind="message"):
    header = {
        "resourceType": "MessageHeader",
        "id": "m1",
        "eventUri": "urn:ihe:iti:pmir:2019:patient-feed",
        "source": {"endpoint": "http://source.test/feed"},
        "focus": [{"reference": "Bundle/h"}],
        **(header or {}),
    }
    history = {"resourceType": "Bundle", "id": "h", "type": "history", "entry": list(entries)}
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            {"fullUrl": "http://source.test/MessageHeader/m1", "resource": header},
            {"fullUrl": "http://source.test/Bundle/h", "resource": history},
        ],
    }


def numbered(number, **changes):
    return a_patient(identifier=[{"system": HN, "value": number}], **changes)


@pytest.fixture
async def source(hospital):
    return await hospital("10661", f"{SCOPES} registrations.link")


async def send(client, *entries):
    return await client.post(FEED, json=a_message(*entries), headers=FHIR_JSON)


async def patients(client):
    found = await client.get("/fhir/R4/Patient", params={"_sort": "_id"})
    return [one["resource"] for one in found.json().get("entry", [])]


async def person_of(client, number):
    found = await client.post("/v1/persons:search", json={"organizationId": "10661", "localNumber": number})
    return found.json()["persons"][0]["personId"]


async def test_created_and_updated_patients_are_registered_and_filed_by_their_own_number(source):
    taken = await send(source, entry("POST", "Patient", numbered("A-1")), entry("POST", "Patient", numbered("A-2")))
    assert taken.status_code == 200, taken.text
    (answer,) = taken.json()["entry"]
    assert (taken.json()["type"], answer["resource"]["resourceType"]) == ("message", "MessageHeader")
    assert answer["resource"]["eventUri"] == "urn:ihe:iti:pmir:2019:patient-feed-response"
    assert answer["resource"]["response"] == {"identifier": "m1", "code": "ok"}
    revised = await send(source, entry("PUT", "Patient/of-the-source", numbered("A-1", id="x", gender="female")))
    assert revised.status_code == 200, revised.text
    found = {one["identifier"][0]["value"]: one["gender"] for one in await patients(source)}
    assert found == {"A-1": "female", "A-2": "male"}


async def test_a_merge_links_the_replaced_registration_and_an_unlink_takes_it_back(source):
    strangers = numbered("A-2", birthDate="1990-01-01", name=[{"given": ["มานี"], "family": "มีสุข"}])
    await send(source, entry("POST", "Patient", numbered("A-1")), entry("POST", "Patient", strangers))
    before = await person_of(source, "A-2")
    assert before != await person_of(source, "A-1")
    link = {"other": {"identifier": {"system": HN, "value": "A-1"}}, "type": "replaced-by"}
    merged = {**strangers, "active": False, "link": [link]}
    for _ in range(2):
        taken = await send(source, entry("PUT", "Patient/2", merged))
        assert taken.status_code == 200, taken.text
    assert await person_of(source, "A-2") == await person_of(source, "A-1")
    replaced = next(one for one in await patients(source) if one["identifier"][0]["value"] == "A-2")
    assert (replaced["active"], replaced["link"]) == (False, [link])
    await source.post(f"/v1/registrations/{replaced['id']}:unlink", json={"reason": "no"})
    assert await person_of(source, "A-2") == before


async def test_a_patient_that_comes_without_its_link_is_unmerged_and_stands_as_before(source):
    stranger = numbered("A-2", birthDate="1990-01-01", name=[{"given": ["มานี"], "family": "มีสุข"}])
    await send(source, entry("POST", "Patient", numbered("A-1")), entry("POST", "Patient", stranger))
    before = await person_of(source, "A-2")
    link = {"other": {"identifier": {"system": HN, "value": "A-1"}}, "type": "replaced-by"}
    await send(source, entry("PUT", "Patient/2", {**stranger, "active": False, "link": [link]}))
    assert await person_of(source, "A-2") == await person_of(source, "A-1")
    # Still inactive, it is not said to stand for itself.
    await send(source, entry("PUT", "Patient/2", {**stranger, "active": False}))
    assert await person_of(source, "A-2") == await person_of(source, "A-1")
    for _ in range(2):
        taken = await send(source, entry("PUT", "Patient/2", {**stranger, "active": True}))
        assert taken.status_code == 200, taken.text
        assert await person_of(source, "A-2") == before != await person_of(source, "A-1")
    filed = next(one for one in await patients(source) if one["identifier"][0]["value"] == "A-2")
    assert (filed["active"], "link" in filed) == (True, False)
    told = await source.get(f"/v1/registrations/{filed['id']}/decisions")
    assert [one["kind"] for one in told.json()["decisions"]][-2:] == ["DECISION_KIND_LINK", "DECISION_KIND_REVERT"]


async def test_what_people_linked_no_revision_of_the_source_parts(source):
    stranger = numbered("A-2", birthDate="1990-01-01", name=[{"given": ["มานี"], "family": "มีสุข"}])
    await send(source, entry("POST", "Patient", numbered("A-1")), entry("POST", "Patient", stranger))
    filed = next(one for one in await patients(source) if one["identifier"][0]["value"] == "A-2")
    body = {"personId": await person_of(source, "A-1"), "reason": "the same face"}
    await source.post(f"/v1/registrations/{filed['id']}:link", json=body)
    taken = await send(source, entry("PUT", "Patient/2", {**stranger, "active": True}))
    assert taken.status_code == 200, taken.text
    assert await person_of(source, "A-2") == await person_of(source, "A-1")


async def test_a_merge_may_name_both_by_their_ids_alone(source):
    await send(
        source, entry("POST", "Patient", numbered("A-1")), entry("POST", "Patient", numbered("A-2", gender="female"))
    )
    ids = {one["identifier"][0]["value"]: one["id"] for one in await patients(source)}
    link = {"other": {"reference": f"Patient/{ids['A-1']}"}, "type": "replaced-by"}
    replaced = {"resourceType": "Patient", "id": ids["A-2"], "active": False, "link": [link]}
    taken = await send(source, entry("PUT", f"Patient/{ids['A-2']}", replaced))
    assert taken.status_code == 200, taken.text
    assert await person_of(source, "A-2") == await person_of(source, "A-1")
    kept = next(one for one in await patients(source) if one["id"] == ids["A-2"])
    assert (kept["gender"], kept["active"]) == ("female", False)


async def test_a_deleted_patient_is_gone_from_the_records(source):
    await send(source, entry("POST", "Patient", numbered("A-1")))
    (filed,) = await patients(source)
    taken = await send(source, entry("DELETE", f"Patient/{filed['id']}"))
    assert taken.status_code == 200, taken.text
    assert await patients(source) == []


async def test_one_bad_entry_refuses_the_whole_feed_and_says_where(source):
    bad = numbered("A-2", gender="unsaid")
    refused = await send(source, entry("POST", "Patient", numbered("A-1")), entry("POST", "Patient", bad))
    (issue,) = refused.json()["issue"]
    assert refused.status_code == 400
    assert issue["expression"][0].startswith("Bundle.entry[1].resource.entry[1].resource")
    assert await patients(source) == []


async def test_a_successor_whom_nobody_knows_is_refused_by_name(source):
    link = {"other": {"identifier": {"system": HN, "value": "nobody"}}, "type": "replaced-by"}
    refused = await send(source, entry("PUT", "Patient/1", numbered("A-1", active=False, link=[link])))
    (issue,) = refused.json()["issue"]
    assert (refused.status_code, issue["details"]["coding"][0]["code"]) == (400, "SUCCESSOR_UNKNOWN")


async def test_a_source_without_the_right_to_link_cannot_merge(hospital):
    client = await hospital("10661")
    await send(client, entry("POST", "Patient", numbered("A-1")))
    link = {"other": {"identifier": {"system": HN, "value": "A-1"}}, "type": "replaced-by"}
    refused = await send(client, entry("PUT", "Patient/2", numbered("A-2", active=False, link=[link])))
    assert refused.status_code == 403


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (a_message(kind="history"), "Bundle.type"),
        (a_message(header={"eventUri": "urn:other"}), "Bundle.entry[0].resource.event"),
        ({"resourceType": "Bundle", "type": "message", "entry": []}, "Bundle.entry"),
        (
            a_message(entry("POST", "Observation", {"resourceType": "Observation"})),
            "Bundle.entry[1].resource.entry[0].request.url",
        ),
        (
            a_message(
                entry(
                    "PUT",
                    "Patient/1",
                    numbered("A", link=[{"other": {"reference": "Patient/2"}, "type": "replaced-by"}]),
                )
            ),
            "Bundle.entry[1].resource.entry[0].resource.active",
        ),
    ],
)
async def test_what_is_no_feed_is_refused_with_its_place(source, message, place):
    refused = await source.post(FEED, json=message, headers=FHIR_JSON)
    assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (400, [place])


async def test_the_same_person_s_number_is_unchanged_by_the_feed(source):
    document = a_patient()
    await send(source, entry("POST", "Patient", document))
    found = await source.post("/v1/persons:search", json={"identifier": {"system": CID, "value": CITIZEN}})
    assert len(found.json()["persons"]) == 1
