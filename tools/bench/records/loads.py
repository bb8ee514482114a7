"""What clients ask of the edge, and how fast they are answered."""

import uuid
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import orjson
import uvloop

from tools.bench.records import stand as of
from tools.bench.records.stand import Json, Stand
from tools.measure.http import Load, load, request_bytes
from tools.measure.results import Result, median, result

CONNECTIONS: Final = 64
RUNS: Final = 3
_FHIR: Final = "/fhir/R4"
_ICD_10: Final = "http://hl7.org/fhir/sid/icd-10"
_ENTRIES: Final = (50, 100, 200, 500)
Request = Callable[[int], bytes]


def read(stand: Stand, number: int) -> bytes:
    """An Observation by its id."""
    one = of.observation_id(number * 7919 % (stand.people * of.OBSERVATIONS))
    return request_bytes("GET", f"{_FHIR}/Observation/{one}", stand.headers)


def create(stand: Stand, number: int) -> bytes:
    """A small Observation."""
    subject = of.patient_id(number % stand.people)
    return _post(stand, f"{_FHIR}/Observation", of.observation(subject, stand.next_number()))


def create_patient(stand: Stand, _: int) -> bytes:
    """A person whom nobody knows yet: registered, matched and filed."""
    return _post(stand, f"{_FHIR}/Patient", of.newcomer(next(stand.newcomers)))


def search_identifier(stand: Stand, number: int) -> bytes:
    """A person by their citizen id."""
    value = of.citizen_number(number * 7919 % stand.people)
    return _get(stand, f"Patient?identifier={quote(f'{of.CITIZEN_ID}|{value}')}")


def search_observation(stand: Stand, number: int) -> bytes:
    """Observations of a person by code."""
    person = number * 7919 % stand.people
    code = of.code_of(person * of.OBSERVATIONS)
    return _get(stand, f"Observation?patient={of.patient_id(person)}&code={quote(f'{of.LOINC}|{code}')}")


def search_mix(stand: Stand, number: int) -> bytes:
    """What applications ask for, in turn: by identifier, name, day of birth, person and code, person by date, code by date."""
    person = number * 7919 % stand.people
    subject = of.patient_id(person)
    queries = (
        f"Patient?identifier={quote(f'{of.CITIZEN_ID}|{of.citizen_number(person)}')}",
        f"Patient?family={quote(of.family(person))}&birthdate={of.born(person)}",
        f"Patient?birthdate={of.born(person)}&gender={'female' if person % 2 else 'male'}&_count=20",
        f"Observation?patient={subject}&code={quote(f'{of.LOINC}|{of.code_of(person * of.OBSERVATIONS)}')}",
        f"Observation?patient={subject}&_sort=-date&_count=10",
        f"Observation?code={quote(f'{of.LOINC}|{of.code_of(number)}')}&_sort=-date&_count=20",
        f"Observation?subject=Patient/{subject}&_include=Observation:subject",
    )
    return _get(stand, queries[number % len(queries)])


def mixed(stand: Stand, number: int) -> bytes:
    """Of ten requests five read, two search, two create and one updates."""
    turn = number % 10
    if turn < 5:  # noqa: PLR2004 five of ten, as the docstring says
        return read(stand, number)
    if turn < 7:  # noqa: PLR2004 the same
        return (search_identifier, search_observation)[turn - 5](stand, number)
    if turn < 9:  # noqa: PLR2004 the same
        return create(stand, number)
    place = number * 7919 % (stand.people * of.OBSERVATIONS)
    made = of.observation(of.patient_id(place // of.OBSERVATIONS), place)
    made["valueQuantity"]["value"] = stand.next_number()
    one = of.observation_id(place)
    return request_bytes(
        "PUT", f"{_FHIR}/Observation/{one}", stand.headers, orjson.dumps({**made, "id": one, "status": "amended"})
    )


def transaction(stand: Stand, number: int, entries: int = 20) -> bytes:
    """Observations of one person."""
    subject = of.patient_id(number % stand.people)
    made = [_entry(of.observation(subject, stand.next_number())) for _ in range(entries)]
    return _post(stand, _FHIR, {"resourceType": "Bundle", "type": "transaction", "entry": made})


def bundle(stand: Stand, number: int) -> bytes:
    """A person new to the hospital with their visits: encounters, diagnoses, measurements, orders, which refer to each other."""
    size = _ENTRIES[number % len(_ENTRIES)]
    person = _urn()
    made = [_entry(of.newcomer(next(stand.newcomers)), person)]
    while len(made) < size:
        visit = _urn()
        made.append(_entry(_encounter(person), visit))
        made.append(_entry(_condition(person, visit)))
        made += [_entry(_measured(person, visit, stand.next_number())) for _ in range(6)]
        made.append(_entry(_order(person, visit)))
    entries = {"resourceType": "Bundle", "type": "transaction", "entry": made[:size]}
    return _post(stand, _FHIR, entries)


def bundle_entries(total: int) -> int:
    """How many resources so many bundles bring."""
    return sum(_ENTRIES[number % len(_ENTRIES)] for number in range(total))


def drive(
    name: str,
    stand: Stand,
    make: Callable[[Stand, int], bytes],
    total: int,
    *,
    connections: int = CONNECTIONS,
    runs: int = RUNS,
    allowed: tuple[int, ...] = (200,),
) -> list[Load]:
    """Loads the edge; each run with other numbers. Raises RuntimeError when an answer is another than those allowed."""
    found = []
    for run in range(runs):
        one = uvloop.run(
            load(
                stand.platform.edge_url,
                lambda number, run=run: make(stand, run * total + number),  # type: ignore[misc]  # run is bound
                total,
                connections=connections,
                expected=allowed[0],
            )
        )
        if not set(one.statuses) <= set(allowed):
            raise RuntimeError(f"{name}: {dict(one.statuses)}: {one.first_surprise.decode(errors='replace')}")
        found.append(one)
    return found


def rate(
    name: str,
    stand: Stand,
    make: Callable[[Stand, int], bytes],
    total: int,
    *,
    allowed: tuple[int, ...] = (200,),
    limit: float | None = None,
    limit_name: str = "",
    floor: float | None = None,
) -> Result:
    """Answers per second at 64 connections."""
    runs = drive(name, stand, make, total, allowed=allowed)
    p50, p99 = (median([run.percentile(share) for run in runs]) * 1000 for share in (0.5, 0.99))
    conditions = (
        f"{CONNECTIONS} connections, {total} requests, median of {len(runs)} runs, {stand.people:,} people, audited, "
        f"client on the same cores; p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    )
    value = median([run.rate for run in runs])
    return result(name, value, "requests/s", conditions, limit=limit, limit_name=limit_name, floor=floor)


def _get(stand: Stand, path: str) -> bytes:
    return request_bytes("GET", f"{_FHIR}/{path}", stand.headers)


def _post(stand: Stand, path: str, body: Json) -> bytes:
    return request_bytes("POST", path, stand.headers, orjson.dumps(body))


def _entry(resource: Json, full_url: str = "") -> Json:
    entry: Json = {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}}
    return {"fullUrl": full_url or _urn(), **entry}


def _urn() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def _encounter(person: str) -> Json:
    return {
        "resourceType": "Encounter",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": person},
        "period": {"start": "2024-03-01T09:00:00+07:00", "end": "2024-03-01T09:20:00+07:00"},
    }


def _condition(person: str, visit: str) -> Json:
    return {
        "resourceType": "Condition",
        "subject": {"reference": person},
        "encounter": {"reference": visit},
        "code": {"coding": [{"system": _ICD_10, "code": "J06.9"}], "text": "Acute upper respiratory infection"},
        "onsetDateTime": "2024-03-01",
    }


def _measured(person: str, visit: str, number: int) -> Json:
    return {**of.observation("", number), "subject": {"reference": person}, "encounter": {"reference": visit}}


def _order(person: str, visit: str) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"coding": [{"system": "http://www.whocc.no/atc", "code": "N02BE01"}]},
        "subject": {"reference": person},
        "encounter": {"reference": visit},
        "authoredOn": "2024-03-01",
    }
