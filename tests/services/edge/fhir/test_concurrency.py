"""Changes of one resource that are made at the same time: none is lost."""

import asyncio

from tests.services.edge.fhir.bad_input.refusing import BASE, FHIR_JSON, a_hospital, told

WRITERS = 16


async def test_of_writers_over_one_version_one_wins_and_the_others_are_told(whole):
    hospital = await a_hospital(whole)
    filed = await hospital.file()

    async def write(number: int):
        body = hospital.observation(id=filed, valueInteger=number)
        headers = {**FHIR_JSON, "if-match": 'W/"1"'}
        return await whole.put(f"{BASE}/Observation/{filed}", json=body, headers=headers)

    answers = await asyncio.gather(*map(write, range(WRITERS)))
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert {told(answer)[:2] for answer in answers if answer not in won} == {(412, "conflict")}
    read = await whole.get(f"{BASE}/Observation/{filed}")
    assert (read.headers["etag"], read.json()["valueInteger"]) == ('W/"2"', won[0].json()["valueInteger"])


async def test_writers_who_hold_no_version_each_make_one(whole):
    hospital = await a_hospital(whole)
    filed = await hospital.file()

    async def write(number: int):
        body = hospital.observation(id=filed, valueInteger=number)
        return await whole.put(f"{BASE}/Observation/{filed}", json=body, headers=FHIR_JSON)

    answers = await asyncio.gather(*map(write, range(WRITERS)))
    assert {answer.status_code for answer in answers} == {200}
    versions = {int(answer.headers["etag"][3:-1]): answer.json()["valueInteger"] for answer in answers}
    assert sorted(versions) == list(range(2, WRITERS + 2))
    history = (await whole.get(f"{BASE}/Observation/{filed}/_history?_count=100")).json()
    kept = {one["response"]["etag"]: one["resource"].get("valueInteger") for one in history["entry"]}
    assert kept == {'W/"1"': None, **{f'W/"{version}"': number for version, number in versions.items()}}


async def test_patches_at_the_same_time_all_count(whole):
    hospital = await a_hospital(whole)
    filed = await hospital.file(note=[{"text": "first"}])

    async def patch(number: int):
        change = [{"op": "add", "path": "/note/-", "value": {"text": str(number)}}]
        return await whole.patch(
            f"{BASE}/Observation/{filed}", json=change, headers={"content-type": "application/json-patch+json"}
        )

    answers = await asyncio.gather(*map(patch, range(WRITERS)))
    assert {answer.status_code for answer in answers} == {200}
    notes = (await whole.get(f"{BASE}/Observation/{filed}")).json()["note"]
    assert sorted(one["text"] for one in notes) == sorted(["first", *map(str, range(WRITERS))])


async def test_a_deletion_and_an_update_at_the_same_time_follow_each_other(whole):
    hospital = await a_hospital(whole)
    filed = await hospital.file()
    body = hospital.observation(id=filed, valueInteger=1)
    update = whole.put(f"{BASE}/Observation/{filed}", json=body, headers=FHIR_JSON)
    updated, deleted = await asyncio.gather(update, whole.delete(f"{BASE}/Observation/{filed}"))
    assert (updated.status_code, deleted.status_code) in {(200, 204), (201, 204)}
    history = (await whole.get(f"{BASE}/Observation/{filed}/_history")).json()["entry"]
    assert [one["response"]["etag"] for one in history] == ['W/"3"', 'W/"2"', 'W/"1"']


async def test_of_creations_under_one_condition_at_the_same_time_one_is_made(whole):
    hospital = await a_hospital(whole)
    body = hospital.observation(identifier=[{"system": "urn:x", "value": "1"}])
    headers = {**FHIR_JSON, "if-none-exist": "identifier=urn:x|1"}
    answers = await asyncio.gather(
        *(whole.post(f"{BASE}/Observation", json=body, headers=headers) for _ in range(WRITERS))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * (WRITERS - 1) + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
