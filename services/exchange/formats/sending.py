"""Sends what rows became to the services, in an order that keeps that of the file, and says what became of it."""

import asyncio
from collections.abc import Sequence

import orjson
from nhip.patient_index.v1 import resources_pb2 as index_nouns
from nhip.patient_index.v1 import service_pb2 as index_pb2
from nhip.records.v1 import resources_pb2, service_pb2

from services.exchange.job import Job
from services.exchange.mapping.pieces import Draft
from services.exchange.model import Outcome, Rejection
from services.exchange.rules import combined, waves

# What became of one row.
Verdict = Outcome | Rejection

# As many resources go in one call; as many calls are on their way at once.
BATCH = 1_000
CALLS_AT_ONCE = 2

OUTCOMES = {
    resources_pb2.WRITE_OUTCOME_CREATED: Outcome.CREATED,
    resources_pb2.WRITE_OUTCOME_UPDATED: Outcome.UPDATED,
    resources_pb2.WRITE_OUTCOME_UNCHANGED: Outcome.UNCHANGED,
    resources_pb2.WRITE_OUTCOME_DELETED: Outcome.UPDATED,
    resources_pb2.WRITE_OUTCOME_REJECTED: Outcome.REJECTED,
}


def to_wire(draft: Draft) -> service_pb2.ImportResource:
    """A draft as records takes it."""
    made = service_pb2.ImportResource(type=draft.type, id=draft.id)
    if draft.body is None:
        made.is_deleted = True
    else:
        made.body = orjson.dumps(draft.body)
    if draft.updated_at:
        made.source_updated_at.seconds = draft.updated_at
    return made


async def send_resources(
    job: Job, place: str, resources: Sequence[service_pb2.ImportResource]
) -> list[service_pb2.ImportResult]:
    """Stores resources; the answers stand in their order.

    An id that occurs twice goes in a later call than its first occurrence, so that the order of the file holds.
    """
    results: list[service_pb2.ImportResult | None] = [None] * len(resources)
    limit = asyncio.Semaphore(CALLS_AT_ONCE)

    async def call(name: str, positions: Sequence[int]) -> None:
        async with limit:
            told = await job.neighbours.import_resources(job.sender, name, [resources[at] for at in positions])
        for at, result in zip(positions, told, strict=True):
            results[at] = result

    for number, wave_positions in enumerate(waves(resource.id for resource in resources)):
        async with asyncio.TaskGroup() as group:
            for start in range(0, len(wave_positions), BATCH):
                name = f"{place}/{number}/{start}"
                group.create_task(call(name, wave_positions[start : start + BATCH]))
    return [result for result in results if result is not None]


def verdict(
    line: int, row: Sequence[str], results: Sequence[service_pb2.ImportResult], *, is_removal: bool = False
) -> Verdict:
    """What became of a row, from what became of its resources."""
    outcomes = []
    for result in results:
        outcome = OUTCOMES.get(result.outcome, Outcome.REJECTED)
        if outcome is Outcome.REJECTED:
            if not is_removal:
                message = " ".join(part for part in (result.error_expression, result.error_message) if part)
                return Rejection(line, "", result.error_reason or "RESOURCE_REJECTED", message, "|".join(row))
            # There is nothing to remove.
            outcome = Outcome.UNCHANGED
        outcomes.append(outcome)
    return combined(outcomes)


async def register_all(
    job: Job, place: str, registrations: Sequence[index_nouns.Registration]
) -> list[index_pb2.BatchRegisterResult]:
    """Registers people, those with one number one after the other; the answers stand in order."""
    answers = [index_pb2.BatchRegisterResult()] * len(registrations)
    for number, positions in enumerate(waves(one.local_number for one in registrations)):
        wanted = [registrations[at] for at in positions]
        told = await job.neighbours.register(job.sender, f"{place}/register/{number}", wanted)
        for at, answer in zip(positions, told, strict=True):
            answers[at] = answer
    return answers
