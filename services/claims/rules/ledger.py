"""The books of the hub: double entry, in satang; every transaction sums to zero.

Chart of accounts. A debit is positive, a credit negative.

    scheme:<SCHEME>:expense        debit    what a scheme has spent on care: grows by approval, shrinks by reversal
    organization:<ID>:payable      credit   what is owed to an organisation: grows by approval, shrinks by payment
    scheme:<SCHEME>:fund           credit   the money of a scheme: shrinks by payment

    approval    debit  scheme:expense        credit organization:payable    for each claim
    reversal    debit  organization:payable  credit scheme:expense          for each claim whose visit was cancelled
    payment     debit  organization:payable  for each claim, credit scheme:fund once for each organisation

So an organisation's payable balance is zero when everything approved is paid, and a scheme's expense is what is owed and
what was paid together.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from services.claims.model import Claim, Entry, Status


def expense(scheme: str) -> str:
    """The account of what a scheme has spent."""
    return f"scheme:{scheme}:expense"


def fund(scheme: str) -> str:
    """The account of a scheme's money."""
    return f"scheme:{scheme}:fund"


def payable(organization_id: str) -> str:
    """The account of what is owed to an organisation."""
    return f"organization:{organization_id}:payable"


def entries_of(before: Claim, after: Claim, transaction_id: str) -> Iterator[Entry]:
    """What a decision posts: an approval, the reversal of one, or nothing. Nothing is posted for an amount of zero."""
    amount = after.approved - before.approved
    if not amount or after.status not in {Status.APPROVED, Status.CANCELLED}:
        return
    description = f"{'approval' if amount > 0 else 'reversal'} of invoice {after.invoice_number}"
    for account, signed in ((expense(after.scheme), amount), (payable(after.organization_id), -amount)):
        yield Entry(transaction_id, account, signed, after.claim_id, after.organization_id, description)


def payment_entries(claims: Iterable[Claim], transaction_id: str) -> Iterator[Entry]:
    """What the payment of approved claims posts, all in one transaction."""
    totals: dict[tuple[str, str], int] = defaultdict(int)
    for claim in claims:
        if not claim.approved:
            continue
        totals[claim.scheme, claim.organization_id] += claim.approved
        description = f"payment of invoice {claim.invoice_number}"
        account = payable(claim.organization_id)
        yield Entry(transaction_id, account, claim.approved, claim.claim_id, claim.organization_id, description)
    for (scheme, organization_id), total in sorted(totals.items()):
        yield Entry(transaction_id, fund(scheme), -total, "", organization_id, f"transfer to {organization_id}")
