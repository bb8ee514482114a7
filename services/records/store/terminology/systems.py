"""Code systems: loaded ones as SQL, carried and filed ones in memory, behind one face."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any, Protocol

import orjson
from sqlalchemy import text

from libs.access.caller import Caller
from libs.database.statements import Statement
from libs.database.transactions import Reader
from libs.errors import FieldViolation, NotFoundError
from libs.fhir.body import Json
from services.records.rules.queries import parse_query
from services.records.rules.terminology import carried
from services.records.rules.terminology.concepts import HIERARCHICAL, Concept, Filter, Selection, Table, table_of
from services.records.store import searching

CURRENT = Statement(
    "terminology.current",
    text(
        """
        SELECT version, title, rows FROM terminology_loads
        WHERE kind = 'concepts' AND name = :system AND is_complete
          AND (CAST(:version AS text) = version OR (CAST(:version AS text) = '' AND is_current))
        """
    ),
)
_COLUMNS = "c.code, c.display, c.definition, c.designations, c.properties, c.is_inactive"
_PARENTS = """ARRAY(
    SELECT p.parent FROM concept_parents AS p
    WHERE p.system = c.system AND p.version = c.version AND p.code = c.code ORDER BY p.parent
) AS parents"""
FIND = Statement(
    "concepts.find",
    text(
        f"SELECT {_COLUMNS}, {_PARENTS} FROM concepts AS c "
        "WHERE c.system = :system AND c.version = :version AND c.code = ANY(CAST(:codes AS text[])) ORDER BY c.ordinal"
    ),
)
CHILDREN = Statement(
    "concepts.children",
    text(
        "SELECT code FROM concept_parents WHERE system = :system AND version = :version AND parent = :code ORDER BY code"
    ),
)


def _closure(wanted: str, known: str) -> str:
    """SQL: the codes reached from `code` over edges from column `known` to column `wanted`, without the code itself."""
    return f"""
        WITH RECURSIVE reached (code) AS (
            SELECT p.{wanted} FROM concept_parents AS p
            WHERE p.system = CAST(:system AS text) AND p.version = CAST(:version AS text) AND p.{known} = {{code}}
            UNION
            SELECT p.{wanted} FROM reached
            JOIN concept_parents AS p
              ON p.system = CAST(:system AS text) AND p.version = CAST(:version AS text) AND p.{known} = reached.code
        )
        SELECT code FROM reached WHERE code <> {{code}}
    """


_BELOW, _ABOVE = _closure("code", "parent"), _closure("parent", "code")
DESCENDANTS = Statement("concepts.descendants", text(_BELOW.format(code="CAST(:code AS text)")))
ANCESTORS = Statement("concepts.ancestors", text(_ABOVE.format(code="CAST(:code AS text)")))


class System(Protocol):
    """A version of a code system."""

    @property
    def url(self) -> str:
        """Its canonical URL."""

    @property
    def version(self) -> str:
        """Which version it is."""

    @property
    def title(self) -> str:
        """What it is called."""

    async def find(self, codes: Sequence[str]) -> dict[str, Concept]:
        """Those of the codes that it has."""

    async def select(self, wanted: Selection, limit: int) -> list[Concept]:
        """The concepts that are meant, in order, so many at most."""

    async def children(self, code: str) -> list[str]:
        """The codes right below."""

    async def descendants(self, code: str) -> set[str]:
        """The codes below, without the code itself."""

    async def ancestors(self, code: str) -> set[str]:
        """The codes above, without the code itself."""


@dataclass(slots=True)
class HeldSystem:
    """One in memory."""

    table: Table

    @property
    def url(self) -> str:
        """Its canonical URL."""
        return self.table.url

    @property
    def version(self) -> str:
        """Which version it is."""
        return self.table.version

    @property
    def title(self) -> str:
        """What it is called."""
        return self.table.title

    async def find(self, codes: Sequence[str]) -> dict[str, Concept]:
        """Those of the codes that it has."""
        return {code: self.table.concepts[code] for code in codes if code in self.table.concepts}

    async def select(self, wanted: Selection, limit: int) -> list[Concept]:
        """The concepts that are meant, in order, so many at most."""
        return list(islice(self.table.select(wanted), limit))

    async def children(self, code: str) -> list[str]:
        """The codes right below."""
        return self.table.children(code)

    async def descendants(self, code: str) -> set[str]:
        """The codes below, without the code itself."""
        return self.table.descendants(code)

    async def ancestors(self, code: str) -> set[str]:
        """The codes above, without the code itself."""
        return self.table.ancestors(code)


@dataclass(slots=True)
class LoadedSystem:
    """One in the database."""

    reader: Reader
    url: str
    version: str
    title: str

    async def find(self, codes: Sequence[str]) -> dict[str, Concept]:
        """Those of the codes that it has."""
        rows = await self.reader.fetch(FIND, system=self.url, version=self.version, codes=list(codes))
        return {row["code"]: _concept(row) for row in rows}

    async def select(self, wanted: Selection, limit: int) -> list[Concept]:
        """The concepts that are meant, in order, so many at most."""
        values: dict[str, Any] = {"system": self.url, "version": self.version, "limit": limit}
        tests = [
            "c.system = CAST(:system AS text)",
            "c.version = CAST(:version AS text)",
            *([] if wanted.codes is None else [f"c.code = ANY({_name(values, list(wanted.codes), 'text[]')})"]),
            *(_test(one, values) for one in wanted.filters),
            *(f"strpos(c.words, {_name(values, word, 'text')}) > 0" for word in wanted.words),
            *(["NOT c.is_inactive"] if wanted.active_only else []),
        ]
        sql = (
            f"SELECT {_COLUMNS}, {_PARENTS} FROM concepts AS c WHERE {' AND '.join(tests)} "
            "ORDER BY c.ordinal LIMIT CAST(:limit AS bigint)"
        )
        rows = await self.reader.fetch(_statement(sql), **values)
        return [_concept(row) for row in rows]

    async def children(self, code: str) -> list[str]:
        """The codes right below."""
        rows = await self.reader.fetch(CHILDREN, system=self.url, version=self.version, code=code)
        return [row["code"] for row in rows]

    async def descendants(self, code: str) -> set[str]:
        """The codes below, without the code itself."""
        rows = await self.reader.fetch(DESCENDANTS, system=self.url, version=self.version, code=code)
        return {row["code"] for row in rows}

    async def ancestors(self, code: str) -> set[str]:
        """The codes above, without the code itself."""
        rows = await self.reader.fetch(ANCESTORS, system=self.url, version=self.version, code=code)
        return {row["code"] for row in rows}


async def find_system(reader: Reader, caller: Caller, seen_at: datetime, url: str, version: str = "") -> System | None:
    """The code system: loaded, carried, or filed where the caller may see it; None for one that is not known."""
    row = await reader.fetch_one(CURRENT, system=url, version=version)
    if row is not None:
        return LoadedSystem(reader, url, row["version"], row["title"])
    table = carried.system(url)
    if table is not None and version in {"", table.version}:
        return HeldSystem(table)
    for filed in await filed_resources(reader, caller, seen_at, "CodeSystem", url, version):
        if filed.get("concept"):
            return HeldSystem(table_of(filed))
    return None


async def require_system(reader: Reader, caller: Caller, seen_at: datetime, url: str, version: str = "") -> System:
    """As `find_system`. Raises NotFoundError, reason CODE_SYSTEM_UNKNOWN."""
    found = await find_system(reader, caller, seen_at, url, version)
    if found is None:
        message = f"the code system {url}{'|' if version else ''}{version} is not known here"
        raise NotFoundError("CODE_SYSTEM_UNKNOWN", message, fields=[FieldViolation("system", "not-found", message)])
    return found


async def filed_resources(
    reader: Reader, caller: Caller, seen_at: datetime, resource_type: str, url: str, version: str = ""
) -> list[Json]:
    """The resources of a type with this canonical URL that the caller may see, newest first."""
    if not searching.may_see(caller, resource_type):
        return []
    query = parse_query(resource_type, [("url", url)])
    query.count, query.inclusions = 20, []
    page = await searching.search(reader, caller, seen_at, query, None)
    bodies = [orjson.loads(one.body) for one in page.matches]
    return [one for one in bodies if one.get("url") == url and version in {"", one.get("version", "")}]


@lru_cache(maxsize=256)
def _statement(sql: str) -> Statement:
    return Statement("concepts.select", text(sql))


def _name(values: dict[str, Any], value: Any, sql_type: str) -> str:
    name = f"v{len(values)}"
    values[name] = value
    return f"CAST(:{name} AS {sql_type})"


def _test(one: Filter, values: dict[str, Any]) -> str:
    if one.operator in HIERARCHICAL:
        code = _name(values, one.value, "text")
        closure = (_ABOVE if one.operator == "generalizes" else _BELOW).format(code=code)
        inside = f"c.code IN ({closure})"
        if one.operator != "descendent-of":
            inside = f"({inside} OR c.code = {code})"
        return f"NOT {inside}" if one.operator == "is-not-a" else inside
    has = _has(one.name)
    if one.operator == "exists":
        return f"{'' if one.value == 'true' else 'NOT '}{has.format(test='true', name=_name(values, one.name, 'text'))}"
    wanted = [one.value] if one.operator == "=" else one.values
    listed = _name(values, wanted, "text[]")
    test = has.format(test=f"found.value = ANY({listed})", name=_name(values, one.name, "text"))
    return f"NOT {test}" if one.operator == "not-in" else test


def _has(name: str) -> str:
    own = {
        "code": "SELECT c.code AS value",
        "concept": "SELECT c.code AS value",
        "display": "SELECT c.display AS value",
        "parent": (
            "SELECT p.parent AS value FROM concept_parents AS p "
            "WHERE p.system = c.system AND p.version = c.version AND p.code = c.code"
        ),
    }.get(name)
    if own is None:
        own = "SELECT one ->> 1 AS value FROM jsonb_array_elements(c.properties) AS one WHERE one ->> 0 = {name}"
        return f"EXISTS (SELECT 1 FROM ({own}) AS found WHERE {{test}})"
    # The name is a parameter also where the text does not need it.
    return f"(EXISTS (SELECT 1 FROM ({own}) AS found WHERE {{test}}) AND {{name}} <> '')"


def _concept(row: Any) -> Concept:
    return Concept(
        code=row["code"],
        display=row["display"],
        definition=row["definition"],
        parents=tuple(row["parents"]),
        designations=tuple((one[0], one[1]) for one in row["designations"]),
        properties=tuple((one[0], one[1]) for one in row["properties"]),
        is_inactive=row["is_inactive"],
    )
