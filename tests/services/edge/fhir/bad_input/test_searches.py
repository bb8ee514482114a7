"""Attacks by patterns, and circles of references: over real services."""

from tests.services.edge.fhir.stored import a_patient, bundle_of

FHIR_JSON = {"content-type": "application/fhir+json"}


def an_observation(patient: str = "p", **changes) -> dict:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{patient}"},
        **changes,
    }


async def test_patterns_are_texts_and_circles_end(whole):
    created = await whole.post("/fhir/R4/Patient", json=a_patient(), headers=FHIR_JSON)
    subject = {"reference": f"Patient/{created.json()['id']}"}
    for attack in ("(a%2B)%2B$", "%25%25%25_", ".*.*.*.*.*x", "a" * 500, "%5B%5Ba-z"):
        for name in ("name", "name:contains", "name:exact", "_content"):
            answer = await whole.get(f"/fhir/R4/Patient?{name}={attack}")
            assert answer.status_code == 200, (name, attack, answer.text)
            assert "entry" not in answer.json()
    entries = [
        {
            "fullUrl": f"urn:uuid:{number}",
            "resource": an_observation(subject=subject, hasMember=[{"reference": f"urn:uuid:{(number + 1) % 3}"}]),
            "request": {"method": "POST", "url": "Observation"},
        }
        for number in range(3)
    ]
    made = await whole.post("/fhir/R4", content=bundle_of("transaction", *entries), headers=FHIR_JSON)
    assert made.status_code == 200, made.text
    first = made.json()["entry"][0]["response"]["location"].split("/")[-3]
    query = f"_id={first}&_include:iterate=Observation:has-member&_revinclude:iterate=Observation:has-member&_include:iterate=*"
    found = (await whole.get(f"/fhir/R4/Observation?{query}")).json()["entry"]
    kinds = [(one["resource"]["resourceType"], one["search"]["mode"]) for one in found]
    assert sorted(kinds) == [("Observation", "include")] * 2 + [("Observation", "match"), ("Patient", "include")]
