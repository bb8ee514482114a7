"""Every SQL statement of exchange, by what it is about."""
