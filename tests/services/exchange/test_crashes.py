"""A worker that dies anywhere, comes back, and the facility sees nothing of it."""

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from services.exchange import job as jobs_module
from services.exchange.formats.f43 import reading
from services.exchange.model import Format, State
from services.exchange.store import progress
from services.exchange.tables import metadata
from services.exchange.worker import Worker
from tests.services.exchange.files import HCODE, a_row, a_zip, diagnoses, people, visits
from tests.services.exchange.neighbourhood import Neighbourhood
from tests.services.exchange.running import Exchange, Finished
from tests.services.exchange.test_f16 import CLAIMS
from tests.services.exchange.test_fhir import BUNDLES


class Killed(BaseException):
    """What kill -9 is to a coroutine: nothing of ours catches it."""


COUNT = 25


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that every file has several, and a crash falls between them."""
    monkeypatch.setattr(reading, "CHUNK_ROWS", 10)
    monkeypatch.setattr(jobs_module, "CHUNK_ROWS", 10)


def a_month(count: int = COUNT) -> bytes:
    """People, where they live, rights, visits and diagnoses, with a wrong row here and there, and a correction."""
    wrong = a_row("DIAGNOSIS_OPD", PID="1", SEQ="1", DIAGCODE="")
    foreign = a_row("SERVICE", PID="777", SEQ="777")
    addresses = [a_row("ADDRESS", PID=str(n)) for n in range(1, 6)]
    rights = [a_row("CARD", PID=str(n)) for n in range(1, count + 1)]
    chronic = [a_row("CHRONIC", PID=str(n)) for n in range(1, 13)]
    back = '{"HOSPCODE":"99001","PID":"3","DATE_DIAG":"20150601","CHRONIC":"E119"}'
    return a_zip(
        {
            "HOME": [a_row("HOME")],
            "PERSON": people(count),
            "ADDRESS": addresses,
            "DEATH": [a_row("DEATH", PID="2")],
            "CARD": rights,
            "SERVICE": [*visits(count), foreign],
            "DIAGNOSIS_OPD": [*diagnoses(count), wrong],
            "CHRONIC": chronic,
            "CHARGE_OPD": [a_row("CHARGE_OPD")],
            "DATA_CORRECT": [a_row("DATA_CORRECT", DATA_CORRECT=back, D_UPDATE="20240401120000")],
        }
    )


class Reaper:
    """Kills at the n-th time that a point is passed."""

    def __init__(self, point: str, times: int) -> None:
        self.point = point
        self.left = times
        self.has_killed = False

    def __call__(self, point: str) -> None:
        if point == self.point and not self.has_killed:
            self.left -= 1
            if self.left == 0:
                self.has_killed = True
                raise Killed


POINTS = [
    *(f"{when} {call}" for when in ("before", "after") for call in ("IssueToken", "BatchRegister", "ImportResources")),
    "before BatchCreateCoverages",
    "after BatchCreateCoverages",
    "before commit",
    "within commit",
    "after commit",
    "before plan",
    "after plan",
    "before finish",
]


def armed(monkeypatch: pytest.MonkeyPatch, hood: Neighbourhood, reaper: Reaper) -> None:
    """Has the reaper stand at every point."""
    hood.before = lambda name: reaper(f"before {name}")
    hood.after = lambda name: reaper(f"after {name}")
    _around(monkeypatch, jobs_module.Job, "commit", reaper)
    _around(monkeypatch, jobs_module.Job, "plan", reaper)
    _around(monkeypatch, Worker, "_finish", reaper, "finish")
    leave = progress._leave

    async def left(*arguments: Any) -> None:
        await leave(*arguments)
        reaper("within commit")

    monkeypatch.setattr(progress, "_leave", left)


def _around(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, reaper: Reaper, point: str = "") -> None:
    original: Callable[..., Any] = getattr(owner, name)

    async def around(*arguments: Any, **named: Any) -> Any:
        reaper(f"before {point or name}")
        result = await original(*arguments, **named)
        reaper(f"after {point or name}")
        return result

    monkeypatch.setattr(owner, name, around)


_calm: dict[bytes, tuple[Finished, Neighbourhood]] = {}


async def undisturbed(exchange: Exchange, data: bytes, file_format: Format, first: bytes | None = None) -> None:
    """Notes what the facility and the neighbours see when nothing happens, and leaves the database as it was."""
    if data in _calm:
        return
    if first is not None:
        await exchange.take_in(first)
    finished = await exchange.take_in(data, file_format)
    assert finished.state is State.SUCCEEDED
    _calm[data] = finished, exchange.hood
    exchange.hood = Neighbourhood()
    tables = ", ".join(table.name for table in metadata.sorted_tables)
    await exchange.database.pool.execute(f"TRUNCATE {tables}")


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_import_ends_as_an_undisturbed_one(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, point: str, times: int
) -> None:
    data = a_month()
    await undisturbed(exchange, data, Format.F43)
    calm, calm_hood = _calm[data]
    import_id = await exchange.queue(data)
    reaper = Reaper(point, times)
    armed(monkeypatch, exchange.hood, reaper)
    with pytest.raises((Killed, BaseExceptionGroup)) if _is_met(point, times) else contextlib.nullcontext():
        await exchange.worker().run_once()
    if reaper.has_killed:
        assert (await exchange.look(import_id)).state is State.RUNNING
        assert await exchange.worker().run_once(), "a worker of the same name takes its own import up at once"
    finished = await exchange.look(import_id)
    assert finished.state is State.SUCCEEDED
    assert finished.told == calm.told
    assert finished.reasons == calm.reasons
    assert (finished.found.rows_total, finished.found.rows_done) == (calm.found.rows_total, calm.found.rows_done)
    assert exchange.hood.resources == calm_hood.resources
    assert exchange.hood.registrations == calm_hood.registrations
    assert exchange.hood.coverages == calm_hood.coverages


def _is_met(point: str, times: int) -> bool:
    """Some points are passed once only."""
    return times == 1 or not point.endswith(("IssueToken", "plan", "finish"))


@pytest.mark.parametrize(
    "point", ["before SubmitClaim", "after SubmitClaim", "before commit", "within commit", "after commit"]
)
async def test_claims_survive_a_kill(exchange: Exchange, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    first = a_zip({"PERSON": people(3)})
    await undisturbed(exchange, CLAIMS, Format.F16, first)
    calm, calm_hood = _calm[CLAIMS]
    await exchange.take_in(first)
    import_id = await exchange.queue(CLAIMS, Format.F16)
    armed(monkeypatch, exchange.hood, Reaper(point, 2))
    with pytest.raises((Killed, BaseExceptionGroup)):
        await exchange.worker().run_once()
    assert await exchange.worker().run_once()
    finished = await exchange.look(import_id)
    assert (finished.state, finished.told, finished.reasons) == (State.SUCCEEDED, calm.told, calm.reasons)
    assert exchange.hood.claims == calm_hood.claims


@pytest.mark.parametrize("point", ["after BatchRegister", "after ExecuteTransaction", "before commit", "after commit"])
async def test_bundles_survive_a_kill(exchange: Exchange, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    await undisturbed(exchange, BUNDLES, Format.FHIR)
    calm, calm_hood = _calm[BUNDLES]
    import_id = await exchange.queue(BUNDLES, Format.FHIR)
    armed(monkeypatch, exchange.hood, Reaper(point, 1))
    with pytest.raises((Killed, BaseExceptionGroup)):
        await exchange.worker().run_once()
    assert await exchange.worker().run_once()
    finished = await exchange.look(import_id)
    assert (finished.state, finished.told, finished.reasons) == (State.SUCCEEDED, calm.told, calm.reasons)
    assert exchange.hood.resources == calm_hood.resources


async def test_another_worker_takes_over_only_when_the_lease_is_over(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await exchange.queue(a_month())
    armed(monkeypatch, exchange.hood, Reaper("before commit", 2))
    with pytest.raises(Killed):
        await exchange.worker("exchange-0").run_once()
    assert not await exchange.worker("exchange-1").run_once()
    await exchange.lapse()
    assert await exchange.worker("exchange-1").run_once()
    finished = await exchange.look(import_id)
    assert (finished.state, finished.found.attempts) == (State.SUCCEEDED, 2)


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
async def test_a_clock_that_was_set_neither_keeps_an_import_nor_gives_it_away(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, jump: timedelta
) -> None:
    import_id = await exchange.queue(a_month())
    exchange.late = jump
    armed(monkeypatch, exchange.hood, Reaper("before commit", 2))
    with pytest.raises(Killed):
        await exchange.worker("exchange-0").run_once()
    exchange.late = timedelta(0)
    assert not await exchange.worker("exchange-1").run_once()
    await exchange.lapse()
    exchange.late = -jump
    assert await exchange.worker("exchange-1").run_once()
    finished = await exchange.look(import_id)
    assert (finished.state, finished.found.attempts) == (State.SUCCEEDED, 2)
    assert finished.counts("PERSON").created == COUNT


async def test_who_lost_the_lease_stores_nothing_any_more(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    import_id = await exchange.queue(a_month())
    worker, other = exchange.worker("exchange-0"), exchange.worker("exchange-1")
    original = jobs_module.Job.commit
    taken = []

    async def commit(job: jobs_module.Job, chunk: Any) -> None:
        if job.lease.instance == "exchange-0" and not taken:
            await exchange.lapse()
            taken.append(await other.run_once())
        await original(job, chunk)

    monkeypatch.setattr(jobs_module.Job, "commit", commit)
    assert await worker.run_once()
    finished = await exchange.look(import_id)
    assert taken == [True]
    assert finished.state is State.SUCCEEDED
    assert finished.counts("PERSON").created == COUNT
    assert finished.found.organization_id == HCODE
