"""Imports of lines as jobs: a worker that dies anywhere, sources that fail, and nothing lost or taken twice."""

import asyncio
import base64
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from libs.ids import new_id
from libs.outbound import Outbound
from services.exchange.__main__ import FORMATS
from services.exchange.formats.ndjson import batches, fetching, intake
from services.exchange.formats.ndjson.intake import Intake
from services.exchange.formats.ndjson.run import Lines
from services.exchange.model import Format, Input, State
from services.exchange.store import inputs, jobs
from services.exchange.worker import Worker
from tests.services.exchange.files import HCODE
from tests.services.exchange.neighbourhood import Neighbourhood
from tests.services.exchange.running import Exchange, Finished, _Secrets
from tests.services.exchange.test_crashes import Killed, Reaper, armed

OWNER = (HCODE, "client/bulk")
SOURCE = "https://old.example.org/fhir"


def a_patient(number: int) -> dict[str, Any]:
    identifier = {"system": f"https://terms.sil-th.org/hcode/5/{HCODE}/HN", "value": f"H{number}"}
    return {"resourceType": "Patient", "id": str(number), "identifier": [identifier], "birthDate": "1990-01-01"}


def an_observation(number: int, person: int = 1, **more: Any) -> dict[str, Any]:
    told = {"resourceType": "Observation", "id": str(number), "subject": {"reference": f"Patient/{person}"}}
    return {**told, "status": "final", "code": {"text": "pulse"}, **more}


def ndjson(*bodies: dict[str, Any] | bytes) -> bytes:
    return b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in bodies)


LINES = ndjson(
    *(a_patient(number) for number in range(1, 9)),
    b'{"resourceType":"Observation","status":',
    *(an_observation(number, 1 + number % 8) for number in range(1, 30)),
    {"resourceType": "Nonsense"},
)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that every input has several batches, and a crash falls between them."""
    monkeypatch.setattr(batches, "BATCH_LINES", 7)
    monkeypatch.setattr(fetching, "backoff", lambda _: 0.0)


def worker(exchange: Exchange, outbound: Outbound | None = None, instance: str = "exchange-0") -> Worker:
    formats = {**FORMATS, Format.NDJSON: Lines(outbound or Outbound()).process}
    neighbours = exchange.hood.neighbours(_Secrets())
    return Worker(exchange.database, neighbours, exchange.clock, instance, asyncio.Event(), formats)


async def begin(exchange: Exchange, *given: Input, data: bytes = b"", scopes: str = "system/*.cu") -> str:
    """Queues an import as its kick-off leaves it."""
    import_id, now = new_id(), exchange.clock()
    async with exchange.database.writing() as writer:
        await inputs.begin(
            writer, import_id, OWNER, now, request_url="http://edge.test", input_source=SOURCE, grants=scopes
        )
        if data:
            took = Intake()
            for chunk, piece in enumerate([*took.feed(data), *took.end()]):
                assert await inputs.append(writer, import_id, 0, chunk, piece, now)
            given = (Input(0, is_complete=True, lines=took.lines, size_bytes=took.size_bytes),)
        assert await inputs.queue(writer, import_id, given, now)
    return import_id


async def test_lines_are_taken_or_told_of_by_number(exchange: Exchange) -> None:
    import_id = await begin(exchange, data=LINES)
    assert await worker(exchange).run_once()
    finished = await exchange.look(import_id)
    assert finished.state is State.SUCCEEDED
    assert finished.counts("upload").created == 37
    assert finished.reasons == [("upload", 9, "", "JSON_INVALID"), ("upload", 39, "resourceType", "TYPE_UNKNOWN")]
    for table in ("input_chunks", "deferred_lines"):
        assert await exchange.database.pool.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_the_same_lines_again_change_nothing_and_are_an_import_of_their_own(exchange: Exchange) -> None:
    for expected in ((37, 0), (0, 37)):
        import_id = await begin(exchange, data=LINES)
        assert await worker(exchange).run_once()
        counts = (await exchange.look(import_id)).counts("upload")
        assert (counts.created, counts.unchanged) == expected


async def test_a_later_line_of_the_same_id_comes_later(exchange: Exchange) -> None:
    lines = [a_patient(1), *(an_observation(1, note=[{"text": str(number)}]) for number in range(20))]
    import_id = await begin(exchange, data=ndjson(*lines))
    assert await worker(exchange).run_once()
    counts = (await exchange.look(import_id)).counts("upload")
    assert (counts.created, counts.updated) == (2, 19)
    (body,) = [stored[1] for key, stored in exchange.hood.resources.items() if key[0] == "Observation"]
    assert body is not None
    assert json.loads(body)["note"] == [{"text": "19"}]


async def test_what_the_scopes_of_the_import_do_not_grant_is_not_taken(exchange: Exchange) -> None:
    import_id = await begin(exchange, data=LINES, scopes="system/Patient.cu")
    assert await worker(exchange).run_once()
    finished = await exchange.look(import_id)
    assert finished.counts("upload").created == 8
    assert {key[0] for key in exchange.hood.resources} == {"Patient"}
    assert sum(reason == "SCOPE_MISSING" for *_, reason in finished.reasons) == 29


POINTS = [
    *(f"{when} {call}" for when in ("before", "after") for call in ("BatchRegister", "ImportResources")),
    *("before commit", "within commit", "after commit", "before plan", "after plan", "before finish"),
]


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_import_ends_as_an_undisturbed_one(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, point: str, times: int
) -> None:
    calm, calm_hood = await _calm(exchange)
    import_id = await begin(exchange, data=LINES)
    reaper = Reaper(point, times)
    armed(monkeypatch, exchange.hood, reaper)
    try:
        await worker(exchange).run_once()
    except (Killed, BaseExceptionGroup):
        assert (await exchange.look(import_id)).state is State.RUNNING
        assert await worker(exchange).run_once(), "a worker of the same name takes its own import up at once"
    finished = await exchange.look(import_id)
    assert finished.state is State.SUCCEEDED
    assert (finished.told, finished.reasons) == (calm.told, calm.reasons)
    assert exchange.hood.resources == calm_hood.resources
    assert exchange.hood.registrations == calm_hood.registrations


async def _calm(exchange: Exchange) -> tuple[Finished, Neighbourhood]:
    import_id = await begin(exchange, data=LINES)
    assert await worker(exchange).run_once()
    told, hood = await exchange.look(import_id), exchange.hood
    exchange.hood = Neighbourhood()
    await exchange.database.pool.execute("TRUNCATE source_patients")
    return told, hood


async def test_a_cancelled_import_stops_and_keeps_nothing_to_come_back_to(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await begin(exchange, data=LINES)
    calls = 0

    def cancel(name: str) -> None:
        nonlocal calls
        calls += name == "ImportResources"
        if calls == 3:
            raise Killed

    exchange.hood.before = cancel
    with pytest.raises((Killed, BaseExceptionGroup)):
        await worker(exchange).run_once()
    async with exchange.database.writing() as writer:
        found = await inputs.find(writer, import_id, OWNER)
        assert found is not None
        assert await jobs.cancel(writer, found, exchange.clock()) is not None
    assert not await worker(exchange).run_once()
    assert await exchange.database.pool.fetchval("SELECT count(*) FROM input_chunks") == 0


class Source:
    """A web server with files, which may fail."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}
        # Called before each answer; what it answers is sent in place of the file.
        self.instead: Callable[[int], bytes | None] = lambda _: None
        self.asked = 0
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        path = head.split(b" ")[1].decode()
        told = self.instead(self.asked)
        if told is None:
            body = self.files[path]
            lines = {"content-length": str(len(body)), **self.headers}
            told = b"HTTP/1.1 200 OK\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()).encode() + b"\r\n" + body
        writer.write(told)
        await writer.drain()
        writer.close()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url(self, name: str) -> str:
        return f"{self.origin}/{name}"


@asynccontextmanager
async def serving(**files: bytes) -> AsyncIterator[Source]:
    source = Source()
    source.files = {f"/{name}.ndjson": data for name, data in files.items()}
    server = await asyncio.start_server(source.answer, "127.0.0.1", 0)
    source.port = server.sockets[0].getsockname()[1]
    async with server:
        yield source


async def fetched(exchange: Exchange, source: Source, *given: Input) -> Finished:
    import_id = await begin(exchange, *given)
    assert await worker(exchange, Outbound([source.origin])).run_once()
    return await exchange.look(import_id)


async def test_inputs_by_reference_are_fetched_and_what_is_referred_to_comes_first(exchange: Exchange) -> None:
    people, seen = ndjson(*map(a_patient, range(1, 9))), ndjson(*(an_observation(n, 1 + n % 8) for n in range(1, 30)))
    async with serving(seen=gzip.compress(seen), people=people) as source:
        finished = await fetched(
            exchange,
            source,
            Input(0, "Observation", source.url("seen.ndjson")),
            Input(1, "Patient", source.url("people.ndjson")),
        )
    assert [counts.created for _, _, counts in finished.told] == [29, 8]
    registered = exchange.hood.registrations
    bodies = [one[1] for key, one in exchange.hood.resources.items() if key[0] == "Patient"]
    assert len(registered) == len(bodies) == 8


async def test_a_source_that_fails_now_and_then_is_asked_again(exchange: Exchange) -> None:
    broken = b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n" + LINES[:100]
    answers = {1: b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", 2: broken, 3: b""}
    async with serving(all=LINES) as source:
        source.instead = answers.get
        finished = await fetched(exchange, source, Input(0, "", source.url("all.ndjson")))
    assert (source.asked, finished.told[0][2].created) == (4, 37)


@pytest.mark.parametrize(
    ("answer", "given", "headers", "reason"),
    [
        (b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", {}, {}, "INPUT_REFUSED"),
        (b"HTTP/1.1 302 To\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n", {}, {}, "INPUT_REFUSED"),
        (b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n", {}, {}, "UNREACHABLE"),
        (None, {"etag": 'W/"2"'}, {"etag": '"1"'}, "ETAG_MISMATCH"),
        (None, {"etag": '"2"'}, {}, "ETAG_MISMATCH"),
        (None, {"sha256": "0" * 64}, {}, "CHECKSUM_MISMATCH"),
        (None, {}, {"repr-digest": f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"}, "CHECKSUM_MISMATCH"),
    ],
)
async def test_an_input_that_cannot_be_had_is_told_of_and_the_others_are_taken(
    exchange: Exchange, answer: bytes | None, given: dict[str, str], headers: dict[str, str], reason: str
) -> None:
    async with serving(bad=LINES, good=ndjson(a_patient(1))) as bad, serving(good=ndjson(a_patient(1))) as good:
        bad.instead, bad.headers = lambda _: answer, headers
        first = Input(0, "", bad.url("bad.ndjson"), **given)
        import_id = await begin(exchange, first, Input(1, "", good.url("good.ndjson")))
        assert await worker(exchange, Outbound([bad.origin, good.origin])).run_once()
        finished = await exchange.look(import_id)
    assert finished.state is State.SUCCEEDED
    assert [counts.created for _, _, counts in finished.told] == [0, 1]
    assert finished.reasons == [(bad.url("bad.ndjson"), 0, "", reason)]


@pytest.mark.parametrize("point", ["after plan", "before commit", "within commit", "after commit"])
async def test_an_input_that_cannot_be_had_is_told_of_once_whenever_its_worker_dies(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    armed(monkeypatch, exchange.hood, Reaper(point, 1))
    async with serving(good=ndjson(a_patient(1))) as source:
        good = Input(0, "", source.url("good.ndjson"))
        import_id = await begin(exchange, good, Input(1, "", "http://10.0.0.1/refused"))
        with pytest.raises(Killed):
            await worker(exchange, Outbound([source.origin])).run_once()
        assert await worker(exchange, Outbound([source.origin])).run_once()
    finished = await exchange.look(import_id)
    assert [counts.created for _, _, counts in finished.told] == [1, 0]
    assert finished.reasons == [("http://10.0.0.1/refused", 0, "", "URL_REFUSED")]


async def test_checksums_and_etags_that_are_right_let_a_file_through(exchange: Exchange) -> None:
    digest = hashlib.sha256(LINES)
    async with serving(all=LINES) as source:
        told = f"sha-512=:AA==:, sha-256=:{base64.b64encode(digest.digest()).decode()}:"
        source.headers = {"etag": 'W/"7"', "repr-digest": told}
        one = Input(0, "", source.url("all.ndjson"), '"7"', digest.hexdigest())
        finished = await fetched(exchange, source, one)
    assert finished.told[0][2].created == 37


async def test_an_origin_that_is_not_named_is_never_asked(exchange: Exchange) -> None:
    async with serving(all=LINES) as source:
        import_id = await begin(exchange, Input(0, "", source.url("all.ndjson")))
        assert await worker(exchange, Outbound()).run_once()
    finished = await exchange.look(import_id)
    assert (source.asked, finished.reasons[0][3]) == (0, "URL_REFUSED")


async def test_a_worker_that_dies_while_it_fetches_fetches_anew(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "CHUNK_BYTES", 100)
    monkeypatch.setattr("services.exchange.formats.ndjson.lines.CHUNK_BYTES", 100)
    kept = fetching._keep

    async def keep(job: Any, position: int, chunk: int, data: bytes) -> None:
        await kept(job, position, chunk, data)
        if chunk == 3 and source.asked == 1:
            raise Killed

    monkeypatch.setattr(fetching, "_keep", keep)
    async with serving(all=LINES) as source:
        import_id = await begin(exchange, Input(0, "", source.url("all.ndjson")))
        for _ in range(2):
            try:
                await worker(exchange, Outbound([source.origin])).run_once()
            except Killed:
                assert await exchange.database.pool.fetchval("SELECT count(*) FROM input_chunks") == 4
    finished = await exchange.look(import_id)
    assert (source.asked, finished.told[0][2].created) == (2, 37)
