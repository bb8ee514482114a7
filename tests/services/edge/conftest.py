"""The edge over fake services."""

import base64
import json

import pytest

from tests.services.edge.fakes import Platform, surface


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
