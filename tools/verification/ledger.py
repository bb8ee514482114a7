"""The ledger of claims with itself."""

from tools.verification.findings import Databases, Finding

_UNBALANCED = "SELECT transaction_id FROM ledger_entries GROUP BY transaction_id HAVING sum(amount) <> 0 LIMIT 5"
_COUNT = "SELECT count(*) FROM ledger_entries"
_ORPHANED = (
    "SELECT count(*) FROM ledger_entries WHERE claim_id <> ''"
    " AND NOT EXISTS (SELECT 1 FROM claims WHERE claims.claim_id = ledger_entries.claim_id)"
)


async def check(databases: Databases) -> list[Finding]:
    """Each transaction sums to zero, and each entry is of a claim that exists."""
    claims = databases["claims"]
    unbalanced = [row["transaction_id"] for row in await claims.fetch(_UNBALANCED)]
    orphaned = await claims.fetchval(_ORPHANED)
    said = f"{await claims.fetchval(_COUNT)} entries"
    if unbalanced:
        said += f"; not zero: {', '.join(unbalanced)}"
    if orphaned:
        said += f"; {orphaned} of claims that do not exist"
    return [Finding("claims: the ledger", said, is_fault=bool(unbalanced or orphaned))]
