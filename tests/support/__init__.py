"""What tests stand on: the real PostgreSQL, and the means to ask it."""
