"""How each format is carried from a zip to the services: read, join, send, commit."""
