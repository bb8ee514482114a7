"""Terminology operations: https://hl7.org/fhir/R4/terminology-service.html."""
