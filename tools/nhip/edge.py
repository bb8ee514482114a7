"""A client of the REST edge: tokens, JSON calls, streamed imports."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tools.nhip.home import Credentials

_CHUNK_BYTES = 256 << 10
_POLL_SECONDS = 0.2
# Before a token of a few minutes runs out under a long upload or poll.
_MARGIN_SECONDS = 20.0
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)

FINISHED = frozenset({"IMPORT_STATE_SUCCEEDED", "IMPORT_STATE_FAILED", "IMPORT_STATE_CANCELLED"})
Json = dict[str, Any]


class EdgeError(Exception):
    """The edge refused, or did not answer. `status` is 0 for no answer; `problem` is its problem+json."""

    def __init__(self, message: str, status: int = 0, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = dict(problem or {})


class EdgeClient:
    """One client of the edge, with a token that is renewed before it ends."""

    def __init__(self, edge_url: str, credentials: Credentials, *, scope: str = "", purpose: str = "") -> None:
        self._http = httpx.Client(base_url=edge_url, timeout=_TIMEOUT, trust_env=False)
        self._credentials = credentials
        self._scope = scope
        self._purpose = purpose
        self._token = ""
        self._token_ends = 0.0

    def __enter__(self) -> Self:
        """Opens nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connections."""
        self._http.close()

    def token(self) -> str:
        """An access token with time left. Raises EdgeError."""
        if time.monotonic() > self._token_ends - _MARGIN_SECONDS:
            form = {
                "grant_type": "client_credentials",
                "client_id": self._credentials.client_id,
                "client_secret": self._credentials.client_secret,
                "scope": self._scope,
                "purpose": self._purpose,
            }
            answer = self._send("POST", "/oauth2/token", data={name: value for name, value in form.items() if value})
            self._token = answer["access_token"]
            self._token_ends = time.monotonic() + float(answer["expires_in"])
        return self._token

    def get(self, path: str, **query: str | int) -> Json:
        """GET of a JSON document. Raises EdgeError."""
        return self._send("GET", path, params=query, headers=self._authorised())

    def post(self, path: str, body: Json) -> Json:
        """POST of a JSON document. Raises EdgeError."""
        return self._send("POST", path, json=body, headers=self._authorised())

    def upload(self, file: Path, import_format: str, sent: Callable[[int], None] = lambda _: None) -> Json:
        """Streams a file in; `sent` hears of each piece's bytes. Answers the import. Raises EdgeError."""
        headers = {
            **self._authorised(),
            "content-type": "application/octet-stream",
            "content-length": str(file.stat().st_size),
        }
        query = {"format": import_format, "file_name": file.name}
        return _import(self._send("POST", "/v1/imports", params=query, content=_pieces(file, sent), headers=headers))

    def follow(self, import_id: str) -> Iterator[Json]:
        """The import as it goes on; the last is finished. Raises EdgeError."""
        while True:
            found = _import(self.get(f"/v1/imports/{import_id}"))
            yield found
            if found.get("state") in FINISHED:
                return
            time.sleep(_POLL_SECONDS)

    def rejected_rows(self, import_id: str) -> Iterator[Json]:
        """The rows that were not taken, page by page. Raises EdgeError."""
        query: dict[str, str | int] = {"page_size": 500}
        while True:
            page = self.get(f"/v1/imports/{import_id}/rejected-rows", **query)
            yield from page.get("rows", ())
            if not page.get("nextPageToken"):
                return
            query["page_token"] = page["nextPageToken"]

    def _authorised(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token()}"}

    def _send(self, method: str, path: str, **what: Any) -> Json:
        try:
            answer = self._http.request(method, path, **what)
        except httpx.HTTPError as error:
            message = f"{method} {path}: no answer from {self._http.base_url}: {error}"
            raise EdgeError(message) from error
        try:
            document = answer.json() if answer.content else {}
        except ValueError:
            document = {}
        if answer.is_success and isinstance(document, dict):
            return document
        problem = document if isinstance(document, dict) else {}
        says = problem.get("detail") or problem.get("error_description") or problem.get("title") or answer.reason_phrase
        reason = problem.get("reason") or problem.get("error") or ""
        raise EdgeError(f"{method} {path}: {answer.status_code} {reason} {says}", answer.status_code, problem)


def _pieces(file: Path, sent: Callable[[int], None]) -> Iterator[bytes]:
    with file.open("rb") as source:
        while piece := source.read(_CHUNK_BYTES):
            yield piece
            sent(len(piece))


def _import(answer: Json) -> Json:
    found = answer.get("import")
    if not isinstance(found, dict):
        message = "the edge answered without an import"
        raise EdgeError(message, problem=answer)
    return found
