"""Columns that many tables share, with one meaning each."""

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Text, func
from sqlalchemy.types import UserDefinedType


class TransactionId(UserDefinedType[int]):
    """PostgreSQL's xid8: a transaction's number, never reused."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The name in DDL and casts."""
        return "xid8"


def text_column(name: str, *, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    """Text without a length: lengths are checked where the data come in."""
    return Column(name, Text, primary_key=primary_key, nullable=nullable)


def version_column() -> Column[int]:
    """Counts up with each change of the row."""
    return Column("version", BigInteger, nullable=False)


def recorded_at_column() -> Column[Any]:
    """When the row was written, by the database's clock."""
    return Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now())
