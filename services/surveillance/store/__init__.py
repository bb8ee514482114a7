"""Every SQL statement of surveillance: what the followers write, what callers read."""
