"""Identity: who is calling, for whom, and what the citizen allows.

It owns organisations, practitioners, clients, citizens' accounts, the keys that sign access tokens, and consent.
It promises that a token says only what its grant allows, lives for minutes, and is verified offline by everybody; that
a decision of a citizen is never lost (each stands in the history) and is announced in the transaction that records it;
and that keys change without a token being refused, unless a key leaked.
It never keeps a citizen's number: only its keyed hash, and the last digits for the eye.
It never keeps a secret or a private key in the clear, and it never calls another service.
Feeds: `keys` (by key id), `identity` (organisations, practitioners, consent), `access`.
"""
