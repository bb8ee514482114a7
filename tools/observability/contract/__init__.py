"""Every metric, span and log field of the platform, each declared once."""
