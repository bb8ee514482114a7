"""Decisions of surveillance: pure functions, no I/O, no clock."""
