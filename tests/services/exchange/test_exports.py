"""Exports as jobs: a worker that dies anywhere, files that are whole, and nobody else's."""

import asyncio
import contextlib
import gzip
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from libs.ids import new_id
from services.exchange.exporting import run, shelf
from services.exchange.exporting import worker as worker_module
from services.exchange.exporting.job import KEPT_FOR, ExportJob
from services.exchange.exporting.worker import Exporter
from services.exchange.model import Export, ExportFile, FileKind, State
from services.exchange.store import exports
from tests.services.exchange.neighbourhood import failure, refusal
from tests.services.exchange.running import Exchange, _Secrets
from tests.services.exchange.test_crashes import Killed, Reaper

OWNER = ("99001", "client/research")


def a_line(kind: str, number: int) -> bytes:
    return json.dumps({"resourceType": kind, "id": f"{kind}-{number}", "note": "ก" * 20}, ensure_ascii=False).encode()


def fill(exchange: Exchange) -> None:
    """Persons in several groups, two types, deletions."""
    exchange.hood.lines = {kind: [a_line(kind, n) for n in range(8)] for kind in ("Location", "Organization")}
    exchange.hood.persons = {
        f"p{n}": [("Patient", a_line("Patient", n)), ("Observation", a_line("Observation", n))] for n in range(5)
    }
    exchange.hood.deleted = [f"Observation/gone-{n}" for n in range(3)]


def exporter(exchange: Exchange, instance: str = "exchange-0") -> Exporter:
    neighbours = exchange.hood.neighbours(_Secrets())
    return Exporter(exchange.database, neighbours, exchange.clock, instance, asyncio.Event())


async def begin(exchange: Exchange, ignored: tuple[str, ...] = ()) -> str:
    export_id = new_id()
    async with exchange.database.writing() as writer:
        await exports.begin(writer, export_id, OWNER, "http://x/$export", "sealed", ignored, exchange.clock())
    return export_id


async def look(exchange: Exchange, export_id: str) -> tuple[Export, list[tuple[ExportFile, bytes]]]:
    """The export, and each file with what it holds, as a client unpacks it."""
    async with exchange.database.reading() as reader:
        found = await exports.find(reader, export_id, OWNER)
        assert found is not None
        files = await exports.files_of(reader, export_id)
        held = []
        for file in files:
            chunks = [await exports.read_chunk(reader, export_id, file.number, n) for n in range(file.chunks)]
            assert await exports.read_chunk(reader, export_id, file.number, file.chunks) is None
            whole = shelf.GZIP_HEADER + b"".join(one or b"" for one in chunks) + shelf.gzip_end(file)
            held.append((file, gzip.decompress(whole)))
    return found, held


@pytest.fixture(autouse=True)
def _small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "REGISTRATIONS", 2)


async def test_an_export_is_files_by_type_with_counts_and_checksums(exchange: Exchange) -> None:
    fill(exchange)
    export_id = await begin(exchange, ("nonsense",))
    assert await exporter(exchange).run_once()
    found, files = await look(exchange, export_id)
    assert (found.state, found.resources) == (State.SUCCEEDED, 26)
    assert found.expires_at is not None
    assert found.finished_at is not None
    assert found.expires_at - found.finished_at == KEPT_FOR
    assert found.plan == "", "whose eyes it was for is not kept longer than it is needed"
    by_type = {(file.kind, file.type): (file, text) for file, text in files}
    assert sorted(by_type) == [
        (FileKind.OUTPUT, "Location"),
        (FileKind.OUTPUT, "Observation"),
        (FileKind.OUTPUT, "Organization"),
        (FileKind.OUTPUT, "Patient"),
        (FileKind.DELETED, "Bundle"),
        (FileKind.ERROR, "OperationOutcome"),
    ]
    for file, text in files:
        assert (file.size_bytes, file.lines) == (len(text), text.count(b"\n"))
        assert file.sha256 == hashlib.sha256(text).hexdigest()
    assert by_type[FileKind.OUTPUT, "Location"][1] == b"".join(a_line("Location", n) + b"\n" for n in range(8))
    bundle = json.loads(by_type[FileKind.DELETED, "Bundle"][1])
    assert [one["request"]["url"] for one in bundle["entry"]] == exchange.hood.deleted
    assert "nonsense" in by_type[FileKind.ERROR, "OperationOutcome"][1].decode()


async def test_an_export_of_nothing_is_finished_and_empty(exchange: Exchange) -> None:
    export_id = await begin(exchange)
    assert await exporter(exchange).run_once()
    found, files = await look(exchange, export_id)
    assert (found.state, files) == (State.SUCCEEDED, [])
    assert not await exporter(exchange).run_once()


async def test_a_large_file_is_several(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "MAX_FILE_BYTES", 300)
    fill(exchange)
    export_id = await begin(exchange)
    assert await exporter(exchange).run_once()
    _, files = await look(exchange, export_id)
    locations = [(file, text) for file, text in files if file.type == "Location"]
    assert len(locations) > 1
    assert b"".join(text for _, text in locations) == b"".join(a_line("Location", n) + b"\n" for n in range(8))
    assert all(file.sha256 == hashlib.sha256(text).hexdigest() for file, text in files)


POINTS = [
    *(f"{when} {call}" for when in ("before", "after") for call in ("IssueToken", "OpenExport", "ReadExport")),
    *(f"{when} {step}" for when in ("before", "after") for step in ("note_walk", "commit", "finish")),
    "within commit",
]


def armed(monkeypatch: pytest.MonkeyPatch, exchange: Exchange, reaper: Reaper) -> None:
    exchange.hood.before = lambda name: reaper(f"before {name}")
    exchange.hood.after = lambda name: reaper(f"after {name}")
    for name in ("note_walk", "commit", "finish"):
        monkeypatch.setattr(ExportJob, name, around(getattr(ExportJob, name), name, reaper))
    keep = exports._keep

    async def kept(*arguments: Any) -> None:
        await keep(*arguments)
        reaper("within commit")

    monkeypatch.setattr(exports, "_keep", kept)


def around(original: Callable[..., Any], name: str, reaper: Reaper) -> Callable[..., Any]:
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        reaper(f"before {name}")
        result = await original(*arguments, **named)
        reaper(f"after {name}")
        return result

    return wrapped


@pytest.mark.parametrize("times", [1, 3, 6])
@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_export_ends_as_an_undisturbed_one(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, point: str, times: int
) -> None:
    fill(exchange)
    calm_id = await begin(exchange)
    assert await exporter(exchange).run_once()
    calm, calm_files = await look(exchange, calm_id)
    export_id = await begin(exchange)
    reaper = Reaper(point, times)
    armed(monkeypatch, exchange, reaper)
    with contextlib.suppress(Killed, BaseExceptionGroup):
        await exporter(exchange).run_once()
    is_met_often = not point.endswith(("IssueToken", "OpenExport", "note_walk", "finish"))
    assert reaper.has_killed == (times == 1 or is_met_often)
    if reaper.has_killed and point != "after finish":
        assert await exporter(exchange).run_once(), "a worker of the same name takes its own export up at once"
    found, files = await look(exchange, export_id)
    assert (found.state, found.resources) == (State.SUCCEEDED, calm.resources)
    assert [text for _, text in files] == [text for _, text in calm_files]
    assert [(one.type, one.lines, one.sha256) for one, _ in files] == [
        (one.type, one.lines, one.sha256) for one, _ in calm_files
    ]


async def test_another_worker_takes_over_only_when_the_lease_is_over(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(exchange)
    export_id = await begin(exchange)
    armed(monkeypatch, exchange, Reaper("before commit", 2))
    with pytest.raises(Killed):
        await exporter(exchange, "exchange-0").run_once()
    assert not await exporter(exchange, "exchange-1").run_once()
    await exchange.lapse()
    assert await exporter(exchange, "exchange-1").run_once()
    found, _ = await look(exchange, export_id)
    assert (found.state, found.attempts) == (State.SUCCEEDED, 2)


async def test_a_cancelled_export_leaves_nothing_also_of_a_page_on_its_way(exchange: Exchange) -> None:
    fill(exchange)
    export_id = await begin(exchange)
    reads = []

    def before(name: str) -> None:
        if name == "ReadExport":
            reads.append(name)

    exchange.hood.before = before
    original = exchange.hood.ReadExport

    async def reading(request: Any, **more: Any) -> Any:
        if len(reads) == 3:
            async with exchange.database.writing() as writer:
                await exports.forget(writer, [export_id])
        return await original(request, **more)

    exchange.hood.ReadExport = reading  # type: ignore[method-assign]
    assert await exporter(exchange).run_once()
    for table in ("exports", "export_files", "export_chunks"):
        assert await exchange.database.pool.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_records_that_is_down_delays_an_export_and_one_that_refuses_ends_it(exchange: Exchange) -> None:
    fill(exchange)
    export_id = await begin(exchange)
    left = [2]

    def before(name: str) -> None:
        if name == "ReadExport" and left[0]:
            left[0] -= 1
            raise failure(grpc.StatusCode.UNAVAILABLE)

    exchange.hood.before = before
    assert await exporter(exchange).run_once()
    assert (await look(exchange, export_id))[0].state is State.SUCCEEDED
    refused = await begin(exchange)

    def refuse(name: str) -> None:
        if name == "OpenExport":
            raise refusal(grpc.StatusCode.INVALID_ARGUMENT, "PLAN_INVALID", "plan")

    exchange.hood.before = refuse
    assert await exporter(exchange).run_once()
    found, _ = await look(exchange, refused)
    assert (found.state, found.error_reason) == (State.FAILED, "PLAN_INVALID")
    assert found.expires_at is not None


async def test_what_is_over_is_swept_away(exchange: Exchange) -> None:
    fill(exchange)
    await begin(exchange)
    assert await exporter(exchange).run_once()
    kept = await begin(exchange)
    assert await exporter(exchange).sweep() == 0
    exchange.late = KEPT_FOR + timedelta(minutes=1)
    assert await exporter(exchange).sweep() == 1
    assert [row["export_id"] for row in await exchange.database.pool.fetch("SELECT export_id FROM exports")] == [kept]
    assert await exchange.database.pool.fetchval("SELECT count(*) FROM export_chunks") == 0


async def test_an_export_that_fails_for_our_own_reasons_is_given_up(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_id = await begin(exchange)

    async def broken(job: ExportJob) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(worker_module, "process", broken)
    monkeypatch.setattr(worker_module.rules, "backoff", lambda _: 0.0)
    working = exporter(exchange)
    for _ in range(5):
        assert await working.run_once()
    found, _ = await look(exchange, export_id)
    assert (found.state, found.error_reason) == (State.FAILED, "INTERNAL")
    assert datetime.now(UTC) - found.recorded_at < timedelta(minutes=1)
