"""Revisions of the surveillance database."""
