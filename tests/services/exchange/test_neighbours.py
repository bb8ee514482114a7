"""Patience: neighbours that are down, or answer nonsense, delay a job and never fail it."""

import asyncio
from datetime import timedelta

import grpc
import pytest

from services.exchange import neighbours
from services.exchange import worker as worker_module
from services.exchange.model import Counts, State
from services.exchange.store import jobs
from tests.services.exchange.files import HCODE, a_zip, people, visits
from tests.services.exchange.neighbourhood import failure
from tests.services.exchange.running import Exchange


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "backoff", lambda _: 0.0)


@pytest.mark.parametrize("method", ["IssueToken", "BatchRegister", "ImportResources"])
@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    ],
)
async def test_a_neighbour_that_is_down_is_waited_for(exchange: Exchange, method: str, code: grpc.StatusCode) -> None:
    failures = 25

    def before(name: str) -> None:
        nonlocal failures
        if name == method and failures:
            failures -= 1
            raise failure(code)

    exchange.hood.before = before
    finished = await exchange.take_in(a_zip({"PERSON": people(3), "SERVICE": visits(3)}))
    assert failures == 0
    assert finished.state is State.SUCCEEDED
    assert (finished.counts("PERSON"), finished.counts("SERVICE")) == (Counts(created=3), Counts(created=3))


async def test_a_neighbour_that_breaks_for_a_while_costs_no_row(exchange: Exchange) -> None:
    failures = 60

    def before(name: str) -> None:
        nonlocal failures
        if name == "ImportResources" and failures:
            failures -= 1
            raise failure(grpc.StatusCode.INTERNAL)

    exchange.hood.before = before
    finished = await exchange.take_in(a_zip({"PERSON": people(20)}))
    assert failures == 0
    assert finished.counts("PERSON") == Counts(created=20)


async def test_a_missing_scope_is_the_deployments_fault_and_costs_no_row(exchange: Exchange) -> None:
    from tests.services.exchange.neighbourhood import refusal  # noqa: PLC0415

    failures = 5

    def before(name: str) -> None:
        nonlocal failures
        if name == "BatchRegister" and failures:
            failures -= 1
            raise refusal(grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING", "")

    exchange.hood.before = before
    finished = await exchange.take_in(a_zip({"PERSON": people(3)}))
    assert finished.counts("PERSON") == Counts(created=3)


async def test_a_token_is_asked_for_once_in_the_organisations_name(exchange: Exchange) -> None:
    await exchange.take_in(a_zip({"PERSON": people(3), "SERVICE": visits(3)}))
    (request,) = exchange.hood.tokens_issued
    assert request.grant_type == "urn:ietf:params:oauth:grant-type:token-exchange"
    assert (request.client_id, request.organization_id) == ("nhip-exchange", HCODE)


async def test_a_refused_token_is_replaced(exchange: Exchange) -> None:
    refused = False

    def before(name: str) -> None:
        nonlocal refused
        if name == "ImportResources" and not refused:
            refused = True
            raise failure(grpc.StatusCode.UNAUTHENTICATED)

    exchange.hood.before = before
    await exchange.take_in(a_zip({"PERSON": people(1)}))
    assert len(exchange.hood.tokens_issued) == 2


async def test_an_import_that_is_cancelled_while_a_neighbour_is_down_lets_go(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "backoff", lambda _: 60.0)
    monkeypatch.setattr(worker_module, "LEASE", timedelta(seconds=0.1))
    waiting = asyncio.Event()

    def before(name: str) -> None:
        waiting.set()
        raise failure(grpc.StatusCode.UNAVAILABLE)

    exchange.hood.before = before
    import_id = await exchange.queue(a_zip({"PERSON": people(1)}))
    work = asyncio.create_task(exchange.worker().run_once())
    await waiting.wait()
    found = (await exchange.look(import_id)).found
    async with exchange.database.writing() as writer:
        await jobs.cancel(writer, found, exchange.clock())
    assert await work
    assert (await exchange.look(import_id)).state is State.CANCELLED


async def test_two_takers_of_one_process_never_take_the_same_import(exchange: Exchange) -> None:
    ids = [await exchange.queue(a_zip({"PERSON": people(n)})) for n in (1, 2, 3)]
    worker = exchange.worker()
    work = asyncio.create_task(worker.run())
    while not all([(await exchange.look(one)).state.is_finished for one in ids]):
        await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert [(await exchange.look(one)).found.attempts for one in ids] == [1, 1, 1]


async def test_files_of_one_organisation_run_in_the_order_in_which_they_came(exchange: Exchange) -> None:
    first, second = a_zip({"PERSON": people(2)}), a_zip({"SERVICE": visits(2)})
    ids = [await exchange.queue(first), await exchange.queue(second)]
    work = asyncio.create_task(exchange.worker().run())
    while not all([(await exchange.look(one)).state.is_finished for one in ids]):
        await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (await exchange.look(ids[1])).counts("SERVICE") == Counts(created=2)
