"""Linking away from the platform: models, and whole files at once."""
