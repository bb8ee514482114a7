"""What a doctor waits for: everything of a person, their summary, the last of each code, advice on an order, an expansion.

python -m tools.bench.care

Through the edge, audited, one request after the other: a doctor is one. The person has a thousand resources. Writes
build/bench/care.json.
"""

import tempfile
import uuid
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import uvloop
from rich.console import Console

from tools.measure.http import Load, load, request_bytes
from tools.measure.results import Result, result, show, write
from tools.nhip.journey.session import program_login
from tools.nhip.platform import Platform
from tools.nhip.sample import Sample

RESOURCES: Final = 1000
REQUESTS: Final = 200
_FACILITY: Final = "99001"
_FHIR: Final = "/fhir/R4"
_CODES: Final = 40
_ALLERGIES, _ORDERS = 5, 20
_LOINC: Final = "http://loinc.org"
_CONDITIONS: Final = (
    f"one of {RESOURCES} resources, {REQUESTS} requests one after the other, audited, client on the same cores"
)
Json = dict[str, Any]


def main() -> int:
    """Runs the suite; 1 when a promise is missed."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="nhip-bench-") as folder:
        # The account that runs PostgreSQL in root's stead passes through.
        Path(folder).chmod(0o711)
        with Platform(Path(folder, "home")) as platform:
            results = measure(platform)
    show(results, console)
    console.print(f"written to {write('care', results)}")
    return 0 if all(one.is_met for one in results) else 1


def measure(platform: Platform) -> list[Result]:
    """The suite on a platform that runs, with the sample's organisations enrolled on it."""
    sample = Sample(platform, 60, 1, Console(file=StringIO()))
    sample.write()
    sample.enrol()
    credentials = platform.home.client(f"facility-{_FACILITY}")
    login = program_login(credentials.client_id, credentials.client_secret, "PURPOSE_OF_USE_TREATMENT")
    with httpx.Client(base_url=platform.edge_url, trust_env=False, timeout=60) as client:
        token = client.post("/oauth2/token", data=login).raise_for_status().json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        patient = _fill(client)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def asked(path: str) -> Load:
        return _drive(platform, lambda _: request_bytes("GET", path, headers))

    def advised(number: int) -> bytes:
        return request_bytes("POST", "/cds-services/nhip-order-sign", headers, orjson.dumps(_hook(patient, number)))

    everything = asked(f"{_FHIR}/Patient/{patient}/$everything")
    summary = asked(f"{_FHIR}/Patient/{patient}/$summary")
    last = asked(f"{_FHIR}/Observation/$lastn?patient={patient}")
    expanded = asked(f"{_FHIR}/ValueSet/$expand?url=http://terminology.hl7.org/ValueSet/v3-ActCode&count=20")
    advice = _drive(platform, advised)
    return [
        result("everything_p50_ms", everything.percentile(0.5) * 1000, "ms", _CONDITIONS, floor=60),
        result("everything_p99_ms", everything.percentile(0.99) * 1000, "ms", _CONDITIONS),
        result("summary_p50_ms", summary.percentile(0.5) * 1000, "ms", _CONDITIONS),
        result("lastn_p50_ms", last.percentile(0.5) * 1000, "ms", _CONDITIONS),
        result("expand_p50_ms", expanded.percentile(0.5) * 1000, "ms", "20 codes of v3-ActCode; the same"),
        result("order_sign_p50_ms", advice.percentile(0.5) * 1000, "ms", _CONDITIONS),
        result("order_sign_p99_ms", advice.percentile(0.99) * 1000, "ms", _CONDITIONS, floor=100),
    ]


def _drive(platform: Platform, request: Callable[[int], bytes]) -> Load:
    uvloop.run(load(platform.edge_url, request, 10, connections=1))
    found = uvloop.run(load(platform.edge_url, request, REQUESTS, connections=1))
    if found.first_surprise:
        raise RuntimeError(found.first_surprise.decode(errors="replace"))
    return found


def _fill(client: httpx.Client) -> str:
    """One person with a thousand resources; the id of the Patient."""
    number = {"system": f"https://terms.sil-th.org/hcode/5/{_FACILITY}/HN", "value": "BENCH-1"}
    body = {
        "resourceType": "Patient",
        "identifier": [number],
        "name": [{"family": "ใจดี", "given": ["สมชาย"]}],
        "gender": "male",
        "birthDate": "1970-01-01",
    }
    patient: str = client.post(f"{_FHIR}/Patient", json=body).raise_for_status().json()["id"]
    doctor = client.post(f"{_FHIR}/Practitioner", json={"resourceType": "Practitioner"}).raise_for_status().json()["id"]
    resources = [_allergy(patient, number) for number in range(_ALLERGIES)]
    resources += [_order(patient, number) for number in range(_ORDERS)]
    resources += [_observation(patient, doctor, number) for number in range(RESOURCES - len(resources) - 1)]
    for start in range(0, len(resources), 250):
        entries = [
            {"resource": one, "request": {"method": "POST", "url": one["resourceType"]}}
            for one in resources[start : start + 250]
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        client.post(_FHIR, json=bundle).raise_for_status()
    return patient


def _observation(patient: str, doctor: str, number: int) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": _LOINC, "code": f"{1000 + number % _CODES}-1", "display": f"test {number}"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "performer": [{"reference": f"Practitioner/{doctor}"}],
        "effectiveDateTime": f"20{10 + number % 15}-0{1 + number % 9}-1{number % 10}",
        "valueQuantity": {
            "value": 10 + number,
            "unit": "mg/dL",
            "system": "http://unitsofmeasure.org",
            "code": "mg/dL",
        },
    }


def _allergy(patient: str, number: int) -> Json:
    system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {"coding": [{"system": system, "code": "active"}]},
        "code": {"text": ("Penicillin", "Ibuprofen", "Sulfa", "Shrimp", "Latex")[number]},
        "patient": {"reference": f"Patient/{patient}"},
    }


def _order(patient: str, number: int) -> Json:
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {
            "coding": [{"system": "http://www.whocc.no/atc", "code": f"C{number // 10:02d}AA{number % 10:02d}"}]
        },
        "subject": {"reference": f"Patient/{patient}"},
    }


def _hook(patient: str, number: int) -> Json:
    drug = ("Amoxicillin 500 mg", "Diclofenac 25 mg", "Paracetamol 500 mg", "Metformin 500 mg")[number % 4]
    order = {**_order(patient, 0), "id": "1", "status": "draft", "medicationCodeableConcept": {"text": drug}}
    drafts = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": order}]}
    return {
        "hookInstance": str(uuid.uuid4()),
        "hook": "order-sign",
        "context": {"userId": "Practitioner/1", "patientId": patient, "draftOrders": drafts},
    }


if __name__ == "__main__":
    raise SystemExit(main())
