"""Fills an index by COPY with what registering would have written: the same features and keys, by the same code.

Persons are as the truth of the benchmark has them, so that a registration that is asked about finds its person; one line
in `HOLD_OUT` is left out to ask with.
"""

import asyncio
import csv
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import asyncpg
import orjson

from libs.access.citizen_keys import CitizenKeys
from services.patient_index import wire
from services.patient_index.rules.blocking import keys_of
from services.patient_index.rules.placing import home_person_of
from services.patient_index.rules.registering import (
    account_number,
    features_of,
    normalized,
    registration_id_of,
    violations,
)
from services.patient_index.store.rows import features_row
from tools.thaibench.registering import registration_of

HOLD_OUT: Final = 100
Row = dict[str, str]
_AT_ONCE: Final = 20_000
_MOMENT: Final = datetime(2026, 1, 1, tzinfo=UTC)
_TABLES: Final = {
    "registrations": (
        "registration_id", "organization_id", "local_number", "person_id", "version", "content", "features",
        "citizen_key", "written_at", "decision_id", "recorded_at",
    ),
    "registration_keys": ("key", "kind", "registration_id"),
    "decisions": (
        "registration_id", "decision_id", "kind", "previous_person_id", "person_id", "decided_by", "reason", "model",
        "weight", "evidence", "recorded_at",
    ),
}  # fmt: skip
# Inserted in the order of the indexes, whose pages are then written once.
_ORDERS: Final = {
    "registrations": "registration_id",
    "registration_keys": "key, kind, registration_id",
    "decisions": "registration_id",
}
_REGISTER: Final = 1


def lines(directory: Path) -> Iterator[tuple[Row, str]]:
    """The registrations of a benchmark, each with its person."""
    with (
        (directory / "registrations.csv").open(encoding="utf-8", newline="") as sent,
        (directory / "truth.csv").open(encoding="utf-8", newline="") as truth,
    ):
        for row, told in zip(csv.DictReader(sent), csv.DictReader(truth), strict=True):
            yield row, told["person_id"]


def held_out(directory: Path) -> list[Row]:
    """The lines that were not filled in."""
    return [row for place, (row, _) in enumerate(lines(directory)) if place % HOLD_OUT == 0]


async def fill(url: str, directory: Path, citizen_secret: bytes, jobs: int = 2) -> int:
    """Fills the empty index at `url`; says with how many registrations."""
    connection = await asyncpg.connect(url)
    try:
        for table in _TABLES:
            await connection.execute(f"CREATE UNLOGGED TABLE fill_{table} (LIKE {table})")
        await connection.execute("ALTER TABLE fill_decisions DROP COLUMN position")
    finally:
        await connection.close()
    filled = 0
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        stream = ((row, person) for place, (row, person) in enumerate(lines(directory)) if place % HOLD_OUT)
        work = partial(_fill_part, url, citizen_secret)
        while parts := [part for part in (list(islice(stream, _AT_ONCE)) for _ in range(jobs * 2)) if part]:
            filled += sum(pool.map(work, parts))
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET maintenance_work_mem = '512MB'; SET work_mem = '512MB'")
        for table, columns in _TABLES.items():
            names = ", ".join(columns)
            order = _ORDERS[table]
            await connection.execute(
                f"INSERT INTO {table} ({names}) SELECT {names} FROM fill_{table} ORDER BY {order}", timeout=3600
            )
            await connection.execute(f"DROP TABLE fill_{table}")
            await connection.execute(f"VACUUM ANALYZE {table}", timeout=3600)
    finally:
        await connection.close()
    return filled


def _fill_part(url: str, citizen_secret: bytes, part: list[tuple[Row, str]]) -> int:
    return asyncio.run(_copy(url, CitizenKeys(citizen_secret), part))


async def _copy(url: str, citizen_keys: CitizenKeys, part: list[tuple[Row, str]]) -> int:
    rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _TABLES}
    for row, person in part:
        _add(rows, row, person, citizen_keys)
    connection = await asyncpg.connect(url)
    try:
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", format="binary",
            encoder=lambda value: b"\x01" + orjson.dumps(value), decoder=lambda value: orjson.loads(value[1:]),
        )  # fmt: skip
        for table, columns in _TABLES.items():
            await connection.copy_records_to_table(f"fill_{table}", records=rows[table], columns=columns)
    finally:
        await connection.close()
    return len(rows["registrations"])


def _add(rows: Mapping[str, list[tuple[Any, ...]]], row: Row, person: str, citizen_keys: CitizenKeys) -> None:
    message = registration_of(row)
    filed = wire.filed_of(message, normalized)
    if violations(filed, _MOMENT.date()):
        return
    registration_id = registration_id_of(filed.organization_id, filed.local_number)
    person_id = home_person_of(person)
    features = features_of(filed)
    number = account_number(filed.identifiers)
    decision_id = str(uuid.uuid4())
    rows["registrations"].append(
        (
            registration_id, filed.organization_id, filed.local_number, person_id, 1,
            wire.content_of(message, filed.identifiers), features_row(features),
            citizen_keys.key_of(number.system, number.value) if number else "", _MOMENT, decision_id, _MOMENT,
        )
    )  # fmt: skip
    rows["registration_keys"].extend(
        (key, kind, registration_id) for kind, key in keys_of(features, filed.organization_id, filed.local_number)
    )
    rows["decisions"].append(
        (registration_id, decision_id, _REGISTER, None, person_id, "index", "", "", 0.0, {}, _MOMENT)
    )
