"""From a repository back to a running cluster, as it was at a moment."""

import gzip
import hashlib
import json
import shlex
import shutil
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from libs.database.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tools.backup.repository import (
    SEGMENT_BYTES,
    BackupError,
    Base,
    Repository,
)
from tools.backup.sealing import Identity, opened
from tools.backup.timelines import History, history_of

_RECOVERY_SECONDS = 6 * 3600.0
_NOT_REACHED = "recovery ended before configured recovery target was reached"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """A cluster that was brought back; its server runs."""

    postgres: EmbeddedPostgres
    base: Base
    # When it would have been asked for the newest, the moment up to which the repository has everything.
    reached: datetime
    seconds: float


def restore(repository: Repository, identity: Identity, staging: Path, to: datetime | None, report: Report) -> Restored:
    """Brings the cluster as it was at `to`, or at the newest moment, into the home `staging`, and starts it there.

    Raises BackupError, with what is there and what is not; KeyFileError for another key.
    """
    began = time.monotonic()
    history, base, reached = _choose(repository, identity, to)
    report(f"base backup of {base.ended_at}, {base.bytes >> 20} MB")
    data = staging / "postgres" / "data"
    data.mkdir(mode=0o700, parents=True)
    _unpack(repository.base_file(base), identity, data)
    data.chmod(0o700)
    _check_manifest(data)
    _restore_secrets(repository, identity, staging / "secrets")
    wal = staging / "postgres" / "log"
    missing = _provide_log(repository, identity, history, base, wal)
    report(f"replaying the log up to {reached.isoformat()}")
    postgres = EmbeddedPostgres(staging)
    _recover(postgres, wal, history.timeline, to, missing)
    shutil.rmtree(wal)
    return Restored(postgres, base, reached, time.monotonic() - began)


def _choose(repository: Repository, identity: Identity, to: datetime | None) -> tuple[History, Base, datetime]:
    bases, coverage = repository.bases(), repository.coverage()
    if not bases:
        raise BackupError(f"{repository.path} holds no complete base backup")
    newest = max(coverage.moment if coverage else bases[-1].moment, bases[-1].moment)
    if to is not None and to > newest:
        raise BackupError(f"{repository.path} has the log up to {newest.isoformat()}, not up to {to.isoformat()}")
    history = history_of(repository, identity)
    reachable = [base for base in bases if history.leads_from(base) and (to is None or base.moment <= to)]
    if not reachable:
        first = min(base.moment for base in bases)
        raise BackupError(f"no base backup leads to {to or newest}: the first is of {first.isoformat()}")
    return history, reachable[-1], to or newest


def _unpack(path: Path, identity: Identity, folder: Path) -> None:
    try:
        with opened(path, identity) as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
            tar.extractall(folder, filter="data")
            # To the very end, so that a file that was cut off is noticed.
            while stream.read(1 << 20):
                pass
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BackupError(f"{path} cannot be unpacked: {error}") from error


def _check_manifest(data: Path) -> None:
    """Every file is as the server said when it sent it; the log's records carry sums of their own."""
    try:
        said = (data / "backup_manifest").read_bytes()
        manifest = json.loads(said)
        signed = said[: said.rindex(b'"Manifest-Checksum"')]
        if hashlib.sha256(signed).hexdigest() != manifest["Manifest-Checksum"]:
            raise BackupError("the base backup's manifest is damaged")
        for file in manifest["Files"]:
            name = file.get("Path") or bytes.fromhex(file["Encoded-Path"]).decode("utf-8", "surrogateescape")
            with (data / name).open("rb") as content:
                if hashlib.file_digest(content, "sha256").hexdigest() != file["Checksum"]:
                    raise BackupError(f"the base backup is damaged in {name}")
    except (OSError, ValueError, KeyError) as error:
        raise BackupError(f"the base backup is not what its manifest says: {error}") from error


def _restore_secrets(repository: Repository, identity: Identity, folder: Path) -> None:
    sealed = sorted(repository.secrets_folder.glob("[!.]*.tar.age"))
    if not sealed:
        raise BackupError(f"{repository.secrets_folder} holds no keys, without which the databases are unreadable")
    folder.mkdir(mode=0o700)
    _unpack(sealed[-1], identity, folder)
    for path in folder.iterdir():
        path.chmod(0o600)


def _provide_log(repository: Repository, identity: Identity, history: History, base: Base, folder: Path) -> str:
    """Opens the log from the base backup on; the name of the first segment that is missing before others, or ''."""
    folder.mkdir(mode=0o700)
    for name in sorted(repository.wal_names()):
        plain = name.removesuffix(".partial")
        if not history.needs(plain, base):
            continue
        with opened(repository.wal_file(name), identity) as stream, gzip.open(stream) as packed:
            content = packed.read()
        # Of a segment that was still filling; zeros are the log's end. A complete one, if there is one too, sorts first.
        if plain != name and not (folder / plain).exists():
            content = content.ljust(SEGMENT_BYTES, b"\0")
        elif plain != name:
            continue
        (folder / plain).write_bytes(content)
    return history.first_gap({path.name for path in folder.iterdir()}, base)


def _recover(postgres: EmbeddedPostgres, wal: Path, timeline: int, to: datetime | None, missing: str) -> None:
    settings = {
        "restore_command": f"cp {shlex.quote(str(wal)).replace('%', '%%')}/%f %p",
        "recovery_target_timeline": str(timeline),
        "recovery_target_action": "promote",
        # Nobody reads while it replays: what a standby must wait for does not hold it up.
        "hot_standby": "off",
    }
    target = {} if to is None else {"recovery_target_time": to.astimezone(UTC).isoformat(" ")}
    try:
        try:
            postgres.recover({**settings, **target}, _RECOVERY_SECONDS)
        except EmbeddedPostgresError as error:
            if _NOT_REACHED not in str(error) or missing:
                raise
            # Nothing was written after the moment asked for, so that the log ends before it; that is all there was.
            postgres.recover(settings, _RECOVERY_SECONDS)
    except EmbeddedPostgresError as error:
        cause = f"the log has no {missing}; " if missing else ""
        raise BackupError(f"{cause}{error}") from error
