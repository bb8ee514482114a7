"""Somebody at the edge: a token of their own, and requests whose refusals can be looked at."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

LOGIN = "urn:nhip:grant:development-login"
FHIR = "application/fhir+json"
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_MARGIN_SECONDS = 20.0


class EdgeUnreachableError(Exception):
    """The edge, or a service behind it, did not answer; trying again may help."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the edge said."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def reason(self) -> str:
        """The reason of a refusal: of problem+json, or of an OperationOutcome's first issue."""
        if not isinstance(self.body, dict):
            return ""
        for issue in self.body.get("issue", ()):
            for coding in issue.get("details", {}).get("coding", ()):
                return str(coding.get("code", ""))
        return str(self.body.get("reason", "") or self.body.get("error", ""))


class Session:
    """One caller. `login` is the form that /oauth2/token is sent."""

    def __init__(self, edge_url: str, name: str, login: Mapping[str, str]) -> None:
        self.name = name
        self._http = httpx.Client(base_url=edge_url, timeout=_TIMEOUT, trust_env=False)
        self._login = dict(login)
        self._token = ""
        self._token_ends = 0.0
        # The newest position that a write of ours was answered with; later requests ask to be as fresh.
        self._position = ""

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    @property
    def position(self) -> str:
        """The newest position that a write was answered with."""
        return self._position

    def follow(self, other: "Session") -> None:
        """From now on asks to be as fresh as what the other wrote."""
        self._position = other.position

    def get(self, path: str, **query: str | int) -> Answer:
        """GET."""
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """POST of JSON."""
        content_type = FHIR if path.startswith("/fhir") else "application/json"
        return self._ask("POST", path, json=body, headers={"content-type": content_type, **headers})

    def _ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, **what: Any) -> Answer:
        sent = {"authorization": f"Bearer {self._bearer()}", **(headers or {})}
        if self._position:
            sent["nhip-position"] = self._position
        answer = self._send(method, path, headers=sent, **what)
        self._position = answer.headers.get("nhip-position", "") or self._position
        return answer

    def _bearer(self) -> str:
        if time.monotonic() > self._token_ends - _MARGIN_SECONDS:
            answer = self._send("POST", "/oauth2/token", data=self._login)
            if answer.status != httpx.codes.OK:
                raise PermissionError(f"{self.name} cannot log in: {answer.status} {answer.reason}")
            self._token = answer.body["access_token"]
            self._token_ends = time.monotonic() + float(answer.body["expires_in"])
        return self._token

    def _send(self, method: str, path: str, **what: Any) -> Answer:
        try:
            answer = self._http.request(method, path, **what)
        except httpx.HTTPError as error:
            raise EdgeUnreachableError(f"{method} {path}: {type(error).__name__}") from error
        if answer.status_code in {502, 503, 504}:
            raise EdgeUnreachableError(f"{method} {path}: {answer.status_code}")
        try:
            body = answer.json() if answer.content else {}
        except ValueError:
            body = answer.text
        return Answer(answer.status_code, body, answer.headers)


def program_login(client_id: str, client_secret: str, purpose: str) -> dict[str, str]:
    """The form of a program."""
    return {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
        "purpose": purpose,
    }


def practitioner_login(organization_id: str, licence: str, purpose: str) -> dict[str, str]:
    """The form of a practitioner, where development logins are allowed."""
    return {"grant_type": LOGIN, "organization_id": organization_id, "licence": licence, "purpose": purpose}


def citizen_login(citizen_id: str) -> dict[str, str]:
    """The form of a citizen, where development logins are allowed."""
    return {"grant_type": LOGIN, "citizen_id": citizen_id}
