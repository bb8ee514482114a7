"""Who is calling, and on what ground."""
