"""What searches find, feature by feature of http://hl7.org/fhir/R4/search.html."""

import json

import pytest
from nhip.records.v1 import service_pb2

from services.records.store.searching import frequencies
from tests.services.records.stage import (
    B,
    Refused,
    Stage,
    a_condition,
    a_patient,
    an_encounter,
    an_observation,
    treating,
)

UCUM = "http://unitsofmeasure.org"
LOINC = "http://loinc.org"


def pressure(patient: str, systolic: float, diastolic: float) -> dict:
    parts = (("8480-6", systolic), ("8462-4", diastolic))
    whole = an_observation(patient, code="85354-9")
    del whole["valueQuantity"]
    return {
        **whole,
        "component": [
            {
                "code": {"coding": [{"system": LOINC, "code": code}]},
                "valueQuantity": {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"},
            }
            for code, value in parts
        ],
    }


@pytest.fixture
async def clinic(stage: Stage) -> tuple[Stage, dict[str, str]]:
    """A small clinic; names of its resources → keys."""
    keys = {}

    async def file(name: str, body: dict) -> None:
        made = await stage.create(body)
        keys[name] = f"{made.type}/{made.id}"

    await stage.arrive("reg-1")
    await stage.register("reg-2")
    await stage.file_patient("reg-2", family="Müller", given="Jürgen", born="1990-01-31")
    await file("hospital", {"resourceType": "Organization", "name": "โรงพยาบาลเชียงใหม่", "active": True})
    await file(
        "doctor",
        {
            "resourceType": "Practitioner",
            "name": [{"family": "รักษา"}],
            "identifier": [{"system": "urn:md", "value": "7"}],
        },
    )
    await file(
        "near", {"resourceType": "Location", "name": "A", "position": {"latitude": 18.79, "longitude": 98.98},
                 "managingOrganization": {"reference": keys["hospital"]}},
    )  # fmt: skip
    await file("far", {"resourceType": "Location", "name": "B", "position": {"latitude": 13.75, "longitude": 100.5}})
    visit = an_encounter("reg-1")
    visit["participant"] = [{"individual": {"reference": keys["doctor"]}}]
    visit["serviceProvider"] = {"reference": keys["hospital"]}
    visit["length"] = {"value": 30, "unit": "minutes", "system": UCUM, "code": "min"}
    await file("visit", visit)
    await file("sugar", {
        **an_observation("reg-1", code="2345-7", on="2024-05-03", value=5.4),
        "encounter": {"reference": keys["visit"]},
        "performer": [{"reference": keys["doctor"], "identifier": {"system": "urn:md", "value": "7"}}],
        "valueQuantity": {"value": 5.4, "unit": "mmol/L", "system": UCUM, "code": "mmol/L"},
        "meta": {"profile": ["http://x.example/profiles/lab/sugar"], "tag": [{"system": "urn:tag", "code": "t"}]},
        "identifier": [{"type": {"coding": [{"system": "urn:kind", "code": "LAB"}], "text": "เลขแล็บ"}, "value": "L-1"}],
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">น้ำตาลปกติ</div>'},
    })  # fmt: skip
    blood = an_observation("reg-2", on="2024-05-04", value=13.2)
    blood["code"]["text"] = "ความเข้มข้นของฮีโมโกลบิน"
    blood["note"] = [{"text": "ผู้ป่วยมีไข้สูงสามวัน หายใจหอบ"}]
    await file("blood", blood)
    await file("pressure", pressure("reg-1", 150, 80))
    await file("diabetes", {
        **a_condition("reg-1", "E11"), "encounter": {"reference": keys["visit"]}, "onsetDateTime": "2020-03-01",
    })  # fmt: skip
    await file("list", {
        "resourceType": "List", "status": "current", "mode": "working",
        "entry": [{"item": {"reference": keys["sugar"]}}, {"item": {"reference": keys["diabetes"]}}],
    })  # fmt: skip
    keys["one"], keys["two"] = "Patient/reg-1", "Patient/reg-2"
    return stage, keys


CASES = [
    # Numbers and quantities: the digits that are written are the precision that is meant.
    ("Observation?value-quantity=5.4", "sugar"),
    ("Observation?value-quantity=5", "sugar"),
    ("Observation?value-quantity=5.0", ""),
    ("Observation?value-quantity=5.40", "sugar"),
    ("Observation?value-quantity=5.43", ""),
    ("Observation?value-quantity=gt5.4", "blood"),
    ("Observation?value-quantity=ge5.4", "sugar blood"),
    ("Observation?value-quantity=lt5.4", ""),
    ("Observation?value-quantity=ap13", "blood"),
    ("Observation?value-quantity=ne5.4", "blood"),
    (f"Observation?value-quantity=5.4|{UCUM}|mmol/L", "sugar"),
    (f"Observation?value-quantity=5.4|{UCUM}|mg", ""),
    ("Observation?value-quantity=5.4||mmol/L", "sugar"),
    ("Observation?value-quantity=13.2||g/dL", "blood"),
    ("Observation?combo-value-quantity=gt100", "pressure"),
    ("Encounter?length=gt20||min", "visit"),
    # Composites: both parts of one element.
    (f"Observation?code-value-quantity={LOINC}|2345-7$gt5", "sugar"),
    ("Observation?code-value-quantity=2345-7$gt6", ""),
    ("Observation?code-value-quantity=718-7$gt5", "blood"),
    ("Observation?component-code-value-quantity=8480-6$gt140", "pressure"),
    ("Observation?component-code-value-quantity=8462-4$gt140", ""),
    ("Observation?combo-code-value-quantity=8480-6$gt140,2345-7$5.4", "pressure sugar"),
    # Tokens.
    ("Observation?code:text=ฮีโมโกลบิน", "blood"),
    ("Observation?code:text=เข้มข้น", "blood"),
    ("Observation?identifier:of-type=urn:kind|LAB|L-1", "sugar"),
    ("Observation?identifier:of-type=urn:kind|XX|L-1", ""),
    ("Observation?identifier:text=แล็บ", "sugar"),
    ("Observation?identifier=|L-1", "sugar"),
    (f"Observation?code={LOINC}|", "sugar blood pressure"),
    ("Observation?combo-code=8480-6", "pressure"),
    ("Observation?_tag=urn:tag|t", "sugar"),
    ("Patient?deceased=false", "one two"),
    ("Patient?deceased=true", ""),
    ("Organization?active=true", "hospital"),
    # Missing.
    ("Observation?encounter:missing=true", "blood pressure"),
    ("Observation?encounter:missing=false", "sugar"),
    ("Observation?identifier:missing=false&code=2345-7", "sugar"),
    # Strings.
    ("Patient?family:exact=Müller", "two"),
    ("Patient?name=jur", "two"),
    ("Patient?name:contains=ÜRG", "two"),
    ("Patient?family:contains=ดี", "one"),
    ("Patient?family:contains=ี", "one"),
    ("Organization?name:contains=เชียงใหม่", "hospital"),
    ("Organization?name=เชียงใหม่", ""),
    # URIs.
    ("Observation?_profile=http://x.example/profiles/lab/sugar", "sugar"),
    ("Observation?_profile:below=http://x.example/profiles", "sugar"),
    ("Observation?_profile:below=http://x.example/prof", ""),
    ("Observation?_profile:above=http://x.example/profiles/lab/sugar/v2", "sugar"),
    ("Observation?_source=Organization/10661", "sugar blood pressure"),
    # References.
    ("Observation?performer:identifier=urn:md|7", "sugar"),
    ("Encounter?participant:Practitioner={doctor}", "visit"),
    # Texts.
    ("Observation?_text=น้ำตาล", "sugar"),
    ("Observation?_content=ไข้สูง", "blood"),
    ("Observation?_content=หอบ ไข้", "blood"),
    ("Observation?_content=หอบ ไอ", ""),
    # Dates beside the principal one, and about.
    ("Condition?onset-date=2020", "diabetes"),
    ("Condition?onset-date=ap2020-06", "diabetes"),
    ("Condition?onset-date=gt2021", ""),
    # Places.
    ("Location?near=18.80|98.97|5|km", "near"),
    ("Location?near=18.80|98.97|2000|km", "near far"),
    ("Location?near=18.80|98.97|500|m", ""),
    # Lists.
    ("Observation?_list={list}", "sugar"),
    ("Condition?_list={list}", "diabetes"),
    ("Condition?_list=none", ""),
    # Chains, and back.
    ("Observation?subject:Patient.family=müll", "blood"),
    ("Observation?patient.name=สม&code=2345-7", "sugar"),
    ("Observation?performer:Practitioner.identifier=urn:md|7", "sugar"),
    ("Observation?encounter.service-provider.name=โรงพยาบาล", "sugar"),
    ("Observation?encounter.service-provider.name:contains=ลำปาง", ""),
    ("Observation?performer.family=รักษา", "sugar"),
    ("Patient?_has:Observation:patient:code=718-7", "two"),
    ("Patient?_has:Observation:patient:value-quantity=lt6", "one"),
    ("Encounter?_has:Observation:encounter:code=2345-7", "visit"),
    ("Practitioner?_has:Encounter:participant:_has:Condition:encounter:code=E11", "doctor"),
    ("Patient?_has:Encounter:patient:service-provider.name=โรงพยาบาล", "one"),
    ("Organization?_has:Location:organization:near=18.79|98.98|1|km", "hospital"),
    ("Observation?encounter:Encounter._has:Condition:encounter:code=E11", "sugar"),
]


async def test_every_kind_modifier_prefix_and_chain_finds_what_it_says(clinic: tuple[Stage, dict[str, str]]):
    stage, keys = clinic
    names = {key: name for name, key in keys.items()}
    ids = {name: key.partition("/")[2] for name, key in keys.items()}
    for query, expected in CASES:
        found = [names[key] for key in await stage.found(query.format(**ids))]
        assert sorted(found) == sorted(expected.split()), query


async def test_results_are_sorted_by_any_parameter_and_by_several(clinic: tuple[Stage, dict[str, str]]):
    stage, keys = clinic
    names = {key: name for name, key in keys.items()}
    for query, expected in (
        ("Observation?_sort=value-quantity", "sugar blood pressure"),
        ("Observation?_sort=-value-quantity", "blood sugar pressure"),
        ("Observation?_sort=-date,code", "blood sugar pressure"),
        ("Observation?_sort=status,-date", "blood sugar pressure"),
        ("Patient?_sort=family", "one two"),
        ("Patient?_sort=-given", "one two"),
        ("Patient?_sort=-birthdate", "two one"),
        ("Condition?_sort=onset-date", "diabetes"),
    ):
        assert [names[key] for key in await stage.found(query)] == expected.split(), query
        # One by one in the same order.
        walked, token = [], ""
        for _ in expected.split():
            page = await stage.search(f"{query}&_count=1", page_token=token)
            walked += [names[f"{one.type}/{one.id}"] for one in page.matches]
            token = page.next_page_token
        assert (walked, token) == (expected.split(), ""), query


async def test_includes_go_on_where_they_iterate_and_end_in_circles(clinic: tuple[Stage, dict[str, str]]):
    stage, keys = clinic
    names = {key: name for name, key in keys.items()}

    async def along(query: str) -> set[str]:
        return {names[f"{one.type}/{one.id}"] for one in (await stage.search(query)).included}

    sugar = f"Observation?_id={keys['sugar'].partition('/')[2]}"
    assert await along(f"{sugar}&_include=Observation:encounter") == {"visit"}
    assert await along(f"{sugar}&_include=Observation:encounter&_include:iterate=Encounter:service-provider") == {
        "visit", "hospital",
    }  # fmt: skip
    assert await along(f"{sugar}&_include=*") == {"visit", "one", "doctor"}
    assert await along(f"{sugar}&_include=Observation:*") == {"visit", "one", "doctor"}
    assert await along("Practitioner?_revinclude=Encounter:participant&_revinclude:iterate=Condition:encounter") == {
        "visit", "diabetes",
    }  # fmt: skip
    circle = "_include:iterate=Encounter:*&_revinclude:iterate=Observation:encounter&_include:iterate=Observation:*"
    assert await along(f"Encounter?_id={keys['visit'].partition('/')[2]}&{circle}") == {
        "one", "doctor", "hospital", "sugar",
    }  # fmt: skip


async def test_a_part_of_a_resource_says_that_it_is_one(clinic: tuple[Stage, dict[str, str]]):
    stage, keys = clinic
    sugar = f"Observation?_id={keys['sugar'].partition('/')[2]}"

    async def shown(rest: str) -> dict:
        (one,) = (await stage.search(f"{sugar}&{rest}")).matches
        return json.loads(one.body)

    chosen = await shown("_elements=effective,subject")
    assert set(chosen) == {"resourceType", "id", "meta", "status", "code", "subject", "effectiveDateTime"}
    text = await shown("_summary=text")
    assert set(text) == {"resourceType", "id", "meta", "text", "status", "code"}
    data = await shown("_summary=data")
    assert "text" not in data
    assert data["performer"]
    summary = await shown("_summary=true")
    assert "text" not in summary
    assert summary["valueQuantity"]["value"] == 5.4
    for part in (chosen, text, data, summary):
        assert "SUBSETTED" in {one["code"] for one in part["meta"]["tag"]}
    assert "SUBSETTED" not in {one["code"] for one in (await shown("_summary=false"))["meta"]["tag"]}


async def test_a_search_goes_over_several_types_and_within_a_compartment(clinic: tuple[Stage, dict[str, str]]):
    stage, keys = clinic
    names = {key: name for name, key in keys.items()}

    async def found(query: str, compartment: str = "", token=None, *types: str) -> set[str]:
        parameters = [
            service_pb2.SearchParameter(name=one.partition("=")[0], value=one.partition("=")[2])
            for one in query.split("&") if one
        ]  # fmt: skip
        request = service_pb2.SearchSystemRequest(types=types, parameters=parameters, compartment=compartment)
        answer = await stage.call("SearchSystem", request, token)
        return {names[f"{one.type}/{one.id}"] for one in answer.matches}

    assert await found("_tag=t") == {"sugar"}
    assert await found("_content=น้ำตาล", "", None, "Observation", "Condition") == {"sugar"}
    assert await found("", "", None, "Location", "List") == {"near", "far", "list"}
    assert await found("", "Patient/reg-1") == {"one", "visit", "sugar", "pressure", "diabetes"}
    assert await found("_lastUpdated=lt2000", "Patient/reg-1") == set()
    narrow = stage.token(scopes="user/Condition.rs")
    assert await found("", "Patient/reg-1", narrow) == {"diabetes"}
    with pytest.raises(Refused) as refused:
        await found("", "", narrow, "Observation")
    assert refused.value.reason == "SCOPE_MISSING"
    inside = await stage.search("Observation?code=2345-7", compartment="Patient/reg-1")
    assert [names[f"{one.type}/{one.id}"] for one in inside.matches] == ["sugar"]
    assert not (await stage.search("Observation?code=718-7", compartment="Patient/reg-1")).matches


async def test_a_link_that_the_token_does_not_grant_leads_nowhere(clinic: tuple[Stage, dict[str, str]]):
    stage, keys = clinic
    narrow = stage.token(scopes="user/Observation.rs")
    for query in (
        "Observation?subject:Patient.family=müll",
        "Observation?encounter.service-provider.name=โรงพยาบาล",
        "Observation?_list={list}".format(list=keys["list"].partition("/")[2]),
        "Observation?encounter:Encounter._has:Condition:encounter:code=E11",
    ):
        assert await stage.found(query)
        assert await stage.found(query, narrow) == [], query
    assert not (await stage.search("Observation?_include=*", narrow)).included


async def test_pages_are_all_of_the_state_of_the_first(stage: Stage):
    await stage.arrive("reg-1")
    made = [await stage.create(an_observation("reg-1", on=f"2024-05-0{day}")) for day in range(1, 7)]
    for query in ("Observation?code=718-7", "Observation?_sort=-date", "Observation?status=final&_sort=date,_id"):
        whole = [one.id for one in (await stage.search(query)).matches]
        page = await stage.search(f"{query}&_count=2&_total=accurate")
        walked = [(one.id, one.version) for one in page.matches]
        assert page.total == 6
        third = json.loads((await stage.search(f"Observation?_id={whole[3]}")).matches[0].body)
        # One moves to the front, one goes, one changes so that it no longer matches, and one is new.
        await stage.update({**third, "effectiveDateTime": "2024-06-01" if "date,_id" not in query else "2023-01-01"})
        await stage.call("DeleteResource", service_pb2.DeleteResourceRequest(type="Observation", id=whole[4]))
        new = await stage.create(an_observation("reg-1", on="2024-05-15"))
        while page.next_page_token:
            page = await stage.search(f"{query}&_count=2&_total=accurate", page_token=page.next_page_token)
            walked += [(one.id, one.version) for one in page.matches]
            assert page.total == 6
        assert [one for one, _ in walked] == whole, query
        assert len((await stage.search(query)).matches) == 6
        # As it was, for the next query.
        for one in (new.id, *whole):
            await stage.call("DeleteResource", service_pb2.DeleteResourceRequest(type="Observation", id=one))
        made = [await stage.create(an_observation("reg-1", on=f"2024-05-0{day}")) for day in range(1, 7)]
    assert made


async def test_persons_are_found_over_their_registrations_by_chains_too(stage: Stage):
    await stage.arrive("reg-a", person="p-1")
    await stage.register("reg-b", B, person="p-1")
    body = a_patient("reg-b", family="อื่น")
    request = service_pb2.CreateResourceRequest(type="Patient", id="reg-b", body=json.dumps(body).encode())
    await stage.call("CreateResource", request, stage.token(B))
    made = await stage.create(an_observation("reg-b"), B)
    caller = treating(stage)
    assert await stage.found("Observation?patient.family=ใจดี", caller) == [f"Observation/{made.id}"]
    found = await stage.found("Patient?_has:Observation:patient:code=718-7", caller)
    assert sorted(found) == ["Patient/reg-a", "Patient/reg-b"]
    # An own view sees what is its own: neither the other's Patient nor the other's finding takes part.
    assert await stage.found("Patient?_has:Observation:patient:code=718-7") == []
    assert await stage.found("Observation?patient.family=ใจดี", stage.token(B)) == []


async def test_what_very_many_carry_is_met_on_the_way_and_finds_the_same(
    clinic: tuple[Stage, dict[str, str]], monkeypatch
):
    stage, _ = clinic
    queries = (
        "Patient?gender=female&_sort=_id",
        "Patient?_has:Observation:patient:code=718-7",
        "Patient?_has:Observation:patient:code=2345-7&gender=female",
        "Observation?status=final&_sort=-date",
        "Observation?status=final&code:not=718-7&_total=accurate",
    )
    before = [await stage.found(query) for query in queries]
    assert all(before)
    monkeypatch.setattr(frequencies, "is_frequent", lambda one: bool(list(frequencies._tokens([one]))))
    assert [await stage.found(query) for query in queries] == before
    explained = await stage.search(
        "Patient?_has:Observation:patient:code=718-7&_explain=true", stage.token(scopes="user/*.cruds audit.read")
    )
    assert json.loads(explained.explanation)["lead"] == "order"


async def test_an_explanation_is_for_those_who_operate(clinic: tuple[Stage, dict[str, str]]):
    stage, _ = clinic
    with pytest.raises(Refused) as refused:
        await stage.search("Observation?code=718-7&_explain=true")
    assert refused.value.reason == "SCOPE_MISSING"
    operating = stage.token(scopes="user/*.cruds audit.read")
    for query, lead in (
        ("Observation?code=718-7", "code by date"),
        ("Observation?patient=reg-1&code=718-7", "registration"),
        ("Patient?identifier=HN-reg-1", "values"),
        ("Observation?date=2024", "order"),
    ):
        told = json.loads((await stage.search(f"{query}&_explain=true", operating)).explanation)
        assert told["lead"] == lead
        assert told["rowsVisited"] > 0
    assert (await stage.search("Observation?code=718-7&_explain=false")).explanation == ""


# Thousands of one code, so that fetching and sorting them all would show.
MANY_ROWS = """
    INSERT INTO resources (type, id, filed_under, version, operation, is_personal, organization_id, sensitivity, recorded_at,
                           content_hash, occurred_from, occurred_to, tokens, body, index_generation)
    SELECT type, id || n, filed_under || n, 1, 1, is_personal, organization_id, sensitivity, recorded_at, content_hash,
           occurred_from + n * interval '1 minute', occurred_to + n * interval '1 minute', tokens, body, index_generation
    FROM resources CROSS JOIN generate_series(1, 3000) AS n WHERE type = 'Observation'
"""


async def test_a_page_of_a_code_that_thousands_carry_reads_about_as_many_as_it_shows(stage: Stage):
    await stage.arrive("reg-1")
    await stage.create(an_observation("reg-1"))
    pool = stage.running.database.pool
    await pool.execute(MANY_ROWS)
    await pool.execute(
        "INSERT INTO search_orders SELECT r.filed_under, r.type, r.id, o.token, r.occurred_from "
        "FROM resources AS r CROSS JOIN search_orders AS o WHERE r.type = 'Observation' AND r.id <> o.id"
    )
    await pool.execute("ANALYZE")
    operating = stage.token(purpose=1, scopes="user/*.cruds audit.read")
    query = "Observation?code=718-7&date=ge2024-05-01&_sort=-date&_count=20&_explain=true"
    told = json.loads((await stage.search(query, operating)).explanation)
    assert told["lead"] == "code by date"
    assert told["rowsVisited"] < 200
    assert told["sequentialScans"] == []
