"""FHIR R4 (https://hl7.org/fhir/R4/http.html): one module per interaction, named as the specification names it."""
