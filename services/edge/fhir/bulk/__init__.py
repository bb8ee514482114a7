"""Bulk Data: http://hl7.org/fhir/uv/bulkdata/STU2."""
