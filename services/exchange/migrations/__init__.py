"""Revisions of exchange's database."""
