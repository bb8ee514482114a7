"""Searches: what they find, in which order, and what they refuse."""

import json

import pytest
from nhip.records.v1 import service_pb2

from tests.services.records.stage import Refused, Stage, a_condition, an_encounter, an_observation


@pytest.fixture
async def three(stage: Stage) -> Stage:
    """Three findings of one person, oldest first, each a second after the other."""
    await stage.arrive("reg-1")
    for number, (code, on) in enumerate((("718-7", "2024-05-01"), ("718-7", "2024-05-20"), ("2345-7", "2024-05"))):
        stage.now[0] = stage.now[0].replace(second=number + 1)
        body = {
            **an_observation("reg-1", code=code, on=on),
            "identifier": [{"system": "urn:lab", "value": f"n,{number}"}],
        }
        await stage.create(body)
    return stage


async def values(stage: Stage, query: str) -> list[str]:
    """The last character of each match's identifier."""
    page = await stage.search(query)
    return [json.loads(one.body)["identifier"][0]["value"][-1] for one in page.matches]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "210"),
        ("patient=reg-1", "210"),
        ("patient=Patient/reg-1", "210"),
        ("subject=Patient/reg-1", "210"),
        ("subject:Patient=reg-1", "210"),
        ("patient=reg-2", ""),
        ("code=718-7", "10"),
        ("code=http://loinc.org|718-7", "10"),
        ("code=http://snomed.info/sct|718-7", ""),
        ("code=|718-7", ""),
        ("code=718-7,2345-7", "210"),
        ("code=718-7&code=2345-7", ""),
        ("code:not=718-7", "2"),
        ("patient=reg-1&code=2345-7", "2"),
        ("status=final", "210"),
        ("status=http://hl7.org/fhir/observation-status|final", "210"),
        ("status=amended", ""),
        (r"identifier=urn:lab|n\,1", "1"),
        ("identifier=urn:lab|", "210"),
        ("date=2024-05-01", "0"),
        ("date=2024-05", "210"),
        # The third finding is of some time in May: it may be before, at, or after any day of it.
        ("date=ge2024-05-20", "21"),
        ("date=gt2024-05-01", "21"),
        ("date=lt2024-05-20", "20"),
        ("date=sa2024-05-01", "1"),
        ("date=ne2024-05-01", "21"),
        ("date=ge2024-05-01&date=le2024-05-02", "20"),
        ("date=2024-05-01,2024-05-20", "10"),
        ("patient=reg-1&date=ge2024-05-20", "21"),
        ("_lastUpdated=ge2024-06-01", "210"),
        ("_lastUpdated=lt2024-06-01", ""),
        ("_sort=date", "021"),
        ("_sort=-date", "120"),
        ("_sort=_lastUpdated", "012"),
    ],
)
async def test_what_a_search_finds(three: Stage, query, found):
    assert "".join(await values(three, f"Observation?{query}")) == found


async def test_an_id_is_searched_as_it_is(three: Stage):
    (first,) = (await three.search(r"Observation?identifier=urn:lab|n\,0")).matches
    assert await three.found(f"Observation?_id={first.id},other") == [f"Observation/{first.id}"]


async def test_names_are_found_by_how_they_begin_without_case_or_accent(stage: Stage):
    await stage.register("reg-1")
    await stage.file_patient("reg-1", family="Müller", given="สมหญิง")
    await stage.register("reg-2")
    await stage.file_patient("reg-2", family="ศรีสุข", born="1990-01-31")
    hits = {
        "family=mull": ["reg-1"], "family=MÜLLER": ["reg-1"], "name=สม": ["reg-1", "reg-2"], "given=สมห": ["reg-1"],
        "family:exact=Müller": ["reg-1"], "family:exact=muller": [], "family:exact=Mül": [],
        "family:contains=LLE": ["reg-1"], "family=ller": [],
        "birthdate=1990-01-31": ["reg-2"], "birthdate=lt1985": ["reg-1"], "gender=female&family=ศรี": ["reg-2"],
        "identifier=HN-reg-2": ["reg-2"], "name=สม&birthdate=1990": ["reg-2"],
    }  # fmt: skip
    for query, expected in hits.items():
        found = sorted(key.partition("/")[2] for key in await stage.found(f"Patient?{query}"))
        assert found == expected, query


async def test_dates_beside_the_one_that_matters_are_found_too(stage: Stage):
    await stage.arrive("reg-1")
    made = await stage.create(a_condition("reg-1", "J10", on="2024-05-02", onsetDateTime="2024-04-30"))
    assert await stage.found("Condition?onset-date=2024-04-30") == [f"Condition/{made.id}"]
    assert await stage.found("Condition?recorded-date=2024-05-02&onset-date=lt2024-05") == [f"Condition/{made.id}"]
    assert await stage.found("Condition?onset-date=2024-05-02") == []
    await stage.update({**json.loads(made.body), "onsetDateTime": "2024-04-01"})
    assert await stage.found("Condition?onset-date=2024-04-30") == []


@pytest.mark.parametrize(
    "query",
    [
        "colour=red", "cod=1", "code:exact=x", "code:above=x", "subject:Medication=1", "_sort=colour", "_total=some",
        "date=yesterday", "date=xx2024", "_count=-1", "_count=x", "value-quantity=five", "patient.colour=x", "code.x=1",
        "_has:Condition:x:y=z", "_has:Condition:subject:code=1", "_has:Observation", "_include:all=Observation:subject",
        "_include=Observation:colour", "_include=Encounter:subject", "_summary=some", "code=", "code=a,,b", "_lastUpdated=x",
        "code=" + ",".join("x" * 1001), "date=" + ",".join(["2024"] * 201), "code=" + "x" * 2049,
        "subject=Patient/1,Group/2", "_elements=id,(", "value-quantity=5|mg", "_query=x",
        "code-value-quantity=5", "code:missing=maybe", "identifier:of-type=a|b", "_contained=true", "_filter=x eq 1",
        ".".join(["subject:Patient.link"] * 9) + ".name=x", "patient:Group.name=x", "_text:exact=x",
    ],
)  # fmt: skip
async def test_what_is_not_understood_is_refused_by_name(stage: Stage, query):
    name = query.partition("=")[0]
    with pytest.raises(Refused) as refused:
        await stage.search(f"Observation?{query}")
    assert refused.value.reason == "SEARCH_INVALID"
    assert refused.value.fields == [(name, "invalid")]


async def test_a_lenient_search_lists_what_it_ignored(three: Stage):
    page = await three.search("Observation?colour=red&code=2345-7&code:exact=x", lenient=True)
    assert (len(page.matches), list(page.ignored_parameters)) == (1, ["colour", "code:exact"])


@pytest.mark.parametrize(
    "query", ["patient=reg-1", "code=718-7,2345-7", "_sort=date", "_sort=_id", "_sort=-_id&status=final", ""]
)
async def test_pages_follow_each_other_without_gap_or_repetition(three: Stage, query):
    whole = await three.found(f"Observation?{query}")
    seen, token = [], ""
    for _ in range(3):
        page = await three.search(f"Observation?{query}&_count=1&_total=accurate", page_token=token)
        seen += [f"Observation/{one.id}" for one in page.matches]
        assert page.total == 3
        token = page.next_page_token
    assert (seen, token) == (whole, "")


async def test_a_page_token_holds_for_its_query_and_caller_only(three: Stage):
    token = (await three.search("Observation?_count=1&status=final")).next_page_token
    for query, caller in (
        ("Observation?_count=1&status=amended", three.token()),
        ("Observation?_count=1&status=final", three.token("10999")),
    ):
        with pytest.raises(Refused) as refused:
            await three.search(query, caller, page_token=token)
        assert refused.value.reason == "PAGE_TOKEN_INVALID"


async def test_a_total_is_told_when_asked_for(three: Stage):
    assert not (await three.search("Observation?_count=1")).HasField("total")
    assert (await three.search("Observation?_count=1&_total=accurate")).total == 3
    counted = await three.search("Observation?_summary=count&code=718-7")
    assert (counted.total, list(counted.matches)) == (2, [])
    assert (await three.search("Observation?_count=0")).total == 3


async def test_what_belongs_to_the_matches_comes_along(stage: Stage):
    await stage.arrive("reg-1")
    visit = await stage.create(an_encounter("reg-1"))
    made = await stage.create({**an_observation("reg-1"), "encounter": {"reference": f"Encounter/{visit.id}"}})
    page = await stage.search(
        "Observation?patient=reg-1&_include=Observation:encounter&_include=Observation:subject:Patient"
    )
    assert {(one.type, one.id) for one in page.included} == {("Encounter", visit.id), ("Patient", "reg-1")}
    page = await stage.search(f"Encounter?_id={visit.id}&_revinclude=Observation:encounter")
    assert [one.id for one in page.included] == [made.id]


async def test_a_summary_holds_what_a_doctor_needs_of_a_stranger(stage: Stage):
    await stage.arrive("reg-1", person="p-1")
    await stage.create(an_encounter("reg-1"))
    await stage.create(a_condition("reg-1", "E11", onsetDateTime="2020-01-01"))
    await stage.create(a_condition("reg-1", "I10", onsetDateTime="2022-01-01"))
    mistake = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "entered-in-error"}]
    }
    wrong = a_condition("reg-1", "C34", verificationStatus=mistake)
    del wrong["clinicalStatus"]
    await stage.create(wrong)
    summary = await stage.call("GetSummary", service_pb2.GetSummaryRequest(person_id="p-1"), stage.token(purpose=1))
    assert [[code.code for code in one.codes] for one in summary.conditions] == [["I10"], ["E11"]]
    assert summary.conditions[0].occurred_at == "2022-01-01"
    assert (summary.visits[0].organization_id, summary.visits[0].registration_id) == ("10661", "reg-1")
    with pytest.raises(Refused) as refused:
        await stage.call("GetSummary", service_pb2.GetSummaryRequest(person_id="p-none"), stage.token(purpose=1))
    assert refused.value.reason == "PERSON_UNKNOWN"


async def test_a_page_that_is_all_there_is_tells_its_total_unless_that_is_refused(stage):
    await stage.arrive("reg-1")
    for day in (1, 2, 3):
        await stage.create(an_observation("reg-1", on=f"2024-05-0{day}"))
    whole = await stage.search("Observation?patient=reg-1")
    part = await stage.search("Observation?patient=reg-1&_count=2")
    refused = await stage.search("Observation?patient=reg-1&_total=none")
    assert (whole.total, part.HasField("total"), refused.HasField("total")) == (3, False, False)
