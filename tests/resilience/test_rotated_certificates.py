"""Another authority takes over under load: every certificate of the platform is replaced, and no request fails."""

import asyncio
import itertools
import json
import re
import sys
import time
from dataclasses import dataclass, field

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.runtime.certificates import Certificates
from libs.runtime.channels import Secured, open_channel
from tests.support import telemetry
from tests.support.whole import sample_of
from tools.nhip.authority import Authority
from tools.nhip.edge import EdgeClient
from tools.nhip.enrol import client_id, facilities
from tools.nhip.platform import Platform

PEOPLE, WORKERS = 40, 6
# A step is taken in after two seconds; between steps the load goes on for a while.
PATIENCE_SECONDS, LOAD_SECONDS = 30.0, 3.0


@dataclass
class Load:
    """Writes a patient and reads it back, again and again, by several workers at once."""

    edge: str
    token: str
    facility: str
    answered: int = 0
    failed: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    ending: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        numbers = itertools.count()
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/fhir+json"}
        async with httpx.AsyncClient(base_url=self.edge, headers=headers, trust_env=False, timeout=30) as client:
            await asyncio.gather(*(self._work(client, numbers) for _ in range(WORKERS)))

    async def _work(self, client: httpx.AsyncClient, numbers) -> None:
        while not self.ending.is_set():
            answer = await self._ask(client, "POST", "/fhir/R4/Patient", json=self._patient(next(numbers)))
            if answer is not None:
                self.written.append(answer.json()["id"])
                await self._ask(client, "GET", f"/fhir/R4/Patient/{self.written[-1]}")

    async def _ask(self, client: httpx.AsyncClient, verb: str, path: str, **named) -> httpx.Response | None:
        answer = await client.request(verb, path, **named)
        self.answered += 1
        if answer.is_error:
            self.failed.append(f"{verb} {answer.status_code} {answer.text[:200]}")
            return None
        return answer

    def _patient(self, number: int) -> dict:
        system = f"https://terms.sil-th.org/hcode/5/{self.facility}/HN"
        return {
            "resourceType": "Patient",
            "identifier": [{"system": system, "value": f"ROT-{number}"}],
            "name": [{"given": ["มานี"], "family": f"ทดสอบ{number}"}],
            "gender": "female",
            "birthDate": "1990-04-13",
        }


def taken(running: Platform) -> dict[str, int]:
    """How often each service took changed certificates into use."""
    found = {}
    for name, text in telemetry.scraped(running).items():
        assert 'nhip_tls_reloads_total{outcome="refused"}' not in text, name
        counted = re.search(r'^nhip_tls_reloads_total\{outcome="taken"\} (\S+)', text, re.MULTILINE)
        found[name] = int(float(counted[1])) if counted else 0
    return found


async def until_all_have(running: Platform, times: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while min((await asyncio.to_thread(taken, running)).values()) < times:
        assert time.monotonic() < deadline, f"not every service took the change: {taken(running)}"
        await asyncio.sleep(0.1)


async def is_let_in(folder, address: str) -> bool:
    secured = Secured(Certificates(folder / "edge", "edge"), "records")
    async with open_channel(address, secured=secured) as channel:
        try:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        except grpc.aio.AioRpcError as error:
            return error.code() is not grpc.StatusCode.UNAVAILABLE
    return True


@pytest.mark.xdist_group("whole")
async def test_another_authority_takes_over_under_load_and_no_request_fails(home_path, capsys):
    with Platform(home_path, secured=True, durable=False) as running:
        sample = await asyncio.to_thread(sample_of, running, seed=5, people=PEOPLE)
        facility = facilities(sample.population)[0]
        login = running.home.client(client_id(facility))
        with EdgeClient(running.edge_url, login, purpose="PURPOSE_OF_USE_TREATMENT") as edge:
            load = Load(running.edge_url, edge.token(), facility.hcode)
        authority = Authority(running.home.certificates, list(running.state.services))
        records = running.state.services["records"].address
        before = home_path.parent / "before"
        before.mkdir()
        for name in ("tls.crt", "tls.key", "ca.crt"):
            (before / "edge").mkdir(exist_ok=True)
            (before / "edge" / name).write_bytes((running.home.certificates / "edge" / name).read_bytes())
        assert await is_let_in(before, records)

        working = asyncio.create_task(load.run())
        began = time.monotonic()
        for number, step in enumerate((authority.introduce, authority.issue, authority.retire), 1):
            await asyncio.sleep(LOAD_SECONDS)
            step()
            await until_all_have(running, number)
        seconds = time.monotonic() - began - 3 * LOAD_SECONDS
        await asyncio.sleep(LOAD_SECONDS)
        load.ending.set()
        await working

        assert not load.failed
        assert load.answered == 2 * len(load.written) > 0
        assert len(set(load.written)) == len(load.written)
        # Who was trusted before is not any more, and nothing was started anew.
        (before / "edge" / "ca.crt").write_bytes((running.home.certificates / "edge" / "ca.crt").read_bytes())
        assert not await is_let_in(before, records)
        assert {service.restarts for service in running.state.services.values()} == {0}
        followed = {name: text for name, text in telemetry.logged(running).items() if "broke off" in text}
        assert not followed, followed
    with capsys.disabled():
        said = {"requests": load.answered, "failed": len(load.failed), "seconds": round(seconds, 1)}
        sys.stdout.write(f"\nanother authority took over: {json.dumps(said)}\n")
