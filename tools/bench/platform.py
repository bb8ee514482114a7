"""The first suite: what a visit costs, from the edge down, each figure beside its raw limit in the same run."""

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import httpx
import orjson
import psutil
import uvloop
from nhip.patient_index.v1 import resources_pb2, service_pb2, service_pb2_grpc
from nhip.types.v1 import types_pb2
from rich.console import Console

from libs.thai import identifiers as identifiers_of
from tools.measure import limits
from tools.measure.http import Load, closed_loop, load, request_bytes
from tools.measure.results import Result, median, result, show, write
from tools.nhip.edge import EdgeClient
from tools.nhip.enrol import client_id
from tools.nhip.journey.session import Session, program_login
from tools.nhip.platform import Platform
from tools.nhip.sample import Sample
from tools.population.people import Household, PeopleMaker, Person

CONNECTIONS = 64
PEOPLE = 2000
SEED = 5
RUNS = 3
REQUESTS = 3000
CONDITIONS = f"{CONNECTIONS} connections, {REQUESTS} requests, median of {RUNS} runs, audited, client on the same cores"
# Registrations in one call, calls, and registrations one by one.
BATCH, BATCHES, SINGLES = 1000, 6, 600
FACILITY = "99001"
ICD_10 = "http://hl7.org/fhir/sid/icd-10"


@dataclass
class Stand:
    """The platform with the sample's hospital A, and a program of it."""

    platform: Platform
    sample: Sample
    token: str
    patient_ids: list[str] = field(default_factory=list)
    observation_ids: list[str] = field(default_factory=list)

    @property
    def headers(self) -> dict[str, str]:
        """Of every request."""
        return {"authorization": f"Bearer {self.token}", "content-type": "application/fhir+json"}


def main() -> int:
    """Runs the suite; 1 when a promise is missed."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="nhip-bench-") as folder:
        # The account that runs PostgreSQL in root's stead passes through.
        Path(folder).chmod(0o711)
        results = _measure(Path(folder, "home"), console)
    show(results, console)
    console.print(f"written to {write('platform', results)}")
    return 0 if all(one.is_met for one in results) else 1


def _measure(home: Path, console: Console) -> list[Result]:
    with Platform(home, report=console.print) as platform:
        sample = Sample(platform, PEOPLE, SEED, Console(file=StringIO()))
        sample.write()
        sample.enrol()
        results = [_import(platform, sample)]
        console.print("imported")
        stand = _stand(platform, sample)
        results += _loads(stand, console)
        results += uvloop.run(_registrations(stand))
        results.append(_feed_lag(stand))
    began = time.perf_counter()
    with Platform(home) as platform:
        started = time.perf_counter() - began
        resident = _resident_bytes(platform) / 2**20
    results.append(result("second_start", started, "s", "all services healthy, data of the sample", floor=10))
    results.append(
        result("resident_memory", resident, "MiB", "all Python processes, after the start", floor=1.2 * 1024)
    )
    return results


def _import(platform: Platform, sample: Sample) -> Result:
    facility = sample.population.hospital_a
    credentials = platform.home.client(client_id(facility))
    with EdgeClient(platform.edge_url, credentials, purpose="PURPOSE_OF_USE_OPERATIONS") as edge:
        began = time.perf_counter()
        queued = edge.upload(sample.file("f43", facility.hcode), "IMPORT_FORMAT_F43")
        *_, found = edge.follow(queued["importId"])
        seconds = time.perf_counter() - began
    rows = int(found["rowsTotal"])
    copied = uvloop.run(_copy_limit(platform, rows))
    return result(
        "f43_import",
        rows / seconds,
        "rows/s",
        f"{rows} rows of {PEOPLE} people, one upload, from its first byte until every row is searchable",
        limit=copied,
        limit_name="COPY of as many 1 KB rows",
        floor=3000,
    )


async def _copy_limit(platform: Platform, rows: int) -> float:
    connection = await asyncpg.connect(platform.databases.url("records"))
    try:
        await connection.execute("CREATE TABLE bench_copy (id bigint PRIMARY KEY, key text, body bytea)")
        await connection.execute("CREATE INDEX ON bench_copy (key)")
        body = os.urandom(1000)
        began = time.perf_counter()
        await connection.copy_records_to_table("bench_copy", records=[(n, str(n), body) for n in range(rows)])
        seconds = time.perf_counter() - began
        await connection.execute("DROP TABLE bench_copy")
    finally:
        await connection.close()
    return rows / seconds


def _stand(platform: Platform, sample: Sample) -> Stand:
    facility = sample.population.hospital_a
    credentials = platform.home.client(client_id(facility))
    login = program_login(credentials.client_id, credentials.client_secret, "PURPOSE_OF_USE_TREATMENT")
    answer = httpx.post(f"{platform.edge_url}/oauth2/token", data=login, trust_env=False)
    answer.raise_for_status()
    stand = Stand(platform, sample, answer.json()["access_token"])
    stand.patient_ids = _ids(stand, "Patient")
    stand.observation_ids = _ids(stand, "Observation")
    return stand


def _ids(stand: Stand, kind: str) -> list[str]:
    answer = httpx.get(
        f"{stand.platform.edge_url}/fhir/R4/{kind}", params={"_count": 500}, headers=stand.headers, trust_env=False
    )
    answer.raise_for_status()
    return [entry["resource"]["id"] for entry in answer.json()["entry"]]


def _observation(stand: Stand, number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": f"Patient/{stand.patient_ids[number % len(stand.patient_ids)]}"},
        "effectiveDateTime": datetime.now(UTC).isoformat(timespec="seconds"),
        "valueQuantity": {
            "value": 60 + number % 60,
            "unit": "/min",
            "system": "http://unitsofmeasure.org",
            "code": "/min",
        },
    }


def _transaction(stand: Stand, number: int) -> bytes:
    entries = [
        {"resource": _observation(stand, number * 20 + place), "request": {"method": "POST", "url": "Observation"}}
        for place in range(20)
    ]
    return orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _loads(stand: Stand, console: Console) -> list[Result]:
    patients, observations, headers = stand.patient_ids, stand.observation_ids, stand.headers

    def read(number: int) -> bytes:
        return request_bytes("GET", f"/fhir/R4/Observation/{observations[number % len(observations)]}", headers)

    def create(number: int) -> bytes:
        return request_bytes("POST", "/fhir/R4/Observation", headers, orjson.dumps(_observation(stand, number)))

    def search(number: int) -> bytes:
        patient = patients[number % len(patients)]
        return request_bytes("GET", f"/fhir/R4/Observation?patient={patient}&code=http://loinc.org%7C8867-4", headers)

    def transaction(number: int) -> bytes:
        return request_bytes("POST", "/fhir/R4", headers, _transaction(stand, number))

    empty = uvloop.run(limits.empty_rpcs(4 * REQUESTS)).rate
    url = stand.platform.databases.url("records")
    select = "SELECT * FROM resources WHERE type = $1 AND id = $2"
    chosen = [("Observation", one) for one in observations]
    selected = uvloop.run(limits.bare_sql(url, select, chosen, 2 * REQUESTS)).rate
    insert = (
        "INSERT INTO remembered_requests (subject, request_id, method, request_hash, response) "
        "VALUES ($1, gen_random_uuid()::text, '', '', $2)"
    )
    inserted = uvloop.run(limits.bare_sql(url, insert, [("bench", os.urandom(900))], REQUESTS)).rate
    console.print("raw limits measured")
    results = [
        _rate("edge_read_by_id", stand, read, 200, REQUESTS, selected, "bare asyncpg SELECT by key", 600),
        _rate("edge_create", stand, create, 201, REQUESTS, inserted, "bare asyncpg INSERT of 1 KB", 250),
        _rate("edge_search_observation", stand, search, 200, REQUESTS, empty, "empty RPC through the chain", None),
        _rate("edge_transaction_20", stand, transaction, 200, 200, inserted / 20, "20 bare INSERTs", None),
    ]
    results.append(result("empty_rpc", empty, "calls/s", f"{limits.CONCURRENCY} concurrent, through the chain"))
    return results


def _rate(
    name: str,
    stand: Stand,
    next_request: Callable[[int], bytes],
    expected: int,
    total: int,
    limit: float,
    limit_name: str,
    floor: float | None,
) -> Result:
    runs: list[Load] = []
    for _ in range(RUNS):
        found = uvloop.run(
            load(stand.platform.edge_url, next_request, total, connections=CONNECTIONS, expected=expected)
        )
        if set(found.statuses) != {expected}:
            raise RuntimeError(f"{name}: {dict(found.statuses)}: {found.first_surprise.decode(errors='replace')}")
        runs.append(found)
    rate = median([run.rate for run in runs])
    p50, p99 = (median([run.percentile(share) for run in runs]) * 1000 for share in (0.5, 0.99))
    conditions = f"{CONDITIONS.replace(str(REQUESTS), str(total))}; p50 {p50:.1f} ms, p99 {p99:.1f} ms"
    return result(name, rate, "requests/s", conditions, limit=limit, limit_name=limit_name, floor=floor)


def _people(stand: Stand, count: int) -> list[resources_pb2.Registration]:
    """People of a population of their own, as a hospital registers them."""
    population = stand.sample.population
    facilities = (population.hospital_a, population.hospital_b, population.health_centre)
    today = datetime.now(UTC).date()
    maker = PeopleMaker(SEED + 1, today, facilities, population.outbreak_district)
    people = ((household, person) for household in maker.households(count) for person in household.members)
    return [_registration(household, person) for household, person in islice(people, count)]


def _registration(household: Household, person: Person) -> resources_pb2.Registration:
    identifiers = [types_pb2.Identifier(system=identifiers_of.CITIZEN_ID, value=person.citizen_id)]
    return resources_pb2.Registration(
        organization_id=FACILITY,
        local_number=f"B{person.number}",
        identifiers=identifiers if person.citizen_id else [],
        names=[
            types_pb2.PersonName(language="th", given=person.given_th, family=person.family_th),
            types_pb2.PersonName(language="en", given=person.given_en, family=person.family_en),
        ],
        sex=types_pb2.SEX_MALE if person.sex == "male" else types_pb2.SEX_FEMALE,
        birth_date=person.born.isoformat(),
        address=types_pb2.Address(place_code=household.place_code),
        phone=person.phone,
        nationality=person.nation,
    )


async def _registrations(stand: Stand) -> list[Result]:
    people = _people(stand, BATCHES * BATCH + SINGLES)
    address = stand.platform.state.services["patient_index"].address
    metadata = (("authorization", f"Bearer {stand.token}"),)
    async with grpc.aio.insecure_channel(address) as channel:
        stub = service_pb2_grpc.PatientIndexServiceStub(channel)

        async def batch(number: int) -> None:
            registrations = people[number * BATCH : (number + 1) * BATCH]
            answer = await stub.BatchRegister(
                service_pb2.BatchRegisterRequest(registrations=registrations), metadata=metadata, timeout=60
            )
            refused = [one.error_reason for one in answer.results if one.error_reason]
            if refused:
                raise RuntimeError(f"registration refused: {refused[0]}")

        async def single(number: int) -> None:
            request = service_pb2.RegisterRequest(registration=people[BATCHES * BATCH + number])
            await stub.Register(request, metadata=metadata, timeout=30)

        rates = [BATCH * (await closed_loop(lambda _, turn=turn: batch(turn), 1, 1)).rate for turn in range(BATCHES)]  # type: ignore[misc]  # turn is bound for each
        known = [BATCH * (await closed_loop(lambda _, turn=turn: batch(turn), 1, 1)).rate for turn in range(BATCHES)]  # type: ignore[misc]  # the same
        singles = await closed_loop(single, SINGLES, 8)
    conditions = f"{BATCH} new people a call, one call at a time, median of {BATCHES} calls, matching on"
    return [
        result("registration_batch", median(rates), "registrations/s", conditions, floor=2000),
        result("registration_batch_known", median(known), "registrations/s", "the same again"),
        result("registration_single", singles.rate, "registrations/s", "new people, 8 concurrent calls, matching on"),
    ]


def _feed_lag(stand: Stand) -> Result:
    """From the commit of a diagnosis in records to the commit of its case in surveillance, as both databases say."""
    clients = stand.platform.home
    ddc = clients.client("ddc-surveillance")
    watcher = Session(
        stand.platform.edge_url, "ddc", program_login(ddc.client_id, ddc.client_secret, "PURPOSE_OF_USE_PUBLIC_HEALTH")
    )
    lags = []
    for patient in stand.patient_ids[:20]:
        condition = {
            "resourceType": "Condition",
            "subject": {"reference": f"Patient/{patient}"},
            "code": {"coding": [{"system": ICD_10, "code": "A90"}]},
            "onsetDateTime": "2020-01-01",
        }
        answer = httpx.post(
            f"{stand.platform.edge_url}/fhir/R4/Condition",
            content=json.dumps(condition),
            headers=stand.headers,
            trust_env=False,
        )
        answer.raise_for_status()
        committed = datetime.fromisoformat(answer.json()["meta"]["lastUpdated"])
        lags.append(_case_delay(watcher, patient, committed))
    watcher.close()
    return result("feed_lag_p50", median(lags) * 1000, "ms", "diagnosis in records → case in surveillance, 20 of them")


def _case_delay(watcher: Session, patient: str, committed: datetime) -> float:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        query = {"registration_id": patient, "from_date": "2020-01-01", "to_date": "2020-01-01"}
        cases = watcher.get("/v1/surveillance/cases", **query).body.get("cases", [])
        if cases:
            return (datetime.fromisoformat(cases[0]["recordedAt"]) - committed).total_seconds()
        time.sleep(0.02)
    raise RuntimeError("a case did not come within 10 s")


def _resident_bytes(platform: Platform) -> int:
    """Of the eight services and of the supervisor, which is this process."""
    services = (psutil.Process(service.pid) for service in platform.state.services.values())
    return sum(process.memory_info().rss for process in (psutil.Process(), *services))


if __name__ == "__main__":
    raise SystemExit(main())
