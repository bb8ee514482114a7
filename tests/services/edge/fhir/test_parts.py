"""Parts of a resource, by a read and by a search: https://hl7.org/fhir/R4/http.html#general, search.html#elements."""

from tests.services.edge.fhir.bad_input.refusing import BASE, a_hospital, told


async def test_a_part_says_that_it_is_one_and_keeps_its_digits(whole):
    hospital = await a_hospital(whole)
    created = await hospital.post(hospital.text('"valueQuantity":{"value":1.10},"note":[{"text":"x"}]'))
    address = f"{BASE}/Observation/{created.json()['id']}"
    for query, shown, hidden in (
        ("_summary=true", {"status", "code", "valueQuantity"}, {"note"}),
        ("_summary=data", {"status", "note", "valueQuantity"}, {"text"}),
        ("_summary=text", {"status", "code"}, {"valueQuantity", "note"}),
        ("_elements=valueQuantity,subject", {"status", "code", "valueQuantity", "subject"}, {"note"}),
    ):
        one = await whole.get(f"{address}?{query}")
        version = await whole.get(f"{address}/_history/1?{query}")
        found = await whole.get(f"{BASE}/Observation?{query}")
        assert one.headers["etag"] == 'W/"1"'
        assert one.json() == version.json() == found.json()["entry"][0]["resource"]
        assert one.json()["meta"]["tag"][0]["code"] == "SUBSETTED"
        assert shown <= one.json().keys()
        assert not hidden & one.json().keys()
        if "valueQuantity" in shown:
            assert '"value":1.10' in one.text
            assert '"value":1.10' in found.text
    whole_again = await whole.get(f"{address}?_summary=false&_format=json&_pretty=true")
    assert "tag" not in whole_again.json()["meta"]


async def test_a_read_passes_over_nothing_in_silence(whole):
    hospital = await a_hospital(whole)
    address = f"{BASE}/Patient/{hospital.patient}"
    for query, place in (
        ("_elemnets=name", "_elemnets"),
        ("_summary=count", "_summary"),
        ("_elements=name,,id", "_elements"),
        ("gender=male", "gender"),
    ):
        assert told(await whole.get(f"{address}?{query}")) == (400, "invalid", place)
        assert told(await whole.get(f"{address}/_history/1?{query}")) == (400, "invalid", place)
    lenient = await whole.get(f"{address}?gender=male", headers={"prefer": "handling=lenient"})
    assert lenient.status_code == 200
