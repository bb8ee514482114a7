"""The history of audit's schema."""
