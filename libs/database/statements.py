"""Statements with names: written in SQLAlchemy Core, compiled once, run on asyncpg.

Compiling a Core statement costs more than PostgreSQL needs to run it, so that each is compiled at import and its SQL kept.
The name stands in metrics, in tests that count SQL, and in plans.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import ClauseElement, Dialect
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

_DIALECT: Dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
_run: ContextVar[list[str] | None] = ContextVar("statements_run", default=None)


class Statement:
    """One SQL statement with named parameters."""

    __slots__ = ("_defaults", "_names", "name", "sql")

    def __init__(self, name: str, clause: ClauseElement) -> None:
        compiled = clause.compile(dialect=_DIALECT)
        self.name = name
        self.sql = str(compiled)
        self._names: tuple[str, ...] = tuple(getattr(compiled, "positiontup", None) or ())
        self._defaults: Mapping[str, Any] = dict(compiled.params)

    def arguments(self, parameters: Mapping[str, Any]) -> list[Any]:
        """The parameters in the order of the SQL. Raises TypeError for a name that the statement does not have."""
        unknown = parameters.keys() - self._defaults.keys()
        if unknown:
            raise TypeError(f"statement {self.name} has no parameter {sorted(unknown)}")
        run = _run.get()
        if run is not None:
            run.append(self.name)
        return [parameters[name] if name in parameters else self._defaults[name] for name in self._names]


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """The names of the statements run within the block, in order: what tests count."""
    names: list[str] = []
    token = _run.set(names)
    try:
        yield names
    finally:
        _run.reset(token)
