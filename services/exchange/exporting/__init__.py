"""How an export is carried from its plan to files: read, compress, commit."""
