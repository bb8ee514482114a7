"""The services' databases: of the embedded PostgreSQL, or of one that runs elsewhere."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from libs.database.embedded import EmbeddedPostgres, EmbeddedPostgresError
from libs.database.migrations import current_revision, expected_head
from tools.nhip.programs import Program
from tools.nhip.services import Service

_T = TypeVar("_T")


class DatabasesError(Exception):
    """A database cannot be had; the message names it, never its password."""


class Server(Protocol):
    """Where the databases are."""

    def start(self) -> None:
        """Returns when connections are accepted. Raises DatabasesError."""

    def is_running(self) -> bool:
        """False where `start` is needed again."""

    def stop(self) -> None:
        """Leaves no process of ours."""

    def url(self, service: str) -> str:
        """The service's database."""


@dataclass(frozen=True)
class Embedded:
    """The PostgreSQL of this home."""

    postgres: EmbeddedPostgres

    def start(self) -> None:
        """Starts the server, or finds it running."""
        try:
            self.postgres.start()
        except EmbeddedPostgresError as error:
            raise DatabasesError(str(error)) from error

    def is_running(self) -> bool:
        """False after it was killed."""
        return self.postgres.is_running()

    def stop(self) -> None:
        """Shuts it down."""
        self.postgres.stop()

    def url(self, service: str) -> str:
        """The database nhip_<service>."""
        return self.postgres.url(f"nhip_{service}")


@dataclass(frozen=True)
class External:
    """A PostgreSQL that others run; `template` is a URL with `{service}` in it."""

    template: str

    def start(self) -> None:
        """Checks the template; the server runs already."""
        if "{service}" not in self.template:
            message = (
                "NHIP_DATABASE_URL_TEMPLATE must contain {service}, as in postgresql://nhip@db.example/nhip_{service}"
            )
            raise DatabasesError(message)

    def is_running(self) -> bool:
        """Is for others to see to."""
        return True

    def stop(self) -> None:
        """Is not ours to stop."""

    def url(self, service: str) -> str:
        """The template with the service's name in it."""
        return self.template.replace("{service}", service)


def prepare(server: Server, services: Iterable[Service]) -> list[Service]:
    """Creates the databases that are missing; answers the services whose schema is behind their code."""
    with_database = [service for service in services if service.has_database]

    async def all_revisions() -> list[str]:
        return await asyncio.gather(*(_revision(server.url(service.name)) for service in with_database))

    try:
        revisions = _run(all_revisions())
    except (OSError, asyncpg.PostgresError) as error:
        message = f"the databases cannot be reached: {type(error).__name__}: {error}"
        raise DatabasesError(message) from error
    return [
        service
        for service, revision in zip(with_database, revisions, strict=True)
        if revision < expected_head(service.name)
    ]


def migrate(programs: Sequence[Program]) -> None:
    """Runs the services' `migrate`, all at once. Raises DatabasesError when one fails."""
    running = [(program, program.spawn()) for program in programs]
    try:
        failed = [program for program, process in running if process.wait() != 0]
    finally:
        # Also where we are interrupted: none is left behind, and the advisory lock goes with its connection.
        for _, process in running:
            process.kill()
            process.communicate()
    if failed:
        message = f"migrate failed for {', '.join(program.name for program in failed)}: {failed[0].last_words()}"
        raise DatabasesError(message)


async def _revision(url: str) -> str:
    try:
        return await current_revision(url)
    except asyncpg.InvalidCatalogNameError:
        pass
    parts = urlsplit(url)
    connection = await asyncpg.connect(urlunsplit(parts._replace(path="/postgres")))
    try:
        await connection.execute(f'CREATE DATABASE "{parts.path.lstrip("/")}"')
    finally:
        await connection.close()
    return ""


def _run(work: Coroutine[None, None, _T]) -> _T:
    # In a thread of its own, since the caller may be inside an event loop.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()
