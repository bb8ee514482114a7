"""Audit: who looked, who wrote, provably.

It owns the log of every access to a person's data, refused ones too: a Merkle tree (RFC 9162) over salted commitments,
with checkpoints signed every second that it grew.
It promises that each event that a service announced stands in the log once; that what stands there cannot be changed or
taken out without every later proof failing; and that a citizen finds every access to their own data, of all
registrations that are theirs today.
The tree holds only SHA-256 over salt and content: erasing an entry's salt and content leaves every proof intact.
It never decides about access, never changes an entry, and follows every service while calling none.
Feed: `access`, its own RPCs, which it follows like the others'.
"""
