"""What codes mean, decided without a database."""
