"""Revisions of the claims database."""
