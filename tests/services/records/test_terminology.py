"""Codes: carried, loaded and filed, expanded, looked up, compared, validated, translated."""

import json

import grpc
import pytest
from nhip.records.v1 import terminology_pb2 as pb
from nhip.records.v1 import terminology_pb2_grpc

from services.records.rules.terminology import carried
from services.records.rules.terminology.concepts import Filter, Selection, Table, table_of
from services.records.store.terminology import above, below, members
from services.records.store.terminology.systems import find_system
from tests.services.records.stage import B, Refused, Stage, refusal

GENDER = "http://hl7.org/fhir/administrative-gender"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
ICD = "http://hl7.org/fhir/sid/icd-10"
SEX = "https://nhip.th/fhir/CodeSystem/f43-person-sex"
ADMIN = "terminology.write user/*.cruds"
DIGEST = "a" * 64


async def ask(stage: Stage, method: str, request, token=None):
    stub = stage.running.stub(terminology_pb2_grpc.TerminologyServiceStub)
    try:
        return await getattr(stub, method)(request, metadata=token or stage.token(scopes=ADMIN), timeout=20)
    except grpc.aio.AioRpcError as error:
        raise refusal(error) from None


def part(name=ICD, version="2019", offset=0, *, last=True, digest=DIGEST) -> pb.LoadPart:
    return pb.LoadPart(name=name, version=version, title="made up", digest=digest, offset=offset, is_last=last)


def concept(code: str, display: str, *parents: str, thai: str = "", **properties: str) -> pb.Concept:
    return pb.Concept(
        code=code,
        display=display,
        parents=parents,
        designations=[pb.Designation(language="th", text=thai)] if thai else [],
        properties=[pb.ConceptProperty(name=name, text=text) for name, text in properties.items()],
    )


ICD_ROWS = [
    concept("I", "Infections"),
    concept("A00-A09", "Intestinal infections", "I"),
    concept("A00", "Cholera", "A00-A09", thai="อหิวาตกโรค", kind="category"),
    concept("A00.0", "Cholera due to biovar cholerae", "A00", kind="code"),
    concept("A01", "Typhoid and paratyphoid fevers", "A00-A09", thai="ไข้ไทฟอยด์", kind="category"),
]


async def load(stage: Stage, rows=ICD_ROWS, **more):
    return (await ask(stage, "LoadConcepts", pb.LoadConceptsRequest(part=part(**more), concepts=rows))).load


async def expand(stage: Stage, token=None, **more):
    choice = {name: more.pop(name) for name in ("url", "inline", "id") if name in more}
    request = pb.ExpandValueSetRequest(value_set=pb.ValueSetChoice(**choice), **more)
    return await ask(stage, "ExpandValueSet", request, token)


def codes(response) -> list[str]:
    return [one.concept.code for one in response.concepts]


def compose(*includes, exclude=()) -> bytes:
    return json.dumps(
        {"resourceType": "ValueSet", "status": "active", "compose": {"include": includes, "exclude": list(exclude)}}
    ).encode()


def is_a(code: str, op: str = "is-a") -> dict:
    return {"system": ICD, "filter": [{"property": "concept", "op": op, "value": code}]}


async def test_carried_sets_expand_page_by_page_and_by_what_a_code_is_called(stage: Stage):
    whole = await expand(stage, url=GENDERS)
    assert (codes(whole), whole.total) == (["male", "female", "other", "unknown"], 4)
    page = await expand(stage, url=GENDERS, offset=1, count=2)
    assert (codes(page), page.total) == (["female", "other"], 4)
    assert codes(await expand(stage, url=GENDERS, text="FEM")) == ["female"]
    assert codes(await expand(stage, url=f"{SEX}?fhir_vs", text="ญิง")) == ["2"]
    with pytest.raises(Refused) as refused:
        await expand(stage, url="http://example.org/nothing")
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.NOT_FOUND, "VALUE_SET_UNKNOWN")


async def test_a_loaded_system_is_current_when_whole_and_loading_again_changes_nothing(stage: Stage):
    first = await load(stage, ICD_ROWS[:2], last=False)
    assert (first.rows, first.is_complete) == (2, False)
    with pytest.raises(Refused) as refused:
        await expand(stage, inline=compose(is_a("A00")))
    assert refused.value.reason == "CODE_SYSTEM_UNKNOWN"
    # The same part again is skipped; a part beyond the next one is refused and says where to go on.
    assert (await load(stage, ICD_ROWS[:2], last=False)).rows == 2
    with pytest.raises(Refused) as refused:
        await load(stage, ICD_ROWS[4:], offset=4)
    assert (refused.value.reason, refused.value.metadata) == ("PART_MISSING", {"rows": "2"})
    done = await load(stage, ICD_ROWS[2:], offset=2)
    assert (done.rows, done.is_complete, done.is_current) == (5, True, True)
    assert await load(stage, ICD_ROWS[2:], offset=2) == done
    assert codes(await expand(stage, inline=compose(is_a("A00")))) == ["A00", "A00.0"]
    with pytest.raises(Refused) as refused:
        await load(stage, digest="b" * 64)
    assert refused.value.reason == "VERSION_TAKEN"


async def test_a_new_version_takes_over_and_the_old_one_can_still_be_named(stage: Stage):
    await load(stage)
    await load(stage, [concept("A00", "Cholera, renamed")], version="2025", digest="c" * 64)
    found = await ask(stage, "LookupCode", pb.LookupCodeRequest(system=ICD, code="A00"))
    assert (found.concept.version, found.concept.concept.display) == ("2025", "Cholera, renamed")
    old = await ask(stage, "LookupCode", pb.LookupCodeRequest(system=ICD, version="2019", code="A00"))
    assert old.concept.concept.display == "Cholera"
    loads = (await ask(stage, "ListLoads", pb.ListLoadsRequest())).loads
    assert [(one.version, one.rows, one.is_current) for one in loads] == [("2019", 5, False), ("2025", 1, True)]


async def test_filters_of_a_loaded_system(stage: Stage):
    await load(stage)

    async def found(*filters: tuple[str, str, str], **more) -> list[str]:
        rows = [{"property": name, "op": op, "value": value} for name, op, value in filters]
        return codes(await expand(stage, inline=compose({"system": ICD, "filter": rows}), **more))

    assert await found(("concept", "descendent-of", "A00-A09")) == ["A00", "A00.0", "A01"]
    assert await found(("concept", "is-not-a", "A00")) == ["I", "A00-A09", "A01"]
    assert await found(("concept", "generalizes", "A00")) == ["I", "A00-A09", "A00"]
    assert await found(("kind", "=", "category")) == ["A00", "A01"]
    assert await found(("kind", "in", "code,other"), ("concept", "is-a", "A00")) == ["A00.0"]
    assert await found(("kind", "exists", "false")) == ["I", "A00-A09"]
    assert await found(("parent", "=", "A00-A09")) == ["A00", "A01"]
    assert await found(("concept", "is-a", "I"), text="ไทฟอยด์") == ["A01"]
    with pytest.raises(Refused) as refused:
        await found(("code", "regex", "(a+)+"))
    assert refused.value.fields == [("ValueSet.compose.include[0].filter", "FILTER_UNSUPPORTED")]


async def test_sets_of_sets_and_what_is_excluded(stage: Stage):
    await load(stage)
    assert codes(await expand(stage, inline=compose(is_a("A00-A09"), exclude=[is_a("A00")]))) == ["A00-A09", "A01"]
    listed = {"system": ICD, "concept": [{"code": "A01", "display": "ไทฟอยด์"}, {"code": "nothing"}]}
    both = await expand(stage, inline=compose(listed, {"valueSet": [GENDERS]}))
    assert codes(both) == ["A01", "male", "female", "other", "unknown"]
    assert both.concepts[0].concept.display == "ไทฟอยด์"
    shared = {"system": GENDER, "concept": [{"code": "male"}], "valueSet": [GENDERS]}
    assert codes(await expand(stage, inline=compose(shared))) == ["male"]


async def test_filed_sets_and_systems_count_where_the_caller_may_see_them(stage: Stage):
    system = {
        "resourceType": "CodeSystem",
        "url": "http://example.org/cs",
        "status": "active",
        "content": "complete",
        "concept": [{"code": "a", "display": "Alpha", "concept": [{"code": "b", "display": "เบต้า"}]}],
    }
    await stage.create(system)
    value_set = {
        "resourceType": "ValueSet",
        "url": "http://example.org/vs",
        "status": "active",
        "compose": {
            "include": [
                {"system": "http://example.org/cs", "filter": [{"property": "concept", "op": "is-a", "value": "a"}]}
            ]
        },
    }
    filed = await stage.create(value_set)
    assert codes(await expand(stage, url="http://example.org/vs")) == ["a", "b"]
    assert codes(await expand(stage, id=filed.id, token=stage.token(B, scopes=ADMIN))) == ["a", "b"]
    # Nobody redefines for others what the platform carries.
    await stage.create({**value_set, "url": GENDERS})
    assert len(codes(await expand(stage, url=GENDERS))) == 4


async def test_a_set_that_is_made_of_itself_is_refused(stage: Stage):
    ring = {
        "resourceType": "ValueSet",
        "url": "http://example.org/ring",
        "status": "active",
        "compose": {"include": [{"valueSet": ["http://example.org/ring"]}]},
    }
    await stage.create(ring)
    with pytest.raises(Refused) as refused:
        await expand(stage, url="http://example.org/ring")
    assert refused.value.reason == "EXPANSION_TOO_COSTLY"


@pytest.mark.parametrize(
    ("a", "b", "outcome"),
    [
        ("A00", "A00", "equivalent"),
        ("A00-A09", "A00.0", "subsumes"),
        ("A00.0", "I", "subsumed-by"),
        ("A00", "A01", "not-subsumed"),
    ],
)
async def test_how_two_codes_stand_to_each_other(stage: Stage, a, b, outcome):
    await load(stage)
    request = pb.TestSubsumptionRequest(system=ICD, code_a=a, code_b=b)
    assert (await ask(stage, "TestSubsumption", request)).outcome == outcome


async def validate(stage: Stage, *asked: pb.CodeAsked, url: str = "", inline: bytes = b"", **more):
    choice = pb.ValueSetChoice(url=url, inline=inline) if url or inline else None
    return await ask(stage, "ValidateCode", pb.ValidateCodeRequest(value_set=choice, codes=asked, **more))


async def test_whether_a_code_is_of_a_set_or_of_a_system(stage: Stage):
    await load(stage)
    assert (await validate(stage, pb.CodeAsked(system=GENDER, code="male"), url=GENDERS)).is_valid
    wrong = await validate(stage, pb.CodeAsked(system=GENDER, code="man"), url=GENDERS)
    assert (wrong.is_valid, "man" in wrong.message) == (False, True)
    assert not (await validate(stage, pb.CodeAsked(code="male"), url=GENDERS)).is_valid
    inferred = await validate(stage, pb.CodeAsked(code="male"), url=GENDERS, infer_system=True)
    assert inferred.concept.system == GENDER
    assert (await validate(stage, pb.CodeAsked(system=ICD, code="A00", display="อหิวาตกโรค"))).is_valid
    misnamed = await validate(stage, pb.CodeAsked(system=ICD, code="A00", display="Plague"))
    assert (misnamed.is_valid, "Cholera" in misnamed.message) == (False, True)
    below_a00 = compose(is_a("A00"))
    assert (
        await validate(
            stage, pb.CodeAsked(system=ICD, code="A01"), pb.CodeAsked(system=ICD, code="A00.0"), inline=below_a00
        )
    ).is_valid
    assert not (await validate(stage, pb.CodeAsked(system=ICD, code="A01"), inline=below_a00)).is_valid


async def translated(stage: Stage, system: str, code: str, **more):
    request = pb.TranslateCodeRequest(codes=[pb.CodeAsked(system=system, code=code)], **more)
    return [
        (one.system, one.code, one.equivalence) for one in (await ask(stage, "TranslateCode", request)).translations
    ]


async def test_codes_of_the_43_files_are_codes_of_fhir_and_back(stage: Stage):
    assert await translated(stage, SEX, "2") == [(GENDER, "female", "equivalent")]
    assert (SEX, "1", "equivalent") in await translated(stage, GENDER, "male", is_reverse=True)
    assert await translated(stage, SEX, "7") == []
    with pytest.raises(Refused) as refused:
        await translated(stage, SEX, "1", url="http://example.org/no-map")
    assert refused.value.reason == "CONCEPT_MAP_UNKNOWN"


async def test_loaded_and_filed_maps_translate_too(stage: Stage):
    tmt, atc = "https://terms.sil-th.org/core/CodeSystem/cs-th-tmt", "http://www.whocc.no/atc"
    rows = [pb.Mapping(source_system=tmt, source_code="999001", target_system=atc, target_code="J01CA04")]
    request = pb.LoadMappingsRequest(part=part("urn:tmt-atc", "1"), mappings=rows)
    assert (await ask(stage, "LoadMappings", request)).load.is_current
    assert await translated(stage, tmt, "999001", target_system=atc) == [(atc, "J01CA04", "equivalent")]
    filed = await stage.create(
        {
            "resourceType": "ConceptMap",
            "url": "http://example.org/map",
            "status": "active",
            "group": [
                {
                    "source": "urn:a",
                    "target": "urn:b",
                    "element": [{"code": "1", "target": [{"code": "x", "equivalence": "wider"}]}],
                }
            ],
        }
    )
    assert await translated(stage, "urn:a", "1") == [("urn:b", "x", "wider")]
    assert await translated(stage, "urn:b", "x", url="http://example.org/map", is_reverse=True) == [
        ("urn:a", "1", "narrower")
    ]
    assert await translated(stage, "urn:a", "1", id=filed.id) == [("urn:b", "x", "wider")]


async def test_what_search_asks_for(stage: Stage):
    await load(stage)
    caller = _caller()
    async with stage.running.database.reading() as reader:
        now = stage.now[0]
        assert (GENDER, "other") in await members(reader, caller, now, GENDERS)
        assert await below(reader, caller, now, ICD, "A00") == ["A00", "A00.0"]
        assert await above(reader, caller, now, ICD, "A00") == ["A00", "A00-A09", "I"]
        assert await below(reader, caller, now, "urn:nowhere", "x") == ["x"]
        assert await find_system(reader, caller, now, "urn:nowhere") is None


async def test_loading_asks_for_its_scope(stage: Stage):
    request = pb.LoadConceptsRequest(part=part(), concepts=ICD_ROWS)
    with pytest.raises(Refused) as refused:
        await ask(stage, "LoadConcepts", request, stage.token(scopes="user/*.cruds"))
    assert refused.value.reason == "SCOPE_MISSING"


def _caller():
    from libs.access.caller import Caller, CallerKind, Scopes  # noqa: PLC0415

    return Caller(CallerKind.CLIENT, "client/test", "10661", Scopes.parse("user/*.rs"))


def test_what_is_carried_is_all_of_hl7_and_the_thai_lists():
    systems = carried.systems()
    assert len(systems) > 1300
    assert sum(len(one["concepts"]) for one in systems.values()) > 25_000
    thai = carried.system("https://terms.sil-th.org/core/CodeSystem/cs-thcc-allergy-manifest")
    assert thai is not None
    assert len(thai.concepts) == 39
    assert carried.system("http://example.org/none") is None


def test_every_target_of_a_carried_map_of_the_43_files_is_a_code_where_its_system_is_carried():
    for one in carried.mappings():
        if "f43-" in one.map_url:
            source, target = carried.system(one.source_system), carried.system(one.target_system)
            assert source is not None, one
            assert one.source_code in source.concepts, one
            assert target is None or one.target_code in target.concepts, one


def a_table() -> Table:
    nested = {
        "code": "1",
        "concept": [{"code": "2", "property": [{"code": "inactive", "valueBoolean": True}]}, {"code": "3"}],
    }
    return table_of({"url": "u", "concept": [nested]})


def test_a_table_in_memory_answers_as_the_database_does():
    table = a_table()
    assert table.descendants("1") == {"2", "3"}
    assert table.ancestors("2") == {"1"}

    def chosen(**more):
        return [one.code for one in table.select(Selection(**more))]

    assert chosen(filters=(Filter("concept", "descendent-of", "1"),), active_only=True) == ["3"]
    assert chosen(filters=(Filter("concept", "is-not-a", "2"),)) == ["1", "3"]
    assert chosen(filters=(Filter("concept", "generalizes", "3"),)) == ["1", "3"]
    assert chosen(filters=(Filter("inactive", "exists", "true"),)) == ["2"]
    assert chosen(codes=("3", "9")) == ["3"]


def test_a_hierarchy_in_a_circle_ends():
    rows = [
        {"code": one, "property": [{"code": "parent", "valueCode": other}]} for one, other in (("1", "2"), ("2", "1"))
    ]
    assert table_of({"concept": rows}).descendants("1") == {"2"}
