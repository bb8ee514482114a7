"""Ids with tricks, parameters that mean nothing, headers that lie: each a clear answer, and nothing is stored."""

from tests.services.edge.fhir.bad_input.refusing import BASE, FHIR_JSON, a_hospital, told

TRICKS = (
    *("..%2f..%2fmetadata", "%2e%2e", "..%5c..", "%00", "a%00b", "a" * 65, "a" * 3000, "%E0%B8%81", "a%20b", "%252e"),
    *("a;b", "a%0d%0aSet-Cookie:%20x", "%24export", "'%20OR%201=1", "{id}", "a,b", "%F0%9F%98%80"),
)
# Query → the parameter that is named. The answer is 400.
REFUSED = {
    "Patient?_count=-1": "_count",
    "Patient?_count=1.5": "_count",
    "Patient?_count=": "_count",
    "Patient?_count=%E0%B9%91": "_count",
    "Patient?_page=forged": "_page",
    "Patient/_history?_page=forged": "_page",
    "Patient/_history?_count=x": "_count",
    "Patient/_history?_since=yesterday": "_since",
    "Patient?_sort=nothing": "_sort",
    "Patient?_summary=some": "_summary",
    "Patient?_total=about": "_total",
    "Patient?brithdate=2020": "brithdate",
    "Patient?name:sounds-like=x": "name:sounds-like",
    "Patient?name=": "name",
    "Patient?name=%00": "name",
    "Patient?birthdate=2020-13-01": "birthdate",
    "Patient?birthdate=gt": "birthdate",
    "Observation?value-quantity=1e999": "value-quantity",
    "Observation?value-quantity=1|2|3|4": "value-quantity",
    "Patient?_has:Thing:patient:code=1": "_has:Thing:patient:code",
    "Observation?_include=Observation:nothing": "_include",
    "Location?near=91|200": "near",
    "?_type=Thing": "_type",
    "Patient?=x": "",
    "Patient?%FF=1": "",
    "Patient?" + "&".join(["active=true"] * 101): "",
    "Patient?" + "&".join(["active=true"] * 1001): "",
    "Patient?name=" + "x" * 2049: "name",
    "Patient?active=" + ",".join(["true"] * 1001): "active",
    "Patient?birthdate=" + ",".join(["2020"] * 201): "birthdate",
    "Observation?" + ".".join(["has-member"] * 8) + ".code=x": ".".join(["has-member"] * 8) + ".code",
}


async def test_an_id_with_a_trick_is_nobodys(whole):
    hospital = await a_hospital(whole)
    before = await hospital.versions()
    for trick in TRICKS:
        address = f"{BASE}/Observation/{trick}"
        assert told(await whole.get(address))[:2] == (404, "not-found"), trick
        body = hospital.observation(id=trick)
        for verb in ("PUT", "PATCH", "DELETE"):
            answer = await whole.request(verb, address, json=body, headers=FHIR_JSON)
            # Two dots are an id like any other, of which there is nothing to delete.
            expected = {204, 404} if verb == "DELETE" else {400, 404, 405}
            assert answer.status_code in expected, (verb, trick, answer.text)
            assert "set-cookie" not in answer.headers
    for version in ("0", "-1", "1e3", "9" * 20, "%E0%B9%91", "..%2f1"):
        known = await whole.get(f"{BASE}/Patient/{hospital.patient}/_history/{version}")
        assert told(known)[:2] == (404, "not-found"), version
    assert told(await whole.get(f"{BASE}/Patient/%ff"))[:2] == (400, "invalid")
    assert told(await whole.get(f"{BASE}/patient/{hospital.patient}"))[:2] == (404, "not-supported")
    assert told(await whole.post(f"{BASE}/Thing", json={"resourceType": "Thing"}, headers=FHIR_JSON))[:2] == (
        *(404, "not-supported"),
    )
    assert await hospital.versions() == before


async def test_a_parameter_that_means_nothing_is_named(whole):
    await a_hospital(whole)
    for query, parameter in REFUSED.items():
        status, code, place = told(await whole.get(f"{BASE}/{query}"))
        assert (status, code, place) == (400, "invalid", parameter), query[:80]


async def test_a_page_is_never_larger_than_the_largest(whole):
    hospital = await a_hospital(whole)
    for count in ("1000000", "9" * 5000, "0001000"):
        answer = await whole.get(f"{BASE}/Patient?_count={count}")
        assert [one["resource"]["id"] for one in answer.json()["entry"]] == [hospital.patient]
    nothing = await whole.get(f"{BASE}/Patient?_count=0")
    assert (nothing.json()["total"], "entry" in nothing.json()) == (1, False)


async def test_a_thousand_alternatives_are_searched(whole):
    hospital = await a_hospital(whole)
    filed = await hospital.file()
    no_ids = [f"none-{number}" for number in range(999)]
    for query in (
        "_id=" + ",".join([*no_ids, filed]),
        "status=" + ",".join([*no_ids, "final"]),
        "status:not=" + ",".join(no_ids),
        "subject=" + ",".join([*(f"Patient/{one}" for one in no_ids), f"Patient/{hospital.patient}"]),
        "subject:Patient._id=" + ",".join([*no_ids, hospital.patient]),
        "_profile=" + ",".join([f"urn:{one}" for one in no_ids]) + "&_total=none",
    ):
        answer = await whole.get(f"{BASE}/Observation?{query}")
        assert answer.status_code == 200, (query[:40], answer.text)
        found = [one["resource"]["id"] for one in answer.json().get("entry", [])]
        assert found == ([] if query.startswith("_profile") else [filed]), query[:40]
    form = {"content-type": "application/x-www-form-urlencoded"}
    posted = await whole.post(
        f"{BASE}/Observation/_search", content="_id=" + ",".join([*(one * 6 for one in no_ids), filed]), headers=form
    )
    assert len(posted.json()["entry"]) == 1, posted.text


async def test_headers_that_lie_are_refused_or_pass_unheard(whole):
    hospital = await a_hospital(whole)
    address = f"{BASE}/Patient/{hospital.patient}"
    refused = {
        ("authorization", "Bearer x"): (401, "login"),
        ("authorization", "Basic eDp5"): (401, "login"),
        ("authorization", "Bearer " + "x" * 5000): (431, "invalid"),
        ("accept", "text/html"): (406, "not-supported"),
        ("accept", "application/fhir+json; fhirVersion=3.0"): (406, "not-supported"),
    }
    for (name, value), expected in refused.items():
        assert told(await whole.get(address, headers={name: value}))[:2] == expected, (name, value)
    for name, value in {
        "if-none-match": "x" * 300,
        "if-modified-since": "the day before yesterday",
        "nhip-position": "records/records@999999999.9",
        "prefer": "return=" + "x" * 1000,
        "x-forwarded-host": 'evil.example/"><script>',
        "x-http-method-override": "DELETE",
        "content-length": "0",
    }.items():
        answer = await whole.get(address, headers={name: value})
        assert answer.status_code == 200, (name, answer.text)
    for held in ("3", "W/3", 'W/"x"', 'W/"1", W/"2"', 'W/"-1"'):
        body = {"resourceType": "Patient", "id": hospital.patient}
        answer = await whole.put(address, json=body, headers={**FHIR_JSON, "if-match": held})
        assert told(answer) == (400, "invalid", "If-Match"), held
    for verb in ("POST", "TRACE", "BREW"):
        answer = await whole.request(verb, address)
        assert told(answer)[:2] == (405, "not-supported")
        assert "GET" in answer.headers["allow"]
    assert len(await hospital.versions()) == 1
