"""`nhip import`, against an edge that speaks the contract's JSON and remembers what it was asked."""

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from tools.nhip.main import main

ROWS = [
    {"file": "PERSON", "line": str(line), "column": "CID", "reason": "CID_CHECK_DIGIT", "message": "check digit"}
    for line in (3, 8)
]


@dataclass
class Edge:
    """What the edge answers, and what it received."""

    url: str = ""
    state: str = "IMPORT_STATE_SUCCEEDED"
    rejected: list[dict[str, Any]] = field(default_factory=list)
    body: bytes = b""
    query: dict[str, list[str]] = field(default_factory=dict)
    form: dict[str, list[str]] = field(default_factory=dict)
    polls: int = 0

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and document of one request."""
        match method, path:
            case "POST", "/oauth2/token":
                self.form = parse_qs(body.decode())
                if self.form["client_secret"] != ["secret"]:
                    return 401, {"title": "Unauthorized", "detail": "who is this", "reason": "CLIENT_UNKNOWN"}
                return 200, {"access_token": "a.b.c", "token_type": "Bearer", "expires_in": 300}
            case "POST", "/v1/imports":
                self.query, self.body = query, body
                return 200, {"import": {"importId": "i1", "state": "IMPORT_STATE_QUEUED"}}
            case "GET", "/v1/imports/i1":
                self.polls += 1
                is_done = self.polls > 1
                files = [{"file": "PERSON", "rows": "9", "created": "7", "rejected": str(len(self.rejected))}]
                state = self.state if is_done else "IMPORT_STATE_RUNNING"
                found = {"importId": "i1", "state": state, "rowsTotal": "9", "rowsDone": "9" if is_done else "4"}
                return 200, {"import": {**found, "files": files, "errorMessage": "no zip at all"}}
            case "GET", "/v1/imports/i1/rejected-rows":
                # One row to a page, so that a client that forgets to turn it is found out.
                page = int(query.get("page_token", ["0"])[0])
                following = str(page + 1) if page + 1 < len(self.rejected) else ""
                return 200, {"rows": self.rejected[page : page + 1], "nextPageToken": following}
        return 404, {"title": "Not Found"}


@pytest.fixture
def edge() -> Iterator[Edge]:
    """An edge that listens."""
    state = Edge()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply()

        def do_POST(self) -> None:
            self.reply()

        def reply(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            authorised = parts.path == "/oauth2/token" or self.headers["authorization"] == "Bearer a.b.c"
            status, document = (
                state.answer(self.command, parts.path, parse_qs(parts.query), body) if authorised else (401, {})
            )
            payload = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def zip_file(tmp_path: Path) -> Path:
    """A file of more than one chunk."""
    path = tmp_path / "F43_99001.zip"
    path.write_bytes(bytes(range(256)) * 4000)
    return path


def nhip_import(edge: Edge, file: Path, *options: str, secret: str = "secret") -> Result:  # noqa: S107 synthetic
    """Runs the command."""
    command = ["--home", str(file.parent / "home"), "import", str(file), "--format", "f43", "--edge", edge.url]
    return CliRunner().invoke(main, [*command, "--client-id", "a", "--client-secret", secret, *options])


def test_the_file_arrives_whole_under_its_name_and_format(edge: Edge, zip_file: Path) -> None:
    result = nhip_import(edge, zip_file)
    assert result.exit_code == 0, result.output
    assert edge.body == zip_file.read_bytes()
    assert edge.query == {"format": ["IMPORT_FORMAT_F43"], "file_name": ["F43_99001.zip"]}
    assert edge.form["grant_type"] == ["client_credentials"]
    assert "succeeded" in result.output


def test_every_rejected_row_is_shown_with_line_and_reason(edge: Edge, zip_file: Path) -> None:
    edge.rejected = ROWS
    result = nhip_import(edge, zip_file)
    assert result.exit_code == 0
    assert "PERSON:3 CID CID_CHECK_DIGIT" in result.output
    assert "PERSON:8 CID CID_CHECK_DIGIT" in result.output


def test_strict_fails_on_a_rejected_row(edge: Edge, zip_file: Path) -> None:
    edge.rejected = ROWS
    assert nhip_import(edge, zip_file, "--strict").exit_code == 1


def test_a_failed_import_fails_with_the_platform_s_reason(edge: Edge, zip_file: Path) -> None:
    edge.state = "IMPORT_STATE_FAILED"
    result = nhip_import(edge, zip_file)
    assert result.exit_code == 1
    assert "no zip at all" in result.output


def test_a_wrong_secret_fails_with_the_edge_s_problem_and_without_a_trace(edge: Edge, zip_file: Path) -> None:
    result = nhip_import(edge, zip_file, secret="another")
    assert result.exit_code == 1
    assert "CLIENT_UNKNOWN" in result.output
    assert "Traceback" not in result.output


def test_an_edge_that_does_not_answer_fails_with_its_address(edge: Edge, zip_file: Path) -> None:
    edge.url = "http://127.0.0.1:9"
    result = nhip_import(edge, zip_file)
    assert result.exit_code == 1
    assert "127.0.0.1:9" in result.output


def test_without_a_running_platform_the_exit_code_says_so(tmp_path: Path, zip_file: Path) -> None:
    command = ["--home", str(tmp_path / "none"), "import", str(zip_file), "--format", "f43", "--client-id", "a"]
    assert CliRunner().invoke(main, [*command, "--client-secret", "s"]).exit_code == 3


@pytest.mark.parametrize("command", [["status"], ["down"], ["sample"], ["journey"]])
def test_commands_that_need_a_platform_exit_with_3_without_one(tmp_path: Path, command: list[str]) -> None:
    result = CliRunner().invoke(main, ["--home", str(tmp_path / "none"), *command])
    assert result.exit_code == 3, result.output


@pytest.mark.parametrize("command", ["up", "down", "status", "logs", "journey", "sample", "import", "bench"])
def test_every_command_teaches_by_example(command: str) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output


def test_hidden_commands_are_not_offered_and_codes_are_documented() -> None:
    said = CliRunner().invoke(main, ["--help"]).output
    assert "supervise" not in said
    assert "Exit codes" in said
