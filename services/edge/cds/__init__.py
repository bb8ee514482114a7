"""CDS Hooks 2.0 (https://cds-hooks.hl7.org/2.0/): advice within the prescriber's own program.

A client calls with the access token that it reads FHIR with: in the header, or as `fhirAuthorization`. What is not sent along
as prefetch is read with that token, so that advice tells of what its caller may see. Whatever fails is an error and never an
empty list of cards, which would say that nothing speaks against an order.
"""
