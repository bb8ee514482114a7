"""A hospital with one patient behind the real edge, and what becomes of what it sends."""

import json
from dataclasses import dataclass
from typing import Any

import httpx

from tests.services.edge.fhir.stored import a_patient

FHIR_JSON = {"content-type": "application/fhir+json"}
BASE = "/fhir/R4"


@dataclass
class Hospital:
    """A client of the edge, and its patient's id."""

    client: httpx.AsyncClient
    patient: str

    def observation(self, **changes: Any) -> dict[str, Any]:
        return {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": f"Patient/{self.patient}"},
            **changes,
        }

    def text(self, more: str = "") -> str:
        """An Observation as JSON, with more members written out as they are."""
        return json.dumps(self.observation())[:-1] + (f",{more}" if more else "") + "}"

    async def versions(self) -> list[tuple[str, str]]:
        """All that is stored: each version of each resource."""
        answer = await self.client.get(f"{BASE}/_history?_count=1000")
        return [(one["fullUrl"], one["response"]["etag"]) for one in answer.json()["entry"]]

    async def post(self, body: bytes | str, path: str = "/Observation", **headers: str) -> httpx.Response:
        return await self.client.post(BASE + path, content=body, headers={**FHIR_JSON, **headers})

    async def file(self, **changes: Any) -> str:
        """The id of an Observation that is stored."""
        answer = await self.client.post(f"{BASE}/Observation", json=self.observation(**changes), headers=FHIR_JSON)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


async def a_hospital(client: httpx.AsyncClient) -> Hospital:
    answer = await client.post(f"{BASE}/Patient", json=a_patient(), headers=FHIR_JSON)
    assert answer.status_code == 201, answer.text
    return Hospital(client, answer.json()["id"])


def told(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and place of the first issue; an error that is told without an outcome fails here."""
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome", answer.text
    first = outcome["issue"][0]
    assert first["severity"] == "error"
    assert first["diagnostics"]
    return answer.status_code, first["code"], first.get("expression", [""])[0]
