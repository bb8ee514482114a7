"""FHIR R4 (4.0.1) as data: definitions, validation, references, search parameters, compiled from HL7's own tables.

Bodies are JSON bytes outside and plain dictionaries inside; nothing here does I/O beyond reading the package's own table.
"""
