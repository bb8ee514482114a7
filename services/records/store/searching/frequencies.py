"""How many resources carry a token, as far as it decides which index leads.

Asked of the index once for each token, with a limit, and kept for a while: a token that very many resources carry is better
met on a walk in the order of the result than fetched in full and sorted. It decides how a search is carried out, never what
it finds.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from sqlalchemy import text

from libs.database.statements import Statement
from libs.database.transactions import Reader
from services.records.rules.queries import (
    ChainCondition,
    Condition,
    HasCondition,
    PersonCondition,
    Query,
    TokenCondition,
)

# From here on a walk meets a page of matches sooner than all of them are fetched.
MANY = 1000
_SECONDS = 600.0
_KEPT = 20_000
# Of a condition with more alternatives nothing is asked.
_ALTERNATIVES = 32
_COUNT = Statement(
    "resources.frequency",
    text(
        f"""
        SELECT asked.ordinal, (
            SELECT count(*) FROM (
                SELECT 1 FROM resources AS r WHERE r.tokens @> ARRAY[asked.token] LIMIT {MANY}
            ) AS met
        ) AS count
        FROM unnest(CAST(:tokens AS bigint[])) WITH ORDINALITY AS asked (token, ordinal)
        """
    ),
)
_known: OrderedDict[int, tuple[float, bool]] = OrderedDict()


def asked_for(query: Query) -> list[int]:
    """The tokens of a query whose frequency matters: where one person leads, none does."""
    if any(isinstance(one, PersonCondition) for one in query.conditions):
        return []
    return list(_tokens(query.conditions))


def _tokens(conditions: Sequence[Condition]) -> Iterable[int]:
    for one in conditions:
        if isinstance(one, TokenCondition) and _is_asked(one):
            yield from one.hashes
        elif isinstance(one, ChainCondition | HasCondition) and one.markers:
            yield from _tokens(one.conditions)


def _is_asked(condition: TokenCondition) -> bool:
    return condition.is_common and not condition.is_negated and 0 < len(condition.hashes) <= _ALTERNATIVES


async def learn(reader: Reader, tokens: Sequence[int]) -> None:
    """Asks for those that are not known, or not lately."""
    now = time.monotonic()
    unknown = [one for one in dict.fromkeys(tokens) if one not in _known or _known[one][0] < now]
    if not unknown:
        return
    for row in await reader.fetch(_COUNT, tokens=unknown):
        token = unknown[row["ordinal"] - 1]
        _known[token] = (now + _SECONDS, row["count"] >= MANY)
        _known.move_to_end(token)
    while len(_known) > _KEPT:
        _known.popitem(last=False)


def is_frequent(condition: Condition) -> bool:
    """True for tokens of which many were found to carry one, and for a person's resources, or a person, with such alone."""
    if isinstance(condition, ChainCondition | HasCondition):
        return bool(condition.markers and condition.conditions) and all(map(is_frequent, condition.conditions))
    return isinstance(condition, TokenCondition) and _is_asked(condition) and any(map(_is_many, condition.hashes))


def is_rare(condition: Condition) -> bool:
    """True for a number or name of one, and for codes that few were found to carry."""
    if not isinstance(condition, TokenCondition) or condition.is_negated:
        return False
    return not condition.is_common or (_is_asked(condition) and not any(map(_is_many, condition.hashes)))


def _is_many(token: int) -> bool:
    return token in _known and _known[token][1]
