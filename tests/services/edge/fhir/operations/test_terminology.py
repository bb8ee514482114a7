"""Terminology through the edge, as a client sees it."""

FHIR = "/fhir/R4"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
GENDER = "http://hl7.org/fhir/administrative-gender"
SEX = "https://nhip.th/fhir/CodeSystem/f43-person-sex"


def parameters(**values):
    kinds = {"valueSet": "resource", "coding": "valueCoding", "codeableConcept": "valueCodeableConcept"}
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, kinds.get(name, "valueString"): value} for name, value in values.items()],
    }


def values(answer, name):
    assert answer.status_code == 200, answer.text
    return [
        value
        for one in answer.json()["parameter"]
        if one["name"] == name
        for key, value in one.items()
        if key.startswith("value") or key == "part"
    ]


async def test_a_value_set_is_expanded_by_url_inline_and_by_id(whole):
    answer = await whole.get(f"{FHIR}/ValueSet/$expand", params={"url": GENDERS, "count": 2, "offset": 1})
    assert answer.status_code == 200, answer.text
    expansion = answer.json()["expansion"]
    assert (expansion["total"], [one["code"] for one in expansion["contains"]]) == (4, ["female", "other"])
    inline = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [{"system": SEX}]}}
    posted = parameters(valueSet=inline, filter="หญิง")
    found = (await whole.post(f"{FHIR}/ValueSet/$expand", json=posted)).json()
    assert [one["display"] for one in found["expansion"]["contains"]] == ["หญิง"]
    filed = (await whole.post(f"{FHIR}/ValueSet", json={**inline, "url": "http://example.org/vs"})).json()
    found = (await whole.get(f"{FHIR}/ValueSet/{filed['id']}/$expand")).json()
    assert (found["url"], found["expansion"]["total"]) == ("http://example.org/vs", 2)
    number = (await whole.get(f"{FHIR}/ValueSet/$expand", params={"url": GENDERS, "count": 0})).json()["expansion"]
    assert (number["total"], "contains" in number) == (4, False)


async def test_what_a_code_means(whole):
    answer = await whole.get(f"{FHIR}/CodeSystem/$lookup", params={"system": GENDER, "code": "female"})
    assert values(answer, "display") == ["Female"]
    assert values(answer, "definition") == ["Female."]
    posted = parameters(coding={"system": SEX, "code": "1"})
    assert values(await whole.post(f"{FHIR}/CodeSystem/$lookup", json=posted), "display") == ["ชาย"]
    unknown = await whole.get(f"{FHIR}/CodeSystem/$lookup", params={"system": GENDER, "code": "fe"})
    assert (unknown.status_code, unknown.json()["issue"][0]["code"]) == (404, "not-found")
    missing = await whole.get(f"{FHIR}/CodeSystem/$lookup", params={"code": "fe"})
    assert missing.json()["issue"][0]["expression"] == ["system"]


async def test_a_filed_system_answers_by_its_id(whole):
    body = {
        "resourceType": "CodeSystem",
        "url": "http://example.org/cs",
        "status": "active",
        "content": "complete",
        "concept": [{"code": "a", "concept": [{"code": "b"}]}],
    }
    filed = (await whole.post(f"{FHIR}/CodeSystem", json=body)).json()
    place = f"{FHIR}/CodeSystem/{filed['id']}"
    assert values(await whole.get(f"{place}/$subsumes?codeA=a&codeB=b"), "outcome") == ["subsumes"]
    assert values(await whole.get(f"{place}/$validate-code?code=b"), "result") == [True]
    assert values(await whole.get(f"{place}/$lookup?code=b"), "display") == ["b"]


async def test_whether_a_code_is_of_a_set(whole):
    for code, result in (("male", True), ("man", False)):
        query = {"url": GENDERS, "system": GENDER, "code": code}
        answer = await whole.get(f"{FHIR}/ValueSet/$validate-code", params=query)
        assert values(answer, "result") == [result]
        concept = {"coding": [{"system": "urn:x", "code": "1"}, {"system": GENDER, "code": code}]}
        posted = parameters(url=GENDERS, codeableConcept=concept)
        assert values(await whole.post(f"{FHIR}/ValueSet/$validate-code", json=posted), "result") == [result]


async def test_a_code_of_the_43_files_is_translated(whole):
    answer = await whole.get(f"{FHIR}/ConceptMap/$translate", params={"system": SEX, "code": "2"})
    assert values(answer, "result") == [True]
    (match,) = values(answer, "match")
    assert match[1]["valueCoding"] == {"system": GENDER, "code": "female", "display": "Female"}
    none = await whole.get(f"{FHIR}/ConceptMap/$translate", params={"system": SEX, "code": "5"})
    assert values(none, "result") == [False]


MISTAKES = (
    ("ValueSet/$expand", 400, "PARAMETER_MISSING"),
    ("ValueSet/$expand?url=http://example.org/none", 404, "VALUE_SET_UNKNOWN"),
    ("ValueSet/$expand?url=x&fitler=1", 400, "PARAMETER_UNKNOWN"),
    ("ValueSet/$expand?url=x&url=y", 400, "PARAMETER_REPEATED"),
    ("ValueSet/$expand?url=x&count=many", 400, "PARAMETER_INVALID"),
    ("CodeSystem/$subsumes?system=urn:x&codeA=1&codeB=2", 404, "CODE_SYSTEM_UNKNOWN"),
    ("ConceptMap/$translate?system=urn:x&code=1&url=urn:none", 404, "CONCEPT_MAP_UNKNOWN"),
    ("ValueSet/nothing/$expand", 404, "VALUE_SET_UNKNOWN"),
)


async def test_what_is_wrong_is_said(whole):
    for path, status, reason in MISTAKES:
        answer = await whole.get(f"{FHIR}/{path}")
        assert answer.status_code == status, answer.text
        assert reason in str(answer.json()["issue"][0]["details"]), path


async def test_what_is_loaded_over_http_is_known_to_fhir_at_once(hospital):
    client = await hospital("10661", "user/*.cruds terminology.write")
    part = {
        "name": "http://hl7.org/fhir/sid/icd-10",
        "version": "2019",
        "digest": "0" * 64,
        "offset": "0",
        "isLast": True,
    }
    rows = [{"code": "A00", "display": "Cholera"}, {"code": "A00.0", "display": "Biovar", "parents": ["A00"]}]
    loaded = await client.post("/v1/terminology/concepts:load", json={"part": part, "concepts": rows})
    assert loaded.status_code == 200, loaded.text
    assert (loaded.json()["load"]["rows"], loaded.json()["load"]["isCurrent"]) == ("2", True)
    found = await client.get(f"{FHIR}/CodeSystem/$lookup", params={"system": part["name"], "code": "A00"})
    assert values(found, "display") == ["Cholera"]
    refused = await client.post(
        "/v1/terminology/concepts:load", json={"part": {**part, "digest": "x"}, "concepts": rows}
    )
    assert refused.status_code == 400
    assert (await client.get("/v1/terminology/loads")).json()["loads"][0]["name"] == part["name"]
