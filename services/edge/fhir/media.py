"""The media types of FHIR (https://hl7.org/fhir/R4/http.html#mime-type)."""

JSON_TYPES = frozenset({"application/fhir+json", "application/json", "application/json+fhir", "text/json"})
XML_TYPES = frozenset({"application/fhir+xml", "application/xml", "application/xml+fhir", "text/xml"})
FHIR_TYPES = JSON_TYPES | XML_TYPES
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
# As the parameter fhirVersion names this one.
VERSIONS = ("4.0", "4.0.1")
