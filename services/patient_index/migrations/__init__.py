"""The schema of the patient index, revision by revision."""
