"""PostgreSQL: one database per service, statements by name, reading and writing as different types."""
