"""Every SQL statement of records. Where a statement reads rows, the caller's view is a condition within it."""
