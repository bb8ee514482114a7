"""`:in`, `:not-in`, `:above` and `:below` of codes: http://hl7.org/fhir/R4/search.html#token.

What they mean stands in value sets and code systems, so they are spelled out as codes before the search is read: those that
the platform carries, that were loaded, and that the caller may read.
"""

import re
from collections.abc import Sequence
from datetime import datetime

from libs.access.caller import Caller
from libs.database.engine import Database
from libs.database.transactions import Reader
from libs.errors import NhipError
from services.records.rules import errors
from services.records.rules.queries import MAX_ALTERNATIVES, is_of_codes, token_parts
from services.records.store.terminology.value_sets import above, below, members

_MODIFIERS = {"in": "", "not-in": ":not", "above": "", "below": ""}
_SEPARATORS = re.compile(r"([\\,$|])")
Asked = Sequence[tuple[str, str]]


async def spelled_out(
    database: Database, caller: Caller, seen_at: datetime, types: Sequence[str], asked: Asked, *, lenient: bool = False
) -> Asked:
    """The parameters with codes in the place of sets and hierarchies.

    Raises InvalidArgumentError, reason SEARCH_INVALID, with the parameter whose set or system is not known here, holds
    nothing, or more than MAX_ALTERNATIVES codes; with `lenient` such a one stays as it is.
    """
    if not any(_modifier(name) and is_of_codes(types, name) for name, _ in asked):
        return asked
    found = []
    async with database.reading() as reader:
        for name, value in asked:
            if not (_modifier(name) and is_of_codes(types, name)):
                found.append((name, value))
                continue
            try:
                found.append(await _spelled(reader, caller, seen_at, name, value))
            except NhipError as error:
                if not lenient:
                    raise errors.search_invalid(name, error.fields[0].description if error.fields else "") from None
                found.append((name, value))
    return found


def _modifier(name: str) -> str:
    modifier = name.rpartition(":")[2]
    return modifier if modifier in _MODIFIERS else ""


async def _spelled(reader: Reader, caller: Caller, seen_at: datetime, name: str, value: str) -> tuple[str, str]:
    modifier = _modifier(name)
    if modifier in {"in", "not-in"}:
        codes = await members(reader, caller, seen_at, value)
    else:
        system, code = token_parts(value, name)
        if not system or not code:
            raise errors.search_invalid(name, "the value is system|code")
        look = above if modifier == "above" else below
        codes = [(system, one) for one in await look(reader, caller, seen_at, system, code)]
    if not codes:
        raise errors.search_invalid(name, "the value set holds no codes")
    if len(codes) > MAX_ALTERNATIVES:
        raise errors.search_invalid(name, f"that are more than {MAX_ALTERNATIVES} codes")
    base = name.removesuffix(f":{modifier}") + _MODIFIERS[modifier]
    return base, ",".join(f"{_escaped(system)}|{_escaped(code)}" for system, code in codes)


def _escaped(text: str) -> str:
    return _SEPARATORS.sub(r"\\\1", text)
