"""Every SQL statement of claims."""
