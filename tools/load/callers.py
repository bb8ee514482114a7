"""The programs that ask, and their tokens, renewed before they end."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

import orjson

from tools.load.doors import DoorError, Doors
from tools.load.visits import CARE, CLAIMS, DISEASE_CONTROL, Asked
from tools.nhip.enrol import DISEASE_CONTROL as AGENCY
from tools.nhip.enrol import client_id, facilities
from tools.nhip.home import Credentials, Home
from tools.population import Population

PURPOSES: Mapping[str, str] = {
    CARE: "PURPOSE_OF_USE_TREATMENT",
    CLAIMS: "PURPOSE_OF_USE_PAYMENT",
    DISEASE_CONTROL: "PURPOSE_OF_USE_PUBLIC_HEALTH",
}
_MARGIN_SECONDS = 30.0
_OK = 200


@dataclass
class _Token:
    bearer: str = ""
    ends: float = 0.0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Callers:
    """The programs of the facilities and of the Department of Disease Control, as `enrol` made them known."""

    def __init__(self, home: Home, population: Population, doors: Doors) -> None:
        self.facilities = [facility.hcode for facility in facilities(population)]
        self._credentials = {facility.hcode: home.client(client_id(facility)) for facility in facilities(population)}
        self._agency = home.client(AGENCY.client_id)
        self._doors = doors
        self._tokens: dict[tuple[str, str], _Token] = {}

    async def headers(self, asked: Asked) -> dict[str, str]:
        """What a request carries. Raises DoorError where no token is to be had."""
        bearer = await self._bearer(asked.caller, "" if asked.caller == DISEASE_CONTROL else asked.facility)
        kind = "application/fhir+json" if asked.path.startswith("/fhir") else "application/json"
        return {"authorization": f"Bearer {bearer}", "content-type": kind}

    async def _bearer(self, caller: str, facility: str) -> str:
        token = self._tokens.setdefault((caller, facility), _Token())
        async with token.asking:
            if time.monotonic() > token.ends - _MARGIN_SECONDS:
                await self._renew(token, self._credentials[facility] if facility else self._agency, PURPOSES[caller])
        return token.bearer

    async def _renew(self, token: _Token, credentials: Credentials, purpose: str) -> None:
        form = {"grant_type": "client_credentials", "client_id": credentials.client_id, "purpose": purpose}
        body = urlencode({**form, "client_secret": credentials.client_secret}).encode()
        while True:
            # A token that is still good bridges the time in which identity does not answer.
            has_time = time.monotonic() < token.ends
            try:
                headers = {"content-type": "application/x-www-form-urlencoded"}
                status, said = await self._doors.ask("POST", "/oauth2/token", headers, body)
            except DoorError:
                if has_time:
                    return
                raise
            if status == _OK:
                answer = orjson.loads(said)
                token.bearer, token.ends = answer["access_token"], time.monotonic() + float(answer["expires_in"])
            if status == _OK or has_time:
                return
            raise DoorError(f"{credentials.client_id} is given no token: {status}")
