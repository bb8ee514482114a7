"""The ledger: posted to, and read."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, func, select, text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from services.claims.model import Entry, PostedEntry
from services.claims.tables import ledger_entries

_POST = Statement(
    "claims.post",
    text(
        """
        INSERT INTO ledger_entries (
            transaction_id, account, amount, claim_id, organization_id, description, recorded_at
        )
        SELECT transaction_id, account, amount, claim_id, organization_id, description,
               CAST(:recorded_at AS timestamptz)
        FROM unnest(
            CAST(:transaction_ids AS text[]), CAST(:accounts AS text[]), CAST(:amounts AS bigint[]),
            CAST(:claim_ids AS text[]), CAST(:organization_ids AS text[]), CAST(:descriptions AS text[])
        ) WITH ORDINALITY AS posted (
            transaction_id, account, amount, claim_id, organization_id, description, ordinal
        )
        ORDER BY ordinal
        """
    ),
)


@dataclass(frozen=True, slots=True)
class EntryQuery:
    """Which entries; what is empty is not asked. An organisation restricts to the entries that concern it."""

    claim_id: str = ""
    account: str = ""
    organization_id: str | None = None


@dataclass(frozen=True, slots=True)
class EntryPage:
    """One page, and the balance over all pages."""

    entries: list[PostedEntry]
    balance: int


@functools.cache
def _listing(asked: frozenset[str]) -> Statement:
    table = ledger_entries.c
    conditions: list[ColumnElement[bool]] = [table[name] == bindparam(name) for name in sorted(asked - {"after"})]
    balance = select(func.sum(table.amount)).select_from(ledger_entries).where(*conditions).scalar_subquery()
    page = select(ledger_entries, balance.label("balance")).where(*conditions)
    if "after" in asked:
        page = page.where(table.entry_number > bindparam("after"))
    return Statement("claims.list_entries", page.order_by(table.entry_number).limit(bindparam("page_size")))


async def post(writer: Writer, entries: Sequence[Entry], recorded_at: datetime) -> None:
    """Appends entries; the database refuses a transaction that does not sum to zero."""
    await writer.execute(
        _POST,
        transaction_ids=[one.transaction_id for one in entries],
        accounts=[one.account for one in entries],
        amounts=[one.amount for one in entries],
        claim_ids=[one.claim_id for one in entries],
        organization_ids=[one.organization_id for one in entries],
        descriptions=[one.description for one in entries],
        recorded_at=recorded_at,
    )


async def list_entries(reader: Reader, query: EntryQuery, after: int, page_size: int) -> EntryPage:
    """Entries, oldest first, after the one named; a page that is not the first is empty only past the end."""
    parameters: dict[str, object] = {}
    if query.claim_id:
        parameters["claim_id"] = query.claim_id
    if query.account:
        parameters["account"] = query.account
    if query.organization_id is not None:
        parameters["organization_id"] = query.organization_id
    if after:
        parameters["after"] = after
    rows = await reader.fetch(_listing(frozenset(parameters)), page_size=page_size, **parameters)
    entries = [
        PostedEntry(
            row["entry_number"],
            Entry(
                row["transaction_id"],
                row["account"],
                row["amount"],
                row["claim_id"],
                row["organization_id"],
                row["description"],
            ),
            row["recorded_at"],
        )
        for row in rows
    ]
    return EntryPage(entries, int(rows[0]["balance"]) if rows else 0)
