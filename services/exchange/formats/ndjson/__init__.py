"""Lines of FHIR resources: taken in, read, sent under the ids that they have here, and told of line by line."""
