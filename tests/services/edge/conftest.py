"""The edge over fake services, and over real ones."""

import base64
import json
from contextlib import AsyncExitStack

import httpx
import pytest

from libs.access.caller import TREATMENT
from libs.runtime.channels import open_channel
from services.edge.app import Edge
from services.edge.observing import AccessLog
from services.edge.upstream import SERVICES, Upstream, served_by
from services.identity.__main__ import build as build_identity
from services.patient_index.__main__ import build as build_patient_index
from services.records.__main__ import build as build_records
from tests.services.edge.fakes import Lines, Platform, surface
from tests.support.serving import make_secrets, serving

SCOPES = "user/*.cruds registrations.write registrations.read summary.read"


@pytest.fixture
async def platform():
    async with Platform().serving() as running:
        yield running


@pytest.fixture
async def edge(platform):
    async with surface(platform) as open_surface:
        yield open_surface


@pytest.fixture
def authorization():
    """A bearer token of hospital 10661; the signature is none, since fake services verify nothing."""
    claims = base64.urlsafe_b64encode(json.dumps({"org": "10661", "sub": "client/a"}).encode()).rstrip(b"=").decode()
    return {"authorization": f"Bearer e30.{claims}.c2ln"}


@pytest.fixture
async def hospital(database_url, tmp_path):
    """The edge's client of an organisation, over the real identity, patient index and records."""
    secrets = make_secrets(tmp_path / "secrets")
    async with AsyncExitStack() as stack:
        identity = await stack.enter_async_context(
            serving("identity", build_identity, database_url("identity"), secrets=secrets)
        )
        peers = {"identity": identity.process.address}
        index = await stack.enter_async_context(
            serving("patient_index", build_patient_index, database_url("patient_index"), peers=peers, secrets=secrets)
        )
        peers["patient_index"] = index.process.address
        records = await stack.enter_async_context(
            serving("records", build_records, database_url("records"), peers=peers, secrets=secrets)
        )
        peers["records"] = records.process.address
        channels = {name: open_channel(peers.get(name, "127.0.0.1:9"), *served_by(name)) for name in SERVICES}
        upstream = Upstream(channels)
        stack.push_async_callback(upstream.close)

        async def client_of(organization, scopes=SCOPES):
            transport = httpx.ASGITransport(app=Edge(upstream, AccessLog(Lines())))
            headers = dict(records.token(scopes=scopes, organization=organization, purpose=TREATMENT))
            return await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url="http://edge.test", headers=headers, timeout=20)
            )

        yield client_of


@pytest.fixture
async def whole(hospital):
    """The edge's client, with the token of hospital 10661, over real services."""
    return await hospital("10661")
