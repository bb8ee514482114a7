"""Requests to addresses from outside go where they may, and to the address that was judged."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from libs.outbound import Outbound, OutboundError


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example.org/a",
        "https://127.0.0.1/a",
        "https://10.1.2.3/a",
        "https://169.254.169.254/latest",
        "https://100.64.0.1/a",
        "https://[::1]/a",
        "https://[::ffff:127.0.0.1]/a",
        "https://[64:ff9b::7f00:1]/a",
        "https://[fd00::1]/a",
        "https://224.0.0.1/a",
        "https://0.0.0.0/a",
    ],
)
def test_what_is_not_public_or_not_encrypted_is_refused(url: str) -> None:
    with pytest.raises(OutboundError) as caught:
        Outbound().require_allowed(url)
    assert caught.value.reason == "URL_REFUSED"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://a.example/b", "/a", "https://",
        "https://u:p@a.example/", "https://a:99999/", "https://a.example/\n", "https://ä.example/"
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_file_is_refused(url: str) -> None:
    with pytest.raises(OutboundError) as caught:
        Outbound().require_allowed(url)
    assert caught.value.reason == "URL_INVALID"


def test_a_named_origin_may_be_private_and_plain_and_nothing_beside_it() -> None:
    named = Outbound.of("http://10.0.0.5:9000")
    named.require_allowed("http://10.0.0.5:9000/a?b=c")
    named.require_allowed("https://files.example.org/a")
    for other in ("http://10.0.0.5/a", "https://10.0.0.5:9000/a", "http://10.0.0.6:9000/a"):
        with pytest.raises(OutboundError):
            named.require_allowed(other)


def test_a_closed_list_lets_nothing_else_through() -> None:
    closed = Outbound.of("only, https://files.example.org")
    closed.require_allowed("https://files.example.org/a")
    with pytest.raises(OutboundError):
        closed.require_allowed("https://other.example.org/a")


@pytest.mark.parametrize("text", ["files.example.org", "https://a.example/path", "https://u@a.example"])
def test_a_setting_that_names_no_origin_stops_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        Outbound.of(text)


@asynccontextmanager
async def told_by_name_servers(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> AsyncIterator[list[str]]:
    asked: list[str] = []
    loop = asyncio.get_running_loop()

    async def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(loop, "getaddrinfo", look_up)
    yield asked


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("93.184.215.14", "10.0.0.1")])
async def test_a_name_that_leads_inside_is_refused(monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]) -> None:
    async with told_by_name_servers(monkeypatch, *addresses):
        with pytest.raises(OutboundError) as caught:
            async with Outbound().get("https://files.example.org/a", {}):
                pass
    assert caught.value.reason == "URL_REFUSED"


async def test_the_connection_goes_to_what_was_judged_and_the_host_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 2\r\n\r\nhi")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, told_by_name_servers(monkeypatch, "127.0.0.1") as asked:
        named = Outbound([f"http://files.example.org:{port}"])
        async with named.get(f"http://files.example.org:{port}/a?b=c", {"accept": "x/y"}) as response:
            assert (response.status_code, await response.aread()) == (302, b"hi")
    assert asked[0] == "files.example.org"
    (head,) = seen
    assert head.startswith(b"GET /a?b=c HTTP/1.1")
    assert f"host: files.example.org:{port}".encode() in head.lower()
