"""FHIRPath (http://hl7.org/fhirpath/N1, http://hl7.org/fhir/R4/fhirpath.html), compiled once into closures over JSON.

What the specification's own invariants and FHIRPath Patch are written in. A collection is a list; what is unknown is the
empty one, as there.
"""

from libs.fhir.fhirpath.compiling import compile_boolean, compile_list
from libs.fhir.fhirpath.operators import Environment
from libs.fhir.fhirpath.syntax import FhirPathError, parse_expression
from libs.fhir.fhirpath.values import Bare

__all__ = ["Bare", "Environment", "FhirPathError", "compile_boolean", "compile_list", "parse_expression"]
