"""Subscriptions by topic at the edge (https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/): operations, websockets."""
