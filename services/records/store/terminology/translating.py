"""What a code is in another system: by loaded maps, carried ones, and filed ConceptMaps."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import orjson
from sqlalchemy import text

from libs.access.caller import Caller
from libs.database.statements import Statement
from libs.database.transactions import Reader
from services.records.model import Operation
from services.records.rules.queries import parse_query
from services.records.rules.terminology import carried
from services.records.rules.terminology.mapping import Mapped, mappings_of
from services.records.store import resources, searching
from services.records.store.terminology.systems import filed_resources

MAX_MAPS = 200
_COLUMNS = """m.name AS map_url, m.source_system, m.source_code, m.target_system, m.target_code, m.equivalence,
    m.target_display"""
_CURRENT = """JOIN terminology_loads AS l
    ON l.kind = 'mappings' AND l.name = m.name AND l.version = m.version AND l.is_current"""
FORWARD = Statement(
    "mappings.forward",
    text(
        f"""
        SELECT {_COLUMNS} FROM unnest(CAST(:systems AS text[]), CAST(:codes AS text[])) AS asked (system, code)
        JOIN mappings AS m ON m.source_system = asked.system AND m.source_code = asked.code
        {_CURRENT}
        """
    ),
)
BACKWARD = Statement(
    "mappings.backward",
    text(
        f"""
        SELECT {_COLUMNS} FROM unnest(CAST(:systems AS text[]), CAST(:codes AS text[])) AS asked (system, code)
        JOIN mappings AS m ON m.target_system = asked.system AND m.target_code = asked.code
        {_CURRENT}
        """
    ),
)
KNOWN = Statement(
    "mappings.known",
    text("SELECT 1 FROM terminology_loads WHERE kind = 'mappings' AND name = :name AND is_current"),
)
Key = tuple[str, str]


async def loaded(reader: Reader, keys: Sequence[Key], *, is_reverse: bool = False) -> list[Mapped]:
    """What loaded maps say of (system, code)."""
    rows = await reader.fetch(
        BACKWARD if is_reverse else FORWARD, systems=[one for one, _ in keys], codes=[one for _, one in keys]
    )
    found = [Mapped(**row) for row in rows]
    return [one.reversed() for one in found] if is_reverse else found


async def translate(
    reader: Reader,
    caller: Caller,
    seen_at: datetime,
    keys: Sequence[Key],
    *,
    map_url: str = "",
    is_reverse: bool = False,
) -> list[Mapped]:
    """What every map that is known, or the one that is named, says; a code without a system is any system's."""
    wanted = set(keys)
    named = {code for system, code in keys if not system}
    filed = (
        await filed_resources(reader, caller, seen_at, "ConceptMap", map_url)
        if map_url
        else await _all_filed(reader, caller, seen_at)
    )
    lines: list[Mapped] = [*carried.mappings(), *(line for one in filed for line in mappings_of(one))]
    turned = (one.reversed() for one in lines) if is_reverse else lines
    found = [
        *await loaded(reader, keys, is_reverse=is_reverse),
        *(one for one in turned if (one.source_system, one.source_code) in wanted or one.source_code in named),
    ]
    return [one for one in found if map_url in {"", one.map_url}]


def within(lines: Iterable[Mapped], keys: Sequence[Key]) -> list[Mapped]:
    """Those lines that start from one of the codes."""
    wanted = set(keys)
    return [one for one in lines if (one.source_system, one.source_code) in wanted or ("", one.source_code) in wanted]


async def read_map(reader: Reader, caller: Caller, seen_at: datetime, resource_id: str) -> list[Mapped] | None:
    """The lines of a filed ConceptMap; None where there is none for the caller."""
    if not searching.may_see(caller, "ConceptMap"):
        return None
    found = await resources.read(reader, caller, seen_at, "ConceptMap", resource_id)
    if found is None or not found.is_visible or found.stored.operation is Operation.DELETE:
        return None
    return list(mappings_of(orjson.loads(found.stored.body)))


async def is_known(reader: Reader, caller: Caller, seen_at: datetime, map_url: str) -> bool:
    """True if a map of this URL is loaded, carried, or filed where the caller may see it."""
    if any(one.map_url == map_url for one in carried.mappings()):
        return True
    if await reader.fetch_value(KNOWN, name=map_url) is not None:
        return True
    return bool(await filed_resources(reader, caller, seen_at, "ConceptMap", map_url))


async def _all_filed(reader: Reader, caller: Caller, seen_at: datetime) -> list[dict[str, object]]:
    if not searching.may_see(caller, "ConceptMap"):
        return []
    query = parse_query("ConceptMap", [])
    query.count = MAX_MAPS
    page = await searching.search(reader, caller, seen_at, query, None)
    return [orjson.loads(one.body) for one in page.matches]
