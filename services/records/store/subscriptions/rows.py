"""The subscriptions that are acted upon: wanted, found, leased, settled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text

from libs.access.caller import Caller
from libs.database.statements import Statement
from libs.database.transactions import Reader, Writer
from libs.feed.log import FENCE, Cursor
from services.records.model import Wanted
from services.records.rules.subscribing import HIDDEN, caller_of, eyes_of

_LAST_POSITION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription as it stands."""

    id: str
    organization_id: str
    eyes: Sequence[Any]
    base_url: str
    topic: str
    resource_type: str
    filters: Sequence[str]
    channel: str
    endpoint: str
    headers: Mapping[str, str] = field(repr=False)
    content: str
    content_type: str
    heartbeat_seconds: int
    timeout_seconds: int
    max_count: int
    ends_at: datetime
    status: str
    error: str
    cursor: Cursor
    last_number: int
    attempts: int
    failures: int
    next_attempt_at: datetime
    contacted_at: datetime
    lease: str
    lease_until: datetime
    leased_numbers: Sequence[int]

    def caller(self, actor: str = "") -> Caller:
        """For whose eyes its notifications are."""
        return caller_of(self.eyes, actor)


_COLUMNS = (
    "subscription_id, organization_id, eyes, base_url, topic, resource_type, filters, channel, endpoint, headers, content, "
    "content_type, heartbeat_seconds, timeout_seconds, max_count, ends_at, status, error, cursor_transaction, "
    "cursor_position, last_number, attempts, failures, next_attempt_at, contacted_at, lease, lease_until, leased_numbers"
)
# A header that comes back hidden is the one that is kept, for who gave it: nobody else can send it elsewhere. What is asked
# for anew begins where the feed stands, unless it was going on.
_WANT = Statement(
    "subscriptions.want",
    text(
        f"""
        INSERT INTO subscriptions AS known ({_COLUMNS})
        VALUES (
            :id, :organization_id, CAST(:eyes AS jsonb), :base_url, :topic, :resource_type, CAST(:filters AS text[]),
            :channel, :endpoint, CAST(:headers AS jsonb), :content, :content_type, :heartbeat_seconds, :timeout_seconds,
            :max_count, CAST(:ends_at AS timestamptz), :status, '', CAST(:transaction AS bigint),
            CAST(:position AS bigint), 0, 0, 0, CAST(:now AS timestamptz), CAST(:now AS timestamptz), '',
            CAST(:now AS timestamptz), '{{}}'
        )
        ON CONFLICT (subscription_id) DO UPDATE SET
            eyes = excluded.eyes,
            base_url = CASE WHEN excluded.base_url = '' THEN known.base_url ELSE excluded.base_url END, topic = excluded.topic,
            resource_type = excluded.resource_type, filters = excluded.filters, channel = excluded.channel,
            endpoint = excluded.endpoint,
            headers = (
                SELECT coalesce(jsonb_object_agg(given.key, CASE
                    WHEN given.value <> :hidden THEN given.value
                    WHEN known.eyes ->> 1 = excluded.eyes ->> 1 THEN coalesce(known.headers ->> given.key, '')
                    ELSE '' END), '{{}}')
                FROM jsonb_each_text(excluded.headers) AS given
            ),
            content = excluded.content, content_type = excluded.content_type,
            heartbeat_seconds = excluded.heartbeat_seconds, timeout_seconds = excluded.timeout_seconds,
            max_count = excluded.max_count, ends_at = excluded.ends_at, status = excluded.status, error = '',
            cursor_transaction = CASE WHEN known.status = 'off' OR known.topic <> excluded.topic
                THEN excluded.cursor_transaction ELSE known.cursor_transaction END,
            cursor_position = CASE WHEN known.status = 'off' OR known.topic <> excluded.topic
                THEN excluded.cursor_position ELSE known.cursor_position END,
            attempts = 0, failures = 0, next_attempt_at = excluded.next_attempt_at, lease = '',
            lease_until = excluded.lease_until, leased_numbers = '{{}}'
        """
    ),
)
_FORGET = Statement(
    "subscriptions.forget",
    text(
        """
        WITH gone AS (DELETE FROM subscription_events WHERE subscription_id = ANY(CAST(:ids AS text[]))),
             letters AS (DELETE FROM subscription_dead_letters WHERE subscription_id = ANY(CAST(:ids AS text[])))
        DELETE FROM subscriptions WHERE subscription_id = ANY(CAST(:ids AS text[]))
        """
    ),
)
_FIND = Statement("subscriptions.find", text(f"SELECT {_COLUMNS} FROM subscriptions WHERE subscription_id = :id"))
_ALL_OF = Statement(
    "subscriptions.all_of",
    text(
        f"""
        SELECT {_COLUMNS} FROM subscriptions
        WHERE organization_id = :organization_id
          AND (cardinality(CAST(:ids AS text[])) = 0 OR subscription_id = ANY(CAST(:ids AS text[])))
          AND (cardinality(CAST(:statuses AS text[])) = 0 OR status = ANY(CAST(:statuses AS text[])))
        ORDER BY subscription_id LIMIT 1000
        """
    ),
)
# Those whose place lies before the newest change, and those whose time is over.
_BEHIND = Statement(
    "subscriptions.behind",
    text(
        """
        WITH newest AS (
            SELECT CAST(CAST(transaction AS text) AS bigint) AS transaction, position FROM changes
            WHERE feed = :feed AND transaction < pg_snapshot_xmin(pg_current_snapshot())
            ORDER BY changes.transaction DESC, position DESC LIMIT 1
        )
        SELECT s.subscription_id FROM subscriptions AS s
        WHERE s.status <> 'off' AND (
            s.ends_at <= CAST(:now AS timestamptz)
            OR (s.cursor_transaction, s.cursor_position) < (SELECT n.transaction, n.position FROM newest AS n)
        )
        """
    ),
)
_DUE = """
    s.status <> 'off' AND s.next_attempt_at <= CAST(:now AS timestamptz) AND s.lease_until <= CAST(:now AS timestamptz)
    AND s.ends_at > CAST(:now AS timestamptz) AND (
        s.status = 'requested'
        OR EXISTS (SELECT 1 FROM subscription_events AS e WHERE e.subscription_id = s.subscription_id AND e.state = 0)
        OR (s.heartbeat_seconds > 0
            AND s.contacted_at + make_interval(secs => s.heartbeat_seconds) <= CAST(:now AS timestamptz))
    )
"""
_LIST_DUE = Statement(
    "subscriptions.list_due",
    text(
        f"""
        SELECT s.subscription_id FROM subscriptions AS s WHERE s.channel = 'rest-hook' AND {_DUE}
        ORDER BY s.next_attempt_at LIMIT CAST(:count AS integer)
        """
    ),
)
_IS_DUE = Statement(
    "subscriptions.is_due",
    text(f"SELECT EXISTS (SELECT 1 FROM subscriptions AS s WHERE s.subscription_id = :id AND {_DUE})"),
)
_ADVANCE = Statement(
    "subscriptions.advance",
    text(
        """
        UPDATE subscriptions SET cursor_transaction = CAST(:transaction AS bigint),
            cursor_position = CAST(:position AS bigint), last_number = CAST(:last_number AS bigint)
        WHERE subscription_id = :id
        """
    ),
)
_LEASE = Statement(
    "subscriptions.lease",
    text(
        """
        UPDATE subscriptions SET lease = :lease, lease_until = CAST(:until AS timestamptz),
            leased_numbers = CAST(:numbers AS bigint[])
        WHERE subscription_id = :id
        """
    ),
)
_STAND = Statement(
    "subscriptions.stand",
    text(
        """
        UPDATE subscriptions SET status = :status, error = :error, attempts = CAST(:attempts AS integer),
            failures = CAST(:failures AS integer), next_attempt_at = CAST(:next_attempt_at AS timestamptz),
            contacted_at = CAST(:contacted_at AS timestamptz), lease = '', lease_until = CAST(:now AS timestamptz),
            leased_numbers = '{}'
        WHERE subscription_id = :id
        """
    ),
)


async def want(
    writer: Writer,
    subscription_id: str,
    wanted: Wanted,
    caller: Caller,
    *,
    status: str,
    base_url: str,
    now: datetime,
    ends_at: datetime,
) -> None:
    """Notes what is wanted from now on; what it was before is replaced, but its place in the feed and its secrets."""
    await writer.execute(
        _WANT,
        id=subscription_id,
        organization_id=caller.organization_id,
        eyes=eyes_of(caller),
        base_url=base_url,
        topic=wanted.topic,
        resource_type=wanted.resource_type,
        filters=list(wanted.filters),
        channel=wanted.channel,
        endpoint=wanted.endpoint,
        headers=dict(wanted.headers),
        content=wanted.content,
        content_type=wanted.content_type,
        heartbeat_seconds=wanted.heartbeat_seconds,
        timeout_seconds=wanted.timeout_seconds,
        max_count=wanted.max_count,
        ends_at=ends_at,
        status=status,
        transaction=await writer.fetch_value(FENCE),
        position=_LAST_POSITION,
        now=now,
        hidden=HIDDEN,
    )


async def forget(writer: Writer, ids: Sequence[str]) -> None:
    """Removes what is not acted upon any more, with its events."""
    await writer.execute(_FORGET, ids=list(ids))


async def find(reader: Reader, subscription_id: str) -> Subscribed | None:
    """One subscription."""
    row = await reader.fetch_one(_FIND, id=subscription_id)
    return _subscribed(row) if row is not None else None


async def all_of(reader: Reader, organization_id: str, ids: Sequence[str], statuses: Sequence[str]) -> list[Subscribed]:
    """Those of an organisation: the ones named, or all; in one of the states, or in any."""
    rows = await reader.fetch(_ALL_OF, organization_id=organization_id, ids=list(ids), statuses=list(statuses))
    return [_subscribed(row) for row in rows]


async def behind(reader: Reader, feed: str, now: datetime) -> list[str]:
    """Ids of those for which there is something to look at."""
    return [row["subscription_id"] for row in await reader.fetch(_BEHIND, feed=feed, now=now)]


async def list_due(reader: Reader, now: datetime, count: int) -> list[str]:
    """Ids of those by rest-hook that have something to be delivered, the longest waiting first."""
    return [row["subscription_id"] for row in await reader.fetch(_LIST_DUE, now=now, count=count)]


async def is_due(reader: Reader, subscription_id: str, now: datetime) -> bool:
    """True if it has something to be delivered."""
    return bool(await reader.fetch_value(_IS_DUE, id=subscription_id, now=now))


async def advance(writer: Writer, subscription_id: str, cursor: Cursor, last_number: int) -> None:
    """Notes how far the feed has been looked through."""
    await writer.execute(
        _ADVANCE, id=subscription_id, transaction=cursor.transaction, position=cursor.position, last_number=last_number
    )


async def lease(writer: Writer, subscription_id: str, name: str, until: datetime, numbers: Sequence[int]) -> None:
    """Keeps others from delivering it until then."""
    await writer.execute(_LEASE, id=subscription_id, lease=name, until=until, numbers=list(numbers))


async def stand(writer: Writer, after: Subscribed, now: datetime) -> None:
    """Notes how it stands after an attempt, and gives its lease back."""
    await writer.execute(
        _STAND,
        id=after.id,
        status=after.status,
        error=after.error,
        attempts=after.attempts,
        failures=after.failures,
        next_attempt_at=after.next_attempt_at,
        contacted_at=after.contacted_at,
        now=now,
    )


def _subscribed(row: Any) -> Subscribed:
    values = dict(row)
    cursor = Cursor(values.pop("cursor_transaction"), values.pop("cursor_position"))
    return Subscribed(id=values.pop("subscription_id"), cursor=cursor, **values)
