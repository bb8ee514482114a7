"""Codes that are asked for by a value set, or by where they stand in their system: search.html#token."""

import pytest
from nhip.records.v1 import service_pb2

from tests.services.records.stage import EVERYTHING, A, Refused, Stage, an_observation

SETS, SYSTEM = "http://x.example/sets/blood", "http://x.example/codes"
LOINC = "http://loinc.org"


@pytest.fixture
async def filed(stage: Stage) -> dict[str, str]:
    """Code → the Observation of it: two of LOINC, and a family of codes of a system that is filed."""
    await stage.arrive("reg-1")
    include = [{"system": LOINC, "concept": [{"code": "718-7"}]}, {"system": SYSTEM, "concept": [{"code": "a,1"}]}]
    await stage.create({"resourceType": "ValueSet", "url": SETS, "status": "active", "compose": {"include": include}})
    concepts = [{"code": "top", "concept": [{"code": "a,1", "concept": [{"code": "leaf"}]}]}, {"code": "other"}]
    await stage.create(
        {
            "resourceType": "CodeSystem",
            "url": SYSTEM,
            "status": "active",
            "content": "complete",
            "hierarchyMeaning": "is-a",
            "concept": concepts,
        }
    )
    found = {}
    for system, code in (
        *((LOINC, "718-7"), (LOINC, "4548-4"), (SYSTEM, "top"), (SYSTEM, "a,1"), (SYSTEM, "leaf"), (SYSTEM, "other")),
    ):
        body = {**an_observation("reg-1"), "code": {"coding": [{"system": system, "code": code}]}}
        found[code] = (await stage.create(body)).id
    return found


async def test_a_set_and_a_hierarchy_stand_for_their_codes(stage: Stage, filed: dict[str, str]):
    for query, codes in {
        f"code:in={SETS}": {"718-7", "a,1"},
        f"code:not-in={SETS}": {"4548-4", "top", "leaf", "other"},
        f"code:below={SYSTEM}|a\\,1": {"a,1", "leaf"},
        f"code:below={SYSTEM}|top": {"top", "a,1", "leaf"},
        f"code:above={SYSTEM}|leaf": {"top", "a,1", "leaf"},
        f"code:below={SYSTEM}|other&code:not-in={SETS}": {"other"},
        # Of a system that is not known a code is above and below itself.
        f"code:below={LOINC}|718-7": {"718-7"},
    }.items():
        assert set(await stage.found(f"Observation?{query}")) == {f"Observation/{filed[code]}" for code in codes}, query


async def test_chains_and_several_types_may_ask_so_too(stage: Stage, filed: dict[str, str]):
    member = {**an_observation("reg-1"), "hasMember": [{"reference": f"Observation/{filed['leaf']}"}]}
    parent = (await stage.create(member)).id
    assert await stage.found(f"Observation?has-member:Observation.code:below={SYSTEM}|top") == [f"Observation/{parent}"]
    assert await stage.found(f"Patient?_has:Observation:patient:code:in={SETS}") == ["Patient/reg-1"]
    asked = [service_pb2.SearchParameter(name="code:below", value=f"{SYSTEM}|leaf")]
    several = service_pb2.SearchSystemRequest(types=["Observation", "Condition"], parameters=asked)
    answer = await stage.call("SearchSystem", several)
    assert [one.id for one in answer.matches] == [filed["leaf"]]


@pytest.mark.parametrize(
    "query", ["code:in=http://x.example/sets/none", "code:not-in=", "code:below=leaf", f"code:above={SYSTEM}|"]
)
async def test_what_is_not_known_is_refused_by_name_or_passed_over_where_that_is_wished(stage: Stage, query: str):
    with pytest.raises(Refused) as refused:
        await stage.search(f"Observation?{query}")
    assert (refused.value.reason, refused.value.fields[0][0]) == ("SEARCH_INVALID", query.partition("=")[0])
    answer = await stage.search(f"Observation?{query}", lenient=True)
    assert list(answer.ignored_parameters) == [query.partition("=")[0]]


@pytest.mark.usefixtures("filed")
async def test_a_filed_set_is_for_who_may_read_it(stage: Stage):
    assert await stage.found(f"Observation?code:in={SETS}", stage.token(A, scopes=EVERYTHING))
    with pytest.raises(Refused) as refused:
        await stage.search(f"Observation?code:in={SETS}", stage.token(A, scopes="user/Observation.rs"))
    assert refused.value.reason == "SEARCH_INVALID"
