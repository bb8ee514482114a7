"""Records: every clinical fact, as FHIR R4 resources, versioned and searchable.

It owns the resources that organisations file about people (and those about nobody, such as a Medication), their versions,
and the index that finds them.
It promises that no version is ever overwritten, also not by a deletion; that an answer, a total or an error never differs
by what the caller may not see; that a transaction is stored whole or not at all; that a drug order against an allergy
that the caller may see is refused.
It never decides who a person is or what they consented to: it follows the patient index and identity, and keeps what it
needs of them. A merge or an unmerge there moves no record here.
Feeds: `records` (by Type/id), `access`. Follows: `patient_index`, `identity`.
"""
