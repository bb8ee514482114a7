"""Backups of the platform's PostgreSQL: base backups, the log that was written since, and the way back to any moment.

PostgreSQL's own programs make them: pg_basebackup and pg_receivewal. Everything that leaves the home is
encrypted to a public key first (age, https://age-encryption.org), so that neither the platform nor whoever reads the
repository can open a backup; the private key is kept elsewhere, and only a restore needs it.
"""
