"""Drives an import of bundles, a zip of them or a single one, to its end."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO

import orjson
from nhip.records.v1 import service_pb2

from libs.errors import InvalidArgumentError
from libs.f43.archive import ArchiveError
from services.exchange.archives import Members, is_zip
from services.exchange.formats.sending import OUTCOMES, register_all
from services.exchange.job import Job
from services.exchange.mapping.bundle import (
    BundleError,
    Entry,
    as_update,
    entries_of,
    filed,
    parse,
    registration_of,
)
from services.exchange.model import (
    Chunk,
    FileStep,
    Outcome,
    PlannedFile,
    RejectedRow,
    Rejection,
)
from services.exchange.neighbours import RefusedError
from services.exchange.rules import count

# So many bundles are committed at once; so many are on their way at once.
BUNDLES = 20
TRANSACTIONS_AT_ONCE = 4
MAX_BUNDLE_BYTES = 64 * 1024 * 1024
# The rows of all bundles are counted together: thousands of files of one person each would say nothing.
ALL = "Bundle"
_SHOWN = 120


@dataclass(frozen=True, slots=True)
class _Source:
    """The bundles of a file by name, in order."""

    names: Sequence[str]
    read: Callable[[str], bytes]


@dataclass(slots=True)
class _Bundle:
    """A bundle on its way. `error` says why it is not taken; `total` counts its entries, or 1 where none can be seen."""

    number: int
    name: str
    total: int = 1
    entries: list[Entry] = field(default_factory=list)
    error: BundleError | None = None

    @property
    def patients(self) -> list[Entry]:
        """The entries that are registered first."""
        return [] if self.error else [entry for entry in self.entries if entry.is_patient]


async def process(job: Job, source: IO[bytes]) -> None:
    """Processes what is left of the import. Raises ArchiveError or InvalidArgumentError before anything is stored."""
    with ExitStack() as stack:
        bundles = await asyncio.to_thread(_open, stack, source, job.found.file_name)
        if not job.files:
            total = await asyncio.to_thread(_count, bundles)
            await job.plan([PlannedFile(ALL, total)])
        planned = job.files[0]
        # Line n + 1 stands for the n-th bundle.
        done = planned.after_line - 1
        while done < len(bundles.names):
            names = bundles.names[done : done + BUNDLES]
            batch = await asyncio.to_thread(_load, bundles, names, done, job.organization_id)
            outcomes, rejected = await _send(job, batch)
            done += len(names)
            await job.commit(Chunk([FileStep(planned.position, count(outcomes), done + 1)], rejected))
        await job.commit(Chunk([FileStep(planned.position, is_done=True)]))


def _open(stack: ExitStack, source: IO[bytes], file_name: str) -> _Source:
    if is_zip(source):
        members = stack.enter_context(Members(source))
        names = [name for name in members.names if name.lower().endswith(".json")]
        if not names:
            raise ArchiveError("ZIP_EMPTY", "the zip holds no bundle; a bundle is a file that ends in .json")
        large = next((name for name in names if members.size(name) > MAX_BUNDLE_BYTES), None)
        if large is not None:
            raise ArchiveError("MEMBER_TOO_LARGE", "the bundle is too large", large)
        return _Source(names, members.read)
    data = source.read(MAX_BUNDLE_BYTES + 1)
    if len(data) > MAX_BUNDLE_BYTES:
        raise InvalidArgumentError("BUNDLE_TOO_LARGE", "a single bundle has at most 64 MiB; send several as a zip")
    try:
        parse(data)
    except BundleError as error:
        # The file is nothing but this bundle, so that nothing of it can be read.
        raise InvalidArgumentError(error.reason, str(error)) from None
    return _Source([file_name or "bundle.json"], lambda _: data)


def _count(bundles: _Source) -> int:
    """The entries of all bundles; also reads every member through before the first is taken."""
    total = 0
    for name in bundles.names:
        try:
            total += max(1, len(parse(bundles.read(name)).get("entry", [])))
        except BundleError:
            total += 1
    return total


def _load(bundles: _Source, names: Sequence[str], first: int, organization_id: str) -> list[_Bundle]:
    loaded = []
    for number, name in enumerate(names, first):
        made = _Bundle(number, "".join(letter for letter in name if letter.isprintable())[-_SHOWN:])
        try:
            told = parse(bundles.read(name))
            made.total = max(1, len(told.get("entry", [])))
            made.entries = entries_of(told, organization_id)
        except BundleError as error:
            made.error = error
        loaded.append(made)
    return loaded


async def _send(job: Job, bundles: Sequence[_Bundle]) -> tuple[list[Outcome], list[RejectedRow]]:
    await _register(job, bundles)
    limit = asyncio.Semaphore(TRANSACTIONS_AT_ONCE)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_execute(job, bundle, limit)) for bundle in bundles]
    outcomes: list[Outcome] = []
    rejected: list[RejectedRow] = []
    for bundle, task in zip(bundles, tasks, strict=True):
        if bundle.error is None:
            outcomes.extend(task.result())
        else:
            outcomes.extend([Outcome.REJECTED] * bundle.total)
            rejected.extend(_rejected(bundle, bundle.error))
    return outcomes, rejected


async def _register(job: Job, bundles: Sequence[_Bundle]) -> None:
    """Registers the Patients, and puts each entry under the id of its registration."""
    wanted = []
    for bundle in bundles:
        for entry in bundle.patients:
            try:
                wanted.append((bundle, entry, registration_of(entry, job.organization_id)))
            except BundleError as error:
                bundle.error = error
    place = f"bundle/{bundles[0].number}"
    answers = await register_all(job, place, [registration for _, _, registration in wanted])
    for (bundle, entry, _), answer in zip(wanted, answers, strict=True):
        if answer.error_reason:
            expression = f"Bundle.entry[{entry.position}].resource"
            bundle.error = BundleError(entry.position, expression, answer.error_reason, answer.error_message)
        else:
            bundle.entries[entry.position] = filed(entry, answer.registration_id)


async def _execute(job: Job, bundle: _Bundle, limit: asyncio.Semaphore) -> list[Outcome]:
    """Carries a bundle out; an empty one, and what it reads, says nothing."""
    sent = [entry for entry in bundle.entries if entry.method != "GET"]
    outcomes = [Outcome.SKIPPED] * bundle.total
    if bundle.error is not None or not sent:
        return outcomes
    while True:
        try:
            async with limit:
                results = await job.neighbours.execute_transaction(
                    job.sender, f"bundle/{bundle.number}", [_to_wire(entry) for entry in sent]
                )
            break
        except RefusedError as error:
            at = _place(error, sent)
            if at is not None and error.reason == "RESOURCE_EXISTS" and sent[at].id:
                sent[at] = as_update(sent[at])
                continue
            position = None if at is None else sent[at].position
            bundle.error = BundleError(position, error.field, error.reason, error.message)
            return outcomes
    for entry, result in zip(sent, results, strict=True):
        outcomes[entry.position] = OUTCOMES.get(result.outcome, Outcome.UNCHANGED)
    return outcomes


def _to_wire(entry: Entry) -> service_pb2.TransactionEntry:
    return service_pb2.TransactionEntry(
        full_url=entry.full_url,
        method=entry.method,
        url=entry.url,
        body=orjson.dumps(entry.resource) if entry.resource is not None else b"",
        if_none_exist=entry.if_none_exist,
        if_match=entry.if_match,
        id=entry.id,
    )


def _place(error: RefusedError, sent: Sequence[Entry]) -> int | None:
    """Where the entry that records names as Bundle.entry[n] stands among those that were sent."""
    _, _, rest = error.field.partition("entry[")
    number = rest.partition("]")[0]
    return int(number) if number.isdigit() and int(number) < len(sent) else None


def _rejected(bundle: _Bundle, error: BundleError) -> list[RejectedRow]:
    """Every entry, since a bundle is taken whole or not at all; the one at fault says why."""
    rows = []
    for position in range(bundle.total):
        is_fault = error.entry is None or error.entry == position
        place = f"Bundle.entry[{error.entry}]"
        message = str(error) if is_fault else f"the bundle was not taken because of {place}: {error}"
        column = error.expression if is_fault else ""
        rows.append(RejectedRow(bundle.number, bundle.name, Rejection(position + 1, column, error.reason, message)))
    return rows
