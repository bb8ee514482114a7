"""The history of identity's schema."""
