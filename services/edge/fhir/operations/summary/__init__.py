"""$summary: the International Patient Summary (https://hl7.org/fhir/uv/ips/STU1.1/) as a document."""

from services.edge.fhir.operations.summary.operation import summary

__all__ = ["summary"]
