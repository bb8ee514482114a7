"""Revisions of the schema of records."""
