"""The probe against an edge that is played, and that does not always do what it should.

Against the real platform it runs in tests/tools/deployed.
"""

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.thai import citizen_id
from libs.thai.identifiers import CITIZEN_ID as CITIZEN_ID_SYSTEM
from tools.probe import course
from tools.probe.__main__ import main
from tools.probe.edge import Edge, ProbeError

STEPS = 7


def test_the_person_of_the_probe_is_nobody():
    assert citizen_id.is_valid(course.CITIZEN_ID)
    assert citizen_id.is_synthetic(course.CITIZEN_ID)
    assert course.CITIZEN_ID_SYSTEM == CITIZEN_ID_SYSTEM


@dataclass
class Played:
    """An edge that does what it should, but for what a test changes."""

    url: str = ""
    client: dict[str, str] = field(default_factory=lambda: {"client_id": "nhip-admin", "client_secret": "s" * 30})
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    published: Ed25519PrivateKey | None = None
    services: dict[str, str] = field(default_factory=lambda: {"identity": "SERVING", "patient_index": "SERVING"})
    registered: list[Any] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    # What is answered instead, by path.
    instead: dict[str, Callable[[Any], tuple[int, Any]]] = field(default_factory=dict)

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:  # noqa: PLR0911 one answer for each path
        self.asked.append(path)
        if path in self.instead:
            return self.instead[path](body)
        match path:
            case "/healthz":
                return 200, {"services": self.services}
            case "/oauth2/token":
                return self.token({name: value[0] for name, value in parse_qs(body.decode()).items()})
            case "/.well-known/jwks.json":
                public = (self.published or self.key).public_key()
                return 200, {"keys": [{**json.loads(jwt.algorithms.OKPAlgorithm.to_jwk(public)), "kid": "k1"}]}
            case "/v1/organizations":
                return 200, {"organization": json.loads(body)}
            case "/v1/clients":
                asked = json.loads(body)
                self.secrets[asked["client"]["clientId"]] = asked["clientSecret"]
                return 200, {"client": asked["client"]}
            case "/v1/registrations":
                outcome = "UNCHANGED" if self.registered else "CREATED"
                self.registered.append(json.loads(body))
                nouns = {**json.loads(body), "registrationId": "r1", "personId": "p1"}
                return 200, {"registration": nouns, "outcome": f"REGISTRATION_OUTCOME_{outcome}"}
            case "/v1/registrations/r1":
                return 200, {"registration": {**self.registered[0], "registrationId": "r1"}}
            case "/v1/persons:search":
                return 200, {"persons": [{"personId": "p1"}]}
        return 404, {"reason": "ROUTE_UNKNOWN"}

    def token(self, form: dict[str, str]) -> tuple[int, Any]:
        known = {self.client["client_id"]: self.client["client_secret"], **self.secrets}
        if known.get(form["client_id"]) != form["client_secret"]:
            return 401, {"error": "invalid_client", "error_description": f"not {form['client_secret']}"}
        claims = {"sub": form["client_id"], "exp": int(time.time()) + 60}
        return 200, {"access_token": jwt.encode(claims, self.key, algorithm="EdDSA", headers={"kid": "k1"})}


@pytest.fixture
def edge() -> Iterator[Played]:
    played = Played()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, document = played.answer(self.path, body)
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815 the names that the class looks for

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 the name that the class gives it
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    played.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield played
    server.shutdown()
    server.server_close()


@pytest.fixture
def probe(edge, tmp_path, capsys) -> Callable[..., tuple[int, str, str]]:
    """Runs the probe against the played edge: exit code, output, errors."""

    def run(patience: float = 0) -> tuple[int, str, str]:
        path = Path(tmp_path, "client")
        path.write_text(json.dumps(edge.client), encoding="utf-8")
        code = main(["--edge", edge.url, "--client", str(path), "--patience", str(patience)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_an_edge_that_does_what_it_should_passes(edge, probe):
    code, out, err = probe()
    assert (code, err) == (0, "")
    assert out.count("ok  ") == STEPS
    assert edge.registered == [course.PERSON, course.PERSON]


def test_a_service_that_the_probe_does_not_need_is_named_and_no_failure(edge, probe):
    edge.services["claims"] = "UNAVAILABLE"
    code, out, _ = probe()
    assert code == 0
    assert "2 serve; not serving: claims" in out


def test_a_token_of_another_key_fails(edge, probe):
    edge.published = Ed25519PrivateKey.generate()
    code, _, err = probe()
    assert code == 1
    assert "not signed by a published key: InvalidSignatureError" in err


def test_a_wrong_secret_fails_with_the_reason_and_without_the_secret(edge, probe):
    edge.instead["/oauth2/token"] = lambda body: (401, {"error": "invalid_client", "error_description": body.decode()})
    code, _, err = probe()
    assert code == 1
    assert "POST /oauth2/token: 401 invalid_client" in err
    assert edge.client["client_secret"] not in err


@pytest.mark.parametrize(
    ("path", "document", "said"),
    [
        ("/v1/registrations", {"outcome": "REGISTRATION_OUTCOME_CREATED"}, "names no registration"),
        ("/v1/registrations/r1", {"registration": {**course.PERSON, "birthDate": "1999-01-01"}}, "birthDate"),
        ("/v1/registrations/r1", {"registration": {**course.PERSON, "identifiers": []}}, "identifiers"),
        ("/v1/persons:search", {"persons": [{"personId": "p2"}]}, "not found by the identifier"),
        ("/v1/persons:search", b"<html>", "no JSON object"),
    ],
)
def test_an_answer_that_is_not_what_was_written_fails(edge, probe, path, document, said):
    edge.instead[path] = lambda _: (200, document)
    code, _, err = probe()
    assert code == 1
    assert said in err
    assert course.CITIZEN_ID not in err


def test_a_registration_that_is_made_twice_fails(edge, probe):
    nouns = {**course.PERSON, "registrationId": "r1", "personId": "p1"}

    def always_new(body: bytes) -> tuple[int, Any]:
        edge.registered.append(json.loads(body))
        return 200, {"registration": nouns, "outcome": "REGISTRATION_OUTCOME_CREATED"}

    edge.instead["/v1/registrations"] = always_new
    code, _, err = probe()
    assert code == 1
    assert "again was REGISTRATION_OUTCOME_CREATED" in err


def test_a_platform_that_comes_up_is_waited_for(edge, probe):
    def later(_: bytes) -> tuple[int, Any]:
        del edge.instead["/v1/organizations"]
        return 503, {"reason": "UNAVAILABLE"}

    edge.instead["/v1/organizations"] = later
    assert probe(patience=30)[0] == 0
    assert edge.asked.count("/v1/organizations") == 2


def test_patience_ends(edge, probe):
    edge.instead["/v1/organizations"] = lambda _: (503, {"reason": "UNAVAILABLE"})
    code, _, err = probe()
    assert code == 1
    assert "POST /v1/organizations: 503 UNAVAILABLE" in err
    assert edge.asked.count("/v1/organizations") == 1


def test_a_new_secret_of_the_administrator_is_a_new_client_and_no_conflict(edge, probe):
    assert probe()[0] == 0
    edge.client = {**edge.client, "client_secret": "t" * 30}
    assert probe()[0] == 0
    assert len(edge.secrets) == 2


def test_an_edge_that_is_not_there_is_named(tmp_path, capsys):
    path = Path(tmp_path, "client")
    path.write_text('{"client_id": "a", "client_secret": "b"}', encoding="utf-8")
    assert main(["--edge", "http://127.0.0.1:9", "--client", str(path), "--patience", "0"]) == 1
    assert "no answer from http://127.0.0.1:9" in capsys.readouterr().err


def test_an_address_that_is_none_is_refused():
    with pytest.raises(ProbeError, match="no http"):
        Edge("file:///etc/passwd", 0)


@pytest.mark.parametrize("content", [None, "not json", "[]", '{"client_id": "a"}'])
def test_a_client_file_that_holds_no_client_is_named(tmp_path, capsys, content):
    path = Path(tmp_path, "client")
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert main(["--edge", "http://127.0.0.1:9", "--client", str(path)]) == 1
    assert f"{path} does not hold client_id and client_secret" in capsys.readouterr().err
