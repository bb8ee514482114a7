"""What could not be delivered, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from libs.ids import new_id


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Events of one notification."""

    id: str
    numbers: Sequence[int]
    attempts: int
    error: str
    failed_at: datetime


_COLUMNS = "dead_letter_id, numbers, attempts, error, failed_at"
_KEEP = Statement(
    "subscriptions.keep_letter",
    text(
        """
        INSERT INTO subscription_dead_letters (dead_letter_id, subscription_id, numbers, attempts, error, failed_at)
        VALUES (:id, :subscription_id, CAST(:numbers AS bigint[]), :attempts, :error, CAST(:failed_at AS timestamptz))
        """
    ),
)
_NEWEST = Statement(
    "subscriptions.letters",
    text(
        f"""
        SELECT {_COLUMNS} FROM subscription_dead_letters WHERE subscription_id = :subscription_id
        ORDER BY failed_at DESC, dead_letter_id DESC LIMIT 100
        """
    ),
)
_TAKE = Statement(
    "subscriptions.take_letter",
    text(
        f"""
        DELETE FROM subscription_dead_letters WHERE subscription_id = :subscription_id AND dead_letter_id = :id
        RETURNING {_COLUMNS}
        """
    ),
)


async def keep(
    writer: Writer, subscription_id: str, numbers: Sequence[int], attempts: int, error: str, failed_at: datetime
) -> None:
    """Puts events among the dead letters."""
    await writer.execute(
        _KEEP,
        id=new_id(),
        subscription_id=subscription_id,
        numbers=list(numbers),
        attempts=attempts,
        error=error,
        failed_at=failed_at,
    )


async def newest(reader: Reader, subscription_id: str) -> list[DeadLetter]:
    """The newest hundred of a subscription."""
    return [_letter(row) for row in await reader.fetch(_NEWEST, subscription_id=subscription_id)]


async def take(writer: Writer, subscription_id: str, dead_letter_id: str) -> DeadLetter | None:
    """Takes one out."""
    rows = await writer.change(_TAKE, subscription_id=subscription_id, id=dead_letter_id)
    return _letter(rows[0]) if rows else None


def _letter(row: Any) -> DeadLetter:
    return DeadLetter(row["dead_letter_id"], row["numbers"], row["attempts"], row["error"], row["failed_at"])
