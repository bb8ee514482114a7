"""Claims: the Financial Data Hub. Who pays what for a visit, and why.

Owns    rights, tariffs, claims, what was decided of each line, and the ledger.
Follows records (a visit happened, or did not) and patient_index (which registrations are one person).
Promises
  - a claim is decided once, by the right and the tariff of its day, with a reason for every line in two languages;
  - it is decided the same whether the claim or the news of its visit or person came first;
  - the ledger only grows, and every transaction in it sums to zero.
Never   changes a decision because registrations were linked or unlinked later, asks another service, or uses fractions.
"""
