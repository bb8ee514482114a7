"""Decisions of claims: pure functions over whole satang, no I/O, no clock."""
