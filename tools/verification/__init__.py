"""Whether the services' databases agree: what each follower holds against what its source told, and the audit log with itself.

Each service recovers by itself, and each may have been recovered to another moment. What no service can see alone is seen
here: a follower that stands where its source has not been, a projection that is not what its source says, a visit without a
record, an access that was announced and not logged.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from tools.verification import audit, feeds, ledger, projections
from tools.verification.findings import Databases, Finding

__all__ = ["SERVICES", "Finding", "verify"]

SERVICES = ("identity", "patient_index", "records", "claims", "surveillance", "exchange", "audit")
_AGAIN_SECONDS = 0.5
_CHECKS: Sequence[Callable[[Databases], Awaitable[list[Finding]]]] = (
    feeds.check,
    projections.check,
    ledger.check,
    audit.check,
)


async def verify(url: Callable[[str], str], patience_seconds: float = 0.0) -> list[Finding]:
    """One finding for each thing that was compared, faults among them, by the URLs of the services' databases.

    While services write, two databases are never seen at one moment: what differs is looked at again until it agrees or
    the patience is used up. Changes that a follower has not applied yet are no fault. Raises OSError and
    asyncpg.PostgresError where a database cannot be read.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        found = await _once(url)
        if not any(one.is_fault for one in found) or time.monotonic() + _AGAIN_SECONDS > deadline:
            return found
        await asyncio.sleep(_AGAIN_SECONDS)


async def _once(url: Callable[[str], str]) -> list[Finding]:
    opened: dict[str, asyncpg.Connection] = {}
    try:
        for service in SERVICES:
            opened[service] = await asyncpg.connect(url(service))
        return [finding for check in _CHECKS for finding in await check(opened)]
    finally:
        for connection in opened.values():
            await connection.close()
