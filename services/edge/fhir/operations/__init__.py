"""Operations (https://hl7.org/fhir/R4/operations.html): a file for each, found by a table."""

from services.edge.fhir.operations.table import OPERATIONS, Operation, operation_of, operations_of

__all__ = ["OPERATIONS", "Operation", "operation_of", "operations_of"]
