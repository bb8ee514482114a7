"""The patient index: which registrations are one person.

Owns registrations (one person as one organisation knows them), the person behind several of them, every decision that
put them there, the pairs that wait for somebody to decide, the matching models, and the sample by which it is measured.
Promises: the same organisation and local number is the same registration; an older writing never replaces a newer one;
decisions are never overwritten, replaying them gives every person again, and each can be taken back; what was unlinked
stays apart until somebody links it; a new model moves nobody by itself; two that register one person at the same time end
in one person.
Never links on a number that people who contradict each other share, never links two valid citizen ids by itself, never
moves a record: others follow its feed `patient_index`, keyed by registration.
"""
