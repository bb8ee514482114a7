"""Consent: the decisions as they stand, and their history."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from sqlalchemy import and_, bindparam, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.identity.model import Consent, ConsentCategory, ConsentDecision
from services.identity.tables import consent_history, consents, organizations

SNAPSHOT_PAGE = 1000

_asked = select(literal(1).label("one")).subquery()
_is_known = or_(
    bindparam("organization_id") == "",
    select(organizations.c.organization_id)
    .where(organizations.c.organization_id == bindparam("organization_id"))
    .exists(),
)
FIND = Statement(
    "consents.find",
    select(_is_known.label("is_known"), consents).select_from(
        _asked.outerjoin(
            consents,
            and_(
                consents.c.citizen_key == bindparam("citizen_key"),
                consents.c.organization_id == bindparam("organization_id"),
                consents.c.category == bindparam("category"),
            ),
        )
    ),
)

_decided = insert(consents).values(
    {
        **{
            column.name: bindparam(column.name)
            for column in consents.c
            if column.name not in {"version", "recorded_at"}
        },
        "version": 1,
    }
)
_stored = (
    _decided.on_conflict_do_update(
        index_elements=["citizen_key", "organization_id", "category"],
        set_={
            "decision": _decided.excluded.decision,
            "expires_at": _decided.excluded.expires_at,
            "version": consents.c.version + 1,
            "recorded_at": func.now(),
        },
    )
    .returning(consents)
    .cte("stored")
)
_history = (*(column.name for column in consents.c),)
_noted = insert(consent_history).from_select(_history, select(*(_stored.c[name] for name in _history))).cte("noted")
STORE = Statement("consents.store", select(_stored).add_cte(_noted))

LIST_IN_FORCE = Statement(
    "consents.list_in_force",
    select(consents)
    .where(
        consents.c.citizen_key == bindparam("citizen_key"),
        or_(
            consents.c.expires_at.is_(None), consents.c.expires_at > bindparam("now", type_=consents.c.expires_at.type)
        ),
    )
    .order_by(consents.c.organization_id, consents.c.category),
)
LIST_ALL = Statement(
    "consents.list_all",
    select(consents)
    .where(
        func.row(consents.c.citizen_key, consents.c.organization_id, consents.c.category)
        > func.row(
            bindparam("citizen_key"),
            bindparam("organization_id"),
            bindparam("category", type_=consents.c.category.type),
        )
    )
    .order_by(consents.c.citizen_key, consents.c.organization_id, consents.c.category)
    .limit(bindparam("page_size")),
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands before a decision: whether the organisation is known, and the decision that held."""

    is_organization_known: bool
    consent: Consent | None


async def find(reader: Reader, citizen_key: str, organization_id: str, category: ConsentCategory) -> Standing:
    """What stands between this citizen and this organisation (or all, where it is empty)."""
    row = await reader.fetch_one(FIND, citizen_key=citizen_key, organization_id=organization_id, category=int(category))
    if row is None:
        raise AssertionError("the statement answers one row always")
    return Standing(row["is_known"], None if row["consent_id"] is None else _consent(row))


async def store(writer: Writer, consent: Consent) -> Consent:
    """The decision as it now stands, with its version; it stands in the history too."""
    rows = await writer.change(
        STORE,
        citizen_key=consent.citizen_key,
        organization_id=consent.organization_id,
        category=int(consent.category),
        consent_id=consent.consent_id,
        decision=int(consent.decision),
        expires_at=consent.expires_at,
    )
    return _consent(rows[0])


async def list_in_force(reader: Reader, citizen_key: str, now: datetime) -> list[Consent]:
    """The citizen's decisions that have not ended, by organisation."""
    return [_consent(row) for row in await reader.fetch(LIST_IN_FORCE, citizen_key=citizen_key, now=now)]


async def every_consent(reader: Reader) -> AsyncIterator[Consent]:
    """All decisions as they stand, ended ones too."""
    after: dict[str, object] = {"citizen_key": "", "organization_id": "", "category": 0}
    while rows := await reader.fetch(LIST_ALL, page_size=SNAPSHOT_PAGE, **after):
        for row in rows:
            yield _consent(row)
        after = {name: rows[-1][name] for name in after}


def _consent(row: asyncpg.Record) -> Consent:
    return Consent(
        row["consent_id"],
        row["citizen_key"],
        row["organization_id"],
        ConsentCategory(row["category"]),
        ConsentDecision(row["decision"]),
        row["version"],
        row["expires_at"],
        row["recorded_at"],
    )
