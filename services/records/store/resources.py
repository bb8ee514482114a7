"""Reading resources and their versions, and writing new ones.

Statements are written once for each view; a row that the caller may not see comes back marked, so that the audit log learns
of the attempt, and its body goes no further than this module.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import combinations
from typing import Any, NamedTuple

from sqlalchemy import text

from libs.access.caller import Caller
from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from libs.errors import AbortedError
from libs.fhir.references import LocalReference
from services.records.model import Current, Decision, Operation, Sensitivity, Stored, Target
from services.records.rules.index_entries import GENERATION
from services.records.store.index_rows import (
    DATES,
    INDEXED,
    NEW_ORDERS,
    NOTHING,
    NUMBERS,
    TEXTS,
    array_text,
    index_arrays,
)  # fmt: skip
from services.records.visibility import View, parameters, view_of, visible

COLUMNS = "type, id, version, operation, recorded_at, filed_under, is_personal, organization_id, sensitivity, body"


def columns(alias: str) -> str:
    """The columns of a `Stored`."""
    return ", ".join(f"{alias}.{name}" for name in COLUMNS.split(", "))


def by_view(name: str, sql: str, *rows: str) -> Mapping[View, Statement]:
    """A statement for each view; `{row}` in braces stands for the condition on the row with that alias."""
    return {
        view: Statement(f"{name}.{view.value}", text(sql.format(**{row: visible(row, view) for row in rows})))
        for view in View
    }


READ = by_view(
    "resources.read",
    f"""
    SELECT {columns("r")}, {{r}} AS is_visible
    FROM resources AS r
    WHERE r.type = :type AND r.id = :id
    """,
    "r",
)

READ_SEVERAL = by_view(
    "resources.read_several",
    f"""
    SELECT r.*
    FROM unnest(CAST(:types AS text[]), CAST(:ids AS text[])) AS wanted (type, id)
    CROSS JOIN LATERAL (
        SELECT {columns("r")}, {{r}} AS is_visible
        FROM resources AS r
        WHERE r.type = wanted.type AND r.id = wanted.id
        LIMIT 1
    ) AS r
    """,
    "r",
)

# A superseded version is as sensitive as it was, and as what became of it.
VERSIONS = """
    SELECT current.type, current.id, current.version, current.operation, current.recorded_at, current.filed_under,
           current.is_personal, current.organization_id, current.sensitivity, current.body
    FROM resources AS current
    WHERE current.type = CAST(:type AS text) {and_current}
    UNION ALL
    SELECT past.type, past.id, past.version, past.operation, past.recorded_at, past.filed_under,
           past.is_personal, past.organization_id, GREATEST(past.sensitivity, current.sensitivity), past.body
    FROM resource_versions AS past
    JOIN resources AS current
      ON current.type = past.type AND current.id = past.id AND current.filed_under = past.filed_under
    WHERE past.type = CAST(:type AS text) {and_past}
"""

READ_VERSION = by_view(
    "resources.read_version",
    f"""
    SELECT {columns("r")}, {{r}} AS is_visible
    FROM ({
        VERSIONS.format(
            and_current="AND current.id = CAST(:id AS text) AND current.version = CAST(:version AS bigint)",
            and_past="AND past.id = CAST(:id AS text) AND past.version = CAST(:version AS bigint)",
        )
    }) AS r
    """,
    "r",
)

# The keys are looked up one by one: a join may be planned as a walk over all that is stored.
CURRENTS = by_view(
    "resources.currents",
    f"""
    SELECT r.*
    FROM unnest(CAST(:types AS text[]), CAST(:ids AS text[])) AS wanted (type, id)
    CROSS JOIN LATERAL (
        SELECT {
        columns("r").replace("r.body", "CASE WHEN CAST(:with_bodies AS boolean) THEN r.body ELSE '' END AS body")
    }, r.content_hash, r.source_updated_at, {{r}} AS is_visible
        FROM resources AS r
        WHERE r.type = wanted.type AND r.id = wanted.id
        LIMIT 1
    ) AS r
    """,
    "r",
)

TARGETS = by_view(
    "resources.targets",
    """
    SELECT l.*
    FROM unnest(CAST(:types AS text[]), CAST(:ids AS text[])) AS wanted (type, id)
    CROSS JOIN LATERAL (
        SELECT l.type, l.id, l.filed_under, l.is_personal, l.organization_id
        FROM locators AS l
        WHERE l.type = wanted.type AND l.id = wanted.id AND NOT l.is_deleted AND {l}
        LIMIT 1
    ) AS l
    """,
    "l",
)

BODIES = by_view(
    "resources.bodies",
    f"""
    SELECT r.*
    FROM unnest(CAST(:types AS text[]), CAST(:ids AS text[])) AS wanted (type, id)
    CROSS JOIN LATERAL (
        SELECT {columns("r")}
        FROM resources AS r
        WHERE r.type = wanted.type AND r.id = wanted.id AND r.operation <> {Operation.DELETE.value} AND {{r}}
        LIMIT 1
    ) AS r
    """,
    "r",
)

REGISTRATIONS = Statement(
    "registrations.organizations",
    text(
        "SELECT registration_id, organization_id FROM registrations "
        "WHERE registration_id = ANY(CAST(:registration_ids AS text[]))"
    ),
)

# One row of arrays per resource, tokens as the text of an array each: arrays of arrays cannot be ragged.
_ROWS = """
    SELECT *
    FROM unnest(
        CAST(:types AS text[]), CAST(:ids AS text[]), CAST(:filed_unders AS text[]), CAST(:versions AS bigint[]),
        CAST(:operations AS smallint[]), CAST(:are_personal AS boolean[]), CAST(:sensitivities AS smallint[]),
        CAST(:source_updated_ats AS timestamptz[]), CAST(:content_hashes AS bytea[]),
        CAST(:occurred_froms AS timestamptz[]), CAST(:occurred_tos AS timestamptz[]), CAST(:tokens AS text[]),
        CAST(:bodies AS bytea[])
    ) WITH ORDINALITY AS filed (
        type, id, filed_under, version, operation, is_personal, sensitivity, source_updated_at, content_hash,
        occurred_from, occurred_to, tokens, body, ordinal
    )
"""


def _insert(kinds: Sequence[str]) -> Statement:
    indexed = "".join(f"found_{kind} AS ({INDEXED[kind]}),\n" for kind in kinds)
    return Statement(
        "resources.insert",
        text(
            f"""
            WITH filed AS MATERIALIZED ({_ROWS}),
            {indexed}
            located AS (
                INSERT INTO locators (type, id, filed_under, is_personal, organization_id, sensitivity, is_deleted)
                SELECT type, id, filed_under, is_personal, CAST(:organization_id AS text), sensitivity, false FROM filed
            )
            INSERT INTO resources (
                filed_under, type, id, version, operation, is_personal, organization_id, sensitivity, recorded_at,
                source_updated_at, content_hash, occurred_from, occurred_to, tokens, body, index_generation
            )
            SELECT filed_under, type, id, version, operation, is_personal, CAST(:organization_id AS text), sensitivity,
                   CAST(:recorded_at AS timestamptz), source_updated_at, content_hash, occurred_from, occurred_to,
                   CAST(tokens AS bigint[]), body, {GENERATION}
            FROM filed
            """
        ),
    )


# Each without the tables that it does not need: a table less to open, for every single creation.
INSERTS = {kinds: _insert(kinds) for count in range(len(INDEXED) + 1) for kinds in combinations(sorted(INDEXED), count)}

# All parts of the statement see what was there before it: the version that is replaced is the one that moves.
UPDATE = Statement(
    "resources.update",
    text(
        f"""
        WITH filed AS MATERIALIZED ({_ROWS}),
        superseded AS (
            INSERT INTO resource_versions (
                filed_under, type, id, version, operation, is_personal, organization_id, sensitivity, recorded_at, body,
                tokens, occurred_from, occurred_to, written_by, superseded_by, superseded_at
            )
            SELECT r.filed_under, r.type, r.id, r.version, r.operation, r.is_personal, r.organization_id, r.sensitivity,
                   r.recorded_at, r.body, r.tokens, r.occurred_from, r.occurred_to, r.written_by, pg_current_xact_id(),
                   CAST(:recorded_at AS timestamptz)
            FROM filed JOIN resources AS r ON r.type = filed.type AND r.id = filed.id AND r.filed_under = filed.filed_under
        ),
        relocated AS (
            UPDATE locators AS l
            SET sensitivity = filed.sensitivity, is_deleted = (filed.operation = {Operation.DELETE.value})
            FROM filed
            WHERE l.type = filed.type AND l.id = filed.id
              AND (l.sensitivity <> filed.sensitivity OR l.is_deleted <> (filed.operation = {Operation.DELETE.value}))
        ),
        found_texts AS ({TEXTS}),
        found_dates AS ({DATES}),
        found_numbers AS ({NUMBERS}),
        found_orders AS ({NEW_ORDERS})
        UPDATE resources AS r
        SET version = filed.version, operation = filed.operation, sensitivity = filed.sensitivity,
            recorded_at = CAST(:recorded_at AS timestamptz),
            source_updated_at = coalesce(filed.source_updated_at, r.source_updated_at),
            content_hash = filed.content_hash, occurred_from = filed.occurred_from, occurred_to = filed.occurred_to,
            tokens = CAST(filed.tokens AS bigint[]), body = filed.body, index_generation = {GENERATION},
            written_by = pg_current_xact_id()
        FROM filed
        WHERE r.type = filed.type AND r.id = filed.id AND r.filed_under = filed.filed_under
          AND r.version = filed.version - 1 AND r.organization_id = CAST(:organization_id AS text)
        """
    ),
)


class Found(NamedTuple):
    """A row and whether the caller may see it; if not, nothing of it but whom the attempt was about is to be used."""

    stored: Stored
    is_visible: bool


def stored_of(row: Mapping[str, Any]) -> Stored:
    """A row of the columns of COLUMNS."""
    return Stored(
        type=row["type"],
        id=row["id"],
        version=row["version"],
        operation=Operation(row["operation"]),
        recorded_at=row["recorded_at"],
        filed_under=row["filed_under"],
        is_personal=row["is_personal"],
        organization_id=row["organization_id"],
        sensitivity=Sensitivity(row["sensitivity"]),
        body=row["body"],
    )


async def read(reader: Reader, caller: Caller, seen_at: datetime, resource_type: str, resource_id: str) -> Found | None:
    """The newest version."""
    row = await reader.fetch_one(
        READ[view_of(caller)], type=resource_type, id=resource_id, **parameters(caller, seen_at)
    )
    return Found(stored_of(row), row["is_visible"]) if row is not None else None


async def read_several(
    reader: Reader, caller: Caller, seen_at: datetime, wanted: Collection[LocalReference]
) -> dict[LocalReference, Found]:
    """The newest versions of those that exist."""
    rows = await reader.fetch(
        READ_SEVERAL[view_of(caller)],
        types=[one.type for one in wanted],
        ids=[one.id for one in wanted],
        **parameters(caller, seen_at),
    )
    return {LocalReference(row["type"], row["id"]): Found(stored_of(row), row["is_visible"]) for row in rows}


async def read_version(
    reader: Reader, caller: Caller, seen_at: datetime, resource_type: str, resource_id: str, version: int
) -> Found | None:
    """One version."""
    row = await reader.fetch_one(
        READ_VERSION[view_of(caller)],
        type=resource_type,
        id=resource_id,
        version=version,
        **parameters(caller, seen_at),
    )
    return Found(stored_of(row), row["is_visible"]) if row is not None else None


async def currents(
    reader: Reader, caller: Caller, seen_at: datetime, keys: Sequence[tuple[str, str]], *, with_bodies: bool
) -> dict[str, Current]:
    """`Type/id` → the newest version, for those of the keys that exist."""
    if not keys:
        return {}
    rows = await reader.fetch(
        CURRENTS[view_of(caller)],
        types=[key[0] for key in keys],
        ids=[key[1] for key in keys],
        with_bodies=with_bodies,
        **parameters(caller, seen_at),
    )
    return {
        f"{row['type']}/{row['id']}": Current(
            type=row["type"],
            id=row["id"],
            version=row["version"],
            operation=Operation(row["operation"]),
            filed_under=row["filed_under"],
            is_personal=row["is_personal"],
            organization_id=row["organization_id"],
            content_hash=row["content_hash"],
            source_updated_at=row["source_updated_at"],
            is_visible=row["is_visible"],
            stored=stored_of(row),
        )
        for row in rows
    }


async def targets(
    reader: Reader, caller: Caller, seen_at: datetime, wanted: Sequence[LocalReference]
) -> dict[LocalReference, Target]:
    """Those of the references whose target is there for the caller."""
    if not wanted:
        return {}
    rows = await reader.fetch(
        TARGETS[view_of(caller)],
        types=[one.type for one in wanted],
        ids=[one.id for one in wanted],
        **parameters(caller, seen_at),
    )
    return {
        LocalReference(row["type"], row["id"]): Target(
            row["filed_under"], is_personal=row["is_personal"], organization_id=row["organization_id"]
        )
        for row in rows
    }


async def bodies(
    reader: Reader, caller: Caller, seen_at: datetime, wanted: Sequence[LocalReference]
) -> dict[LocalReference, Stored]:
    """Those of the resources that are there for the caller."""
    if not wanted:
        return {}
    rows = await reader.fetch(
        BODIES[view_of(caller)],
        types=[one.type for one in wanted],
        ids=[one.id for one in wanted],
        **parameters(caller, seen_at),
    )
    return {LocalReference(row["type"], row["id"]): stored_of(row) for row in rows}


async def registrations(reader: Reader, registration_ids: Sequence[str]) -> dict[str, str]:
    """Registration → organisation, for those that the patient index has announced."""
    if not registration_ids:
        return {}
    rows = await reader.fetch(REGISTRATIONS, registration_ids=registration_ids)
    return {row["registration_id"]: row["organization_id"] for row in rows}


async def write(
    writer: Writer, organization_id: str, recorded_at: datetime, written: Sequence[tuple[Decision, bytes]]
) -> None:
    """Stores new resources by one statement, and new versions of others by another.

    Raises AbortedError, reason VERSION_CONFLICT, if a version is not the one that was decided upon: what is locked does not
    change, so that this is never seen.
    """
    new = [one for one in written if one[0].current is None]
    changed = [one for one in written if one[0].current is not None]
    for rows, is_new in ((new, True), (changed, False)):
        if not rows:
            continue
        found = index_arrays([decision.entries for decision, _ in rows])
        kinds = tuple(sorted(found)) if is_new else tuple(sorted(INDEXED))
        statement = INSERTS[kinds] if is_new else UPDATE
        arrays = _arrays(rows)
        for kind in kinds:
            arrays.update(found.get(kind) or NOTHING[kind])
        count = await writer.execute(statement, organization_id=organization_id, recorded_at=recorded_at, **arrays)
        if count != len(rows):
            raise AbortedError("VERSION_CONFLICT", "a resource was changed meanwhile; read it again")


def _arrays(rows: Sequence[tuple[Decision, bytes]]) -> dict[str, Any]:
    decisions = [decision for decision, _ in rows]
    entries = [decision.entries for decision in decisions]
    return {
        "types": [one.intent.type for one in decisions],
        "ids": [one.intent.id for one in decisions],
        "filed_unders": [one.filed_under for one in decisions],
        "versions": [one.version for one in decisions],
        "operations": [one.outcome_operation.value for one in decisions],
        "are_personal": [one.is_personal for one in decisions],
        "sensitivities": [one.sensitivity.value for one in decisions],
        "source_updated_ats": [one.intent.source_updated_at for one in decisions],
        "content_hashes": [one.content_hash for one in decisions],
        "occurred_froms": [one.occurred_from for one in entries],
        "occurred_tos": [one.occurred_to for one in entries],
        "tokens": [array_text(one.tokens) for one in entries],
        "bodies": [body for _, body in rows],
    }
