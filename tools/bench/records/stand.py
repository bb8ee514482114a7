"""The platform under load: a hospital, its program, and people with a few resources each, filed by the import's own way."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from io import StringIO
from typing import Any, Final

import grpc
import httpx
import orjson
import uvloop
from nhip.records.v1 import resources_pb2, service_pb2, service_pb2_grpc
from rich.console import Console

from libs.thai import citizen_id
from tools.measure.http import closed_loop
from tools.nhip.edge import EdgeClient
from tools.nhip.enrol import facilities
from tools.nhip.journey.session import program_login
from tools.nhip.platform import Platform
from tools.nhip.sample import Sample
from tools.population.people import PeopleMaker, Person

FACILITY: Final = "99001"
HOSPITAL_NUMBER: Final = f"https://terms.sil-th.org/hcode/5/{FACILITY}/HN"
CITIZEN_ID: Final = "https://terms.sil-th.org/id/th-cid"
LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
CODES: Final = tuple(f"{1000 + number}-{number % 10}" for number in range(40))
OBSERVATIONS: Final = 2
BATCH, CALLS = 500, 3
_SEED, _NEWCOMERS = 11, 10_000_000
_IMPORTER: Final = "bench-import"
_BULK: Final = "bench-bulk"
# So often an import is asked how it goes.
_LOOK_SECONDS: Final = 0.25
_FAMILIES: Final = ("ใจดี", "สุขสันต์", "ทองคำ", "แสงจันทร์", "ศรีสุข", "บุญมา", "พรหมมา", "แก้วใส")
_GIVEN: Final = ("สมชาย", "สมหญิง", "มานี", "ปิติ", "ชูใจ", "วีระ", "ดวงแก้ว", "กมล", "อรุณ")
Json = dict[str, Any]


@dataclass
class Stand:
    """The platform, tokens of a program for treatment and of importers, and how many people there are."""

    platform: Platform
    token: str
    import_token: str
    bulk_token: str
    # People whom nobody knows yet.
    newcomers: Iterator[Person]
    people: int = 0
    created: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """Of every request."""
        return {"authorization": f"Bearer {self.token}", "content-type": "application/fhir+json"}

    @property
    def database(self) -> str:
        """The URL of records' database."""
        return self.platform.databases.url("records")

    def next_number(self) -> int:
        """A number that nothing was created under yet."""
        self.created += 1
        return 10_000_000 + self.created

    def fill(self, people: int) -> float:
        """Files people until there are so many, with their observations; of these resources per second."""
        numbers = range(self.people, people)
        self.people = people
        # An observation refers to a Patient that is there.
        self.file([patient(number) for number in numbers])
        return self.file([one for number in numbers for one in observations_of(number)])

    def file(self, resources: Sequence[Json]) -> float:
        """Files resources by the import's RPC, as exchange does; resources per second."""
        return uvloop.run(_file(self, resources))

    def import_lines(self, resources: Sequence[Json]) -> float:
        """Imports resources by `$import` at the edge, as an upload, until the last is stored; resources per second.

        Raises RuntimeError where one of them is not created.
        """
        lines = b"".join(orjson.dumps(one) + b"\n" for one in resources)
        headers = {
            "authorization": f"Bearer {self.bulk_token}",
            "content-type": "application/fhir+ndjson",
            "prefer": "respond-async",
        }
        with httpx.Client(headers=headers, timeout=60, trust_env=False) as client:
            begun = time.perf_counter()
            answer = client.post(f"{self.platform.edge_url}/fhir/R4/$import", content=lines).raise_for_status()
            status = answer.headers["content-location"]
            while (answer := client.get(status)).status_code == HTTPStatus.ACCEPTED:
                time.sleep(_LOOK_SECONDS)
            seconds = time.perf_counter() - begun
        told = answer.raise_for_status().json()
        if told["error"] or told["output"][0]["count"] != len(resources):
            raise RuntimeError(f"the import was not taken whole: {told}")
        return len(resources) / seconds


def open_stand(platform: Platform) -> Stand:
    """Enrols a hospital and its programs."""
    sample = Sample(platform, 60, 1, Console(file=StringIO()))
    sample.write()
    sample.enrol()
    tokens = []
    with EdgeClient(platform.edge_url, platform.bootstrap_client, purpose="PURPOSE_OF_USE_OPERATIONS") as edge:
        for name, scope in ((_IMPORTER, "records.import"), (_BULK, "system/*.cu")):
            secret = platform.home.client(name).client_secret
            client = {"clientId": name, "organizationId": FACILITY, "name": "Bench", "scopes": [scope]}
            edge.post("/v1/clients", {"client": client, "clientSecret": secret})
            tokens.append(_token(platform, program_login(name, secret, "PURPOSE_OF_USE_OPERATIONS")))
    program = platform.home.client(f"facility-{FACILITY}")
    login = program_login(program.client_id, program.client_secret, "PURPOSE_OF_USE_TREATMENT")
    population = sample.population
    maker = PeopleMaker(_SEED, datetime.now(UTC).date(), facilities(population), population.outbreak_district)
    newcomers = (person for household in maker.households(_NEWCOMERS) for person in household.members)
    importing, bulk = tokens
    return Stand(platform, _token(platform, login), importing, bulk, newcomers)


def _token(platform: Platform, login: dict[str, str]) -> str:
    answer = httpx.post(f"{platform.edge_url}/oauth2/token", data=login, trust_env=False).raise_for_status()
    return str(answer.json()["access_token"])


async def _file(stand: Stand, resources: Sequence[Json]) -> float:
    batches = [
        service_pb2.ImportResourcesRequest(
            resources=[
                service_pb2.ImportResource(type=one["resourceType"], id=one["id"], body=orjson.dumps(one))
                for one in resources[start : start + BATCH]
            ]
        )
        for start in range(0, len(resources), BATCH)
    ]
    metadata = (("authorization", f"Bearer {stand.import_token}"),)
    async with grpc.aio.insecure_channel(stand.platform.state.services["records"].address) as channel:
        stub = service_pb2_grpc.RecordsServiceStub(channel)

        async def call(number: int) -> None:
            answer = await stub.ImportResources(batches[number], metadata=metadata, timeout=60)
            refused = [one for one in answer.results if one.outcome == resources_pb2.WRITE_OUTCOME_REJECTED]
            if refused:
                raise RuntimeError(f"{refused[0].error_reason}: {refused[0].error_message}")

        found = await closed_loop(call, len(batches), 1 if len(batches) < CALLS else CALLS)
    return len(resources) / found.seconds


def observations_of(number: int) -> Iterator[Json]:
    """The Observations of a person who was filled in."""
    for place in range(number * OBSERVATIONS, (number + 1) * OBSERVATIONS):
        yield {**observation(patient_id(number), place), "id": observation_id(place)}


def patient_id(number: int) -> str:
    """The id of a Patient that was filled in."""
    return f"bench-{number}"


def observation_id(number: int) -> str:
    """The id of an Observation that was filled in."""
    return f"bench-o-{number}"


def code_of(number: int) -> str:
    """The code of the Observation of this number."""
    return CODES[number * 7 % len(CODES)]


def citizen_number(number: int) -> str:
    """A citizen id of nobody."""
    return citizen_id.make(f"9{number:011d}")


def newcomer(person: Person) -> Json:
    """A Patient whom nobody knows yet."""
    number = {"system": HOSPITAL_NUMBER, "value": f"N{person.number}"}
    known = [{"system": CITIZEN_ID, "value": person.citizen_id}] if person.citizen_id else []
    return {
        "resourceType": "Patient",
        "identifier": [number, *known],
        "name": [{"use": "official", "family": person.family_th, "given": [person.given_th]}],
        "gender": person.sex,
        "birthDate": person.born.isoformat(),
    }


def patient(number: int) -> Json:
    """A Patient who is filled in."""
    return {
        "resourceType": "Patient",
        "id": patient_id(number),
        "identifier": [
            {"system": HOSPITAL_NUMBER, "value": f"B{number}"},
            {"system": CITIZEN_ID, "value": citizen_number(number)},
        ],
        "name": [{"use": "official", "family": family(number), "given": [_GIVEN[number % len(_GIVEN)]]}],
        "gender": "female" if number % 2 else "male",
        "birthDate": born(number).isoformat(),
    }


def family(number: int) -> str:
    """A family name, of which there are several thousand."""
    return _FAMILIES[number % len(_FAMILIES)] + _FAMILIES[number // 8 % len(_FAMILIES)] + _GIVEN[number // 64 % 9]


def born(number: int) -> date:
    """A day of birth."""
    return date(1940, 1, 1) + timedelta(days=number * 37 % 29_000)


def observation(subject: str, number: int) -> Json:
    """A small Observation: what a nurse writes down."""
    day = date(2015, 1, 1) + timedelta(days=number * 13 % 4000)
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code_of(number)}]},
        "subject": {"reference": f"Patient/{subject}"},
        "effectiveDateTime": f"{day.isoformat()}T08:{number % 60:02d}:00+07:00",
        "valueQuantity": {"value": 60 + number % 60, "unit": "/min", "system": UCUM, "code": "/min"},
    }
