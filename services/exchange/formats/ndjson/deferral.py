"""Lines that refer to what comes later, or to each other: sent again when everything else is there.

They are sent in the order of whom they are about, those of one Patient in one call: an Encounter and the Condition that
refer to each other are both there then. Round follows round while any of them gets further; what is left refers to
nothing.
"""

from collections.abc import Mapping, Sequence

from libs.access.caller import Scopes
from services.exchange.formats.ndjson.lines import Line, read_at
from services.exchange.formats.ndjson.naming import Naming
from services.exchange.formats.ndjson.reading import Item, read_line
from services.exchange.formats.ndjson.sending import REFERENCE_UNKNOWN, send
from services.exchange.job import Job
from services.exchange.model import (
    MEBIBYTE,
    Chunk,
    Counts,
    DeferredLine,
    Effects,
    FileStep,
    Input,
    Outcome,
    RejectedRow,
    Rejection,
)
from services.exchange.rules import count
from services.exchange.store import inputs

# So many lines are looked at together; of one Patient as many as a call may hold.
GROUP_LINES, MOST_LINES = 500, 2000
MAX_BYTES = 24 * MEBIBYTE


async def settle(job: Job, naming: Naming, files: Sequence[Input]) -> None:
    """Takes what waits, or rejects it. Raises LeaseLostError."""
    by_position = {one.position: one for one in files}
    is_last, rounds = False, 0
    while before := await _count(job):
        await _round(job, naming, by_position, f"waiting/{rounds}/{before}", is_last=is_last)
        is_last = await _count(job) == before
        rounds += 1


async def _count(job: Job) -> int:
    async with job.database.reading() as reader:
        return await inputs.count_deferred(reader, job.found.import_id)


async def _round(job: Job, naming: Naming, files: Mapping[int, Input], place: str, *, is_last: bool) -> None:
    after = inputs.BEFORE_ALL
    while group := await _next_group(job, after):
        after = group[-1]
        items = await _read(job, naming, files, group)
        sent = await send(job, naming, f"{place}/{after.subject}/{after.position}/{after.line}", items)
        settled: list[DeferredLine] = []
        outcomes: dict[int, list[Outcome]] = {}
        rejected: list[RejectedRow] = []
        for line, verdict in zip(group, sent.verdicts, strict=True):
            if isinstance(verdict, Rejection):
                if verdict.reason == REFERENCE_UNKNOWN and not is_last:
                    continue
                rejected.append(RejectedRow(line.position, files[line.position].url or "upload", verdict))
            settled.append(line)
            outcome = Outcome.REJECTED if isinstance(verdict, Rejection) else verdict
            outcomes.setdefault(line.position, []).append(outcome)
        # Where nothing moved, the lease is still worth renewing.
        steps = [FileStep(position, count(told)) for position, told in outcomes.items()]
        steps = steps or [FileStep(group[0].position, Counts())]
        await job.commit(Chunk(steps, rejected, Effects(settled=settled, patients=sent.patients)))


async def _next_group(job: Job, after: DeferredLine) -> list[DeferredLine]:
    """The next lines; a Patient's are not parted, unless there are more than a call may hold."""
    async with job.database.reading() as reader:
        found = await inputs.deferred(reader, job.found.import_id, after, MOST_LINES + 1)
    cut = found[:MOST_LINES]
    if len(found) > GROUP_LINES:
        # Back from where the call is full, to where one Patient's lines end.
        ends = [at for at in range(1, len(cut)) if found[at].subject != found[at - 1].subject]
        cut = found[: next((at for at in ends if at >= GROUP_LINES), ends[-1] if ends else len(cut))]
    size = 0
    for at, line in enumerate(cut):
        size += line.length
        if size > MAX_BYTES and at:
            return cut[:at]
    return cut


async def _read(job: Job, naming: Naming, files: Mapping[int, Input], group: Sequence[DeferredLine]) -> list[Item]:
    scopes = Scopes.parse(job.found.grants)
    items = []
    for one in group:

        async def read(chunk: int, position: int = one.position) -> bytes | None:
            async with job.database.reading() as reader:
                return await inputs.read_chunk(reader, job.found.import_id, position, chunk)

        data = await read_at(read, one.start, one.length)
        line = Line(one.line, one.start, one.length, data)
        item = read_line(line, files[one.position].type, naming.source, scopes)
        if isinstance(item, Item):
            items.append(item)
    if len(items) < len(group):
        raise EOFError("a line of an import is not what it was")
    return items
