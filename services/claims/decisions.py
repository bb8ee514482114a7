"""Decides claims within a transaction: looks, decides by the rules, stores, posts, announces.

The caller holds the stripes of the claims' organisations before its first write.
"""

from collections.abc import Sequence
from datetime import datetime

from prometheus_client import Counter

from libs.database.transactions import Writer
from libs.ids import new_id
from services.claims import wire
from services.claims.model import Claim, Status
from services.claims.rules import adjudication
from services.claims.rules import ledger as ledger_rules
from services.claims.store import claims, ledger

FEED = "claims"
CLAIMS = Counter("nhip_claims_total", "Claims that came to a status.", ["status"])
# From zero, so that the first of each is seen as an increase.
for _status in Status:
    CLAIMS.labels(_status.name.lower())


async def decide(writer: Writer, due: Sequence[Claim], now: datetime) -> int:
    """Decides or cancels the claims that are due; the number that changed."""
    if not due:
        return 0
    situations = await claims.situations(writer, due)
    turns = adjudication.decide_in_turn([(claim, situations[claim.claim_id]) for claim in due], now)
    turns = [(before, after) for before, after in turns if after is not before]
    if not turns:
        return 0
    await claims.store_decisions(writer, [after for _, after in turns])
    await post_and_announce(writer, turns, now)
    return len(turns)


async def post_and_announce(writer: Writer, turns: Sequence[tuple[Claim, Claim]], now: datetime) -> None:
    """Posts what the decisions come to, and tells followers each status that a claim came to."""
    entries = [entry for before, after in turns for entry in ledger_rules.entries_of(before, after, new_id())]
    if entries:
        await ledger.post(writer, entries, now)
    for before, after in turns:
        announce(writer, before.version, after)


def announce(writer: Writer, version_before: int, claim: Claim) -> None:
    """Tells followers every status that the claim came to after a version; each status is a version of its own."""
    for change in claim.status_changes[version_before:]:
        version_before += 1
        # A claim is worth what it is now; before it was decided it was worth nothing.
        approved = claim.approved if version_before > 1 else 0
        event = wire.claim_event(claim, change.status, version_before, approved)
        # The organisation's stripe is held by whoever writes its claims, which keeps the order of each claim.
        writer.announce(FEED, claim.claim_id, event, is_new=True)
        CLAIMS.labels(change.status.name.lower()).inc()
