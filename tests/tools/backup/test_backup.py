"""A cluster is written to, archived, destroyed and brought back to a moment; with PostgreSQL's own programs throughout."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import REGISTRY

from libs.database.embedded import EmbeddedPostgres
from tools.backup.archiver import Archiver
from tools.backup.configuration import Configuration
from tools.backup.replacing import replace
from tools.backup.repository import BackupError, Repository
from tools.backup.restoring import restore
from tools.backup.sealing import KeyFileError, identity_in, new_identity
from tools.backup.taking import take_base

SECRET = "nobody reads this in a repository"


@asynccontextmanager
async def archived(home: Path, directory: Path, recipient: str) -> AsyncIterator[tuple[EmbeddedPostgres, Repository]]:
    """A server whose log is archived while the context lasts, and to its end."""
    postgres = EmbeddedPostgres(home, durable=False)
    await asyncio.to_thread(postgres.start)
    stopping = asyncio.Event()
    archiver = Archiver(
        postgres.url("postgres"), home / "postgres-log", home / "secrets", Configuration(str(directory), recipient)
    )
    running = asyncio.create_task(archiver.run(stopping))
    try:
        yield postgres, archiver.repository
    finally:
        stopping.set()
        await running
        await asyncio.to_thread(postgres.stop)


async def write(postgres: EmbeddedPostgres, *words: str) -> datetime:
    """Each word in a transaction of its own; the database's time after the last."""
    connection = await asyncpg.connect(postgres.url("postgres"))
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS notes (word text)")
        for word in words:
            await connection.execute("INSERT INTO notes VALUES ($1)", word)
        return await connection.fetchval("SELECT clock_timestamp()")
    finally:
        await connection.close()


async def words(postgres: EmbeddedPostgres) -> set[str]:
    connection = await asyncpg.connect(postgres.url("postgres"))
    try:
        return {row["word"] for row in await connection.fetch("SELECT word FROM notes")}
    finally:
        await connection.close()


async def until_covered(repository: Repository, moment: datetime) -> None:
    """Returns when everything up to the moment is in the repository."""
    async with asyncio.timeout(120):
        while not ((coverage := repository.coverage()) and coverage.moment >= moment and repository.bases()):
            await asyncio.sleep(0.05)


def made(home: Path) -> Path:
    """The directory, which the account that stands in for root can pass through."""
    home.mkdir(mode=0o711)
    return home


async def brought_back(
    repository: Repository, key: Path, staging: Path, to: datetime | None
) -> tuple[EmbeddedPostgres, set[str]]:
    postgres = EmbeddedPostgres(made(staging))
    try:
        await asyncio.to_thread(restore, repository, identity_in(key), staging, to, lambda _: None)
        return postgres, await words(postgres)
    finally:
        await asyncio.to_thread(postgres.stop)


@pytest.fixture
def place(home_path: Path) -> Path:
    """Beside the home."""
    return home_path.parent


async def test_a_destroyed_cluster_comes_back_as_of_any_moment_and_what_is_written_after_comes_back_too(
    home_path: Path, place: Path
) -> None:
    directory, key = place / "repository", place / "key"
    recipient = str(new_identity(key))
    async with archived(home_path, directory, recipient) as (postgres, repository):
        await until_covered(repository, await write(postgres, "first", SECRET))
        good = await write(postgres, "second")
        await write(postgres, "mistake")
        last = await write(postgres, "third")
        await until_covered(repository, last)

    # Nothing of the home is left but the repository and the key.
    shutil.rmtree(home_path)
    for path in (one for one in directory.rglob("*") if one.suffix == ".age"):
        assert SECRET.encode() not in path.read_bytes()
        assert path.read_bytes().startswith(b"age-encryption.org/v1\n")
    _, newest = await brought_back(repository, key, place / "newest", None)
    assert newest == {"first", SECRET, "second", "mistake", "third"}
    with pytest.raises(BackupError, match="not up to"):
        await brought_back(repository, key, place / "future", datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(BackupError, match="no base backup leads to"):
        await brought_back(repository, key, place / "past", last - timedelta(days=1))

    _, at_good = await brought_back(repository, key, place / "good", good)
    assert at_good == {"first", SECRET, "second"}
    assert replace(made(home_path), place / "good") == []

    # The life that begins there is archived in its turn, on a timeline of its own.
    async with archived(home_path, directory, recipient) as (postgres, repository):
        later = await write(postgres, "fourth")
        await until_covered(repository, later)
        async with asyncio.timeout(120):
            while len(repository.bases()) < 2:
                await asyncio.sleep(0.05)
        await until_covered(repository, await write(postgres, "fifth"))
    assert [base.timeline for base in repository.bases()] == [1, 2]
    _, second_life = await brought_back(repository, key, place / "second", None)
    assert second_life == {"first", SECRET, "second", "fourth", "fifth"}


def told(what: str) -> float:
    return REGISTRY.get_sample_value(f"nhip_backup_{what}_timestamp_seconds") or 0.0


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not is_so():
            await asyncio.sleep(0.05)


async def test_the_archiver_tells_what_is_in_the_repository_and_when_nothing_is(home_path: Path, place: Path) -> None:
    directory = place / "repository"
    async with archived(home_path, directory, str(new_identity(place / "key"))) as (postgres, repository):
        moment = await write(postgres, "first")
        await until(lambda: told("covered") >= moment.timestamp())
        (base,) = repository.bases()
        assert told("base") == base.moment.timestamp()
        assert told("base_due") == told("base") + timedelta(hours=24).total_seconds()
        # Somebody takes the base backups away, and puts something else in their place.
        (directory / "base").rename(directory / "aside")
        (directory / "base").write_text("not a folder")
        await until(lambda: told("base") == told("base_due") == 0)
        assert told("covered") > 0


async def test_what_was_damaged_lost_or_sealed_for_another_is_refused_and_named(home_path: Path, place: Path) -> None:
    key = place / "key"
    recipient = new_identity(key)
    async with archived(made(home_path), place / "repository", str(recipient)) as (postgres, repository):
        await until_covered(repository, await write(postgres, "kept"))
        connection = await asyncpg.connect(postgres.url("postgres"))
        for _ in range(3):
            await connection.execute("INSERT INTO notes SELECT 'more' FROM generate_series(1, 1000)")
            await connection.execute("SELECT pg_switch_wal()")
        await connection.close()
        await until_covered(repository, await write(postgres, "last"))

    new_identity(place / "other")
    with pytest.raises(KeyFileError, match="cannot be opened"):
        await brought_back(repository, place / "other", place / "a", None)

    segments = sorted(name for name in repository.wal_names() if len(name) == 24)
    gap = segments[-2]
    repository.wal_file(gap).rename(place / gap)
    with pytest.raises(BackupError, match=f"the log has no {gap}"):
        await brought_back(repository, key, place / "b", repository.coverage().moment)
    (place / gap).rename(repository.wal_file(gap))

    sealed = repository.base_file(repository.bases()[0])
    whole = sealed.read_bytes()
    sealed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises((KeyFileError, BackupError), match=sealed.name):
        await brought_back(repository, key, place / "c", None)
    sealed.write_bytes(whole)
    _, found = await brought_back(repository, key, place / "d", None)
    assert {"kept", "more", "last"} == found


async def test_old_base_backups_go_with_the_log_that_only_they_needed(home_path: Path, place: Path) -> None:
    recipient = new_identity(place / "key")
    repository = Repository(place / "repository")
    postgres = EmbeddedPostgres(home_path, durable=False)
    await asyncio.to_thread(postgres.start)
    try:
        old = await take_base(postgres.url("postgres"), repository, recipient)
        new = await take_base(postgres.url("postgres"), repository, recipient)
    finally:
        await asyncio.to_thread(postgres.stop)
    needed, not_needed = f"{1:08X}{0:08X}{new.begins >> 24:08X}", f"{1:08X}{0:08X}{(new.begins >> 24) - 1:08X}"
    for name in (needed, not_needed):
        repository.wal_file(name).touch()
    assert set(repository.prune(1)) == {old.stamp, not_needed}
    assert repository.bases() == [new]
    assert repository.wal_names() == {needed}
    assert not repository.base_file(old).exists()


def test_a_key_file_that_exists_is_never_overwritten(tmp_path: Path) -> None:
    new_identity(tmp_path / "key")
    with pytest.raises(KeyFileError, match="cannot be made"):
        new_identity(tmp_path / "key")
    (tmp_path / "key").write_text("no key")
    with pytest.raises(KeyFileError, match="does not hold"):
        identity_in(tmp_path / "key")
