"""Two stores that differ in nothing but what one caller may not read, each behind a records service and an edge of its own."""

import json
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from unittest import mock

import asyncpg
from nhip.records.v1 import service_pb2, service_pb2_grpc

from libs.access.caller import EMERGENCY
from libs.database.embedded import EmbeddedPostgres
from libs.ids import derived_id, new_id
from libs.runtime.channels import open_channel
from services.edge.app import Edge
from services.edge.observing import AccessLog
from services.edge.upstream import SERVICES, Upstream, served_by
from services.records.__main__ import build
from services.records.store.searching import frequencies
from tests.noninterference import words
from tests.noninterference.judging import Eyes, Judge, Row
from tests.noninterference.world import DIRECTORY, Drawing, World, Writing, draw
from tests.services.edge.fakes import Lines
from tests.services.records.stage import Stage
from tests.support.serving import serving

BEGINNING = datetime(2024, 6, 1, 3, 0, tzinfo=UTC)
# When requests are made: long after everything was filed.
ASKING = BEGINNING + timedelta(days=30)
# Where a hidden row lies, beside `resources`.
_BESIDE = ("resource_versions", "search_dates", "search_numbers", "search_orders", "locators")
# So few make a token a frequent one: what hidden rows decide of the way of a search, small stores must decide too.
_MANY = 4
# Where the services take ids from that an answer shows.
_IDS = (
    "services.records.api.writing.new_id",
    "services.records.api.transacting.new_id",
    "services.edge.fhir.operations.summary.document.new_id",
    "services.edge.fhir.operations.terminology.expand.new_id",
)
_CLOCKS = (
    "services.edge.fhir.operations.summary.operation.datetime",
    "services.edge.fhir.operations.terminology.expand.datetime",
)


@dataclass(frozen=True)
class Difference:
    """One thing that is otherwise in the second store: gone, changed, ended, added or rewritten."""

    kind: str
    writing: Writing
    # Of what is rewritten: the version.
    version: int = 0
    # By which it is named when the same two stores are made again.
    number: int = -1

    def __str__(self) -> str:
        return f"{self.kind} {self.writing.key}" + (f"/_history/{self.version}" if self.version else "")


@dataclass
class Side:
    """One of the stores, served."""

    stage: Stage
    edge: Edge


@dataclass
class Pair:
    """Both stores, and what a caller's requests are made of."""

    eyes: Eyes
    world: World
    sides: tuple[Side, Side]
    differences: list[Difference]
    # `Type/id` of what the caller sees, and of what one of the stores hides from them.
    seen: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)


@contextmanager
def steady() -> Iterator[Callable[[str], None]]:
    """New ids, clocks and what is known of frequencies begin anew, for both stores alike, whenever the function is called."""
    numbers: Iterator[int] = count()
    name = ""

    def begin(text: str) -> None:
        nonlocal numbers, name
        numbers, name = count(), text
        frequencies._known.clear()

    def following() -> str:
        return derived_id(name, str(next(numbers)))

    with ExitStack() as stack:
        for source in _IDS:
            stack.enter_context(mock.patch(source, following))
        for source in _CLOCKS:
            stack.enter_context(mock.patch(source, _Still))
        stack.enter_context(mock.patch.object(frequencies, "MANY", _MANY))
        yield begin


class _Still(datetime):
    """A clock that stands, for what the edge dates itself."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return ASKING.astimezone(tz)


class Countries:
    """The databases of a world: filled once, copied for each pair."""

    def __init__(self, postgres: EmbeddedPostgres, template: str) -> None:
        """`template` is a database as the migrations of records leave it."""
        self._postgres = postgres
        self._template = template
        self._filled: dict[int, str] = {}
        self._made: list[str] = []

    def copy(self, name: str) -> str:
        """The name of a new database that holds the same."""
        made = f"ni_{new_id().replace('-', '')}"
        self._postgres.create_database(made, template=name)
        self._made.append(made)
        return made

    def url(self, name: str) -> str:
        return self._postgres.url(name)

    async def filled(self, world: World) -> str:
        """The name of the database that holds the world."""
        if world.seed not in self._filled:
            name = self.copy(self._template)
            await _merge_partitions(self.url(name))
            await _fill(self.url(name), world)
            self._filled[world.seed] = name
        return self._filled[world.seed]

    def forget(self, seed: int) -> None:
        """Removes the database of a world."""
        if seed in self._filled:
            self.drop(self._filled.pop(seed))

    def drop(self, *names: str) -> None:
        """Removes databases; without names all that were made."""
        for name in names or tuple(self._made):
            self._postgres.drop_database(name)
            self._made.remove(name)


async def _merge_partitions(url: str) -> None:
    """One partition for each table: nothing else changes, and PostgreSQL plans each statement in a third of the time."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT partrelid::regclass::text AS name FROM pg_partitioned_table")
        for table in [one["name"] for one in tables]:
            parts = "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::text::regclass"
            for part in await connection.fetch(parts, table):
                await connection.execute(f"DROP TABLE {part['name']}")
            await connection.execute(
                f"CREATE TABLE {table}_whole PARTITION OF {table} FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
            )
    finally:
        await connection.close()


async def _fill(url: str, world: World) -> None:
    now = [BEGINNING]
    async with serving("records", build, url, clock=lambda: now[0]) as running:
        stage = Stage(running, running.stub(service_pb2_grpc.RecordsServiceStub), now)
        for one in world.registrations:
            if one.person:
                await stage.register(one.id, one.organization, person=one.person, key=one.citizen_key)
        for batch in world.rounds:
            now[0] += timedelta(hours=5)
            for organization in sorted({one.organization for one in batch}):
                await _write(stage, organization, [one for one in batch if one.organization == organization])
        for one in world.consents:
            await stage.consent(one.citizen_key, one.organization, one.decision, category=one.category)


async def _write(stage: Stage, organization: str, writings: Sequence[Writing]) -> list[Writing]:
    """Writes as the organisation, which for this once sees everything that it may refer to; what was taken."""
    request = service_pb2.ImportResourcesRequest()
    for one in writings:
        body = json.dumps({**one.body, "id": one.id}).encode() if one.body is not None else b""
        request.resources.add(type=one.type, id=one.id, body=body, is_deleted=one.body is None)
    token = stage.token(organization, purpose=EMERGENCY, reason="the test's own")
    results = (await stage.call("ImportResources", request, token)).results
    return [one for one, result in zip(writings, results, strict=True) if not result.error_reason]


_ROWS = """
    SELECT type, id, version, organization_id, filed_under, is_personal, sensitivity, body = '' AS is_gone, true AS is_current
    FROM resources
    UNION ALL
    SELECT old.type, old.id, old.version, old.organization_id, old.filed_under, old.is_personal,
           greatest(old.sensitivity, new.sensitivity), old.body = '', false
    FROM resource_versions AS old JOIN resources AS new USING (type, id)
    ORDER BY type, id, version
"""


async def _rows(url: str) -> list[tuple[Row, bool]]:
    """Every version, and whether it is the newest. What is as sensitive as the newest is so in all its versions."""
    connection = await asyncpg.connect(url)
    try:
        return [(Row(*tuple(one)[:-1]), one["is_current"]) for one in await connection.fetch(_ROWS)]
    finally:
        await connection.close()


def _wanted(rng: random.Random, drawing: Drawing, judge: Judge, rows: Sequence[tuple[Row, bool]]) -> list[Difference]:
    """What is to be otherwise in the second store: of what is hidden some, and more of it."""
    found: list[Difference] = []
    for row, is_current in rows:
        if not is_current:
            if not judge.may_see(row):
                found.append(Difference("rewritten", Writing(row.organization, row.type, row.id, {}), row.version))
            continue
        is_hidden = not judge.may_see(row)
        if not is_hidden and judge.grants(row.type):
            continue
        # What the scopes alone hide says something else, and no more: that it is there tells any reference to it.
        if not is_hidden and row.is_gone:
            continue
        kind = rng.choice(("gone", "gone", "changed", "ended", "added", "same")) if is_hidden else "changed"
        if kind in {"gone", "ended"}:
            found.append(Difference(kind, Writing(row.organization, row.type, row.id, None)))
        elif kind in {"changed", "added"}:
            body = _other(drawing, row)
            is_new = kind == "added" and row.type not in {"Patient", *DIRECTORY}
            identity = derived_id(row.id, "more") if is_new else row.id
            found.append(
                Difference("added" if is_new else "changed", Writing(row.organization, row.type, identity, body))
            )
    return found


def _other(drawing: Drawing, row: Row) -> dict[str, Any]:
    """Another body for the same place, as sensitive as the one that is there."""
    if row.type == "Patient":
        body = drawing.patient()
    elif row.type in DIRECTORY:
        body = drawing.directory(row.type)
    else:
        registration = next(one for one in drawing.world.registrations if one.id == row.filed_under)
        body = drawing.record(row.type, registration)
    label = [{"system": words.CONFIDENTIALITY, "code": "R" if row.sensitivity else "N"}]
    body["meta"] = {**body.get("meta", {}), "security": label}
    if row.type == "Condition" and not row.sensitivity:
        body["code"] = {"coding": [{"system": words.ICD10, "code": words.DIAGNOSES[0]}]}
    return body


async def _apply(side: Stage, url: str, differences: Sequence[Difference]) -> list[Difference]:
    """Makes the second store what it is to be; what could be made otherwise."""
    made: list[Difference] = []
    side.now[0] = ASKING - timedelta(days=1)
    written = [one for one in differences if one.kind in {"changed", "ended", "added"}]
    for organization in sorted({one.writing.organization for one in written}):
        own = [one for one in written if one.writing.organization == organization]
        taken = await _write(side, organization, [one.writing for one in own])
        made += [one for one in own if one.writing in taken]
    connection = await asyncpg.connect(url)
    try:
        for one in differences:
            place = (one.writing.type, one.writing.id)
            if one.kind == "gone":
                for table in (*_BESIDE, "resources"):
                    await connection.execute(f"DELETE FROM {table} WHERE type = $1 AND id = $2", *place)
                made.append(one)
            if one.kind == "rewritten":
                await connection.execute(_REWRITE, *place, one.version)
                made.append(one)
    finally:
        await connection.close()
    return made


_REWRITE = """
    UPDATE resource_versions SET
        body = CASE WHEN body = '' THEN body ELSE convert_to(replace(replace(
            convert_from(body, 'UTF8'), 'final', 'amended'), '2024-05', '2024-04'), 'UTF8') END,
        tokens = (SELECT array_agg(token + 1) FROM unnest(tokens) AS token)
    WHERE type = $1 AND id = $2 AND version = $3
"""
_SEEN = """
    SELECT key FROM (
        SELECT type, id, version, to_jsonb(r) - 'written_by' - 'is_current' AS key FROM resources AS r
        UNION ALL
        SELECT type, id, version, to_jsonb(v) - 'written_by' - 'superseded_by' FROM resource_versions AS v
    ) AS every WHERE (type, id, version) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]))
    ORDER BY type, id, version
"""


async def _seen_content(url: str, rows: Sequence[Row]) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        keys = ([one.type for one in rows], [one.id for one in rows], [one.version for one in rows])
        return [one["key"] for one in await connection.fetch(_SEEN, *keys)]
    finally:
        await connection.close()


@asynccontextmanager
async def paired(
    countries: Countries, seed: int, eyes: Eyes, *, kept: Sequence[int] | None = None
) -> AsyncIterator[Pair]:
    """The two stores of a seed and a caller, served; with `kept` only these of the differences, by their numbers."""
    world, drawing = draw(seed)
    base = await countries.filled(world)
    names = countries.copy(base), countries.copy(base)
    first, second = (countries.url(one) for one in names)
    judge = Judge(world, eyes)
    rows = await _rows(first)
    drawing.rng = random.Random(f"differences/{seed}/{eyes.name}")
    wanted = _wanted(drawing.rng, drawing, judge, rows)
    wanted = [replace(one, number=number) for number, one in enumerate(wanted)]
    if kept is not None:
        wanted = [one for one in wanted if one.number in kept]
    try:
        async with AsyncExitStack() as stack:
            sides = [await stack.enter_async_context(_side(one)) for one in (first, second)]
            made = await _apply(sides[1].stage, second, wanted)
            after = await _rows(second)
            visible = [[row for row, _ in some if _is_shown(judge, row)] for some in (rows, after)]
            # The harness itself: nothing that the caller may read is otherwise.
            assert visible[0] == visible[1]
            assert await _seen_content(first, visible[0]) == await _seen_content(second, visible[1])
            seen = [row.key for row, is_current in rows if is_current and _is_shown(judge, row)]
            hidden = {row.key for row, is_current in (*rows, *after) if is_current} - set(seen)
            yield Pair(eyes, world, (sides[0], sides[1]), made, seen, sorted(hidden))
    finally:
        countries.drop(*names)


def _is_shown(judge: Judge, row: Row) -> bool:
    return judge.may_see(row) and judge.grants(row.type)


@asynccontextmanager
async def _side(url: str) -> AsyncIterator[Side]:
    now = [ASKING]
    async with serving("records", build, url, clock=lambda: now[0]) as running:
        stage = Stage(running, running.stub(service_pb2_grpc.RecordsServiceStub), now)
        nowhere = open_channel("127.0.0.1:9", *SERVICES.values())
        own = open_channel(running.process.address, *served_by("records"))
        upstream = Upstream({name: own if name == "records" else nowhere for name in SERVICES})
        log = AccessLog(Lines())  # type: ignore[arg-type]  # the two methods that are called
        try:
            yield Side(stage, Edge(upstream, log))
        finally:
            log.flush()
            await upstream.close()
