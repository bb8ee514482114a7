"""The edge as the probe sees it: JSON over HTTP, with patience for a platform that is still coming up."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

_CALL_SECONDS: Final = 15.0
_RETRY_SECONDS: Final = 0.5
# A gateway or the edge says that who should answer is not there yet.
_PASSING: Final = frozenset({502, 503, 504})

Json = dict[str, Any]


class ProbeError(Exception):
    """The platform does not do what it should; the message says what was asked and what came, and quotes no person."""


class Edge:
    """Asks, and asks again until the patience is used up."""

    def __init__(self, url: str, patience_seconds: float) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ProbeError(f"the edge's address is no http:// or https:// URL: {url}")
        self._url = url.rstrip("/")
        self._deadline = time.monotonic() + patience_seconds
        # Straight to the edge: a proxy of the surroundings has no part in it.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str, token: str = "") -> Json:
        """The document at a path. Raises ProbeError."""
        return self._ask("GET", path, None, _bearer(token))

    def post(self, path: str, document: Json, token: str) -> Json:
        """What is answered to a document. Raises ProbeError."""
        headers = {"content-type": "application/json", **_bearer(token)}
        return self._ask("POST", path, json.dumps(document).encode(), headers)

    def token(self, client_id: str, client_secret: str, purpose: str) -> str:
        """An access token by client credentials. Raises ProbeError."""
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "purpose": purpose,
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = self._ask("POST", "/oauth2/token", urlencode(form).encode(), headers)
        return str(answer["access_token"])

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Json:
        while True:
            try:
                return self._once(method, path, body, headers)
            except urllib.error.HTTPError as error:
                refusal = f"{method} {path}: {error.code} {_reason(error.read())}".rstrip()
                is_passing = error.code in _PASSING
            except OSError as error:
                refusal = f"{method} {path}: no answer from {self._url}: {error}"
                is_passing = True
            if not is_passing or time.monotonic() + _RETRY_SECONDS > self._deadline:
                raise ProbeError(refusal)
            time.sleep(_RETRY_SECONDS)

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Json:
        request = urllib.request.Request(self._url + path, body, dict(headers), method=method)  # noqa: S310 see __init__
        with self._opener.open(request, timeout=_CALL_SECONDS) as answer:
            text = answer.read()
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise ProbeError(f"{method} {path}: the answer is no JSON object")
        return document


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


def _reason(body: bytes) -> str:
    """What a problem document or an OAuth error gives as its reason; never its text, which may quote the request."""
    try:
        problem = json.loads(body)
    except ValueError:
        return ""
    return str(problem.get("reason") or problem.get("error") or "") if isinstance(problem, dict) else ""
