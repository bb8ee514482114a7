"""What is wrong with a resource, in the words of OperationOutcome."""

from dataclasses import dataclass
from typing import Final

# Issue codes (http://hl7.org/fhir/issue-type) that validation gives. They travel as FieldViolation.reason.
STRUCTURE: Final = "structure"
REQUIRED: Final = "required"
VALUE: Final = "value"
CODE_INVALID: Final = "code-invalid"
INVARIANT: Final = "invariant"
INVALID: Final = "invalid"
NOT_FOUND: Final = "not-found"
NOT_SUPPORTED: Final = "not-supported"
BUSINESS_RULE: Final = "business-rule"
TOO_LONG: Final = "too-long"
PROCESSING: Final = "processing"

ERROR: Final = "error"
WARNING: Final = "warning"

CODES: Final = frozenset(
    {
        STRUCTURE,
        REQUIRED,
        VALUE,
        CODE_INVALID,
        INVARIANT,
        INVALID,
        NOT_FOUND,
        NOT_SUPPORTED,
        BUSINESS_RULE,
        TOO_LONG,
        PROCESSING,
    }
)


@dataclass(frozen=True, slots=True)
class Issue:
    """One defect. `description` names the rule, never the value."""

    # FHIRPath from the resource: `Observation.value.ofType(Quantity).code`, `Patient.name[0].given[1]`.
    expression: str
    # One of CODES.
    code: str
    description: str
    # error or warning.
    severity: str = ERROR

    def within(self, segment: str) -> "Issue":
        """The same defect seen from the parent."""
        joint = "" if not self.expression or self.expression.startswith("[") else "."
        return Issue(f"{segment}{joint}{self.expression}", self.code, self.description, self.severity)
