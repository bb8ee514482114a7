"""Base backups: the whole cluster as of one place in the log, by pg_basebackup, encrypted while it is read."""

import io
import os
import re
import subprocess
import tarfile
import tempfile
from datetime import UTC
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import asyncpg

from libs.database.embedded import programs
from tools.backup.repository import BackupError, Base, Repository, now_stamp, position_of
from tools.backup.sealing import Recipient, seal

_BEGINS = re.compile(r"write-ahead log start point: ([0-9A-F]+/[0-9A-F]+) on timeline (\d+)")
_ENDS = re.compile(r"write-ahead log end point: ([0-9A-F]+/[0-9A-F]+)")
_SECRETS_KEPT = 20


def environment_for(url: str) -> dict[str, str]:
    """How PostgreSQL's programs reach a server, without its password on a command line."""
    parts = urlsplit(url)
    return {
        "PATH": os.defpath,
        "LC_ALL": "C",
        "TZ": "UTC",
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": parts.username or "",
        "PGPASSWORD": parts.password or "",
    }


async def take_base(url: str, repository: Repository, recipient: Recipient) -> Base:
    """Makes a base backup of the server at a URL. Raises BackupError; what was begun is then removed."""
    repository.prepare()
    stamp = now_stamp()
    path = repository.bases_folder / f"{stamp}.tar.gz.age"
    try:
        with tempfile.TemporaryFile() as said:
            size = _copy(url, path, recipient, said)
            said.seek(0)
            words = said.read().decode("utf-8", "replace")
        begins, ends = _said(_BEGINS, words), _said(_ENDS, words)
        connection = await asyncpg.connect(url)
        try:
            ended_at = await connection.fetchval("SELECT clock_timestamp()")
        finally:
            await connection.close()
        base = Base(
            ended_at.astimezone(UTC).isoformat(),
            stamp,
            int(begins[2]),
            position_of(begins[1]),
            position_of(ends[1]),
            size,
        )
        repository.add(base)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return base


def _said(pattern: re.Pattern[str], words: str) -> re.Match[str]:
    found = pattern.search(words)
    if found is None:
        raise BackupError(f"pg_basebackup did not say what the backup holds: {words.strip()}")
    return found


def _copy(url: str, path: Path, recipient: Recipient, said: IO[bytes]) -> int:
    command = [
        str(programs() / "pg_basebackup"),
        # To standard output as one tar, with the log that was written meanwhile, and a manifest that a restore checks.
        *("--pgdata=-", "--format=tar", "--wal-method=fetch", "--compress=client-gzip:1"),
        *("--checkpoint=fast", "--manifest-checksums=SHA256", "--no-password", "--verbose"),
    ]
    with subprocess.Popen(  # noqa: S603 PostgreSQL's own program with our arguments
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, env=environment_for(url), cwd="/"
    ) as process:
        assert process.stdout is not None  # noqa: S101 asked for above
        try:
            size = seal(process.stdout, path, recipient)
        except OSError as error:
            process.kill()
            raise BackupError(f"{path} cannot be written: {error.strerror}") from error
    if process.returncode:
        said.seek(0)
        words = said.read().decode("utf-8", "replace").strip().splitlines()
        raise BackupError(f"pg_basebackup failed: {' / '.join(words[-3:])}")
    return size


def keep_secrets(secrets: Path, repository: Repository, recipient: Recipient) -> None:
    """Seals the platform's keys as they are now; the newest twenty are kept."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in sorted(secrets.iterdir()):
            if path.is_file() and path.suffix != ".new":
                tar.add(path, arcname=path.name)
    archive.seek(0)
    seal(archive, repository.secrets_folder / f"{now_stamp()}.tar.age", recipient)
    for old in sorted(repository.secrets_folder.glob("[!.]*.tar.age"))[:-_SECRETS_KEPT]:
        old.unlink()
