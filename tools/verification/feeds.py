"""Where followers stand, against the logs that they follow."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from libs.feed.log import Cursor
from tools.verification.findings import Databases, Finding

# What a snapshot's cursor has for a position: it stands behind everything of its transaction.
_LAST_POSITION = 2**63 - 1

_STANDING = "SELECT source, feed, group_number, cursor FROM feed_cursors ORDER BY source, feed, group_number"
_HAS = (
    "SELECT EXISTS (SELECT 1 FROM changes WHERE feed = $1 AND position = $3 AND transaction = CAST($2 AS text)::xid8)"
)
_AFTER = "feed = $1 AND (transaction, position) > (CAST($2 AS text)::xid8, CAST($3 AS bigint))"
_BEHIND = f"SELECT count(*) FROM changes WHERE {_AFTER}"
_PENDING = f"SELECT key FROM changes WHERE {_AFTER}"
_HORIZON = (
    "SELECT CAST(CAST(transaction AS text) AS bigint) AS transaction, position FROM feed_horizons WHERE feed = $1"
)
_NEXT = "SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint)"


@dataclass(frozen=True, slots=True)
class Standing:
    """A follower, and how far it is."""

    follower: str
    source: str
    feed: str
    cursor: Cursor

    @property
    def name(self) -> str:
        """As in `records follows identity/consents`."""
        return f"{self.follower} follows {self.source}/{self.feed}"


async def standings(databases: Databases) -> AsyncIterator[Standing]:
    """Every follower's place in the logs, from the database that it commits them to."""
    for follower, database in databases.items():
        for row in await database.fetch(_STANDING):
            yield Standing(follower, row["source"], row["feed"], Cursor.parse(row["cursor"]))


async def pending_keys(databases: Databases, follower: str, source: str, feed: str) -> set[str]:
    """The keys of changes that the follower has not applied yet."""
    keys: set[str] = set()
    async for standing in standings(databases):
        if (standing.follower, standing.source, standing.feed) == (follower, source, feed):
            place = str(standing.cursor.transaction), standing.cursor.position
            keys.update(row["key"] for row in await databases[source].fetch(_PENDING, feed, *place))
    return keys


async def check(databases: Databases) -> list[Finding]:
    """For each follower: its source knows the change that it stands at, and still has what comes after."""
    return [await _check(databases[standing.source], standing) async for standing in standings(databases)]


async def _check(source: Any, standing: Standing) -> Finding:
    cursor = standing.cursor
    place = str(cursor.transaction), cursor.position
    behind = await source.fetchval(_BEHIND, standing.feed, *place)
    row = await source.fetchrow(_HORIZON, standing.feed)
    horizon = Cursor(row["transaction"], row["position"]) if row else Cursor()
    if cursor == Cursor():
        return Finding(standing.name, f"at the beginning, {behind} behind")
    if cursor < horizon:
        return Finding(
            standing.name, f"at {cursor}, and the log begins after {horizon}: take a snapshot", is_fault=True
        )
    if cursor == horizon:
        is_known = True
    elif cursor.position == _LAST_POSITION:
        is_known = cursor.transaction < await source.fetchval(_NEXT)
    else:
        is_known = await source.fetchval(_HAS, standing.feed, *place)
    if not is_known:
        said = (
            f"at {cursor}, which {standing.source} does not have: it was recovered to an earlier time than its follower"
        )
        return Finding(standing.name, said, is_fault=True)
    return Finding(standing.name, f"at {cursor}, {behind} behind")
